"""The distributions that intervals and tests need: normal, Student's t, beta, binomial."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()


def normal_cdf(x: float) -> float:
    """P(Z <= x) for a standard normal Z."""
    return _NORMAL.cdf(x)


def normal_quantile(p: float) -> float:
    """The x with P(Z <= x) = p, 0 < p < 1 (Wichura 1988, algorithm AS 241, in the standard library)."""
    return _NORMAL.inv_cdf(p)


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), a and b > 0.

    Continued fraction DLMF 8.17.22 by the method of Lentz (1976) as modified by Thompson and Barnett (1986);
    I_x(a, b) = 1 - I_{1-x}(b, a) keeps it in the region where it converges fast.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # Asked once: rounding may put both x and 1 - x above their borders.
    return 1.0 - _beta_tail(1 - x, b, a) if x > (a + 1) / (a + b + 2) else _beta_tail(x, a, b)


def _beta_tail(x: float, a: float, b: float) -> float:
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    ) / a  # fmt: skip
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 5000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + term / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            return value
    return value


@lru_cache(maxsize=4096)
def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, by bisection to 1e-13."""
    low, high = 0.0, 1.0
    while high - low > 1e-13:
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return (low + high) / 2


def t_cdf(x: float, freedom: float) -> float:
    """P(T <= x) for Student's t (Abramowitz and Stegun 26.7.1 by the incomplete beta function)."""
    tail = beta_cdf(freedom / (freedom + x * x), freedom / 2, 0.5) / 2
    return 1 - tail if x > 0 else tail


@lru_cache(maxsize=4096)
def t_quantile(p: float, freedom: float) -> float:
    """The x with P(T <= x) = p, 0 < p < 1, from the beta quantile; exact to about 1e-9."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, freedom)
    if freedom > 1e6:
        return normal_quantile(p)
    x = beta_quantile(2 * (1 - p), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)


def binomial_cdf(k: int, n: int, p: float = 0.5) -> float:
    """P(X <= k) for X ~ Bin(n, p)."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else 1.0 - beta_cdf(p, k + 1, n - k)
