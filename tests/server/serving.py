"""A real server in a thread, for tests."""

from __future__ import annotations

import threading

import afere.server.app  # before a thread needs it, which else may see half of it
from afere.server import Server
from afere.store import Session


class serving:
    """Runs the server in a thread while the block lasts."""

    def __init__(self, session: Session) -> None:
        self.server = Server(session, port=0)

    def __enter__(self) -> str:
        self.patience = afere.server.app.PATIENCE
        afere.server.app.PATIENCE = 300.0  # pages of tests are whole, also on a busy machine
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        return self.server.url

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.thread.join(10)
        afere.server.app.PATIENCE = self.patience
