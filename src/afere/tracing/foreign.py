"""Spans that other libraries' instrumentors make, through a tracer provider of our own, which is never made global."""

from __future__ import annotations

from typing import NamedTuple, cast

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import StatusCode

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.span import Span
from afere.store.spans.rows import ENTRY, UNDER
from afere.tracing import dialects, resumes, sink, targets
from afere.tracing.capture import Capture
from afere.tracing.collect import Collected
from afere.tracing.live import LiveSpan
from afere.tracing.scope import COLLECTORS, LIVE, about


class _Begun(NamedTuple):
    """What is known when a span begins: what surrounds it."""

    span: Span
    target: targets.Target | None
    collectors: tuple[Collected, ...]
    waited: Span | None  # the run that waited for a person and goes on in this span


class _ToOurs(SpanProcessor):
    """Turns each finished span into one of ours. Nothing here raises into the library that made it."""

    def __init__(self) -> None:
        self._begun: dict[int, _Begun] = {}  # by span id
        self._waiting: dict[int, set[str]] = {}  # by span id: steps right below it that wait for a person

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        context = otel.get_current() if parent_context is None else parent_context
        own = span.get_span_context()
        above = cast("LiveSpan | None", context.get(LIVE))
        if above is not None and above.trace_id != f"{own.trace_id:032x}":
            above = None
        known, outer = about(context), span.parent
        parent = self._begun.get(outer.span_id) if outer is not None else None
        record = Span(
            f"{own.trace_id:032x}", f"{own.span_id:016x}", span.name, span.start_time or 0,
            f"{outer.span_id:016x}" if outer is not None else None, session=known.session, user=known.user,
            environment=known.environment, attributes=dict(known.attributes),
        )  # fmt: skip
        waited = resumes.waited(context) if parent is None else None
        if waited is not None:
            if record.trace_id != waited.trace_id:
                record.attributes[resumes.RESUMES] = f"{waited.trace_id}/{waited.span_id}"
        elif parent is None and outer is not None and (above is None or above.span_id != record.parent_id):
            record.attributes.update({ENTRY: True} if above is None else {UNDER: above.span_id})
        target = above.target if above is not None else parent.target if parent is not None else targets.target()
        collectors = cast("tuple[Collected, ...]", context.get(COLLECTORS, ()))
        self._begun[own.span_id] = _Begun(record, target, collectors, waited)

    def on_end(self, span: ReadableSpan) -> None:
        own = span.get_span_context()
        begun = self._begun.pop(own.span_id, None) if own is not None else None
        if begun is None:
            return
        record = begun.span
        captured = Capture(dict(span.attributes or {}))
        attributes = cast("dict[str, Json]", captured.value)
        record.name, record.end = span.name, span.end_time
        record.attributes.update(attributes)
        scope = span.instrumentation_scope
        if scope is not None:
            record.attributes["scope.name"] = scope.name  # which rules for scopes look at
        if captured.cut:
            record.marks.append("cut")
        _outcome(record, span)
        if begun.target is not None:
            record = begun.target.hidden(record)
        dialects.read(record)
        # What was said is in fields now, where redaction by structure reaches it.
        record.attributes = {name: said for name, said in record.attributes.items() if not dialects.is_content(name)}
        self._pause(span, record)
        for collected in begun.collectors:
            collected.add(record)
        sink.put(begun.target, record, captured.size)
        top = span.parent is None or span.parent.span_id not in self._begun
        resumes.ended(record, begun.target, begun.waited, top=top)

    def _pause(self, span: ReadableSpan, record: Span) -> None:
        """What a step that waits for a person is part of waits too, unless the same step went on later."""
        own, outer = span.get_span_context(), span.parent
        if own is not None and self._waiting.pop(own.span_id, None) and record.status == "ok":
            record.status = "paused"
        if outer is None or outer.span_id not in self._begun:
            return
        if record.status == "paused":
            self._waiting.setdefault(outer.span_id, set()).add(record.name)
        elif outer.span_id in self._waiting:
            self._waiting[outer.span_id].discard(record.name)


def _outcome(record: Span, span: ReadableSpan) -> None:
    for event in span.events:
        said = Capture(dict(event.attributes or {})).value
        record.events.append({"name": event.name, "at": rfc3339(event.timestamp), "attributes": said})
    if span.status.status_code is StatusCode.ERROR:
        record.status = "error"
        kind = str((span.attributes or {}).get("error.type", "")).rpartition(".")[2]
        record.error = (span.status.description or kind or "error")[:2000]


def provider() -> TracerProvider:
    """A tracer provider whose spans become ours."""
    made = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    made.add_span_processor(_ToOurs())
    return made
