"""OTLP as protobuf: outer layers by hand, each span by the protobuf library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from afere.base.canonical import Json
from afere.tracing.otlp.batch import DEEPEST, TOO_DEEP, BadSpan, Malformed, Sent, TooMuch, blob, event, number
from afere.tracing.otlp.mend import mended
from afere.tracing.otlp.wire import PAIR, RECORD, SPAN, Shape, check_weight, fields


def groups(body: bytes) -> Iterator[tuple[bytes, list[bytes | memoryview]] | BadSpan]:
    """The resource and the scope groups of each part of a request for traces or for logs; a BadSpan for a part that does not read."""
    for field, part in fields(memoryview(body)):
        if field == 1:
            try:
                inside = list(fields(part))
            except Malformed:
                yield BadSpan("its group of a resource does not decode", undecodable=True)
                continue
            resource = b"".join(bytes(data) for at, data in inside if at == 1)
            yield resource, [data for at, data in inside if at == 2]


def scope_parts(data: bytes | memoryview) -> tuple[bytes, Iterator[bytes | memoryview]]:
    """The scope of a group, and its spans or records; BadSpan where it does not read."""
    try:
        inside = list(fields(data))
    except Malformed:
        raise BadSpan("its group of a scope does not decode", undecodable=True) from None
    scope = b"".join(bytes(part) for at, part in inside if at == 1)
    return scope, (part for at, part in inside if at == 2)


def read_scope(scope: bytes) -> tuple[str, str, dict[str, Json]]:
    """Name, version and attributes of a scope; BadSpan where it does not read."""
    try:
        said = {at: bytes(part).decode("utf-8", "replace") for at, part in fields(scope) if at in (1, 2)}
        return said.get(1, ""), said.get(2, ""), pairs(scope, 3)
    except Malformed:
        raise BadSpan("its scope does not decode", undecodable=True) from None


def read_resource(resource: bytes) -> dict[str, Json]:
    """The attributes of a resource; BadSpan where it does not read."""
    try:
        return pairs(resource, 1)
    except Malformed:
        raise BadSpan("its resource does not decode", undecodable=True) from None


def pairs(data: bytes | memoryview, field: int) -> dict[str, Json]:
    """The attributes in a field of a message that is small: a resource or a scope. Those that do not decode are left out."""
    found: list[KeyValue] = []
    for at, part in fields(data):
        if at == field:
            try:
                check_weight(part, PAIR)
                found.append(KeyValue.FromString(bytes(part)))
            except (DecodeError, Malformed, TooMuch):
                continue
    return Values().attributes(found)


def read_span(data: bytes | memoryview, *, weighed: bool = False) -> Sent:
    """A span, or BadSpan. `weighed`: it is known to hold no more than it may."""
    wire, mended_ = _parsed(WireSpan, data, SPAN, weighed=weighed)
    values = Values()
    sent = Sent(
        wire.trace_id.hex(), wire.span_id.hex(), wire.parent_span_id.hex(), wire.name, wire.kind, wire.start_time_unix_nano,
        wire.end_time_unix_nano, wire.flags, wire.trace_state, attributes=values.attributes(wire.attributes),
        dropped=wire.dropped_attributes_count + wire.dropped_events_count + wire.dropped_links_count,
    )  # fmt: skip
    if wire.HasField("status"):
        sent.failed, sent.message = wire.status.code == 2, wire.status.message
    if wire.events:
        sent.events = [event(one.name, one.time_unix_nano, values.attributes(one.attributes)) for one in wire.events]
    if wire.links:
        sent.links = [
            {
                "trace_id": one.trace_id.hex(),
                "span_id": one.span_id.hex(),
                "attributes": values.attributes(one.attributes),
            }
            for one in wire.links
        ]
    sent.cut = values.cut or mended_
    return sent


def read_record(data: bytes | memoryview) -> tuple[str, str, dict[str, Json]]:
    """Trace id, span id and event of a log record, or BadSpan."""
    wire, _ = _parsed(LogRecord, data, RECORD)
    values = Values()
    attributes = values.attributes(wire.attributes)
    if wire.HasField("body"):
        attributes["body"] = values.value(wire.body, 0)
    name = wire.event_name or str(attributes.get("event.name") or "")
    return (
        wire.trace_id.hex(),
        wire.span_id.hex(),
        event(name, wire.time_unix_nano or wire.observed_time_unix_nano, attributes),
    )


def _parsed(message: Any, data: bytes | memoryview, shape: Shape, *, weighed: bool = False) -> tuple[Any, bool]:
    """The message, and whether it had to be mended."""
    data = bytes(data)
    try:
        if not weighed:
            check_weight(data, shape)
        return message.FromString(data), False
    except TooMuch as error:
        raise BadSpan(str(error)) from None
    except Malformed:
        raise undecodable() from None
    except DecodeError:
        pass
    try:
        return message.FromString(mended(data, message.DESCRIPTOR)), True
    except (DecodeError, Malformed):
        raise undecodable() from None


def undecodable() -> BadSpan:
    """What is said of bytes that are no span."""
    return BadSpan("it does not decode", undecodable=True)


class Values:
    """Attribute values as plain JSON; `cut` says whether something nested too deeply was left out."""

    def __init__(self) -> None:
        self.cut = False

    def attributes(self, found: Iterable[Any], depth: int = 0) -> dict[str, Json]:
        """Pairs as a mapping; of the same key twice the last."""
        # Most are texts, and most time goes here.
        return {pair.key: (value := pair.value).string_value or self.value(value, depth) for pair in found}

    def value(self, value: Any, depth: int) -> Json:
        """Any value."""
        kind = value.WhichOneof("value")
        made: Json = None  # also for a kind of value that is newer than this program
        if kind == "int_value":
            return value.int_value
        if kind in ("string_value", "bool_value"):
            made = getattr(value, kind)
        elif kind == "double_value":
            made = number(value.double_value)
        elif kind == "bytes_value":
            made = blob(value.bytes_value)
        elif kind in ("array_value", "kvlist_value") and depth >= DEEPEST:
            self.cut = True
            made = TOO_DEEP
        elif kind == "array_value":
            made = [self.value(item, depth + 1) for item in value.array_value.values]
        elif kind == "kvlist_value":
            made = self.attributes(value.kvlist_value.values, depth + 1)
        return made
