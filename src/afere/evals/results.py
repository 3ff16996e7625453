"""Results: what an evaluation found, case by case. Read from an experiment or from a baseline file, alike."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from typing import Literal, cast

import orjson

from afere.base.canonical import Json, digest_of
from afere.base.rule import BUILTIN
from afere.base.score import Value
from afere.data import Row
from afere.evals import pooled, stats
from afere.evals.stats import Estimate

Kind = Literal["rate", "mean", "share", "empty"]
Pooled = tuple[str, Mapping[str, float]]  # a formula of `pooled.POOLS`, and this run's share of its counts
_NO_SCORE: tuple[Value, str | None] = (None, None)
_TRUTHS = frozenset({0.0, 1.0})
_VERDICTS = {0.0, 0.5, 1.0}  # lost, drawn, won; each change of one is a whole step, as of a rate
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one row. `scores` holds value and reason by measure; `digest` says which content the row had."""

    row: str
    digest: str
    repeat: int = 1
    scores: Mapping[str, tuple[Value, str]] = field(default_factory=dict[str, tuple[Value, str]])
    group: str | None = None
    weight: float = 1.0
    trace: str | None = None
    error: str | None = None
    world: bool = False
    counts: Mapping[str, Pooled] = field(default_factory=dict[str, "Pooled"])  # what pooled measures are made of
    verdicts: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])  # each, of a panel

    @property
    def cluster(self) -> str:
        """What this run shares its luck with: its group, or the other repeats of its row."""
        return f"group {self.group}" if self.group is not None else f"row {self.row}"

    def to_json(self) -> dict[str, Json]:
        return {
            "row": self.row, "digest": self.digest, "repeat": self.repeat, "group": self.group, "weight": self.weight,
            "trace": self.trace, "error": self.error, "world": self.world,
            "scores": {name: {"value": value, "why": why} for name, (value, why) in self.scores.items()},
            **({"verdicts": {name: list(said) for name, said in self.verdicts.items()}} if self.verdicts else {}),
            **({"counts": {name: [pool, dict(sums)] for name, (pool, sums) in self.counts.items()}} if self.counts else {}),
        }  # fmt: skip


def result_from_json(said: Mapping[str, Json]) -> Result:
    """The result that `Result.to_json` wrote."""
    scores = cast("dict[str, dict[str, Json]]", said["scores"])
    fields = {name: value for name, value in said.items() if name not in ("scores", "counts", "verdicts")}
    counts = cast("dict[str, Pooled]", said.get("counts") or {})
    read = {name: (cast("Value", one["value"]), str(one["why"])) for name, one in scores.items()}
    verdicts = {name: tuple(one) for name, one in cast("dict[str, list[float]]", said.get("verdicts") or {}).items()}
    return Result(**cast("dict[str, object]", fields), scores=read, counts=counts, verdicts=verdicts)  # pyright: ignore[reportArgumentType] - our own file


def row_digest(row: Row) -> str:
    """Which content a row asks about: the same id with another question or answer is another case.

    The row's own `output` is left out: where outputs are given, they are what is compared.
    """
    return digest_of([row.input or row.metadata, row.expected, list(row.relevant)])[7:19]


