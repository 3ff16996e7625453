"""From decoded spans to the store: one writer with group commit. What it says is kept is durable."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from afere.base.canonical import Json
from afere.base.errors import StoreFailed, WorldFailed
from afere.base.project import find_project
from afere.base.span import Span
from afere.store.spans.rows import AT, Entry
from afere.tracing import dialects, otlp
from afere.tracing.dialects import doubled
from afere.tracing.otlp import Batch, Form, LogEvent, Malformed, TooMuch
from afere.tracing.otlp.kept import read
from afere.tracing.otlp.quick import Quick
from afere.tracing.policy import Policy

if TYPE_CHECKING:
    from afere.store import Session
    from afere.store.spans.store import SpanStore

_log = logging.getLogger("afere.server")

_TOGETHER = 5_000  # spans of one transaction
_PART = 1_000  # of a larger request: others wait for so many at most


class Full(WorldFailed):
    """The store cannot take it now; `wait` is after how many seconds to send it again."""

    def __init__(self, why: str, wait: int) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Kept:
    """What an answer tells: how many were refused, and why; and how many were not."""

    rejected: int = 0
    why: str = ""
    accepted: int = 0
    ours: bool = False  # see Batch


Item: TypeAlias = Span | Entry


@dataclass(slots=True)
class _Waiting:
    read: Callable[[], Batch[Item]]
    project: str | None
    batch: Batch[Item] = field(default_factory=Batch[Item])  # once it is read
    done: Future[Kept] = field(default_factory=Future[Kept])


class Writer:
    """Takes batches, and bodies to be read, from any thread. One transaction keeps all that waits, for each project."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._policy = Policy.of(find_project(), content=True, redact=())
        self._thread = ThreadPoolExecutor(1, "afere-otlp-writer")
        self._quick, self._large = Quick(self._policy), Quick(self._policy)
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._large_ones: deque[_Waiting] = deque()  # read already
        self._stores: dict[str, SpanStore] = {}
        self.accepted = self.refused = 0  # spans since this began

    @property
    def waiting(self) -> int:
        """Requests that nobody has begun to read or to write."""
        with self._lock:
            return len(self._waiting) + len(self._large_ones)

    def receive(
        self, body: bytes, encoding: str, form: Form, project: str | None, *, most: int, logs: bool
    ) -> Future[Kept]:
        """Read a body, of at most so many bytes, and keep what it holds, as `put`; may also raise Malformed or TooMuch."""

        def work() -> Batch[Item]:
            return self._read(otlp.unpack(body, encoding, most=most), form, self._quick, logs=logs)

        return self._wait(work, project)

    def read_large(self, body: bytes, form: Form, *, logs: bool) -> Batch[Item]:
        """What a body holds, read by a thread that is not the writer's. Malformed or TooMuch where it cannot be read."""
        return self._read(body, form, self._large, logs=logs)

    def put(self, batch: Batch[Item], project: str | None) -> Future[Kept]:
        """Keep it, in `project` where the request named one; the future ends when it is durable, or raises Full."""
        return self._wait(lambda: batch, project)

    def _wait(self, read: Callable[[], Batch[Item]], project: str | None) -> Future[Kept]:
        item = _Waiting(read, project)
        with self._lock:
            self._waiting.append(item)
            first = len(self._waiting) + len(self._large_ones) == 1
        if first:
            self._thread.submit(self._drain)
        return item.done

    def _read(self, body: bytes, form: Form, quick: Quick, *, logs: bool) -> Batch[Item]:
        batch: Batch[Any] = (
            otlp.logs(body, form) if logs else quick.traces(body) if form == "protobuf" else otlp.traces(body, form)
        )
        self.understood(batch)
        if batch.rejected and not batch.accepted:
            with self._lock:
                self.refused += batch.rejected.total()
            raise Malformed(f"Nothing of this request can be kept: {batch.why}.")
        return batch

    def understood(self, batch: Batch[Any]) -> Batch[Item]:
        """The batch with what its spans mean read into their fields, and without what must not rest."""
        for spans in batch.spans.values():
            spans[:] = [self._meant(one) if isinstance(one, Span) else one for one in spans]
            if any(isinstance(one, Span) and one.status == "paused" for one in spans):
                spans[:] = map(self._whole, spans)
                dialects.pause_above(spans)
            self._put_inside(spans)
            spans[:] = [self._policy.apply(one, derived=True) if isinstance(one, Span) else one for one in spans]
        for said in batch.events.values():
            said[:] = [replace(one, event=self._policy.event(one.event, one.scope)) for one in said]
        return batch

    def _put_inside(self, spans: list[Item]) -> None:
        """Spans of an SDK go below the instrumentor's for the same call: each token counts once."""
        if not any(_name(one).startswith(doubled.NAMES) for one in spans):
            return
        inside = doubled.inner(call for one in spans if (call := _call(one)) is not None)
        for place, one in enumerate(spans):
            if (above := inside.get(_ids(one))) is not None:
                span = spans[place] = self._whole(one)
                span.attributes["otel.parent_span_id"] = span.parent_id
                span.parent_id = above

    def _meant(self, sent: Span) -> Span:
        span = self._policy.hidden(sent)
        read(span)
        return span

    def _whole(self, one: Item) -> Span:
        """The span, of an entry too."""
        if isinstance(one, Span):
            return one
        if one.again is None:
            raise AssertionError("an entry that came over OTLP can be read again")
        return one.again() if one.meant else self._meant(one.again())

    def _drain(self) -> None:
        while self.waiting:
            self._write_small()
            with self._lock:
                large = self._large_ones.popleft() if self._large_ones else None
            if large is not None:
                self._write_large(large)

    def _write_small(self) -> None:
        """What waits, up to one transaction; what would fill one by itself is put behind."""
        items, size = list[_Waiting](), 0
        while size < _TOGETHER and (item := self._next()) is not None:
            if not self._can_be_read(item):
                continue
            if item.batch.accepted > _TOGETHER:
                with self._lock:
                    self._large_ones.append(item)
            else:
                items.append(item)
                size += item.batch.accepted
        if items:
            self._write(items)

    def _write_large(self, whole: _Waiting) -> None:
        """In several transactions, between which others are written: sent again after a failure, it is harmless."""
        rejected: Counter[str] = Counter()
        with _answering([whole]):
            for part in _parts(whole.batch):
                piece = _Waiting(whole.read, whole.project, part)
                self._write([piece])
                if (failed := piece.done.exception()) is not None:
                    whole.done.set_exception(failed)
                    return
                rejected += part.rejected
                self._write_small()
            whole.batch.rejected = rejected
            whole.done.set_result(Kept(rejected.total(), whole.batch.why, whole.batch.accepted, whole.batch.ours))

    def _next(self) -> _Waiting | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _can_be_read(self, item: _Waiting) -> bool:
        if not item.done.set_running_or_notify_cancel():  # the sender went away, and was not told anything
            return False
        try:
            item.batch = item.read()
        except Exception as error:
            if not isinstance(error, Malformed | TooMuch):
                _log.exception("OTLP: a request could not be read")
            item.done.set_exception(error)
            return False
        return True

    def _write(self, items: Sequence[_Waiting]) -> None:
        with _answering(items):
            self._try(items)

    def _try(self, items: Sequence[_Waiting]) -> None:
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
                _log.warning("OTLP: a batch is written span by span, since the whole failed: %s", error, exc_info=True)
                self._one_by_one(items[0])
        else:
            for item in items:
                self._done(item)

    def _done(self, item: _Waiting, late: int = 0) -> None:
        """It is kept, but for what was refused; `late`: by the store."""
        with self._lock:
            self.accepted += item.batch.accepted - late
            self.refused += item.batch.rejected.total()
        item.done.set_result(Kept(item.batch.rejected.total(), item.batch.why, item.batch.accepted, item.batch.ours))

    def _keep(self, items: Sequence[_Waiting]) -> None:
        spans: dict[str, list[Item]] = {}
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
            store.enter(self._with_events(store, spans.get(project, []), events.get(project, [])))

    def _with_events(self, store: SpanStore, spans: list[Item], events: list[LogEvent]) -> list[Item]:
        """The spans, and those in the store that the events belong to, with all their events."""
        said = store.said({event.trace_id for event in events} if events else (_ids(one)[0] for one in spans))
        if events:
            said |= store.said({_ids(one)[0] for one in spans})
        if not said:
            return spans
        wanted = {(event.trace_id, event.span_id) for event in events} - set(map(_ids, spans))
        spans = [self._whole(one) if _ids(one) in said else one for one in spans]
        for trace_id in {trace_id for trace_id, _ in wanted}:
            trace = store.trace(trace_id)
            found = trace.spans if trace is not None else ()
            spans += [span for span in found if (span.trace_id, span.span_id) in wanted]
        return [self._joined(one, said.get(_ids(one), [])) if isinstance(one, Span) else one for one in spans]

    def _joined(self, span: Span, events: Sequence[dict[str, Json]]) -> Span:
        missing = [event for event in events if event not in span.events]
        if not missing:
            return span
        span.marks = [mark for mark in span.marks if mark != "orphan"]  # the store finds out anew
        span.events = sorted([*span.events, *missing], key=_when)
        read(span)
        return self._policy.apply(span, derived=True)

    def _one_by_one(self, item: _Waiting) -> None:
        refused: Counter[str] = Counter()
        for one in _singly(item.batch):
            try:
                self._keep([_Waiting(item.read, item.project, one)])
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


