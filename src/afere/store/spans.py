"""Spans at rest: what is asked for often in columns, all else in compressed chunks, texts in a full-text index.

Their own file, `spans.db`, so that a burst of spans never delays the exact records beside it. `synchronous=NORMAL` in WAL
mode: what `write` acknowledged survives a killed process, not always a power cut.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from afere.base.actor import OWNER, Actor
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadInput, BadReference
from afere.base.filter import parse_filter
from afere.base.span import Span, Totals, Trace, totals
from afere.store import span_keep, span_labels, span_scan
from afere.store.access import Limited
from afere.store.database import Database
from afere.store.page import Page, check_limit, read_cursor, write_cursor
from afere.store.span_filter import Where, register, sorting
from afere.store.span_rollup import LAYOUT as ROLLUP
from afere.store.span_rollup import Shares, count_all
from afere.store.span_rows import COLUMNS, Chunks, cells, detail, encode, forget_texts, preview, read_row, texts
from afere.store.span_stats import facets, statistics

# Attributes that say how a span hangs together where its parent is not one of ours.
ENTRY = "afere.entry"  # true: its parent lives in another process or belongs to other tracing; it begins what we see
PROCESS, HOST = "process.pid", "host.name"  # who runs a root, so that a crash can be told from a long run
UNDER = "afere.under"  # the nearest span of ours above it, when a foreign span stands between

_CHECKPOINT_PAGES = 20_000  # SQLite's default of 1,000 makes ingestion several times slower
_CHUNK_SPANS = 128  # at most in one chunk, so that one span of a huge trace is read without all of it
_LOSSES_KEPT = 1_000
_SAID_KEPT = 2 * 86_400 * 10**9  # nanoseconds that events wait for their span, or for it to be sent again


def _first_layout(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{name} {declared}" for name, declared in COLUMNS.items())
    for statement in (
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL)",
        f"CREATE TABLE spans (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})",
        "CREATE UNIQUE INDEX spans_identity ON spans (project, trace_id, span_id)",
        "CREATE INDEX spans_start ON spans (project, start)",
        "CREATE INDEX spans_roots ON spans (project, start) WHERE root > 0",
        "CREATE INDEX spans_errors ON spans (project, start) WHERE status = 'error'",
        "CREATE INDEX spans_user ON spans (project, user, start) WHERE root > 0 AND user IS NOT NULL",
        "CREATE INDEX spans_session ON spans (project, session, start) WHERE root > 0 AND session IS NOT NULL",
        "CREATE INDEX spans_model ON spans (project, model, start) WHERE model IS NOT NULL",
        "CREATE VIRTUAL TABLE texts USING fts5 (input, output, content='', tokenize='unicode61 remove_diacritics 2')",
        "CREATE TABLE losses (at INTEGER NOT NULL, project TEXT NOT NULL, count INTEGER NOT NULL, why TEXT NOT NULL)",
    ):
        connection.execute(statement)


def _second_layout(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE said (project TEXT NOT NULL, trace_id BLOB NOT NULL, span_id BLOB NOT NULL, digest BLOB NOT NULL,
            came INTEGER NOT NULL, event TEXT NOT NULL,
            PRIMARY KEY (project, trace_id, span_id, digest)) WITHOUT ROWID"""
    )
    connection.execute("CREATE INDEX said_came ON said (came)")


def _third_layout(connection: sqlite3.Connection) -> None:
    for statement in (*ROLLUP, *span_labels.LAYOUT):
        connection.execute(statement)
    count_all(connection)


MIGRATIONS = (_first_layout, _second_layout, _third_layout)


@dataclass(frozen=True, slots=True)
class Loss:
    """Spans that never reached the store, and why; written as soon as the store could be written again."""

    at: str
    count: int
    why: str

    def to_json(self) -> Json:
        return {"at": self.at, "count": self.count, "why": self.why}


