"""From an interval to one of three answers: pass, fail, or open with how many more cases it would take.

The interval is two-sided 90%: each end is a one-sided 95% bound, and each verdict leans on one end.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from afere.base.decision import Answer
from afere.evals.stats.interval import Estimate

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
FEW = 10  # below this many independent cases a standard error is itself a guess (Miller 2024)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`says` is how the answer prints: "proven >= 0.8", "proven < 0.8", "open: needs about 40 more"."""

    answer: Answer
    says: str
    needs: int | None = None


def needs_more(n: int, half: float, distance: float) -> int | None:
    """About how many more cases shrink the half width to the distance, if value and spread stay: n (h/distance)^2 - n. The half
    width is that of the side which decides: from the value to the end that has to clear the edge.

    None where the value stands on the edge and no number of cases would do.
    """
    if distance <= 0 or n == 0:
        return None
    return max(1, math.ceil(n * (half / distance) ** 2 - n - 1e-9))


def threshold(estimate: Estimate, op: str, edge: float) -> Verdict:
    """Is the value on the right side of a fixed edge? `op` is one of >=, <=, > and <."""
    opposite = {">=": "<", "<=": ">", ">": "<=", "<": ">="}[op]
    rising, compare = op in (">=", ">"), _COMPARE[op]

    def holds(x: float) -> bool:
        return compare(x, edge)

    near, far = (estimate.low, estimate.high) if rising else (estimate.high, estimate.low)
    value = estimate.value
    if value is None:
        return _few(estimate)
    end = near if holds(value) else far
    more = None if end is None else needs_more(estimate.n, abs(end - value), abs(value - edge))
    if estimate.clusters < FEW:
        return _few(estimate, more)
    if near is not None and holds(near):
        return Verdict("pass", f"proven {op} {edge:g}")
    if far is not None and not holds(far):
        return Verdict("fail", f"proven {opposite} {edge:g}")
    if end is None:
        return Verdict("open", "open: more cases are needed before this has a bound")
    return _open(more)


def not_worse(estimate: Estimate, margin: float) -> Verdict:
    """Is the difference (positive is better) surely above -margin? Non-inferiority by confidence bound.

    Pass when the lower bound clears -margin, fail when the upper bound is below 0. A drop that is sure but within the
    margin passes and says so.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _few(estimate)
    drop = -estimate.value
    # Open with a drop beyond the margin: more cases would prove it worse, so the distance to go is the drop itself.
    half, distance = (
        (estimate.value - estimate.low, margin - drop) if drop < margin else (estimate.high - estimate.value, drop)
    )
    more = needs_more(estimate.n, half, distance)
    if estimate.clusters < FEW:
        return _few(estimate, more)
    if estimate.low > -margin:
        sure = estimate.high < 0
        return Verdict("pass", f"worse by less than {margin:g}" if sure else f"proven not worse by {margin:g}")
    if estimate.high < 0:
        return Verdict("fail", "proven worse")
    return _open(more)


def better(estimate: Estimate, margin: float) -> Verdict:
    """Is the difference (positive is better) surely above the margin?"""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return _few(estimate)
    half = estimate.value - estimate.low if estimate.value > margin else estimate.high - estimate.value
    more = needs_more(estimate.n, half, abs(estimate.value - margin))
    if estimate.clusters < FEW:
        return _few(estimate, more)
    by = f" by {margin:g}" if margin else ""
    if estimate.low > margin:
        return Verdict("pass", f"proven better{by}")
    if estimate.high < margin:
        return Verdict("fail", f"proven not better{by}")
    return _open(more)


def _open(more: int | None) -> Verdict:
    if more is None:
        return Verdict("open", "open: the value stands on the edge, more cases alone would not decide")
    return Verdict("open", f"open: needs about {more} more", more)


def _few(estimate: Estimate, settling: int | None = None) -> Verdict:
    """Too few independent cases for any verdict: as many as are missing, or as many as would settle it."""
    if estimate.n == 0:
        return Verdict("open", "open: nothing to go by")
    more = max(1, FEW - estimate.clusters, settling or 0)
    return Verdict("open", f"open: needs about {more} more", more)
