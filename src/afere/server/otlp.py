"""OTLP over HTTP: `/v1/traces` and `/v1/logs`. An answer of 200 means that what was accepted is on disk.

The event loop only receives. Small bodies are unpacked and decoded in one thread, large ones in another, so that nobody waits
for somebody's 60 MiB; one writer keeps what has come meanwhile in one transaction. What is held in memory has a bound in bytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.datastructures import Headers

from afere.base.errors import Refused
from afere.server.auth import ACTOR, project_for
from afere.server.intake import Full, Kept, Writer
from afere.tracing import otlp
from afere.tracing.otlp import Batch, Malformed, TooMuch
from afere.tracing.otlp.batch import BadSpan, check_project

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from afere.store import Session

_log = logging.getLogger("afere.server")

MOST = 64 * 2**20  # bytes of a body, compressed and unpacked
HELD = 256 * 2**20  # bytes of all bodies in work
_QUICK = 2**20  # bytes of a body that others may wait for
_SILENCE = 15.0  # seconds without a byte
_WHOLE = 120.0  # seconds for a body
_FORMS: Mapping[str, otlp.Form] = {"application/x-protobuf": "protobuf", "application/json": "json"}
PATHS = ("/v1/traces", "/v1/logs", "/api/public/otel/v1/traces", "/api/public/otel/v1/logs")

# google.rpc.Code, as the body of an error names it
_CODES = {400: 3, 401: 16, 403: 7, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}


class Failed(Exception):
    """The request is answered with this status and sentence."""

    def __init__(self, status: int, why: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers


class Door:
    """The ASGI application at one of the paths."""

    def __init__(self, intake: Intake, *, logs: bool) -> None:
        self._intake = intake
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        form = _FORMS.get(headers.get("content-type", "").partition(";")[0].strip().lower())
        try:
            kept = await self._intake.take(scope, form, headers, receive, logs=self._logs)
        except Failed as failed:
            body = _status(_CODES.get(failed.status, 13), failed.why, form)
            await _answer(send, failed.status, body, form, failed.headers)
            return
        if kept is not None:
            await _answer(send, 200, _success(kept, form, logs=self._logs), form)


class Intake:
    """What receives, decodes and hands on; one for a server."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._writer = Writer(session)
        self._quick = ThreadPoolExecutor(1, "afere-otlp")
        self._slow = ThreadPoolExecutor(1, "afere-otlp-large")
        self._held = 0  # bytes; changed on the event loop only

    async def take(
        self, scope: Scope, form: otlp.Form | None, headers: Headers, receive: Receive, *, logs: bool
    ) -> Kept | None:
        """What was kept of a request; None where the sender went away. Raises Failed."""
        encoding, project = _check(scope["method"], form, headers)
        try:
            project = project_for(scope[ACTOR], project, self._session.project)
        except Refused as error:
            raise Failed(403, str(error)) from None
        holding = _Holding(self)
        try:
            body = await _received(receive, holding)
            if body is None or form is None:
                return None
            batch, size = await self._decoded(body, encoding, form, logs=logs)
            holding.add(size, bounded=False)
            if batch.rejected and not batch.accepted:
                raise Failed(400, f"Nothing of this request can be kept: {batch.why}.")
            return await asyncio.wrap_future(self._writer.put(batch, project))
        except Full as error:
            raise Failed(503, str(error), (("retry-after", str(error.wait)),)) from None
        finally:
            holding.release()

    async def _decoded(self, body: bytes, encoding: str, form: otlp.Form, *, logs: bool) -> tuple[Batch, int]:
        def work(most: int) -> tuple[Batch, int]:
            plain = otlp.unpack(body, encoding, most=most)
            return self._writer.understood((otlp.logs if logs else otlp.traces)(plain, form)), len(plain)

        loop = asyncio.get_running_loop()
        try:
            if len(body) <= _QUICK:
                try:
                    return await loop.run_in_executor(self._quick, work, _QUICK)
                except TooMuch:
                    pass  # large, or too large: the other thread finds out
            return await loop.run_in_executor(self._slow, work, MOST)
        except TooMuch as error:
            raise Failed(413, str(error)) from None
        except Malformed as error:
            raise Failed(400, str(error)) from None


