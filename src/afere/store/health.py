"""What can be wrong with a store, said with its remedy; and saving what is readable of a damaged database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Literal
from urllib.parse import quote

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import AfereError, StoreFailed
from afere.store import artifacts
from afere.store.blobs import Blobs
from afere.store.forwarding import Forwarded
from afere.store.schema import MIGRATIONS
from afere.store.session import Session
from afere.store.spans import mark as span_mark
from afere.store.spans.store import Loss

_LITTLE_SPACE = 200 * 1024 * 1024  # bytes
_REMEDIES = {
    "afere.db": "Restore it from a backup, or save what can be read with: afere doctor --repair",
    "spans.db": "Move {} aside (a new one is made); traces in it can be lost.",
    "cache.db": "Delete {}; it is only a cache.",
}
_FORGOTTEN = 3600  # seconds after which a temporary file has no living writer


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, and what to do about it."""

    severity: Literal["ok", "note", "warning", "error"]
    about: str
    what: str
    action: str = ""

    def to_json(self) -> Json:
        return {"severity": self.severity, "about": self.about, "what": self.what, "action": self.action}


def check_store(folder: Path, project: str) -> list[Finding]:
    """Everything about the store in a folder; one is not made where there is none."""
    if not folder.is_dir():
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        if not os.access(above, os.W_OK | os.X_OK):
            return [_folder(above)]
        return [Finding("note", "store", f"{folder} does not exist yet; it is made when something runs.")]
    findings = [_folder(folder), _space(folder)]
    for name, purpose in (
        ("afere.db", "artifacts, aliases, scores, audit, jobs"),
        ("spans.db", "traces"),
        ("cache.db", "cache"),
    ):
        if (folder / name).exists():
            findings.append(_integrity(folder / name, purpose))
    findings += _leftovers(folder)
    findings += map(_forwarded, Forwarded.read(folder))
    if not (folder / "afere.db").exists() or any(f.severity == "error" and f.about == "afere.db" for f in findings):
        return findings
    try:
        with Session(folder, project, "person:local") as session:
            findings += audited(session)
            findings += _blobs(session)
            findings += _losses(session)
    except AfereError as error:
        findings.append(Finding("error", "store", str(error)))
    return findings


def check_quickly(folder: Path, *, seconds: float = 0.4) -> None:
    """StoreFailed, with the remedy, if a database is gone, or seen to be damaged within that time. `check_store` looks at all."""
    if span_mark.missing(folder):
        file = folder / "spans.db"
        raise StoreFailed(
            f"The integrity check failed: {file} is gone, though this store had one. Stop all programs and restore a backup: afere "
            f"restore FILE --replace. If it was deleted on purpose, delete {folder / span_mark.NAME} too: an empty one is begun."
        )
    for name in ("afere.db", "spans.db"):
        if not (folder / name).exists():
            continue
        with closing(_read_only(folder / name)) as connection, _interrupted(connection, seconds):
            try:
                found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            except sqlite3.OperationalError:  # out of time, or in use
                continue
            except sqlite3.DatabaseError as error:
                found = str(error)
        if found != "ok":
            raise StoreFailed(f"{folder / name} is corrupt ({found}). {_REMEDIES[name].format(folder / name)}")


@contextmanager
def _interrupted(connection: sqlite3.Connection, seconds: float) -> Generator[None]:
    """What the connection does in this block ends after so many seconds. A progress handler is not asked while a check walks
    through the pages of a table, which takes minutes of a large one."""
    timer = Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _folder(folder: Path) -> Finding:
    if os.access(folder, os.W_OK | os.X_OK):
        return Finding("ok", "store", f"{folder} can be written")
    return Finding(
        "error", "store", f"{folder} is read-only for you.",
        f"Change its permissions (chmod u+w {folder}), or name another folder with AFERE_STORE or --store.",
    )  # fmt: skip


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free"
    if free < _LITTLE_SPACE:
        return Finding(
            "warning", "disk", f"only {text}", "Free some space before it runs out; nothing kept is lost if it does."
        )
    return Finding("ok", "disk", text)


def _integrity(file: Path, purpose: str) -> Finding:
    try:
        with closing(_read_only(file)) as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        if "disk" in str(error) and "malformed" not in str(error):  # also a full disk, which damages nothing
            return Finding(
                "error", file.name, f"{file} cannot be read now: {error}",
                "Free some space and check the disk, then run: afere doctor",
            )  # fmt: skip
        problems, version = [str(error)], 0
    if problems == ["ok"]:
        newer = file.name == "afere.db" and version > len(MIGRATIONS)
        if newer:
            return Finding(
                "error", file.name, f"written by a newer afere (layout {version}).", "pip install --upgrade afere"
            )
        return Finding("ok", file.name, f"whole ({purpose}; layout {version})")
    return Finding("error", file.name, f"{file} is damaged: {'; '.join(problems)}", _REMEDIES[file.name].format(file))


def _read_only(file: Path) -> sqlite3.Connection:
    """A connection that changes nothing, for a file that may be damaged."""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=5)


