"""OTLP over HTTP: `/v1/traces` and `/v1/logs`. An answer of 200 means that what was accepted is on disk.

The event loop only receives. The thread that writes reads small bodies too, since two threads of Python that hand each other work
cost more than one; large ones are read in another, so that nobody waits for somebody's 60 MiB. What has come meanwhile is kept in
one transaction. What is held in memory has a bound in bytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.datastructures import Headers

from afere.base.actor import Actor
from afere.base.errors import Refused
from afere.base.project import find_project
from afere.server.auth import ACTOR, project_for
from afere.server.forward import HOPS, Forward
from afere.server.intake import Full, Item, Kept, Writer
from afere.server.rpc_status import CODES, INTERNAL, as_json, as_protobuf
from afere.tracing import otlp
from afere.tracing.otlp import Batch, Malformed, TooMuch
from afere.tracing.otlp.batch import BadSpan, check_project

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from afere.store import Session

_log = logging.getLogger("afere.server")

MOST = 64 * 2**20  # bytes of a body, compressed and unpacked
HELD = 256 * 2**20  # bytes of all bodies in work
_QUICK = 2 * 2**20  # bytes of a body that others may wait for
SPARE = 32 * 2**20  # bytes more that only such bodies may take: large ones never keep them out
_SILENCE = 15.0  # seconds without a byte
WHOLE = 120.0  # seconds for a body
_FORMS: Mapping[str, otlp.Form] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_TYPES = {form: kind for kind, form in _FORMS.items()}
_BELOW = ("/v1/", "/api/public/otel/v1/")
_KEPT = ("traces", "logs")
_NOT_KEPT = {"metrics": "OTEL_METRICS_EXPORTER=none stops them."}
PATHS = tuple(f"{below}{what}{end}" for below in _BELOW for what in (*_KEPT, *_NOT_KEPT) for end in ("", "/"))


class Failed(Exception):
    """The request is answered with this HTTP status and sentence; `retry` is after how many seconds to send again."""

    def __init__(
        self, status: int, why: str, headers: tuple[tuple[str, str], ...] = (), *, retry: int | None = None
    ) -> None:
        super().__init__(why)
        self.status, self.why, self.retry = status, why, retry
        self.headers = headers if retry is None else (*headers, ("retry-after", str(retry)))


class Door:
    """The ASGI application at one of the paths."""

    def __init__(self, intake: Intake, *, logs: bool) -> None:
        self._intake = intake
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        form = _form(headers)
        try:
            kept = await self._intake.take(scope, form, headers, receive, logs=self._logs)
        except Failed as failed:
            body = _status(failed.status, failed.why, form)
            await _answer(send, failed.status, body, form, failed.headers)
            return
        if kept is not None:
            await _answer(send, 200, success(kept, form, logs=self._logs), form)


class Intake:
    """What receives, decodes and hands on; one for a server."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.writer = Writer(session)
        self._slow = ThreadPoolExecutor(1, "afere-otlp-large")
        self.held = self.spare = 0  # bytes; changed on the event loop only
        self.forward = Forward.of(find_project(), session.folder)

    def close(self) -> None:
        """Send on what waits for other collectors, for a few seconds."""
        self.forward.end()

    async def take(
        self, scope: Scope, form: otlp.Form | None, headers: Headers, receive: Receive, *, logs: bool
    ) -> Kept | None:
        """What was kept of a request over HTTP; None where the sender went away. Raises Failed."""
        encoding = _check(scope["method"], form, headers)
        project = self.project(scope[ACTOR], headers.get("afere-project"))
        with self.holding() as holding:
            holding.expect(headers.get("content-length", ""))
            body = await _received(receive, holding)
            if body is None or form is None:
                return None
            hops = headers.get(HOPS, "")
            return await self.keep(body, encoding, form, project, holding, logs=logs, hops=hops)

    def project(self, actor: Actor, asked: str | None) -> str | None:
        """Where what an actor sends goes; None: each item may say. Raises Failed."""
        try:
            named = None if asked is None else check_project(asked, "header afere-project")
            return project_for(actor, named, self._session.project)
        except BadSpan as error:
            raise Failed(400, f"{error}.") from None
        except Refused as error:
            raise Failed(403, str(error)) from None

    @contextmanager
    def holding(self) -> Generator[Holding]:
        """What a request holds of memory is counted while the block runs."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            holding.release()

    async def keep(
        self,
        body: bytes,
        encoding: str,
        form: otlp.Form,
        project: str | None,
        holding: Holding,
        *,
        logs: bool,
        hops: str = "",
    ) -> Kept:
        """What was kept of a whole body: on disk when this returns. Raises Failed. `hops`: who has sent it on until now."""
        try:
            kept = await self._kept(body, encoding, form, project, holding, logs=logs)
        except Full as error:
            raise Failed(503, str(error), retry=error.wait) from None
        except TooMuch as error:
            raise Failed(413, str(error)) from None
        except Malformed as error:
            raise Failed(400, str(error)) from None
        except MemoryError:
            raise Failed(503, "The server has no memory left for this request; send it again.", retry=5) from None
        except Exception as error:  # noted where it came up
            raise Failed(
                500, f"The request could not be kept ({type(error).__name__}); the server's log says more."
            ) from None
        if not kept.ours:
            sent = {"content-type": _TYPES[form], **({"content-encoding": encoding} if encoding else {})}
            self.forward.put(body, sent, kept.accepted, logs=logs, hops=hops)
        return kept

    async def _kept(
        self, body: bytes, encoding: str, form: otlp.Form, project: str | None, holding: Holding, *, logs: bool
    ) -> Kept:
        if len(body) <= _QUICK:
            try:
                return await asyncio.wrap_future(
                    self.writer.receive(body, encoding, form, project, most=_QUICK, logs=logs)
                )
            except TooMuch:
                pass  # large, or too large: the other thread finds out

        def work() -> Batch[Item]:
            plain = otlp.unpack(body, encoding, most=MOST)
            holding.grown = len(plain) if encoding else 0
            return self.writer.read_large(plain, form, logs=logs)

        try:
            batch = await asyncio.get_running_loop().run_in_executor(self._slow, work)
        except (Malformed, TooMuch):
            raise
        except Exception:
            _log.exception("OTLP: a large request could not be read")
            raise
        holding.add(holding.grown, bounded=False)
        return await asyncio.wrap_future(self.writer.put(batch, project))


class Holding:
    """The bytes that one request holds."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._bytes = self._spare = 0
        self.grown = 0  # what a body unpacked to

    def expect(self, length: str) -> None:
        """Raises Failed where a body of that length would find no room."""
        self.add(int(length) if length.isdigit() else 0)
        self.release()

    def add(self, count: int, *, bounded: bool = True) -> None:
        intake = self._intake
        if bounded and intake.held + count > HELD:
            if self._bytes + self._spare + count > _QUICK or intake.spare + count > SPARE:
                raise Failed(503, "The server holds as much as it may; send again in a moment.", retry=1)
            self._spare += count
            intake.spare += count
        else:
            self._bytes += count
            intake.held += count

    def release(self) -> None:
        self._intake.held -= self._bytes
        self._intake.spare -= self._spare
        self._bytes = self._spare = 0


