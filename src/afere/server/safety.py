"""What stands between the network and the pages: who may ask, from where, and what a browser may do with the answer.

A server that does not ask who one is listens on loopback alone, and answers only to loopback names (a page elsewhere that
points its own name at 127.0.0.1 is refused). One that asks lets in who brings a key or is logged in. Either takes changes
only from its own pages: a browser says with `Origin` or `Sec-Fetch-Site` where a change comes from, and a log-in cookie
alone, without one of them, changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse

from afere.base.actor import Actor
from afere.server.auth import ACTOR, Access, Refusal, login_of
from afere.server.problem import problem
from afere.server.render import query as written

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING = frozenset({"GET", "HEAD"})
MAX_BODY = 1_000_000  # bytes of a change
MAX_UPLOAD = 20 << 20  # bytes of rows, and of the form that they come in
_UPLOADS = (
    "/rows",
    "/versions",
)  # ends of the paths that take them, and prompts: what answers there bounds what it reads

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


# Answered to anybody: how one comes in, what these pages need to be drawn, and whether the process lives.
_PUBLIC = frozenset({"/login", "/healthz", "/readyz"})
_PUBLIC_BELOW = ("/invitation/", "/static/")


class Guard:
    """ASGI middleware: finds out who asks, refuses what is not for them, and marks every answer."""

    def __init__(
        self, app: ASGIApp, access: Access, *, large: Collection[str] = (), hosts: Collection[str] = LOOPBACK,
        refuse: Callable[[int, str, Headers], ASGIApp], note: Callable[[str, int, float], None],
    ) -> None:  # fmt: skip
        """`large` are the beginnings of paths that bound what they take themselves; `refuse` answers for OTLP there.

        `note` is told path, status and seconds of every request.
        """
        self.app = app
        self._access = access
        self._large = tuple(large)
        self._hosts = frozenset(hosts)
        self._refuse = refuse
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Nothing here speaks WebSocket; `lifespan` passes.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        began, status = time.perf_counter(), 499  # as the log of nginx says it: who asked went away

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refusal(scope, Headers(scope=scope))
        try:
            await (answer or self.app)(scope, receive, marked)
        finally:
            self._note(str(scope["path"]), status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """The answer to a request that is not let in; one that is has its actor in the scope."""
        path, method = str(scope["path"]), scope["method"]
        refusal = None if self._access.asks else _host_problem(headers, self._hosts)
        refusal = refusal or _origin_problem(method, scope["scheme"], headers)
        if not path.startswith(self._large) and not path.endswith(_UPLOADS):
            refusal = refusal or _size_problem(headers)
        actor: Actor | Refusal = Refusal(*refusal) if refusal else self._access.actor_of(headers)
        if isinstance(actor, Actor):
            scope[ACTOR] = actor
            return None
        if not refusal and (path in _PUBLIC or path.startswith(_PUBLIC_BELOW)):
            return None
        return self._answer(actor, path, method, scope, headers)

    def _answer(self, refusal: Refusal, path: str, method: str, scope: Scope, headers: Headers) -> ASGIApp:
        accept = headers.get("accept", "")
        if refusal.status == 401 and method in READING and "text/html" in accept:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse("/login" + written({"back": path + (f"?{query}" if query else "")}), 303)
        if "/v1/" in path and path.startswith(self._large):
            return self._refuse(refusal.status, refusal.why, headers)
        answer = problem(refusal.status, refusal.why, accept)
        if refusal.status == 401:
            answer.headers["www-authenticate"] = 'Bearer realm="afere"'
        return answer


def _host_problem(headers: Headers, known: Collection[str]) -> tuple[int, str] | None:
    hosts = headers.getlist("host")
    if len(hosts) == 1 and host_name(hosts[0]) in known:
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
    if login_of(headers) and not ("origin" in headers or "sec-fetch-site" in headers):
        return 403, "A change with a log-in must say where it comes from (Origin). A program brings a key instead."
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