class SpanStore:
    """The spans of one project. Threads may share it; several processes may have the same file open."""

    def __init__(self, folder: Path, project: str, *, filterable: Iterable[str] = (), actor: Actor = OWNER) -> None:
        self.file = folder / "spans.db"
        self.project = project
        self._actor = actor
        self._filterable = frozenset(filterable)
        whole = Database(self.file, MIGRATIONS, synchronous="NORMAL", checkpoint_pages=_CHECKPOINT_PAGES)
        self._database = Limited(whole, actor, project, writing="ingest")

    def of(self, project: str, actor: Actor | None = None) -> SpanStore:
        """The same file for another project, and as somebody else sees it; closing one closes both."""
        other = copy(self)
        other.project, other._actor = project, actor or self._actor
        other._database = Limited(self._database.whole, other._actor, project, writing="ingest")
        return other

    def write(self, spans: Sequence[Span]) -> None:
        """Keep the spans: one transaction, durable on return.

        The same span again replaces its earlier state; a "running" state never replaces a finished one.
        """
        latest: dict[tuple[str, str], Span] = {}
        for span in spans:
            _check_ids(span)
            known = latest.get((span.trace_id, span.span_id))
            if known is None or not _older(span, known.status):
                latest[span.trace_id, span.span_id] = span
        by_trace: dict[str, list[Span]] = {}
        for span in latest.values():
            by_trace.setdefault(span.trace_id, []).append(span)
        with self._database.write() as connection:
            newest = connection.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()[0]
            shares = Shares(connection, self.project)
            labelled = span_labels.declared(connection, self.project)
            if new := self._filterable - labelled.keys():
                span_labels.declare(connection, self.project, new)
                labelled = span_labels.declared(connection, self.project)
            for trace_id, members in by_trace.items():
                self._write_trace(connection, bytes.fromhex(trace_id), members, shares, labelled)
            shares.add("s.id > ?", (newest,))  # ids only grow, and nobody else writes now
            shares.write()

    def say(self, events: Iterable[tuple[str, str, Mapping[str, Json]]]) -> None:
        """Keep events of spans, (trace id, span id, event), that may come later than they, or be sent again: durable on return.

        They wait for two days; `said` has them, and who writes the span puts them into it.
        """
        now = time.time_ns()
        with self._database.write() as connection:
            connection.execute("DELETE FROM said WHERE came < ?", (now - _SAID_KEPT,))
            for trace_id, span_id, event in events:
                text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)
                digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
                connection.execute(
                    "INSERT OR IGNORE INTO said VALUES (?, ?, ?, ?, ?, ?)",
                    (self.project, bytes.fromhex(trace_id), bytes.fromhex(span_id), digest, now, text),
                )

    def said(self, trace_ids: Iterable[str]) -> dict[tuple[str, str], list[dict[str, Json]]]:
        """The events that were kept for spans of these traces, by trace and span id."""
        found: dict[tuple[str, str], list[dict[str, Json]]] = {}
        with self._database.read() as connection:
            if connection.execute("SELECT 1 FROM said LIMIT 1").fetchone() is None:
                return found
            for trace_id in trace_ids:
                for row in connection.execute(
                    "SELECT span_id, event FROM said WHERE project = ? AND trace_id = ?",
                    (self.project, bytes.fromhex(trace_id)),
                ):
                    found.setdefault((trace_id, bytes(row["span_id"]).hex()), []).append(json.loads(row["event"]))
        return found

    def trace(self, trace_id: str) -> Trace | None:
        """A whole trace with all contents, or None. A prefix of at least 6 digits will do if only one trace has it.

        A span whose parent is unknown hangs under the nearest known one, else is marked "orphan".
        """
        prefix = trace_id.strip().lower()
        if re.fullmatch("[0-9a-f]{6,32}", prefix) is None:
            raise BadReference(f"{trace_id!r} is not a trace: give its 32 hex digits, or at least the first 6.")
        low, high = (bytes.fromhex(prefix.ljust(32, filler)) for filler in "0f")
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM spans WHERE project = ? AND trace_id BETWEEN ? AND ? ORDER BY start, id",
                (self.project, low, high),
            ).fetchall()
            found = sorted({bytes(row["trace_id"]).hex() for row in rows})
            if len(found) > 1:
                raise BadReference(f"{trace_id!r} begins several traces: {', '.join(found[:5])}. Give more digits.")
            if not rows:
                return None
            chunks = Chunks(connection)
            spans = [read_row(row, chunks.detail(row["chunk"], row["line"])) for row in rows]
        return Trace(found[0], _joined(spans), self.project)

    def find(
        self, filter: str = "", *, limit: int = 50, cursor: str | None = None, roots: bool = True, sort: str = "start"
    ) -> Page[Span]:
        """Spans that match, newest first, with inputs and outputs cut to 300 characters of text.

        sort: start, latency or cost, the largest first and what is unknown last. The latter two look at all that match; a
        cursor goes on with the sort that it came from.
        roots=True: the first span of each trace. Then latency, status, user, session, environment and chain are asked of it,
        tokens and cost of the whole trace, and the others of any span in the trace.
        """
        terms, after, key = parse_filter(filter).terms, read_cursor(cursor, 2), sorting(sort, roots=roots)
        with self._database.read() as connection:
            chunks = register(connection)
            where = Where(connection, self.project, roots=roots)
            for term in terms:
                where.ask(term)
            if after is not None:
                where.add(f"({key}, s.id) < (?, ?)", *after)
            rows = connection.execute(
                f"SELECT s.*, {key} AS place FROM {where.source} WHERE {where.sql} ORDER BY {key} DESC, s.id DESC LIMIT ?",  # noqa: S608  all text of users is in parameters
                (*where.values, check_limit(limit) + 1),
            ).fetchall()
            items = tuple(preview(row, chunks.detail(row["chunk"], row["line"])) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, write_cursor(last["place"], last["id"]) if last is not None else None)

    def stats(self, filter: str = "", *, by: Sequence[str] = ()) -> list[dict[str, Json]]:
        """Count, errors, p50, p95 and p99 of seconds, tokens and cost (US dollars) of the spans that match, grouped by `by`.

        Tokens and cost count once: a span counts only if none directly below it reports its own. Unknown is None.
        Asked for no more than name, kind, model, status and time, the answer comes from counts by hour: the quantiles are
        then within 2 % of the true ones (QUANTILE_ERROR), and what was erased still counts. Else from the spans, exactly.
        """
        terms = parse_filter(filter).terms
        with self._database.read() as connection:
            return statistics(connection, self.project, terms, by)

    def facets(
        self, filter: str = "", fields: Sequence[str] = ("kind", "model", "status"), *, top: int = 10
    ) -> dict[str, list[dict[str, Json]]]:
        """For each field (as for `stats`), its most frequent values among the spans that match: value and count."""
        terms = parse_filter(filter).terms
        with self._database.read() as connection:
            return facets(connection, self.project, terms, fields, check_limit(top))

    def totals(self, trace_ids: Iterable[str]) -> dict[str, Totals]:
        """The sums of each of these traces, as `Trace.totals`, without reading their contents."""
        found: dict[str, Totals] = {}
        with self._database.read() as connection:
            for trace_id in trace_ids:
                rows = connection.execute(
                    "SELECT * FROM spans WHERE project = ? AND trace_id = ?", (self.project, bytes.fromhex(trace_id))
                ).fetchall()
                found[trace_id] = totals([read_row(row, {}) for row in rows])
        return found

    def lost(self, count: int, why: str) -> None:
        """Note that this many spans never arrived."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO losses VALUES (?, ?, ?, ?)", (time.time_ns(), self.project, count, why[:1000])
            )
            connection.execute("DELETE FROM losses WHERE rowid <= (SELECT max(rowid) FROM losses) - ?", (_LOSSES_KEPT,))

    def losses(self) -> list[Loss]:
        """What was lost, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM losses WHERE project = ? ORDER BY rowid DESC", (self.project,)
            ).fetchall()
        return [Loss(rfc3339(row["at"]), row["count"], row["why"]) for row in rows]

    # keeping and erasing

    def keep(self, seconds: float | None = None) -> int:
        """Remove traces without any span in the last `seconds`; None keeps all. Returns how many spans went.

        In small steps, so that writers go on. It also looks through earlier spans for attributes newly declared filterable,
        and drops what is declared no longer.
        """
        self._bring_labels_up_to_date()
        gone = 0
        cut = None if seconds is None else time.time_ns() - int(seconds * 1e9)
        place: span_keep.Place | None = (-(2**63), 0)
        while cut is not None and place is not None:
            with self._database.write() as connection:
                removed, place = span_keep.remove_old(connection, self.project, cut, place)
            gone += removed
        return gone

    def scan(self, since: int, until: int, *, most: int) -> Iterator[Span]:
        """The newest `most` spans that began between two moments (ns), whole, in no particular order."""
        with self._database.read() as connection:
            yield from span_scan.scan(connection, self.project, since, until, most)

    def traces_of(self, column: str, value: str) -> list[str]:
        """The ids of all traces of a user or session (columns `user`, `session`), or one by `trace_id`."""
        with self._database.read() as connection:
            return [trace.hex() for trace in span_keep.traces_of(connection, self.project, column, value)]

    def count(self, trace_ids: Iterable[str]) -> int:
        """How many spans these traces have."""
        sql = "SELECT count(*) FROM spans WHERE project = ? AND trace_id = ?"
        with self._database.read() as connection:
            return sum(
                connection.execute(sql, (self.project, bytes.fromhex(trace_id))).fetchone()[0] for trace_id in trace_ids
            )

    def erase(self, trace_ids: Iterable[str]) -> int:
        """Remove these traces so that their bytes are in no file any more; returns how many spans that were.

        The file is rewritten: that takes its size in free disk, and writers wait. Counts of statistics stay.
        """
        with self._database.write() as connection:
            gone = span_keep.erase(connection, self.project, [bytes.fromhex(trace_id) for trace_id in trace_ids])
            connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")  # words go when segments are merged
        self._database.scrub()
        return gone

    def digests_in(self, trace_ids: Iterable[str]) -> set[str]:
        """The digests of blobs that these traces mention."""
        with self._database.read() as connection:
            return span_keep.digests_in(connection, self.project, map(bytes.fromhex, trace_ids))

    def still_mentioned(self, digests: set[str]) -> set[str]:
        """Which of these digests any span mentions, of whatever project."""
        with self._database.read() as connection:
            return span_keep.still_mentioned(connection, digests)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _bring_labels_up_to_date(self) -> None:
        with self._database.write() as connection:
            known = span_labels.declared(connection, self.project)
            span_labels.withdraw(connection, self.project, known.keys() - self._filterable)
            span_labels.declare(connection, self.project, self._filterable)
        more = True
        while more:
            with self._database.write() as connection:
                more = span_labels.look_through(connection, self.project)

    def _write_trace(
        self,
        connection: sqlite3.Connection,
        trace_id: bytes,
        spans: list[Span],
        shares: Shares,
        labelled: Iterable[str],
    ) -> None:
        known = {
            bytes(row["span_id"]): row
            for row in connection.execute(
                "SELECT id, span_id, parent_id, root, status, chunk, line,"
                " coalesce(input_tokens, output_tokens, cost) IS NOT NULL AS reports FROM spans WHERE trace_id = ? AND project = ?",
                (trace_id, self.project),
            )
        }
        earlier: dict[int, int] = {}  # row -> chunk, of what is replaced
        fresh: list[Span] = []
        chunks = Chunks(connection)
        for span in spans:
            row = known.get(bytes.fromhex(span.span_id))
            if row is not None:
                if _older(span, row["status"]):
                    continue
                forget_texts(connection, row, chunks)
                earlier[row["id"]] = row["chunk"]
            fresh.append(span)
        span_labels.delete(connection, earlier)
        changed = _ids(_replaced_or_above(known, fresh)) if known else "0"
        shares.take(f"s.id IN ({changed})", ())
        present = {span_id.hex() for span_id in known} | {span.span_id for span in fresh}
        for first in range(0, len(fresh), _CHUNK_SPANS):
            self._write_chunk(connection, fresh[first : first + _CHUNK_SPANS], present, labelled)
        shares.add(f"s.id IN ({changed})", ())  # those that are still there
        _adopt(connection, known.values(), {bytes.fromhex(span.span_id) for span in fresh})
        for chunk in set(earlier.values()):
            connection.execute(
                "DELETE FROM chunks WHERE id = ? AND NOT EXISTS"
                " (SELECT 1 FROM spans WHERE trace_id = ? AND chunk = chunks.id)",
                (chunk, trace_id),
            )

    def _write_chunk(
        self, connection: sqlite3.Connection, spans: Sequence[Span], present: Set[str], labelled: Iterable[str]
    ) -> None:
        details = [detail(span) for span in spans]
        chunk = connection.execute("INSERT INTO chunks (data) VALUES (?)", (encode(details),)).lastrowid
        marks = ", ".join("?" for _ in COLUMNS)
        rows: list[tuple[int, Mapping[str, Json]]] = []
        for line, span in enumerate(spans):
            row = connection.execute(
                f"INSERT OR REPLACE INTO spans ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608  names of our own columns
                cells(span, project=self.project, root=_root(span, present), chunk=chunk, line=line),
            ).lastrowid
            said = texts(details[line])
            if span.status != "running" and any(said):
                connection.execute("INSERT INTO texts (rowid, input, output) VALUES (?, ?, ?)", (row, *said))
            rows.append((cast("int", row), span.attributes))
        span_labels.insert(connection, self.project, labelled, rows)


