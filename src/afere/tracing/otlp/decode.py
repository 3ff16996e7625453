"""Requests to batches: what decodes is kept, what does not is counted with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

from afere.base.canonical import Json
from afere.base.span import Span
from afere.tracing.otlp import jsonform, protobuf
from afere.tracing.otlp.batch import BadSpan, Batch, LogEvent, Sent, Source, check_ids, gather, span

Form = Literal["protobuf", "json"]
EVENTS = "gen_ai."  # of log records these are kept: what generative AI was asked and said


def traces(body: bytes, form: Form) -> Batch[Span]:
    """The spans of an ExportTraceServiceRequest. Malformed or TooMuch where the request as a whole cannot be read."""
    read: Callable[[Any], Sent] = protobuf.read_span if form == "protobuf" else jsonform.read_span
    return _read(
        body,
        form,
        ("resourceSpans", "scopeSpans", "spans"),
        lambda batch, source, item: _add_span(batch, source, read(item)),
    )


def logs(body: bytes, form: Form) -> Batch[Span]:
    """The log records of an ExportLogsServiceRequest that are events of spans; the others are refused."""
    read = protobuf.read_record if form == "protobuf" else jsonform.read_record
    return _read(
        body,
        form,
        ("resourceLogs", "scopeLogs", "logRecords"),
        lambda batch, source, item: _add_event(batch, source, *read(item)),
    )


def _read(
    body: bytes, form: Form, names: tuple[str, str, str], add: Callable[[Batch[Span], Source, Any], None]
) -> Batch[Span]:
    batch = Batch[Span]()
    groups = _in_protobuf(body) if form == "protobuf" else jsonform.groups(body, names)
    gather(batch, _by_source(groups), partial(add, batch))
    return batch


def _by_source(groups: _Groups) -> Iterator[tuple[Source | BadSpan, Iterable[Any]]]:
    for resource, scopes in groups:
        try:
            common = resource if isinstance(resource, BadSpan) else Source.of(resource)
        except BadSpan as error:
            common = error
        for scope, items in scopes:
            if isinstance(common, BadSpan):
                yield common, items
            else:
                yield scope if isinstance(scope, BadSpan) else common.scope(*scope), items


_Groups = Iterator[tuple[dict[str, Json] | BadSpan, Iterable[jsonform.Group]]]


def _in_protobuf(body: bytes) -> _Groups:
    for group in protobuf.groups(body):
        if isinstance(group, BadSpan):
            yield group, [(group, [b""])]
            continue
        resource, scopes = group
        try:
            yield protobuf.read_resource(resource), map(_scope, scopes)
        except BadSpan as error:
            yield error, map(_scope, scopes)


def _scope(group: bytes | memoryview) -> jsonform.Group:
    try:
        scope, items = protobuf.scope_parts(group)
    except BadSpan as error:
        return error, [group]
    try:
        return protobuf.read_scope(scope), items
    except BadSpan as error:
        return error, items


def _add_span(batch: Batch[Span], source: Source, sent: Sent) -> None:
    batch.spans.setdefault(source.project, []).append(span(sent, source))


def _add_event(batch: Batch[Span], source: Source, trace_id: str, span_id: str, event: dict[str, Json]) -> None:
    if not str(event["name"]).startswith(EVENTS):
        raise BadSpan(f"it is no event of generative AI ({EVENTS}*); other logs are not kept")
    check_ids(trace_id, span_id)
    batch.events.setdefault(source.project, []).append(
        LogEvent(trace_id, span_id, event, str(source.said.get("scope.name", "")))
    )
