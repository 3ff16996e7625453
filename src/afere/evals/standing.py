"""How the cells of a bake-off stand: their numbers with intervals, what is shown against the target as it is, which of them
no other beats on all counts, and what can be recommended. Pure functions over results.

Each cell is compared with the current one, which was chosen before the data; never with the best of the same data, whose
number is too good by how it was picked (the winner's curse: Andrews, Kitagawa, McCloskey 2024, "Inference on winners").
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.evals import stats
from afere.evals.results import Results, Series, difference
from afere.evals.stats import Estimate
from afere.evals.stats.decide import FEW
from afere.evals.stats.families import ALPHA

Answer = Literal["better", "worse", "open"]
MEASURED = ("seconds", "cost")  # compared beside the scorers' measures
SHOWN = {  # what a cell's table has beside them, and the words for it
    "cost_per_1000": "USD per 1,000", "seconds.p50": "latency p50", "seconds.p95": "latency p95", "first_token_seconds.p50": "first token p50",
    "tokens_per_second": "tokens a second", "errors": "errors",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a cell with its 90% interval, over `n` cases. None is unknown, with the reason."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    lower_is_better: bool
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "value": self.value, "low": self.low, "high": self.high, "n": self.n,
            "better": "lower" if self.lower_is_better else "higher", "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Against:
    """One measure of a cell against the current one: their paired difference with its 90% interval, over `n` cases.

    `p` is two-sided and of this pair alone; `adjusted` holds for all of the bake-off together (Holm). The answer is better
    or worse where `adjusted` is at most 5%, and open where that is not shown.
    """

    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    p: float | None
    lower_is_better: bool
    adjusted: float | None = None
    answer: Answer = "open"
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "measure": self.measure, "value": self.value, "low": self.low, "high": self.high, "n": self.n, "p": self.p,
            "p_holm": self.adjusted, "answer": self.answer, "why": self.why,
        }  # fmt: skip


def asked_anew(results: Results) -> Results:
    """The runs that were measured: none of their answers came from a cache, so that they took time and money."""
    return replace(results, runs=tuple(run for run in results.runs if run.scores["seconds"][0] is not None))


def timed(results: Results, warm: Collection[str]) -> Results:
    """Those of `asked_anew` whose time counts: not the rows with which every cell warmed up (connections, caches of prompts)."""
    anew = asked_anew(results)
    return replace(anew, runs=tuple(run for run in anew.runs if run.row not in warm))


@dataclass(frozen=True, slots=True)
class Drift:
    """How much longer the current one took for the same cases when it was asked again at the end, in seconds, with its 90%
    interval. Cells run one after the other: a difference in time counts only beyond this.
    """

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Json]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def drift(first: Results, again: Mapping[str, float]) -> Drift | None:
    """From the seconds of some rows when they were asked again. None where they are too few."""
    before = {case[0]: value for case, (value, _, _) in asked_anew(first).series("seconds").by_case.items()}
    changes = [again[row] - before[row] for row in again if row in before]
    e = stats.clustered_mean(changes, list(range(len(changes))))
    if e.value is None or e.low is None or e.high is None or e.clusters < FEW:
        return None
    return Drift(e.value, e.low, e.high, e.n)


def quality_names(all_results: Sequence[Results]) -> list[str]:
    """The measures of scorers and judges that are numbers somewhere."""
    names = dict.fromkeys(name for results in all_results for name in results.names if name not in BUILTIN)
    return [
        name
        for name in names
        if any((found := results.series(name)).values and not found.words for results in all_results)
    ]


def numbers(results: Results, quality: Sequence[str], warm: Collection[str] = ()) -> list[Number]:
    """The table of one cell: the scorers' measures, then time, speed, money and errors. `warm` rows give no times."""
    found = [_number(name, results.series(name), "mean", results.lower_is_better(name)) for name in quality]
    anew, in_time = asked_anew(results), timed(results, warm)
    cached = "answered from the cache" if len(anew.runs) < len(results.runs) and not anew.runs else ""
    cost = anew.series("cost").estimate()
    found.append(_scaled("cost_per_1000", cost, 1000.0, cached or anew.series("cost").why or "the price is not known"))
    for name, series, statistic in (
        ("seconds.p50", "seconds", "p50"), ("seconds.p95", "seconds", "p95"),
        ("first_token_seconds.p50", "first_token_seconds", "p50"),
    ):  # fmt: skip
        one = _number(name, in_time.series(series), statistic, True)
        found.append(replace(one, why=cached or one.why) if one.value is None else one)
    found.append(_speed(in_time))
    found.append(_number("errors", results.series("errors"), "mean", True))
    return found


