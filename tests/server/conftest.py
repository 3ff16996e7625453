"""A store as a team would have it after some days, and the server over it: a real one, on a free port of loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import seeding
from serving import serving

import afere.store
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
