"""OTLP's span as a message whose attributes are a map: on the wire it is the same, and a value is looked up, not searched."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.trace.v1 import trace_pb2

_FILE, _VALUE = "afere/lean.proto", ".opentelemetry.proto.common.v1.AnyValue"
_SPAN = ".opentelemetry.proto.trace.v1.Span"


def _span() -> Any:
    pool = descriptor_pool.Default()
    known = trace_pb2.Span.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name=_FILE,
        package="afere.lean",
        syntax="proto3",
        dependency=[known.file.name, *(one.name for one in known.file.dependencies)],
    )
    made = file.message_type.add(name="Span")
    pair = made.nested_type.add(name="AttributesEntry")
    pair.options.map_entry = True
    pair.field.add(name="key", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    pair.field.add(name="value", number=2, type="TYPE_MESSAGE", type_name=_VALUE, label="LABEL_OPTIONAL")
    as_sent = descriptor_pb2.DescriptorProto()
    known.CopyToProto(as_sent)
    for field in as_sent.field:
        made.field.add().CopyFrom(field)
        if field.name == "attributes":
            made.field[-1].type_name = ".afere.lean.Span.AttributesEntry"
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("afere.lean.Span"))


LeanSpan: Any = _span()
