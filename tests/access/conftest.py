"""A server that asks who one is, over a store of the test's own: real HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from access_site import Site, running

import afere.store


@pytest.fixture
def site(project: Path) -> Iterator[Site]:
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.actors.create_key("first", project="*", scopes=["admin"])
        with running(session) as site:
            yield site
