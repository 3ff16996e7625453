"""Content-addressed files: large payloads, found by the digest of what is in them."""

from __future__ import annotations

import re
import sqlite3
import threading
from pathlib import Path

from afere.base.canonical import digest
from afere.base.errors import BadInput, NotFound, Refused, StoreFailed
from afere.store.files import TEMPORARY, write_file

_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_TOMBSTONE = b"afere: what was here was erased\n"


class Blobs:
    """`blobs/ab/cdef...` holds the bytes whose sha256 is `abcdef...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._named: dict[str, Named] = {}

    def named_in(self, project: str) -> Named:
        """The digests that a project names."""
        return self._named.setdefault(project, Named(project))

    def path(self, digest_: str) -> Path:
        """Where a blob rests."""
        hex_ = digest_.removeprefix("sha256:")
        if len(hex_) != 64 or any(c not in "0123456789abcdef" for c in hex_):
            raise BadInput(f"{digest_!r} is not a digest: write sha256: and 64 hex digits.")
        return self.folder / hex_[:2] / hex_[2:]

    def put(self, data: bytes, project: str | None = None) -> str:
        """Keep the bytes, durably, and return their digest. What is there already costs a read; damage is healed.

        With `project`, that it had the bytes is noted: so it may name what another project put before it.
        """
        name = digest(data)
        if project is not None and not (note := self._note(project, name)).exists():
            write_file(note, b"")
        file = self.path(name)
        try:
            if digest(file.read_bytes()) == name:
                return name
        except OSError:
            pass
        write_file(file, data)
        return name

    def _note(self, project: str, digest_: str) -> Path:
        return self.folder / "put" / project / digest_.removeprefix("sha256:")

    def require_own(self, project: str, said: str, connection: sqlite3.Connection) -> None:
        """Refused where a text names a blob that this project neither put nor names already: naming it would open it."""
        for hex_ in set(_DIGEST.findall(said)):
            if not self.path(hex_).exists() or self._note(project, hex_).exists():
                continue
            try:
                self.named_in(project).require(hex_, connection)
            except NotFound:
                raise Refused(
                    f"sha256:{hex_} is a blob that project {project!r} has not put; put its bytes first."
                ) from None

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

    def erased(self, file: Path) -> bool:
        """Whether the file is what was put in the place of a blob."""
        return file.read_bytes() == _TOMBSTONE

    def bury(self, digest_: str) -> None:
        """Put a tombstone in the place of a blob: what its digest was stays known, what was in it does not."""
        write_file(self.path(digest_), _TOMBSTONE)

    def leftovers(self) -> list[Path]:
        """Files that a process was writing when it died."""
        return sorted(self.folder.glob(f"*/{TEMPORARY}*"))


class Named:
    """The digests that artifacts and scores of one project name; it reads what came since it was asked last."""

    _SOURCES = (("artifacts", "id", "coalesce(blob, '') || content"), ("scores", "seq", "data"))

    def __init__(self, project: str) -> None:
        self._project = project
        self._digests: set[str] = set()
        self._read = {table: 0 for table, _, _ in self._SOURCES}
        self._lock = threading.Lock()

    def require(self, digest_: str, connection: sqlite3.Connection) -> None:
        """NotFound, unless the project names this digest."""
        hex_ = digest_.removeprefix("sha256:")
        with self._lock:
            if hex_ not in self._digests:
                for table, key, text in self._SOURCES:
                    rows = connection.execute(
                        f"SELECT {key}, {text} FROM {table} WHERE project=? AND {key}>? ORDER BY {key}",  # noqa: S608  our own names
                        (self._project, self._read[table]),
                    )
                    for self._read[table], said in rows:
                        self._digests.update(_DIGEST.findall(said))
            if hex_ not in self._digests:
                raise NotFound(f"Nothing in project {self._project!r} names the blob {digest_}.")
