"""Two independent samples: how far apart they are, with an interval, and how surprising that is if nothing changed."""

from __future__ import annotations

import math
from collections.abc import Callable

from afere.evals.stats.interval import Estimate

_SMALLEST = 1e-6  # a p below it is given as it


def apart(before: Estimate, after: Estimate) -> Estimate:
    """`after - before` for two independent estimates, from their own intervals, whatever they estimate.

    low = d - sqrt((after - after.low)^2 + (before.high - before)^2), and high with the other ends (Zou, Donner 2008,
    "Construction of confidence limits about effect measures"); for rates with Wilson's intervals it is method 10 of
    Newcombe 1998. The level is that of the two. An end is None where one that it needs is.
    """
    n, clusters = before.n + after.n, before.clusters + after.clusters
    if before.value is None or after.value is None:
        return Estimate(None, None, None, n, clusters)
    change = after.value - before.value
    low = high = None
    if after.low is not None and before.high is not None:
        low = change - math.hypot(after.value - after.low, before.high - before.value)
    if after.high is not None and before.low is not None:
        high = change + math.hypot(after.high - after.value, before.value - before.low)
    return Estimate(change, low, high, n, clusters)


def p_apart(at_level: Callable[[float], tuple[Estimate, Estimate]]) -> float | None:
    """The two-sided p of "no difference": one minus the level of the widest interval of `apart` that leaves 0 out.

    `at_level` makes the two estimates with intervals of a level. None where no interval can be made.
    """

    def holds(level: float) -> bool | None:
        change = apart(*at_level(level))
        if change.low is None or change.high is None:
            return None
        return change.low <= 0 <= change.high

    if holds(0.5) is None:
        return None
    low, high = 0.0, 1 - _SMALLEST  # levels: 0 is left out below, taken in above
    if not holds(high):
        return _SMALLEST
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return 1 - high
