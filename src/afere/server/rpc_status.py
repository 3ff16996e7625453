"""google.rpc.Status, as OTLP answers errors: the body over HTTP, `grpc-status-details-bin` over gRPC."""

from __future__ import annotations

import json

# HTTP status -> google.rpc.Code
CODES = {400: 3, 401: 16, 403: 7, 404: 12, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}
INTERNAL = 13
_LONGEST = 4_000  # bytes of a message
_RETRY = b"type.googleapis.com/google.rpc.RetryInfo"


def as_json(code: int, why: str) -> bytes:
    """{code, message}."""
    return json.dumps({"code": code, "message": why}).encode()


def as_protobuf(code: int, why: str, *, retry: int | None = None) -> bytes:
    """{1: code, 2: message, 3: details}; `retry` is after how many seconds to send again, as google.rpc.RetryInfo."""
    text = why.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").encode()
    body = b"\x08" + _varint(code) + _field(2, text)
    if retry is None:
        return body
    delay = _field(1, b"\x08" + _varint(retry))  # RetryInfo {1: Duration {1: seconds}}
    return body + _field(3, _field(1, _RETRY) + _field(2, delay))  # Any {1: type_url, 2: value}


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    said = bytearray()
    while value > 0x7F:
        said.append(value & 0x7F | 0x80)
        value >>= 7
    said.append(value)
    return bytes(said)
