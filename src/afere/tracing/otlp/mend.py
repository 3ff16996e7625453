"""A message that the protobuf library refuses, made into one that it takes: for one wrong byte, no span is lost.

Texts that are not UTF-8 get the sign for what cannot be read, and values that lie too deep are left out.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from afere.base.protowire import varint as written
from afere.tracing.otlp.batch import TOO_DEEP, Malformed
from afere.tracing.otlp.wire import varint

_DEEPEST = 90  # messages in messages; the library takes 100
_CUT = b"\x0a" + bytes((len(TOO_DEEP),)) + TOO_DEEP.encode()  # a value that is this text


def mended(data: bytes, kind: Descriptor, depth: int = 0) -> bytes:
    """The bytes of a message of that kind as it can be read. Malformed where it is none."""
    made = bytearray()
    at, end = 0, len(data)
    while at < end:
        begin = at
        key, at = varint(data, at, end)
        length = key & 7
        if length == 2:
            size, at = varint(data, at, end)
            if size > end - at:
                raise Malformed("The body ends before the message does.")
            part = _part(data[at : at + size], kind.fields_by_number.get(key >> 3), depth)
            made += written(key) + written(len(part)) + part
            at += size
            continue
        if length == 0:
            _, at = varint(data, at, end)
        elif length in (1, 5) and at + (8 if length == 1 else 4) <= end:
            at += 8 if length == 1 else 4
        else:
            raise Malformed("The body is no protobuf message of OTLP.")
        made += data[begin:at]
    return bytes(made)


def _part(part: bytes, field: FieldDescriptor | None, depth: int) -> bytes:
    if field is None:
        return part
    if field.type == FieldDescriptor.TYPE_STRING:
        return part.decode("utf-8", "replace").encode()
    below = field.message_type
    if below is None:
        return part
    return _CUT if depth >= _DEEPEST and below.name == "AnyValue" else mended(part, below, depth + 1)
