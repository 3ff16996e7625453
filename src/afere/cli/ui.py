"""`afere ui`: everything in the browser."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import MissingExtra
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from afere.server import Server

GRPC_PORT = 4317
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("ui")
@placed
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Beyond loopback (0.0.0.0: everywhere) it asks for keys and log-ins.",
)
@click.option(
    "--port", default=4318, show_default=True, type=int, help="The next free one is taken if it is in use; 0: any."
)
@click.option("--open", "browser", is_flag=True, help="Show it in the browser.")
@click.option("--login", is_flag=True, help="Ask for keys and log-ins on loopback too.")
@click.option("--cert", type=_FILE, metavar="FILE", help="Certificate chain (PEM), to serve https; with --key-file.")
@click.option("--key-file", type=_FILE, metavar="FILE", help="The certificate's private key (PEM).")
@click.option(
    "--proxy",
    multiple=True,
    metavar="ADDRESS",
    help="Believe X-Forwarded-For and -Proto of a proxy at this address; asks for keys and log-ins. May be repeated.",
)
@click.option(
    "--grpc-port",
    default=GRPC_PORT,
    show_default=True,
    type=int,
    help="OTLP over gRPC listens there where the extra `grpc` is installed; 0: any.",
)
@click.option("--no-grpc", is_flag=True, help="Do not speak gRPC.")
def ui(
    place: Place,
    host: str,
    port: int,
    browser: bool,
    login: bool,
    cert: Path | None,
    key_file: Path | None,
    proxy: tuple[str, ...],
    *,
    grpc_port: int,
    no_grpc: bool,
) -> None:
    """Everything in the browser: traces, prompts, datasets, experiments. Ctrl-C ends it."""
    from afere.server import Server
    from afere.server.run import Front, open_browser
    from afere.store.health import check_quickly

    grpc = None if no_grpc else _grpc(grpc_port)
    with place.session() as session:
        check_quickly(session.folder)
        server = Server(session, host=host, port=port, front=Front(cert, key_file, proxy, login, grpc))
        page = f"{server.url}/{session.project}"

        def ready() -> None:
            taken = f" (port {port} is in use)" if port and server.port != port else ""
            asks = f", on {host}, to who brings a key or logs in" if server.asks else ""
            place.show(
                {
                    "url": page,
                    "port": server.port,
                    "grpc_port": server.grpc,
                    "store": str(session.folder),
                    "asks": server.asks,
                },
                lambda console: console.print(
                    f"{page}{taken}\nShows {session.folder}{asks}. {_otlp(server, grpc)} Ctrl-C ends it.", markup=False
                ),
            )
            if browser:
                open_browser(page)

        server.run(ready=ready)


def _grpc(port: int) -> int | None:
    """The port for gRPC; None where its library is not installed and nobody asked for it."""
    if find_spec("grpc") is not None:
        return port
    if port != GRPC_PORT:
        raise MissingExtra("grpc", "--grpc-port")
    return None


def _otlp(server: Server, asked: int | None) -> str:
    """Where traces are sent to."""
    said = f"Takes OTLP over HTTP at {server.port}"
    if server.grpc is not None:
        return f"{said}, over gRPC at {server.grpc}."
    return f"{said}; not over gRPC: port {asked} is in use." if asked is not None else f"{said}."
