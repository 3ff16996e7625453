"""Intervals of what has no formula: medians and their differences, ratios, F1 over all cases. Whole clusters are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from afere.base.errors import MissingExtra
from afere.evals.stats.distributions import normal_cdf, normal_quantile
from afere.evals.stats.interval import LEVEL, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Cluster = TypeVar("_Cluster")
_DRAWS = 1000
_LEFT_OUT = 200  # groups of clusters that are left out in turn, at most: more would not change the acceleration
_PLAIN = 4000  # values up to which plain Python is quick enough for quantiles


def bca(
    clusters: Sequence[_Cluster], statistic: Callable[[Sequence[_Cluster]], float | None], *, level: float = LEVEL,
    draws: int = _DRAWS, seed: int = 0,
) -> Estimate:  # fmt: skip
    """The bias-corrected and accelerated bootstrap (Efron 1987) of any statistic of clusters, each a value of its own.

    `statistic` gets clusters drawn with replacement; None where it is not defined. Ends are None with under 2 clusters, or
    where more than half of the draws have no value. With a fixed seed, so that a number can be told again.
    """
    n = len(clusters)
    value = statistic(clusters) if n else None
    if value is None or n < 2:
        return Estimate(value, None, None, n, n)
    random = Random(seed)  # noqa: S311 - drawing cases, no secrets
    drawn = [statistic(random.choices(clusters, k=n)) for _ in range(draws)]
    known = sorted(one for one in drawn if one is not None)
    if len(known) <= draws / 2:
        return Estimate(value, None, None, n, n)
    left_out = [statistic(rest) for rest in _without_one(clusters)]
    low, high = _bca_ends(value, known, [one for one in left_out if one is not None], level)
    return Estimate(value, low, high, n, n)


def _without_one(clusters: Sequence[_Cluster]) -> list[list[_Cluster]]:
    """The clusters without each in turn; with many, without each of 200 groups of them."""
    groups = min(len(clusters), _LEFT_OUT)
    return [[one for i, one in enumerate(clusters) if i % groups != out] for out in range(groups)]


def _bca_ends(
    value: float, drawn: Sequence[float], left_out: Sequence[float], level: float
) -> tuple[float, float]:  # fmt: skip
    """Percentiles of the sorted draws, moved by the median bias z0 and the acceleration a (Efron 1987, 2.3 and 6.6)."""
    if drawn[0] == drawn[-1]:
        return drawn[0], drawn[0]
    below = (sum(one < value for one in drawn) + sum(one == value for one in drawn) / 2) / len(drawn)
    shift = normal_quantile(min(1 - 1e-6, max(1e-6, below)))
    middle = math.fsum(left_out) / len(left_out)
    second = math.fsum((middle - one) ** 2 for one in left_out)
    third = math.fsum((middle - one) ** 3 for one in left_out)
    acceleration = third / (6 * second**1.5) if second > 0 else 0.0

    def end(p: float) -> float:
        z = shift + normal_quantile(p)
        return _at(drawn, normal_cdf(shift + z / (1 - acceleration * z)))

    return end((1 - level) / 2), end((1 + level) / 2)


def _at(ordered: Sequence[float], p: float) -> float:
    place = min(len(ordered) - 1.0, max(0.0, p * len(ordered) - 0.5))
    low = math.floor(place)
    high = min(len(ordered) - 1, low + 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


Side = tuple[Sequence[float], Sequence[Hashable]]  # values, and the cluster of each


def quantile_difference(
    before: Side, after: Side, p: float, *, level: float = LEVEL, draws: int = _DRAWS, seed: int = 0
) -> Estimate:
    """The p-quantile of `after` minus that of `before`, with a bootstrap over the clusters that both have.

    Both sides of a cluster are drawn together, which is what makes it a paired comparison. Ends are percentiles of the
    draws (Efron 1979), since the acceleration of a quantile is no smooth thing. They are None where a draw hardly ever
    holds anything beyond the quantile: fewer than 5 clusters are expected on its thin side. Beyond 4,000 values it needs
    the extra `stats`.
    """
    common = set(before[1]) & set(after[1])
    x: dict[Hashable, list[float]] = {}
    y: dict[Hashable, list[float]] = {}
    for kept, side in ((x, before), (y, after)):
        for value, cluster in zip(*side, strict=True):
            if cluster in common:
                kept.setdefault(cluster, []).append(value)
    members = [(x[one], y[one]) for one in x]
    n, count = sum(len(b) for _, b in members), len(members)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    value = _between(members, p)
    if count * min(p, 1 - p) < 5:
        return Estimate(value, None, None, n, count)
    if n <= _PLAIN:
        random = Random(seed)  # noqa: S311 - drawing cases, no secrets
        drawn = sorted(_between(random.choices(members, k=count), p) for _ in range(draws))
    else:
        drawn = _drawn_fast(members, p, draws, seed)
    tail = (1 - level) / 2
    return Estimate(value, _at(drawn, tail), _at(drawn, 1 - tail), n, count)


_Pairs = Sequence[tuple[Sequence[float], Sequence[float]]]


def _between(members: _Pairs, p: float) -> float:
    return _quantile([v for _, b in members for v in b], p) - _quantile([v for a, _ in members for v in a], p)


def _quantile(values: list[float], p: float) -> float:
    """The smallest x with at least p n of the values at or below it, as `stats.quantile` has it."""
    values.sort()
    return values[max(0, math.ceil(p * len(values) - 1e-9) - 1)]


def _drawn_fast(members: _Pairs, p: float, draws: int, seed: int) -> list[float]:
    """The same with numpy: how often each cluster was drawn weighs its values, sorted once."""
    try:
        import numpy as np
    except ImportError:
        raise MissingExtra("stats", "the interval of a quantile's difference over so many values") from None
    random = np.random.default_rng(seed)
    sides = [_sorted_side(np, [pair[side] for pair in members]) for side in (0, 1)]
    found: list[float] = []
    for _ in range(draws):
        times = np.bincount(random.integers(0, len(members), len(members)), minlength=len(members))
        x, y = (_weighted(np, ordered, times[owner], p) for ordered, owner in sides)
        found.append(y - x)
    return sorted(found)


def _sorted_side(np: Any, groups: Sequence[Sequence[float]]) -> tuple[NDArray[Any], NDArray[Any]]:
    values = np.asarray([v for group in groups for v in group], dtype=float)
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    order = np.argsort(values, kind="stable")
    return values[order], owner[order]


def _weighted(np: Any, ordered: NDArray[Any], weights: NDArray[Any], p: float) -> float:
    reached = np.cumsum(weights)
    place = np.searchsorted(reached, max(1, math.ceil(p * int(reached[-1]) - 1e-9)))
    return float(ordered[place])
