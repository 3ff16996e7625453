"""The way to a server: one request at a time goes out, its answer comes back, within a deadline and a number of bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from afere.chains.mcp.servers import Server
from afere.chains.mcp.wire import Message, NotMcp, answers, read

BYTES = 8 * 2**20  # of what a server may say to one request, or in one listing


@dataclass(slots=True)
class Limit:
    """How long an exchange may still take, and how much may still come."""

    until: float  # time.monotonic()
    bytes: int = BYTES
    odd: list[str] = field(default_factory=list[str])  # what came and was no answer, told once an answer is there

    @property
    def seconds(self) -> float:
        return self.until - time.monotonic()

    def within(self, seconds: float) -> Limit:
        """The same, for a part of it."""
        return Limit(min(self.until, time.monotonic() + seconds), self.bytes, self.odd)

    def take(self, count: int, server: Server) -> None:
        """So many bytes have come."""
        self.bytes -= count
        if self.bytes < 0:
            raise server.failed(f"it sent more than {BYTES // 2**20} MB; the rest was not read.")


class Channel(Protocol):
    """How a server is reached."""

    def ask(self, message: Message, version: str, limit: Limit, mirrored: Mapping[str, str]) -> Message:
        """The answer to a request, with `result` or `error`. McpFailed, or TimeoutError when the time is over."""
        ...

    def tell(self, message: Message, version: str, limit: Limit) -> None:
        """Send what has no answer."""
        ...

    def close(self) -> None:
        """End what was begun for it."""
        ...


def sort_out(data: bytes, number: int, limit: Limit, heard: Callable[[Message], None]) -> Message | None:
    """The message that a server sent, if it is the answer to request `number`. Others are handed on; odd ones counted."""
    try:
        message = read(data)
    except NotMcp as problem:
        limit.odd.append(str(problem))
        return None
    if answers(message, number):
        return message
    if "method" in message:
        heard(message)
    elif not (isinstance(said := message.get("id"), int) and said < number):  # late answers may come
        limit.odd.append(f"it answered a request that was not made (id {str(said)[:40]!r})")
    return None
