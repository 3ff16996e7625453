"""The audit log: a chain of hashes over every change that counts, and the proof that nothing was altered.

A line is written in the transaction of its change. It holds a digest of what was written, not the data, so that data
can be erased later without breaking the chain.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from afere.base.actor import EVERY
from afere.base.canonical import Json, canonical, digest_of
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput
from afere.store.database import insert_rows
from afere.store.files import write_file
from afere.store.page import Page, check_keys, read_cursor, write_cursor

ERASE = "erase"  # its details name the rows that were erased: [subject, digest]
GENESIS = "sha256:" + "0" * 64
_FIELDS = ("seq", "at", "project", "actor", "action", "subject", "details", "previous")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who writes, where and when: on every row of one change."""

    project: str
    actor: str
    at: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the chain. `hash` covers all the rest, and `previous` is the hash of the line before."""

    seq: int
    at: str
    project: str
    actor: str
    action: str
    subject: str
    details: dict[str, Json]
    previous: str
    hash: str

    def to_json(self) -> dict[str, Json]:
        return {
            "seq": self.seq, "at": self.at, "project": self.project, "actor": self.actor, "action": self.action,
            "subject": self.subject, "details": self.details, "previous": self.previous, "hash": self.hash,
        }  # fmt: skip

    def expected_hash(self) -> str:
        body = self.to_json()
        return digest_of({name: body[name] for name in _FIELDS})


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the change feed: an artifact, alias, score or job changed. `subject` is its ref or id."""

    seq: int
    what: str
    subject: str
    at: str

    def to_json(self) -> Json:
        return {"seq": self.seq, "what": self.what, "subject": self.subject, "at": self.at}


def record(
    connection: sqlite3.Connection, stamp: Stamp, action: str, subject: str, details: Mapping[str, Json]
) -> None:
    """Add a line. `details["row"]` is the digest of the row that was written, `details["instead"]` of the one it replaced."""
    seq, previous = last(connection)
    line = AuditLine(
        seq + 1, stamp.at, stamp.project, stamp.actor, action, subject, dict(details), previous, hash=""
    )  # fmt: skip
    connection.execute(
        "INSERT INTO audit (seq, at, project, actor, action, subject, details, previous, hash) VALUES (?,?,?,?,?,?,?,?,?)",
        (line.seq, line.at, line.project, line.actor, action, subject, canonical(line.details).decode(), previous,
         line.expected_hash()),
    )  # fmt: skip


def announce(connection: sqlite3.Connection, stamp: Stamp, what: str, *subjects: str) -> None:
    """Add steps to the change feed."""
    insert_rows(
        connection,
        "INSERT INTO changes (project, at, what, subject)",
        [(stamp.project, stamp.at, what, subject) for subject in subjects],
    )


def answered(connection: sqlite3.Connection, stamp: Stamp, request: str | None) -> int | None:
    """The row that was made for this request of this actor, if it was asked before and the answer was lost."""
    if request is None:
        return None
    row = connection.execute("SELECT made FROM requests WHERE id=?", (_request(stamp, request),)).fetchone()
    return int(row[0]) if row else None


def answer(connection: sqlite3.Connection, stamp: Stamp, request: str | None, made: int) -> None:
    """Remember which row was made for a request, for two days."""
    if request is not None:
        connection.execute("DELETE FROM requests WHERE at < ?", (rfc3339(now_ns() - 2 * 86_400 * 10**9),))
        connection.execute("INSERT INTO requests VALUES (?, ?, ?)", (_request(stamp, request), stamp.at, made))


def _request(stamp: Stamp, request: str) -> str:
    return f"{stamp.project} {stamp.actor} {request}"


def follow(connection: sqlite3.Connection, project: str, after: int, limit: int) -> list[Change]:
    """What changed after step `after`, oldest first. Writers take turns, so that no step appears late."""
    rows = connection.execute(
        "SELECT seq, what, subject, at FROM changes WHERE project=? AND seq>? ORDER BY seq LIMIT ?",
        (project, after, limit),
    )
    return [Change(*row) for row in rows]


