"""Two experiments, case by case: what moved, what changed between them, and the answers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.evals import Comparison, Experiment
from afere.evals import compare as compare_experiments
from afere.evals.blame import blame_of
from afere.evals.preferred import Preferred, preferred
from afere.evals.report import FAMILIES
from afere.evals.spread import ABOUT_JUDGING
from afere.server import figures, words
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.cases import Sides, cases_of, sides
from afere.server.pages.experiments import open_experiment

if TYPE_CHECKING:
    from afere.evals.comparison import Compared
    from afere.evals.results import Difference
    from afere.store import Session

_PAGE = 25  # cases of each direction


@dataclass(frozen=True, slots=True)
class Moved:
    """A measure on both sides, with the paired difference over the cases that both have."""

    name: str
    before: float | None
    after: float | None
    difference: Difference | None
    unlike: str
    better: bool | None
    figure: figures.Interval | None
    p: float | None  # among all measures of the page
    judged: bool = True  # False: it tells how a judge came to its verdict, so more of it is neither better nor worse


@dataclass(frozen=True, slots=True)
class Beside:
    """One more experiment against the same earlier one."""

    comparison: Comparison
    moved: tuple[Moved, ...]

    @property
    def number(self) -> int:
        return self.comparison.b.number


@dataclass(frozen=True, slots=True)
class Changed:
    """A part of what ran that is not the same: both versions, or one if the other has none."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ComparePage:
    comparison: Comparison
    moved: tuple[Moved, ...]
    changed: tuple[Changed, ...]
    same: int
    total: int
    worse: tuple[Sides, ...]
    better: tuple[Sides, ...]
    worse_count: int
    better_count: int
    ranked: tuple[Preferred, ...]  # by people who read two side by side, and by pairwise judges
    beside: tuple[Beside, ...]
    several: str
    blame: Artifact | None = None  # which component did it, where that was asked

    @property
    def a(self) -> Experiment:
        return self.comparison.a

    @property
    def b(self) -> Experiment:
        return self.comparison.b

    @property
    def family(self) -> str:
        return FAMILIES[self.several]

    @property
    def verdict(self) -> str:
        """What is proven and what is not."""
        sure = [
            one
            for one in self.moved
            if one.better is not None and one.name.partition(".")[0] not in ("seconds", "cost")
        ]
        parts = [
            f"{one.name} is {'better' if one.better else 'worse'}: {_ends(one.difference, one.name)}"
            for one in sure
            if one.difference
        ]
        open_ = [
            one.name
            for one in self.moved
            if one.difference
            and one.judged
            and one.better is None
            and one.name.partition(".")[0] not in ("seconds", "cost")
        ]
        text = "; ".join(parts[:3]) + "." if parts else "No measure has proven to move."
        return text + (f" Not settled: {', '.join(open_[:5])}." if open_ and parts else "")

    def to_json(self) -> Json:
        return {
            **self.comparison.to_json(), "changed": as_json(self.changed), "better": self.better_count, "worse": self.worse_count,
            "ranking": [one.to_json() for one in self.ranked], "several": self.several,
            "blame": self.blame.content if self.blame else None, "beside": [one.comparison.to_json() for one in self.beside],
            "cases": [one.case.to_json() for one in (*self.worse, *self.better)],
        }  # fmt: skip


def _ends(found: Difference, name: str) -> str:
    value, low, high = (
        words.changed(one, name) for one in (found.estimate.value, found.estimate.low, found.estimate.high)
    )
    return f"{value} ({low} to {high}, 90% interval)"


def page(session: Session, asked: Asked) -> ComparePage:
    """Experiment `a` is before, `b` after. `?with=3,4` sets more beside them; `?several=bh` takes p-values of a screen."""
    several = asked.get("several") or "holm"
    if several not in FAMILIES:
        raise BadInput(f"several={several!r}: one of {', '.join(FAMILIES)}.")
    a, b = (open_experiment(session, asked.path[side]) for side in ("a", "b"))
    others = [open_experiment(session, one) for one in dict.fromkeys(asked.get("with").split(",")) if one]
    comparison = compare_experiments(a, b)
    cases = cases_of(b, a)
    worse = sorted((case for case in cases if case.moved < 0), key=lambda case: case.change)
    better = sorted((case for case in cases if case.moved > 0), key=lambda case: -case.change)
    changed, same = _changed(session, a, b)
    beside = tuple(_beside(compare_experiments(a, one), several) for one in others)
    return ComparePage(
        comparison, tuple(_moved(one, b, several) for one in comparison.measures),
        changed, same, len(cases), sides(session, b, worse[:_PAGE], a),
        sides(session, b, better[:_PAGE], a), len(worse), len(better),
        tuple(preferred([a, b, *others])), beside, several, blame_of(a, b),
    )  # fmt: skip


def _beside(comparison: Comparison, several: str) -> Beside:
    return Beside(comparison, tuple(_moved(one, comparison.b, several) for one in comparison.measures))


def _moved(one: Compared, b: Experiment, several: str) -> Moved:
    found, name = one.difference, one.name
    better, figure, judged = None, None, not name.endswith(ABOUT_JUDGING)
    if (
        found is not None
        and found.estimate.low is not None
        and found.estimate.high is not None
        and found.estimate.value is not None
    ):
        low, high = found.estimate.low, found.estimate.high
        if judged and (low > 0 or high < 0):
            better = (low > 0) != b.results.lower_is_better(name)
        answer = "" if better is None else "pass" if better else "fail"
        figure = figures.interval(found.estimate.value, low, high, answer=answer, limit=0.0)
    p = one.adjusted if several == "holm" else one.screened
    return Moved(name, one.before, one.after, found, one.unlike, better, figure, p, judged)


def _changed(session: Session, a: Experiment, b: Experiment) -> tuple[tuple[Changed, ...], int]:
    """Which parts of the two targets differ, by name, and how many are the same."""
    before, after = _parts(session, a), _parts(session, b)
    found: list[Changed] = []
    for key in sorted({*before, *after}):
        one, other = before.get(key), after.get(key)
        if one is None or other is None or one[1] != other[1]:
            found.append(Changed(one[0] if one else None, other[0] if other else None))
    return tuple(found), len({*before} & {*after}) - sum(
        one.before is not None and one.after is not None for one in found
    )


def _parts(session: Session, experiment: Experiment) -> dict[str, tuple[str, str]]:
    """kind:name of everything the target is made of -> its ref and hash."""
    target = experiment.results.target
    if target is None or not target[1]:
        return {}
    try:
        artifact: Artifact = session.get(target[1])
        edges = session.up(artifact.ref)
    except NotFound:
        return {}
    parts = {f"{artifact.kind}:{artifact.name}": (artifact.ref, artifact.hash)}
    for edge in edges:
        parts[edge.target.partition("@")[0].partition("~")[0]] = (edge.target, edge.hash)
    return parts
