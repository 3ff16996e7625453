"""Cut a document into chunks: at headings first, then between blocks, lines, sentences and words."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.data.documents import Block, Document

CUTTER = 1  # raise it when the same document would be cut or read differently: indexes are then made anew

_CUTS = tuple(re.compile(cut) for cut in (r"\n[ \t]*\n\s*", r"\n", r"(?<=[.!?\u3002\uff01\uff1f])\s+", r"\s+"))


@dataclass(frozen=True, slots=True)
class Chunking:
    """How to cut: at most `size` characters a chunk, of which up to `overlap` repeat the end of the chunk before."""

    size: int = 800
    overlap: int = 80

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.overlap < self.size:
            raise BadInput(
                f"chunk size {self.size} with overlap {self.overlap}: the size is at least 1, and the overlap smaller than it. "
                f"A tenth of the size is usual."
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """`document.text[start:end]`, and what the document's structure says about it."""

    start: int
    end: int
    metadata: dict[str, Json] = field(default_factory=dict[str, "Json"])


def cut(document: Document, chunking: Chunking) -> list[Chunk]:
    """The chunks of a document, in order. Together they hold every character that is not white space."""
    made: list[Chunk] = []
    places = _places(document)
    for begin, stop in _spans(document, chunking):
        text = document.text[begin:stop]
        start, end = stop - len(text.lstrip()), begin + len(text.rstrip())
        if start < end:
            made.append(Chunk(start, end, _place_of(places, start, end)))
    return made


def _spans(document: Document, chunking: Chunking) -> Iterator[tuple[int, int]]:
    """Greedy packing of units. A chunk that goes on after another begins inside it, at a word, up to `overlap` back.

    A heading or a new page begins a chunk, unless what is open is too short to stand alone.
    """
    text, size = document.text, chunking.size
    start = end = begin = document.blocks[0].start if document.blocks else 0
    fresh = True  # nothing before it to repeat
    said = begin  # where what is not a heading ends: headings after it go with what follows them
    page = None
    for unit in _units(document, size, size - chunking.overlap):
        if (unit.level or unit.page != page) and end - begin >= size // 4:
            yield start, end
            fresh = unit.level > 0 or chunking.overlap == 0
            start, begin = end if fresh else _back(text, end, chunking.overlap, start), end
        page = unit.page
        pieces = [(unit.start, unit.end)]
        room = (size if fresh else size - chunking.overlap) - (end - begin)
        if unit.end - unit.start > room and _blank(text, begin, end, size // 4) and not unit.code:
            pieces = _split(text, unit.start, unit.end, max(1, room), 2)
        for piece_start, piece_end in pieces:
            while end > begin and piece_end - begin > (size if fresh else size - chunking.overlap):
                stop = said if begin < said < end else end
                yield start, stop
                fresh = stop < end or chunking.overlap == 0
                most = 0 if fresh else min(chunking.overlap, size - (piece_end - piece_start))
                start, begin = _back(text, stop, most, start), stop
            end = piece_end
        if not unit.level:
            said = end
    if end > begin:
        yield start, end


def _blank(text: str, begin: int, end: int, few: int) -> bool:
    """Whether what is open is so short (a heading, a line) that it should not stand alone."""
    return 0 < end - begin < few and bool(text[begin:end].strip())


def _units(document: Document, size: int, limit: int) -> Iterator[Block]:
    """Blocks, and pieces of at most `limit` of those longer than a chunk. Code is cut between lines if it must be."""
    for block in document.blocks:
        if block.end - block.start <= size:
            yield block
            continue
        for n, (start, end) in enumerate(_split(document.text, block.start, block.end, limit, 1 if block.code else 0)):
            yield Block(start, end, block.level if n == 0 else 0, block.title, block.code, block.page)


def _split(text: str, start: int, end: int, limit: int, rough: int) -> list[tuple[int, int]]:
    """[start, end) in pieces of at most `limit`, cut at the roughest place that does: `rough` indexes _CUTS."""
    if end - start <= limit:
        return [(start, end)]
    if rough == len(_CUTS):
        return [(at, min(at + limit, end)) for at in range(start, end, limit)]
    pieces: list[tuple[int, int]] = []
    at = start
    for stop in [*(match.end() for match in _CUTS[rough].finditer(text, start, end)), end]:
        if stop == at:
            continue
        if pieces and stop - pieces[-1][0] <= limit:
            pieces[-1] = (pieces[-1][0], stop)
        elif stop - at <= limit:
            pieces.append((at, stop))
        else:
            pieces += _split(text, at, stop, limit, rough + 1)
        at = stop
    return pieces


def _back(text: str, begin: int, most: int, earliest: int) -> int:
    """Where a chunk that begins at `begin` starts repeating: at a word, at most `most` characters earlier."""
    while earliest < begin and text[earliest].isspace():
        earliest += 1
    low = max(earliest + 1, begin - max(0, most))
    if low >= begin:
        return begin
    if not text[low - 1].isspace():
        while low < begin and not text[low].isspace():
            low += 1
    return low


def _places(document: Document) -> list[tuple[int, int, dict[str, Json]]]:
    """(start, end, what is known there): a new place at each heading and page."""
    places: list[tuple[int, int, dict[str, Json]]] = []
    path: list[tuple[int, str]] = []
    page: int | None = None
    start = 0
    for block in document.blocks:
        if block.level or block.page != page:
            places.append((start, block.start, _known(path, page)))
            start, page = block.start, block.page
        if block.level:
            path = [*(above for above in path if above[0] < block.level), (block.level, block.title)]
    places.append((start, len(document.text), _known(path, page)))
    return places


def _known(path: list[tuple[int, str]], page: int | None) -> dict[str, Json]:
    known: dict[str, Json] = {}
    if path:
        known["heading"] = path[-1][1]
        known["headings"] = [title for _, title in path]
    if page is not None:
        known["page"] = page
    return known


def _place_of(places: list[tuple[int, int, dict[str, Json]]], start: int, end: int) -> dict[str, Json]:
    """What is known where the largest part of a chunk stands."""
    first = bisect_right(places, start, key=lambda place: place[1])
    meeting = takewhile(lambda place: place[0] < end, islice(places, first, None))
    return max(meeting, key=lambda place: min(end, place[1]) - max(start, place[0]))[2]