@dataclass(frozen=True)
class Results:
    """All runs of an evaluation, with what is needed to compare them with others.

    `scorers`: the hash of the scorer behind each measure ("" for built-in ones): equal names with other hashes are not
    the same measure.
    """

    ref: str
    at: str = ""
    target: tuple[str, str] | None = None  # ref, hash
    dataset: tuple[str, str] = ("", "")
    scorers: Mapping[str, str] = field(default_factory=dict[str, str])
    lower: frozenset[str] = frozenset()  # measures for which lower is better
    judged: frozenset[str] = frozenset()  # measures that a judge gave
    within: Mapping[str, tuple[float, float]] = field(
        default_factory=dict[str, tuple[float, float]]
    )  # what each can be
    complete: bool = True
    runs: tuple[Result, ...] = ()
    unusable: int = (
        0  # runs that would have been of rows which could not be used: they have no score, as if it were unknown
    )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every measure, in the order of the scorers; a scorer that only ever answered with several has theirs instead."""
        said = dict.fromkeys(name for run in self.runs for name in run.scores)
        parents = {name.rpartition(".")[0] for name in said if "." in name}
        own = [one for one in self.scorers if one in said or one not in parents]
        return tuple(dict.fromkeys([*(name for one in own for name in (one, *self.pools.get(one, ()))), *said]))

    @cached_property
    def pools(self) -> dict[str, list[str]]:
        """The measures that are computed from all cases together, by the scorer that left the counts."""
        found: dict[str, list[str]] = {}
        for name in dict.fromkeys(name for run in self.runs for name in run.counts):
            held = [run.counts[name] for run in self.runs if name in run.counts]
            sums = pooled.total([sums for _, sums in held], [1.0] * len(held))
            made = pooled.POOLS[held[0][0]](sums) if held[0][0] in pooled.POOLS else {}
            found[name] = [f"{name}.{part}" for part in made]
        return found

    def series(self, name: str, *, value: str | None = None, rows: Collection[str] | None = None) -> Series:
        """The values of one measure; with `value`, whether it is that one. `rows` keeps only those."""
        if rows is None and value is None:
            if name not in self._series:
                self._series[name] = self._made(name, None, self._cases)
            return self._series[name]
        return self._made(
            name, value, self._cases if rows is None else Cases.of([r for r in self.runs if r.row in rows])
        )

    def _made(self, name: str, value: str | None, cases: Cases) -> Series:
        parent = next((one for one, parts in self.pools.items() if name in parts), None)
        if parent is not None:
            return Series.pooled_of(cases, parent, name)
        found = Series.of(cases, name, value)
        if name in BUILTIN:
            return replace(found, limits=(0.0, math.inf))
        limits = self.within.get(self._scorer_of(name) or "")
        if limits and all(limits[0] <= one <= limits[1] for one in found.values):  # also of a part (`tools.precision`)
            return replace(found, limits=limits)
        return found

    @cached_property
    def _series(self) -> dict[str, Series]:
        """Those that were asked for, of all runs."""
        return {}

    @cached_property
    def _cases(self) -> Cases:
        return Cases.of(self.runs)

    @property
    def once(self) -> bool:
        """Whether every case was answered once."""
        return not self._cases.repeated

    def hash_of(self, name: str) -> str | None:
        """The hash of the scorer behind a measure: its own, or of the scorer that returned a dict with it."""
        return self.scorers.get(self._scorer_of(name) or "")

    def _scorer_of(self, name: str) -> str | None:
        while name not in self.scorers and "." in name:
            name = name.rpartition(".")[0]
        return name if name in self.scorers else None

    def lower_is_better(self, name: str) -> bool:
        return name in self.lower or any(name.startswith(f"{one}.") for one in self.lower)


@dataclass(frozen=True)
class Cases:
    """Runs, with what all their measures share, as columns: the case of each, its cluster, and its weight."""

    runs: Sequence[Result]
    cases: tuple[tuple[str, str], ...]  # row and digest
    clusters: tuple[str, ...]
    weights: tuple[float, ...]  # where every run has a value: a row counts once, however many repeats there are
    repeated: bool

    @classmethod
    def of(cls, runs: Sequence[Result]) -> Cases:
        cases = tuple([(run.row, run.digest) for run in runs])
        times = Counter(cases)
        repeated = len(times) < len(cases)
        weights = (
            [run.weight / times[case] for run, case in zip(runs, cases, strict=True)]
            if repeated
            else [run.weight for run in runs]
        )
        return cls(runs, cases, tuple([run.cluster for run in runs]), tuple(weights), repeated)

    def some(self, kept: Sequence[int]) -> Cases:
        """Those at these places; all of them are the same object."""
        return self if len(kept) == len(self.runs) else Cases.of([self.runs[at] for at in kept])


@dataclass(frozen=True)
class Series:
    """Known values of one measure, each with its cluster, weight and case; and how many are unknown, and why."""

    values: tuple[float, ...]
    clusters: tuple[str, ...]
    weights: tuple[float, ...]
    cases: tuple[tuple[str, str], ...]  # row and digest of each value
    missing: int
    why: str  # the commonest reason of those that are unknown
    words: tuple[str, ...] = ()  # the values that are text, where any is
    pooled: bool = False  # of all cases together: no single case has a value that means something
    limits: tuple[float, float] = (-math.inf, math.inf)  # what the measure can be at all, where that is known

    @classmethod
    def pooled_of(cls, cases: Cases, parent: str, name: str) -> Series:
        """A measure that is made of the counts that `parent` left, as values whose mean it is (see `pooled`)."""
        runs, found = cases.runs, cls.of(cases, parent, None)
        kept = cases.some([at for at, run in enumerate(runs) if parent in run.counts and run.scores.get(parent, (None, ""))[0] is not None])  # fmt: skip
        counts = [run.counts[parent] for run in kept.runs]
        weights = kept.weights
        part = name.removeprefix(f"{parent}.")
        there = any(weights) and part in pooled.POOLS[counts[0][0]](pooled.total([sums for _, sums in counts], weights))
        if not there:  # none of these rows has that label
            return cls((), (), (), (), len(runs), f"{part} is of none of these cases")
        values = pooled.spread(counts[0][0], part, [sums for _, sums in counts], weights)
        return cls(
            tuple(values), kept.clusters, weights, kept.cases, found.missing, found.why, pooled=True,
            limits=pooled.LIMITS[counts[0][0]],
        )  # fmt: skip

    @classmethod
    def of(cls, cases: Cases, name: str, value: str | None) -> Series:
        above = name.rpartition(".")[0]
        known: list[float] = []
        kept: list[int] = []  # the place of the run of each known value
        texts: list[tuple[str, int]] = []
        reasons: Counter[str] = Counter()
        for at, run in enumerate(cases.runs):
            said, why = run.scores.get(name, _NO_SCORE)
            if why is None:
                parent = run.scores.get(above, (None, run.error or "no score"))
                if parent[0] is not None:
                    continue  # the scorer did its work, and this part of it does not apply to the case
                said, why = parent
            if said is None:
                reasons[why] += 1
            elif value is not None:
                known.append(float(_word(said) == value))
                kept.append(at)
            elif isinstance(said, str):
                texts.append((said, at))
            else:
                known.append(float(said))
                kept.append(at)
        if texts and known and value is None:  # numbers with a text among them: the text is no number, and no 0
            reasons[f"the scorer answered {texts[0][0]!r}, a text, where it gives numbers elsewhere"] += len(texts)
            texts.clear()
        known += [0.0] * len(texts)
        kept += [at for _, at in texts]
        there = cases.some(kept)
        return cls(
            tuple(known), there.clusters, there.weights, there.cases, sum(reasons.values()),
            reasons.most_common(1)[0][0] if reasons else "", tuple(sorted({said for said, _ in texts})),
        )  # fmt: skip

    @cached_property
    def n(self) -> int:
        """How many cases have a value."""
        return len(set(self.cases))

    @cached_property
    def kind(self) -> Kind:
        if not self.values:
            return "empty"
        if self.words:
            return "share"
        return "rate" if _TRUTHS.issuperset(self.values) else "mean"

    @cached_property
    def by_case(self) -> dict[tuple[str, str], tuple[float, str, float]]:
        """The mean over the repeats of each case, with its cluster and weight."""
        found: dict[tuple[str, str], tuple[float, str, float]] = {}
        for value, cluster, weight, case in zip(self.values, self.clusters, self.weights, self.cases, strict=True):
            total, _, whole = found.get(case, (0.0, "", 0.0))
            found[case] = (total + value * weight, cluster, whole + weight)
        return {
            case: (total / whole if whole else 0.0, cluster, whole)
            for case, (total, cluster, whole) in found.items()
        }  # fmt: skip

    def estimate(self, statistic: str = "mean", *, level: float = stats.LEVEL) -> Estimate:
        """The value with its 90% interval. `sum` and `count` are exact: they say what this run was, not what others will be."""
        if statistic in ("sum", "count"):
            total = sum(self.values) if statistic == "sum" else float(len(self.values))
            return Estimate(total, total, total, self.n, self.n)
        if statistic in _QUANTILES:
            found = stats.quantile(self.values, _QUANTILES[statistic], clusters=self.clusters, level=level)
        elif self.kind == "rate":
            found = stats.clustered_rate(self.values, self.clusters, weights=self._positive, level=level)
        else:
            found = stats.clustered_mean(self.values, self.clusters, weights=self._positive, level=level)
            found = stats.unseen(found, *_reach(self.values, self.limits), level=level)
        # What cannot be is no part of an interval; leaving it out costs no coverage.
        low = None if found.low is None else max(found.low, self.limits[0])
        high = None if found.high is None else min(found.high, self.limits[1])
        return replace(found, n=self.n, low=low, high=high)

    @property
    def _positive(self) -> tuple[float, ...] | None:
        """The weights, unless all are zero."""
        return self.weights if any(self.weights) else None


def _reach(values: Sequence[float], limits: tuple[float, float]) -> tuple[float, float]:
    """What a measure can be: its limits, or 0 to 1 where no value is outside, or else the values there are."""
    if math.isfinite(limits[0]) and math.isfinite(limits[1]):
        return limits
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (0.0, 1.0) if limits[0] == -math.inf and low >= 0 and high <= 1 else (low, high)


def _word(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from `against` to this, over the cases that both have: after minus before, with its 90% interval.

    wins and losses count cases, by what is better for the measure. `p` is two-sided: exact McNemar for a rate, Wilcoxon's
    signed ranks for a mean; None where cases are grouped, since they are not independent.
    """

    against: str
    estimate: Estimate
    wins: int
    losses: int
    p: float | None
    rate: bool
    changed: tuple[tuple[str, float, float], ...]  # row, before, after; largest change first

    def to_json(self) -> dict[str, Json]:
        e = self.estimate
        return {
            "against": self.against, "value": e.value, "low": e.low, "high": e.high, "n": e.n, "wins": self.wins,
            "losses": self.losses, "p": self.p,
        }  # fmt: skip


