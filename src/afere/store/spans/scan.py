"""Every span of a time, whole, one after another: for audits and exports. Each chunk is read once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from afere.base.span import Span
from afere.store.spans.chunks import Chunks
from afere.store.spans.rows import read_row

_NEWEST = """SELECT * FROM (SELECT * FROM spans WHERE project = ? AND start >= ? AND start <= ? ORDER BY start DESC LIMIT ?)
    ORDER BY chunk, line"""


def of_trace(connection: sqlite3.Connection, project: str, trace: bytes) -> Iterator[Span]:
    """The spans of one trace, as they rest."""
    chunks = Chunks(connection)
    for row in connection.execute(
        "SELECT * FROM spans WHERE project = ? AND trace_id = ? ORDER BY chunk, line", (project, trace)
    ):
        yield read_row(row, chunks.detail(row["chunk"], row["line"]))


def scan(connection: sqlite3.Connection, project: str, since: int, until: int, most: int) -> Iterator[Span]:
    """The newest `most` spans that began between two moments (ns), in the order in which they rest."""
    chunks = Chunks(connection)
    for row in connection.execute(_NEWEST, (project, since, until, most)):
        yield read_row(row, chunks.detail(row["chunk"], row["line"]))


class Glance(NamedTuple):
    """A span as columns know it. `place`: where it rests; what is written later, also again, has a higher one."""

    place: int
    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start: int
    seconds: float | None
    status: str


_GLANCED = "SELECT id, trace_id, span_id, parent_id, name, kind, start, seconds, status FROM spans"
_NEWER = (
    f"{_GLANCED} NOT INDEXED WHERE id > ? AND project = ? AND start >= ? AND kind IN ({{kinds}}) ORDER BY id LIMIT ?"
)
_ONE = f"{_GLANCED} WHERE project = ? AND trace_id = ? AND span_id = ?"
_AT = "SELECT * FROM spans WHERE id = ? AND project = ?"


def newer(
    connection: sqlite3.Connection, project: str, after: int, kinds: Sequence[str], since: int, most: int
) -> tuple[list[Glance], int]:
    """At most so many spans of these kinds behind a place that began at `since` (ns) or later, and the place reached."""
    end = newest(connection)
    sql = _NEWER.format(kinds=", ".join("?" * len(kinds)))
    found = [_glance(row) for row in connection.execute(sql, (after, project, since, *kinds, most))]
    return found, found[-1].place if len(found) == most else max(after, end)


def glances(connection: sqlite3.Connection, project: str, ids: Iterable[Sequence[str]]) -> list[Glance]:
    """Those of these spans (trace and span id) that are here."""
    rows = (
        connection.execute(_ONE, (project, bytes.fromhex(trace), bytes.fromhex(span))).fetchone() for trace, span in ids
    )
    return [_glance(row) for row in rows if row is not None]


def at(connection: sqlite3.Connection, project: str, places: Iterable[int]) -> list[Span | None]:
    """The spans at these places, whole; None where there is none any more."""
    chunks = Chunks(connection)
    rows = (connection.execute(_AT, (place, project)).fetchone() for place in places)
    return [None if row is None else read_row(row, chunks.detail(row["chunk"], row["line"])) for row in rows]


def newest(connection: sqlite3.Connection) -> int:
    """The place of the span that was written last; 0 where there never was one."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'spans'").fetchone()
    return 0 if row is None else row["seq"]


def _glance(row: sqlite3.Row) -> Glance:
    place, trace, span, parent, *rest = row
    return Glance(place, trace.hex(), span.hex(), parent.hex() if parent is not None else None, *rest)
