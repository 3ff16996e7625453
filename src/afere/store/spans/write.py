"""Writing spans: everything of one transaction is gathered, then inserted table by table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set
from operator import itemgetter
from typing import Any, cast

from afere.base.errors import BadInput
from afere.base.span import EXAMPLES, Span
from afere.store.database import insert_rows
from afere.store.spans import dictionary as span_dictionary
from afere.store.spans import docs as span_docs
from afere.store.spans import labels as span_labels
from afere.store.spans import ties as span_ties
from afere.store.spans.chunks import Chunking, Chunks, part
from afere.store.spans.docs import CHUNK_SPANS
from afere.store.spans.rollup import SAID, Shares
from afere.store.spans.rows import (
    AT,
    CIRCLE,
    COLUMNS,
    ENTRY,
    PREVIEW_BELOW,
    UNDER,
    Asked,
    Entry,
    detail,
    row_of,
    shorten,
)
from afere.store.spans.texts import joined, strings

_ID, _TRACE_ID = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{32}")
_FEW = 400  # parameters of one statement
_INSERT = f"INSERT OR REPLACE INTO spans (id, {', '.join(COLUMNS)})"


_SOME = 20  # traces looked for at once
_HERE = (  # question marks only
    f"WITH asked (trace) AS (VALUES {', '.join(['(?)'] * _SOME)})"  # noqa: S608
    " SELECT trace, (SELECT coalesce(c.doc, -1) FROM spans s LEFT JOIN chunks c ON c.id = s.chunk"
    " WHERE s.project = ? AND s.trace_id = trace LIMIT 1) AS doc FROM asked WHERE doc IS NOT NULL"
)
_THIS = "project = ? AND trace_id = ? AND span_id = ?"
_SHORTER = ", ".join(
    f"{name} = CASE WHEN length({name}) > {PREVIEW_BELOW} THEN substr({name}, 1, {PREVIEW_BELOW - 1}) || '…' ELSE {name} END"
    for name in ("input", "output")
)


class Writing:
    """The spans of one project in one transaction. Traces that are not here yet cost no look-up but that."""

    def __init__(
        self, connection: sqlite3.Connection, project: str, filterable: Set[str], *, lending: bool = False
    ) -> None:
        self._connection = connection
        self._lending = lending
        self._project = project
        self._shares = Shares(connection, project)
        self._labelled = _labelled(connection, project, filterable)
        self._chunking, self._chunks = Chunking(connection, project), Chunks(connection)
        self._span, self._chunk = _last(connection, "spans"), _last(connection, "chunks")
        self._new_chunks: list[tuple[int, bytes, int]] = []
        self._rows: list[list[Any]] = []
        self._docs: list[tuple[int, bytes]] = []
        self._labels: list[tuple[int, Asked]] = []
        self._ties: set[tuple[int, str]] = set()

    def write(self, spans: Iterable[Span | Entry]) -> None:
        """All of them; the same span again replaces its earlier state."""
        late: list[_Late] = []
        before, traces = self._chunk, _by_trace(spans)
        here = self._here(list(traces))
        for trace, members in traces.items():
            if trace not in here:
                present = {one.row[_SPAN_ID] for one in members}
                self._append(members, present, min(one.row[_START] for one in members) // 10**9)
                if not any(one.row[_ROOT] for one in members):  # they are below each other
                    min(members, key=_start_of).row[_ROOT] = CIRCLE
                if self._lending:
                    _lend(members)
                self._count(members)
            else:
                doc = here[trace]
                second = span_docs.second_of(doc) if doc is not None else members[0].row[_START] // 10**9
                late.append(self._join(trace, members, second))
        self._insert()
        for some in late:
            self._settle(some)
        self._shares.write()
        span_dictionary.learn(self._connection, self._project, before, self._chunk)

    def _here(self, traces: Sequence[bytes]) -> dict[bytes, int | None]:
        """Of which of the traces there are spans already, each with the document of one."""
        found: dict[bytes, int | None] = {}
        for first in range(0, len(traces), _SOME):
            some = [*traces[first : first + _SOME], *[b""] * _SOME][:_SOME]  # always as many: the same statement
            rows = self._connection.execute(_HERE, (*some, self._project))
            found.update((bytes(row["trace"]), row["doc"] if row["doc"] >= 0 else None) for row in rows)
        return found

    def _append(self, spans: Sequence[Entry], present: Set[bytes], second: int) -> None:
        """Gather spans of one trace, in chunks."""
        for first in range(0, len(spans), CHUNK_SPANS):
            part = spans[first : first + CHUNK_SPANS]
            self._chunk += 1
            doc = span_docs.number(second, self._span + 1)
            for line, one in enumerate(part):
                self._span += 1
                row = one.row
                row[0], row[1], row[_CHUNK], row[_LINE] = self._span, self._project, self._chunk, line
                row[_ROOT] = root = _root(one, present)
                if not root:
                    shorten(row)
                self._rows.append(row)
                for key in one.keys:
                    self._ties.add((doc, key))
            self._docs.append((doc, joined(one.texts for one in part)))
            self._new_chunks.append((self._chunk, self._chunking.encode([one.part for one in part]), doc))
            if self._labelled:
                self._labels += [(doc, one.attributes) for one in part]

    def _insert(self) -> None:
        insert_rows(self._connection, "INSERT INTO chunks (id, data, doc)", self._new_chunks)
        insert_rows(self._connection, _INSERT, self._rows)
        span_docs.insert(self._connection, self._docs)
        span_labels.insert(self._connection, self._project, self._labelled, self._labels)
        span_ties.insert(self._connection, self._project, self._ties)

    def _count(self, spans: Sequence[Entry]) -> None:
        """The shares of a trace that is all here."""
        rows = [one.row for one in spans]
        above = {row[_PARENT] for row in rows if _reports(row)}
        self._shares.count(
            (_said_of(row), row[_START], row[_SECONDS], _NOTHING if row[_SPAN_ID] in above else _sums_of(row))
            for row in rows
        )

    # spans of a trace of which some are here

    def _join(self, trace: bytes, spans: Sequence[Entry], second: int) -> _Late:
        named = {one.row[_SPAN_ID] for one in spans}
        named |= {above for one in spans for above in (one.row[_PARENT], _under(one)) if above is not None}
        known = self._known(trace, named)
        fresh = [
            one
            for one in spans
            if (row := known.get(one.row[_SPAN_ID])) is None or not _older(one.row[_STATUS], row["status"])
        ]
        late = _Late(trace, {one.row[_SPAN_ID] for one in fresh})
        replaced = [known[span_id] for span_id in late.fresh if span_id in known]
        moved = {bytes(row["parent_id"]) for row in replaced if row["parent_id"] is not None} - known.keys()
        known |= self._known(trace, moved)  # a span above it may count now
        for chunk in {row["chunk"] for row in replaced}:
            late.forgotten[chunk] = span_docs.forget(self._connection, chunk, self._chunks)
        late.circling = {bytes(row["span_id"]) for row in replaced if row["root"] == CIRCLE}
        late.changed = _replaced_or_above(known, replaced, fresh)
        self._shares.take(f"s.id IN ({_ids(late.changed)})", ())
        before = self._span
        self._append(fresh, known.keys() | late.fresh, second)
        late.rows = (before, self._span)
        late.lent = _lend(fresh) if self._lending and fresh else {}
        return late

    def _known(self, trace: bytes, span_ids: Iterable[bytes]) -> dict[bytes, sqlite3.Row]:
        found: dict[bytes, sqlite3.Row] = {}
        wanted = list(span_ids)
        for first in range(0, len(wanted), _FEW):
            some = wanted[first : first + _FEW]
            marks = ", ".join("?" * len(some))
            rows = self._connection.execute(
                "SELECT id, span_id, parent_id, root, status, chunk, coalesce(input_tokens, output_tokens, cost) IS NOT NULL AS reports"  # noqa: S608  question marks only
                f" FROM spans WHERE project = ? AND trace_id = ? AND span_id IN ({marks})",
                (self._project, trace, *some),
            )
            found.update((bytes(row["span_id"]), row) for row in rows)
        return found

    def _settle(self, late: _Late) -> None:
        """What can only be said once the spans are written."""
        self._shares.add(f"s.id IN ({_ids(late.changed)}) OR (s.id > ? AND s.id <= ?)", late.rows)
        self._adopt(late)
        self._mark_circles(late)
        self._lend_late(late)
        for chunk, doc in late.forgotten.items():
            gone = self._connection.execute(
                "DELETE FROM chunks WHERE id = ? AND NOT EXISTS"
                " (SELECT 1 FROM spans WHERE project = ? AND trace_id = ? AND chunk = chunks.id)",
                (chunk, self._project, late.trace),
            ).rowcount
            if not gone and doc is not None:
                self._index_again(chunk, doc)

    def _adopt(self, late: _Late) -> None:
        """Spans that came before their parent no longer begin anything."""
        waiting = "project = ? AND trace_id = ? AND root > 1"
        if not self._connection.execute(
            f"SELECT 1 FROM spans INDEXED BY spans_waiting WHERE {waiting} LIMIT 1",  # noqa: S608  our own words
            (self._project, late.trace),
        ).fetchone():
            return
        for span_id in late.fresh:
            adopted = self._connection.execute(
                f"UPDATE spans INDEXED BY spans_waiting SET root = 0, {_SHORTER} WHERE {waiting} AND parent_id = ?",  # noqa: S608  as above
                (self._project, late.trace, span_id),
            ).rowcount
            if adopted:
                late.circling.add(span_id)

    def _mark_circles(self, late: _Late) -> None:
        """Of spans that are below each other one begins what we see."""
        for span_id in late.circling:
            if self._circles(late.trace, span_id):
                self._connection.execute(
                    f"UPDATE spans SET root = {CIRCLE} WHERE {_THIS}",  # noqa: S608  our own words
                    (self._project, late.trace, span_id),
                )

    def _circles(self, trace: bytes, span_id: bytes) -> bool:
        """Whether a span is below itself."""
        seen, at = set[bytes](), span_id
        while at not in seen:
            seen.add(at)
            row = self._connection.execute(
                f"SELECT parent_id FROM spans WHERE {_THIS}",  # noqa: S608  our own words
                (self._project, trace, at),
            ).fetchone()
            if row is None or row["parent_id"] is None:
                return False
            at = bytes(row["parent_id"])
        return at == span_id

    def _lend_late(self, late: _Late) -> None:
        """As `_lend`, between spans that are here and those that joined them."""
        of_trace = (self._project, late.trace)
        for name, said in late.lent.items():
            if said is None:
                row = self._connection.execute(
                    f"SELECT {name} FROM spans WHERE project = ? AND trace_id = ? AND {name} IS NOT NULL ORDER BY start LIMIT 1",  # noqa: S608  our own columns
                    of_trace,
                ).fetchone()
            else:
                row = (said,)
                if self._connection.execute(
                    f"SELECT 1 FROM spans INDEXED BY spans_{name} WHERE project = ? AND {name} = ? AND root > 0 AND root < 3 AND trace_id = ?",  # noqa: S608  our own columns
                    (self._project, said, late.trace),
                ).fetchone():
                    continue
            if row is not None:
                self._connection.execute(
                    f"UPDATE spans SET {name} = ? WHERE project = ? AND trace_id = ? AND root > 0 AND {name} IS NULL",  # noqa: S608  our own columns
                    (row[0], *of_trace),
                )

    def _index_again(self, chunk: int, doc: int) -> None:
        span_docs.again(self._connection, doc, chunk, self._chunks)
        rows = self._connection.execute(
            f"SELECT line FROM spans WHERE {span_docs.ROWS} AND chunk = ?",  # noqa: S608  as above
            (*span_docs.rows_of(doc), chunk),
        ).fetchall()
        details = [self._chunks.detail(chunk, row["line"]) for row in rows]
        span_ties.insert(self._connection, self._project, [(doc, key) for key in span_ties.of_lines(details)])
        said = [(doc, self._chunks.attributes(chunk, row["line"])) for row in rows] if self._labelled else []
        span_labels.insert(self._connection, self._project, self._labelled, said)


class _Late:
    """Spans that join a trace, between being gathered and being settled."""

    def __init__(self, trace: bytes, fresh: set[bytes]) -> None:
        self.trace, self.fresh = trace, fresh
        self.forgotten: dict[int, int | None] = {}  # chunk -> document that was taken out of the index
        self.changed: set[int] = set()  # rows that count otherwise afterwards
        self.circling: set[bytes] = set()  # spans that may be below themselves
        self.rows: tuple[int, int] = (0, 0)  # the new rows: after the first, up to the second
        self.lent: dict[str, Any] = {}  # what `_lend` found


_SPAN_ID, _PARENT, _START, _SECONDS = (AT[name] for name in ("span_id", "parent_id", "start", "seconds"))
_STATUS, _TRACE = AT["status"], AT["trace_id"]
_said_of = itemgetter(*(AT[name] for name in SAID))
_IN, _OUT, _COST = (AT[name] for name in ("input_tokens", "output_tokens", "cost"))
_sums_of = itemgetter(_IN, _OUT, _COST)
_ROOT, _CHUNK, _LINE = (AT[name] for name in ("root", "chunk", "line"))
_WHO = [(name, AT[name]) for name in ("user", "session")]
_NOTHING = (None, None, None)


def check_ids(span: Span) -> None:
    """BadInput for ids that are none."""
    if not (
        _TRACE_ID.fullmatch(span.trace_id)
        and _ID.fullmatch(span.span_id)
        and (span.parent_id is None or _ID.fullmatch(span.parent_id))
    ):
        raise _no_id(span)


def entry_of(span: Span) -> Entry:
    """A span as it is written; BadInput for ids that are none."""
    check_ids(span)
    details, said, parent = detail(span), span.attributes, span.parent_id
    trace, span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
    return Entry(
        row_of(trace, span_id, bytes.fromhex(parent) if parent else None, span), part(details), () if span.status == "running" else strings(details),
        span_ties.keys(span.artifacts, span.documents, said.get(EXAMPLES)), said, cast("Any", said.get(UNDER)), said.get(ENTRY) is True,
    )  # fmt: skip


def _reports(row: Sequence[Any]) -> bool:
    return row[_PARENT] is not None and (row[_IN] is not None or row[_OUT] is not None or row[_COST] is not None)


def _labelled(connection: sqlite3.Connection, project: str, filterable: Set[str]) -> dict[str, int]:
    labelled = span_labels.declared(connection, project)
    if new := filterable - labelled.keys():
        span_labels.declare(connection, project, new)
        labelled = span_labels.declared(connection, project)
    return labelled


def _last(connection: sqlite3.Connection, table: str) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return cast("int", row["seq"]) if row is not None else 0


def _by_trace(spans: Iterable[Span | Entry]) -> dict[bytes, list[Entry]]:
    """The latest state of each span, by trace."""
    by_trace: dict[bytes, dict[bytes, Entry]] = {}
    for one in spans:
        entry = one if isinstance(one, Entry) else entry_of(one)
        members = by_trace.setdefault(entry.row[_TRACE], {})
        known = members.get(entry.row[_SPAN_ID])
        if known is None or not _older(entry.row[_STATUS], known.row[_STATUS]):
            members[entry.row[_SPAN_ID]] = entry
    return {trace: list(members.values()) for trace, members in by_trace.items()}


def _no_id(span: Span) -> BadInput:
    asked = ((span.trace_id, _TRACE_ID, 32), (span.span_id, _ID, 16), (span.parent_id, _ID, 16))
    value, digits = next(
        (value, digits) for value, form, digits in asked if value is not None and not form.fullmatch(value)
    )
    return BadInput(f"Span {span.name!r}: {value!r} is not an id of {digits} hex digits.")


def _start_of(one: Entry) -> int:
    return one.row[_START]


def _lend(spans: Sequence[Entry]) -> dict[str, Any]:
    """What begins a trace is given the user and the session that only spans below it say, as where a web framework made it.

    Returns by column what they say, and None where one that begins needs what no other of them says.
    """
    found: dict[str, Any] = {}
    for name, at in _WHO:
        said = [one.row for one in spans if one.row[at] is not None]
        if len(said) == len(spans):
            found[name] = said[0][at]
            continue
        lacking = [one.row for one in spans if one.row[at] is None and one.row[_ROOT]]
        if said:
            found[name] = min(said, key=itemgetter(_START))[at]
            for row in lacking:
                row[at] = found[name]
        elif lacking:
            found[name] = None
    return found


def _older(status: str, known: str) -> bool:
    return status == "running" and known != "running"


def _under(one: Entry) -> bytes | None:
    return bytes.fromhex(one.under) if isinstance(one.under, str) and _ID.fullmatch(one.under) else None


def _replaced_or_above(
    known: Mapping[bytes, sqlite3.Row], replaced: Iterable[sqlite3.Row], fresh: Sequence[Entry]
) -> set[int]:
    """Rows whose tokens may count otherwise once the fresh spans are written: theirs, and those right above them."""
    rows = {row["id"]: row for row in replaced}
    above = {bytes(row["parent_id"]) for row in rows.values() if row["reports"] and row["parent_id"] is not None}
    above |= {one.row[_PARENT] for one in fresh if _reports(one.row)}
    return rows.keys() | {row["id"] for parent in above if (row := known.get(parent)) is not None and row["reports"]}


def _ids(rows: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(rows))) or "0"


def _root(one: Entry, present: Set[bytes]) -> int:
    """1: it has no parent. 2: its parent is in another process. 3: its parent is not here, or not yet. 0: neither. (See CIRCLE.)"""
    parent = one.row[_PARENT]
    if parent is None:
        return 1
    if parent in present or (one.under is not None and _under(one) in present):
        return 0
    return 2 if one.begins else 3
