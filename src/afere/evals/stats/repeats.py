"""The same case asked several times: chances of passing, and where the spread comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def flaky(tries: Mapping[str, Sequence[float]]) -> list[tuple[str, int, int]]:
    """(case, passed, tries) of the cases that neither always pass nor always fail, the least decided first."""
    found = [(case, sum(x == 1 for x in xs), len(xs)) for case, xs in tries.items() if 0 < math.fsum(xs) < len(xs)]
    return sorted(found, key=lambda one: (abs(one[1] / one[2] - 0.5), one[0]))


@dataclass(frozen=True, slots=True)
class Variance:
    """Variance of one value, split: between cases, between repeats of one case (sampling), and between verdicts on one
    answer (judge; None where each answer has one verdict, so that it is part of sampling)."""

    case: float
    sampling: float
    judge: float | None = None


def variance_split(cases: Sequence[Sequence[float]]) -> Variance | None:
    """One-way random-effects table (Searle, Casella, McCulloch 1992, 3.6, unbalanced): between cases and within.

    `cases` holds the repeats of each case. None without two cases and one repeated case. The case part is cut at 0.
    """
    groups = [group for group in cases if group]
    n, total = len(groups), sum(len(group) for group in groups)
    if n < 2 or total == n:
        return None
    grand = math.fsum(math.fsum(group) for group in groups) / total
    within = math.fsum(_squares(group) for group in groups) / (total - n)
    between = math.fsum(len(g) * (_mean(g) - grand) ** 2 for g in groups) / (n - 1)
    size = (total - sum(len(g) ** 2 for g in groups) / total) / (n - 1)
    return Variance(max(0.0, (between - within) / size), within)


def nested_variance(cases: Sequence[Sequence[Sequence[float]]]) -> Variance | None:
    """Case, sampling and judge noise from a nested table: cases, their answers, the verdicts on each answer.

    Mean squares solved for the parts, unbalanced (Searle, Casella, McCulloch 1992, 5.3; Sokal, Rohlf 1995, 10.3); parts
    below 0 are cut. None without two cases, a case with two answers and an answer with two verdicts.
    """
    kept = [[answer for answer in case if answer] for case in cases]
    kept = [case for case in kept if case]
    a, b = len(kept), sum(len(case) for case in kept)
    sizes = [[len(answer) for answer in case] for case in kept]
    n = sum(map(sum, sizes))
    if a < 2 or b in (a, n):
        return None
    flat = [[x for answer in case for x in answer] for case in kept]
    grand = math.fsum(math.fsum(case) for case in flat) / n
    judge = math.fsum(_squares(answer) for case in kept for answer in case) / (n - b)
    answers = math.fsum(
        len(answer) * (_mean(answer) - _mean(whole)) ** 2
        for case, whole in zip(kept, flat, strict=True) for answer in case
    ) / (b - a)  # fmt: skip
    between = math.fsum(len(whole) * (_mean(whole) - grand) ** 2 for whole in flat) / (a - 1)
    inside = sum(sum(k * k for k in case) / sum(case) for case in sizes)
    whole = sum(k * k for case in sizes for k in case) / n
    sampling = max(0.0, (answers - judge) * (b - a) / (n - inside))
    size = (n - sum(sum(case) ** 2 for case in sizes) / n) / (a - 1)
    return Variance(max(0.0, (between - judge - (inside - whole) / (a - 1) * sampling) / size), sampling, judge)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _squares(values: Sequence[float]) -> float:
    middle = _mean(values)
    return math.fsum((x - middle) ** 2 for x in values)
