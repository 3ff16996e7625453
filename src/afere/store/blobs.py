"""Content-addressed files: large payloads, found by the digest of what is in them."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from afere.base.canonical import digest
from afere.base.errors import BadInput, NotFound, StoreFailed

TEMPORARY = ".new-"  # files that were being written when a process died
_TOMBSTONE = b"afere: what was here was erased\n"


class Blobs:
    """`blobs/ab/cdef...` holds the bytes whose sha256 is `abcdef...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest_: str) -> Path:
        """Where a blob rests."""
        hex_ = digest_.removeprefix("sha256:")
        if len(hex_) != 64 or any(c not in "0123456789abcdef" for c in hex_):
            raise BadInput(f"{digest_!r} is not a digest: write sha256: and 64 hex digits.")
        return self.folder / hex_[:2] / hex_[2:]

    def put(self, data: bytes) -> str:
        """Keep the bytes, durably, and return their digest. What is there already costs a read; damage is healed."""
        name = digest(data)
        file = self.path(name)
        try:
            if digest(file.read_bytes()) == name:
                return name
        except OSError:
            pass
        write_file(file, data)
        return name

    def get(self, digest_: str) -> bytes:
        """The bytes, checked against their digest."""
        file = self.path(digest_)
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"{file} is not there: the blob {digest_} was deleted or never kept here.") from None
        except OSError as error:
            raise StoreFailed(f"{file} cannot be read: {error.strerror}. Check its permissions.") from None
        if data == _TOMBSTONE:
            raise NotFound(f"The blob {digest_} was erased. The audit log says when: afere audit verify")
        if digest(data) != "sha256:" + digest_.removeprefix("sha256:"):
            raise StoreFailed(
                f"{file} is damaged: its bytes no longer have the digest they were kept under. "
                "Restore it from a backup, or make it again; see all damage with: afere doctor"
            )
        return data

    def bury(self, digest_: str) -> None:
        """Put a tombstone in the place of a blob: what its digest was stays known, what was in it does not."""
        write_file(self.path(digest_), _TOMBSTONE)

    def leftovers(self) -> list[Path]:
        """Files that a process was writing when it died."""
        return sorted(self.folder.glob(f"*/{TEMPORARY}*"))


def write_file(file: Path, data: bytes) -> None:
    """Write a file so that, whatever happens, it is there whole or not at all; durable when this returns."""
    temporary: str | None = None
    try:
        if not file.parent.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(file.parent.parent)
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        raise StoreFailed(
            f"{file} could not be written: {error.strerror}. Nothing of it was kept. "
            f"Check free space and the permissions of {file.parent}, then try again."
        ) from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system lets a folder be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
