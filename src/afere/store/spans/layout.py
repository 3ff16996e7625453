"""The layout of `spans.db`, as the list of steps that made it. A released step is never edited; a change is a new step."""

from __future__ import annotations

import logging
import sqlite3

from afere.store.database import Migration
from afere.store.spans import dictionary as span_dictionary
from afere.store.spans import docs as span_docs
from afere.store.spans import labels as span_labels
from afere.store.spans import ties as span_ties
from afere.store.spans.chunks import Chunks
from afere.store.spans.dictionary import unpacked
from afere.store.spans.rollup import ADDED, KEY, SUMMARY, Shares, count_all, summarise_all
from afere.store.spans.rollup import LAYOUT as ROLLUP
from afere.store.spans.rows import COLUMNS, VERSIONS, ran_of

_log = logging.getLogger("afere.store")


def _first(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{name} {declared}" for name, declared in COLUMNS.items())
    for statement in (
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL)",
        f"CREATE TABLE spans (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})",
        "CREATE UNIQUE INDEX spans_identity ON spans (project, trace_id, span_id)",
        "CREATE INDEX spans_start ON spans (project, start)",
        "CREATE INDEX spans_roots ON spans (project, start) WHERE root > 0",
        "CREATE INDEX spans_errors ON spans (project, start) WHERE status = 'error'",
        "CREATE INDEX spans_user ON spans (project, user, start) WHERE root > 0 AND user IS NOT NULL",
        "CREATE INDEX spans_session ON spans (project, session, start) WHERE root > 0 AND session IS NOT NULL",
        "CREATE INDEX spans_model ON spans (project, model, start) WHERE model IS NOT NULL",
        "CREATE TABLE losses (at INTEGER NOT NULL, project TEXT NOT NULL, count INTEGER NOT NULL, why TEXT NOT NULL)",
    ):
        connection.execute(statement)


def _second(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE said (project TEXT NOT NULL, trace_id BLOB NOT NULL, span_id BLOB NOT NULL, digest BLOB NOT NULL,
            came INTEGER NOT NULL, event TEXT NOT NULL,
            PRIMARY KEY (project, trace_id, span_id, digest)) WITHOUT ROWID"""
    )
    connection.execute("CREATE INDEX said_came ON said (came)")


def _third(connection: sqlite3.Connection) -> None:
    for statement in (*ROLLUP, *span_labels.FILTERABLE):
        connection.execute(statement)
    _widen(connection)
    count_all(connection)


def _fourth(connection: sqlite3.Connection) -> None:
    """What can be searched is found by chunk, in order of time; counts by hour and model; spans that wait for their parent."""
    for statement in (
        "DROP TABLE IF EXISTS texts",
        "DROP TABLE IF EXISTS labels",
        "ALTER TABLE chunks ADD COLUMN doc INTEGER",
        "CREATE INDEX spans_waiting ON spans (project, trace_id, parent_id) WHERE root > 1",
        # Earlier spans are looked through again, by `keep`.
        "UPDATE filterable SET missing = (SELECT coalesce(max(id), 0) FROM spans)",
        *span_docs.LAYOUT,
        *span_labels.LAYOUT,
        *SUMMARY,
    ):
        connection.execute(statement)
    span_docs.index_all(connection)
    summarise_all(connection)


def _fifth(connection: sqlite3.Connection) -> None:
    """Traces are found from what they ran and read."""
    for statement in span_ties.LAYOUT:
        connection.execute(statement)
    span_ties.index_all(connection)


def _sixth(connection: sqlite3.Connection) -> None:
    """Spans say in columns which component, version and prompt ran; these, chains and environments are counted by hour."""
    _widen(connection)
    many = connection.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()[0]
    if many > _PATIENT:
        _log.warning(
            "spans.db is brought to a new layout, once: about a minute for a million spans, and it has %s", f"{many:,}"
        )
    chunks = Chunks(connection)
    for chunk, doc, data in connection.execute("SELECT id, doc, data FROM chunks WHERE doc IS NOT NULL").fetchall():
        whole = unpacked(data, connection)
        if not any(word.encode() in whole for word in _TELLING):
            continue
        for row in connection.execute(
            f"SELECT id, line FROM spans WHERE {span_docs.ROWS} AND chunk = ?",  # noqa: S608  our own words
            (*span_docs.rows_of(doc), chunk),
        ).fetchall():
            said = ran_of(chunks.detail(chunk, row["line"]))
            connection.execute(
                "UPDATE spans SET component = ?, version = ?, prompt = ? WHERE id = ?", (*said, row["id"])
            )
    counted = connection.execute("PRAGMA user_version").fetchone()[0] >= _COUNTS  # else they were counted just now
    for (project,) in connection.execute("SELECT DISTINCT project FROM series").fetchall():
        shares = Shares(connection, project)
        shares.move(ADDED if counted else _SAID)
        shares.write(summary=False)


_PATIENT = 100_000  # spans that are looked through before anybody wonders
_COUNTS = 3  # the step with which counts by hour came
_SAID = ("component", "version", "prompt")
_TELLING = ('"artifacts"', "gen_ai.prompt.name", *VERSIONS)


def _widen(connection: sqlite3.Connection) -> None:
    for table, names in (("spans", _SAID), ("series", ADDED)):
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name in names:
            if name not in known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} TEXT")
    connection.execute("DROP INDEX IF EXISTS series_key")
    connection.execute(KEY)


def _seventh(_connection: sqlite3.Connection) -> None:
    """Chunks may hold spans as they came (see `chunks`): earlier programs must not read them. Old chunks stay as they are."""


def _eighth(connection: sqlite3.Connection) -> None:
    """New chunks are packed by dictionaries (see `dictionary`). Old chunks stay as they are."""
    for statement in span_dictionary.LAYOUT:
        connection.execute(statement)


def _ninth(connection: sqlite3.Connection) -> None:
    """Eight parts of the full-text index are merged into one, no longer four: each word is written anew less often."""
    connection.execute("INSERT INTO words (words, rank) VALUES ('automerge', 8)")


MIGRATIONS: tuple[Migration, ...] = (_first, _second, _third, _fourth, _fifth, _sixth, _seventh, _eighth, _ninth)
