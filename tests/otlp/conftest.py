"""A server over an empty store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sending import Door

import afere.server.app
import afere.store
from afere.server import Server


@pytest.fixture
def door(project: Path) -> Iterator[Door]:
    with afere.store.open(project / ".afere", project="handbook") as session:
        server = Server(session, port=0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Door(server.url, session)
        server.stop()
        thread.join(10)
