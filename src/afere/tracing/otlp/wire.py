"""The outer layers of a protobuf message, read by hand: one malformed or huge part then costs only itself.

The protobuf library decodes all or nothing, and makes objects for every empty message of a hostile request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from afere.tracing.otlp.batch import Malformed, TooMuch

Shape: TypeAlias = "Mapping[int, Shape]"

_MESSAGES = 200_000  # inside one span: more is no trace but an attack on memory

_VALUE: dict[int, Any] = {}
_PAIR: dict[int, Any] = {2: _VALUE}
_VALUE.update({5: {1: _VALUE}, 6: {1: _PAIR}})
PAIR: Shape = _PAIR
SPAN: Shape = {9: PAIR, 11: {3: PAIR}, 13: {4: PAIR}}
RECORD: Shape = {5: _VALUE, 6: PAIR}
_ARRAY, _MAP = b"\x2a", b"\x32"  # how a value begins that holds others
_FIELDS = 300_000  # of one message
SMALL = 65_536  # bytes that cannot hold enough messages to matter


def fields(data: bytes | memoryview) -> Iterator[tuple[int, bytes | memoryview]]:
    """Number and content of the fields that have a length; the others are passed over. Malformed where it does not read."""
    at, end, room = 0, len(data), _FIELDS
    while at < end:
        room -= 1
        if room < 0:
            raise TooMuch(f"The body has a message of more than {_FIELDS:,} fields. Send smaller batches.")
        if (key := data[at]) < 0x80:
            at += 1
        else:
            key, at = varint(data, at, end)
        kind = key & 7
        if kind == 2:
            size, at = varint(data, at, end)
            if size > end - at:
                raise Malformed("The body ends before the message does: it was cut on the way, or is no protobuf.")
            yield key >> 3, data[at : at + size]
            at += size
        elif kind == 0:
            _, at = varint(data, at, end)
        elif kind in (1, 5) and at + (8 if kind == 1 else 4) <= end:
            at += 8 if kind == 1 else 4
        else:
            raise Malformed("The body is no protobuf message of OTLP.")


def varint(data: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends. Malformed where there is none."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Malformed("The body is no protobuf message of OTLP.")


def check_weight(data: bytes | memoryview, shape: Shape) -> None:
    """TooMuch for a message that holds very many others."""
    if len(data) < SMALL:
        return
    room = _MESSAGES
    stack: list[tuple[bytes, Shape]] = [(bytes(data), shape)]
    while stack:
        part, known = stack.pop()
        for field, below in fields(part):
            inner = known.get(field)
            if inner is None:
                continue
            part_below = bytes(below)
            single = inner is PAIR and _ARRAY not in part_below and _MAP not in part_below  # a key and one value
            room -= 2 if single else 1
            if room < 0:
                raise TooMuch(f"it holds more than {_MESSAGES:,} values")
            if not single:
                stack.append((part_below, inner))
