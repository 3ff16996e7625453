"""The same case asked several times: chances of passing, and where the spread comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def pass_at_k(n: int, correct: int, k: int) -> float | None:
    """The chance that at least one of k tries passes, unbiased from n tries (Chen et al. 2021): 1 - C(n-c,k)/C(n,k).

    As a product, so that large n does not overflow; None when k > n.
    """
    if k > n or k < 1:
        return None
    if n - correct < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - correct + 1, n + 1))


def pass_hat_k(n: int, correct: int, k: int) -> float | None:
    """The chance that all of k tries pass, unbiased from n tries (Yao et al. 2024, tau-bench): C(c,k)/C(n,k)."""
    if k > n or k < 1:
        return None
    return math.prod((correct - i) / (n - i) for i in range(k)) if correct >= k else 0.0


@dataclass(frozen=True, slots=True)
class Variance:
    """Variance of one value, split: between cases, and between repeats of one case (sampling)."""

    case: float
    sampling: float


def variance_split(cases: Sequence[Sequence[float]]) -> Variance | None:
    """One-way random-effects table (Searle, Casella, McCulloch 1992, 3.6, unbalanced): between cases and within.

    `cases` holds the repeats of each case. None without two cases and one repeated case. The case part is cut at 0.
    """
    groups = [group for group in cases if group]
    n, total = len(groups), sum(len(group) for group in groups)
    if n < 2 or total == n:
        return None
    means = [math.fsum(group) / len(group) for group in groups]
    grand = math.fsum(math.fsum(group) for group in groups) / total
    within = math.fsum((x - m) ** 2 for group, m in zip(groups, means, strict=True) for x in group) / (total - n)
    between = math.fsum(len(g) * (m - grand) ** 2 for g, m in zip(groups, means, strict=True)) / (n - 1)
    size = (total - sum(len(g) ** 2 for g in groups) / total) / (n - 1)
    return Variance(max(0.0, (between - within) / size), within)
