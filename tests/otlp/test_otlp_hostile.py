"""Bodies that want to stop the server: bombs, floods of stalled uploads, bodies without end. The others are served."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import sys
import threading
from contextlib import ExitStack

import pytest
from sending import JSON, PROTOBUF, Door, body, span

from afere.server import otlp as server_otlp

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = bytes(1 << 20)
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"


def connected(door: Door) -> socket.socket:
    host, port = door.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_of_one_gibibyte_costs_no_memory_and_others_are_served(door: Door, encoding: str) -> None:
    """Members and frames may follow each other: small to send, 1 GiB unpacked."""
    bomb = (gzip.compress if encoding == "gzip" else zstd.compress)(MIB) * 1024
    assert door.post(body(span())).status == 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers: list[int] = []
    headers = {**PROTOBUF, "content-encoding": encoding}
    throwing = [threading.Thread(target=lambda: answers.append(door.post(bomb, headers).status)) for _ in range(3)]
    for thread in throwing:
        thread.start()
    for _ in range(5):
        assert door.post(body(span())).status == 200
    for thread in throwing:
        thread.join()
    assert answers == [413] * 3
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1 if sys.platform == "darwin" else 1024)
    assert grown < 120, f"{grown} MiB"


def test_fifty_stalled_uploads_hold_up_nobody(door: Door) -> None:
    with ExitStack() as open_:
        for number in range(50):
            stalled = open_.enter_context(connected(door))
            stalled.sendall(HEAD + (b"Content-Length: 60000000\r\n\r\nabc" if number % 2 else b""))
        for _ in range(5):
            assert door.post(body(span())).status == 200


def test_a_body_without_end_is_cut_off(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_otlp, "MOST", 3 << 20)
    with connected(door) as endless:
        endless.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = b""
        try:
            for _ in range(64):
                endless.sendall(b"100000\r\n" + MIB + b"\r\n")
        except OSError:
            pass  # it was told, and the rest is not read
        try:
            answer = endless.recv(2000)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert door.post(body(span())).status == 200


def test_a_request_that_says_one_length_and_brings_another_is_no_harm(door: Door) -> None:
    with connected(door) as short:
        short.sendall(HEAD + b"Content-Length: 500\r\n\r\n" + body(span()))
        short.shutdown(socket.SHUT_WR)
        assert not short.recv(2000).startswith(b"HTTP/1.1 200")
    with connected(door) as twice:
        twice.sendall(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef")
        assert twice.recv(2000).startswith(b"HTTP/1.1 400")
    assert door.post(body(span())).status == 200


def test_an_uploader_that_asks_first_is_told_to_go_on(door: Door) -> None:
    sent = span()
    with connected(door) as careful:
        content = body(sent)
        careful.sendall(HEAD + f"Expect: 100-continue\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        assert careful.recv(2000).startswith(b"HTTP/1.1 100 ")
        careful.sendall(content)
        assert careful.recv(2000).startswith(b"HTTP/1.1 200 ")
    assert door.span(sent)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,zstd", "br", "x-gzip", "GZIP"])
def test_encodings_that_are_not_taken_are_told_and_names_have_no_case(door: Door, encoding: str) -> None:
    answer = door.post(gzip.compress(body(span())), {**PROTOBUF, "content-encoding": encoding})
    assert answer.status == (200 if encoding == "GZIP" else 415)
    if answer.status == 415:
        assert answer.body[:2] == b"\x08\x03" and answer.headers["content-type"] == "application/x-protobuf"


def test_json_that_is_no_number_or_has_a_key_twice_is_no_harm(door: Door) -> None:
    sent = span()
    good = {"traceId": sent.trace_id.hex(), "spanId": sent.span_id.hex(), "name": "n", "startTimeUnixNano": "1e3"}
    for value in (
        '{"doubleValue": NaN}',
        '{"doubleValue": 1e999}',
        '{"intValue": "9999999999999999999999"}',
        '{"boolValue": 7}',
    ):
        text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**good, "attributes": "@"}]}]}]})
        text = text.replace('"@"', f'[{{"key": "a", "key": "b", "value": {value}}}]')
        assert door.post(text.encode(), JSON).status in (200, 400)
        assert door.post(b"", {}, "/traces", "GET").status == 200
    assert door.post(body(sent)).status == 200 and door.span(sent)
