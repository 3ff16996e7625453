"""`afere ui`: everything in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from afere.cli.common import Place, placed

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
def ui(
    place: Place,
    host: str,
    port: int,
    browser: bool,
    login: bool,
    cert: Path | None,
    key_file: Path | None,
    proxy: tuple[str, ...],
) -> None:
    """Everything in the browser: traces, prompts, datasets, experiments. Ctrl-C ends it."""
    from afere.server import Server
    from afere.server.run import Front, open_browser
    from afere.store.health import check_quickly

    with place.session() as session:
        check_quickly(session.folder)
        server = Server(session, host=host, port=port, front=Front(cert, key_file, proxy, login))
        page = f"{server.url}/{session.project}"

        def ready() -> None:
            taken = f" (port {port} is in use)" if port and server.port != port else ""
            asks = f", on {host}, to who brings a key or logs in" if server.asks else ""
            place.show(
                {"url": page, "port": server.port, "store": str(session.folder), "asks": server.asks},
                lambda console: console.print(
                    f"{page}{taken}\nShows {session.folder}{asks}. Ctrl-C ends it.", markup=False
                ),
            )
            if browser:
                open_browser(page)

        server.run(ready=ready)