def _check(method: str, form: otlp.Form | None, headers: Headers) -> str:
    """The encoding."""
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
    return encoding


async def _received(receive: Receive, holding: Holding) -> bytes | None:
    """The body as it was sent; None where the sender went away."""
    body = bytearray()
    now = asyncio.get_running_loop().time
    deadline = now() + WHOLE
    try:
        async with asyncio.timeout_at(deadline) as patience:
            while True:
                patience.reschedule(min(now() + _SILENCE, deadline))
                message = await receive()
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
    except TimeoutError:
        raise Failed(408, "The rest of the body did not come in time.", (("connection", "close"),)) from None


def success(kept: Kept, form: otlp.Form | None, *, logs: bool) -> bytes:
    """The answer to what was kept, with what was not."""
    name, key = ("rejected_log_records", "rejectedLogRecords") if logs else ("rejected_spans", "rejectedSpans")
    if form == "json":
        partial = {"partialSuccess": {key: str(kept.rejected), "errorMessage": kept.why}} if kept.rejected else {}
        return json.dumps(partial).encode()
    answer: Any = ExportLogsServiceResponse() if logs else ExportTraceServiceResponse()
    if kept.rejected:
        setattr(answer.partial_success, name, kept.rejected)
        answer.partial_success.error_message = kept.why
    return answer.SerializeToString()


def _status(status: int, why: str, form: otlp.Form | None) -> bytes:
    code = CODES.get(status, INTERNAL)
    return as_protobuf(code, why) if form == "protobuf" else as_json(code, why)


async def _answer(
    send: Send, status: int, body: bytes, form: otlp.Form | None, headers: tuple[tuple[str, str], ...] = ()
) -> None:
    kind = _TYPES[form or "json"]
    said = [("content-type", kind), ("content-length", str(len(body))), *headers]
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in said]}
    )
    await send({"type": "http.response.body", "body": body})


def refused(status: int, why: str, headers: Headers) -> ASGIApp:
    """The answer to who is not let in."""
    form = _form(headers)
    said = (("www-authenticate", 'Bearer realm="afere"'),) if status == 401 else ()

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await _answer(send, status, _status(status, why, form), form, said)

    return answer


def doors(intake: Intake) -> dict[str, Callable[[Scope, Receive, Send], Any]]:
    """The application of each path."""
    known: dict[str, Callable[[Scope, Receive, Send], Any]] = {
        what: Door(intake, logs=what == "logs") for what in _KEPT
    }
    known |= {what: _Closed(f"afere keeps traces, not {what}. {hint}") for what, hint in _NOT_KEPT.items()}
    return {path: known[path.rstrip("/").rpartition("/")[2]] for path in PATHS}


class _Closed:
    """A path of OTLP where nothing is taken."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        form = _form(Headers(scope=scope))
        await _answer(send, 404, _status(404, self._why, form), form)


def _form(headers: Headers) -> otlp.Form | None:
    return _FORMS.get(headers.get("content-type", "").partition(";")[0].strip().lower())
