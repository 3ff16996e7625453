"""From decoded spans to the store: one writer with group commit. What it says is kept is durable."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import StoreFailed, WorldFailed
from afere.base.project import find_project
from afere.base.span import Span
from afere.tracing import dialects
from afere.tracing.otlp.batch import Batch, LogEvent
from afere.tracing.policy import Policy

if TYPE_CHECKING:
    from afere.store import Session
    from afere.store.spans import SpanStore

_log = logging.getLogger("afere.server")

_TOGETHER = 5_000  # spans of one transaction


class Full(WorldFailed):
    """The store cannot take it now; `wait` is after how many seconds to send it again."""

    def __init__(self, why: str, wait: int) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Kept:
    """What an answer tells: how many were refused, and why."""

    rejected: int = 0
    why: str = ""


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    project: str | None
    done: Future[Kept] = field(default_factory=Future[Kept])


class Writer:
    """Takes batches from any thread. One transaction keeps all that waits, for each project."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._policy = Policy.of(find_project(), content=True, redact=())
        self._thread = ThreadPoolExecutor(1, "afere-otlp-writer")
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._stores: dict[str, SpanStore] = {}
        self.accepted = self.refused = 0  # spans since this began

    @property
    def waiting(self) -> int:
        """Spans that nobody has begun to write."""
        with self._lock:
            return sum(item.batch.accepted for item in self._waiting)

    def refuse(self, count: int) -> None:
        """Count spans that were refused before they came here."""
        with self._lock:
            self.refused += count

    def understood(self, batch: Batch) -> Batch:
        """The batch with what its spans mean read into their fields, and without what must not rest."""
        for spans in batch.spans.values():
            for place, sent in enumerate(spans):
                spans[place] = self._policy.hidden(sent)
                _read(spans[place])
            dialects.pause_above(spans)
            spans[:] = [self._policy.apply(span, derived=True) for span in spans]
        for said in batch.events.values():
            said[:] = [replace(one, event=self._policy.event(one.event, one.scope)) for one in said]
        return batch

    def put(self, batch: Batch, project: str | None) -> Future[Kept]:
        """Keep it, in `project` where the request named one; the future ends when it is durable, or raises Full."""
        item = _Waiting(batch, project)
        with self._lock:
            self._waiting.append(item)
            first = len(self._waiting) == 1
        if first:
            self._thread.submit(self._drain)
        return item.done

    def _drain(self) -> None:
        while True:
            with self._lock:
                items, size = list[_Waiting](), 0
                while self._waiting and (not items or size < _TOGETHER):
                    items.append(self._waiting.pop(0))
                    size += items[-1].batch.accepted
            if not items:
                return
            # A sender that went away before this was not told anything.
            self._write([item for item in items if item.done.set_running_or_notify_cancel()])

    def _write(self, items: Sequence[_Waiting]) -> None:
        try:
            self._keep(items)
        except StoreFailed as error:
            _log.error("OTLP: %d requests are answered 503: %s", len(items), error)
            for item in items:
                item.done.set_exception(Full(str(error), 30 if _is_full(error) else 5))
        except Exception as error:
            if len(items) > 1:  # one of them; the others are kept
                for item in items:
                    self._write([item])
            else:
                _log.warning("OTLP: a batch is written span by span, since the whole failed: %s", error)
                self._one_by_one(items[0])
        else:
            for item in items:
                self._done(item)

    def _done(self, item: _Waiting, late: int = 0) -> None:
        """It is kept, but for what was refused; `late`: by the store."""
        with self._lock:
            self.accepted += item.batch.accepted - late
            self.refused += item.batch.rejected.total()
        item.done.set_result(Kept(item.batch.rejected.total(), item.batch.why))

    def _keep(self, items: Sequence[_Waiting]) -> None:
        spans: dict[str, list[Span]] = {}
        events: dict[str, list[LogEvent]] = {}
        for item in items:
            for named, found in item.batch.spans.items():
                spans.setdefault(self._project(item, named), []).extend(found)
            for named, said in item.batch.events.items():
                events.setdefault(self._project(item, named), []).extend(said)
        for project, said in events.items():
            self._store(project).say([(one.trace_id, one.span_id, one.event) for one in said])
        for project in {**spans, **events}:
            store = self._store(project)
            store.write(self._with_events(store, spans.get(project, []), events.get(project, [])))

    def _with_events(self, store: SpanStore, spans: list[Span], events: list[LogEvent]) -> list[Span]:
        """The spans, and those in the store that the events belong to, with all their events."""
        here = {(span.trace_id, span.span_id) for span in spans}
        traces = {span.trace_id for span in spans} | {event.trace_id for event in events}
        said = store.said(traces)
        if not said:
            return spans
        wanted = {(event.trace_id, event.span_id) for event in events} - here
        for trace_id in {trace_id for trace_id, _ in wanted}:
            trace = store.trace(trace_id)
            found = trace.spans if trace is not None else ()
            spans = [*spans, *(span for span in found if (span.trace_id, span.span_id) in wanted)]
        return [self._joined(span, said.get((span.trace_id, span.span_id), [])) for span in spans]

    def _joined(self, span: Span, events: Sequence[dict[str, Json]]) -> Span:
        missing = [event for event in events if event not in span.events]
        if not missing:
            return span
        span.marks = [mark for mark in span.marks if mark != "orphan"]  # the store finds out anew
        span.events = sorted([*span.events, *missing], key=_when)
        _read(span)
        return self._policy.apply(span, derived=True)

    def _one_by_one(self, item: _Waiting) -> None:
        refused: Counter[str] = Counter()
        for named, spans in item.batch.spans.items():
            for span in spans:
                try:
                    self._store(self._project(item, named)).write([span])
                except StoreFailed as error:
                    item.done.set_exception(Full(str(error), 5))
                    return
                except Exception as error:
                    refused[f"the store cannot keep it ({type(error).__name__})"] += 1
        item.batch.rejected.update(refused)
        self._done(item, refused.total())

    def _project(self, item: _Waiting, named: str | None) -> str:
        return item.project or named or self._session.project

    def _store(self, project: str) -> SpanStore:
        return self._session.spans if project == self._session.project else self._session.spans.of(project)


def _read(span: Span) -> None:
    try:
        dialects.read(span)
    except Exception:  # a form that no map foresaw: the span is kept as it came
        _log.exception("OTLP: what span %s/%s means could not be read", span.trace_id, span.span_id)


def _when(event: Json) -> str:
    return str(event.get("at")) if isinstance(event, dict) else ""


def _is_full(error: StoreFailed) -> bool:
    return isinstance(error.__cause__, sqlite3.Error) and error.__cause__.sqlite_errorname == "SQLITE_FULL"