def difference(
    now: Series, before: Series, against: str, *, lower_is_better: bool = False, statistic: str = "mean",
    level: float = stats.LEVEL,
) -> Difference:  # fmt: skip
    """The paired comparison of two series, by row and content: of means, or of p50, p95 or p99."""
    a, b = before.by_case, now.by_case
    common = [case for case in b if case in a]
    pairs = [(a[case][0], b[case][0]) for case in common]
    clusters = [b[case][1] for case in common]
    whole = now.pooled or before.pooled
    rate = "mean" not in (now.kind, before.kind) and statistic not in _QUANTILES and not whole
    verdicts = not whole and _VERDICTS.issuperset((*now.values, *before.values))  # draws alone prove no equality
    if statistic in _QUANTILES:
        kept = set(common)
        sides = [_values_of(one, kept, {case: b[case][1] for case in common}) for one in (before, now)]
        found = stats.quantile_difference(sides[0], sides[1], _QUANTILES[statistic], level=level)
        found = replace(found, n=len(common))
    else:
        weights = [b[case][2] for case in common]
        found = stats.difference(
            [x for x, _ in pairs], [y for _, y in pairs], clusters, weights=weights if any(weights) else None,
            rate=rate or verdicts, level=level,
        )  # fmt: skip
        low, high = _reach([*now.values, *before.values], now.limits)
        found = found if rate else stats.unseen(found, low - high, high - low, level=level)
    if whole:  # of all cases together: no single case is better or worse
        return Difference(against, found, 0, 0, None, rate, ())
    up, down = sum(y > x for x, y in pairs), sum(y < x for x, y in pairs)
    wins, losses = (down, up) if lower_is_better else (up, down)
    changed = sorted(
        ((case[0], x, y) for case, (x, y) in zip(common, pairs, strict=True) if x != y),
        key=lambda one: (-abs(one[2] - one[1]), one[0]),
    )
    grouped = len(set(clusters)) < len(clusters)
    p = None if grouped or statistic in _QUANTILES else _p_value(pairs, rate)
    return Difference(against, found, wins, losses, p, rate, tuple(changed))


