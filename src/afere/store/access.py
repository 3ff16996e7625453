"""What an actor may do to a database: checked where records are read and written, so that no door can forget it."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from afere.base.actor import Actor
from afere.base.errors import LacksScope
from afere.store.database import Database


def require(actor: Actor, scope: str, project: str) -> None:
    """LacksScope, unless the actor has this scope in this project."""
    if actor.may(scope, project):
        return
    has = sorted(name for where, given in actor.grants if where in (project, "*") for name in given)
    what = {"ingest": "send to", "read": "read", "write": "change", "admin": "administer"}[scope]
    raise LacksScope(
        f"{actor.id} may not {what} project {project!r} (has there: {', '.join(has) or 'nothing'}; needs: {scope}). "
        f"An administrator can give more: afere key create NAME --project {project} --scope {scope}, "
        f"or afere user add NAME --project {project}"
    )


class Limited:
    """A database as one actor may use it in one project. Every block names the scope that it needs."""

    def __init__(self, database: Database, actor: Actor, project: str, *, writing: str = "write") -> None:
        """`writing` is the scope that a change needs where the block says nothing else."""
        self.whole = database
        self._actor, self._project, self._writing = actor, project, writing

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """As `Database.read`, for who may read."""
        require(self._actor, "read", self._project)
        with self.whole.read() as connection:
            yield connection

    @contextmanager
    def write(self, scope: str | None = None) -> Generator[sqlite3.Connection]:
        """As `Database.write`, for who has the scope."""
        require(self._actor, scope or self._writing, self._project)
        with self.whole.write() as connection:
            yield connection

    def single(self, statement: str, values: Sequence[object] = (), *, changes: bool = False) -> list[sqlite3.Row]:
        """As `Database.single`."""
        require(self._actor, self._writing if changes else "read", self._project)
        return self.whole.single(statement, values, changes=changes)

    def scrub(self) -> None:
        """As `Database.scrub`, for administrators."""
        require(self._actor, "admin", self._project)
        self.whole.scrub()

    @property
    def file(self) -> Path:
        return self.whole.file

    @property
    def writable(self) -> bool:
        """Whether this process may change the file."""
        return self.whole.writable

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.whole.close()
