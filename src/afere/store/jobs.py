"""Jobs: durable work that goes on where it stopped, done by one process at a time."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import orjson

from afere.base.canonical import Json, plain
from afere.base.clock import new_id, now_ns, rfc3339
from afere.base.errors import BadInput, NotFound, Refused
from afere.store.access import Limited
from afere.store.audit import Stamp, announce
from afere.store.database import insert_rows, inserted
from afere.store.page import Page, check_keys, read_cursor, write_cursor

JobStatus = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Job:
    """Work with a key and finished items. Only a `done` job is over: the others go on when asked for again."""

    id: str
    kind: str
    key: str
    status: JobStatus
    total: int | None
    by: str
    at: str
    ended: str | None
    project: str
    _database: Limited = field(repr=False, compare=False)

    def items(self) -> dict[str, Json]:
        """What is finished, by key."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT i.key, i.value FROM job_items AS i JOIN jobs AS j ON j.seq = i.job WHERE j.id=?", (self.id,)
            )
            return {key: json.loads(value) for key, value in rows}

    def put(self, items: Mapping[str, Json]) -> None:
        """Keep finished items, all or none, durably; a key given again replaces its value."""
        rows = [(key, _written(plain(value, where=key))) for key, value in items.items()]
        if not rows:
            return
        with self._database.write() as connection:
            (job,) = connection.execute("SELECT seq FROM jobs WHERE id=?", (self.id,)).fetchone()
            insert_rows(connection, "INSERT OR REPLACE INTO job_items (job, key, value)", [(job, *row) for row in rows])

    def end(self, status: JobStatus = "done") -> Job:
        """Say how the work ended, and let other processes have it."""
        if status == "running":
            raise BadInput("A job ends as done, failed or stopped.")
        ended = rfc3339(now_ns())
        with self._database.write() as connection:
            connection.execute("UPDATE jobs SET status=?, ended=?, owner=NULL WHERE id=?", (status, ended, self.id))
            announce(connection, Stamp(self.project, self.by, ended), "job", self.id)
        return replace(self, status=status, ended=ended)

    def to_json(self) -> Json:
        return {
            "id": self.id, "kind": self.kind, "key": self.key, "status": self.status, "total": self.total, "by": self.by,
            "at": self.at, "ended": self.ended,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a job: process ids are used again, but not with the same start."""

    host: str
    pid: int
    started: str | None

    def __str__(self) -> str:
        return json.dumps({"host": self.host, "pid": self.pid, "started": self.started})

    @property
    def gone(self) -> bool:
        """Whether it has ended, as far as can be told: of another host nobody here knows."""
        return self.host != platform.node() or _started(self.pid) != self.started


class Busy(Refused):
    """Another process works on it."""

    def __init__(self, message: str, owner: Owner) -> None:
        super().__init__(message)
        self.owner = owner


def _written(value: Json) -> str:
    """JSON that is read as what it was, halves of surrogate pairs too."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # such halves, or numbers beyond 64 bits
        return json.dumps(value)


def me() -> Owner:
    """This process."""
    return Owner(platform.node(), os.getpid(), _started(os.getpid()))


def claimed(claim: Callable[[Owner | None], Job]) -> Job:
    """Claim a job, also from a process that is found to be gone. Only its own host can tell, so this runs there."""
    try:
        return claim(None)
    except Busy as busy:
        if not busy.owner.gone:
            raise
        return claim(busy.owner)


def claim(
    connection: sqlite3.Connection, database: Limited, stamp: Stamp, kind: str, key: str, *, total: int | None,
    owner: Owner, instead: Owner | None,
) -> Job:  # fmt: skip
    """The unfinished job with that key, or a new one, now the owner's. Busy while another has it that is not `instead`."""
    row = connection.execute(
        "SELECT * FROM jobs WHERE project=? AND kind=? AND key=? AND status <> 'done'", (stamp.project, kind, key)
    ).fetchone()
    if row is None:
        written = {
            "id": new_id(), "project": stamp.project, "kind": kind, "key": key, "status": "running", "total": total,
            "owner": str(owner), "by": stamp.actor, "at": stamp.at,
        }  # fmt: skip
        row = inserted(connection, "jobs", written)
    else:
        _check_free(row, (owner, instead))
        query = "UPDATE jobs SET status='running', ended=NULL, owner=?, total=coalesce(?, total) WHERE seq=?"
        connection.execute(query, (str(owner), total, row["seq"]))
        row = connection.execute("SELECT * FROM jobs WHERE seq=?", (row["seq"],)).fetchone()
    announce(connection, stamp, "job", row["id"])
    return _job(row, database)


def _check_free(row: sqlite3.Row, taking: tuple[Owner | None, ...]) -> None:
    owner = Owner(**json.loads(row["owner"])) if row["owner"] is not None else None
    if owner is None or owner in taking:
        return
    raise Busy(
        f"{row['kind']} {row['key']!r} is being worked on by process {owner.pid} of {owner.host}. Wait for it, or stop it "
        f"there with: kill {owner.pid}; what it has finished is kept.",
        owner,
    )


def _started(pid: int) -> str | None:
    """When a process started, in the words of the system; None if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            state, *rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if state == "Z" else rest[18]
    import subprocess

    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - fixed words and a number
    return listed.stdout.strip() or None


def find(
    connection: sqlite3.Connection, database: Limited, project: str, limit: int, cursor: str | None, *,
    where: Mapping[str, object],
) -> Page[Job]:  # fmt: skip
    """Jobs, newest first."""
    check_keys("jobs", where, ("kind", "status", "key"))
    query, values = "SELECT * FROM jobs WHERE project=?", cast("list[object]", [project])
    for name in ("kind", "status", "key"):
        if where.get(name) is not None:
            query, values = f"{query} AND {name}=?", [*values, where[name]]
    before = read_cursor(cursor, 1)
    if before:
        query, values = f"{query} AND seq<?", [*values, before[0]]
    rows = connection.execute(f"{query} ORDER BY seq DESC LIMIT ?", [*values, limit + 1]).fetchall()
    items = tuple(_job(row, database) for row in rows[:limit])
    return Page(items, write_cursor(rows[limit - 1]["seq"]) if len(rows) > limit else None)


def of(connection: sqlite3.Connection, database: Limited, project: str, id_: str) -> Job:
    """The job with that id."""
    row = connection.execute("SELECT * FROM jobs WHERE project=? AND id=?", (project, id_)).fetchone()
    if row is None:
        raise NotFound(f"There is no job {id_!r} in project {project!r}.")
    return _job(row, database)


def _job(row: sqlite3.Row, database: Limited) -> Job:
    return Job(
        row["id"], row["kind"], row["key"], row["status"], row["total"], row["by"], row["at"], row["ended"], row["project"],
        database,
    )  # fmt: skip
