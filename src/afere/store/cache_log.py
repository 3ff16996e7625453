"""The log of a cache: answers as they come, appended to a file of this process alone until the cache takes them, many at once.

To append costs a fraction of a transaction. A log is locked while its process lives: what a killed one leaves, the next one reads.
A record is two lengths, then the key and the value; one that is not whole, at the end of a log, was never acknowledged.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

if sys.platform != "win32":
    import fcntl

_LENGTHS = struct.Struct("<II")
_NAME = "cache-{}.log"


class Log:
    """One process's. OSError where the disk does not take what it is given."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self._file, self._descriptor = file, descriptor

    @classmethod
    def begin(cls, folder: Path) -> Log | None:
        """A new one; None where files cannot be locked."""
        if sys.platform == "win32":
            return None
        while True:
            file = folder / _NAME.format(uuid4().hex)
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                with suppress(OSError):
                    file.unlink()
                return None
            if os.fstat(descriptor).st_nlink:  # else another process has taken it for one that was left
                return cls(file, descriptor)
            os.close(descriptor)

    def add(self, key: str, value: bytes) -> None:
        """Append: once this returns, no kill of the process loses it."""
        name = key.encode("utf-8", "surrogatepass")
        record = b"%b%b%b" % (_LENGTHS.pack(len(name), len(value)), name, value)
        if os.write(self._descriptor, record) != len(record):
            raise OSError("the disk is full")

    def empty(self) -> None:
        """The cache has taken all of it."""
        os.ftruncate(self._descriptor, 0)

    def end(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self._file.unlink()
        self.leave()

    def leave(self) -> None:
        """Have no more part in it: it is its parent's, in a fork; else it waits for who reads it next."""
        with suppress(OSError):
            os.close(self._descriptor)


def left(folder: Path) -> Iterator[dict[str, bytes]]:
    """What logs hold whose processes are gone, log by log; each is removed once the next is asked for."""
    if sys.platform == "win32":
        return
    for file in folder.glob(_NAME.format("*")):
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield dict(_records(file.read_bytes()))
            file.unlink()
        except OSError:  # its process lives, or somebody else reads it
            continue
        finally:
            os.close(descriptor)


def _records(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at + _LENGTHS.size <= len(data):
        name, value = _LENGTHS.unpack_from(data, at)
        at += _LENGTHS.size
        if at + name + value > len(data):
            return
        try:
            key = data[at : at + name].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # a power cut has mixed it up: what follows cannot be told apart
            return
        if key:  # a file that a power cut has filled with zeros is records of nothing
            yield key, data[at + name : at + name + value]
        at += name + value
