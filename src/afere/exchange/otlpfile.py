"""The requests in a file of OTLP: protobuf or JSON, one or many, packed or not, read one after another however big it is."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from afere.base.errors import BadInput
from afere.tracing import otlp
from afere.tracing.otlp import Form

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MOST = 256 * 2**20  # bytes of one request, unpacked
_ZSTD = b"\x28\xb5\x2f\xfd"
_FIRST = 0x0A  # of a request as protobuf: its first resource


def requests(file: Path) -> Iterator[tuple[bytes, Form, str]]:
    """Each request with its form and where it stands. BadInput where the file ends within one, or one is too big."""
    with file.open("rb") as raw:
        begun = raw.read(4)
    packed = gzip.open if begun[:2] == b"\x1f\x8b" else zstd.open if begun == _ZSTD else open
    try:
        with packed(file, "rb") as stream:
            yield from _requests(cast("IO[bytes]", stream), str(file))
    except (zlib.error, zstd.ZstdError) as problem:
        raise BadInput(f"it does not unpack: {problem}") from None


def _requests(stream: IO[bytes], file: str) -> Iterator[tuple[bytes, Form, str]]:
    head = stream.read(16)
    if head.lstrip()[:1] == b"{":
        yield from _json(_ahead(head, stream), file)
    elif head[:1] == bytes([_FIRST]):
        yield _rest(stream, head), "protobuf", file
    elif head[:1] == b"\0":  # the collector's file exporter: the size of each in four bytes
        yield from _framed(stream, head, file)
    else:
        size, digits = _varint(head)
        if head[digits : digits + 1] == bytes([_FIRST]):  # as protobuf's own tools write many: the size as a varint
            yield from _delimited(stream, head, size, digits, file)
        else:
            yield _rest(stream, head), "protobuf", file


def _json(lines: Iterator[bytes], file: str) -> Iterator[tuple[bytes, Form, str]]:
    """One request a line; a last one that is cut off costs only itself. Else all of it is one."""
    first = next(lines)
    if not _whole(first):
        yield first + _joined(lines, len(first)), "json", file
        return
    yield first, "json", f"{file}:1"
    for number, line in enumerate(lines, 2):
        if line.strip():
            yield line, "json", f"{file}:{number}"


def _ahead(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream of which the head has been read."""
    *whole, last = head.split(b"\n")
    yield from (line + b"\n" for line in whole)
    while line := last + stream.readline(_MOST):
        if len(line) >= _MOST:
            raise BadInput(f"a line has more than {_MOST:,} bytes; cut the file into smaller requests")
        yield line
        last = b""


def _whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _joined(lines: Iterator[bytes], size: int) -> bytes:
    found: list[bytes] = []
    for line in lines:
        found.append(line)
        size += len(line)
        _check(size)
    return b"".join(found)


def _rest(stream: IO[bytes], head: bytes) -> bytes:
    body = head + stream.read(_MOST)
    _check(len(body))
    return body


def _framed(stream: IO[bytes], head: bytes, file: str) -> Iterator[tuple[bytes, Form, str]]:
    held, number = head, 0
    while held := held + stream.read(4 - min(len(held), 4)):
        number += 1
        size = int.from_bytes(held[:4])
        held, body = b"", held[4:]
        rest = _exactly(stream, size - len(body), number)
        body, held = body[:size] + rest, body[size:]
        yield *_form(otlp.unpack(body, "zstd", most=_MOST) if body[:4] == _ZSTD else body), f"{file}:{number}"


def _delimited(stream: IO[bytes], head: bytes, size: int, digits: int, file: str) -> Iterator[tuple[bytes, Form, str]]:
    held, number = head[digits:], 1
    while True:
        rest = _exactly(stream, size - len(held), number)
        body, held = held[:size] + rest, held[size:]
        yield body, "protobuf", f"{file}:{number}"
        held += stream.read(10 - min(len(held), 10))
        if not held:
            return
        number += 1
        size, digits = _varint(held)
        held = held[digits:]


def _form(body: bytes) -> tuple[bytes, Form]:
    return body, "json" if body.lstrip()[:1] == b"{" else "protobuf"


def _exactly(stream: IO[bytes], size: int, number: int) -> bytes:
    _check(size)
    body = stream.read(size) if size > 0 else b""
    if len(body) < size:
        raise BadInput(f"it ends within request {number:,}; those before it are kept")
    return body


def _varint(data: bytes) -> tuple[int, int]:
    """A number and how many bytes it takes; (0, 0) where there is none."""
    value = 0
    for digits, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << 7 * digits
        if byte < 0x80:
            return value, digits + 1
    return 0, 0


def _check(size: int) -> None:
    if size > _MOST:
        raise BadInput(f"one request has more than {_MOST:,} bytes; cut it into smaller ones")
