"""One call, sync or async, whole or streamed, over clients that are shared and pooled.

A client is made when first needed, one for each process, longest silence, route and lasting event loop (`net.loops`);
all other threads and event loops share one such loop. Redirects
are never followed, so credentials cannot wander to another host: the answer with its 3xx status is handed back.
Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY (never for this machine itself), certificates from the
operating system, or from SSL_CERT_FILE or SSL_CERT_DIR where those are set.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from afere.base.errors import WorldFailed
from afere.net.address import is_loopback

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pyreqwest.client import Client, ClientBuilder
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.request import RequestBuilder
    from pyreqwest.response import BaseResponse

T = TypeVar("T")

CONNECT_SECONDS = 10.0
_GRACE = 0.02  # seconds at the end of a process that has made calls


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
        parts = urlsplit(self.url)
        return (parts.hostname or "?") + (f":{parts.port}" if parts.port else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer whose body is iterated once, in pieces as they arrive."""

    status: int
    headers: Mapping[str, str]
    _piece: Callable[[], Awaitable[bytes | None]]

    def __iter__(self) -> Iterator[bytes]:
        while (piece := _wait(self._piece())) is not None:
            yield piece


@dataclass(frozen=True, slots=True)
class AsyncStreamedAnswer:
    """Like StreamedAnswer, for `async for`."""

    status: int
    headers: Mapping[str, str]
    _piece: Callable[[], Awaitable[bytes | None]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await _there(self._piece())) is not None:
            yield piece


def send(call: Call, *, begun: Callable[[], None] | None = None) -> Answer:
    """Make the call and read the whole answer. HostFailed if there is none; any status is an answer.

    `begun` is called, in some thread, when the first bytes of the body are there.
    """
    return _wait(_sent(call, begun))


async def asend(call: Call, *, begun: Callable[[], None] | None = None) -> Answer:
    """Like `send`, for any event loop."""
    return await _there(_sent(call, begun))


@contextmanager
def stream(call: Call) -> Generator[StreamedAnswer]:
    """Make the call and hand out the answer while it arrives; leaving the block closes the connection."""
    opened = _opened(call)
    status, headers, piece = _wait(opened.__aenter__())
    try:
        yield StreamedAnswer(status, headers, piece)
    finally:
        # Not waited for: a stream that is left when the interpreter ends has nobody who could answer.
        _begin(opened.__aexit__(None, None, None))


@asynccontextmanager
async def astream(call: Call) -> AsyncGenerator[AsyncStreamedAnswer]:
    """Like `stream`, for any event loop."""
    opened = _opened(call)
    status, headers, piece = await _there(opened.__aenter__())
    try:
        yield AsyncStreamedAnswer(status, headers, piece)
    finally:
        _begin(opened.__aexit__(None, None, None))


async def _sent(call: Call, begun: Callable[[], None] | None) -> Answer:
    with _explained(call):
        if begun is None:
            response = await _request(call).build().send()
            return Answer(response.status, _headers(response), bytes(await response.bytes()))
        # Each piece that is awaited costs more than all of the others together: hence the first, then the rest in one.
        async with _request(call).streamed_read_buffer_limit(1).build_streamed() as response:
            begun()
            return Answer(response.status, _headers(response), bytes(await response.bytes()))


@asynccontextmanager
async def _opened(call: Call) -> AsyncGenerator[tuple[int, dict[str, str], Callable[[], Awaitable[bytes | None]]]]:
    with _explained(call):
        request = _request(call).streamed_read_buffer_limit(0).build_streamed()
        async with request as response:
            reader = response.body_reader

            async def piece() -> bytes | None:
                with _explained(call):
                    found = await reader.read_chunk()
                return None if found is None else bytes(found)

            yield response.status, _headers(response), piece


_lock = threading.Lock()
_clients: dict[tuple[int, float, bool, int], Client] = {}


