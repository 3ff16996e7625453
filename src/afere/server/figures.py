"""Geometry of the pages' figures, as numbers for SVG attributes (the policy forbids style attributes)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from afere.server import words

_EDGE = 4.0  # so that a mark at the end of the axis is whole


@dataclass(frozen=True, slots=True)
class Stretch:
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its interval on an axis `width` wide; `rule` is where a limit stands."""

    low: float
    mid: float
    high: float
    label: str
    answer: str = ""
    rule: float | None = None
    margin: Stretch | None = None
    width: int = 120


def interval(
    value: float,
    low: float | None,
    high: float | None,
    *,
    answer: str = "",
    limit: float | None = None,
    holds: tuple[str, float] | None = None,
) -> Interval:
    """Draw `value` between `low` and `high`; unknown ends draw the point alone.

    `limit` is dotted; `holds` shades where a rule is satisfied: ("above", edge) or ("below", edge).
    """
    edge = holds[1] if holds else None
    start, stop = _axis([each for each in (value, low, high, limit, edge) if each is not None])
    width = 120

    def at(number: float) -> float:
        share = (min(max(number, start), stop) - start) / (stop - start)
        return round(_EDGE + share * (width - 2 * _EDGE), 1)

    margin = None
    if holds:
        x = at(holds[1])
        margin = Stretch(x, round(width - _EDGE - x, 1)) if holds[0] == "above" else Stretch(_EDGE, round(x - _EDGE, 1))
    label = words.number(float(value))
    if low is not None and high is not None:
        label += f", interval {words.number(float(low))} to {words.number(float(high))}"
    ends = (low if low is not None else value, high if high is not None else value)
    rule = None if limit is None else at(limit)
    return Interval(at(ends[0]), at(value), at(ends[1]), label, answer, rule, margin, width)


def _axis(ends: Sequence[float]) -> tuple[float, float]:
    low, high = min(ends), max(ends)
    if low >= 0 and high <= 1 and high > 0:
        # Shares: most of the axis for what differs, and never past what a share can be.
        return max(0.0, low - (1 - low) * 0.15 - 0.02), min(1.0, high + 0.05)
    room = (high - low) * 0.2 or abs(high) * 0.2 or 1.0
    return low - room, high + room


@dataclass(frozen=True, slots=True)
class Spark:
    line: str
    end: str


def spark(values: Sequence[float]) -> Spark | None:
    """A line of values, oldest first, in a box of 120 by 28; None where there are fewer than two."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    points = [
        (round(120 * i / (len(values) - 1), 1), round(25 - 22 * ((v - low) / (high - low)), 1) if high > low else 14.0)
        for i, v in enumerate(values)
    ]
    return Spark("M" + " ".join(f"{x} {y}" for x, y in points), f"M{points[-1][0]} {points[-1][1]}h0")


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie: bars of equal width from `low` to `high` in a box of 96 x 20; `label` says it in words."""

    bars: tuple[tuple[float, float], ...]  # x and height
    width: float
    label: str


_BINS = 12


def spread(values: Sequence[float], say: Callable[[float], str]) -> Spread | None:
    """None where there are too few values to show how they lie, or all are the same."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if len(values) < _BINS or low == high:
        return None
    counts = [0] * _BINS
    for value in values:
        counts[min(int((value - low) / (high - low) * _BINS), _BINS - 1)] += 1
    width, most = 96 / _BINS, max(counts)
    bars = tuple((round(i * width, 2), round(20 * count / most, 2)) for i, count in enumerate(counts))
    middle = sorted(values)[len(values) // 2]
    label = f"{len(values)} values from {say(low)} to {say(high)}, half of them up to {say(middle)}"
    return Spread(bars, width - 1, label)


@dataclass(frozen=True, slots=True)
class Bar:
    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars over time in a box of 1000 by 100, with the texts of both axes."""

    bars: tuple[Bar, ...]
    xs: tuple[str, ...]
    ys: tuple[str, ...]
    label: str


def histogram(counts: Sequence[int], errors: Sequence[int], xs: Sequence[str], label: str) -> Histogram:
    """One bar a slot, the part of failed ones red on top."""
    top = _round_up(max(counts, default=0))
    step = 1000 / max(len(counts), 1)
    bars: list[Bar] = []
    for slot, (total, failed) in enumerate(zip(counts, errors, strict=True)):
        fine, x = total - failed, round(slot * step + step * 0.14, 2)
        for kind, low, high in (("ok", 0, fine), ("err", fine, total)):
            if high > low:
                bars.append(
                    Bar(
                        kind,
                        x,
                        round(100 - 100 * high / top, 2),
                        round(step * 0.72, 2),
                        round(100 * (high - low) / top, 2),
                    )
                )
    return Histogram(tuple(bars), tuple(xs), (words.count(top), words.count(top / 2) if top > 1 else "", "0"), label)


def _round_up(value: int) -> int:
    if value <= 2:
        return 2
    size = 10 ** (len(str(value)) - 1)
    for factor in (1, 2, 4, 5, 10):
        if value <= factor * size:
            return factor * size
    return value
