"""SQLite files: connections, transactions, migrations, and the one place where SQLite's errors become sentences.

Threads share a `Database`; processes share its file. A connection serves one block at a time and then waits in a pool.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from afere.base.errors import BadInput, StoreFailed, StoreIsNewer

Migration = Callable[[sqlite3.Connection], None]
BUSY_SECONDS = 20.0  # how long to wait for another process before giving up
_BEFORE_FORK_SECONDS = 10.0
_VALUES = 4_000  # of one INSERT, where there are many; SQLite itself takes no more than 999 until 3.32


class Database:
    """One SQLite file in WAL mode, brought to the newest schema when first used.

    `migrations[n]` takes the schema from version n to n + 1 (`PRAGMA user_version`) with single statements; it runs in
    one exclusive transaction with the others. `synchronous` is SQLite's: FULL survives a power cut, NORMAL a killed process.
    `page_bytes`: of a file that is new. `cache_pages`: of each connection, which is a `connection`: one may know SQL functions of its own. `before` and `after` are told of the file around its first opening, which may make it.
    """

    def __init__(
        self,
        file: Path,
        migrations: Sequence[Migration],
        *,
        synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL",
        checkpoint_pages: int = 1000,
        cache_pages: int = 500,
        page_bytes: int = 4096,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
        before: Callable[[Path], None] = lambda _: None,
        after: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self.file = file
        self._paths = str(file), str(file.parent)
        self._migrations = migrations
        self._synchronous = synchronous
        self._checkpoint_pages = checkpoint_pages
        self._cache_pages = cache_pages
        self._page_bytes = page_bytes
        self._before, self._after = before, after
        self._class = connection
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._ready = False
        self._new_locks()
        _DATABASES.add(self)
        weakref.finalize(self, _close_all, self._idle)

    def single(self, statement: str, values: Sequence[object] = (), *, changes: bool = False) -> list[sqlite3.Row]:
        """One statement that is a transaction of its own, at a quarter of the price of `read` or `write`; for files of
        which no newer layout is to be feared."""
        if not changes:
            return self._alone(statement, values)
        with self._writing:
            return self._alone(statement, values)

    def _alone(self, statement: str, values: Sequence[object]) -> list[sqlite3.Row]:
        # As in a block of `_borrowed`, which takes as long as the statement itself.
        connection, once = self._taken(), False
        try:
            if connection is None:
                with failing(self.file):
                    connection, once = self._connected()
            return connection.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeEncodeError):
            with failing(self.file):
                raise
        finally:
            self._given_back(connection, once)

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """A connection that sees one unchanging state of the file for the length of the block."""
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """A transaction: all of the block is kept, durably, or (when it raises) nothing of it."""
        # Threads of this process queue at a fair lock; only processes wait for each other inside SQLite, by polling.
        with self._writing, self._borrowed() as connection:
            if not self.writable:
                raise StoreFailed(_read_only(self.file))
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_version(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Rewrite the file and empty its log, so that nothing of what was deleted is left in either.

        Takes the file's size in free disk; writers wait.
        """
        with self._writing, self._borrowed() as connection:
            connection.execute("VACUUM")
            patience = time.monotonic() + BUSY_SECONDS
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > patience:
                    raise StoreFailed(
                        f"{self.file}: what was deleted is still in its log, because another process reads it. "
                        "Stop the other processes, then run the same command again."
                    )
                time.sleep(0.05)

    @property
    def writable(self) -> bool:
        """Whether this process may change the file, or make it."""
        file, folder = self._paths  # as text: making it anew for every transaction costs as much as the questions
        return os.access(folder, os.W_OK) and (os.access(file, os.W_OK) or not os.access(file, os.F_OK))

    def harden(self, *, cache_pages: int) -> None:
        """From now on each change waits until the disk has it: it survives a power cut, and a disk that fails is told."""
        with self._condition:
            self._synchronous, self._cache_pages = "FULL", cache_pages
            _close_all(self._idle)

    def close(self) -> None:
        """Close the connections that are not in use; the others are closed when their block ends."""
        with self._condition:
            self._closed = True
            _close_all(self._idle)

    # connections

    def _new_locks(self) -> None:
        self._condition = threading.Condition()
        self._writing = threading.RLock()
        self._busy: dict[int, int] = {}  # thread -> connections it holds
        self._forking = False

    @contextmanager
    def _borrowed(self) -> Generator[sqlite3.Connection]:
        connection, once = self._taken(), False
        try:
            with failing(self.file):
                if connection is None:
                    connection, once = self._connected()
                yield connection
        finally:
            self._given_back(connection, once)

    def _taken(self) -> sqlite3.Connection | None:
        """A connection that waits; None: there is none, so one is to be made. Either way it counts as in use."""
        me = threading.get_ident()
        with self._condition:
            if self._forking:
                self._condition.wait_for(lambda: not self._forking or me in self._busy)
            if self._closed:
                raise StoreFailed(f"{self.file} was closed in this program. Open it again with afere.open().")
            self._busy[me] = self._busy.get(me, 0) + 1
            return self._idle.pop() if self._idle else None

    def _connected(self) -> tuple[sqlite3.Connection, bool]:
        """A new connection; True: it assumes that nobody writes, and is not to be used again."""
        once = not self.writable
        return self._connect(), once

    def _given_back(self, connection: sqlite3.Connection | None, once: bool) -> None:
        me = threading.get_ident()
        with self._condition:
            self._busy[me] -= 1
            if not self._busy[me]:
                del self._busy[me]
            if connection is not None:
                if self._closed or connection.in_transaction or once:
                    with suppress(sqlite3.Error):
                        connection.close()
                else:
                    self._idle.append(connection)
            if self._forking:
                self._condition.notify_all()

    def _connect(self) -> sqlite3.Connection:
        if not self.writable:
            return self._connect_to_read()
        if not self._ready:
            self._before(self.file)
        connection = _open(self.file, "mode=rwc", self._class)
        try:
            connection.execute(f"PRAGMA page_size={self._page_bytes}")  # heard while the file is new
            _use_wal(connection)
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint={self._checkpoint_pages}")
            connection.execute(f"PRAGMA cache_size={self._cache_pages}")
            if not self._ready:
                self._migrate(connection)
                self._after(self.file)
                self._ready = True
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_to_read(self) -> sqlite3.Connection:
        if not self.file.exists():
            raise StoreFailed(_read_only(self.file))
        log = self.file.with_name(self.file.name + "-wal")
        # Without a log nobody writes, and SQLite can read where it may not even create its shared memory file.
        mode = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        connection = _open(self.file, mode, self._class)
        try:
            version = self._check_version(connection)
        except BaseException:
            connection.close()
            raise
        if version < len(self._migrations):
            connection.close()
            raise StoreFailed(
                f"{self.file} has an older layout (version {version}) and cannot be brought up to date, because it is "
                "read-only. Open it once where it can be written, or make a copy."
            )
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._check_version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for number in range(self._check_version(connection), len(self._migrations)):
                self._migrations[number](connection)
            connection.execute(f"PRAGMA user_version={len(self._migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _check_version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(self._migrations):
            raise StoreIsNewer(
                f"{self.file} was written by a newer afere (layout {version}; this one knows {len(self._migrations)}). "
                "Nothing was read or changed. Upgrade with: pip install --upgrade afere"
            )
        return version

    # fork

    def _before_fork(self) -> None:
        """A child must not inherit a connection (its locks would not be), so wait until none is in use and close them."""
        me = threading.get_ident()
        self._condition.acquire()
        self._forking = True
        self._condition.wait_for(lambda: not (self._busy.keys() - {me}), _BEFORE_FORK_SECONDS)
        _close_all(self._idle)

    def _after_fork_in_parent(self) -> None:
        self._forking = False
        self._condition.notify_all()
        self._condition.release()

    def _after_fork_in_child(self) -> None:
        self._new_locks()


_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()
_held: list[Database] = []


def _before_fork() -> None:
    for database in list(_DATABASES):
        database._before_fork()
        _held.append(database)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._after_fork_in_parent()


def _after_fork_in_child() -> None:
    while _held:
        _held.pop()._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        with suppress(sqlite3.Error):
            connections.pop().close()


def _open(file: Path, mode: str, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(file))}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=factory,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Several processes may make the file at once; SQLite does not wait for the one that is switching, so we do."""
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in ("SQLITE_BUSY", "SQLITE_LOCKED") or time.monotonic() > patience:
                raise
            time.sleep(0.02)


@contextmanager
def failing(file: Path) -> Generator[None]:
    """Turn SQLite's and the operating system's complaints about `file` into errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        sentence = _sentence(error, file)
        if sentence is None:
            raise
        raise StoreFailed(sentence) from error
    except UnicodeEncodeError as error:
        raise BadInput(
            f"Text with half a character (U+{ord(error.object[error.start]):04X}) cannot be kept. Decode it as it was written."
        ) from None


