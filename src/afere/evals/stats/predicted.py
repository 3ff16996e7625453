"""Few human labels and many verdicts of a judge, together: what people would have said of all."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from afere.base.errors import BadInput
from afere.evals.stats.distributions import normal_quantile, t_quantile
from afere.evals.stats.interval import LEVEL, Estimate, clustered_mean, least_half

FEW_LABELS = 50  # with fewer, the interval is shown and nothing is decided by it


@dataclass(frozen=True, slots=True)
class Predicted:
    """The estimate, how far the judge was trusted (`weight`, 0 to 1), and the labels it rests on.

    `alone` is what the labels say without the judge: the gain is the narrower interval.
    """

    estimate: Estimate
    weight: float
    labels: int
    judged: int
    alone: Estimate

    @property
    def decides(self) -> bool:
        return self.labels >= FEW_LABELS


def prediction_powered(
    human: Sequence[float], judge: Sequence[float], judge_only: Sequence[float], *, level: float = LEVEL,
    clusters: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None, bounds: tuple[float, float] | None = None,
) -> Predicted:  # fmt: skip
    """The mean that people would give: PPI++ (Angelopoulos, Duchi, Zrnic 2023), for means and paired differences.

    `human` and `judge` are of the same m labelled cases, a random sample; `judge_only` of the N others. weight =
    cov(y, f) / ((1 + m/N) var f) cut to 0..1, value = weight mean_N(f) + mean_m(y - weight f). Variances have m - 1 and
    the interval t on m - 1 degrees: normal quantiles cover too little for small m. `clusters` of the labelled and of the
    other cases: what each adds is summed by cluster before it is squared (as in `clustered_mean`), and t has one degree
    less than there are labelled clusters. `bounds`, (0, 1) of a rate and (-1, 1) of a difference of rates, cut the ends and
    keep them at least `least_half` of the labels apart from the value, as in `difference`. BadInput with fewer than 2 labels.
    """
    m, n = len(human), len(judge_only)
    if m != len(judge):
        raise BadInput(
            f"There are {m} human labels and {len(judge)} verdicts of the judge on them: they must be pairs."
        )
    if m < 2:
        raise BadInput(f"There {'is 1 human label' if m else 'are no human labels'}: at least 2 are needed.")
    spread = _variance([*judge, *judge_only])
    weight = 0.0
    if n > 1 and spread > 0:
        weight = min(1.0, max(0.0, _covariance(human, judge) / ((1 + m / n) * spread)))
    rest = [y - weight * f for y, f in zip(human, judge, strict=True)]
    value = _mean(rest) + (weight * _mean(judge_only) if weight else 0.0)
    labelled, others = clusters or (range(m), range(m, m + n))
    groups = len(set(labelled))
    least = least_half(human, labelled, [1.0] * m, level)
    by_hand = _bounded(clustered_mean(human, labelled, level=level), bounds, least)
    if groups < 2:
        return Predicted(Estimate(value, None, None, m + n, groups), weight, m, n, by_hand)
    sums: dict[Hashable, float] = {}
    for one, cluster in zip(rest, labelled, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + math.sqrt(groups / (groups - 1)) * (one - _mean(rest)) / m
    if weight:
        middle, there = _mean(judge_only), len(set(others))
        scale = math.sqrt(there / (there - 1)) if there > 1 else 1.0
        for one, cluster in zip(judge_only, others, strict=True):
            sums[cluster] = sums.get(cluster, 0.0) + scale * weight * (one - middle) / n
    half = t_quantile((1 + level) / 2, groups - 1) * math.sqrt(math.fsum(one**2 for one in sums.values()))
    found = _bounded(Estimate(value, value - half, value + half, m + n, groups), bounds, least)
    return Predicted(found, weight, m, n, by_hand)


def _bounded(found: Estimate, bounds: tuple[float, float] | None, least: float) -> Estimate:
    """Of rates: within what is possible, and never without width, however well the labels agree."""
    if bounds is None or found.value is None or found.low is None or found.high is None:
        return found
    value = min(bounds[1], max(bounds[0], found.value))
    low, high = min(found.low, value - least), max(found.high, value + least)
    return replace(found, value=value, low=max(bounds[0], low), high=min(bounds[1], high))


def rogan_gladen(
    positive: float, n: int, hits: int, true: int, rejections: int, false: int, *, level: float = LEVEL
) -> Estimate:
    """The true rate behind a judge's rate, by its errors on labelled cases (Rogan, Gladen 1978), cut to 0..1.

    The judge said yes to `positive` of `n`; of `true` cases it hit `hits` (sensitivity), of `false` cases it rejected
    `rejections` (specificity). The variance is by the delta method, with that of both (Lang, Reiczigel 2014, 2). Ends
    are None where sensitivity + specificity is so near 1 that the judge tells nothing.
    """
    if min(n, true, false) < 1:
        raise BadInput("Both kinds of labelled cases and some judged ones are needed.")
    q, se, sp = positive / n, hits / true, rejections / false
    tells = se + sp - 1
    if tells < 0.1:
        return Estimate(None, None, None, n, n)
    rate = (q + sp - 1) / tells
    variance = (q * (1 - q) / n + rate**2 * se * (1 - se) / true + (1 - rate) ** 2 * sp * (1 - sp) / false) / tells**2
    half = normal_quantile((1 + level) / 2) * math.sqrt(variance)
    # Judges that never erred on the few labels, or always said the same, leave the delta method without width.
    least = normal_quantile((1 + level) / 2) ** 2
    half = max(half, least / (min(n, true, false) + least))
    return Estimate(_cut(rate), _cut(rate - half), _cut(rate + half), n, n)


def _cut(rate: float) -> float:
    return min(1.0, max(0.0, rate))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    return _covariance(values, values)


def _covariance(a: Sequence[float], b: Sequence[float]) -> float:
    x, y = _mean(a), _mean(b)
    return math.fsum((i - x) * (j - y) for i, j in zip(a, b, strict=True)) / (len(a) - 1)
