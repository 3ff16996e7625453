"""Lineage as a drawing: what something was made of on the left, what it touched on the right, in layers by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.govern.gathering import Item, Lineage, Link
from afere.govern.lineage import lineage
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

# From what things are made of to what is made with them: the columns, left to right.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("data", ("document", "row", "dataset", "index")),
    ("parts", ("model", "adapter", "prompt", "tool", "policy", "code")),
    ("components", ("component", "judge", "scorer")),
    ("chains", ("chain", "suite", "bundle")),
    ("evidence", ("experiment", "decision", "report")),
    ("use", ("alias", "trace", "score")),
)
_ROWS = 9  # things drawn in a column; the rest is counted
_COLUMN, _ROW, _BOX, _TOP = 170, 34, 148, 30
_CUT = 19  # characters of a name in a box
_BEGUN, _STARTS = ("chain", "prompt", "dataset", "index", "experiment"), 6  # offered where nothing was asked for
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
    """A layer. `kinds` says what stands in it; `folded` is the value of `?fold=` with which this layer is the other way."""

    title: str
    x: int
    more: int
    y_more: int
    kinds: str
    folded: bool
    fold: str


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    columns: tuple[Column, ...]
    boxes: tuple[Box, ...]
    curves: tuple[tuple[str, str], ...]  # path, and the link in words


@dataclass(frozen=True, slots=True)
class LineagePage:
    """`found` is None when nothing was asked for yet; then `starts` are things to ask for, by kind, the newest first."""

    of: str
    direction: str
    fold: str
    found: Lineage | None
    drawing: Drawing | None
    starts: tuple[tuple[str, tuple[Artifact, ...]], ...] = ()

    def to_json(self) -> Json:
        return self.found.to_json() if self.found else {"subject": None, "up": None, "down": None}


def page(session: Session, asked: Asked) -> LineagePage:
    """`?of=REF|TRACE|ROW|DOCUMENT&direction=up|down|both&fold=LAYER,LAYER`."""
    of = asked.get("of").strip()
    direction = asked.get("direction") if asked.get("direction") in _DIRECTIONS else "both"
    if not of:
        newest = ((kind, session.find("artifacts", kind=kind, latest=True, limit=_STARTS).items) for kind in _BEGUN)
        return LineagePage("", direction, "", None, None, tuple((kind, items) for kind, items in newest if items))
    found = lineage(session, of, up=direction != "down", down=direction != "up")
    said = asked.get("fold").split(",")
    fold = [title for title, _ in LAYERS if title in said]
    return LineagePage(of, direction, ",".join(fold), found, draw(found, fold))


def draw(found: Lineage, fold: Sequence[str] = ()) -> Drawing:
    """Places for what fits: the nearest first in each column, and a count of the rest. A folded layer is one box of counts."""
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
    place: dict[str, Box] = {}
    for title, kinds in LAYERS:
        own = sorted((item for item in items.values() if item.kind in kinds), key=lambda item: item.distance)
        if not own:
            continue
        x = len(columns) * _COLUMN
        said = ", ".join(f"{counts[kind]:,} {kind}{'s' * (counts[kind] != 1)}" for kind in kinds if counts[kind])
        folded = title in fold
        if folded:
            whole = Box(
                title, _cut(said), "folded", x, _TOP, any(one.ref == found.subject.ref for one in own), said, ""
            )
            drawn = [whole]
            place.update((item.ref, whole) for item in own)
        else:
            drawn = [_box(item, x, _TOP + row * _ROW, found.subject.ref) for row, item in enumerate(own[:_ROWS])]
            place.update((box.ref, box) for box in drawn)
        boxes += drawn
        more = 0 if folded else max(0, sum(counts[kind] for kind in kinds) - len(drawn))
        other = [one for one in fold if one != title] if folded else [*fold, title]
        columns.append(Column(title, x, more, _TOP + len(drawn) * _ROW, said, folded, ",".join(other)))
    curves = dict.fromkeys(
        (_curve(place[link.target], place[link.source]), f"{link.source} {link.role} {link.target}")
        for link in links
        if link.source in place and link.target in place and place[link.source] is not place[link.target]
    )
    height = max((column.y_more + (22 if column.more else 6) for column in columns), default=0)
    return Drawing(len(columns) * _COLUMN - (_COLUMN - _BOX) + 2, height, tuple(columns), tuple(boxes), tuple(curves))


def _box(item: Item, x: int, y: int, subject: str) -> Box:
    name = item.note if item.kind == "score" and item.note else item.ref
    short = name.partition(":")[2] if item.kind == "alias" else name.removeprefix(f"{item.kind}:")
    if item.kind in ("experiment", "decision", "report", "trace"):
        short = f"{item.kind} {short[:8]}"
    elif item.kind == "code":
        short = f"code {short[:12]}"
    elif item.kind in ("row", "document"):  # the end tells them apart
        short = short.removeprefix("dataset:")
        short = short if len(short) <= _CUT else f"…{short[1 - _CUT :]}"
    short = _cut(short)
    tip = " · ".join(part for part in (item.ref, item.note, (item.at or "")[:16].replace("T", " ")) if part)
    return Box(item.ref, short, item.kind, x, y, item.ref == subject, tip, "" if item.kind == "score" else item.ref)


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"


def _curve(a: Box, b: Box) -> str:
    """From the right of what is used to the left of what uses it; within a column, around its right side."""
    y1, y2 = a.y + 13, b.y + 13
    if a.x == b.x:
        x = a.x + _BOX
        return f"M{x} {y1}C{x + 26} {y1} {x + 26} {y2} {x} {y2}"
    x1, x2 = (a.x + _BOX, b.x) if a.x < b.x else (a.x, b.x + _BOX)
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
