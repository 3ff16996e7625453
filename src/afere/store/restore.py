"""From a backup to a store: everything is unpacked beside its place and compared with the manifest, and only then put there."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, Refused, StoreFailed, StoreIsNewer
from afere.store.backup import DATABASES, FORM, MANIFEST, Entry, Hashing, Manifest, Told
from afere.store.files import TEMPORARY, sync_folder
from afere.store.spans import archive as span_archive

_PATH = re.compile(rf"afere\.db|spans\.db|audit\.head|blobs/[0-9a-f]{{2}}/[0-9a-f]{{62}}|{span_archive.PATH}")
_PIECE = 2**20
_LARGEST = 256 * 2**20  # bytes of a manifest


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. before: where the store that stood there is now."""

    folder: Path
    manifest: Manifest
    before: Path | None

    def to_json(self) -> dict[str, Json]:
        return {
            "folder": str(self.folder), "before": None if self.before is None else str(self.before),
            **checked_json(self.manifest),
        }  # fmt: skip


def checked_json(manifest: Manifest) -> dict[str, Json]:
    """What is said of a backup that is whole."""
    said = manifest.to_json()
    return {
        **{name: said[name] for name in ("made", "head", "layouts", "counts", "damaged")},
        "files": len(manifest.files), "bytes": manifest.bytes,
    }  # fmt: skip


def check(archive: Path, *, told: Told = lambda _what, _bytes: None) -> Manifest:
    """Read all of a backup and compare it with its manifest. StoreFailed says what is wrong with it; nothing is written."""
    with _opened(archive) as tar:
        manifest = _manifest(archive, tar)
        _compare(archive, tar, manifest, None, told)
    return manifest


def restore(archive: Path, folder: Path, *, replace: bool = False, told: Told = lambda _what, _bytes: None) -> Restored:
    """Make the store in `folder` from a backup: where nothing is, or with `replace` in place of the one that is there.

    The one that was there is kept beside it, under the name in the answer. Nothing changes unless the whole backup is sound.
    """
    if not archive.exists():
        raise BadInput(f"There is no file {archive}.")
    there = folder.exists() and any(one.name != ".gitignore" for one in folder.iterdir())
    if there and not replace:
        raise Refused(
            f"{folder} is not empty. Name an empty place with --store, or put this one aside for the backup with --replace."
        )
    if there:
        _require_unused(folder)
    with _opened(archive) as tar:
        manifest = _manifest(archive, tar)
        _require_space(folder, manifest)
        with _fresh(folder) as fresh:
            _compare(archive, tar, manifest, fresh, told)
            (fresh / ".gitignore").write_text("*\n", encoding="ascii")
            for part in (*fresh.rglob("*"), fresh):
                if part.is_dir():
                    sync_folder(part)
            before = _put(fresh, folder, there=there)
    return Restored(folder, manifest, before)


