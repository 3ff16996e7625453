"""A backup: one tar archive with both databases as they were at one moment, the blobs, and a manifest of hashes, which comes last.

Programs and servers go on writing meanwhile: each database is copied from one unchanging view of it. Blobs are copied after
`afere.db` was fixed, so that all that it names are there.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, StoreFailed, StoreIsNewer
from afere.store.audit import Head, last
from afere.store.blobs import Blobs
from afere.store.database import Migration, failing
from afere.store.files import TEMPORARY, whole_file
from afere.store.schema import MIGRATIONS
from afere.store.spans import archive as span_archive
from afere.store.spans.layout import MIGRATIONS as SPAN_MIGRATIONS

FORM = 1  # of the archive
MANIFEST = "manifest.json"
DATABASES: dict[str, tuple[Migration, ...]] = {"afere.db": MIGRATIONS, "spans.db": SPAN_MIGRATIONS}
COUNTED = {"afere.db": ("artifacts", "moves", "scores", "jobs", "audit"), "spans.db": ("spans",)}  # tables
_PAGES = 5_000  # of a database copied between two looks at the clock
_PIECE = 2**20
_DATED = re.compile(r"afere-\d{8}T\d{6}Z\.tar")

Told = Callable[[str, int], None]  # what is done now, and how many bytes more


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup. sha256: 64 hex digits."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. head: number and hash of the newest audit line; damaged: blobs that were so when copied."""

    made: str
    layouts: dict[str, int]
    head: tuple[int, str]
    counts: dict[str, int]
    files: tuple[Entry, ...]
    damaged: tuple[str, ...]
    form: int = FORM

    @property
    def bytes(self) -> int:
        """Of all files, unpacked."""
        return sum(one.bytes for one in self.files)

    def to_json(self) -> dict[str, Json]:
        return cast("dict[str, Json]", json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, and the older ones that went for it."""

    file: Path
    manifest: Manifest
    removed: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Json]:
        said = self.manifest.to_json()
        blobs = sum(one.path.startswith("blobs/") for one in self.manifest.files)
        return {
            "file": str(self.file), "bytes": self.file.stat().st_size, "made": said["made"], "head": said["head"],
            "counts": {**self.manifest.counts, "blobs": blobs}, "damaged": said["damaged"],
            "removed": [str(one) for one in self.removed],
        }  # fmt: skip


def back_up(folder: Path, to: Path, *, keep: int | None = None, told: Told = lambda _what, _bytes: None) -> Backup:
    """Put all of the store in `folder` into the archive `to`; into a new one with the date in its name, if that is a folder.

    It is there whole or not at all. `keep`: of the dated ones in that folder, only so many newest stay.
    """
    if not (folder / "afere.db").is_file():
        raise BadInput(f"{folder} is no store: there is no afere.db in it. Name the store with --store or AFERE_STORE.")
    if keep is not None and (keep < 1 or not to.is_dir()):
        raise BadInput("--keep goes with an existing folder for the backups, and keeps at least 1.")
    made = rfc3339(now_ns())
    if to.is_dir():
        to = to / f"afere-{made[:19].replace('-', '').replace(':', '')}Z.tar"
    if folder.absolute() in to.absolute().parents:
        raise BadInput(f"{to} is inside the store {folder}. A backup belongs elsewhere, best on another disk.")
    with whole_file(to, hint=_HINT) as stream:
        manifest = _Archive(folder, stream, to.parent, told).write(made)
    removed: list[Path] = []
    if keep is not None:
        for old in sorted(one for one in to.parent.iterdir() if _DATED.fullmatch(one.name))[:-keep]:
            old.unlink()
            removed.append(old)
    return Backup(to, manifest, tuple(removed))


_HINT = " (a backup takes the size of the store, and for a moment that of its largest database again)"


class _Archive:
    def __init__(self, folder: Path, stream: IO[bytes], beside: Path, told: Told) -> None:
        self._folder, self._beside, self._told = folder, beside, told
        self._tar = tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115  closed in write
        self._files: list[Entry] = []

    def write(self, made: str) -> Manifest:
        head = Head(self._folder).read()  # before the log: it may only grow meanwhile
        with _views(self._folder) as views, tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=self._beside) as space:
            layouts = {name: self._layout(name, view) for name, view in views.items()}
            counts = {table: n for name, view in views.items() for table, n in self._counts(name, view)}
            newest = last(views["afere.db"])
            for name in list(views):
                copy = Path(space) / name
                self._copy(name, views[name], copy)
                with copy.open("rb") as stream:
                    self._add(name, stream)
                copy.unlink()
        if head is not None:
            with io.BytesIO(f"{head[0]:020} {head[1]}\n".encode("ascii")) as stream:
                self._add("audit.head", stream)
        self._archived()
        damaged = tuple(self._blobs())
        manifest = Manifest(made, layouts, newest, counts, tuple(self._files), damaged)
        text = json.dumps(manifest.to_json(), indent=1).encode()
        self._tar.addfile(_described(MANIFEST, len(text)), io.BytesIO(text))
        self._tar.close()
        return manifest

    def _layout(self, name: str, view: sqlite3.Connection) -> int:
        layout, known = _layout(view), len(DATABASES[name])
        if layout > known:
            raise StoreIsNewer(
                f"{self._folder / name} was written by a newer afere (layout {layout}; this one knows {known}). "
                "Upgrade first: pip install --upgrade afere"
            )
        return layout

    def _counts(self, name: str, view: sqlite3.Connection) -> list[tuple[str, int]]:
        with failing(self._folder / name):
            return [(table, view.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in COUNTED[name]]  # noqa: S608  our own names

    def _copy(self, name: str, view: sqlite3.Connection, to: Path) -> None:
        size, before = view.execute("PRAGMA page_size").fetchone()[0], 0

        def progress(_status: int, left: int, total: int) -> None:
            nonlocal before
            self._told(f"copies {name}", (total - left) * size - before)
            before = (total - left) * size

        source = self._folder / name
        try:
            with closing(sqlite3.connect(to)) as copy:
                copy.execute("PRAGMA synchronous=OFF")
                view.backup(copy, pages=_PAGES, progress=progress)
                problem = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.Error as error:
            damaged = error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
            with failing(source if damaged else to):
                raise
        if problem != "ok":
            raise StoreFailed(
                f"{source} is damaged ({problem}), so no backup of it was made. See what can be saved with: afere doctor"
            )

    def _archived(self) -> None:
        """Add closed days; what left `spans.db` since its view was taken is in both."""
        for file in sorted((self._folder / span_archive.FOLDER).glob("*/*.parquet")):
            path = file.relative_to(self._folder).as_posix()
            if re.fullmatch(span_archive.PATH, path):
                with suppress(FileNotFoundError), file.open("rb") as stream:
                    self._told("copies closed days", self._add(path, stream).bytes)

    def _blobs(self) -> Iterator[str]:
        """Add every blob; the digests of those whose bytes are not what they were kept under."""
        blobs = Blobs(self._folder / "blobs")
        for file in sorted(blobs.folder.glob("??/*")):
            if file.name.startswith(TEMPORARY):
                continue
            digest = file.parent.name + file.name
            try:
                with file.open("rb") as stream:
                    kept = self._add(f"blobs/{file.parent.name}/{file.name}", stream)
            except FileNotFoundError:
                continue
            self._told("copies blobs", kept.bytes)
            if kept.sha256 != digest and not blobs.erased(file):
                yield f"sha256:{digest}"

    def _add(self, path: str, stream: IO[bytes]) -> Entry:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        hashing = Hashing(stream)
        self._tar.addfile(_described(path, size), cast("Any", hashing))
        entry = Entry(path, size, hashing.sha256.hexdigest())
        self._files.append(entry)
        return entry


class Hashing:
    """A stream that is read on the way to somewhere, and its hash."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = _PIECE) -> bytes:
        piece = self._stream.read(size)
        self.sha256.update(piece)
        return piece


def _described(path: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, 0o600, now_ns() // 10**9
    return info


@contextmanager
def _views(folder: Path) -> Generator[dict[str, sqlite3.Connection]]:
    """Both databases, each as it is now for as long as the block lasts; writers go on."""
    views: dict[str, sqlite3.Connection] = {}
    try:
        for name in DATABASES:
            file = folder / name
            if file.exists():
                with failing(file):
                    views[name] = sqlite3.connect(
                        f"file:{quote(str(file))}?mode=ro", uri=True, timeout=20, isolation_level=None
                    )
                    views[name].execute("BEGIN")
                    _layout(views[name])  # the first look fixes what is seen
        yield views
    finally:
        for view in views.values():
            view.close()


def _layout(view: sqlite3.Connection) -> int:
    return int(view.execute("PRAGMA user_version").fetchone()[0])
