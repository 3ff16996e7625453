"""Files that are there whole or not at all, and durable."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from afere.base.errors import StoreFailed

TEMPORARY = ".new-"  # files that were being written when a process died


def write_file(file: Path, data: bytes) -> None:
    """Write a file so that, whatever happens, it is there whole or not at all; durable when this returns."""
    with whole_file(file) as stream:
        stream.write(data)


@contextmanager
def whole_file(file: Path, *, mode: int | None = None, hint: str = "") -> Generator[IO[bytes]]:
    """A file that gets its name once it is whole and on disk; what is there meanwhile stays. StoreFailed where it cannot be.

    `mode`: its permissions, else for its owner alone.
    """
    temporary: str | None = None
    try:
        if not file.parent.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(file.parent.parent)
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            Path(temporary).chmod(mode)
        Path(temporary).replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise StoreFailed(
            f"{file} could not be written: {error.strerror or error}. Nothing of it was kept. "
            f"Check free space{hint} and the permissions of {file.parent}, then try again."
        ) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets a folder be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def alone(lock: Path) -> Generator[None]:
    """One process at a time; the system lets go of the lock when a process dies."""
    with lock.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            _patiently(lambda: msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1))
        else:
            import fcntl

            _patiently(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB))
        yield


def _patiently(lock: Callable[[], Any]) -> None:
    while True:
        try:
            lock()
            return
        except OSError:
            time.sleep(0.2)
