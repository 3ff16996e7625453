"""Serve the application: on loopback as it is, beyond it for who brings a key or logs in; and a word about where it is."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from afere.base.errors import BadInput, Refused, WorldFailed

if TYPE_CHECKING:
    import uvicorn

    from afere.server.otlp_grpc import Service
    from afere.store import Session

_log = logging.getLogger("afere.server")

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # names that a server which does not ask answers to
_TRIES = 50  # ports from the one asked for
_YOUNG = 50_000  # objects from one look for cycles to the next: those of a whole transaction of spans


@dataclass(frozen=True, slots=True)
class Front:
    """How a server meets the world. `cert` and `key_file`: PEM files, for https. `proxy`: addresses (or networks, or "*")
    of proxies in front, whose X-Forwarded-For and -Proto are believed. `login`: ask who one is on loopback too. `grpc`: the
    port for OTLP over gRPC, 0 for any (extra `grpc`); None: not spoken."""

    cert: Path | None = None
    key_file: Path | None = None
    proxy: tuple[str, ...] = ()
    login: bool = False
    grpc: int | None = None


class Server:
    """The application on a socket that is already bound, so that its address is known before it runs.

    It asks for keys and log-ins where it can be reached from other machines: beyond loopback, or behind a proxy.
    """

    def __init__(
        self, session: Session, *, host: str = "127.0.0.1", port: int = 4318, front: Front | None = None
    ) -> None:
        self._session = session
        session.spans.harden()  # what is answered with 200 is nowhere else any more
        front = self._front = front or Front()
        if bool(front.cert) != bool(front.key_file):
            raise BadInput("https needs both: --cert FILE --key-file FILE.")
        address = _address(host)
        self.asks = front.login or bool(front.proxy) or not ip_address(address).is_loopback
        if self.asks and not session.actors.anyone():
            raise Refused(
                f"A server at {host}{' behind a proxy' * bool(front.proxy)} asks who one is, and nobody has a key or an "
                "account yet. Make one first: afere key create NAME --project "
                f"{session.project} --scope write, or afere user add NAME --role admin"
            )
        self.socket = bind(address, port)
        name, number = self.socket.getsockname()[:2]
        self.port: int = number
        scheme = "https" if front.cert else "http"
        shown = "localhost" if ip_address(name).is_unspecified else f"[{name}]" if ":" in name else name
        self.url = f"{scheme}://{shown}:{number}"
        self._hosts = {*_LOOPBACK, f"[{name}]" if ":" in name else name}
        # grpcio takes a port, not a socket, and is imported later: so much for knowing the port before it runs.
        self.grpc = None if front.grpc is None else _free(name, front.grpc)
        self._service: Service | None = None
        self._uvicorn: uvicorn.Server | None = None

    def run(self, *, ready: Callable[[], None] | None = None) -> None:
        """Serve until interrupted or stopped."""
        if ready is not None:
            ready()  # before the imports below: the socket listens already, and who connects meanwhile is answered
        import uvicorn

        from afere.server.app import create_app
        from afere.server.auth import Access
        from afere.server.otlp import Intake
        from afere.store.upkeep import keep_daily

        intake, access = Intake(self._session), Access(self._session, self.asks)
        config = uvicorn.Config(
            create_app(self._session, asks=self.asks, hosts=self._hosts, intake=intake), log_level="warning",
            access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=2, timeout_keep_alive=30,
            ws="none", proxy_headers=bool(self._front.proxy), forwarded_allow_ips=list(self._front.proxy),
            ssl_certfile=self._front.cert, ssl_keyfile=self._front.key_file,
        )  # fmt: skip
        if self.grpc is None:
            self._uvicorn = uvicorn.Server(config)
        else:
            from afere.server.beside import Beside
            from afere.server.otlp_grpc import Service

            self._service = Service(intake, access)
            self._uvicorn = Beside(config, self._start_grpc, self._service.stop)
        stopped = threading.Event()
        keep_daily(self._session, stopped)
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises the signal again when it is done, which would end us before the store is closed.
            signal.signal(signal.SIGTERM, _ended)
            _look_for_cycles_seldom()
        try:
            self._uvicorn.run(sockets=[self.socket])
        finally:
            stopped.set()
            intake.close()
            self.socket.close()

    async def _start_grpc(self) -> None:
        """gRPC, too; a port that somebody took meanwhile is told, and HTTP goes on."""
        cert, key = self._front.cert, self._front.key_file
        pair = (key.read_bytes(), cert.read_bytes()) if cert and key else None
        if self._service is None or self.grpc is None:
            return
        try:
            await self._service.start(str(self.socket.getsockname()[0]), self.grpc, cert=pair)
        except OSError as error:
            self.grpc = None
            _log.warning("OTLP over gRPC is not spoken: %s. OTLP over HTTP is, at %s", error, self.url)

    def stop(self) -> None:
        """Ask a server that runs in another thread to end."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True


def _look_for_cycles_seldom() -> None:
    """What is here now stays, and the thousands of objects of a request go without a look at each of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def _ended(_signal: int, _frame: object) -> None:
    """The server has ended; the caller goes on to close what it opened."""


def _address(host: str) -> str:
    """The numeric address of a host's name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadInput(
            f"{host!r} is no address of this machine ({error}). Give one, such as 127.0.0.1 or 0.0.0.0."
        ) from None
    addresses = [str(one[4][0]).partition("%")[0] for one in found]
    return next((one for one in addresses if ":" not in one), addresses[0])


def bind(address: str, port: int) -> socket.socket:
    """A socket that listens on `port` of a numeric address, or on the next free one; 0 is any."""
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
            raise WorldFailed(f"Cannot listen on {address}:{candidate}: {error.strerror}.") from None
        return listener
    raise WorldFailed(f"No port from {port} to {port + _TRIES - 1} is free. Name another with --port, or 0 for any.")


def _free(address: str, port: int) -> int | None:
    """The port if it is free, or any free one for 0; None where it is taken."""
    if not 0 <= port < 65536:
        raise BadInput(f"gRPC port {port}: a number from 0 to 65535.")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return None
        return int(probe.getsockname()[1])


def open_browser(url: str) -> None:
    """Show the address in the user's browser, without waiting for it; a machine without one goes on."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
