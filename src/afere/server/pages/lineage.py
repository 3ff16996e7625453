"""Lineage as a drawing: what something was made of on the left, what it touched on the right, in layers by kind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.govern.lineage import Item, Lineage, Link, lineage
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.store import Session

# From what things are made of to what is made with them: the columns, left to right.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("data", ("document", "row", "dataset", "index")),
    ("parts", ("model", "adapter", "prompt", "tool", "policy")),
    ("components", ("component", "judge", "scorer")),
    ("chains", ("chain", "suite", "bundle")),
    ("evidence", ("experiment", "decision", "report")),
    ("use", ("alias", "trace", "score")),
)
_ROWS = 9  # things drawn in a column; the rest is counted
_COLUMN, _ROW, _BOX, _TOP = 170, 34, 148, 30
_CUT = 19  # characters of a name in a box
_DIRECTIONS = ("both", "up", "down")


@dataclass(frozen=True, slots=True)
class Box:
    """A thing as it is drawn. `of` is what its own lineage is asked by, empty where it has none."""

    ref: str
    text: str
    kind: str
    x: int
    y: int
    subject: bool
    tip: str
    of: str


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    x: int
    more: int
    y_more: int


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    columns: tuple[Column, ...]
    boxes: tuple[Box, ...]
    curves: tuple[tuple[str, str], ...]  # path, and the link in words


@dataclass(frozen=True, slots=True)
class LineagePage:
    """`found` is None when nothing was asked for yet."""

    of: str
    direction: str
    found: Lineage | None
    drawing: Drawing | None

    def to_json(self) -> Json:
        return self.found.to_json() if self.found else {"subject": None, "up": None, "down": None}


def page(session: Session, asked: Asked) -> LineagePage:
    """`?of=REF|TRACE|ROW|DOCUMENT&direction=up|down|both`."""
    of = asked.get("of").strip()
    direction = asked.get("direction") if asked.get("direction") in _DIRECTIONS else "both"
    if not of:
        return LineagePage("", direction, None, None)
    found = lineage(session, of, up=direction != "down", down=direction != "up")
    return LineagePage(of, direction, found, draw(found))


def draw(found: Lineage) -> Drawing:
    """Places for what fits: the nearest first in each column, and a count of the rest."""
    items: dict[str, Item] = {found.subject.ref: found.subject}
    links: list[Link] = []
    counts: dict[str, int] = defaultdict(int)
    counts[found.subject.kind] += 1
    for side in (found.up, found.down):
        if side is not None:
            links += side.links
            for item in side.items:
                items.setdefault(item.ref, item)
            for kind, count in side.counts.items():
                counts[kind] += count
    boxes: list[Box] = []
    columns: list[Column] = []
    for title, kinds in LAYERS:
        own = sorted((item for item in items.values() if item.kind in kinds), key=lambda item: item.distance)
        if not own:
            continue
        x = len(columns) * _COLUMN
        shown = own[:_ROWS]
        more = sum(counts[kind] for kind in kinds) - len(shown)
        boxes += [_box(item, x, _TOP + row * _ROW, found.subject.ref) for row, item in enumerate(shown)]
        columns.append(Column(title, x, max(0, more), _TOP + len(shown) * _ROW))
    place = {box.ref: box for box in boxes}
    curves = dict.fromkeys(
        (_curve(place[link.target], place[link.source]), f"{link.source} {link.role} {link.target}")
        for link in links
        if link.source in place and link.target in place and link.source != link.target
    )
    height = max((column.y_more + (22 if column.more else 6) for column in columns), default=0)
    return Drawing(len(columns) * _COLUMN - (_COLUMN - _BOX), height, tuple(columns), tuple(boxes), tuple(curves))


def _box(item: Item, x: int, y: int, subject: str) -> Box:
    name = item.note if item.kind == "score" and item.note else item.ref
    short = name.partition(":")[2] if item.kind == "alias" else name.removeprefix(f"{item.kind}:")
    if item.kind in ("experiment", "decision", "report", "trace"):
        short = f"{item.kind} {short[:8]}"
    short = short if len(short) <= _CUT else f"{short[: _CUT - 1]}…"
    tip = " · ".join(part for part in (item.ref, item.note, (item.at or "")[:16].replace("T", " ")) if part)
    return Box(item.ref, short, item.kind, x, y, item.ref == subject, tip, "" if item.kind == "score" else item.ref)


def _curve(a: Box, b: Box) -> str:
    """From the right of what is used to the left of what uses it; within a column, around its right side."""
    y1, y2 = a.y + 13, b.y + 13
    if a.x == b.x:
        x = a.x + _BOX
        return f"M{x} {y1}C{x + 26} {y1} {x + 26} {y2} {x} {y2}"
    x1, x2 = (a.x + _BOX, b.x) if a.x < b.x else (a.x, b.x + _BOX)
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
