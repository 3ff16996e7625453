"""One number with its interval: means, rates, quantiles; clustered where cases share an outcome."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from afere.evals.stats.distributions import beta_quantile, binomial_cdf, normal_quantile, t_quantile

_FEW = 5  # clusters with the rarer outcome: with so many, their likeness is half known
_NO_WIDTH = 1e-9  # of what a measure can be: what rounding leaves of an interval without spread
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
    """The (weighted) mean with a t interval that is right for few clusters, also of unequal sizes.

    se^2 = sum_c (sum_{i in c} w_i (x_i - m))^2 / (1 - W_c) / (sum w)^2, W_c the share of the weight that cluster c has (CR2:
    Bell, McCaffrey 2002), and Satterthwaite's degrees of freedom for it (Imbens, Kolesar 2016; Pustejovsky, Tipton 2018).
    With C clusters of one size that is C/(C-1) and C - 1 degrees: the clustered standard error of Miller (2024), "Adding
    error bars to evals"; with one value a cluster, the ordinary one.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    found = _clustered(values, clusters, weights or [1.0] * n)
    if found.error is None:
        return Estimate(found.mean, None, None, n, found.clusters)
    half = t_quantile((1 + level) / 2, found.freedom) * found.error
    return Estimate(found.mean, found.mean - half, found.mean + half, n, found.clusters)


@dataclass(frozen=True, slots=True)
class _Clustered:
    """A mean with its standard error (None: one cluster), the clusters there are, and the degrees of freedom of the error."""

    mean: float
    error: float | None
    clusters: int
    freedom: float


def _clustered(values: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float]) -> _Clustered:
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / total
    n = len(values)
    if (
        n > 1 and len(set(weights)) == 1 and len(set(clusters)) == n
    ):  # what the sums below come to, in a tenth of the time
        return _Clustered(mean, math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n * (n - 1))), n, n - 1.0)
    sums: dict[Hashable, float] = {}
    shares: dict[Hashable, float] = {}
    squares: dict[Hashable, float] = {}
    for value, cluster, weight in zip(values, clusters, weights, strict=True):
        share = weight / total
        sums[cluster] = sums.get(cluster, 0.0) + share * (value - mean)
        shares[cluster] = shares.get(cluster, 0.0) + share
        squares[cluster] = squares.get(cluster, 0.0) + share * share
    count = sum(share > 0 for share in shares.values())
    if count < 2:
        return _Clustered(mean, None, len(sums), 0.0)
    error = math.sqrt(math.fsum(s * s / (1 - shares[c]) for c, s in sums.items()))
    return _Clustered(mean, error, len(sums), _freedom(list(shares.values()), list(squares.values())))


def _freedom(shares: Sequence[float], squares: Sequence[float]) -> float:
    """(sum lambda)^2 / sum lambda^2 of the matrix whose quadratic form the squared error is, for independent values of one
    variance. Its elements are sqrt(D_c D_d) (g_c [c = d] - P_cd), with P_cd = W_c g_d + W_d g_c - W_c W_d G and D = 1/(1 - W);
    the sums over pairs are written out, so that it takes one pass.
    """
    whole = math.fsum(squares)
    rows = [(1 / (1 - w), w, g) for w, g in zip(shares, squares, strict=True)]
    diagonal = [(d, g, 2 * w * g - w * w * whole) for d, w, g in rows]
    trace = math.fsum(d * (g - p) for d, g, p in diagonal)
    a, b, ab = (math.fsum(d * x for d, x in pairs) for pairs in (
        [(d, w * w) for d, w, _ in rows], [(d, g * g) for d, _, g in rows], [(d, w * g) for d, w, g in rows],
    ))  # fmt: skip
    pairs = 2 * a * b + a * a * whole * whole + 2 * ab * ab - 4 * whole * a * ab
    square = math.fsum(d * d * (g * g - 2 * g * p) for d, g, p in diagonal) + pairs
    return trace * trace / square


def least_ends(
    values: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float], level: float = LEVEL
) -> tuple[float, float]:  # fmt: skip
    """The least ends of the mean change of a rate: those of a score interval, in which a change of that size is not rarer
    than it must be.

    A mean change of x takes cases that change, so its variance is at least |x| (q - |x|) / m whatever was seen: q is the size
    of a change (1, or less for means over repeats: sum v^2 / sum |v|), m the number of `_units`. The low end is the x furthest
    below the mean v with (v - x)^2 = z^2 |x| (q - |x|) / m, the high end likewise. Where nothing changed that is z^2 / (m + z^2),
    as Tango's (1998) interval has it.
    """
    found = _clustered(values, clusters, weights)
    c = normal_quantile((1 + level) / 2) ** 2 / _units(values, found)
    size = _size(values)
    return -_furthest(found.mean, c, size), _furthest(-found.mean, c, size)


