"""A run of LangGraph that goes on after an interrupt joins the trace of the run that waited.

OpenInference's instrumentor begins a root span for each call of a graph, and says which thread it was only when it ends; so the
method of its tracer that begins spans is wrapped, which is told the thread and the `Command` that resumes it.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context

from afere.base.canonical import Json
from afere.base.span import Span
from afere.tracing import sink, targets
from afere.tracing.scope import about

if TYPE_CHECKING:
    from afere.store.spans.store import SpanStore

RESUMES = "afere.resumes"  # the span that waited, TRACE/SPAN, where the run that goes on is part of another trace
_WAITED = otel.create_key("afere-waited")
_TRACER = "openinference.instrumentation.langchain._tracer"
_OURS = "_afere_resumes"
_KEPT = 200  # runs of this process that wait, so that no server need be asked
_FLUSH = 1.0  # seconds
_PATIENCE = 3.0  # seconds that a run which goes on waits for a server to say which one waited

_log = logging.getLogger("afere")
_lock = threading.Lock()
_waiting: dict[str, Span] = {}  # by session, the newest last: of stores that are servers


def watch() -> None:
    """Once the instrumentor is there: its next runs that resume one join it."""
    tracer = getattr(sys.modules.get(_TRACER), "OpenInferenceTracer", None)
    begin = getattr(tracer, "_start_trace", None)
    if begin is None or hasattr(begin, _OURS):  # without it, as in another version, such runs stay traces of their own
        return

    @wraps(begin)
    def start(self: Any, run: Any) -> None:
        with _joining(run):
            begin(self, run)

    setattr(start, _OURS, True)
    cast("Any", tracer)._start_trace = start


def waited(context: Context) -> Span | None:
    """The span that waited, where what begins now resumes it."""
    return cast("Span | None", context.get(_WAITED))


def ended(record: Span, target: targets.Target | None, before: Span | None, *, top: bool) -> None:
    """What a span's end means for the run that waits: it is this one, or it went on and is now as this one is."""
    if before is not None:
        sink.put(target, replace(before, status=record.status, error=record.error), 0)
    if target is None or not target.away or record.session is None:
        return
    with _lock:
        if record.status != "paused" and before is not None:
            _waiting.pop(record.session, None)
        elif record.status == "paused" and top and before is None:
            _waiting.pop(record.session, None)
            _waiting[record.session] = record
            while len(_waiting) > _KEPT:
                del _waiting[next(iter(_waiting))]


@contextmanager
def _joining(run: Any) -> Generator[None]:
    """Inside, a span begins under the one that waited, or, inside other tracing, knows of it."""
    before = None
    try:
        if run.parent_run_id is None and _resumes(run.inputs):
            before = _find(str(run.name), str(run.extra["metadata"]["thread_id"]))
    except Exception as error:  # whatever it is, the program goes on
        _log.debug("afere does not know which run goes on: %s", error)
    if before is None:
        yield
        return
    context = otel.get_current()
    if not get_current_span(context).get_span_context().is_valid:
        ids = int(before.trace_id, 16), int(before.span_id, 16)
        above = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        context = set_span_in_context(NonRecordingSpan(above), context)
    token = otel.attach(otel.set_value(_WAITED, before, context))
    try:
        yield
    finally:
        otel.detach(token)


def _resumes(inputs: Any) -> bool:
    given = list(inputs.values()) if isinstance(inputs, dict) else [inputs]  # type: ignore[reportUnknownArgumentType]
    return any(
        type(one).__name__ == "Command"
        and type(one).__module__.startswith("langgraph.")
        and getattr(one, "resume", None) is not None
        for one in cast("list[Any]", given)
    )


def _find(name: str, thread: str) -> Span | None:
    """The newest run of this graph that waits in the thread."""
    session, target = about().session or thread, targets.target()
    if target is None:
        return None
    if target.away:
        with _lock:
            found = _waiting.get(session)
        if found is not None and found.name == name and _of(found, thread):
            return found
    if '"' in session:
        return None
    if target.away:  # another process may have been interrupted
        return _soon(lambda: _kept(target.session().spans, name, session, thread))
    sink.flush(_FLUSH)
    return _kept(target.session().spans, name, session, thread)


def _soon(ask: Callable[[], Span | None]) -> Span | None:
    """What a server says, if it does so soon."""
    answers: queue.SimpleQueue[Span | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except Exception as error:  # a key that may not read, a server that is away
            _log.debug("afere does not know which run goes on: %s", error)
            answers.put(None)

    threading.Thread(target=work, name="afere-resumes", daemon=True).start()
    try:
        return answers.get(timeout=_PATIENCE)
    except queue.Empty:
        return None


def _kept(spans: SpanStore, name: str, session: str, thread: str) -> Span | None:
    """The same of the store."""
    paused = [span for span in spans.find(f'session:"{session}" status:paused', roots=False).items if span.name == name]
    for trace_id in dict.fromkeys(span.trace_id for span in paused):
        first = min((span for span in paused if span.trace_id == trace_id), key=lambda span: span.start)
        whole = spans.span(trace_id, first.span_id)
        if whole is not None and whole.status == "paused" and _of(whole, thread):
            return whole
    return None


def _of(span: Span, thread: str) -> bool:
    """Whether the span is of the thread; its session says so where its metadata does not."""
    metadata: Any = span.attributes.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            return span.session == thread
    known = cast("dict[str, Json]", metadata).get("thread_id") if isinstance(metadata, dict) else None
    return span.session == thread if known is None else str(known) == thread
