"""Another collector, to which OTLP is sent over HTTP: where, with which headers, and what its answers mean."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from afere.base.errors import BadInput, WorldFailed
from afere.net import Call, HostFailed, check_address, retry_after, send

_RETRYABLE = frozenset({429, 502, 503, 504})  # as the protocol says; the same again would fail with all others
_PATHS = ("/v1/traces", "/v1/logs")
_SECONDS = 30.0  # for one request
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class NotNow(WorldFailed):
    """It cannot take this now; `wait` is after how many seconds it wants it again, if it said so."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class NotTaken(WorldFailed):
    """It will not take this, however often it is sent."""


@dataclass(frozen=True, slots=True)
class Collector:
    """`url` is where its paths begin (`https://host`, or with `/v1/traces`); `headers` may hold its key."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], *, where: str) -> Collector:
        """From an address and names of environment variables by header. BadInput names `where` that was written."""
        parts = urlsplit(url)
        if parts.username or parts.query or parts.fragment:
            raise BadInput(f"{where}: {parts.hostname}: write the address alone; a key belongs into headers.")
        check_address(url, private_ok=True)
        values: dict[str, str] = {}
        for name, variable in headers.items():
            value = os.environ.get(variable, "")
            if not value or not value.isprintable() or not value.isascii():
                raise BadInput(
                    f"{where}: the header {name} is taken from the environment variable {variable}, which is "
                    f"{'no header value' if value else 'not set'}. Set it, or leave the header out."
                )
            if _NAME.fullmatch(name) is None:
                raise BadInput(f"{where}: {name!r} cannot name a header.")
            values[name.lower()] = value
        base = url.rstrip("/")
        for path in _PATHS:
            base = base.removesuffix(path)
        return cls(base, values)

    @property
    def host(self) -> str:
        """Its name and port, for messages."""
        return Call("POST", self.url).host

    def post(self, body: bytes, headers: Mapping[str, str], *, logs: bool = False) -> tuple[int, str]:
        """Send one request; how many of its items were refused, and why. NotNow, NotTaken, or Refused by `check_address`.

        The address is looked at before each request: a name may lead elsewhere by then.
        """
        check_address(self.url, private_ok=True)
        call = Call("POST", self.url + _PATHS[logs], {**headers, **self.headers}, body, _SECONDS, _SECONDS)
        try:
            answer = send(call)
        except HostFailed as error:
            raise NotNow(str(error)) from None
        if answer.status in _RETRYABLE:
            raise NotNow(f"{self.host} answered {answer.status}", retry_after(answer.headers))
        if not 200 <= answer.status < 300:
            raise NotTaken(f"{self.host} answered {answer.status}: {_shown(answer.body)}")
        if "protobuf" not in answer.headers.get("content-type", ""):
            return 0, ""
        try:
            if logs:
                said = ExportLogsServiceResponse.FromString(answer.body).partial_success
                return said.rejected_log_records, said.error_message[:300]
            partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
            return partial.rejected_spans, partial.error_message[:300]
        except DecodeError:
            return 0, ""


def _shown(body: bytes) -> str:
    text = "".join(one if one.isprintable() else " " for one in body[:300].decode("utf-8", "replace"))
    return " ".join(text.split()) or "nothing"
