"""`afere doctor --verify`: reads every record's ties and every blob's bytes, while programs go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from afere.base.canonical import digest
from afere.store.backup import COUNTED
from afere.store.blobs import Blobs
from afere.store.files import TEMPORARY
from afere.store.health import Finding
from afere.store.spans.dictionary import unpacked

_BACKUP = "Restore from a backup: afere restore FILE --replace"


def check_ties(folder: Path) -> Iterator[Finding]:
    """Whether every record that another one names is there; and how many there are."""
    for name, tables in COUNTED.items():
        file = folder / name
        if not file.exists():
            continue
        try:
            broken, counts = _looked(file, tables)
        except sqlite3.DatabaseError as error:
            yield Finding("error", name, f"{file} cannot be read to its end: {error}", _BACKUP)
            continue
        if broken:
            more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
            yield Finding("error", name, f"{'; '.join(broken[:3])}{more}", _BACKUP)
        else:
            said = ", ".join(f"{count:,} {'audit lines' if table == 'audit' else table}" for table, count in counts)
            yield Finding("ok", name, f"{said}; all that they name is there")


def _looked(file: Path, tables: tuple[str, ...]) -> tuple[list[str], list[tuple[str, int]]]:
    """Ties that are broken, and rows by table."""
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=20)) as view:
        view.execute("BEGIN")
        gone = view.execute("PRAGMA foreign_key_check").fetchall()
        broken = [f"{table} {row} names a row of {parent} that is gone" for table, row, parent, _ in gone]
        if file.name == "spans.db":
            broken += [*_without_contents(view), *_damaged(view)]
        return broken, [(table, view.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables]  # noqa: S608  our own names


def _without_contents(view: sqlite3.Connection) -> list[str]:
    rows = view.execute(
        "SELECT id, chunk FROM spans WHERE chunk IS NOT NULL AND chunk NOT IN (SELECT id FROM chunks) LIMIT 100"
    )
    return [f"span {id_} has lost its contents (chunk {chunk})" for id_, chunk in rows]


def _damaged(view: sqlite3.Connection) -> Iterator[str]:
    """Chunks that do not unpack, or whose dictionary does not."""
    for id_, data in view.execute("SELECT id, data FROM chunks"):
        if not unpacked(data, view):
            yield f"chunk {id_} of contents does not unpack"


def check_blobs(folder: Path) -> Iterator[Finding]:
    """Whether the bytes of every blob are those that it is named by."""
    blobs = Blobs(folder / "blobs")
    count = size = erased = 0
    wrong: list[Path] = []
    for file in sorted(blobs.folder.glob("??/*")):
        if file.name.startswith(TEMPORARY):
            continue
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            wrong.append(file)
            continue
        count, size = count + 1, size + len(data)
        if digest(data) != f"sha256:{file.parent.name}{file.name}":
            if blobs.erased(file):
                erased += 1
            else:
                wrong.append(file)
    for file in wrong[:20]:
        yield Finding("error", "blobs", f"{file} is damaged: its bytes have another hash than its name.", _BACKUP)
    if not wrong:
        gone = f", {erased} of them erased" if erased else ""
        yield Finding("ok", "blobs", f"{count:,} files of {size / 1e6:,.1f} MB{gone}, all whole")
