"""OTLP's messages in another reading of the same wire, for which a look costs little.

A request is split into the bytes of its spans, so that a malformed one costs only itself. Of a span the attributes are a map from
names to values as they were encoded: a value that nobody asks for is never decoded, and two that are the same compare as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from afere.base.canonical import Json
from afere.tracing.otlp import protobuf
from afere.tracing.otlp.batch import BadSpan, number
from afere.tracing.otlp.kept import loaded

_PACKAGE = "afere.lean"
_QUICK = 2 * 2**20  # bytes of a body that is decoded at once: what empty messages may make of more would be too large
_SMALLEST = 40  # bytes of a span that has ids and times
_FIELDS = (
    ("trace_id", 1, "BYTES"), ("span_id", 2, "BYTES"), ("parent_span_id", 4, "BYTES"), ("flags", 16, "FIXED32"),
    ("name", 5, "STRING"), ("kind", 6, "INT32"), ("start_time_unix_nano", 7, "FIXED64"), ("end_time_unix_nano", 8, "FIXED64"),
    ("status", 15, "BYTES"),
)  # fmt: skip
_double = struct.Struct("<d").unpack_from


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="afere/lean.proto", package=_PACKAGE, syntax="proto3")

    def add(message: Any, name: str, place: int, kind: str, *, many: bool = False) -> None:
        label = "LABEL_REPEATED" if many else "LABEL_OPTIONAL"
        if kind in _SCALARS:
            message.field.add(name=name, number=place, type=f"TYPE_{kind}", label=label)
        else:
            message.field.add(
                name=name, number=place, type="TYPE_MESSAGE", type_name=f".{_PACKAGE}.{kind}", label=label
            )

    span = file.message_type.add(name="Span")
    pair = span.nested_type.add(name="AttributesEntry")
    pair.options.map_entry = True
    add(pair, "key", 1, "STRING")
    add(pair, "value", 2, "BYTES")
    for name, place, kind in _FIELDS:
        add(span, name, place, kind)
    add(span, "attributes", 9, "Span.AttributesEntry", many=True)
    add(span, "events", 11, "BYTES", many=True)
    for form, kind in (("Split", "BYTES"), ("Whole", "Span")):
        scope, resource, request = (file.message_type.add(name=f"{form}{name}") for name in ("Scope", "Resource", ""))
        add(scope, "scope", 1, "BYTES", many=True)
        add(scope, "spans", 2, kind, many=True)
        add(resource, "resource", 1, "BYTES", many=True)
        add(resource, "scopes", 2, f"{form}Scope", many=True)
        add(request, "resources", 1, f"{form}Resource", many=True)
    pool = descriptor_pool.Default()
    pool.Add(file)
    names = ("Span", "Split", "Whole")
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names}


_SCALARS = ("BYTES", "STRING", "INT32", "FIXED32", "FIXED64")
_MADE = _messages()
LeanSpan: Any = _MADE["Span"]


def parts(body: bytes) -> Iterator[tuple[bytes, bytes, Iterable[bytes | memoryview], Sequence[Any] | None] | BadSpan]:
    """Resource, scope and spans of each group: the bytes of each span, and the spans decoded, or None where that has to be
    tried one by one; a BadSpan for a group that does not read. Malformed or TooMuch where the request does not."""
    whole = _at_once(body)
    if whole is not None:
        yield from whole
        return
    for one in protobuf.groups(body):
        if isinstance(one, BadSpan):
            yield one
            continue
        resource, scopes = one
        for group in scopes:
            try:
                scope, found = protobuf.scope_parts(group)
            except BadSpan as error:
                yield error
            else:
                yield resource, scope, found, None


def _at_once(body: bytes) -> list[tuple[bytes, bytes, list[bytes], list[Any] | None]] | None:
    if len(body) > _QUICK:
        return None
    try:
        split = _groups(_MADE["Split"].FromString(body))
    except DecodeError:  # whoever reads it by hand says what is wrong
        return None
    count = sum(len(spans) for _, _, spans in split)
    if count * _SMALLEST > len(body):
        return None
    try:
        spans = [spans for _, _, spans in _groups(_MADE["Whole"].FromString(body))]
    except DecodeError:  # one of them
        spans = [None] * len(split)
    return [(*group, read) for group, read in zip(split, spans, strict=True)]


def _groups(request: Any) -> list[tuple[bytes, bytes, list[Any]]]:
    return [
        (b"".join(one.resource), b"".join(group.scope), list(group.spans))
        for one in request.resources
        for group in one.scopes
    ]


def value(data: bytes) -> Json:
    """An attribute's value. UnicodeDecodeError or DecodeError where it does not read."""
    size = len(data)
    kind = data[0] if size else 0
    if kind == _TEXT and size > 4:  # as programs write a text; else the library has to read it
        length, more, most = data[1], data[2], data[3]
        if length < 0x80:
            if length == size - 2:
                return data[2:].decode()
        elif more < 0x80:
            if length & 0x7F | more << 7 == size - 3:
                return data[3:].decode()
        elif most < 0x80 and length & 0x7F | (more & 0x7F) << 7 | most << 14 == size - 4:
            return data[4:].decode()
    made = None if kind == _TEXT else _number(data, kind)
    return protobuf.Values().value(AnyValue.FromString(data), 0) if made is None else made


def _number(data: bytes, kind: int) -> Json:
    size = len(data)
    if kind == _DOUBLE and size == 9:
        return number(_double(data, 1)[0])
    if kind == _INT:
        if size == 2 and data[1] < 0x80:
            return data[1]
        if size == 3 and data[1] >= 0x80 > data[2]:
            return data[1] & 0x7F | data[2] << 7
    return None


_TEXT, _INT, _DOUBLE = 0x0A, 0x18, 0x21  # how a value begins: field and form of the wire


class Attributes:
    """Attributes of a span and of its source, each decoded when it is asked for."""

    __slots__ = ("_known", "_loaded", "_said", "_wire")

    def __init__(self, wire: Any, said: dict[str, Json]) -> None:
        self._wire, self._said = wire, said
        self._known: dict[str, Json] = {}
        self._loaded: dict[str, Json] = {}

    def get(self, name: str, _default: None = None) -> Json:
        known = self._known.get(name)
        if known is not None:
            return known
        if name not in self._wire:
            return self._said.get(name)
        made = self._known[name] = value(self._wire[name])
        return made

    def loaded(self, name: str) -> Json:
        """The same, and what it holds where it is JSON."""
        if name in self._loaded:
            return self._loaded[name]
        value = self.get(name)
        made = loaded(value)
        if made is not value:
            self._loaded[name] = made
        return made

    def __setitem__(self, name: str, value: Json) -> None:
        self._known[name] = value

    __getitem__ = get

    def __contains__(self, name: object) -> bool:
        return name in self._wire or name in self._said or name in self._known
