"""A project to bring things into, and the files that other tools wrote."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere.cli.main import cli
from afere.store import Session

_EXPORTS = Path(__file__).parent / "exports"


@pytest.fixture
def here(project: Path) -> Iterator[Session]:
    with afere.store.open(project / ".afere", project="handbook") as session:
        yield session


@pytest.fixture
def bring() -> Callable[..., dict[str, Any]]:
    def run(source: str, place: Path | str) -> dict[str, Any]:
        done = CliRunner().invoke(cli, ["import", source, str(place), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


@pytest.fixture
def unpacked(project: Path) -> Callable[[str], Path]:
    """A recorded export by its name, unpacked in the project."""

    def unpack(name: str) -> Path:
        file = project / name
        file.write_bytes(lzma.decompress((_EXPORTS / f"{name}.xz").read_bytes()))
        return file

    return unpack
