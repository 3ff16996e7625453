"""One call, sync or async, whole or streamed, over clients that are shared and pooled.

A client is made when first needed, one for each process, face (sync or async), longest silence and route. Redirects
are never followed, so credentials cannot wander to another host: the answer with its 3xx status is handed back.
Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY (never for this machine itself), certificates from the
operating system, or from SSL_CERT_FILE or SSL_CERT_DIR where those are set.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from afere.base.errors import WorldFailed
from afere.net.address import is_loopback

if TYPE_CHECKING:
    from pyreqwest.client import Client, SyncClient
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.request import RequestBuilder, SyncRequestBuilder
    from pyreqwest.response import BaseResponse, ResponseBodyReader, SyncResponseBodyReader

CONNECT_SECONDS = 10.0


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
    _call: Call
    _reader: SyncResponseBodyReader

    def __iter__(self) -> Iterator[bytes]:
        with _explained(self._call):
            while (piece := self._reader.read_chunk()) is not None:
                yield bytes(piece)


@dataclass(frozen=True, slots=True)
class AsyncStreamedAnswer:
    """Like StreamedAnswer, for `async for`."""

    status: int
    headers: Mapping[str, str]
    _call: Call
    _reader: ResponseBodyReader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _explained(self._call):
            while (piece := await self._reader.read_chunk()) is not None:
                yield bytes(piece)


def send(call: Call) -> Answer:
    """Make the call and read the whole answer. HostFailed if there is none; any status is an answer."""
    with _explained(call):
        response = _filled(_sync_client(call).request(call.method, call.url), call).build().send()
        return Answer(response.status, _headers(response), bytes(response.bytes()))


async def asend(call: Call) -> Answer:
    """Like `send`, on the running event loop."""
    with _explained(call):
        response = await _filled(_async_client(call).request(call.method, call.url), call).build().send()
        return Answer(response.status, _headers(response), bytes(await response.bytes()))


@contextmanager
def stream(call: Call) -> Generator[StreamedAnswer]:
    """Make the call and hand out the answer while it arrives; leaving the block closes the connection."""
    with _explained(call):
        request = (
            _filled(_sync_client(call).request(call.method, call.url), call)
            .streamed_read_buffer_limit(0)
            .build_streamed()
        )
        with request as response:
            yield StreamedAnswer(response.status, _headers(response), call, response.body_reader)


@asynccontextmanager
async def astream(call: Call) -> AsyncGenerator[AsyncStreamedAnswer]:
    """Like `stream`, on the running event loop."""
    with _explained(call):
        request = (
            _filled(_async_client(call).request(call.method, call.url), call)
            .streamed_read_buffer_limit(0)
            .build_streamed()
        )
        async with request as response:
            yield AsyncStreamedAnswer(response.status, _headers(response), call, response.body_reader)


_Key = tuple[int, float, bool]
_clients: dict[_Key, SyncClient] = {}
_async_clients: dict[_Key, Client] = {}
_lock = threading.Lock()


def _sync_client(call: Call) -> SyncClient:
    key = _key(call)
    with _lock:
        if key not in _clients:
            from pyreqwest.client import SyncClientBuilder

            _clients[key] = _configured(SyncClientBuilder(), key).build()
        return _clients[key]


def _async_client(call: Call) -> Client:
    key = _key(call)
    with _lock:
        if key not in _async_clients:
            from pyreqwest.client import ClientBuilder

            _async_clients[key] = _configured(ClientBuilder(), key).build()
        return _async_clients[key]


def _key(call: Call) -> _Key:
    return os.getpid(), call.first_byte, is_loopback(urlsplit(call.url).hostname or "")


if TYPE_CHECKING:
    from pyreqwest.client import ClientBuilder, SyncClientBuilder

    _Builder = TypeVar("_Builder", ClientBuilder, SyncClientBuilder)
    _Requests = TypeVar("_Requests", RequestBuilder, SyncRequestBuilder)


def _configured(builder: _Builder, key: _Key) -> _Builder:
    _, silence, loopback = key
    builder = (
        builder.follow_redirects(False)
        .referer(False)
        .user_agent("afere")
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .read_timeout(timedelta(seconds=silence))
    )
    return builder.no_proxy() if loopback else builder


def _filled(builder: _Requests, call: Call) -> _Requests:
    builder = builder.headers(dict(call.headers)).timeout(timedelta(seconds=call.timeout))
    return builder if call.body is None else builder.body_bytes(call.body)


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
        return HostFailed(f"{call.url[:200]!r} is not an address that can be called: {cause}.")
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
