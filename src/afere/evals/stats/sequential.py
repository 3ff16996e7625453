"""Looking before all cases are run, without more false answers than promised.

Looking again and again at a fixed test multiplies its error. Two ways keep it: **group sequential**, where a few looks
are fixed before and share the error, with nearly all power of the fixed test; and **anytime**, a bet against the
hypothesis that may be looked at after every case, which stops sooner on large effects and costs power on small ones.
Either way the order of cases is random and fixed by a seed, and cases still in flight are not peeked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from afere.evals.stats.distributions import normal_cdf, normal_quantile
from afere.evals.stats.families import ALPHA
from afere.evals.stats.interval import LEVEL, Estimate

_BETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # shares of the largest bet that cannot lose all
_POINTS = 160  # of the grid on which paths are followed


def spent(t: float, alpha: float = ALPHA) -> float:
    """The error that may be used up when a share t of the cases is in: 2 - 2 Phi(z_{1-alpha/2} / sqrt t).

    One-sided, of the type of O'Brien and Fleming (Lan, DeMets 1983): little early, nearly all at the end.
    """
    return 0.0 if t <= 0 else 2 - 2 * normal_cdf(normal_quantile(1 - alpha / 2) / math.sqrt(min(t, 1.0)))


@lru_cache(maxsize=256)
def look_levels(shares: tuple[float, ...], alpha: float = ALPHA) -> tuple[float, ...]:
    """The one-sided level of each look, at these shares of all cases (rising, the last is 1), so that all together keep alpha.

    The interval at look k has the level 1 - 2 look_levels[k]: a repeated confidence interval (Jennison, Turnbull 1989).
    The boundaries solve "first crossed at look k with probability spent(t_k) - spent(t_{k-1})" by following the density
    of the paths that have not crossed (Armitage, McPherson, Rowe 1969), on a grid with Simpson's rule.
    """
    levels: list[float] = []
    grid: list[tuple[float, float]] = [(0.0, 1.0)]  # where an uncrossed path may stand, with its mass
    before = 0.0
    for t in shares:
        step = math.sqrt(t - before)
        allowed = spent(t, alpha) - spent(before, alpha)
        edge = _edge(grid, step, allowed, 9.0 * math.sqrt(t))
        levels.append(max(1e-12, 1 - normal_cdf(edge / math.sqrt(t))))
        grid = _moved(grid, step, -7.0 * math.sqrt(t), edge)
        before = t
    return tuple(levels)


def _edge(grid: Sequence[tuple[float, float]], step: float, allowed: float, top: float) -> float:
    low, high = -top, top
    for _ in range(60):
        middle = (low + high) / 2
        crossed = math.fsum(mass * normal_cdf((x - middle) / step) for x, mass in grid)
        low, high = (middle, high) if crossed > allowed else (low, middle)
    return (low + high) / 2


def _moved(grid: Sequence[tuple[float, float]], step: float, low: float, high: float) -> list[tuple[float, float]]:
    """The mass of the paths one look later, of those that stay below `high`."""
    width = (high - low) / _POINTS
    scale = 1 / (step * math.sqrt(2 * math.pi))
    moved: list[tuple[float, float]] = []
    for i in range(_POINTS + 1):
        x = low + i * width
        density = scale * math.fsum(mass * math.exp(-(((x - y) / step) ** 2) / 2) for y, mass in grid)
        simpson = width / 3 * (1 if i in (0, _POINTS) else 4 if i % 2 else 2)
        moved.append((x, density * simpson))
    return moved


def evidence(gains: Sequence[float], worst: float) -> float:
    """The natural log of the evidence that the mean of `gains` is above 0, each at least -worst (> 0).

    A gambler who bets a share of what they have on each gain wins on average only if the hypothesis "mean at most 0" is
    false: E = mean over bets of prod(1 + bet * gain) (Waudby-Smith, Ramdas 2024). By Ville's inequality it reaches
    1/alpha with probability at most alpha, however often it is looked at.
    """
    logs = [math.fsum(math.log1p(bet / worst * gain) for gain in gains) for bet in _BETS]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(one - top) for one in logs) / len(logs))


def anytime(
    values: Sequence[float], low: float, high: float, *, level: float = LEVEL, bounds: Sequence[float] | None = None
) -> Estimate:
    """The mean of independent values between low and high, with ends that hold however often one looks.

    Each end is where the bet against a mean beyond it stops being convincing; both ends are one-sided at (1 - level)/2.
    `bounds` are means one only wants told apart from the value: where given, ends are found by those, not exactly.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    mean, enough = math.fsum(values) / n, math.log(2 / (1 - level))

    def above(edge: float) -> bool:
        return edge <= low or evidence([x - edge for x in values], edge - low) >= enough

    def below(edge: float) -> bool:
        return edge >= high or evidence([edge - x for x in values], high - edge) >= enough

    if bounds is not None:
        sure_low = max((one for one in bounds if one < mean and above(one)), default=low)
        sure_high = min((one for one in bounds if one > mean and below(one)), default=high)
        return Estimate(mean, sure_low, sure_high, n, n)
    lower, upper = (low, mean), (mean, high)
    for _ in range(24):
        middle = sum(lower) / 2
        lower = (middle, lower[1]) if above(middle) else (lower[0], middle)
        middle = sum(upper) / 2
        upper = (upper[0], middle) if below(middle) else (middle, upper[1])
    return Estimate(mean, lower[0], upper[1], n, n)
