"""Bake-offs and sweeps: the list, and one with its table, its fronts as plots, and what is shown against the current one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadReference
from afere.evals.bakeoff.bakeoff import bakeoff_record
from afere.evals.bakeoff.text import about_pairs, answer_of, called, columns, heading, known_of, lines
from afere.evals.records import records
from afere.server import words
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_HEIGHT, _WIDTH, _LEFT, _BOTTOM, _EDGE = 240, 400, 48, 34, 12
_ANSWERS = {"better": "pass", "worse": "fail"}


@dataclass(frozen=True, slots=True)
class BakeoffsPage:
    items: tuple[Artifact, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One number of one cell: as text, with the ends of its interval, and the answer of its comparison."""

    name: str
    text: str
    ends: str
    answer: str
    word: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    cell: Mapping[str, Any]
    shown: tuple[Shown, ...]
    known: str


@dataclass(frozen=True, slots=True)
class Point:
    """A cell in a plot: its place, the ends of both intervals, and its number in the table."""

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    number: int
    front: bool
    current: bool
    label: str
    beside: str = ""  # its number in the plot, with those whose numbers would lie upon it


@dataclass(frozen=True, slots=True)
class Plot:
    """Quality upwards against what is better to the left; the axis is logarithmic where values are far apart."""

    title: str
    points: tuple[Point, ...]
    xs: tuple[tuple[float, str], ...]
    ys: tuple[tuple[float, str], ...]
    label: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    bottom: int = _HEIGHT - _BOTTOM


@dataclass(frozen=True, slots=True)
class Pair:
    """Two cells that a pairwise judge read: the pair as the record has it, its share of wins in words, and the answer."""

    said: Mapping[str, Any]
    share: str
    ends: str
    answer: str
    word: str