def inserted(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> sqlite3.Row:
    """Insert a row and read it back as it rests. (RETURNING would ask for SQLite 3.35, which some systems lack.)"""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    cursor = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names from our code
    return connection.execute(f"SELECT * FROM {table} WHERE rowid=?", (cursor.lastrowid,)).fetchone()  # noqa: S608 - as above


def insert_rows(
    connection: sqlite3.Connection, insert: str, rows: Sequence[Sequence[object]], *, marks: str = ""
) -> None:
    """Many rows by `INSERT INTO table (names)`, some in each statement; `marks`: where a row's values go. In each, another thread of Python takes its turn and
    has to be waited for: `executemany` would wait at every row.
    """
    if not rows:
        return
    values = len(rows[0])
    marks, first = marks or f"({', '.join('?' * values)})", 0
    most = min(_VALUES, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)) // values
    for some in (most, 64, 16, 4):  # few sizes, so that the same statements serve again
        if 1 < some <= most:
            together = f"{insert} VALUES {', '.join([marks] * some)}"
            while len(rows) - first >= some:
                connection.execute(together, list(chain.from_iterable(rows[first : first + some])))
                first += some
    connection.executemany(f"{insert} VALUES {marks}", rows[first:])


def _sentence(error: sqlite3.Error, file: Path) -> str | None:
    code = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_").partition("_")[0]
    if code in ("BUSY", "LOCKED"):
        return (
            f"{file} was in use by another process for more than {BUSY_SECONDS:.0f} s. "
            "Try again; if it stays so, stop the process that holds it open."
        )
    trouble = {
        "READONLY": _read_only(file),
        "FULL": f"{file}: the disk is full. Nothing of this change was kept. Free some space, then try again.",
        "CORRUPT": f"{file} is damaged ({error}). See what can be saved with: afere doctor",
        "CANTOPEN": f"{file} cannot be opened ({error}). Check that {file.parent} exists and that you may read and write "
        "it, or name another folder with AFERE_STORE or --store.",
        "IOERR": f"{file}: the disk failed ({error}). Check free space and the disk, then run: afere doctor",
    }
    same = {"NOTADB": "CORRUPT", "PERM": "CANTOPEN", "AUTH": "CANTOPEN", "PROTOCOL": "IOERR", "NOLFS": "IOERR"}
    return trouble.get(same.get(code, code))


def _read_only(file: Path) -> str:
    return (
        f"{file} cannot be written: it or its folder is read-only for you. "
        "Change its permissions, or name another folder with AFERE_STORE or --store."
    )
