"""Serve the application on this machine: a loopback address, a free port, and a word about where it is."""

from __future__ import annotations

import errno
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

from afere.base.errors import BadInput, Refused, WorldFailed

if TYPE_CHECKING:
    import uvicorn

    from afere.store import Session

_LOOPBACK = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
_TRIES = 50  # ports from the one asked for


class Server:
    """The application on a socket that is already bound, so that its address is known before it runs."""

    def __init__(self, session: Session, *, host: str = "127.0.0.1", port: int = 4318) -> None:
        self._session = session
        self.socket = bind(host, port)
        name, number = self.socket.getsockname()[:2]
        self.port: int = number
        self.url = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
        self._uvicorn: uvicorn.Server | None = None

    def run(self, *, ready: Callable[[], None] | None = None) -> None:
        """Serve until interrupted or stopped."""
        if ready is not None:
            ready()  # before the imports below: the socket listens already, and who connects meanwhile is answered
        import uvicorn

        from afere.server.app import create_app
        from afere.store.upkeep import keep_daily

        config = uvicorn.Config(
            create_app(self._session), log_level="warning", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=2, timeout_keep_alive=30, proxy_headers=False, ws="none",
        )  # fmt: skip
        self._uvicorn = uvicorn.Server(config)
        stopped = threading.Event()
        keep_daily(self._session, stopped)
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises the signal again when it is done, which would end us before the store is closed.
            signal.signal(signal.SIGTERM, _ended)
        try:
            self._uvicorn.run(sockets=[self.socket])
        finally:
            stopped.set()
            self.socket.close()

    def stop(self) -> None:
        """Ask a server that runs in another thread to end."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True


def _ended(_signal: int, _frame: object) -> None:
    """The server has ended; the caller goes on to close what it opened."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `port`, or on the next free one; 0 is any. Refused for a host beyond loopback."""
    address = _LOOPBACK.get(host)
    if address is None:
        raise Refused(
            f"{host} can be reached from other machines, and these pages have no log-in: only loopback is supported today "
            f"({', '.join(_LOOPBACK)}). To look from another machine, forward the port: ssh -L {port}:127.0.0.1:{port} HOST"
        )
    if not 0 <= port < 65536:
        raise BadInput(f"port {port}: a number from 0 to 65535.")
    for candidate in range(port, min(port + _TRIES, 65536) if port else 1):
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise WorldFailed(f"Cannot listen on {host}:{candidate}: {error.strerror}.") from None
        return listener
    raise WorldFailed(f"No port from {port} to {port + _TRIES - 1} is free. Name another with --port, or 0 for any.")


def open_browser(url: str) -> None:
    """Show the address in the user's browser, without waiting for it; a machine without one goes on."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