@dataclass(frozen=True, slots=True)
class Preferred:
    """What one pairwise judge said: as the record has it, its pairs, and how it read."""

    said: Mapping[str, Any]
    pairs: tuple[Pair, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BakeoffPage:
    artifact: Artifact
    record: Mapping[str, Any]
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: tuple[Mapping[str, Any], ...]
    plots: tuple[Plot, ...]
    preferred: tuple[Preferred, ...]
    lines: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.artifact.name

    @property
    def called(self) -> str:
        return called(self.record)

    def to_json(self) -> Json:
        return {
            "ref": self.artifact.ref,
            "at": self.artifact.at,
            "by": self.artifact.by,
            **cast("dict[str, Json]", self.record),
        }


def list_page(session: Session, asked: Asked) -> BakeoffsPage:
    """All bake-offs and sweeps, newest first."""
    found = records(session, "bakeoff", limit=asked.limit, cursor=asked.cursor)
    return BakeoffsPage(found.items, found.next)


def page(session: Session, asked: Asked) -> BakeoffPage:
    """One, by its number."""
    number = asked.path["number"]
    if not str(number).isdecimal():
        raise BadReference(f"{number!r} is not the number of a bake-off. List them at /bakeoffs.")
    artifact = session.get(f"report:{number}", kind="report")
    record = bakeoff_record(artifact)
    names = columns(record)
    ran = [cell for cell in record["cells"] if cell["numbers"]]
    rows = tuple(
        Row(i, cell, tuple(_shown(cell, name) for name in names), known_of(cell["facts"]))
        for i, cell in enumerate(ran, 1)
    )
    plots = tuple(
        plot
        for axis in ("cost_per_1000", "seconds.p50")
        if record["quality"] and (plot := _plot(rows, axis, record["quality"])) is not None
    )
    left_out = tuple(cell for cell in record["cells"] if cell["excluded"])
    heads, preferred = (
        tuple(heading(name, record) for name in names),
        tuple(map(_preferred, record.get("preferred", ()))),
    )
    return BakeoffPage(artifact, record, heads, rows, left_out, plots, preferred, tuple(lines(record)))


def _preferred(one: Mapping[str, Any]) -> Preferred:
    pairs: list[Pair] = []
    for pair in one["pairs"]:
        known = pair["low"] is not None and pair["high"] is not None
        ends = (
            f"{words.number(pair['low'])} to {words.number(pair['high'])}" if known else pair["why"] or "too few cases"
        )
        share = words.number(pair["share"]) if pair["share"] is not None else words.NONE
        answer = _ANSWERS.get(pair["answer"], "open")
        word = {"pass": "preferred", "fail": "less preferred"}.get(answer, "not shown")
        pairs.append(Pair(pair, share, ends, answer, word))
    return Preferred(one, tuple(pairs), tuple(about_pairs(one)))


def _number(cell: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((one for one in cell["numbers"] if one["name"] == name), None)


def _said(value: float | None, name: str) -> str:
    if value is None:
        return words.NONE
    if name == "cost_per_1000":
        return words.money(value)
    if name == "tokens_per_second":
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return words.measured(value, name)


def _shown(cell: Mapping[str, Any], name: str) -> Shown:
    one = _number(cell, name)
    if one is None or one["value"] is None:
        return Shown(name, "unknown", "", "", "", one["why"] if one else "")
    word = answer_of(cell, name)
    answer = _ANSWERS.get(word, "")
    low, high = one["low"], one["high"]
    ends = (
        f"{_said(low, name)} to {_said(high, name)}"
        if low is not None and high is not None
        else one["why"] or "too few for an interval"
    )
    return Shown(name, _said(one["value"], name), ends, answer, word, "")


def _plot(rows: tuple[Row, ...], axis: str, quality: str) -> Plot | None:
    """None where fewer than two cells have both numbers."""
    found: list[tuple[Row, Mapping[str, Any], Mapping[str, Any]]] = []
    for row in rows:
        x, y = _number(row.cell, axis), _number(row.cell, quality)
        if x is not None and y is not None and x["value"] is not None and y["value"] is not None:
            found.append((row, x, y))
    if len(found) < 2:
        return None
    values = [x["value"] for _, x, _ in found]
    far = min(values) > 0 and max(values) / min(values) > 10
    across, xs = _scale([_ends(x) for _, x, _ in found], _LEFT + _EDGE, _WIDTH - _EDGE, axis, logarithmic=far)
    up, ys = _scale([_ends(y) for _, _, y in found], _HEIGHT - _BOTTOM - _EDGE, _EDGE, quality)
    points = _apart(tuple(_point(row, x, y, across, up, quality, axis) for row, x, y in found))
    title = f"{quality} against {heading(axis)}"
    said = "; ".join(f"{point.number}, {point.label}" for point in points)
    drawn = tuple(sorted(points, key=lambda one: (one.current, one.front)))  # the last ones lie above the others
    return Plot(f"{title}{', logarithmic' if far else ''}", drawn, xs, ys, f"{title}. {said}")


def _ends(one: Mapping[str, Any]) -> tuple[float, float, float]:
    value = float(one["value"])
    return (value if one["low"] is None else one["low"], value, value if one["high"] is None else one["high"])


def _scale(
    spans: list[tuple[float, float, float]], start: float, stop: float, name: str, *, logarithmic: bool = False
) -> tuple[Callable[[float], float], tuple[tuple[float, str], ...]]:
    """A function from values to places, with four ticks."""
    positive = min((value for span in spans for value in span if value > 0), default=1.0)

    def turned(value: float) -> float:
        return math.log10(max(value, positive)) if logarithmic else value

    low, high = turned(min(span[0] for span in spans)), turned(max(span[2] for span in spans))
    room = (high - low) or abs(high) or 1.0
    low, high = (low, high) if high > low else (low - room / 2, high + room / 2)

    def at(value: float) -> float:
        return round(start + (turned(value) - low) / (high - low) * (stop - start), 1)

    ticks = [low + (high - low) * i / 3 for i in range(4)]
    return at, tuple((at(value), _said(value, name)) for value in (10**one if logarithmic else one for one in ticks))


def _apart(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Points so near to each other that their numbers would be unreadable have one text, at the first of them."""
    heads: dict[int, list[Point]] = {}
    for point in points:
        near = (at for at in points if at.number in heads and abs(at.x - point.x) < 12 and abs(at.y - point.y) < 12)
        heads.setdefault(next(near, point).number, []).append(point)
    return tuple(
        replace(one, beside=", ".join(str(each.number) for each in heads.get(one.number, ()))) for one in points
    )


def _point(
    row: Row, x: Mapping[str, Any], y: Mapping[str, Any], across: Callable[[float], float], up: Callable[[float], float],
    quality: str, axis: str,
) -> Point:  # fmt: skip
    xs, ys = _ends(x), _ends(y)
    said = f"{row.cell['label']}: {quality} {_said(ys[1], quality)}, {heading(axis)} {_said(xs[1], axis)}"
    return Point(
        across(xs[1]), up(ys[1]), across(xs[0]), across(xs[2]), up(ys[2]), up(ys[0]), row.number, bool(row.cell["front"]),
        bool(row.cell["current"]), said,
    )  # fmt: skip
