"""Spans at rest: what is asked for often in columns, all else in compressed chunks, texts in a full-text index.

Their own file, `spans.db`, so that a burst of spans never delays the exact records beside it. `synchronous=NORMAL` in WAL
mode: what `write` acknowledged survives a killed process, not always a power cut; after `harden`, which servers call, that too.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from afere.base.actor import OWNER, Actor
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadReference
from afere.base.filter import parse_filter
from afere.base.span import Span, Totals, Trace
from afere.store.access import Limited, require
from afere.store.database import Database
from afere.store.page import Page, check_limit, read_cursor, write_cursor
from afere.store.spans import dictionary as span_dictionary
from afere.store.spans import keep as span_keep
from afere.store.spans import labels as span_labels
from afere.store.spans import mark as span_mark
from afere.store.spans import scan as span_scan
from afere.store.spans import ties as span_ties
from afere.store.spans.archive import Archive
from afere.store.spans.archive import projects as archived_projects
from afere.store.spans.chunks import Chunks
from afere.store.spans.filter import Where, at_most, sorting
from afere.store.spans.joining import joined
from afere.store.spans.layout import MIGRATIONS
from afere.store.spans.listing import Listing, Run, runs
from afere.store.spans.rows import OUTLINE, Entry, outlined, preview, read_row
from afere.store.spans.scan import Glance
from afere.store.spans.sql import Taught, chunks_of
from afere.store.spans.stats import among, facets, period, statistics
from afere.store.spans.sums import Sums
from afere.store.spans.ties import Ran
from afere.store.spans.write import Writing

__all__ = ["SpanStore", "Loss", "MIGRATIONS"]


_PAGE_BYTES = 8192  # of a chunk of 2 kB, a page of SQLite's usual 4 kB would hold one, and half of it nothing
_CHECKPOINT_PAGES = 10_000  # SQLite's default of 1,000 makes ingestion several times slower
_CACHE_PAGES = 500  # 4 MB, of each connection
_SERVING_PAGES = 2_000  # 16 MB, where many come at once: a transaction that does not fit is written out twice
_DAY = 86_400 * 10**9  # nanoseconds
_LOSSES_KEPT = 1_000
_SAID_KEPT = 2 * _DAY  # that events wait for their span, or for it to be sent again


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
        self._sums = Sums()
        whole = Database(
            self.file, MIGRATIONS, synchronous="NORMAL", checkpoint_pages=_CHECKPOINT_PAGES, cache_pages=_CACHE_PAGES, page_bytes=_PAGE_BYTES,
            before=span_mark.look, after=span_mark.note, connection=Taught,
        )  # fmt: skip
        self._database = Limited(whole, actor, project, writing="ingest")

    def of(self, project: str, actor: Actor | None = None) -> SpanStore:
        """The same file for another project, and as somebody else sees it; closing one closes both."""
        other = copy(self)
        other.project, other._actor = project, actor or self._actor
        other._database = Limited(self._database.whole, other._actor, project, writing="ingest")
        return other

    def harden(self) -> None:
        """From now on what is written is on the disk when `write` returns, not only with the system; with room for large transactions."""
        self._database.whole.harden(cache_pages=_SERVING_PAGES)

    def write(self, spans: Sequence[Span]) -> None:
        """Keep the spans: one transaction, durable on return.

        The same span again replaces its earlier state; a "running" state never replaces a finished one.
        """
        self.put(spans)

    def put(self, spans: Sequence[Span | Entry]) -> None:
        """The same of spans that were brought into the form of this file before."""
        with self._database.write() as connection:
            Writing(connection, self.project, self._filterable).write(spans)

    def enter(self, spans: Sequence[Span | Entry]) -> None:
        """The same of spans that came from elsewhere. Some stay as they came, for who has read already what columns and indexes need.

        Where only spans below it say who used it and in which session, what begins a trace is found by that too.
        """
        with self._database.write() as connection:
            Writing(connection, self.project, self._filterable, lending=True).write(spans)

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
            for trace_id in dict.fromkeys(trace_ids):
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
                archived = self._archive.trace(prefix.ljust(32, "0"), prefix.ljust(32, "f"))
                return _archived(trace_id, archived, self.project)
            chunks = Chunks(connection)
            spans = [read_row(row, chunks.detail(row["chunk"], row["line"])) for row in rows]
        return Trace(found[0], joined(spans), self.project)

    def find(
        self, filter: str = "", *, limit: int = 50, cursor: str | None = None, roots: bool = True, sort: str = "start",
        brief: bool = False,
    ) -> Page[Span]:  # fmt: skip
        """Spans that match, newest first, with inputs and outputs cut to 300 characters of text, of spans below another to 120.

        sort: start, latency, cost or tokens, the largest first and what is unknown last. All but start look at all that match; a
        cursor goes on with the sort that it came from.
        roots=True: the first span of each trace. Then latency, status, user, session, environment and chain are asked of it,
        tokens and cost of the whole trace, and the others of any span in the trace.
        brief=True: quicker, from columns alone: without attributes (but of what runs), marks and finish reason, and of
        artifacts only the chain's reference, its hash left empty.
        """
        terms, key = parse_filter(filter).terms, sorting(sort, roots=roots)
        after = read_cursor(cursor, 2 if cursor is None else min(max(cursor.count("-") + 1, 2), 3))
        with self._database.read() as connection:
            chunks = chunks_of(connection)
            newest = sort == "start"
            where = Where(connection, self.project, roots=roots, leading=terms if newest else (), newest=newest)
            for term in terms:
                where.ask(term)
            bound = at_most(sort) if roots and not terms else None  # of few that match, looking at all is quicker
            listing = Listing(connection, where, key, roots=roots, at_most=bound)
            rows, following = listing.page(check_limit(limit), after)
            items = tuple(preview(row, chunks, brief=brief) for row in rows)
        return Page(items, write_cursor(*following) if following is not None else None)

    def runs(self, filter: str = "", *, limit: int = 50_000) -> list[Run]:
        """As `find` lists traces, newest first, but each as no more than its start, seconds, status, session and user."""
        with self._database.read() as connection:
            chunks_of(connection)
            where = Where(connection, self.project, roots=True)
            for term in parse_filter(filter).terms:
                where.ask(term)
            return runs(connection, where, check_limit(limit))

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

    def among(self, trace_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, int]]:
        """For each field (as for `stats`), its values among the spans of these traces (all 32 digits): in how many of them it stands.

        Of the traces in their order, at most 50,000 spans are looked at.
        """
        with self._database.read() as connection:
            return among(connection, self.project, trace_ids, fields)

    def outline(self, trace_id: str, *, limit: int = 1000, cursor: str | None = None) -> Page[Span]:
        """A page of the spans of one trace (all 32 digits) in order of start, without reading their contents.

        Inputs and outputs are cut to 300 characters of text, of spans below another to 120; attributes, events, messages and
        artifacts are left out: `span` has them. Marks are "orphan" only. Thirty thousand spans take some tenths of a second.
        """
        after = read_cursor(cursor, 2) or (-(2**63), 0)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT {OUTLINE} FROM spans s WHERE s.project = ? AND s.trace_id = ? AND (s.start, s.id) > (?, ?)"  # noqa: S608  our own words
                " ORDER BY s.start, s.id LIMIT ?",
                (self.project, bytes.fromhex(trace_id), *after, check_limit(limit) + 1),
            ).fetchall()
            chunks = Chunks(connection)
            items = tuple(outlined(row, chunks) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, write_cursor(last["start"], last["id"]) if last is not None else None)

    def span(self, trace_id: str, span_id: str) -> Span | None:
        """One span with all its contents, without reading the others of its trace; or None."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT * FROM spans WHERE project = ? AND trace_id = ? AND span_id = ?",
                (self.project, bytes.fromhex(trace_id), bytes.fromhex(span_id)),
            ).fetchone()
            return None if row is None else read_row(row, Chunks(connection).detail(row["chunk"], row["line"]))

    def totals(self, trace_ids: Iterable[str]) -> dict[str, Totals]:
        """The sums of each of these traces, as `Trace.totals`, without reading their contents.

        Asked again, a trace that did not change costs a look at its index.
        """
        with self._database.read() as connection:
            return self._sums.of(connection, self.project, list(trace_ids))

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

    def projects(self) -> list[str]:
        """The projects of this file that who asks may read, by name."""
        with self._database.whole.read() as connection:
            found = connection.execute("SELECT project FROM summary UNION SELECT project FROM losses").fetchall()
        return sorted(project for (project,) in found if self._actor.may("read", project))

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
        if gone:
            self._renew()
        return gone if cut is None else gone + self._archive.forget(cut)

    def archive(self, seconds: float) -> int:
        """Move the traces of whole days (UTC), without any span in the last `seconds`, into Parquet files beside `spans.db`.

        Needs the extra `parquet`. `trace`, erasing and `keep` reach them there, and counts by hour still have them; lists,
        filters and full text do not. Returns how many spans were moved.
        """
        require(self._actor, "admin", self.project)
        moved = 0
        with self._database.read() as connection:
            days = span_keep.closed_days(connection, self.project, time.time_ns() - int(seconds * 1e9))
        for day, traces in sorted(days.items()):
            self._archive.add(day, self._each(traces), {trace.hex() for trace in traces})
            for trace, state in traces.items():
                with self._database.write() as connection:
                    moved += span_keep.remove_as_it_was(connection, self.project, trace, state)
        if moved:
            self._renew()
        return moved

    def archived(self, filter: str = "") -> list[str]:
        """The closed days (2026-11-22, the newest first) of the period that a filter asks for: lists do not have their traces."""
        require(self._actor, "read", self.project)
        since, before = period(parse_filter(filter).terms)
        days = ((file.stem, from_rfc3339(f"{file.stem}T00:00:00Z")) for file in self._archive.days())
        return [day for day, begun in days if begun < before and begun + _DAY > since]

    def _each(self, traces: Iterable[bytes]) -> Iterator[Span]:
        for trace in traces:
            with self._database.read() as connection:
                yield from span_scan.of_trace(connection, self.project, trace)

    @property
    def _archive(self) -> Archive:
        return Archive(self.file.parent, self.project)

    def scan(self, since: int, until: int, *, most: int) -> Iterator[Span]:
        """The newest `most` spans that began between two moments (ns), whole, in no particular order."""
        with self._database.read() as connection:
            yield from span_scan.scan(connection, self.project, since, until, most)

    def place(self) -> int:
        """The place of the span that was written last, in whatever project; what is written later has a higher one."""
        with self._database.read() as connection:
            return span_scan.newest(connection)

    def newer(self, after: int, kinds: Sequence[str], *, since: int, most: int) -> tuple[list[Glance], int]:
        """At most `most` spans of these kinds behind a place, begun at `since` (ns) or later, as they came; the place reached."""
        with self._database.read() as connection:
            return span_scan.newer(connection, self.project, after, kinds, since, most)

    def glances(self, ids: Iterable[Sequence[str]]) -> list[Glance]:
        """Those of these spans, each a trace and a span id, that are here, as columns know them."""
        with self._database.read() as connection:
            return span_scan.glances(connection, self.project, ids)

    def at(self, places: Iterable[int]) -> list[Span | None]:
        """The spans at these places, whole; None for one that is gone."""
        with self._database.read() as connection:
            return span_scan.at(connection, self.project, places)

    def ran(self, keys: Iterable[str], *, limit: int = 20, since: int | None = None) -> Ran:
        """The newest traces in which any of these ran (hashes of artifacts) or was read (`document:ID`), and a count of all.

        With `since` (ns) only those that began then or later.
        """
        with self._database.read() as connection:
            return span_ties.ran(connection, self.project, keys, limit=check_limit(limit), since=since)

    def requests(self, since: int = 0) -> int:
        """How many traces began at `since` (ns) or later."""
        with self._database.read() as connection:
            return connection.execute(
                "SELECT count(*) FROM spans WHERE project = ? AND root > 0 AND start >= ?", (self.project, since)
            ).fetchone()[0]

    def traces_of(self, column: str, value: str) -> list[str]:
        """The ids of all traces of a user or session (columns `user`, `session`), or one by `trace_id`."""
        with self._database.read() as connection:
            here = [trace.hex() for trace in span_keep.traces_of(connection, self.project, column, value)]
            return list(dict.fromkeys([*here, *sorted(self._archive.traces_of(column, value))]))

    def count(self, trace_ids: Iterable[str]) -> int:
        """How many spans these traces have."""
        trace_ids = set(trace_ids)
        sql = "SELECT count(*) FROM spans WHERE project = ? AND trace_id = ?"
        with self._database.read() as connection:
            rows = (connection.execute(sql, (self.project, bytes.fromhex(one))).fetchone() for one in trace_ids)
            return sum(row[0] for row in rows) + self._archive.count(trace_ids)

    def erase(self, trace_ids: Iterable[str]) -> int:
        """Remove these traces so that their bytes are in no file any more; returns how many spans that were.

        The file is rewritten: that takes its size in free disk, and writers wait. So are closed days that have any of them.
        Counts of statistics stay.
        """
        trace_ids = set(trace_ids)
        with self._database.write() as connection:
            names = span_keep.names_in(self._archive.spans(), trace_ids)
            archived = self._archive.erase(trace_ids)
            gone = span_keep.erase(connection, self.project, [bytes.fromhex(one) for one in trace_ids], names)
            span_ties.drop_unused(connection, self.project)
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")  # words go when segments are merged
        self._database.scrub()
        return gone + archived

    def digests_in(self, trace_ids: Iterable[str]) -> set[str]:
        """The digests of blobs that these traces mention."""
        trace_ids = set(trace_ids)
        with self._database.read() as connection:
            here = span_keep.digests_in(connection, self.project, map(bytes.fromhex, trace_ids))
            return here | self._archive.digests(trace_ids)

    def still_mentioned(self, digests: set[str]) -> set[str]:
        """Which of these digests any span mentions, of whatever project."""
        with self._database.read() as connection:
            here = span_keep.still_mentioned(connection, digests)
        archives = [Archive(self.file.parent, project) for project in archived_projects(self.file.parent)]
        return here.union(*(one.digests() & digests for one in archives)) if digests else here

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _renew(self) -> None:
        more, going = True, None
        while more:
            with self._database.write() as connection:
                going = span_dictionary.renew(connection, self.project, going)
            more = going is not None

    def _bring_labels_up_to_date(self) -> None:
        with self._database.write() as connection:
            known = span_labels.declared(connection, self.project)
            span_labels.withdraw(connection, self.project, known.keys() - self._filterable)
            span_labels.declare(connection, self.project, self._filterable)
        more = True
        while more:
            with self._database.write() as connection:
                more = span_labels.look_through(connection, self.project)


def _archived(asked: str, found: Mapping[str, list[Span]], project: str) -> Trace | None:
    if len(found) > 1:
        raise BadReference(f"{asked!r} begins several traces: {', '.join(sorted(found)[:5])}. Give more digits.")
    for trace_id, spans in found.items():
        return Trace(trace_id, joined(sorted(spans, key=lambda span: span.start)), project)
    return None
