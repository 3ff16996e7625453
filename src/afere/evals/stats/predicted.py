"""Few human labels and many verdicts of a judge, together: what people would have said of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from afere.base.errors import BadInput
from afere.evals.stats.distributions import normal_quantile, t_quantile
from afere.evals.stats.interval import LEVEL, Estimate

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
    human: Sequence[float], judge: Sequence[float], judge_only: Sequence[float], *, level: float = LEVEL
) -> Predicted:
    """The mean that people would give: PPI++ (Angelopoulos, Duchi, Zrnic 2023), for means and paired differences.

    `human` and `judge` are of the same m labelled cases, a random sample; `judge_only` of the N others. weight =
    cov(y, f) / ((1 + m/N) var f) cut to 0..1, value = weight mean_N(f) + mean_m(y - weight f). Variances have m - 1 and
    the interval t on m - 1 degrees: normal quantiles cover too little for small m. BadInput with fewer than 2 labels.
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
    error = math.sqrt(_variance(rest) / m + (weight**2 * _variance(judge_only) / n if weight else 0.0))
    half = t_quantile((1 + level) / 2, m - 1) * error
    alone = t_quantile((1 + level) / 2, m - 1) * math.sqrt(_variance(human) / m)
    by_hand = Estimate(_mean(human), _mean(human) - alone, _mean(human) + alone, m, m)
    return Predicted(Estimate(value, value - half, value + half, m + n, m), weight, m, n, by_hand)


def rogan_gladen(
    positive: int, n: int, hits: int, true: int, rejections: int, false: int, *, level: float = LEVEL
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