@contextmanager
def _opened(archive: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:") as tar:
            yield tar
    except FileNotFoundError:
        raise BadInput(f"There is no file {archive}.") from None
    except (tarfile.TarError, EOFError) as error:
        raise _not_whole(archive, str(error)) from None
    except OSError as error:
        raise StoreFailed(f"{error.filename or archive}: {error.strerror or error}. Nothing was changed.") from None


def _not_whole(archive: Path, why: str) -> StoreFailed:
    return StoreFailed(f"{archive} is no whole backup ({why}). Nothing was changed. Take another one.")


def _manifest(archive: Path, tar: tarfile.TarFile) -> Manifest:
    """The manifest, and that the archive holds just what it lists. A newer form or layout is refused."""
    members = tar.getmembers()  # walks the whole file, which half of one does not survive
    if not members or members[-1].name != MANIFEST or not members[-1].isreg() or members[-1].size > _LARGEST:
        raise _not_whole(archive, f"{MANIFEST}, which comes last, is missing")
    try:
        said: Any = json.loads(cast("IO[bytes]", tar.extractfile(members[-1])).read())
        _require_known(archive, said)
        files = tuple(Entry(str(one["path"]), int(one["bytes"]), str(one["sha256"])) for one in said["files"])
        seq, newest = said["head"]
        manifest = Manifest(
            str(said["made"]), dict(said["layouts"]), (int(seq), str(newest)), dict(said["counts"]), files,
            tuple(map(str, said["damaged"])), said["form"],
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _not_whole(archive, f"{MANIFEST} does not read") from None
    listed = [(one.path, one.bytes) for one in files]
    held = [(one.name, one.size) for one in members[:-1]]
    wrong = next(
        (one.name for one in members if one.name != MANIFEST and not (one.isreg() and _PATH.fullmatch(one.name))), None
    )
    if wrong is not None:
        raise _not_whole(archive, f"{wrong[:100]!r} has no place in one")
    if listed != held or len({path for path, _ in listed}) != len(listed) or "afere.db" not in dict(listed):
        raise _not_whole(archive, f"{MANIFEST} lists other files than are in it")
    return manifest


def _require_known(archive: Path, said: dict[str, Any]) -> None:
    newer = [f"form {said['form']}"] if said["form"] > FORM else []
    newer += [f"{name} of layout {n}" for name, n in said["layouts"].items() if n > len(DATABASES.get(name, ()))]
    if newer:
        raise StoreIsNewer(
            f"{archive} was written by a newer afere ({', '.join(newer)}). Nothing was changed. "
            "Upgrade with: pip install --upgrade afere"
        )


def _compare(archive: Path, tar: tarfile.TarFile, manifest: Manifest, to: Path | None, told: Told) -> None:
    """Read every file and compare its hash; with `to`, it is written there."""
    for entry in manifest.files:
        stream = Hashing(cast("IO[bytes]", tar.extractfile(entry.path)))
        if to is None:
            while stream.read(_PIECE):
                pass
        else:
            file = to / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as kept:
                shutil.copyfileobj(cast("Any", stream), kept, _PIECE)
                kept.flush()
                os.fsync(kept.fileno())
        if stream.sha256.hexdigest() != entry.sha256:
            raise StoreFailed(
                f"{archive} is damaged: {entry.path} in it no longer has its hash. Nothing was changed. Take another backup."
            )
        told("checks" if to is None else "unpacks", entry.bytes)


def _require_space(folder: Path, manifest: Manifest) -> None:
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(above).free
    if free < manifest.bytes:
        raise StoreFailed(
            f"{above} has {free / 1e6:,.0f} MB free, and the store takes {manifest.bytes / 1e6:,.0f} MB. Nothing was changed. "
            "Free some space, or name another place with --store."
        )


def _require_unused(folder: Path) -> None:
    """Refused while a program has the store open: it would go on writing to the one that is put aside."""
    for name in DATABASES:
        file = folder / name
        if not file.exists():
            continue
        with closing(sqlite3.connect(file, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    raise Refused(
                        f"{file} is in use. Stop the server and other programs first, then restore."
                    ) from None
            except sqlite3.DatabaseError:
                pass  # damaged: a good reason to restore


@contextmanager
def _fresh(folder: Path) -> Generator[Path]:
    """A folder beside the store; what is left of it when the block ends is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put(fresh: Path, folder: Path, *, there: bool) -> Path | None:
    before = None
    if folder.exists():
        mode = folder.stat().st_mode & 0o7777
        if there:
            before = folder.with_name(f"{folder.name}.before-{rfc3339(now_ns())[:19].replace(':', '')}Z")
            folder.rename(before)
        else:
            with suppress(FileNotFoundError):
                (folder / ".gitignore").unlink()
            folder.rmdir()
        fresh.chmod(mode)
    else:
        fresh.chmod(0o755)
    fresh.rename(folder)
    sync_folder(folder.parent)
    return before