def _replaced_or_above(known: Mapping[bytes, sqlite3.Row], fresh: Sequence[Span]) -> set[int]:
    """Rows whose tokens may count otherwise once the fresh spans are written: theirs, and those right above them."""
    replaced = [row for span in fresh if (row := known.get(bytes.fromhex(span.span_id))) is not None]
    above = {row["parent_id"] for row in replaced if row["reports"]}
    above |= {
        bytes.fromhex(span.parent_id)
        for span in fresh
        if span.parent_id is not None and (span.input_tokens, span.output_tokens, span.cost) != (None, None, None)
    }
    return {row["id"] for row in replaced} | {
        row["id"] for parent in above if (row := known.get(parent)) is not None and row["reports"]
    }


def _ids(rows: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(rows))) or "0"


def _root(span: Span, present: Set[str]) -> int:
    """1: it has no parent. 2: its parent is in another process. 3: its parent is not here, or not yet. 0: neither."""
    if span.parent_id is None:
        return 1
    if span.parent_id in present or span.attributes.get(UNDER) in present:
        return 0
    return 2 if span.attributes.get(ENTRY) is True else 3


def _adopt(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row], fresh: Set[bytes]) -> None:
    """Spans that came before their parent no longer begin anything."""
    for row in rows:
        if row["root"] > 1 and row["parent_id"] is not None and bytes(row["parent_id"]) in fresh:
            connection.execute("UPDATE spans SET root = 0 WHERE id = ?", (row["id"],))


def died(span: Span) -> bool:
    """Whether a span says "running" though the process that ran it, on this host, is no more."""
    pid = span.attributes.get(PROCESS)
    if span.status != "running" or not isinstance(pid, int) or span.attributes.get(HOST) != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _check_ids(span: Span) -> None:
    parent = span.parent_id
    for value, digits in ((span.trace_id, 32), (span.span_id, 16), (parent if parent is not None else "0" * 16, 16)):
        if re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is None:
            raise BadInput(f"Span {span.name!r}: {value!r} is not an id of {digits} hex digits.")


def _older(span: Span, known: str) -> bool:
    return span.status == "running" and known != "running"


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    known: Mapping[str, Span] = {span.span_id: span for span in spans}
    joined: list[Span] = []
    for span in spans:
        if span.parent_id is not None and span.parent_id not in known and span.attributes.get(ENTRY) is not True:
            above = span.attributes.get(UNDER)
            if isinstance(above, str) and above in known:
                span = replace(span, parent_id=above)  # noqa: PLW2901
            elif "orphan" not in span.marks:
                span = replace(span, marks=[*span.marks, "orphan"])  # noqa: PLW2901
        joined.append(span)
    return tuple(joined)
