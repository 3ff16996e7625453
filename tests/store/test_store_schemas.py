"""A store that any released version wrote opens in this one, with everything in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import afere.store
from afere.store.schema import MIGRATIONS

SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql"), key=lambda file: int(file.stem))


def test_there_is_a_store_of_every_layout_so_far() -> None:
    assert [int(file.stem) for file in SCHEMAS] == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: f"layout {file.stem}")
def test_a_store_of_every_layout_opens_whole_and_can_be_written(project: Path, file: Path) -> None:
    folder = project / ".afere"
    folder.mkdir()
    connection = sqlite3.connect(folder / "afere.db")
    connection.executescript(file.read_text())
    seq, head = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    assert connection.execute("PRAGMA user_version").fetchone()[0] == int(file.stem)
    connection.close()
    (folder / "audit.head").write_text(f"{seq} {head}\n")

    session = afere.store.open()
    assert session.verify() == []
    assert session.get("prompt:answer@production").content == {"template": "Hi {{ name }}"}
    assert session.get("prompt:answer").version == 2
    assert [edge.target for edge in session.up("experiment:1")] == [session.get("qa").ref, "prompt:answer@1"]
    assert {score.by for score in session.find("scores", target="t1").items} == {"person:ana", "scorer:exact@1"}
    assert session.job("eval", "unfinished").items() == {"row 1": {"output": "Hi"}}
    session.put("prompt", "answer", "written by this version")
    session.alias("prompt:answer@production", "prompt:answer@3", why="newest")
    assert session.verify() == []
    with closing(sqlite3.connect(folder / "afere.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
