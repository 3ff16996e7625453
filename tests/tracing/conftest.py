"""Every test of tracing starts with the settings of its own project."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afere.tracing import configure, flush


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    configure()
    yield
    flush()
    configure()
