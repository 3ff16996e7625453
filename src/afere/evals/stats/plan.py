"""Before spending: how many cases or repeats it takes, and the smallest drop that would be seen."""

from __future__ import annotations

import math

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


def smallest_drop(n: int, spread: float, *, alpha: float = 0.05, power: float = 0.8, design: float = 1.0) -> float:
    """The smallest paired effect that n cases show with that power: the other inverse of `cases_needed`."""
    return (normal_quantile(1 - alpha) + normal_quantile(power)) * spread * math.sqrt(design / n)


def spread_with_repeats(between: float, within_a: float, within_b: float, repeats: int) -> float:
    """The standard deviation of a per-case difference of means over r repeats (Miller 2024, section 3.2).

    sd^2 = between + (within_a + within_b) / r, of the variance of the true differences between cases and that of the
    repeats of one case in either version.
    """
    return math.sqrt(between + (within_a + within_b) / repeats)


def repeats_needed(
    n: int, effect: float, between: float, within_a: float, within_b: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:  # fmt: skip
    """Repeats with which n cases show the effect; None where no number of them would do, so that it takes more cases."""
    largest = (effect / (normal_quantile(1 - alpha) + normal_quantile(power))) ** 2 * n
    room = largest - between
    return max(1, math.ceil((within_a + within_b) / room - 1e-9)) if room > 0 else None
