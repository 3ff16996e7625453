"""The layout of `afere.db`, as the list of steps that made it. A released step is never edited; a change is a new step."""

from __future__ import annotations

import sqlite3

from afere.store import actors
from afere.store.database import Migration

_FIRST = (
    """CREATE TABLE artifacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        hash TEXT NOT NULL, content TEXT NOT NULL, blob TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
        UNIQUE (project, kind, name, version), UNIQUE (project, hash))""",
    "CREATE INDEX artifacts_by_name ON artifacts (project, name)",
    """CREATE TABLE uses (
        artifact INTEGER NOT NULL REFERENCES artifacts, role TEXT NOT NULL,
        target INTEGER NOT NULL REFERENCES artifacts,
        PRIMARY KEY (artifact, role, target)) WITHOUT ROWID""",
    "CREATE INDEX uses_by_target ON uses (target)",
    """CREATE TABLE moves (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
        origin INTEGER REFERENCES artifacts, target INTEGER REFERENCES artifacts, decision TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL)""",
    "CREATE INDEX moves_by_alias ON moves (project, name, alias, kind, id)",
    "CREATE INDEX moves_by_target ON moves (target)",
    """CREATE VIEW aliases AS SELECT m.project, m.kind, m.name, m.alias, m.target, m.id AS move FROM moves AS m
        WHERE m.target IS NOT NULL AND m.id = (SELECT max(n.id) FROM moves AS n
            WHERE n.project = m.project AND n.kind = m.kind AND n.name = m.name AND n.alias = m.alias)""",
    """CREATE TABLE scores (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, id TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        by TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL,
        UNIQUE (project, id))""",
    "CREATE INDEX scores_by_target ON scores (project, target, time)",
    "CREATE INDEX scores_by_name ON scores (project, name, time)",
    "CREATE INDEX scores_by_time ON scores (project, time)",
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        status TEXT NOT NULL, total INTEGER, owner TEXT, by TEXT NOT NULL, at TEXT NOT NULL, ended TEXT)""",
    "CREATE UNIQUE INDEX jobs_unfinished ON jobs (project, kind, key) WHERE status <> 'done'",
    "CREATE INDEX jobs_by_key ON jobs (project, kind, key)",
    """CREATE TABLE job_items (
        job INTEGER NOT NULL REFERENCES jobs, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (job, key)) WITHOUT ROWID""",
    """CREATE TABLE actors (
        project TEXT NOT NULL, id TEXT NOT NULL, roles TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (project, id)) WITHOUT ROWID""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL, project TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        details TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL)""",
    """CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL)""",
    "CREATE INDEX changes_by_project ON changes (project, seq)",
)


def _first(connection: sqlite3.Connection) -> None:
    for statement in _FIRST:
        connection.execute(statement)


def _second(connection: sqlite3.Connection) -> None:
    for statement in actors.LAYOUT:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (_first, _second)
