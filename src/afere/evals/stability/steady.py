"""How often an answer changes where only its wording's surface did: beside, and beyond, how often it changes by itself.

With y, y' two answers to a case as it is and z, z' two to a change of it, a change shows in E d(y, z). A model that answers
differently each time shows there too, so its own spread is taken off: E d(y, z) - (E d(y, y') + E d(z, z')) / 2, the energy
distance between both distributions (Szekely, Rizzo 2013), halved. It is 0 where the change makes no difference, however
noisy the answers are, and is estimated without bias from two repeats of each. For a yes-or-no verdict it is (p - q)^2.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

from afere.base.canonical import Json
from afere.base.decision import Answer
from afere.base.errors import BadData, BadInput
from afere.base.project import Project
from afere.base.rule import BUILTIN
from afere.base.score import Value
from afere.chains.calls import Memory, remembering
from afere.chains.target import target_of
from afere.data import Row, usable
from afere.data import dataset as dataset_of
from afere.data.place import session_of
from afere.evals import stats
from afere.evals.experiment import Experiment
from afere.evals.plan import Plan
from afere.evals.results import Result
from afere.evals.scorers.text import as_text
from afere.evals.spread import ABOUT_JUDGING
from afere.evals.stability.perturb import SEED, origin, perturbed
from afere.evals.stats import Estimate
from afere.evals.stats.interval import least_half
from afere.evals.suite import Suite
from afere.models import Model
from afere.tracing import carry

SUFFIX = "-stability"  # of the name of such an experiment
TEXT = "wording"  # the measure that compares the answers' words
MEANING = "meaning"
ALPHA = 0.05
_WORST = 20  # cases that are kept for reading
_WORD = re.compile(r"\w+")
Distance = Callable[[Json, Json], float]
Embed = Callable[[Sequence[str]], list[list[float]]]


@dataclass(frozen=True, slots=True)
class Held:
    """One measure under one kind of change. `changed`: how far answers to changed inputs are from those to the inputs as
    they are; `own`: how far repeats are from each other; `beyond`: what is left, with its 90% interval, clustered by case.
    Of a verdict these are shares of pairs that differ. `stands`: it is more than sampling noise, all kinds taken together."""

    change: str
    measure: str
    changed: float
    own: float
    beyond: Estimate
    cases: int
    stands: bool = False
    moved: tuple[tuple[float, str], ...] = field(default=(), repr=False)  # of each changed row: beyond, and its cluster

    def kept(self, level: float = stats.LEVEL) -> Estimate:
        """The share of verdicts that stay: 1 less `beyond`."""
        beyond = estimate([one for one, _ in self.moved], [cluster for _, cluster in self.moved], level=level)
        return _kept(beyond)

    def to_json(self) -> dict[str, Json]:
        one = self.beyond
        return {
            "change": self.change, "measure": self.measure, "changed": self.changed, "own": self.own, "beyond": one.value,
            "low": one.low, "high": one.high, "cases": self.cases, "stands": self.stands,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A case whose answer changed: both inputs, an answer to each, and how far the measure moved beyond its spread."""

    row: str
    change: str
    measure: str
    beyond: float
    inputs: tuple[Json, Json]
    outputs: tuple[Json, Json]

    def to_json(self) -> dict[str, Json]:
        return {
            "row": self.row, "change": self.change, "measure": self.measure, "beyond": self.beyond,
            "inputs": list(self.inputs), "outputs": list(self.outputs),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """What a rule about stability says, and of which verdict and change: the one that decides."""

    answer: Answer
    says: str
    estimate: Estimate
    needs: int | None = None


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What an experiment over rows and their changes tells. `judged`: the measures that are verdicts; `rows`: those as they
    are."""

    ref: str
    held: tuple[Held, ...]
    worst: tuple[Case, ...]
    judged: tuple[str, ...]
    cases: int
    repeats: int
    missing: int  # runs without an answer
    rows: tuple[str, ...] = ()

    @property
    def stability(self) -> Held | None:
        """The verdict that the changes moved most."""
        known = [one for one in self.held if one.measure in self.judged and one.beyond.value is not None]
        return max(known, key=lambda one: one.beyond.value or 0.0, default=None)

    def to_json(self) -> dict[str, Json]:
        return {
            "experiment": self.ref, "cases": self.cases, "repeats": self.repeats, "missing": self.missing, "judged": list(self.judged),
            "held": [one.to_json() for one in self.held], "worst": [one.to_json() for one in self.worst],
        }  # fmt: skip

    def keeps(self, op: str, share: float, measure: str | None = None) -> Kept:
        """Whether every verdict (or that of one `measure`) keeps, under every kind of change, at least this share.

        Pass: all surely do, which needs no correction, since all must (Berger 1982). Fail: one surely does not, all of them
        taken together (Holm at 5%), so that a target that keeps just this share is not blocked by the number of changes.
        Else open.
        """
        judged = [one for one in self.held if one.measure in self.judged and measure in (None, one.measure)]
        nothing = Estimate(None, None, None, 0, 0)
        if not judged:
            why = f"{measure} gives" if measure else "no scorer gives"
            return Kept(
                "open",
                f"open: {why} {'no ' if measure else 'a '}yes, no or word, so there is no verdict that could change",
                nothing,
            )
        found = [(one, one.kept(), stats.threshold(one.kept(), op, share)) for one in judged]
        found.sort(key=lambda one: (one[1].value is not None, one[1].value))  # the one that keeps least first
        least, estimate, verdict = found[0]
        place = f"{least.measure} under {least.change}"
        if all(one[2].answer == "pass" for one in found):
            return Kept("pass", f"proven {op} {share:g} under every change; least of all {place}", estimate)
        steps = stats.holm_bounds([_less(one, op, share) for one, _, _ in found], ALPHA)
        if proven := next((one for one, (stands, _) in zip(found, steps, strict=True) if stands), None):
            more = f", as one of {len(found)} (Holm)" if len(found) > 1 else ""
            return Kept("fail", f"{proven[0].measure} under {proven[0].change}: {proven[2].says}{more}", proven[1])
        if verdict.answer == "fail":
            why = f"open: less by its own interval, but not proven as one of {len(found)} (Holm)"
            return Kept("open", f"{place}: {why}", estimate)
        least, estimate, verdict = next(one for one in found if one[2].answer == "open")
        return Kept("open", f"{least.measure} under {least.change}: {verdict.says}", estimate, verdict.needs)


def _less(one: Held, op: str, share: float) -> Callable[[float], bool]:
    """Whether it surely keeps less, by a one-sided bound."""
    return lambda level: stats.threshold(one.kept(1 - 2 * level), op, share).answer == "fail"


def _with_input(row: Row, takes: Sequence[str] | None) -> Row:
    """A row whose input stands in keys of its own, with these as its input; as it is where they do not fit."""
    if row.input:
        return row
    try:
        values = row.bind(takes)
    except BadData:  # one row that does not fit is named when it runs
        return row
    return replace(row, input=values, metadata={key: v for key, v in row.metadata.items() if key not in values})


def _kept(beyond: Estimate) -> Estimate:
    """The share that stays, of the share that changes."""
    value, low, high = (None if one is None else 1 - one for one in (beyond.value, beyond.high, beyond.low))
    return Estimate(value, low, high, beyond.n, beyond.clusters)


def stability_plan(
    suite: Suite, project: Project, kinds: Sequence[str], *, repeats: int = 2, variants: int = 1, seed: int = SEED,
    model: Model | None = None, concurrency: int = 8,
) -> Plan:  # fmt: skip
    """The suite's target on its rows and their changes, which are kept as a dataset version: `afere stability`.

    What a model writes comes from the cache where it wrote the same before. Rows that cannot be used are left out, as in any
    evaluation. BadInput where there is nothing to run again.
    """
    if suite.traces is not None or suite.subject.run is None:
        raise BadInput(
            f"{suite.name}: its outputs are there already; only a target can be asked again with changed inputs."
        )
    takes = target_of(suite.subject.run).parameters
    given = usable(suite.data, shape=suite.shape)
    rows = [_with_input(row, takes) for row in given.rows]

    def changed(row: Row) -> list[Row]:
        with remembering(Memory(session_of(project).cache)):
            return perturbed([row], kinds, variants=variants, seed=seed, model=model)

    with ThreadPoolExecutor(concurrency if model is not None else 1) as pool:
        made = [one for several in pool.map(carry(changed), rows) for one in several]
    if kinds and not any(origin(one) for one in made):
        raise BadInput(
            f"{suite.name}: no input can be changed by {', '.join(kinds)}, so nothing was asked. Texts of one word, numbers "
            "and names stay as they are; name other kinds with --changes."
        )
    name = f"{suite.name}{SUFFIX}"
    data = dataset_of(made, name=name)
    data.unusable = given.unusable
    return Plan(
        name, suite.subject, data, suite.scorers, suite.baseline.with_name(f"{name}.baseline.json"), repeats, turns=suite.turns,
    )  # fmt: skip


def steadiness(made: Experiment, *, embed: Embed | None = None) -> Steadiness:
    """What an experiment over perturbed rows tells of each kind of change. BadInput where its rows are none, or ran once.

    `embed` gives unit vectors of texts: with it, how far the answers' meanings are apart is told too.
    """
    runs = _Runs(made, embed)
    if not runs.changes:
        raise BadInput(f"{made.ref} has no changed rows. Run: afere stability SUITE")
    repeats = cast("int", made.content["repeats"])
    if repeats < 2:
        raise BadInput(
            f"{made.ref} ran every row once: what repeats of one answer differ by is not known. Run it with repeats."
        )
    held = [one for kind in runs.kinds for name in runs.measures if (one := runs.held(kind, name)) is not None]
    tested = [i for i, one in enumerate(held) if one.measure in runs.judged]
    steps = stats.holm_bounds([_proven(runs, held[i]) for i in tested], ALPHA)
    stands = {i for i, (stood, _) in zip(tested, steps, strict=True) if stood}
    held = [_standing(one) if i in stands else one for i, one in enumerate(held)]
    missing = sum(run.error is not None for run in made.rows)
    return Steadiness(
        made.ref, tuple(held), tuple(runs.worst()), tuple(runs.judged), len(runs.rows) - len(runs.changes), repeats, missing,
        tuple(id_ for id_ in runs.rows if id_ not in runs.changes),
    )  # fmt: skip


def _standing(one: Held) -> Held:
    return replace(one, stands=True)


def _proven(runs: _Runs, one: Held) -> Callable[[float], bool]:
    def proven(level: float) -> bool:
        low = _estimate_of(runs.moved(one.change, one.measure), level=1 - 2 * level).low
        return low is not None and low > 0

    return proven


def estimate(
    beyond: Sequence[float], clusters: Sequence[str], *, level: float = stats.LEVEL, shares: bool = True
) -> Estimate:
    """The mean of what changed beyond the spread, clustered; of verdicts with the least width that so many cases allow.

    `shares`: nothing can change by more than 1, as verdicts and words. What it estimates is not below 0, so that its lower end is 0 (or the value itself) where it would be less.
    """
    found = stats.clustered_mean(beyond, clusters, level=level)
    value, low, high = found.value, found.low, found.high
    if value is None or low is None or high is None:
        return found
    if all(abs(one) <= 1 for one in beyond):
        half = max(high - value, least_half(beyond, clusters, [1.0] * len(beyond), level))
        low, high = value - half, min(1.0, value + half) if shares else value + half
    return Estimate(value, max(low, min(value, 0.0)), high, found.n, found.clusters)


def _estimate_of(found: Sequence[_Moved], *, level: float = stats.LEVEL, shares: bool = True) -> Estimate:
    return estimate([one.beyond for one in found], [one.cluster for one in found], level=level, shares=shares)


@dataclass(frozen=True, slots=True)
class _Moved:
    """One changed row: how far its answers are from those to the row as it is, both own spreads, and what is beyond."""

    row: str
    cluster: str
    changed: float
    own: float
    beyond: float


@dataclass
class _Runs:
    """The runs of an experiment, by row, with what its rows are changes of."""

    made: Experiment
    embed: Embed | None
    _moves: dict[tuple[str, str], list[_Moved]] = field(default_factory=dict[tuple[str, str], "list[_Moved]"])

    @cached_property
    def rows(self) -> dict[str, Row]:
        return self.made.examples

    @cached_property
    def changes(self) -> dict[str, tuple[str, str]]:
        """Changed rows: of which row, and how."""
        return {id_: about for id_, row in self.rows.items() if (about := origin(row)) is not None}

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(kind for _, kind in self.changes.values()))

    @cached_property
    def by_row(self) -> dict[str, list[Result]]:
        found: dict[str, list[Result]] = {}
        for run in self.made.rows:
            if run.error is None:
                found.setdefault(run.row, []).append(run)
        return found

    @cached_property
    def outputs(self) -> dict[tuple[str, int], str]:
        return {
            (run.row, run.repeat): as_text(self.made.output_of(run)) for runs in self.by_row.values() for run in runs
        }

    @cached_property
    def vectors(self) -> dict[str, list[float]]:
        texts = sorted(set(self.outputs.values()))
        return dict(zip(texts, self.embed(texts) if self.embed else [], strict=False))

    @cached_property
    def _scored(self) -> list[str]:
        return [one for one in self.made.results.names if one not in BUILTIN and not one.endswith(ABOUT_JUDGING)]

    @cached_property
    def judged(self) -> list[str]:
        """Scorers that answer with a yes, a no or a word."""
        values: Mapping[str, list[Value]] = {
            name: [run.scores[name][0] for runs in self.by_row.values() for run in runs if name in run.scores] for name in self._scored
        }  # fmt: skip
        return [
            name
            for name, found in values.items()
            if any(one is not None for one in found) and all(isinstance(one, bool | str | None) for one in found)
        ]

    @property
    def measures(self) -> list[str]:
        return [*self._scored, TEXT, *([MEANING] if self.embed else [])]

    def values(self, row: str, measure: str) -> list[Json]:
        runs = self.by_row.get(row, [])
        if measure in (TEXT, MEANING):
            return [self.outputs[run.row, run.repeat] for run in runs]
        return [run.scores[measure][0] for run in runs if measure in run.scores and run.scores[measure][0] is not None]

    def distance(self, measure: str) -> Distance:
        if measure == TEXT:
            return wording
        return self._apart_in_meaning if measure == MEANING else differ

    def _apart_in_meaning(self, a: Json, b: Json) -> float:
        cosine = math.fsum(x * y for x, y in zip(self.vectors[str(a)], self.vectors[str(b)], strict=True))
        return max(0.0, 1 - cosine)

    def held(self, kind: str, measure: str) -> Held | None:
        found = self.moved(kind, measure)
        if not found:
            return None
        changed, own = _mean([one.changed for one in found]), _mean([one.own for one in found])
        cases = len({self.changes[one.row][0] for one in found})
        moved = tuple((one.beyond, one.cluster) for one in found)
        shares = measure in (*self.judged, TEXT)
        return Held(kind, measure, changed, own, _estimate_of(found, shares=shares), cases, moved=moved)

    def moved(self, kind: str, measure: str) -> list[_Moved]:
        """Each changed row of a kind, against the row that it is a change of."""
        if (kind, measure) not in self._moves:
            found: list[_Moved] = []
            distance = self.distance(measure)
            for id_, (of, change) in self.changes.items():
                before, after = self.values(of, measure), self.values(id_, measure)
                if change == kind and len(before) > 1 and len(after) > 1:
                    found.append(_Moved(id_, self.rows[id_].group or of, *_apart(before, after, distance)))
            self._moves[kind, measure] = found
        return self._moves[kind, measure]

    def worst(self) -> list[Case]:
        """The cases that moved most beyond their spread: by a verdict, else by their words; one of each kind first."""
        found = [
            (one.beyond, one.row, kind, name)
            for kind in self.kinds
            for name in self.judged or [TEXT]
            for one in self.moved(kind, name)
            if one.beyond > 0
        ]
        found.sort(key=lambda one: (-one[0], one[1], one[3]))
        places: Counter[str] = Counter()
        turns: list[tuple[int, tuple[float, str, str, str]]] = []
        for one in found:
            turns.append((places[one[2]], one))
            places[one[2]] += 1
        turns.sort(key=lambda one: one[0])
        return [self._case(*one) for _, one in turns[:_WORST]]

    def _case(self, beyond: float, id_: str, kind: str, name: str) -> Case:
        of = self.changes[id_][0]
        pair = max(
            itertools.product(self.by_row[of], self.by_row[id_]),
            key=lambda runs: self.distance(name)(*(self._value(run, name) for run in runs)),
        )
        outputs = tuple(self.outputs[run.row, run.repeat] for run in pair)
        inputs: tuple[Json, Json] = (dict(self.rows[of].input), dict(self.rows[id_].input))
        return Case(of, kind, name, beyond, inputs, (outputs[0], outputs[1]))

    def _value(self, run: Result, name: str) -> Json:
        return self.outputs[run.row, run.repeat] if name in (TEXT, MEANING) else run.scores.get(name, (None, ""))[0]


def _apart(before: Sequence[Json], after: Sequence[Json], distance: Distance) -> tuple[float, float, float]:
    """How far two groups of answers are apart, how far each is from itself (the mean of both), and what is beyond."""
    across = _mean([distance(a, b) for a in before for b in after])
    own = (
        _mean([distance(*pair) for pair in itertools.combinations(before, 2)])
        + _mean([distance(*pair) for pair in itertools.combinations(after, 2)])
    ) / 2
    return across, own, across - own


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def differ(a: Json, b: Json) -> float:
    """Of two verdicts: 1 where they differ. Of two numbers: by how much."""
    if isinstance(a, int | float) and isinstance(b, int | float) and not (isinstance(a, bool) and isinstance(b, bool)):
        return abs(float(a) - float(b))
    return float(a != b)


def wording(a: Json, b: Json) -> float:
    """How far two texts are apart by their words, 0 to 1: one less the F score of the words they share."""
    one, other = (Counter(_WORD.findall(str(text).casefold())) for text in (a, b))
    total = one.total() + other.total()
    return 1 - 2 * (one & other).total() / total if total else float(a != b)
