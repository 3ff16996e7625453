"""Compressed bodies, unpacked with a bound that holds while unpacking: a bomb costs the memory of its compressed form."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator

from afere.tracing.otlp.batch import Malformed, TooMuch

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 65_536
_WINDOW = 23  # 8 MiB, the most that RFC 9659 lets a zstd body ask of its receiver
ENCODINGS = ("gzip", "deflate", "zstd")


def unpack(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body without its Content-Encoding; TooMuch if that is more than `most` bytes, Malformed if it does not unpack."""
    if encoding in ("", "identity"):
        if len(body) > most:
            raise TooMuch(f"The body has {len(body):,} bytes; at most {most:,} are taken. Send smaller batches.")
        return body
    size = 0
    for piece in _pieces(body, encoding):  # counted before it is kept: a bomb never takes up what it unpacks to
        size += len(piece)
        if size > most:
            raise TooMuch(f"The body unpacks to more than {most:,} bytes. Send smaller batches.")
    whole = bytearray(size)
    at = 0
    for piece in _pieces(body, encoding):
        whole[at : at + len(piece)] = piece
        at += len(piece)
    return bytes(whole)


def _pieces(body: bytes, encoding: str) -> Iterator[bytes]:
    try:
        yield from _zstd(body) if encoding == "zstd" else _zlib(body, encoding)
    except (zlib.error, zstd.ZstdError) as error:
        raise Malformed(f"The body is not {encoding} as its Content-Encoding says: {error}.") from None


def _zlib(body: bytes, encoding: str) -> Iterator[bytes]:
    bits = 31 if encoding == "gzip" else 15 if body[:1] and body[0] & 0x0F == 8 else -15  # some send deflate bare
    rest = body
    while rest:  # a gzip file may have several members
        unpacker = zlib.decompressobj(bits)
        while not unpacker.eof:
            piece = unpacker.decompress(rest, _PIECE)
            rest = unpacker.unconsumed_tail
            if piece:
                yield piece
            elif not unpacker.eof:
                raise Malformed("The compressed body ends too early: it was cut on the way.")
        rest = unpacker.unused_data if encoding == "gzip" else b""


def _zstd(body: bytes) -> Iterator[bytes]:
    rest = body
    while rest:
        unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW})
        given = rest
        while not unpacker.eof:
            piece = unpacker.decompress(given, _PIECE)
            given = b""
            if piece:
                yield piece
            elif not unpacker.eof and unpacker.needs_input:
                raise Malformed("The compressed body ends too early: it was cut on the way.")
        rest = unpacker.unused_data
