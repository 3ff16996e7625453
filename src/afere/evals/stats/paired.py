"""Two versions on the same cases: the paired difference and its tests."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from afere.evals.stats.distributions import binomial_cdf, normal_cdf, normal_quantile
from afere.evals.stats.interval import LEVEL, Estimate, clustered_mean, least_ends


def difference(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    weights: Sequence[float] | None = None,
    level: float = LEVEL,
    rate: bool = False,
) -> Estimate:
    """The mean of after - before over paired cases, with its clustered t interval (Miller 2024).

    A `rate` gets two corrections, since few pairs that differ make a t interval too narrow on one side: the end in the
    direction of the skew moves out by Johnson's (1978) term, and the ends are at least `least_ends`, since a change that few
    pairs show may be larger than its own spread says (Tango 1998). Without them, 20 agreeing pairs would prove anything.
    """
    changes = [b - a for a, b in zip(before, after, strict=True)]
    plain = clustered_mean(changes, clusters, weights=weights, level=level)
    if not rate or plain.value is None or plain.low is None or plain.high is None:
        return plain
    z2 = normal_quantile((1 + level) / 2) ** 2
    weights = weights or [1.0] * len(changes)
    low, high = least_ends(changes, clusters, weights, level)
    shift = _skew_shift(changes, clusters, weights, plain.value, z2)
    return Estimate(
        plain.value,
        max(-1.0, min(plain.low + min(0.0, shift), low)),
        min(1.0, max(plain.high + max(0.0, shift), high)),
        plain.n,
        plain.clusters,
    )


def _skew_shift(
    changes: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float], mean: float, z2: float
) -> float:
    """mu3 / (6 s^2) (1 + 2 z^2) / n, over the sums of clusters."""
    sums: dict[Hashable, float] = {}
    for change, cluster, weight in zip(changes, clusters, weights, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + weight * (change - mean)
    second = math.fsum(s**2 for s in sums.values())
    if second == 0:
        return 0.0
    return math.fsum(s**3 for s in sums.values()) / second * (1 + 2 * z2) / (6 * math.fsum(weights))


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two-sided p-values of a paired comparison of rates."""

    exact: float
    mid: float


def mcnemar(wins: int, losses: int) -> McNemar:
    """Are wins and losses equally likely? Exact binomial (McNemar 1947) and mid-p (Fagerland, Lydersen, Laake 2013).

    No pair that differs gives p = 1.
    """
    n, k = wins + losses, min(wins, losses)
    if n == 0:
        return McNemar(1.0, 1.0)
    below = 2 * binomial_cdf(k, n)
    at = math.comb(n, k) / 2**n
    return McNemar(min(1.0, below), below - at if wins != losses else 1 - at / 2)


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided exact p that positive and negative differences are equally likely; zeros are dropped (Arbuthnot 1710)."""
    return mcnemar(sum(d > 0 for d in differences), sum(d < 0 for d in differences)).exact


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945), zeros dropped.

    Exact up to 50 differences without ties (all 2^n signs counted by dynamic programming); else the normal
    approximation with the correction for ties and for continuity (Hollander, Wolfe 1999, 3.1).
    """
    kept = sorted((d for d in differences if d != 0), key=abs)
    n = len(kept)
    if n == 0:
        return 1.0
    ranks, ties = _ranks([abs(d) for d in kept])
    plus = math.fsum(rank for rank, d in zip(ranks, kept, strict=True) if d > 0)
    if not ties and n <= 50:
        counts = [1]
        for rank in range(1, n + 1):
            longer = [0] * (len(counts) + rank)
            for total, count in enumerate(counts):
                longer[total] += count
                longer[total + rank] += count
            counts = longer
        smaller = int(min(plus, n * (n + 1) / 2 - plus))
        return min(1.0, 2 * sum(counts[: smaller + 1]) / 2**n)
    variance = n * (n + 1) * (2 * n + 1) / 24 - sum(t**3 - t for t in ties) / 48
    distance = abs(plus - n * (n + 1) / 4)
    return min(1.0, 2 * normal_cdf(-max(0.0, distance - 0.5) / math.sqrt(variance)))


def _ranks(ordered: Sequence[float]) -> tuple[list[float], list[int]]:
    """Ranks from 1 with ties averaged, and the sizes of the ties."""
    ranks: list[float] = []
    ties: list[int] = []
    start = 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or ordered[end] != ordered[start]:
            ranks += [(start + 1 + end) / 2] * (end - start)
            if end - start > 1:
                ties.append(end - start)
            start = end
    return ranks, ties
