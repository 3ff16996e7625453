"""The cache: answers worth keeping but not worth a worry. It may be deleted at any time, and it never fails its user."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from afere.base.canonical import Json, plain
from afere.base.errors import StoreFailed
from afere.store.database import Database

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SHORT = 2_000  # bytes that are not worth compressing
_ZSTD = b"\x28\xb5\x2f\xfd"  # how what is compressed begins (RFC 8878); no JSON does

_PUT = "INSERT OR REPLACE INTO answers VALUES (?,?,?)"
_ENCODE = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode

_log = logging.getLogger("afere.cache")


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE answers (key TEXT PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID"
    )


class Cache:
    """JSON values by key in `cache.db`; long ones are compressed."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cache.db"
        self._database = self._open()
        self._told = False
        self._soon: dict[str, Json] = {}  # put, and written at the end of this round of the event loop
        self._on: object = None  # that event loop

    def _open(self) -> Database:
        return Database(self.file, (_first,), synchronous="OFF")

    def get(self, key: str) -> Json | None:
        """What was kept under `key`; None if nothing is, or it cannot be read."""
        if key in self._soon:
            return self._soon[key]
        try:
            for row in self._database.single("SELECT value FROM answers WHERE key=?", (key,)):
                packed = bytes(row[0])
                return cast("Json", json.loads(zstd.decompress(packed) if packed.startswith(_ZSTD) else packed))
            return None
        except (StoreFailed, sqlite3.Error, zstd.ZstdError, ValueError) as error:
            self._give_up(error)
            return None

    def put(self, key: str, value: Json) -> None:
        """Keep a value, if the disk lets us."""
        self._write({key: plain(value)})

    def put_soon(self, key: str, value: Json) -> None:
        """Keep a value that is plain JSON, in one transaction with all that is put in this round of the event loop; where
        none runs, at once. Calls that end together then cost one write, and none that has ended is lost to a kill.
        """
        asyncio = sys.modules.get("asyncio")  # it takes long to import, and no loop runs without it
        try:
            loop = asyncio.get_running_loop() if asyncio else None
        except RuntimeError:
            loop = None
        if loop is None:
            self._write({key: value})
            return
        if not self._soon or self._on is not loop:
            self._on = loop
            loop.call_soon(self._write_soon)
        self._soon[key] = value

    def _write_soon(self) -> None:
        values, self._soon = self._soon, {}
        self._write(values)

    def _write(self, values: Mapping[str, Json]) -> None:
        if not values:
            return
        now = int(time.time())
        rows: list[tuple[str, bytes, int]] = []
        for key, value in values.items():
            packed = _ENCODE(value).encode()
            rows.append((key, zstd.compress(packed) if len(packed) > _SHORT else packed, now))
        try:
            if len(rows) == 1:
                self._database.single(_PUT, rows[0], changes=True)
            else:
                with self._database.write() as connection:
                    connection.executemany(_PUT, rows)
        except (StoreFailed, sqlite3.Error) as error:
            self._give_up(error)

    def clear(self) -> None:
        """Forget every answer, so that nothing of it is left in the file."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM answers")
        self._database.scrub()

    def close(self) -> None:
        """Close the file; the cache cannot be used after that."""
        self._write_soon()
        self._database.close()

    def _give_up(self, error: Exception) -> None:
        """Say once that the cache does not work; a damaged file is thrown away, so that the next call starts afresh."""
        if not self._told:
            self._told = True
            _log.warning("The cache of answers is not used: %s", error)
        # SQLite calls a full disk, a lock or a missing permission operational; what else it says means damage.
        cause = error.__cause__
        if not isinstance(error, StoreFailed) or (
            isinstance(cause, sqlite3.DatabaseError) and not isinstance(cause, sqlite3.OperationalError)
        ):
            self._database.close()
            for end in ("", "-wal", "-shm"):
                with suppress(OSError):
                    self.file.with_name(self.file.name + end).unlink(missing_ok=True)
            self._database = self._open()
            self._told = False
