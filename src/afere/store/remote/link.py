"""One server, asked over HTTP: JSON packed with zstd, again after what may pass, errors as they were raised there."""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

from afere.base import errors
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound, Refused, StoreFailed
from afere.net import Answer, Call, HostFailed, send
from afere.store.jobs import Busy, Owner
from afere.store.wire import VERSION

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PATIENCE = 30.0  # seconds that one thing is asked for again and again
_LAST = 5.0  # seconds of the same once the process ends
_STORE = f"/api/store/{VERSION}/"
_PROTOBUF = "application/x-protobuf"
_EACH = 60.0  # seconds of one attempt
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts, half of it by chance
_SHORT = 1_000  # bytes not worth packing
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOLD = 2  # attempts after which it is said that something is waited for
_ending = threading.Event()
_log = logging.getLogger("afere.waiting")


def hurry() -> None:
    """The process ends: what is left is sent, but nobody waits long for a server that does not answer."""
    _ending.set()


class Link:
    """The address of a server and the key for it. Threads may share it."""

    def __init__(self, url: str, key: str | None, project: str | None) -> None:
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment:
            raise BadInput(f"{url!r} is no address of a server: write https://host or http://host:4318.")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise BadInput(
                "AFERE_KEY is no key: it has characters that no key has. Set it anew, without quotes around it."
            )
        self.url = url.rstrip("/")
        self.project = project
        self.patience = PATIENCE
        self._key = key
        self._failing = threading.Event()

    def of(self, project: str) -> Link:
        """The same server and key, for another project."""
        return Link(self.url, self._key, project)

    def ask(self, method: str, **arguments: object) -> Any:
        """The value of a method of the server's store."""
        return self._value("POST", method, json.dumps(arguments).encode())

    def put_blob(self, data: bytes) -> str:
        """Keep bytes there; their digest."""
        return str(self._value("POST", "put_blob", data, kind="application/octet-stream"))

    def blob(self, digest: str) -> bytes:
        """The bytes with that digest."""
        return self._sent("GET", f"{_STORE}blobs/{quote(digest, safe=':')}", None, {}).body

    def send_spans(self, body: bytes, count: int) -> None:
        """Keep the spans of a request of OTLP in protobuf: durable on return. BadInput where some cannot be kept; the others are."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        headers = {"content-type": _PROTOBUF, "content-encoding": "zstd"}
        answer = self._sent("POST", "/v1/traces", zstd.compress(body), headers)
        try:
            refused = ExportTraceServiceResponse.FromString(answer.body).partial_success
        except ValueError:
            raise self._stranger() from None
        if refused.rejected_spans:
            raise BadInput(f"{refused.rejected_spans} of {count} spans cannot be kept: {refused.error_message}.")

    def _value(self, method: str, path: str, body: bytes, *, kind: str = "application/json") -> Any:
        headers = {"content-type": kind}
        if len(body) > _SHORT:
            body, headers["content-encoding"] = zstd.compress(body), "zstd"
        answer = self._sent(method, _STORE + path, body, headers)
        try:
            return json.loads(answer.body)["value"]
        except (ValueError, KeyError, TypeError):
            raise self._stranger() from None

    def _stranger(self) -> StoreFailed:
        return StoreFailed(f"What answers at {self.url} is no server of afere. Check AFERE_STORE.")

    def _sent(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """The answer, asked for until it comes. After a long failure the next question is put only once, until one succeeds."""
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        if self.project:
            headers["afere-project"] = quote(self.project)
        begun, attempt = time.monotonic(), 0
        while True:
            each = _LAST if _ending.is_set() else _EACH
            call = Call(method, self.url + path, headers, body, timeout=each, first_byte=each)
            try:
                answer = send(call)
            except HostFailed as error:
                problem, wait = StoreFailed(f"The server of this store cannot be asked: {error}"), None
            else:
                if answer.status < 400:
                    self._failing.clear()
                    return answer
                problem, wait = _problem(answer, self.url), answer.headers.get("retry-after")
                if answer.status not in _PASSING:
                    self._failing.clear()
                    raise problem
            pause = _pause(attempt, wait)
            if time.monotonic() + pause - begun > self._patience():
                self._failing.set()
                raise problem
            if attempt == _TOLD:  # for whoever looks on; a program that waits in silence loses nothing by it
                _log.info("%s It is asked again for up to %.0f s.", problem, self._patience())
            _sleep(pause)
            attempt += 1

    def _patience(self) -> float:
        if self._failing.is_set():
            return 0.0
        return min(self.patience, _LAST) if _ending.is_set() else self.patience


def _sleep(seconds: float) -> None:
    """Wait; less, if the process ends meanwhile."""
    if _ending.is_set():
        time.sleep(seconds)
    else:
        _ending.wait(seconds)


def _pause(attempt: int, wait: str | None) -> float:
    if wait is not None and wait.isdigit():
        return min(float(wait), 60.0)
    pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
    return pause / 2 + random.random() * pause / 2  # noqa: S311  no secret


def _status(answer: Answer) -> Json:
    """What OTLP answers, a google.rpc.Status: {1: code, 2: message}, as what was rejected is told; None where it is none."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

    if answer.headers.get("content-type") != _PROTOBUF:
        return None
    try:
        text = ExportTracePartialSuccess.FromString(answer.body).error_message
    except ValueError:
        return None
    kind = {400: "BadInput", 403: "Refused", 413: "BadInput"}.get(answer.status)
    return {"detail": text, **({"error": kind} if kind else {})}


def _problem(answer: Answer, url: str) -> AfereError:
    """The error that was raised at the server."""
    try:
        said: Any = json.loads(answer.body)
    except ValueError:
        said = _status(answer)
    told: Mapping[str, Json] = cast("Mapping[str, Json]", said) if isinstance(said, dict) else {}
    text = str(told.get("detail") or "its log may say more")
    if answer.status == 401:
        return Refused(f"{url} does not let this program in: {text.rstrip('.')}. Set the key with AFERE_KEY.")
    owner = told.get("owner")
    if isinstance(owner, dict):
        return Busy(text, Owner(**cast("dict[str, Any]", owner)))
    named = getattr(errors, str(told.get("error")), None)
    if isinstance(named, type) and issubclass(named, AfereError) and named is not errors.MissingExtra:
        return named(text)
    if answer.status in (404, 405) and not told.get("error"):
        return NotFound(
            f"{url} answered {answer.status}: no server of afere, or one of another version. Check AFERE_STORE."
        )
    return StoreFailed(f"{url} answered {answer.status}: {text}")