def _furthest(mean: float, c: float, size: float) -> float:
    """The largest x with (mean + x)^2 = c x (size - x), or -mean where there is none: then nothing is added."""
    half = mean - c * size / 2
    inside = half * half - (1 + c) * mean * mean
    return max(-mean, (math.sqrt(inside) - half) / (1 + c)) if inside >= 0 else -mean


def unseen(found: Estimate, low: float, high: float, *, level: float = LEVEL) -> Estimate:
    """The interval of a mean without any spread, where values cannot be below `low` nor above `high`.

    That all clusters said the same does not say that all would: a share of them as large as the upper end of Wilson's (1927)
    interval for 0 of m, z^2/(m + z^2), may differ, as far as to either limit. An interval with some width stays as it is.
    """
    if (
        found.value is None
        or found.low is None
        or found.high is None
        or found.high - found.low > _NO_WIDTH * (high - low)
    ):
        return found
    z2 = normal_quantile((1 + level) / 2) ** 2
    share = z2 / (found.clusters + z2)
    return replace(
        found, low=found.value - share * (found.value - low), high=found.value + share * (high - found.value)
    )


def least_half(
    values: Sequence[float], clusters: Sequence[Hashable], weights: Sequence[float], level: float = LEVEL
) -> float:  # fmt: skip
    """The least half width of an interval of rates, however well the cases agree: z^2/(m + z^2), m the number of `_units`."""
    z2 = normal_quantile((1 + level) / 2) ** 2
    return z2 / (_units(values, _clustered(values, clusters, weights)) + z2)


def _units(values: Sequence[float], found: _Clustered) -> float:
    """How many independent cases these say as much as, where few differ: C^w e^(1-w) of C clusters and the effective sample
    size e = n var_independent / var_clustered, w = 0.5 + 0.2 q, q the size of a change; without clusters n.

    The few cases that differ say little of how alike the members of a cluster are. With e alone, versions at the margin pass
    too often, with C alone nothing is seen: found by simulation, whose error rates `benchmarks/evals_simulation.py` holds.
    """
    n, effective = len(values), float(found.clusters)
    if found.error and n > found.clusters:
        alone = math.fsum((x - found.mean) ** 2 for x in values) / (n * (n - 1))
        effective = min(float(n), max(effective, n * alone / found.error**2))
    trust = 0.5 + 0.2 * _size(values)
    return found.clusters**trust * effective ** (1 - trust)


def _size(values: Sequence[float]) -> float:
    """How large a change is where there is one: 1 of a rate, less for means over repeats."""
    sizes = math.fsum(map(abs, values))
    return math.fsum(x * x for x in values) / sizes if sizes else 1.0


def wilson(successes: float, n: float, *, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a rate (Wilson 1927). `n` may be an effective sample size."""
    return _wilson(successes / n, n, normal_quantile((1 + level) / 2))


def _wilson(rate: float, n: float, z: float) -> tuple[float, float]:
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the edges an end is the edge itself, not what rounding leaves beside it.
    return 0.0 if rate <= 0 else max(0.0, centre - half), 1.0 if rate >= 1 else min(1.0, centre + half)


def clustered_rate(
    values: Sequence[float], clusters: Sequence[Hashable], *, weights: Sequence[float] | None = None, level: float = LEVEL
) -> Estimate:  # fmt: skip
    """The rate of values that are 0 or 1: Wilson's interval with the effective sample size n var_iid / var_cluster.

    The effective size is at most n; where all values are alike, clusters say nothing of their own spread and it is
    their number. With few clusters it is cut by (t_{n-1} / t_d)^2 (Korn, Graubard 1998), d the degrees of freedom
    of `clustered_mean`, since their variance is itself an estimate. Where the rarer outcome stands in only k of C clusters, it
    says little of how alike their members are: the end towards one half has the size e^(1-w) C^w with w = 5/(5 + k), found
    by simulation (with e alone a threshold just at the true rate passes in up to 22 of 100 with 20 clusters).
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    found = _clustered(values, clusters, weights or [1.0] * n)
    rate, error, count = found.mean, found.error, found.clusters
    if error is None:
        return Estimate(rate, None, None, n, count)
    effective = float(count)
    if error:
        effective = min(float(n), n * (rate * (1 - rate) / (n - 1)) / error**2)
    z = normal_quantile((1 + level) / 2)
    inner = effective
    if count < n:
        rarer = float(rate < 0.5)
        trust = _FEW / (_FEW + len({c for x, c in zip(values, clusters, strict=True) if x == rarer}))
        inner = min(effective, count**trust * effective ** (1 - trust)) if effective > count else effective
        p = (1 + level) / 2
        cut = (t_quantile(p, n - 1) / t_quantile(p, found.freedom)) ** 2
        inner, effective = max(1.0, inner * cut), max(1.0, effective * cut)
    low, high = _wilson(rate, effective, z)
    less, more = _wilson(rate, inner, z)
    return Estimate(rate, *((less, high) if rate >= 0.5 else (low, more)), n, count)


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
        found = _clustered(below, clusters, [1.0] * n)
        rate, error, count = found.mean, found.error, found.clusters
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
