"""One number with its interval: means, rates, quantiles; clustered where cases share an outcome."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from afere.evals.stats.distributions import beta_quantile, binomial_cdf, normal_quantile, t_quantile

LEVEL = 0.90  # two-sided; the ends are one-sided 95% bounds


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval. `n` values in `clusters` independent groups; ends are None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int


def clustered_mean(
    values: Sequence[float], clusters: Sequence[Hashable], *, weights: Sequence[float] | None = None, level: float = LEVEL
) -> Estimate:  # fmt: skip
    """The (weighted) mean, with t on C - 1 degrees for C clusters.

    se^2 = C/(C-1) sum_c (sum_{i in c} w_i (x_i - m))^2 / (sum w)^2: with equal weights the clustered standard error of
    Miller (2024), "Adding error bars to evals"; with one value a cluster, the ordinary one.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    mean, error, count = _mean_error(values, clusters, weights or [1.0] * n)
    if error is None:
        return Estimate(mean, None, None, n, count)
    half = t_quantile((1 + level) / 2, count - 1) * error
    return Estimate(mean, mean - half, mean + half, n, count)


def _mean_error(
    values: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float]
) -> tuple[float, float | None, int]:
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / total
    sums: dict[Hashable, float] = {}
    for value, cluster, weight in zip(values, clusters, weights, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + weight * (value - mean)
    count = len(sums)
    if count < 2:
        return mean, None, count
    return mean, math.sqrt(count / (count - 1) * math.fsum(s * s for s in sums.values())) / total, count


def wilson(successes: float, n: float, *, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927). `n` may be an effective sample size."""
    return _wilson(successes / n, n, normal_quantile((1 + level) / 2))


def _wilson(rate: float, n: float, z: float) -> tuple[float, float]:
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def clustered_rate(
    values: Sequence[float], clusters: Sequence[Hashable], *, weights: Sequence[float] | None = None, level: float = LEVEL
) -> Estimate:  # fmt: skip
    """The rate of values that are 0 or 1: Wilson's interval with the effective sample size n var_iid / var_cluster.

    The effective size is at most n; where all values are alike, clusters say nothing of their own spread and it is
    their number. With few clusters it is cut by (t_{n-1} / t_{C-1})^2 (Korn, Graubard 1998), since their variance is
    itself an estimate.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    rate, error, count = _mean_error(values, clusters, weights or [1.0] * n)
    if count < 2:
        return Estimate(rate, None, None, n, count)
    effective = float(count)
    if error:
        effective = min(float(n), n * (rate * (1 - rate) / (n - 1)) / error**2)
    z = normal_quantile((1 + level) / 2)
    if count < n:
        p = (1 + level) / 2
        effective = max(1.0, effective * (t_quantile(p, n - 1) / t_quantile(p, count - 1)) ** 2)
    low, high = _wilson(rate, effective, z)
    return Estimate(rate, low, high, n, count)


def exact_rate(successes: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a rate (Clopper, Pearson 1934): never covers less than `level`, usually more."""
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes == n else beta_quantile(1 - tail, successes + 1, n - successes)
    return low, high


def quantile(
    values: Sequence[float], p: float, *, clusters: Sequence[Hashable] | None = None, level: float = LEVEL
) -> Estimate:
    """The p-quantile with its distribution-free interval between two order statistics.

    P(X_(r) <= q_p) = P(Bin(n, p) >= r) (David, Nagaraja 2003, "Order Statistics", 7.1); with clusters, the ranks are
    those of the effective sample size of "is at or below the quantile" (after Woodruff 1952). An end is None where not
    even the smallest or largest value bounds it: a p95 needs 59 independent values for an upper bound at 95%.
    The value is the smallest x with at least p n of the values at or below it.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    ordered = sorted(values)
    value = ordered[max(0, math.ceil(p * n - 1e-9) - 1)]
    effective, count = n, n
    if clusters is not None:
        below = [float(x <= value) for x in values]
        rate, error, count = _mean_error(below, clusters, [1.0] * n)
        effective = count
        if error and n > 1:
            effective = max(1, min(n, int(n * (rate * (1 - rate) / (n - 1)) / error**2)))
    tail = (1 - level) / 2
    first = _first_rank(effective, p, tail) - 1  # the last rank still below the tail
    last = _first_rank(effective, p, 1 - tail)
    scale = n / effective
    low = ordered[int(first * scale) - 1] if first >= 1 else None
    high = ordered[min(n, math.ceil(last * scale)) - 1] if last <= effective else None
    return Estimate(value, low, high, n, count)


def _first_rank(n: int, p: float, level: float) -> int:
    """The smallest r with P(Bin(n, p) <= r - 1) at least (above the lower tail: more than) `level`; n + 1 if none."""
    low, high = 1, n + 1
    while low < high:
        middle = (low + high) // 2
        below = binomial_cdf(middle - 1, n, p) if middle <= n - 1 else 1 - p**n if middle == n else 1.0
        enough = below >= level if level > 0.5 else below > level
        low, high = (low, middle) if enough else (middle + 1, high)
    return low
