"""A page of a list of spans: in the order of a column, or along the documents that hold what was asked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from afere.store.spans import docs as span_docs
from afere.store.spans.docs import Docs
from afere.store.spans.filter import Where


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

    def __init__(
        self, connection: sqlite3.Connection, where: Where, key: str, *, roots: bool, at_most: str | None = None
    ) -> None:
        """`at_most`: a sum over a trace, in SQL of its spans `t`, that is never below the key; cheap, where the key is dear."""
        self._at_most = at_most
        self._connection = connection
        self._where = where
        self._key = key
        self._roots = roots

    def page(self, limit: int, after: Place | None) -> tuple[list[sqlite3.Row], Place | None]:
        """Rows after a place, and the place of the last one if more follow."""
        if self._where.lead is not None:
            return self._along(self._where.lead, limit, after)
        quick = None
        if after is not None:
            self._where.add(f"({self._key}, s.id) < (?, ?)", *after[:2])
        elif self._key == "s.start" and self._where.model is not None and self._where.source == "spans s":
            quick = self._of_newest(self._where.model, limit)
        if self._at_most is not None:
            quick = self._of_few(limit)
        rows = quick or self._rows(limit)
        last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit], None if last is None else (last["place"], last["id"])

    def _rows(self, limit: int, also: str = "1", *values: Any, hint: str = "") -> list[sqlite3.Row]:
        """One more than the limit, where there are."""
        return self._connection.execute(
            f"SELECT s.*, {self._key} AS place FROM {self._where.source} {hint} WHERE {self._where.sql} AND {also}"  # noqa: S608  all text of users is in parameters
            f" ORDER BY {self._key} DESC, s.id DESC LIMIT ?",
            (*self._where.values, *values, limit + 1),
        ).fetchall()

    def _of_newest(self, model: str, limit: int) -> list[sqlite3.Row] | None:
        """The same of a first page, looking at the traces of the newest spans of this model only; None where others may belong
        to it, or most traces have one."""
        some, project = limit + 1, self._where.project
        spans = "FROM spans t INDEXED BY spans_model WHERE t.project = ? AND t.model = ?"
        roots = self._start("FROM spans t INDEXED BY spans_roots WHERE t.project = ? AND t.root > 0", 6 * some, project)
        near, *far = (self._start(spans, times * some, project, model) for times in (2, 4, 16))
        if roots is None or near is None or far[0] is None or far[0] > roots:
            return None
        for last in far:
            # Of a trace that began after these spans one is newer, unless clocks disagree by more.
            if last is not None and near > last + _SKEW:
                rows = self._rows(
                    limit, f"s.trace_id IN (SELECT t.trace_id {spans} AND t.start >= ?) AND s.start > ?", project, model,
                    last, last + _SKEW, hint="INDEXED BY spans_identity",
                )  # fmt: skip
                if len(rows) > limit:
                    return rows
        return None

    def _start(self, spans: str, place: int, *values: Any) -> int | None:
        """When the one began that stands at this place among them, newest first; None where there are fewer."""
        found = self._connection.execute(
            f"SELECT t.start {spans} ORDER BY t.start DESC LIMIT 1 OFFSET ?", (*values, place)
        )
        row = found.fetchone()
        return row[0] if row is not None else None

    def _of_few(self, limit: int) -> list[sqlite3.Row] | None:
        """The same, looking at the traces with the largest sums only; None where another may be among them."""
        ids, bound = dict[bytes, None](), 0
        for spans in _REPORTING:  # what a trace spends is no more than its first span says and all others do
            few = self._connection.execute(
                f"SELECT t.trace_id, {self._at_most} AS most FROM {spans} GROUP BY t.trace_id ORDER BY most DESC LIMIT ?",  # noqa: S608  our own words
                (self._where.project, _FEW),
            ).fetchall()
            ids |= dict.fromkeys(row["trace_id"] for row in few)
            bound += few[-1]["most"] if len(few) == _FEW else _NOTHING
        rows = self._rows(limit, f"s.trace_id IN ({_IDS})", b"".join(ids), json.dumps(list(range(len(ids)))))
        return rows if len(rows) > limit and rows[limit]["place"] > bound else None

    def _along(self, docs: Docs, limit: int, after: Place | None) -> tuple[list[sqlite3.Row], Place | None]:
        """Documents come by the second in which their trace began; a trace is listed at the first of its documents."""
        found: list[tuple[sqlite3.Row, int]] = []
        begin, seen = _LAST, set[bytes]()
        if after is not None and len(after) == 3:
            begin = after[2]
            before = list(docs.downwards(*span_docs.above(begin))) if self._roots else []
            seen = {row["trace_id"] for _, rows in self._in(before) for row in rows}
        elif after is not None:
            begin = span_docs.number(after[0] // 10**9 + 1, 0)
            self._where.add("(s.start, s.id) < (?, ?)", *after)
        following = docs.downwards(0, begin + 1)
        while len(found) <= limit and (some := list(islice(following, _SOME))):
            for doc, rows in self._in(some):
                if self._roots:  # a trace has one first span, and stands where its newest document does
                    rows = [row for row in rows if row["trace_id"] not in seen]  # noqa: PLW2901
                    seen |= {row["trace_id"] for row in rows}
                if after is not None and len(after) == 3 and doc == begin:
                    rows = [row for row in rows if row["id"] < after[1]]  # noqa: PLW2901
                found += ((row, doc) for row in rows)
        last = found[limit - 1] if len(found) > limit else None
        ordered = sorted((row for row, _ in found[:limit]), key=lambda row: (row["start"], row["id"]), reverse=True)
        return ordered, None if last is None else (last[0]["start"], last[0]["id"], last[1])

    def _in(self, docs: Sequence[int]) -> list[tuple[int, list[sqlite3.Row]]]:
        """What the conditions hold for, by document: its spans, or the first span of its trace."""
        row = f"(d.value & {span_docs.ROW})"
        where = f"s.trace_id = {span_docs.trace_of(row)}" if self._roots else span_docs.holds("s", row)
        hint = "INDEXED BY spans_identity" if self._roots else "NOT INDEXED"
        found: dict[int, list[sqlite3.Row]] = {doc: [] for doc in docs}
        for one in self._connection.execute(
            f"SELECT s.*, d.value AS doc FROM json_each(?) d CROSS JOIN spans s {hint} ON {where}"  # noqa: S608  as above
            f" WHERE {self._where.sql} ORDER BY s.id DESC",
            (json.dumps(docs), *([self._where.project] if self._roots else []), *self._where.values),
        ):
            found[one["doc"]].append(one)
        return list(found.items())


_LAST = 2**63 - 2
_SKEW = 600 * 10**9  # nanoseconds by which a span may seem to have begun before its trace
_REPORTS = "t.project = ? AND {} AND (t.input_tokens IS NOT NULL OR t.output_tokens IS NOT NULL OR t.cost IS NOT NULL)"
_REPORTING = (
    "spans t INDEXED BY spans_reporting WHERE " + _REPORTS.format("t.parent_id IS NOT NULL"),
    "spans t INDEXED BY spans_roots WHERE " + _REPORTS.format("t.root > 0 AND t.parent_id IS NULL"),
)
_NOTHING = 2  # what the sum of nothing is at most
_FEW = 2_000  # traces whose sums are worked out first
_IDS = "SELECT substr(?, 16 * j.value + 1, 16) FROM json_each(?) AS j"
_SOME = 64  # documents that are looked up together
