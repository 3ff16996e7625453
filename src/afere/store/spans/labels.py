"""Attributes that the user declared filterable (`spans: {filterable: [...]}` in afere.yaml), found by an index.

Which they are is in the file, so that every process that writes to it keeps the same ones. An attribute declared when there
are spans already is searched the slow way until those have been looked through (`SpanStore.keep` does that).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from afere.store.spans.chunks import Chunks
from afere.store.spans.rows import Asked

VALUE = 200  # characters of a text that are in the index; longer ones are not
_STEP = 2_000  # spans looked through in one transaction

FILTERABLE = (
    # Spans up to `missing` have not been looked through yet.
    "CREATE TABLE filterable (project TEXT NOT NULL, key TEXT NOT NULL, missing INTEGER NOT NULL, PRIMARY KEY (project, key))",
)
LAYOUT = (
    # What any span of a document says (see `docs`); the newest of a value last.
    """CREATE TABLE labels (project TEXT NOT NULL, key TEXT NOT NULL, value NOT NULL, doc INTEGER NOT NULL,
        PRIMARY KEY (project, key, value, doc)) WITHOUT ROWID""",
    "CREATE INDEX labels_doc ON labels (doc)",
)


def declared(connection: sqlite3.Connection, project: str) -> dict[str, int]:
    """The filterable attributes; for each the last span that has not been looked through, 0 for none."""
    rows = connection.execute("SELECT key, missing FROM filterable WHERE project = ?", (project,))
    return {row["key"]: row["missing"] for row in rows}


def declare(connection: sqlite3.Connection, project: str, keys: Iterable[str]) -> None:
    """Begin to keep these; spans that are there already wait to be looked through."""
    connection.executemany(
        "INSERT OR IGNORE INTO filterable SELECT ?, ?, coalesce(max(id), 0) FROM spans WHERE project = ?",
        [(project, key, project) for key in keys],
    )


def withdraw(connection: sqlite3.Connection, project: str, keys: Iterable[str]) -> None:
    """Keep these no longer."""
    for key in keys:
        connection.execute("DELETE FROM filterable WHERE project = ? AND key = ?", (project, key))
        connection.execute("DELETE FROM labels WHERE project = ? AND key = ?", (project, key))


def insert(
    connection: sqlite3.Connection, project: str, keys: Iterable[str], spans: Iterable[tuple[int, Asked]]
) -> None:
    """Keep what these spans, (document, attributes), say of the keys."""
    connection.executemany(
        "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?)",
        {
            (project, key, value, doc)
            for doc, attributes in spans
            for key in keys
            if (value := plain_value(attributes.get(key))) is not None
        },
    )


def plain_value(value: object) -> str | int | float | None:
    """An attribute as filters compare it: text or number; None for what cannot be filtered by."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if len(value) <= VALUE else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value) if abs(value) < 10**300 else None
    return value if isinstance(value, float) else None


def look_through(connection: sqlite3.Connection, project: str) -> bool:
    """Look through some spans that were there before an attribute was declared; False if none are left."""
    for key, missing in declared(connection, project).items():
        if missing:
            rows = connection.execute(
                "SELECT s.id, s.chunk, s.line, c.doc FROM spans s JOIN chunks c ON c.id = s.chunk"
                " WHERE s.project = ? AND s.id <= ? ORDER BY s.id DESC LIMIT ?",
                (project, missing, _STEP),
            ).fetchall()
            chunks = Chunks(connection)
            insert(
                connection, project, [key], [(row["doc"], chunks.attributes(row["chunk"], row["line"])) for row in rows]
            )
            connection.execute(
                "UPDATE filterable SET missing = ? WHERE project = ? AND key = ?",
                (rows[-1]["id"] - 1 if len(rows) == _STEP else 0, project, key),
            )
            return True
    return False
