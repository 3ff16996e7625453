"""Every span of a time, whole, one after another: for audits and exports. Each chunk is read once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from afere.base.span import Span
from afere.store.span_chunks import Chunks
from afere.store.span_rows import read_row

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
