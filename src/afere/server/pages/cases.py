"""Cases of an experiment: a row with all its runs, what they answered, and what it was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.base.score import Value
from afere.data import Row
from afere.evals import Experiment, Result
from afere.evals.spread import ABOUT_JUDGING
from afere.server import textdiff, words

if TYPE_CHECKING:
    from afere.store import Session

SHOWN_MEASURES = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """A measure of a case over its runs: their values, the mean of the known ones, and the mean before, if compared."""

    name: str
    values: tuple[Value, ...]
    mean: float | None
    before: float | None
    why: str
    lower: bool = False  # lower is better

    @property
    def judges(self) -> bool:
        """Whether it says that an answer is right or wrong; how a judge came to its verdict says neither."""
        return not self.name.endswith(ABOUT_JUDGING)

    @property
    def dots(self) -> tuple[str, ...] | None:
        """One a run, for verdicts: y right, u unknown, nothing wrong. None where a value is a number or a word."""
        if any(value is not None and not isinstance(value, bool) and value not in (0, 1) for value in self.values):
            return None
        return tuple("u" if value is None else "y" if bool(value) != self.lower else "" for value in self.values)

    @property
    def change(self) -> float:
        """By how much it is better than before; below 0 worse, 0 also where it is not known."""
        if self.mean is None or self.before is None or not self.judges:
            return 0.0
        return (self.before - self.mean) if self.lower else (self.mean - self.before)

    @property
    def missing(self) -> int:
        return sum(value is None for value in self.values)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the dataset and what happened to it. `moved` is +1 better, -1 worse than before, 0 the same or not known."""

    id: str
    row: Row | None
    runs: tuple[Result, ...]
    cells: tuple[Cell, ...]
    moved: int

    @property
    def asked(self) -> str:
        return words.said(self.row.input or self.row.metadata)[:300] if self.row else self.id

    @property
    def error(self) -> str | None:
        """What the first failed run says."""
        return next((run.error for run in self.runs if run.error), None)

    @property
    def state(self) -> str:
        """always wrong, flaky, failed, no verdict; nothing where all is well."""
        if self.error:
            return "failed"
        verdicts = [cell for cell in self.cells if cell.judges and cell.dots is not None]
        if any(cell.mean == float(cell.lower) for cell in verdicts):
            return "always wrong" if len(self.runs) > 1 else "wrong"
        if any(cell.mean is not None and 0 < cell.mean < 1 for cell in verdicts):
            return "flaky"
        return "no verdict" if any(cell.missing == len(cell.values) for cell in self.cells) else ""

    @property
    def worst(self) -> float:
        """For sorting: the worst mean of a measure, turned round where lower is better."""
        known = ((cell.mean, cell.lower) for cell in self.cells if cell.mean is not None and cell.judges)
        return min((1 - mean if lower else mean for mean, lower in known), default=-1.0)

    @property
    def change(self) -> float:
        """How much the measure that changed most is better than before; below 0 it is worse."""
        return max((cell.change for cell in self.cells), key=abs, default=0.0)

    @property
    def shown(self) -> Cell | None:
        """What its line shows: the measure that changed most, else one that is wrong, else the first."""
        moved = max(self.cells, key=lambda cell: abs(cell.change), default=None)
        if moved is None or moved.change:
            return moved
        wrong = (cell for cell in self.cells if cell.judges and cell.mean == float(cell.lower) and cell.dots)
        return next(wrong, self.cells[0])

    def to_json(self) -> Json:
        return {
            "row": self.id, "input": dict(self.row.input) if self.row else None, "expected": self.row.expected if self.row else None,
            "state": self.state, "moved": self.moved, "runs": [run.to_json() for run in self.runs],
        }  # fmt: skip


def measure_names(experiment: Experiment) -> tuple[str, ...]:
    """Those of scorers and judges, in their order; built-in ones are in the table above the cases."""
    return tuple(name for name in experiment.results.names if name.partition(".")[0] not in BUILTIN)


def cases_of(experiment: Experiment, before: Experiment | None = None) -> tuple[Case, ...]:
    """Every case, in the order of the dataset, with what it was in `before` where its content is the same."""
    runs: dict[str, list[Result]] = {}
    for run in experiment.results.runs:
        runs.setdefault(run.row, []).append(run)
    earlier: dict[tuple[str, str], list[Result]] = {}
    for run in before.results.runs if before else ():
        earlier.setdefault((run.row, run.digest), []).append(run)
    names, examples = measure_names(experiment), experiment.examples
    lower = frozenset(name for name in names if experiment.results.lower_is_better(name))
    found: list[Case] = []
    for id_, own in runs.items():
        ordered = tuple(sorted(own, key=lambda run: run.repeat))
        past = earlier.get((id_, own[0].digest), ())
        cells = tuple(_cell(name, ordered, past, lower=name in lower) for name in names)
        found.append(Case(id_, examples.get(id_), ordered, cells, _moved(cells, ordered, past)))
    return tuple(found)


def _cell(name: str, runs: Sequence[Result], earlier: Sequence[Result], *, lower: bool) -> Cell:
    said = [run.scores.get(name, (None, run.error or "no score")) for run in runs]
    why = next(
        (why for value, why in said if value in (None, False, 0) and why), next((why for _, why in said if why), "")
    )
    return Cell(name, tuple(value for value, _ in said), _mean(name, runs), _mean(name, earlier), why, lower)


def _mean(name: str, runs: Sequence[Result]) -> float | None:
    values = [run.scores[name][0] for run in runs if name in run.scores]
    known = [float(value) for value in values if isinstance(value, bool | int | float)]
    return sum(known) / len(known) if known else None


def _moved(cells: Sequence[Cell], runs: Sequence[Result], past: Sequence[Result]) -> int:
    """By how many of its runs the user's code failed; else by the measure that changed most."""
    if past:
        now, before = (sum(bool(run.error) for run in some) / len(some) for some in (runs, past))
        if now != before:
            return 1 if now < before else -1
    most = max((cell.change for cell in cells), key=abs, default=0.0)
    return (most > 0) - (most < 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run said, as pieces marked where the other side differs; or why there is nothing."""

    bits: tuple[textdiff.Bit, ...]
    trace: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Sides:
    """A case with the answers of its first run, before and after."""

    case: Case
    before: Answer | None
    after: Answer


def sides(
    session: Session, experiment: Experiment, cases: Sequence[Case], before: Experiment | None = None
) -> tuple[Sides, ...]:
    """The answers of these cases side by side. Each is read from its trace, so ask for a page of them."""
    earlier: Mapping[tuple[str, str], Result] = {}
    if before is not None:
        earlier = {(run.row, run.digest): run for run in reversed(before.results.runs)}
    found: list[Sides] = []
    for case in cases:
        run = case.runs[0]
        other = earlier.get((run.row, run.digest))
        now = _said(session, experiment, run)
        if before is None or other is None:
            found.append(Sides(case, None, Answer((textdiff.Bit(now),) if now else (), run.trace, run.error)))
            continue
        left, right = textdiff.words(_said(session, before, other), now)
        found.append(Sides(case, Answer(left, other.trace, other.error), Answer(right, run.trace, run.error)))
    return tuple(found)


def _said(session: Session, experiment: Experiment, run: Result) -> str:
    return words.said(experiment.output_of(run))
