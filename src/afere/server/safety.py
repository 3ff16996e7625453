"""What stands between the network and the pages: who may ask, from where, and what a browser may do with the answer.

The server has no log-in: it is reached by whoever sits at this machine. So it listens on loopback alone, answers only to
loopback names (a page elsewhere that points its own name at 127.0.0.1 is refused), and takes changes only from its own pages.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from afere.server.problem import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING = frozenset({"GET", "HEAD"})
MAX_BODY = 1_000_000  # bytes of a change

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware: refuses what does not come from this machine's own browser, and marks every answer."""

    def __init__(self, app: ASGIApp, *, large: Collection[str] = ()) -> None:
        """`large` are the paths that bound what they take themselves."""
        self.app = app
        self._large = large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Nothing here speaks WebSocket; `lifespan` passes.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        refusal = _host_problem(headers) or _origin_problem(scope["method"], scope["scheme"], headers)
        if scope["path"] not in self._large:
            refusal = refusal or _size_problem(headers)
        if refusal is not None:
            status, text = refusal
            await problem(status, text, headers.get("accept", ""))(scope, receive, marked)
            return
        await self.app(scope, receive, marked)


def _host_problem(headers: Headers) -> tuple[int, str] | None:
    hosts = headers.getlist("host")
    if len(hosts) == 1 and host_name(hosts[0]) in LOOPBACK:
        return None
    asked = ", ".join(hosts) or "nothing"
    return (
        421,
        f"This server answers as localhost or 127.0.0.1 only, and was asked as {asked!r}. Open it by one of those names.",
    )


def host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is malformed. The port may be a forwarded one."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name = host
    elif not (port.isascii() and port.isdigit() and int(port) < 65536):
        return None
    return name.lower()


def _origin_problem(method: str, scheme: str, headers: Headers) -> tuple[int, str] | None:
    """Changes come from our own pages, or from a program (which sends neither header)."""
    if method in READING:
        return None
    own = f"{scheme}://{headers.get('host', '')}".lower()
    origins = [origin.lower() for origin in headers.getlist("origin")]
    site = headers.get("sec-fetch-site", "same-origin")
    if any(origin != own for origin in origins) or site not in ("same-origin", "none"):
        return (
            403,
            f"A change asked for by another page ({', '.join(origins) or site}) is refused. Use the page of this server.",
        )
    return None


def _size_problem(headers: Headers) -> tuple[int, str] | None:
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY:
        return 413, f"A change may have at most {MAX_BODY:,} bytes; this one has {int(length):,}."
    return None
