"""One connection of HTTP/1.1: an exchange at a time, with its time limits, and idle in between."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from afere.net.call import Call, HostFailed, HostTimedOut
from afere.net.parsing import AnswerReader, NotHttp
from afere.net.route import Place

if TYPE_CHECKING:
    from afere.net.pool import Pool

IDLE = 30.0  # seconds that a connection waits for another request
_UNREAD = 1024 * 1024  # bytes of a streamed answer that wait for its reader before the server has to
_GATHER, _GATHER_MOST = 0.02, 0.02  # share of the time so far, and seconds, for which pieces of an answer gather
_PIECE = 16 * 1024  # bytes at once that are no mere piece
_RACE = 1.0  # seconds in which an idle connection that its server was closing shows that it was


class Broken(Exception):
    """The connection broke off; `unused`: it was idle before, and the server had closed it already."""

    def __init__(self, why: str, *, unused: bool) -> None:
        super().__init__(why)
        self.unused = unused


class Exchange:
    """One request and its answer as it comes. Awaited by one task."""

    __slots__ = ("_waiter", "begun", "call", "deadline", "problem", "reader", "sent", "silent_from", "whole")

    def __init__(self, call: Call, deadline: float, whole: bool, begun: Callable[[], None] | None) -> None:
        self.call = call
        self.deadline = deadline
        self.whole = whole  # nobody looks before the answer is whole
        self.begun = begun
        self.reader = AnswerReader(call.method)
        self.problem: Exception | None = None
        self.sent = self.silent_from = 0.0
        self._waiter: asyncio.Future[None] | None = None

    def advanced(self) -> None:
        """More of the answer is there."""
        if self.begun is not None and (self.reader.done or (self.reader.status and self.reader.has_body)):
            begun, self.begun = self.begun, None
            begun()
        if self.reader.done or not self.whole:
            self._wake()

    def fail(self, problem: Exception) -> None:
        """No more will come."""
        self.problem = self.problem or problem
        self._wake()

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the server now."""
        return self._waiter is not None

    async def more(self, connection: Connection) -> None:
        """Wait until there is more; raises what went wrong. Cancelled, it closes the connection."""
        if self.problem is not None:
            raise self.problem
        self._waiter = connection.loop.create_future()
        try:
            await self._waiter
        except BaseException:
            connection.close()
            raise
        finally:
            self._waiter = None
        if self.problem is not None:
            raise self.problem

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """Lives on one event loop. What it reads goes to its exchange; without one it is idle, in the pool."""

    def __init__(self, pool: Pool, place: Place) -> None:
        self.loop = pool.loop
        self.place = place
        self.used = 0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._idle_from = 0.0
        self._paused = False

    # what the pool and the client do

    @property
    def usable(self) -> bool:
        """Whether another request may be sent now."""
        return self._transport is not None and not self._transport.is_closing() and self._exchange is None

    async def ask(self, exchange: Exchange, data: bytes) -> None:
        """Send a request; returns when its answer is whole, or its head is there."""
        assert self._transport is not None
        self._exchange = exchange
        exchange.sent = exchange.silent_from = self.loop.time()
        self._transport.write(data)
        self._watch()
        while not (exchange.reader.done or (exchange.reader.status and not exchange.whole)):
            await exchange.more(self)

    async def piece(self, exchange: Exchange) -> bytes | None:
        """The next bytes of a streamed body; None at its end."""
        while True:
            if pieces := exchange.reader.taken():
                self._read_on()
                exchange.silent_from = self.loop.time()
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if exchange.reader.done:
                return None
            exchange.silent_from = self.loop.time()
            self._watch()
            await exchange.more(self)

    def leave(self, exchange: Exchange) -> None:
        """Nobody reads that exchange any more: unless it is over, the connection is of no more use."""
        if self._exchange is exchange:
            self.close()

    def close(self) -> None:
        """End it now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    # what the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - of a stream socket, it is one

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.close()  # nobody asked: what follows could be taken for the next answer
            return
        reader = exchange.reader
        try:
            reader.feed(data)
        except NotHttp as problem:
            self._fail(
                HostFailed(f"{exchange.call.host} did not answer as a web server does: {problem}. Check the address.")
            )
            return
        exchange.silent_from = self.loop.time()
        if reader.done:
            self._finish(reader)
        elif not exchange.whole and not self._paused and reader.size > _UNREAD and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        exchange.advanced()
        if exchange.whole and reader.has_body and not reader.done and len(data) < _PIECE:
            self._gather(exchange)

    def _gather(self, exchange: Exchange) -> None:
        """Let the pieces of an answer that nobody looks at before it is whole come together: a model writes hundreds, and
        reading each costs as much as reading all. The answer ends later by at most that share of its time."""
        if self._transport is None or self._transport.is_closing():
            return
        self._paused = True
        self._transport.pause_reading()
        self.loop.call_later(min(_GATHER_MOST, _GATHER * (self.loop.time() - exchange.sent)), self._read_on)

    def _read_on(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """The transport closes itself; `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        exchange, self._exchange = self._exchange, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        if exchange is None:
            return
        try:
            exchange.reader.end()
        except NotHttp as problem:
            unused = self.used > 0 and not exchange.reader.begun and self.loop.time() - exchange.sent < _RACE
            why = cause(exc) if isinstance(exc, OSError) else str(problem)
            exchange.fail(Broken(why, unused=unused))
        else:
            exchange.advanced()

    def _finish(self, reader: AnswerReader) -> None:
        """The answer is whole: the connection may serve the next request."""
        self._exchange = None
        self.used += 1
        self._read_on()
        if reader.keep and not reader.rest and self.usable:
            self._idle_from = self.loop.time()
            self._pool.take_back(self)
        else:
            self.close()

    def _fail(self, problem: Exception) -> None:
        exchange, self._exchange = self._exchange, None
        self.close()
        if exchange is not None:
            exchange.fail(problem)

    # time limits: one timer, which looks again later where there was news since it was set

    def _limit(self) -> float:
        exchange = self._exchange
        if exchange is None:
            return self._idle_from + IDLE
        if not exchange.awaited and exchange.reader.status:
            return exchange.deadline  # its reader is slow, not the server
        return min(exchange.deadline, exchange.silent_from + exchange.call.first_byte)

    def _watch(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        due = min(exchange.deadline, exchange.silent_from + exchange.call.first_byte)
        if self._timer is None or due < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = self.loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        limit = self._limit()
        if self._transport is None:
            return
        if limit > self.loop.time():
            self._due = limit
            self._timer = self.loop.call_at(limit, self._look)
        elif self._exchange is None:
            self.close()
        else:
            self._fail(timed_out(self._exchange.call, answered=bool(self._exchange.reader.status)))


def timed_out(call: Call, *, answered: bool) -> HostTimedOut:
    """The error that says which limit there is."""
    return HostTimedOut(
        f"{call.host} {'stopped answering' if answered else 'gave no answer'} within the time allowed "
        f"({call.first_byte:g} s of silence, {call.timeout:g} s in all). Try again or raise the timeout."
    )


def cause(error: BaseException) -> str:
    """What the operating system says, without Python's wrapping."""
    number = error.errno if isinstance(error, OSError) and isinstance(error.errno, int) else None
    said = re.search(r"\[Errno (\d+)\]", str(error))
    if said:
        number = int(said[1])
    verify = getattr(error, "verify_message", None)
    if isinstance(verify, str) and verify:
        return f"its certificate is not trusted ({verify})"
    reason = getattr(error, "reason", None)
    if isinstance(reason, str) and reason:
        return f"TLS failed ({reason.lower().replace('_', ' ')})"
    if isinstance(error, OSError) and number is not None and number > 0:
        return os.strerror(number)
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
