"""A store as a team would have it after some days, and the server over it: a real one, on a free port of loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import seeding

import afere.store
from afere.server import Server
from afere.store import Session


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose store is filled once; tests that change it make their own."""
    root = tmp_path_factory.mktemp("handbook")
    (root / "afere.yaml").write_text("project: handbook\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AFERE_STORE", "AFERE_KEY", "AFERE_PROJECT"):
            patch.delenv(name, raising=False)
        patch.chdir(root)
        seeding.fill(root)
    return root / ".afere"


@pytest.fixture(scope="session")
def store(folder: Path) -> Iterator[Session]:
    with afere.store.open(folder, project="handbook") as session:
        yield session


@pytest.fixture(scope="session")
def site(store: Session) -> Iterator[str]:
    """The address of the running server, without a slash at the end."""
    with serving(store) as url:
        yield url


@pytest.fixture
def fresh(project: Path) -> Iterator[tuple[str, Session]]:
    """A server over an empty store of this test's own."""
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url, session


class serving:
    """Runs the server in a thread while the block lasts."""

    def __init__(self, session: Session) -> None:
        self.server = Server(session, port=0)

    def __enter__(self) -> str:
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        return self.server.url

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.thread.join(10)