@contextmanager
def _answering(items: Sequence[_Waiting]) -> Generator[None]:
    """Whatever happens, who waits is answered, and the thread goes on with the others."""
    try:
        yield
    except Exception as error:
        _log.exception("OTLP: a request could not be kept")
        for item in items:
            if not item.done.done():
                item.done.set_exception(error)


def _singly(batch: Batch[Item]) -> Iterator[Batch[Item]]:
    """Each span and each event of the batch by itself."""
    for project, spans in batch.spans.items():
        yield from (Batch[Item](spans={project: [one]}) for one in spans)
    for project, said in batch.events.items():
        yield from (Batch[Item](events={project: [one]}) for one in said)


def _parts(batch: Batch[Item]) -> list[Batch[Item]]:
    """The batch in parts, no trace in two of them."""
    parts = [Batch[Item](events=batch.events, rejected=batch.rejected)]
    for project, spans in batch.spans.items():
        traces: dict[str, list[Item]] = {}
        for one in spans:
            traces.setdefault(_ids(one)[0], []).append(one)
        for members in traces.values():
            if parts[-1].accepted + len(members) > _PART and parts[-1].spans:
                parts.append(Batch[Item]())
            parts[-1].spans.setdefault(project, []).extend(members)
    return parts


def _ids(one: Item) -> tuple[str, str]:
    if isinstance(one, Span):
        return one.trace_id, one.span_id
    return one.row[AT["trace_id"]].hex(), one.row[AT["span_id"]].hex()


def _name(one: Item) -> str:
    return one.name if isinstance(one, Span) else one.row[AT["name"]]


def _call(one: Item) -> doubled.Call | None:
    """What is asked of a call to a model; None of another span."""
    own = one.attributes.get("scope.name") == doubled.SDK
    if isinstance(one, Span):
        if one.kind != "llm":
            return None
        return doubled.Call(one.trace_id, one.span_id, one.parent_id, one.start, one.end, own)
    kind, parent, start, end = (one.row[AT[name]] for name in ("kind", "parent_id", "start", "end"))
    if kind != "llm":
        return None
    return doubled.Call(*_ids(one), parent.hex() if parent is not None else None, start, end, own)


def _when(event: Json) -> str:
    return str(event.get("at")) if isinstance(event, dict) else ""


def _is_full(error: StoreFailed) -> bool:
    return isinstance(error.__cause__, sqlite3.Error) and error.__cause__.sqlite_errorname == "SQLITE_FULL"
