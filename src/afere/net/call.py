"""What is asked over HTTP, what comes back, and how it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from afere.base.clock import now_ns
from afere.base.errors import WorldFailed


class HostFailed(WorldFailed):
    """A call over the network failed; the message names the host and what to do."""


class HostUnreachable(HostFailed):
    """No connection could be made."""


class HostTimedOut(HostFailed):
    """Connected, but the answer took too long."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `timeout` bounds the whole exchange, `first_byte` the silence before the answer's first
    byte and between any two later ones; both in seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # they may hold credentials
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 600.0
    first_byte: float = 120.0

    @property
    def host(self) -> str:
        """`host:port` as written, without user name or path, for messages."""
        try:
            parts = urlsplit(self.url)
            return (parts.hostname or "?") + (f":{parts.port}" if parts.port else "")
        except ValueError:
            return "?"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in small letters, values of a repeated header are joined with a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date, RFC 9110, 10.2.3)."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = float(headers["retry-after"])
    except KeyError:
        return None
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(headers["retry-after"]).timestamp() - now_ns() / 1e9
        except (KeyError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
