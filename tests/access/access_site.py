"""A server that asks who one is, over a store of the test's own: real HTTP on loopback."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import afere.server.app  # noqa: F401 - before a thread needs it, which else may see half of it
from afere.server import Server
from afere.server.run import Front
from afere.store import Session


@dataclass
class Site:
    """A running server; `ask` is one request without any client's cleverness."""

    url: str
    session: Session
    tls: ssl.SSLContext | None = None  # whom to trust

    def key(self, *scopes: str, project: str = "handbook", seconds: float | None = None) -> str:
        return self.session.actors.create_key("ci", project=project, scopes=scopes or ("write",), seconds=seconds)[0]

    def ask(
        self, path: str, body: bytes | None = None, *, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, sent, method=method)
        try:
            opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=self.tls))
            with opener.open(request, timeout=30) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@dataclass
class running:
    """Runs a server in a thread while the block lasts."""

    session: Session
    front: Front = field(default_factory=lambda: Front(login=True))
    host: str = "127.0.0.1"

    def __enter__(self) -> Site:
        self.server = Server(self.session, host=self.host, port=0, front=self.front)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        return Site(self.server.url, self.session)

    def __exit__(self, *_: object) -> None:
        while self.server._uvicorn is None and self.thread.is_alive():
            time.sleep(0.01)
        self.server.stop()
        self.thread.join(10)
