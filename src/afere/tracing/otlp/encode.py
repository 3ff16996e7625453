"""Spans to OTLP, the other way round: what came over OTLP leaves as it came, our own in the GenAI convention and `afere.*`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339
from afere.base.span import Span
from afere.store.spans.rows import ENTRY
from afere.tracing import dialects
from afere.tracing.otlp.batch import KINDS, PROJECT, REMOTE

_OWN = "afere"  # the scope of spans that no other library made, and of what we say of one
_APART = (
    "otel.kind",
    "otel.trace_state",
    "otel.links",
    "otel.status_message",
    "otel.parent_span_id",
    "otel.times",
)  # what the protocol has a field for
_ORIGIN = ("service.version", "vcs.ref.head.revision")
_WHOLE = range(-(2**63), 2**63)


def encode(spans: Sequence[Span], project: str) -> bytes:
    """An ExportTraceServiceRequest of finished spans of one project, in protobuf."""
    request = ExportTraceServiceRequest()
    resources: dict[str, Any] = {}
    scopes: dict[tuple[str, str], ScopeSpans] = {}
    for span in spans:
        resource, scope, sent = _split(span, project)
        place = repr(sorted(resource.items(), key=lambda pair: pair[0]))
        group = resources.get(place)
        if group is None:
            group = resources[place] = request.resource_spans.add()
            group.resource.attributes.extend(_pairs(resource))
        key = (place, repr(sorted(scope.items(), key=lambda pair: pair[0])))
        found = scopes.get(key)
        if found is None:
            found = scopes[key] = group.scope_spans.add()
            found.scope.name = str(scope.pop("name", _OWN))
            found.scope.version = str(scope.pop("version", _version() if found.scope.name == _OWN else ""))
            found.scope.attributes.extend(_pairs(scope))
        found.spans.append(_span(span, sent))
    return request.SerializeToString()


def _split(span: Span, project: str) -> tuple[dict[str, Json], dict[str, Json], dict[str, Json]]:
    """The attributes of the resource, of the scope, and of the span itself."""
    resource: dict[str, Json] = {}
    scope: dict[str, Json] = {}
    sent: dict[str, Json] = {}
    for name, value in span.attributes.items():
        if name.startswith("resource."):
            resource[name[9:]] = value
        elif name.startswith("scope."):
            scope[name[6:]] = value
        elif name not in _APART:
            sent[name] = value
    for name in _ORIGIN:  # what was read from the resource is said there
        if name in sent and sent[name] in resource.values():
            del sent[name]
    resource.setdefault("service.name", project)
    resource.setdefault(PROJECT, project)
    sent.update(dialects.written(span))
    return resource, scope, sent


def _span(span: Span, sent: Mapping[str, Json]) -> WireSpan:
    said = span.attributes
    kind = said.get("otel.kind")
    made = WireSpan(
        trace_id=bytes.fromhex(span.trace_id), span_id=bytes.fromhex(span.span_id), name=_text(span.name),
        kind=cast("Any", KINDS.index(kind) if isinstance(kind, str) and kind in KINDS[1:] else 1),
        parent_span_id=bytes.fromhex(span.parent_id) if span.parent_id else b"", start_time_unix_nano=max(span.start, 0),
        end_time_unix_nano=max(span.end or span.start, 0), attributes=_pairs(sent),
        trace_state=_text(said.get("otel.trace_state") or ""), flags=REMOTE if said.get(ENTRY) is True else 0,
    )  # fmt: skip
    if span.status == "error":
        made.status.code = Status.STATUS_CODE_ERROR
    message = span.error if span.status == "error" else said.get("otel.status_message")
    if message:
        made.status.message = _text(message)
    for event in map(_object, span.events):
        made.events.add(
            name=_text(event.get("name") or ""), time_unix_nano=_moment(event.get("at")),
            attributes=_pairs(_object(event.get("attributes"))),
        )  # fmt: skip
    links = said.get("otel.links")
    for link in map(_object, links if isinstance(links, list) else ()):
        made.links.add(
            trace_id=_id(link.get("trace_id")), span_id=_id(link.get("span_id")),
            attributes=_pairs(_object(link.get("attributes"))),
        )  # fmt: skip
    return made


def _pairs(attributes: Mapping[str, Json]) -> list[KeyValue]:
    return [KeyValue(key=_text(name), value=_value(value)) for name, value in attributes.items()]


def _double(value: float) -> float:
    """An integer that no double can hold is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _value(value: Json) -> AnyValue:
    made = AnyValue()
    match value:
        case None:
            pass
        case bool():
            made.bool_value = value
        case int() if value in _WHOLE:
            made.int_value = value
        case int() | float():
            made.double_value = _double(value)
        case str():
            made.string_value = _text(value)
        case list():
            made.array_value.values.extend(map(_value, value))
        case dict():
            made.kvlist_value.values.extend(_pairs(value))
    return made


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()  # half of a surrogate pair is no text for protobuf


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _moment(at: Json) -> int:
    """Nanoseconds since 1970 of a time in RFC 3339; 0 where it is none."""
    try:
        return max(from_rfc3339(at), 0) if isinstance(at, str) else 0
    except (ValueError, OverflowError):
        return 0


def _id(value: Json) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


@cache
def _version() -> str:
    try:
        return version(_OWN)
    except PackageNotFoundError:  # run from a checkout
        return ""
