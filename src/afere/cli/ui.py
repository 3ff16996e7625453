"""`afere ui`: everything in the browser."""

from __future__ import annotations

import click

from afere.cli.common import Place, placed


@click.command("ui")
@placed
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; others are refused.")
@click.option(
    "--port", default=4318, show_default=True, type=int, help="The next free one is taken if it is in use; 0: any."
)
@click.option("--open", "browser", is_flag=True, help="Show it in the browser.")
def ui(place: Place, host: str, port: int, browser: bool) -> None:
    """Everything in the browser: traces, prompts, datasets, experiments. Ctrl-C ends it."""
    from afere.server import Server
    from afere.server.run import open_browser
    from afere.store.health import check_quickly

    with place.session() as session:
        check_quickly(session.folder)
        server = Server(session, host=host, port=port)
        page = f"{server.url}/{session.project}"

        def ready() -> None:
            taken = f" (port {port} is in use)" if port and server.port != port else ""
            place.show(
                {"url": page, "port": server.port, "store": str(session.folder)},
                lambda console: console.print(f"{page}{taken}\nShows {session.folder}. Ctrl-C ends it.", markup=False),
            )
            if browser:
                open_browser(page)

        server.run(ready=ready)
