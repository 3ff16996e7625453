"""google.rpc.Status, as OTLP answers errors: the body over HTTP, `grpc-status-details-bin` over gRPC."""

from __future__ import annotations

import json

from afere.base.protowire import field, varint

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
    body = b"\x08" + varint(code) + field(2, text)
    if retry is None:
        return body
    delay = field(1, b"\x08" + varint(retry))  # RetryInfo {1: Duration {1: seconds}}
    return body + field(3, field(1, _RETRY) + field(2, delay))  # Any {1: type_url, 2: value}