def _leftovers(folder: Path) -> Iterator[Finding]:
    old = [file for file in [*Blobs(folder / "blobs").leftovers(), *folder.glob(".new-*")] if _age(file) > _FORGOTTEN]
    if old:
        listed = " ".join(str(file) for file in old[:5])
        yield Finding(
            "note", "blobs", f"{len(old)} unfinished files of a process that died", f"Delete them: rm {listed}"
        )


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0


def audited(session: Session) -> list[Finding]:
    """Whether the audit log is sound."""
    problems = session.verify()
    if not problems:
        return [Finding("ok", "audit", f"{session.head()[0]} lines, sound")]
    action = (
        "Something was changed past afere, or lost in a repair. Compare with a backup; "
        "`afere audit verify --head HASH` checks against a head that you kept."
    )
    return [Finding("error", "audit", problem, action) for problem in problems]


def _blobs(session: Session) -> list[Finding]:
    with session._database.read() as connection:
        named = list(artifacts.blobs(connection))
    findings: list[Finding] = []
    for digest, ref in named:
        try:
            session.blob(digest)
        except AfereError as error:
            findings.append(
                Finding("error", "blobs", f"{ref}: {error}", "Restore the file from a backup, or make it again.")
            )
    return findings or [Finding("ok", "blobs", f"{len(named)} named by artifacts, all whole")]


def _forwarded(target: Forwarded) -> Finding:
    what = f"{target.sent:,} spans sent on to {target.target}, {target.waiting:,} wait"
    if target.lost:
        why = f"; the last problem, at {target.problem_at[:19]}: {target.problem}"
        return Finding(
            "warning", "forward", f"{what}, {target.lost:,} lost{why}",
            "They are in this store: send them again with afere export FILTER --to URL.",
        )  # fmt: skip
    if target.waiting and target.problem:
        return Finding("warning", "forward", f"{what}: {target.problem}", "They are sent again until it takes them.")
    return Finding("ok", "forward", what)


def _losses(session: Session) -> Iterator[Finding]:
    for at in span_mark.gone(session.folder)[-1:]:
        yield Finding(
            "warning", "spans", f"spans.db was gone at {at[:19]}, and an empty one was begun: earlier traces are lost.",
            "Restore a backup (afere restore FILE --replace), or delete spans.made to hear no more of it.",
        )  # fmt: skip
    if (session.folder / "spans.db").exists():
        yield from lost(session.spans.losses())


def lost(losses: Sequence[Loss], where: str = "") -> Iterator[Finding]:
    """A warning for each of the newest losses."""
    for loss in losses[:5]:
        yield Finding(
            "warning", "spans", f"{loss.count} spans were lost at {loss.at[:19]}: {loss.why}{where}",
            "What they recorded is not in the traces; see that the disk has room, and that the store can be written.",
        )  # fmt: skip


# repair


def repair_database(file: Path) -> list[Finding]:
    """Save what can be read of a damaged database into a new file; the damaged one is moved aside, never deleted."""
    if not file.exists() or _integrity(file, "").severity == "ok":
        return [Finding("ok", "repair", f"{file} is not damaged; nothing was done.")]
    aside = file.with_name(f"{file.name}.damaged-{rfc3339(now_ns())[:19].replace(':', '')}Z")
    fresh = file.with_name(f".new-{file.name}")
    fresh.unlink(missing_ok=True)
    saved, lost = _copy(file, fresh)
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).rename(aside.with_name(aside.name + end))
    fresh.rename(file)
    kept = ", ".join(f"{count} {table}" for table, count in saved.items() if count) or "nothing"
    what = f"saved {kept} into a new {file.name}; could not read all of: {', '.join(lost)}" if lost else f"saved {kept}"
    return [
        Finding(
            "warning", "repair", what, f"The damaged file is {aside}. Keep it until you know that nothing is missing."
        )
    ]


def _copy(damaged: Path, fresh: Path) -> tuple[dict[str, int], list[str]]:
    """Rows saved by table, and tables that could not be read to their end."""
    saved: dict[str, int] = {}
    lost: list[str] = []
    with closing(sqlite3.connect(fresh, isolation_level=None)) as new, closing(_read_only(damaged)) as old:
        for migration in MIGRATIONS:
            migration(new)
        new.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        tables = [
            name
            for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
        ]
        for table in tables:
            new.execute("BEGIN")
            saved[table], whole = _copy_rows(old, new, table)
            new.execute("COMMIT")
            if not whole:
                lost.append(table)
    return saved, lost


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, bool]:
    """Copy row by row, from both ends: what lies before a damaged page and what lies after it."""
    count, whole = 0, True
    key = [name for _, name, _, _, _, place in new.execute(f"PRAGMA table_info({table})") if place]
    for order in ("", " DESC"):
        try:
            rows = old.execute(f"SELECT * FROM {table} ORDER BY {', '.join(f'{name}{order}' for name in key)}")  # noqa: S608 - a table of our own schema
        except sqlite3.Error:
            return count, False
        marks = ", ".join("?" * len(rows.description))
        try:
            for row in rows:
                added = new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608 - as above
                count += added.rowcount
        except sqlite3.Error:
            whole = False
        if whole:
            break
    return count, whole