def _wait(work: Awaitable[T]) -> T:
    """The result, for code that is not asynchronous. Ctrl-C ends the wait, and the call."""
    future = _begin(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _there(work: Awaitable[T]) -> T:
    """The result, for the event loop that asks. Cancelling the wait cancels the call."""
    import asyncio

    from afere.net.loops import home

    return await (work if home() is not None else asyncio.wrap_future(_begin(work)))


def _begin(work: Awaitable[T]) -> Future[T]:
    """Start it on the loop that is there for all other threads."""
    import asyncio

    from afere.net.loops import lasting

    async def run() -> T:
        return await work

    return asyncio.run_coroutine_threadsafe(run(), lasting("afere net"))


def _end(process: int) -> None:
    """Before the interpreter ends: stop the calls that run, and let native threads finish what they say to Python.

    A thread of the client below that is still within the interpreter when it ends aborts the process (exit status 134).
    """
    import asyncio

    from afere.net.loops import of_process

    if process != os.getpid():
        return

    async def cancel() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    for loop in of_process(process):
        asyncio.run_coroutine_threadsafe(cancel(), loop)
    time.sleep(_GRACE)


def _request(call: Call) -> RequestBuilder:
    try:
        builder = _client(call).request(call.method, call.url)
    except ValueError as error:
        raise HostFailed(f"{call.url[:200]!r} cannot be called: {error}. Check the address.") from None
    for name, value in call.headers.items():
        try:
            builder = builder.header(name, value)
        except ValueError:  # its words hold the value, which may be a secret
            raise HostFailed(
                f"{call.host} cannot be called: the header {name!r} holds what a header cannot, such as a line break. "
                "Check the key."
            ) from None
    builder = builder.timeout(timedelta(seconds=call.timeout))
    return builder if call.body is None else builder.body_bytes(call.body)


@lru_cache(maxsize=256)
def _stays_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def _client(call: Call) -> Client:
    loopback = _stays_here(call.url)
    key = os.getpid(), call.first_byte, loopback, threading.get_ident()
    with _lock:
        if not any(process == os.getpid() for process, *_ in _clients):
            atexit.register(_end, os.getpid())
        if key not in _clients:
            from pyreqwest.client import ClientBuilder

            builder = (
                ClientBuilder()
                .follow_redirects(False)
                .referer(False)
                .user_agent("afere")
                .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
                .read_timeout(timedelta(seconds=call.first_byte))
            )
            _clients[key] = _built(builder.no_proxy() if loopback else builder, call)
        return _clients[key]


def _built(builder: ClientBuilder, call: Call) -> Client:
    try:
        return builder.build()
    except RuntimeError as error:
        if "fork" not in str(error):
            raise
        raise HostFailed(
            f"{call.host} cannot be called: this process was forked from one that had made calls already, and its network "
            "threads are gone. Start workers with the method 'spawn' (multiprocessing.set_start_method), or fork first."
        ) from None


def _headers(response: BaseResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


@contextmanager
def _explained(call: Call) -> Generator[None]:
    """Failures of the client below become HostFailed with the host, the cause and the remedy."""
    from pyreqwest.exceptions import PyreqwestError

    try:
        yield
    except PyreqwestError as error:
        raise _explanation(error, call) from error


def _explanation(error: PyreqwestError, call: Call) -> HostFailed:
    from pyreqwest.exceptions import (
        BuilderError,
        ConnectError,
        ConnectTimeoutError,
        DetailedPyreqwestError,
        RequestTimeoutError,
    )

    details = error.details if isinstance(error, DetailedPyreqwestError) else None
    causes = (details and details["causes"]) or []
    cause = causes[-1]["message"] if causes else error.message
    if isinstance(error, BuilderError):
        return HostFailed(f"{call.url[:200]!r} cannot be called: {cause}. Check the address.")
    if isinstance(error, ConnectError):
        return HostUnreachable(
            f"{call.host} cannot be reached: {cause}. Check the address, that the server runs, and the network or proxy."
        )
    if isinstance(error, RequestTimeoutError):
        head = isinstance(error, ConnectTimeoutError)
        return HostTimedOut(
            f"{call.host} {'gave no answer' if head else 'stopped answering'} within the time allowed "
            f"({call.first_byte:g} s of silence, {call.timeout:g} s in all). Try again or raise the timeout."
        )
    return HostFailed(f"{call.host} broke off: {cause}. Try again.")
