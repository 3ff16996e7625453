"""Connections that wait for another request, for each event loop its own: no lock, and no call changes its thread."""

from __future__ import annotations

import asyncio
import os
import re
import weakref
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache
from typing import TypeVar

from afere.net.call import Call, HostFailed, HostUnreachable
from afere.net.connection import Broken, Connection, Exchange, cause, timed_out
from afere.net.parsing import AnswerReader, NotHttp
from afere.net.route import Place, Proxy, Route, route, tls

CONNECT_SECONDS = 10.0
MOST_IDLE = 100  # connections that wait, of one place
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
P = TypeVar("P", bound=asyncio.Protocol)
_OURS = frozenset({"accept-encoding", "connection", "content-length", "transfer-encoding"})  # we say them ourselves
_BODIED = frozenset({"POST", "PUT", "PATCH"})


class Pool:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._idle: dict[str, list[Connection]] = {}
        self._all: set[Connection] = set()

    async def exchange(
        self, call: Call, *, whole: bool, begun: Callable[[], None] | None = None
    ) -> tuple[Connection, Exchange]:
        """Make the call: returns when its answer is whole, or its head is there. HostFailed if there is none."""
        way = route(call.url)
        data = _request(call, way)
        deadline = self.loop.time() + call.timeout
        while True:
            connection = self._waiting(way.place)
            if connection is None:
                connection = await self._connect(call, way.place, deadline)
            exchange = Exchange(call, deadline, whole, begun)
            try:
                await connection.ask(exchange, data)
                return connection, exchange
            except Broken as problem:
                # A server may close an idle connection in the moment in which it is used: that request was not read.
                if not problem.unused:
                    raise broke_off(call, problem) from problem

    def take_back(self, connection: Connection) -> None:
        """Keep it for another request."""
        waiting = self._idle.setdefault(connection.place.key, [])
        if len(waiting) < MOST_IDLE:
            waiting.append(connection)
        else:
            connection.close()

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._all.discard(connection)
        waiting = self._idle.get(connection.place.key)
        if waiting is not None and connection in waiting:
            waiting.remove(connection)

    def close(self) -> None:
        """Close all."""
        for connection in list(self._all):
            connection.close()
        self._idle.clear()

    def _waiting(self, place: Place) -> Connection | None:
        waiting = self._idle.get(place.key)
        while waiting:
            connection = waiting.pop()  # the one used last: the others may grow old
            if connection.usable:
                return connection
        return None

    async def _connect(self, call: Call, place: Place, deadline: float) -> Connection:
        seconds = min(CONNECT_SECONDS, deadline - self.loop.time())
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connected(place)
        except TimeoutError:
            raise timed_out(call, answered=False) from None
        except (OSError, NotHttp) as problem:
            what = f"{_named(place.proxy.host, place.proxy.port)} (its proxy)" if place.proxy else call.host
            remedy = "Check the address, that the server runs, and the network or proxy."
            if getattr(problem, "verify_message", None):
                remedy = "Check the address, or name the file of certificates to trust in SSL_CERT_FILE."
            raise HostUnreachable(f"{what} cannot be reached: {cause(problem)}. {remedy}") from problem
        self._all.add(connection)
        return connection

    async def _connected(self, place: Place) -> Connection:
        proxy = place.proxy
        if proxy is None:
            return (await self._open(lambda: Connection(self, place), place.host, place.port, secure=place.tls))[1]
        if not place.tls:
            return (await self._open(lambda: Connection(self, place), proxy.host, proxy.port, secure=proxy.tls))[1]
        transport = await self._tunnel(place, proxy)
        connection = Connection(self, place)
        try:
            secured = await self.loop.start_tls(transport, connection, tls(), server_hostname=place.host)
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise ConnectionResetError("the proxy closed the connection")
        connection.connection_made(secured)
        return connection

    async def _open(self, make: Callable[[], P], host: str, port: int, *, secure: bool) -> tuple[asyncio.Transport, P]:
        return await self.loop.create_connection(
            make, host, port, ssl=tls() if secure else None, server_hostname=host if secure else None,
            happy_eyeballs_delay=0.25,
        )  # fmt: skip

    async def _tunnel(self, place: Place, proxy: Proxy) -> asyncio.Transport:
        """A connection through the proxy to the place (CONNECT, RFC 9110, 9.3.6)."""
        transport, tunnel = await self._open(_Tunnel, proxy.host, proxy.port, secure=proxy.tls)
        where = _named(place.host, place.port)
        lines = [f"CONNECT {where} HTTP/1.1", f"host: {where}"]
        if proxy.authorization:
            lines.append(f"proxy-authorization: {proxy.authorization}")
        try:
            transport.write("\r\n".join([*lines, "", ""]).encode())
            await tunnel.opened
        except BaseException:
            transport.abort()
            raise
        return transport


class _Tunnel(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT; then the connection is another's."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = AnswerReader("HEAD")  # as for HEAD, no body follows a success

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except NotHttp as problem:
            self._end(problem)
            return
        status = self._reader.status
        if status and not 200 <= status < 300:
            self._end(NotHttp(f"it refused ({status})"))
        elif status and not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("it closed the connection"))

    def _end(self, problem: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(problem)


_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Pool, AsyncGenerator[None]]] = (
    weakref.WeakKeyDictionary()
)


async def pool_here() -> Pool:
    """The pool of the running event loop; closed with the loop."""
    loop = asyncio.get_running_loop()
    known = _pools.get(loop)
    if known is not None:
        return known[0]
    pool = Pool(loop)
    guard = _guard(pool)
    _pools[loop] = pool, guard
    await anext(guard)  # from now on the loop ends it before it closes (`shutdown_asyncgens`)
    return pool


async def _guard(pool: Pool) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        pool.close()
        _pools.pop(pool.loop, None)
        await asyncio.sleep(0)  # in which the transports close


def broke_off(call: Call, problem: Exception) -> HostFailed:
    """The error of a connection that ended too early."""
    return HostFailed(f"{call.host} broke off: {problem}. Try again.")


def _named(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(call: Call, way: Route) -> bytes:
    """The bytes of a request."""
    head = _head(call.method.upper(), way, tuple(call.headers.items()))
    body = call.body
    if body is None:
        return head + (b"content-length: 0\r\n\r\n" if call.method.upper() in _BODIED else b"\r\n")
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


@lru_cache(maxsize=256)
def _head(method: str, way: Route, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Request line and headers, but for the length."""
    if _NAME.fullmatch(method) is None:
        raise HostFailed(f"{way.host} cannot be called: {method[:40]!r} is not a method of HTTP.")
    given = {name.lower(): value.strip() for name, value in headers}
    for name, value in given.items():
        if _NAME.fullmatch(name) is None or _NOT_A_VALUE.search(value):
            # Its words hold the value, which may be a secret.
            raise HostFailed(
                f"{way.host} cannot be called: the header {name[:100]!r} holds what a header cannot, such as a line "
                "break. Check the key."
            )
    proxy = way.place.proxy
    said = {"host": way.host, "user-agent": "afere", "accept": "*/*"}
    if way.authorization:
        said["authorization"] = way.authorization
    if proxy is not None and proxy.authorization and not way.place.tls:
        said["proxy-authorization"] = proxy.authorization
    said |= {name: value for name, value in given.items() if name not in _OURS} | {"accept-encoding": "identity"}
    lines = [f"{method} {way.target} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), ""]
    return "\r\n".join(lines).encode("utf-8", "replace")


def _forget_all() -> None:
    """In a forked child: the connections are the parent's."""
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
