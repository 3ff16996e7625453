"""Before spending: how many cases. After measuring much: how many of the findings to believe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from afere.evals.stats.distributions import normal_cdf, normal_quantile


def cases_needed(spread: float, effect: float, *, alpha: float = 0.05, power: float = 0.8, design: float = 1.0) -> int:
    """Cases to see a paired `effect` with that power at one-sided `alpha`: ((z_{1-a} + z_power) sd / effect)^2.

    `spread` is the standard deviation of the per-case differences of the last paired run (never of one version);
    `design` is 1 + (m - 1) rho for clusters of m. The t-based number is 1 to 2 larger (Miller 2024, section 5).
    """
    z = normal_quantile(1 - alpha) + normal_quantile(power)
    return max(2, math.ceil(design * (z * spread / effect) ** 2 - 1e-9))


def power(n: int, spread: float, effect: float, *, alpha: float = 0.05, design: float = 1.0) -> float:
    """The chance to see a paired `effect` with n cases: the inverse of `cases_needed`."""
    return normal_cdf(effect / (spread * math.sqrt(design / n)) - normal_quantile(1 - alpha))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
