"""How protobuf writes numbers and fields that have a length, for messages too small or too many to be made by its library."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A number that is not negative."""
    said = bytearray()
    while value > 0x7F:
        said.append(value & 0x7F | 0x80)
        value >>= 7
    said.append(value)
    return bytes(said)


def field(number: int, content: bytes) -> bytes:
    """A text, bytes or message under a number below 16."""
    return bytes((number << 3 | 2,)) + varint(len(content)) + content
