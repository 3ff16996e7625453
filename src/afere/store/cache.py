"""The cache: answers worth keeping but not worth a worry. It may be deleted at any time, and it never fails its user."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import orjson

from afere.base.canonical import Json, plain
from afere.base.errors import StoreFailed
from afere.store.cache_log import Log, left
from afere.store.database import Database, insert_rows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_SHORT = 2_000  # bytes that are not worth compressing
_ZSTD = b"\x28\xb5\x2f\xfd"  # how what is compressed begins (RFC 8878); no JSON does

_PUT = "INSERT OR REPLACE INTO answers VALUES (?,?,?)"
_PUT_MANY = "INSERT OR REPLACE INTO answers (key, value, at)"
_TOGETHER = 1_000  # answers of a log that go into the file in one transaction
_KNOWN = 100_000  # answers of a file at most of which it is remembered in a run that it has them: most of its questions are new
_PLACES = 2**20  # bytes for that: of what is new, one in ten is taken for known at most, and the file is asked
_SOON = 0.02  # seconds for which other processes are taken to have put nothing more
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
        self._wal = str(folder / "cache.db-wal")
        self._database = self._open()
        self._told = False
        self._lock = threading.RLock()  # guards what follows
        self._gathering = 0
        self._log: Log | None = None
        self._fresh: dict[str, bytes] = {}  # what only the log has
        # 1 at the places of all keys in the file, while these are all; None: the file is asked.
        self._known: bytearray | None = None
        self._looked = 0.0  # when it was last seen that it is
        self._state: tuple[int, int] | None = None  # of the file's log when that was so
        _CACHES.add(self)

    def _open(self) -> Database:
        return Database(self.file, (_first,), synchronous="OFF")

    def get(self, key: str) -> Json | None:
        """What was kept under `key`; None if nothing is, or it cannot be read."""
        try:
            packed = self._fresh.get(key)
            if packed is None:
                if self._lacks(key):
                    return None
                found = self._database.single("SELECT value FROM answers WHERE key=?", (key,))
                packed = bytes(found[0][0]) if found else None
            if packed is None:
                return None
            return cast("Json", json.loads(zstd.decompress(packed) if packed.startswith(_ZSTD) else packed))
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
        if self._log is not None and self._logged(key, packed):
            return
        self._fresh.pop(key, None)  # of a log that the file did not take
        try:
            self._database.single(_PUT, (key, packed, int(time.time())), changes=True)
        except (StoreFailed, sqlite3.Error) as error:
            self._give_up(error)

    @contextmanager
    def gathering(self) -> Generator[None]:
        """Inside, answers are put into the file many at once, and until then into a log (see `cache_log`): as durable, at a
        fraction of the price. Other processes see them later. What a killed process left is there from the beginning."""
        with self._lock:
            self._gathering += 1
            if self._gathering == 1:
                self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._gathering -= 1
                if not self._gathering:
                    self._finish()

    def _begin(self) -> None:
        try:
            if not self._database.writable:
                return
            for answers in left(self.file.parent):
                self._keep(answers)
            self._log = Log.begin(self.file.parent)
            self._learn()
        except (StoreFailed, sqlite3.Error, OSError) as error:  # each answer is put by itself
            self._give_up(error if not isinstance(error, OSError) else StoreFailed(str(error)))

    def _learn(self) -> None:
        """Remember which keys the file has, so that it need not be asked for others."""
        self._known = None
        self._database.single(
            "SELECT 1"
        )  # opens the file, and its log: without that it has no state to be held against
        self._state = self._now()
        found = self._database.single("SELECT key FROM answers LIMIT ?", (_KNOWN + 1,))
        if len(found) <= _KNOWN:
            self._known = _marked(bytearray(_PLACES), (row[0] for row in found))

    def _lacks(self, key: str) -> bool:
        """Whether the file is known not to have it."""
        known = self._known
        if known is None or known[hash(key) % _PLACES]:
            return False
        if (now := time.monotonic()) < self._looked + _SOON:
            return True
        if self._state is None or self._state != self._now():
            return False
        self._looked = now
        return True

    def _now(self) -> tuple[int, int] | None:
        """The state of SQLite's log, which every process that changes the file changes."""
        try:
            said = os.stat(self._wal)  # noqa: PTH116  a third of the time of a Path's, for every question of a run
        except OSError:
            return None
        return said.st_mtime_ns, said.st_size

    def _logged(self, key: str, packed: bytes) -> bool:
        """Whether the log has it."""
        with self._lock:
            if self._log is None:
                return False
            try:
                self._log.add(key, packed)
            except OSError:  # what it has goes into the file, which says what is wrong
                self._finish()
                return False
            self._fresh[key] = memoryview(packed).tobytes()  # one of orjson's holds on to a kilobyte, however short
            if len(self._fresh) >= _TOGETHER:
                self._fold_or_leave()
            return True

    def _finish(self) -> None:
        """Put what the log has into the file and remove the log."""
        self._fold_or_leave()
        self._known = None
        if self._log is not None:
            self._log.end()
            self._log = None

    def _fold_or_leave(self) -> None:
        """Put what the log has into the file. Where the file does not take it, the log waits for who gathers next."""
        if self._log is not None and not self._fold():
            self._log.leave()
            self._log = None

    def _fold(self) -> bool:
        """Put what the log has into the file; whether all of it is there."""
        log, fresh = self._log, self._fresh
        if log is None:
            return True
        try:
            self._keep(fresh)
            log.empty()
        except (StoreFailed, sqlite3.Error) as error:
            self._give_up(error)
        except OSError as error:
            self._give_up(StoreFailed(str(error)))
        else:
            self._fresh = {}
            return True
        return False

    def _keep(self, answers: Mapping[str, bytes]) -> None:
        now, known = int(time.time()), self._known if self._state == self._now() else None
        with self._database.write() as connection:
            insert_rows(connection, _PUT_MANY, [(key, packed, now) for key, packed in sorted(answers.items())])
        if known is not None:
            _marked(known, answers)
        self._known, self._state = known, self._now()

    def clear(self) -> None:
        """Forget every answer, so that nothing of it is left in the file."""
        with self._lock:
            for _ in left(self.file.parent):
                pass  # each is removed
            self._fresh, self._known = {}, None
            if self._log is not None:
                self._log.empty()
        with self._database.write() as connection:
            connection.execute("DELETE FROM answers")
        self._database.scrub()

    def close(self) -> None:
        """Close the file; the cache cannot be used after that."""
        self._database.close()

    def _after_fork(self) -> None:
        """In the child: the log, and what waits in it, are the parent's; so may be the lock."""
        self._lock = threading.RLock()
        if self._log is not None:
            self._log.leave()
        self._log, self._fresh, self._known = None, {}, None

    def _give_up(self, error: Exception) -> None:
        """Say once that the cache does not work; a damaged file is thrown away, so that the next call starts afresh."""
        self._known = None
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


def _marked(known: bytearray, keys: Iterable[str]) -> bytearray:
    for key in keys:
        known[hash(key) % _PLACES] = 1
    return known


_CACHES: weakref.WeakSet[Cache] = weakref.WeakSet()


def _after_fork() -> None:
    for cache in list(_CACHES):
        cache._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
