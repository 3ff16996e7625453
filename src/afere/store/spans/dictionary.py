"""What the traces of a project say again and again (names of attributes, prompts, documents), learnt from some of them.

zstd packs a chunk into half its bytes with such a dictionary, in less time. It holds fragments of the traces that it was learnt
from; so it goes when any of these goes, and the chunks that need it are packed anew.
Source: Zstandard's dictionary format (RFC 8878, section 5) and its trainer.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LAYOUT = (
    # `since`: the last chunk when it was learnt; `traces`: those that it was learnt from, 16 bytes each.
    """CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, project TEXT NOT NULL, since INTEGER NOT NULL, data BLOB NOT NULL,
        traces BLOB NOT NULL)""",
)

_FROM = 50  # chunks that one is learnt from: more are no better, and take longer
_BYTES = 32 * 1024  # of a dictionary: twice as many make chunks 4 % smaller
_SAMPLE = 64 * 1024  # bytes of a chunk that are looked at
_SELDOM = 64  # chunks from one look whether there are enough to the next
_NEAR = 50_000  # of the newest spans in the file, in which chunks are looked for
_GROWTH = 8  # times as many chunks as when the last one was learnt, and another is: programs change
_STEP = 500  # chunks looked at in one transaction, so that writers never wait long
_HEAD = 18  # bytes of a frame that say its dictionary
_TRACE = 16
_DAMAGED = (zstd.ZstdError, TypeError, ValueError)  # what is said of bytes that are none, or a dictionary that is none


@lru_cache(maxsize=32)
def _made(data: bytes) -> zstd.ZstdDict:
    return zstd.ZstdDict(data)


def packer(connection: sqlite3.Connection, project: str) -> Callable[[bytes], bytes]:
    """What packs the chunks of a project; for one transaction. Without a dictionary where it is damaged."""
    row = connection.execute(
        "SELECT id, data FROM dictionaries WHERE project = ? AND since > 0 ORDER BY since DESC LIMIT 1", (project,)
    ).fetchone()
    learnt = None
    with suppress(*_DAMAGED):
        if row is not None and _made(row["data"]).dict_id == row["id"]:
            learnt = _made(row["data"]).as_digested_dict
    compress = zstd.ZstdCompressor(zstd_dict=learnt).compress  # a new one for every chunk would cost as much again
    return lambda data: compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked(data: bytes, connection: sqlite3.Connection) -> bytes:
    """All of a chunk; nothing where it, or its dictionary, is damaged."""
    try:
        number = _dictionary_of(data)
        if not number:
            return zstd.decompress(data)
        row = _row(connection, number)
        return zstd.decompress(data, _made(row[0]).as_digested_dict) if row is not None else b""
    except _DAMAGED:
        return b""


def _row(connection: sqlite3.Connection, number: int) -> sqlite3.Row | None:
    try:
        return connection.execute("SELECT data FROM dictionaries WHERE id = ?", (number,)).fetchone()
    except sqlite3.OperationalError:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'dictionaries'").fetchone() is not None:
            raise
        return None  # a store from before dictionaries: the chunk is damaged


def _dictionary_of(data: bytes) -> int:
    return zstd.get_frame_info(data[:_HEAD]).dictionary_id


def learn(connection: sqlite3.Connection, project: str, before: int, chunk: int) -> None:
    """Learn one from the newest chunks, where there are enough. `before`, `chunk`: the last ones before a transaction and in it."""
    if before // _SELDOM == chunk // _SELDOM:
        return
    last = connection.execute("SELECT max(since) FROM dictionaries WHERE project = ? AND since > 0", (project,))
    if chunk < (last.fetchone()[0] or 0) * _GROWTH:
        return
    newest = _newest(connection, project)
    samples = [whole[:_SAMPLE] for _, data in newest if (whole := unpacked(data, connection))]
    if len(samples) < _FROM:
        return
    try:
        made = zstd.train_dict(samples, _BYTES)
    except zstd.ZstdError:  # nothing repeats
        return
    traces = b"".join(sorted({trace for trace, _ in newest}))
    connection.execute(
        "INSERT OR IGNORE INTO dictionaries VALUES (?, ?, ?, ?, ?)",
        (made.dict_id, project, chunk, made.dict_content, traces),
    )


def _newest(connection: sqlite3.Connection, project: str) -> list[tuple[bytes, bytes]]:
    """Trace and data of the newest chunks of a project."""
    found: dict[int, bytes] = {}
    # Chunks have no project: the newest spans say which are its own.
    for row in connection.execute(
        "SELECT chunk, trace_id FROM spans WHERE project = ? AND id > (SELECT max(id) FROM spans) - ? ORDER BY id DESC",
        (project, _NEAR),
    ):
        found.setdefault(row["chunk"], bytes(row["trace_id"]))
        if len(found) == _FROM:
            break
    rows = ((trace, connection.execute(_DATA, (chunk,)).fetchone()) for chunk, trace in found.items())
    return [(trace, row["data"]) for trace, row in rows if row is not None]


_DATA = "SELECT data FROM chunks WHERE id = ?"


class Renewing(NamedTuple):
    """How far packing anew has come: the dictionaries that go, and the last chunk that was looked at."""

    old: tuple[int, ...]
    after: int = 0


def renew(connection: sqlite3.Connection, project: str, going: Renewing | None = None) -> Renewing | None:
    """Pack some chunks anew whose dictionary was learnt from a trace that is gone; returns where to go on, None at the end.

    At the end these dictionaries are gone too. Without any nothing happens. Those that become old on the way stay for the next
    time: chunks that were looked at already may have been packed with them.
    """
    if going is None:
        going = _begun(connection, project)
    if not going.old:
        return None
    pack = packer(connection, project)
    chunks = connection.execute(
        "SELECT id, substr(data, 1, ?) AS head FROM chunks WHERE id > ? ORDER BY id LIMIT ?",
        (_HEAD, going.after, _STEP),
    ).fetchall()
    for row in chunks:
        if _packed_by(row["head"], going.old):
            data = connection.execute(_DATA, (row["id"],)).fetchone()["data"]
            if whole := unpacked(
                data, connection
            ):  # else it stays damaged, as `doctor --verify` says, rather than empty
                connection.execute("UPDATE chunks SET data = ? WHERE id = ?", (pack(whole), row["id"]))
    if len(chunks) == _STEP:
        return going._replace(after=chunks[-1]["id"])
    connection.executemany("DELETE FROM dictionaries WHERE id = ? AND since = 0", [(number,) for number in going.old])
    return None


def _begun(connection: sqlite3.Connection, project: str) -> Renewing:
    rows = connection.execute("SELECT id, since, traces FROM dictionaries WHERE project = ?", (project,)).fetchall()
    old = tuple(row["id"] for row in rows if not (row["since"] > 0 and _are_here(connection, project, row["traces"])))
    if old:
        # From here on nobody packs with them, and if this stops halfway they are found again.
        connection.executemany("UPDATE dictionaries SET since = 0 WHERE id = ?", [(number,) for number in old])
        learn(connection, project, 0, connection.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0])
    return Renewing(old)


def _are_here(connection: sqlite3.Connection, project: str, traces: bytes) -> bool:
    sql = "SELECT 1 FROM spans WHERE project = ? AND trace_id = ? LIMIT 1"
    return all(
        connection.execute(sql, (project, traces[at : at + _TRACE])).fetchone() is not None
        for at in range(0, len(traces), _TRACE)
    )


def _packed_by(head: object, numbers: tuple[int, ...]) -> bool:
    try:
        return isinstance(head, bytes) and _dictionary_of(head) in numbers
    except zstd.ZstdError:
        return False