def _number(name: str, series: Series, statistic: str, lower: bool) -> Number:
    e = series.estimate(statistic)
    return Number(
        name, e.value, e.low, e.high, e.n, lower, "" if e.value is not None else series.why or "no run has it"
    )


def _scaled(name: str, e: Estimate, factor: float, why: str) -> Number:
    ends = [None if end is None else end * factor for end in (e.value, e.low, e.high)]
    return Number(name, ends[0], ends[1], ends[2], e.n, True, why if e.value is None else "")


def _speed(in_time: Results) -> Number:
    """Tokens of answers for each second of a run: all tokens over all seconds, with the interval of that ratio.

    A ratio of sums is the mean of tokens/seconds weighted by seconds, whose clustered error is the ratio estimator's
    (Cochran 1977, "Sampling techniques", 6.4).
    """
    kept: list[tuple[float, float, str, tuple[str, str]]] = []
    for run in in_time.runs:
        seconds, tokens = run.scores["seconds"][0], run.scores["output_tokens"][0]
        if isinstance(seconds, int | float) and isinstance(tokens, int | float) and seconds > 0:
            kept.append((tokens / seconds, float(seconds), run.cluster, (run.row, run.digest)))
    e = stats.clustered_mean([one[0] for one in kept], [one[2] for one in kept], weights=[one[1] for one in kept])
    cases = len({one[3] for one in kept})
    return Number("tokens_per_second", e.value, e.low, e.high, cases, False, "" if kept else "no model said its tokens")


@dataclass(frozen=True)
class Clock:
    """What is known of how times were taken: the rows that only warmed up, and how the current one's time drifted."""

    warm: Collection[str] = ()
    drift: Drift | None = None


def against(cells: Sequence[Results], quality: Sequence[str], clock: Clock) -> list[list[Against]]:
    """Every cell but the first, which is current, against it: one list a cell. All of them are one family."""
    current, *others = cells
    found = [[_pair(current, one, name, clock) for name in (*quality, *MEASURED)] for one in others]
    places = [(i, j) for i, row in enumerate(found) for j, one in enumerate(row) if one.p is not None]
    adjusted = stats.holm([found[i][j].p or 0.0 for i, j in places])
    for (i, j), p in zip(places, adjusted, strict=True):
        found[i][j] = _answered(replace(found[i][j], adjusted=p), clock)
    return found


def preferences(sides: Sequence[tuple[Results, Results]], name: str) -> list[Against]:
    """The second of each pair against the first, in one measure; these pairs are one family."""
    found = [_pair(first, second, name, Clock()) for first, second in sides]
    tested = [i for i, one in enumerate(found) if one.p is not None]
    for i, p in zip(tested, stats.holm([found[i].p or 0.0 for i in tested]), strict=True):
        found[i] = _answered(replace(found[i], adjusted=p), Clock())
    return found


def _answered(one: Against, clock: Clock) -> Against:
    """Shown where all tests together allow it, and the interval of the mean says the same; a time, where it is more than drift."""
    if one.adjusted is None or one.adjusted > ALPHA or one.low is None or one.high is None:
        return one
    low, high = 0.0, 0.0
    if one.measure == "seconds":
        if clock.drift is None:
            return replace(
                one, why="the current one was not timed again at the end, so that a drift of times is not known"
            )
        reach = max(abs(clock.drift.low), abs(clock.drift.high))  # it may go the other way for another cell
        low, high = -reach, reach
    if one.low <= high and one.high >= low:
        within = one.low > 0 or one.high < 0
        return replace(one, why="within what times drifted while it ran" if within else "")
    return replace(one, answer="worse" if (one.low > high) == one.lower_is_better else "better")


