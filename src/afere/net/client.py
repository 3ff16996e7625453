"""One call, sync or async, whole or streamed, over connections that are kept and shared.

Async code calls on its own event loop; all other threads share one that lasts (`net.loops`). Redirects are never followed,
so credentials cannot wander to another host: the answer with its 3xx status is handed back. Proxies come from HTTP_PROXY,
HTTPS_PROXY, ALL_PROXY and NO_PROXY (never for this machine itself), certificates from the operating system, or from
SSL_CERT_FILE or SSL_CERT_DIR where those are set.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from afere.net.call import Answer, Call

if TYPE_CHECKING:
    from concurrent.futures import Future

    from afere.net.connection import Connection, Exchange

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer whose body is iterated once, in pieces as they arrive."""

    status: int
    headers: Mapping[str, str]
    _piece: Callable[[], Coroutine[Any, Any, bytes | None]]

    def __iter__(self) -> Iterator[bytes]:
        while (piece := _wait(self._piece())) is not None:
            yield piece


@dataclass(frozen=True, slots=True)
class AsyncStreamedAnswer:
    """Like StreamedAnswer, for `async for`."""

    status: int
    headers: Mapping[str, str]
    _piece: Callable[[], Coroutine[Any, Any, bytes | None]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._piece()) is not None:
            yield piece


def send(call: Call, *, begun: Callable[[], None] | None = None) -> Answer:
    """Make the call and read the whole answer. HostFailed if there is none; any status is an answer.

    `begun` is called, in some thread, when the first bytes of the body are there.
    """
    return _wait(asend(call, begun=begun))


async def asend(call: Call, *, begun: Callable[[], None] | None = None) -> Answer:
    """Like `send`, on the running event loop. Cancelled, it closes the connection."""
    from afere.net.pool import pool_here

    _, exchange = await (await pool_here()).exchange(call, whole=True, begun=begun)
    reader = exchange.reader
    pieces = reader.taken()
    return Answer(reader.status, reader.headers, pieces[0] if len(pieces) == 1 else b"".join(pieces))


@contextmanager
def stream(call: Call) -> Generator[StreamedAnswer]:
    """Make the call and hand out the answer while it arrives; leaving the block closes the connection."""
    from afere.net.loops import lasting

    connection, exchange = _wait(_opened(call))
    try:
        yield StreamedAnswer(
            exchange.reader.status, exchange.reader.headers, lambda: _piece(call, connection, exchange)
        )
    finally:
        # Not waited for: a stream that is left when the interpreter ends has nobody who could answer.
        lasting("afere net").call_soon_threadsafe(connection.leave, exchange)


@asynccontextmanager
async def astream(call: Call) -> AsyncGenerator[AsyncStreamedAnswer]:
    """Like `stream`, on the running event loop."""
    connection, exchange = await _opened(call)
    try:
        yield AsyncStreamedAnswer(
            exchange.reader.status, exchange.reader.headers, lambda: _piece(call, connection, exchange)
        )
    finally:
        connection.leave(exchange)


async def _opened(call: Call) -> tuple[Connection, Exchange]:
    from afere.net.pool import pool_here

    return await (await pool_here()).exchange(call, whole=False)


async def _piece(call: Call, connection: Connection, exchange: Exchange) -> bytes | None:
    from afere.net.connection import Broken
    from afere.net.pool import broke_off

    try:
        return await connection.piece(exchange)
    except Broken as problem:
        raise broke_off(call, problem) from problem


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """The result, for code that is not asynchronous. Ctrl-C ends the wait, and the call."""
    import asyncio

    from afere.net.loops import lasting

    future: Future[T] = asyncio.run_coroutine_threadsafe(work, lasting("afere net"))
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
