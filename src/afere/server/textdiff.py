"""What changed between two texts: lines side by side, and within a changed line the words. Plain difflib, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_CONTEXT = 3  # unchanged lines shown around a change
_RELATED = 0.4  # texts less alike than this are two texts, not one that changed
_MAX_WORDS = 4000  # of a line or answer; longer ones are compared whole


@dataclass(frozen=True, slots=True)
class Bit:
    """A piece of text; `changed` if the other side does not have it."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a row: its line number and its pieces. kind: "", "minus", "plus" or "none" (there is no such line)."""

    number: int | None
    bits: tuple[Bit, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a side-by-side difference. `folded` lines that are the same are not shown."""

    before: Side
    after: Side
    folded: int = 0


_NOTHING = Side(None, (), "none")


def lines(before: str, after: str) -> tuple[Line, ...]:
    """The two texts side by side; long stretches that are the same become one folded row."""
    a, b = before.splitlines(), after.splitlines()
    rows: list[Line] = []
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    for at, (tag, a0, a1, b0, b1) in enumerate(blocks):
        if tag == "equal":
            head, tail = (0 if at == 0 else _CONTEXT), (0 if at == len(blocks) - 1 else _CONTEXT)
            rows.extend(_same(a[a0:a1], a0, b0, (head, tail)))
        else:
            rows.extend(_changed(a[a0:a1], b[b0:b1], a0, b0))
    return tuple(rows)


def _same(same: Sequence[str], a0: int, b0: int, context: tuple[int, int]) -> Iterator[Line]:
    head, tail = context
    hidden = len(same) - head - tail
    for i, text in enumerate(same):
        if hidden > 1 and head <= i < head + hidden:
            if i == head:
                yield Line(_NOTHING, _NOTHING, hidden)
            continue
        bits = (Bit(text),)
        yield Line(Side(a0 + i + 1, bits), Side(b0 + i + 1, bits))


def _changed(a: Sequence[str], b: Sequence[str], a0: int, b0: int) -> Iterator[Line]:
    """Changed lines, paired in order while they are alike; the rest stand alone."""
    i = j = 0
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b) and _alike(a[i], b[j]):
            minus, plus = words(a[i], b[j])
            yield Line(Side(a0 + i + 1, minus, "minus"), Side(b0 + j + 1, plus, "plus"))
            i, j = i + 1, j + 1
        elif i < len(a) and (j >= len(b) or not any(_alike(a[i], later) for later in b[j + 1 : j + 6])):
            yield Line(Side(a0 + i + 1, (Bit(a[i]),), "minus"), _NOTHING)
            i += 1
        else:
            yield Line(_NOTHING, Side(b0 + j + 1, (Bit(b[j]),), "plus"))
            j += 1


def _alike(a: str, b: str) -> bool:
    return SequenceMatcher(None, _WORD.findall(a)[:500], _WORD.findall(b)[:500], autojunk=False).ratio() > 0.4


def words(before: str, after: str) -> tuple[tuple[Bit, ...], tuple[Bit, ...]]:
    """The pieces of both texts, with what the other does not have marked."""
    a, b = _WORD.findall(before), _WORD.findall(after)
    if max(len(a), len(b)) > _MAX_WORDS:
        return _whole(before, after)
    matched = SequenceMatcher(None, a, b, autojunk=False)
    if before and after and matched.ratio() < _RELATED:
        return _whole(before, after)
    left: list[Bit] = []
    right: list[Bit] = []
    for tag, a0, a1, b0, b1 in matched.get_opcodes():
        if a1 > a0:
            left.append(Bit("".join(a[a0:a1]), tag != "equal"))
        if b1 > b0:
            right.append(Bit("".join(b[b0:b1]), tag != "equal"))
    return tuple(left), tuple(right)


def _whole(before: str, after: str) -> tuple[tuple[Bit, ...], tuple[Bit, ...]]:
    same = before == after
    return (Bit(before, not same),), (Bit(after, not same),)
