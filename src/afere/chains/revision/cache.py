"""Looks at each folder and file once per capture, and keeps what was read: in memory, and on disk beside the store.

An entry holds as long as the modification time and size of its file do. As git does, an entry whose file was changed
within two seconds of being read is checked by content, since a second change could leave both as they were.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from afere.chains.revision import index_store
from afere.chains.revision.file_index import FileIndex, index_source

Stamp = tuple[int, int] | None  # modification time in nanoseconds and size; None: not there
_RACY = 2_000_000_000


@dataclass(slots=True)
class _Kept:
    stamp: Stamp
    read_at: int
    digest: str
    index: FileIndex
    first: FileIndex  # as this process read it first: what is loaded, if nothing was reloaded since


_INDEXES: dict[str, _Kept] = {}
_DIGESTS: dict[str, tuple[Stamp, int, str]] = {}
_LISTINGS: dict[str, tuple[Stamp, int, frozenset[str]]] = {}


def stamp_of(path: str) -> Stamp:
    """The stamp of a file or folder."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (a Path costs twice the call)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=8192)
def resolved(path: str) -> str:
    """A path without links, with forward slashes."""
    return Path(path).resolve().as_posix()


def is_racy(stamp: Stamp, read_at: int) -> bool:
    """Whether a file read at that time may have changed since without its stamp showing it."""
    return stamp is not None and read_at - stamp[0] < _RACY


def read_bytes(path: str) -> bytes:
    """The content of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def content_digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _stored(file: str) -> _Kept | None:
    """What another process kept on disk."""
    found = index_store.load(file)
    if found is None:
        return None
    index = index_store.decoded(found["index"])
    return _Kept((found["stamp"][0], found["stamp"][1]), found["read_at"], found["digest"], index, index)


def _read(file: str, stamp: Stamp, kept: _Kept | None) -> _Kept:
    """Read a file whose stamp does not vouch for it; parse it only if its content is new."""
    read_at = time.time_ns()
    data = read_bytes(file)
    digest = content_digest(data)
    index = kept.index if kept is not None and kept.digest == digest else index_source(decode(data))
    if stamp is not None and (kept is None or kept.index is not index or not is_racy(stamp, read_at)):
        index_store.save(file, stamp, read_at, digest, index)
    return _Kept(stamp, read_at, digest, index, kept.first if kept else index)


@dataclass(slots=True)
class Files:
    """What one capture has seen of the disk. `stamps` are all it looked at: while they hold, so does the result."""

    stamps: dict[str, Stamp] = field(default_factory=dict[str, Stamp])
    _indexes: dict[str, FileIndex] = field(default_factory=dict[str, FileIndex])

    def stamp(self, path: str) -> Stamp:
        if path not in self.stamps:
            self.stamps[path] = stamp_of(path)
        return self.stamps[path]

    def listing(self, folder: str) -> frozenset[str]:
        """The names in a folder; empty if there is no such folder."""
        stamp = self.stamp(folder)
        kept = _LISTINGS.get(folder)
        if kept is not None and kept[0] == stamp and not is_racy(stamp, kept[1]):
            return kept[2]
        try:
            names = frozenset(os.listdir(folder)) if stamp else frozenset[str]()  # noqa: PTH208
        except OSError:
            names = frozenset[str]()
        _LISTINGS[folder] = (stamp, time.time_ns(), names)
        return names

    def index(self, file: str) -> FileIndex:
        """The index of a source file."""
        if file in self._indexes:
            return self._indexes[file]
        stamp = self.stamp(file)
        kept = _INDEXES.get(file) or _stored(file)
        if kept is None or kept.stamp != stamp or is_racy(stamp, kept.read_at):
            kept = _read(file, stamp, kept)
        _INDEXES[file] = kept
        self._indexes[file] = kept.index
        return kept.index

    def digest(self, file: str) -> str:
        """The digest of a file's bytes."""
        stamp = self.stamp(file)
        kept = _DIGESTS.get(file)
        if kept is not None and kept[0] == stamp and not is_racy(stamp, kept[1]):
            return kept[2]
        read_at = time.time_ns()
        found = content_digest(read_bytes(file))
        _DIGESTS[file] = (stamp, read_at, found)
        return found


def first_index(file: str) -> FileIndex | None:
    """The index of a file as this process read it first."""
    kept = _INDEXES.get(file)
    return kept.first if kept is not None else None


def decode(data: bytes) -> str:
    """The text of a Python file: its declared encoding, else UTF-8, with every line end as one."""
    import io
    import tokenize

    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        text = data.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
