"""The cache: answers worth keeping but not worth a worry. It may be deleted at any time, and it never fails its user."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

import orjson

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
_ENCODE = orjson.dumps

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

    def _open(self) -> Database:
        return Database(self.file, (_first,), synchronous="OFF")

    def get(self, key: str) -> Json | None:
        """What was kept under `key`; None if nothing is, or it cannot be read."""
        try:
            for row in self._database.single("SELECT value FROM answers WHERE key=?", (key,)):
                packed = bytes(row[0])
                return cast("Json", json.loads(zstd.decompress(packed) if packed.startswith(_ZSTD) else packed))
            return None
        except (StoreFailed, sqlite3.Error, zstd.ZstdError, ValueError) as error:
            self._give_up(error)
            return None

    def put(self, key: str, value: Json) -> None:
        """Keep a value, if the disk lets us. Once this returns, no kill of the process loses it; a power cut may."""
        try:
            packed = _ENCODE(value)
        except (TypeError, ValueError):  # numbers beyond 64 bits, halves of surrogate pairs, what has a `to_json`
            packed = json.dumps(plain(value)).encode()
        if len(packed) > _SHORT:
            packed = zstd.compress(packed)
        try:
            self._database.single(_PUT, (key, packed, int(time.time())), changes=True)
        except (StoreFailed, sqlite3.Error) as error:
            self._give_up(error)

    def clear(self) -> None:
        """Forget every answer, so that nothing of it is left in the file."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM answers")
        self._database.scrub()

    def close(self) -> None:
        """Close the file; the cache cannot be used after that."""
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
