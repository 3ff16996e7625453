"""Write the spans of the newest layout as SQL: `python tests/spans/schemas/make.py`, once, when a layout is released."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from afere.base.span import Span
from afere.store.spans.store import MIGRATIONS, SpanStore

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND

with tempfile.TemporaryDirectory() as name:
    store = SpanStore(Path(name), "handbook")
    for number in range(3):
        trace, at = f"{number + 1:032x}", START + number * 3600 * SECOND
        store.write(
            [
                Span(
                    trace, "a" * 16, "qa", at, kind="chain", end=at + 2 * SECOND, user="42", input="How much notice?",
                    environment="production", artifacts=[("chain:qa~1f2e3d", "sha256:" + "1" * 64)],
                ),
                Span(
                    trace, "b" * 16, "answer", at, "a" * 16, "llm", at + (number + 1) * SECOND, model="gpt-4.1-mini",
                    input_tokens=100, output_tokens=20, cost=0.002, output="Four weeks.",
                    attributes={"tenant": "acme", "service.version": "1.4"},
                    artifacts=[("component:reply@2", "sha256:" + "2" * 64), ("prompt:answer@7", "sha256:" + "3" * 64)],
                ),
            ]
        )  # fmt: skip
    store.write([Span("f" * 32, "a" * 16, "qa", START, kind="chain", status="running")])
    store.lost(2, "the disk was full")
    store.close()
    with closing(sqlite3.connect(Path(name) / "spans.db")) as connection:
        # The tables of the full-text index are made by that index: they cannot be dumped as they are.
        words = [
            "CREATE VIRTUAL TABLE words USING fts5 (said, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');"
        ]
        words += [
            f"INSERT INTO words (rowid, said) VALUES ({doc}, '{text}');"
            for doc, text in connection.execute(
                # As `docs.words` puts the texts of a chunk together.
                "SELECT c.doc, group_concat(coalesce(s.input, s.output), char(10, 57344, 10)) FROM spans s"
                " JOIN chunks c ON c.id = s.chunk WHERE s.status <> 'running' GROUP BY c.doc"
            )
        ]
        connection.execute("DROP TABLE words")
        lines = [line for line in connection.iterdump() if "sqlite_master" not in line]
        dump = "\n".join([*lines, *words, f"PRAGMA user_version={len(MIGRATIONS)};", ""])
Path(__file__).with_name(f"{len(MIGRATIONS)}.sql").write_text(dump)