def _p_value(pairs: Sequence[tuple[float, float]], rate: bool) -> float:
    if rate:
        return stats.mcnemar(sum(y > x for x, y in pairs), sum(y < x for x, y in pairs)).exact
    return stats.wilcoxon([y - x for x, y in pairs])


def _values_of(
    series: Series, kept: Collection[tuple[str, str]], clusters: Mapping[tuple[str, str], str]
) -> tuple[list[float], list[str]]:
    """Every value of the cases that both sides have, each in the cluster that its case has now."""
    found = [(value, case) for value, case in zip(series.values, series.cases, strict=True) if case in kept]
    return [value for value, _ in found], [clusters[case] for _, case in found]


def confusions(results: Results) -> list[tuple[str, pooled.Confusion]]:
    """The confusion matrix of each classification with one label a case."""
    found: list[tuple[str, pooled.Confusion]] = []
    for name in results.pools:
        matrix = pooled.confusion([run.counts[name][1] for run in results.runs if name in run.counts])
        found += [(name, matrix)] if matrix is not None else []
    return found


def lines(runs: Iterable[Result]) -> bytes:
    """The runs as JSON lines, for a blob."""
    written = BytesIO()  # not a list of lines: orjson takes a kilobyte for each at first; and not copied at the end
    for run in runs:
        written.write(_line(run))
    return written.getvalue()


def _line(run: Result) -> bytes:
    said = run.to_json()
    try:
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # numbers beyond 64 bits, halves of surrogate pairs
        return json.dumps(said, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def from_lines(data: bytes) -> tuple[Result, ...]:
    """The runs that `lines` wrote."""
    return tuple(result_from_json(json.loads(line)) for line in data.splitlines())