def last(connection: sqlite3.Connection) -> tuple[int, str]:
    """Number and hash of the newest line."""
    row = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(row[0]), str(row[1])) if row else (0, GENESIS)


def hash_of(connection: sqlite3.Connection, seq: int) -> str | None:
    """The hash of a line, if there is one with that number; that before the first is known to all."""
    row = connection.execute("SELECT hash FROM audit WHERE seq=?", (seq,)).fetchone()
    return str(row[0]) if row else GENESIS if seq == 0 else None


def find(
    connection: sqlite3.Connection, project: str, limit: int, cursor: str | None, where: Mapping[str, object]
) -> Page[AuditLine]:
    """Lines of the project and those that concern all projects, newest first; `after` leaves out those up to that number."""
    check_keys("audit", where, ("after",))
    before = read_cursor(cursor, 1)
    rows = connection.execute(
        "SELECT * FROM audit WHERE project IN (?, ?) AND seq>? AND seq<? ORDER BY seq DESC LIMIT ?",
        (project, EVERY, where.get("after") or 0, before[0] if before else 1 << 62, limit + 1),
    ).fetchall()
    lines = tuple(_line(row) for row in rows[:limit])
    return Page(lines, write_cursor(lines[-1].seq) if len(rows) > limit else None)


def _line(row: sqlite3.Row) -> AuditLine:
    details = cast("dict[str, Json]", json.loads(row["details"]))
    return AuditLine(
        row["seq"], row["at"], row["project"], row["actor"], row["action"], row["subject"], details, row["previous"],
        row["hash"],
    )  # fmt: skip