def _sides(current: Results, other: Results, name: str, warm: Collection[str] = ()) -> tuple[Series, Series]:
    sides = (current, other)
    if name == "seconds":
        sides = (timed(current, warm), timed(other, warm))
    elif name == "cost":
        sides = (asked_anew(current), asked_anew(other))
    return sides[0].series(name), sides[1].series(name)


def _pair(current: Results, other: Results, name: str, clock: Clock) -> Against:
    lower = current.lower_is_better(name)
    before, after = _sides(current, other, name, clock.warm)
    common = set(before.by_case) & set(after.by_case)
    if not common or before.words or after.words:
        why = "it is text" if before.words or after.words else before.why or after.why or "no case has it on both sides"
        return Against(name, None, None, None, 0, None, lower, why=why)
    d = difference(after, before, current.ref, lower_is_better=lower)
    e = d.estimate
    if e.clusters < FEW:
        why = f"{e.clusters} independent cases are too few to tell"
        return Against(name, e.value, e.low, e.high, len(common), None, lower, why=why)
    p = d.p if d.p is not None else _p_of_interval(before, after)
    return Against(name, e.value, e.low, e.high, len(common), p, lower)


def _p_of_interval(before: Series, after: Series) -> float:
    """Where cases are not independent: the level at which the clustered interval of the difference begins to hold 0."""
    low, high = math.log(1e-9), 0.0
    for _ in range(30):
        middle = (low + high) / 2
        e = difference(after, before, "", level=1 - math.exp(middle)).estimate
        apart = e.low is not None and e.high is not None and not e.low <= 0 <= e.high
        low, high = (low, middle) if apart else (middle, high)
    return math.exp(high)


def not_worse(cells: Sequence[Results], name: str, margin: float) -> list[bool]:
    """Of every cell but the first: whether its measure is proven not worse than the first's by the margin.

    One-sided bounds that hold for all of them together (Holm over the cells, 5%).
    """
    current, *others = cells

    def proven(other: Results, level: float) -> bool:
        before, after = _sides(current, other, name)
        if len(set(before.by_case) & set(after.by_case)) == 0:
            return False
        e = difference(after, before, current.ref, level=1 - 2 * level).estimate
        if e.low is None or e.high is None or e.clusters < FEW:
            return False
        return e.high < margin if current.lower_is_better(name) else e.low > -margin

    held = stats.holm_bounds([lambda level, one=one: proven(one, level) for one in others])
    return [stands for stands, _ in held]


def front(cells: Sequence[Mapping[str, Number]], quality: str) -> tuple[list[str], list[bool | None]]:
    """Which cells no other beats on all counts, by their point estimates; None: a number is unknown, so it has no place.

    The counts are quality, cost and latency, of those that are known for any cell; they are returned too.
    """
    axes = [
        axis
        for axis in (quality, "cost_per_1000", "seconds.p50")
        if any(_known(one, axis) is not None for one in cells)
    ]
    points: list[list[float] | None] = []
    for one in cells:
        values = [_known(one, axis) for axis in axes]
        points.append([v for v in values if v is not None] if None not in values else None)
    return axes, [
        None if point is None else not any(_beats(other, point) for other in points if other) for point in points
    ]


def _known(one: Mapping[str, Number], axis: str) -> float | None:
    """The number, turned so that less is better."""
    found = one.get(axis)
    if found is None or found.value is None:
        return None
    return found.value if found.lower_is_better else -found.value


def _beats(other: Sequence[float], point: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(other, point, strict=True)) and any(
        a < b for a, b in zip(other, point, strict=True)
    )