class _Holding:
    """The bytes that one request holds."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = 0

    def add(self, count: int, *, bounded: bool = True) -> None:
        if bounded and self._intake._held + count > HELD:
            raise Failed(503, "The server holds as much as it may; send again in a moment.", (("retry-after", "1"),))
        self._bytes += count
        self._intake._held += count

    def release(self) -> None:
        self._intake._held -= self._bytes
        self._bytes = 0


def _check(method: str, form: otlp.Form | None, headers: Headers) -> tuple[str, str | None]:
    """The encoding, and the project if one is named."""
    if method != "POST":
        raise Failed(405, f"OTLP is sent with POST, not {method}.", (("allow", "POST"),))
    if form is None:
        said = headers.get("content-type", "") or "none"
        raise Failed(415, f"Content-Type {said[:100]!r} is not taken. Send one of: {', '.join(_FORMS)}.")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", *otlp.ENCODINGS):
        raise Failed(
            415, f"Content-Encoding {encoding[:100]!r} is not taken. Send one of: {', '.join(otlp.ENCODINGS)}, or none."
        )
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST:
        raise Failed(413, f"The body has {int(length):,} bytes; at most {MOST:,} are taken. Send smaller batches.")
    project = headers.get("afere-project")
    try:
        return encoding, None if project is None else check_project(project, "header afere-project")
    except BadSpan as error:
        raise Failed(400, f"{error}.") from None


async def _received(receive: Receive, holding: _Holding) -> bytes | None:
    """The body as it was sent; None where the sender went away."""
    body = bytearray()
    deadline = asyncio.get_running_loop().time() + _WHOLE
    while True:
        left = min(_SILENCE, deadline - asyncio.get_running_loop().time())
        try:
            message = await asyncio.wait_for(receive(), max(left, 0))
        except TimeoutError:
            raise Failed(408, "The rest of the body did not come in time.", (("connection", "close"),)) from None
        if message["type"] != "http.request":
            return None
        piece = message.get("body", b"")
        if len(body) + len(piece) > MOST:
            raise Failed(
                413, f"The body has more than {MOST:,} bytes. Send smaller batches.", (("connection", "close"),)
            )
        holding.add(len(piece))
        body += piece
        if not message.get("more_body"):
            return bytes(body)


def _success(kept: Kept, form: otlp.Form | None, *, logs: bool) -> bytes:
    name, key = ("rejected_log_records", "rejectedLogRecords") if logs else ("rejected_spans", "rejectedSpans")
    if form == "json":
        partial = {"partialSuccess": {key: str(kept.rejected), "errorMessage": kept.why}} if kept.rejected else {}
        return json.dumps(partial).encode()
    answer: Any = ExportLogsServiceResponse() if logs else ExportTraceServiceResponse()
    if kept.rejected:
        setattr(answer.partial_success, name, kept.rejected)
        answer.partial_success.error_message = kept.why
    return answer.SerializeToString()


def _status(code: int, why: str, form: otlp.Form | None) -> bytes:
    """google.rpc.Status: {1: code, 2: message}."""
    if form != "protobuf":
        return json.dumps({"code": code, "message": why}).encode()
    text = why.encode("utf-8", "replace")[:4000].decode("utf-8", "ignore").encode()
    size = bytes((len(text) & 0x7F | 0x80, len(text) >> 7)) if len(text) > 127 else bytes((len(text),))
    return bytes((0x08, code, 0x12)) + size + text


async def _answer(
    send: Send, status: int, body: bytes, form: otlp.Form | None, headers: tuple[tuple[str, str], ...] = ()
) -> None:
    kind = "application/x-protobuf" if form == "protobuf" else "application/json"
    said = [("content-type", kind), ("content-length", str(len(body))), *headers]
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in said]}
    )
    await send({"type": "http.response.body", "body": body})


def refused(status: int, why: str, headers: Headers) -> ASGIApp:
    """The answer to who is not let in."""
    form = _FORMS.get(headers.get("content-type", "").partition(";")[0].strip().lower())
    said = (("www-authenticate", 'Bearer realm="afere"'),) if status == 401 else ()

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await _answer(send, status, _status(_CODES.get(status, 13), why, form), form, said)

    return answer


def doors(intake: Intake) -> dict[str, Callable[[Scope, Receive, Send], Any]]:
    """The application of each path."""
    traces, logs = Door(intake, logs=False), Door(intake, logs=True)
    return {path: logs if path.endswith("/logs") else traces for path in PATHS}
