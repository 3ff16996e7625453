"""Write the store of the newest layout as SQL: `python tests/store/schemas/make.py`, once, when a layout is released."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import afere.store
from afere.base.artifact import Use
from afere.base.score import Score
from afere.store.schema import MIGRATIONS

with tempfile.TemporaryDirectory() as name:
    folder = Path(name) / "store"
    with afere.store.open(folder, project="handbook") as session:
        prompt = session.put("prompt", "answer", {"template": "Hi {{ name }}"}, why="first words")
        session.put("prompt", "answer", {"template": "Hello {{ name }}"})
        chain = session.put("chain", "qa", {"form": 1}, uses=[Use("prompt answer", prompt.ref, prompt.hash)])
        session.put("experiment", None, {"rows": 1}, uses=[Use("target", chain.ref, chain.hash)])
        for number in (1, 2):
            session.alias("prompt:answer@production", f"prompt:answer@{number}", why="newest")
        session.rollback("prompt:answer@production", why="users complain")
        session.append(
            Score("t1", "helpful", True, "person:ana"), Score("t1", "exact", None, "scorer:exact@1", "no verdict")
        )
        job = session.job("eval", "unfinished", total=2)
        job.put({"row 1": {"output": "Hi"}})
        job.end("stopped")
        session.actors.create_key("ci", project="handbook", scopes=["write"])
        session.actors.add_person("ana.reis", role="editor", project="handbook", password="a good long one")
    with closing(sqlite3.connect(folder / "afere.db")) as connection:
        dump = "\n".join([*connection.iterdump(), f"PRAGMA user_version={len(MIGRATIONS)};", ""])
Path(__file__).with_name(f"{len(MIGRATIONS)}.sql").write_text(dump)
