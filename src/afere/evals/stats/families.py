"""Several findings at once: which of them to believe. A family is what is looked at together; whoever shows it names it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

ALPHA = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def holm_bounds(proven: Sequence[Callable[[float], bool]], alpha: float = ALPHA) -> list[tuple[bool, float]]:
    """Holm's steps for findings that are known by their bounds: (whether it stands, the one-sided level it was held to).

    `proven(level)` says whether a finding's one-sided bound at 1 - level proves it. All that are left share alpha; what
    is proven at that share stands, leaves, and what remains shares alpha anew, until nothing more is proven.
    """
    stands: dict[int, float] = {}
    left = list(range(len(proven)))
    while left:
        share = alpha / len(left)
        found = [i for i in left if proven[i](share)]
        if not found:
            break
        stands |= dict.fromkeys(found, share)
        left = [i for i in left if i not in stands]
    return [(i in stands, stands.get(i, alpha / max(1, len(left)))) for i in range(len(proven))]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the expected share of false findings among all findings (Benjamini, Hochberg 1995).

    For a screen of independent or positively dependent measures. A gate where any failure blocks uses `holm`.
    """
    return _stepped_up(p_values, 1.0)


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """The same under any dependence (Benjamini, Yekutieli 2001): larger by 1 + 1/2 + ... + 1/m."""
    return _stepped_up(p_values, math.fsum(1 / i for i in range(1, len(p_values) + 1)))


def _stepped_up(p_values: Sequence[float], factor: float) -> list[float]:
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i], reverse=True)
    adjusted = [1.0] * m
    smallest = 1.0
    for step, i in enumerate(order):
        smallest = min(smallest, factor * m / (m - step) * p_values[i])
        adjusted[i] = smallest
    return adjusted


def e_bh(e_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which e-values are findings at false discovery rate alpha, under any dependence (Wang, Ramdas 2022).

    The k largest stand for the largest k whose k-th e-value is at least m / (alpha k).
    """
    m = len(e_values)
    ordered = sorted(e_values, reverse=True)
    k = max((i for i in range(1, m + 1) if ordered[i - 1] >= m / (alpha * i)), default=0)
    edge = ordered[k - 1] if k else math.inf
    return [e >= edge for e in e_values]