class Head:
    """The newest line's number and hash, in a file beside the database: what a cut tail cannot also cut unseen.

    Written after the commit, so it may lag behind after a crash, but never runs ahead of the chain. Once it does not
    fit the chain, or is gone, it is left so: `verify` must go on saying it.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audit.head"
        self._known = 0

    def begin(self) -> None:
        """Make the file, for a store without any line yet."""
        if not self.file.exists():
            write_file(self.file, _head_line(0, GENESIS))

    def read(self) -> tuple[int, str] | None:
        """Number and hash as the file has them; None if it is gone or says nothing."""
        with suppress(OSError, ValueError), self.file.open("rb") as stream, _alone(stream):
            return _read_head(stream)
        return None

    def advance(self, seq: int, hash_: str, hash_of: Callable[[int], str | None]) -> None:
        """Move the file forward to this line, unless another thread or process is already further.

        `hash_of` looks a line up in the chain. Never fails: the change is kept already, and a head that lags is harmless.
        """
        if seq <= self._known:
            return
        with suppress(OSError, ValueError), self.file.open("r+b", buffering=0) as stream, _alone(stream):
            written = _read_head(stream)
            if written[0] >= seq or hash_of(written[0]) != written[1]:
                return
            # In place: less than a sector of the same length, so it is old or new even after a power cut, without
            # waiting for the disk or needing space on it.
            stream.seek(0)
            stream.write(_head_line(seq, hash_))
            self._known = seq


def _head_line(seq: int, hash_: str) -> bytes:
    return f"{seq:020} {hash_}\n".encode("ascii")


def _read_head(stream: IO[bytes]) -> tuple[int, str]:
    seq, hash_ = stream.read(200).decode("ascii").split()
    return int(seq), hash_


@contextmanager
def _alone(stream: IO[bytes]) -> Generator[None]:
    """Only one thread of one process at a time is inside, for the same file."""
    with suppress(ImportError):  # Windows has no flock; there the head may lag behind, which is harmless
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX)
    yield


# verification

Fact = tuple[str, str, str, str]  # project, action, subject, digest of the row


def verify(
    connection: sqlite3.Connection, facts: Iterator[Fact], head: tuple[int, str] | None, kept: str | None,
    sees: Callable[[str], bool] = lambda _: True,
) -> list[str]:  # fmt: skip
    """Everything that is wrong with the log, in words; nothing if it is sound.

    facts: what the tables say now. head: what `audit.head` says. kept: a hash that somebody wrote down earlier. sees: whose
    subjects may be named, by project.
    """
    if kept is not None and not kept.removeprefix("sha256:").isalnum():
        raise BadInput(
            f"{kept!r} is not the hash of an audit line: write the 64 hex digits that `audit verify` printed."
        )
    problems: list[str] = []
    recorded: dict[Fact, int] = {}
    counts: Counter[Fact] = Counter()
    hashes: dict[int, str] = {0: GENESIS}
    previous, expected = GENESIS, 1
    for row in connection.execute("SELECT * FROM audit ORDER BY seq"):
        try:
            line = _line(row)
        except ValueError:
            problems.append(f"Audit line {row['seq']} was edited: its details are not JSON.")
            previous, expected = row["hash"], row["seq"] + 1
            continue
        problems += _link_problems(line, previous, expected, sees)
        previous, expected = line.hash, line.seq + 1
        hashes[line.seq] = line.hash
        if "row" in line.details:
            fact = (line.project, line.action, line.subject, str(line.details["row"]))
            recorded[fact] = line.seq
            counts[fact] += 1
        if "instead" in line.details:
            counts[line.project, line.action, line.subject, str(line.details["instead"])] -= 1
        if line.action == ERASE:
            counts.subtract((line.project, "score", subject, row) for subject, row in _erased(line))
    problems += _head_problems(hashes, head)
    if kept is not None and "sha256:" + kept.removeprefix("sha256:") not in hashes.values():
        problems.append(f"The head {kept} that was kept is not in the log: lines were replaced or cut off.")
    counts.subtract(facts)
    return problems + _row_problems(counts, recorded, sees)


def _erased(line: AuditLine) -> Iterator[tuple[str, str]]:
    rows = line.details.get("rows")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, list) and len(row) == 2:
            yield str(row[0]), str(row[1])


def _link_problems(line: AuditLine, previous: str, expected: int, sees: Callable[[str], bool]) -> list[str]:
    problems: list[str] = []
    if line.seq != expected:
        problems.append(f"Audit lines {expected} to {line.seq - 1} are missing.")
    if line.previous != previous:
        problems.append(f"Audit line {line.seq} does not follow the line before it: lines were removed or reordered.")
    if line.hash != line.expected_hash():
        what = f"{line.action} {line.subject}" if sees(line.project) else "of another project"
        problems.append(f"Audit line {line.seq} ({what}) was edited.")
    return problems


def _head_problems(hashes: Mapping[int, str], head: tuple[int, str] | None) -> list[str]:
    newest = max(hashes)
    if head is None:
        return ["audit.head is missing or unreadable: whether the end of the log was cut off cannot be shown."]
    if head[0] > newest:
        return [f"The end of the log was cut off: it has {newest} lines, and audit.head has seen {head[0]}."]
    if hashes.get(head[0]) != head[1]:
        return [f"Audit line {head[0]} is not the one that audit.head has seen: the log was rewritten."]
    return []


def _row_problems(counts: Counter[Fact], recorded: Mapping[Fact, int], sees: Callable[[str], bool]) -> list[str]:
    """Rows that no line recorded, and lines whose row is gone; both for one subject means that it was changed."""
    gone = {fact[:3]: recorded[fact] for fact, n in counts.items() if n > 0}
    extra = {fact[:3] for fact, n in counts.items() if n < 0}
    problems: list[str] = []
    for (project, action, subject), seq in gone.items():
        how = "was changed after" if (project, action, subject) in extra else "is gone, though it is in"
        problems.append(f"{_described(project, action, subject, sees)} {how} audit line {seq}.")
    for fact in extra - gone.keys():
        problems.append(f"{_described(*fact, sees)} has no audit line.")
    return problems


def _described(project: str, action: str, subject: str, sees: Callable[[str], bool]) -> str:
    if not sees(project):
        return "Something of another project"
    return f"{_NOUNS.get(action, action)} {subject} of project {project}"


_NOUNS = {
    "put": "Artifact", "alias": "The move of alias", "score": "Score", "actor": "Actor", "key": "Key",
    "person": "The account of", "role": "The role of",
}  # fmt: skip
