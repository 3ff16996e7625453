"""A page of a list of spans: in the order of a column, or along the documents that hold what was asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from afere.store import span_docs
from afere.store.span_docs import Docs
from afere.store.span_filter import Where


class Run(NamedTuple):
    """The first span of a trace in its barest form: when it began (ns), how long it took, how it stands, whose it was."""

    start: int
    seconds: float | None
    status: str
    session: str | None
    user: str | None


def runs(connection: sqlite3.Connection, where: Where, limit: int) -> list[Run]:
    """The newest that the conditions hold for, from columns alone: tens of thousands are counted at once."""
    rows = connection.execute(
        f"SELECT s.start, s.seconds, s.status, s.session, s.user FROM {where.source} WHERE {where.sql}"  # noqa: S608  all text of users is in parameters
        " ORDER BY s.start DESC, s.id DESC LIMIT ?",
        (*where.values, limit),
    )
    return [Run(*row) for row in rows]


Place = Sequence[int]  # of a row: what the list is sorted by, its id, and the document along which it was found


class Listing:
    """The spans that the conditions hold for."""

    def __init__(self, connection: sqlite3.Connection, where: Where, key: str, *, roots: bool) -> None:
        self._connection = connection
        self._where = where
        self._key = key
        self._roots = roots

    def page(self, limit: int, after: Place | None) -> tuple[list[sqlite3.Row], Place | None]:
        """Rows after a place, and the place of the last one if more follow."""
        if self._where.lead is not None:
            return self._along(self._where.lead, limit, after)
        if after is not None:
            self._where.add(f"({self._key}, s.id) < (?, ?)", *after[:2])
        rows = self._connection.execute(
            f"SELECT s.*, {self._key} AS place FROM {self._where.source} WHERE {self._where.sql}"  # noqa: S608  all text of users is in parameters
            f" ORDER BY {self._key} DESC, s.id DESC LIMIT ?",
            (*self._where.values, limit + 1),
        ).fetchall()
        last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit], None if last is None else (last["place"], last["id"])

    def _along(self, docs: Docs, limit: int, after: Place | None) -> tuple[list[sqlite3.Row], Place | None]:
        """Documents come by the second in which their trace began; a trace is listed at the first of its documents."""
        found: list[tuple[sqlite3.Row, int]] = []
        begin, seen = _LAST, set[bytes]()
        if after is not None and len(after) == 3:
            begin = after[2]
            seen = {trace for doc in docs.downwards(*span_docs.above(begin)) if (trace := self._trace(doc)) is not None}
        elif after is not None:
            begin = span_docs.number(after[0] // 10**9 + 1, 0)
            self._where.add("(s.start, s.id) < (?, ?)", *after)
        for doc in docs.downwards(0, begin + 1):
            rows = self._of_trace(doc, seen) if self._roots else self._of_doc(doc)
            if after is not None and len(after) == 3 and doc == begin:
                rows = [row for row in rows if row["id"] < after[1]]
            found += ((row, doc) for row in rows)
            if len(found) > limit:
                break
        last = found[limit - 1] if len(found) > limit else None
        ordered = sorted((row for row, _ in found[:limit]), key=lambda row: (row["start"], row["id"]), reverse=True)
        return ordered, None if last is None else (last[0]["start"], last[0]["id"], last[1])

    def _trace(self, doc: int) -> bytes | None:
        row = self._connection.execute(
            f"SELECT trace_id FROM spans WHERE {span_docs.ROWS} LIMIT 1",  # noqa: S608  our own words
            span_docs.rows_of(doc),
        ).fetchone()
        return None if row is None else bytes(row["trace_id"])

    def _of_trace(self, doc: int, seen: set[bytes]) -> list[sqlite3.Row]:
        trace = self._trace(doc)
        if trace is None or trace in seen:
            return []
        seen.add(trace)
        return self._rows("s.trace_id = ?", (trace,))

    def _of_doc(self, doc: int) -> list[sqlite3.Row]:
        return self._rows("s.id BETWEEN ? AND ? AND s.id - s.line = ?", span_docs.rows_of(doc))

    def _rows(self, also: str, values: Sequence[object]) -> list[sqlite3.Row]:
        return self._connection.execute(
            f"SELECT s.* FROM {self._where.source} WHERE {self._where.sql} AND {also} ORDER BY s.id DESC",  # noqa: S608  as above
            (*self._where.values, *values),
        ).fetchall()


_LAST = 2**63 - 2
