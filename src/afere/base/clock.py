"""Time as the product writes it: integers of nanoseconds inside, RFC 3339 UTC outside."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import lru_cache


def now_ns() -> int:
    """Nanoseconds since 1970, UTC."""
    return time.time_ns()


def rfc3339(ns: int) -> str:
    """`2026-11-22T14:32:07.123456Z` for nanoseconds since 1970."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


@lru_cache(maxsize=4096)
def _second(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).isoformat()[:19]


def today(ns: int) -> str:
    """The day, `2026-11-22` in UTC, of nanoseconds since 1970."""
    return _day(ns // 86_400_000_000_000)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).isoformat()[:10]


def from_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; a time without a zone is read as UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def new_trace_id() -> str:
    """32 hex digits, as W3C Trace Context wants them."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """16 hex digits."""
    return os.urandom(8).hex()


def new_id() -> str:
    """32 hex digits that sort by time of making (UUID version 7, RFC 9562)."""
    milliseconds = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    rest = bytearray(os.urandom(10))
    rest[0] = 0x70 | rest[0] & 0x0F
    rest[2] = 0x80 | rest[2] & 0x3F
    return (milliseconds + bytes(rest)).hex()
