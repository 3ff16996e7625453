"""A store in trouble names the file and the remedy, and never keeps half of anything."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import afere.store
from afere.base.errors import NotFound, StoreFailed, StoreIsNewer
from afere.store import health


def run(code: str, *arguments: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    if before and shutil.which(before[0]) is None:
        pytest.skip(f"there is no {before[0]} here")
    return subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that other users may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


NOBODY = ("setpriv", "--reuid=65534", "--clear-groups") if os.geteuid() == 0 else ()


def test_a_read_only_store_is_read_and_says_why_it_cannot_be_written(reachable: Path) -> None:
    if run("pass", before=NOBODY).returncode:
        pytest.skip("root may write everywhere, and no other user can run this Python")
    folder = reachable / "store"
    with afere.store.open(folder, project="p") as session:
        session.put("prompt", "answer", "Hi")
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = run(
        """
        import sys, afere.store
        from afere.base.errors import StoreFailed
        session = afere.store.open(sys.argv[1], project="p")
        print(session.get("answer").content, session.verify())
        session.cache.put("key", 1)
        print(session.cache.get("key"))
        try:
            session.put("prompt", "answer", "more")
        except StoreFailed as error:
            print(error)
        try:
            session.put_blob(b"more")
        except StoreFailed as error:
            print(error)
        try:
            afere.store.open(sys.argv[1] + "/inner", project="p")
        except StoreFailed as error:
            print(error)
        """,
        folder, before=NOBODY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["Hi []", "None"]
    assert "afere.db cannot be written" in lines[2]
    assert "--store" in lines[2]
    assert "blobs" in lines[3]
    assert "inner cannot be made" in lines[4]


def small_disk() -> tuple[str, ...] | None:
    """A command that runs another on a disk of its own at /mnt, if this machine lets us."""
    if shutil.which("unshare") is None:
        return None
    command = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=600k none /mnt && exec "$@"', "sh")
    return command if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0 else None


def test_a_full_disk_keeps_what_was_there_and_nothing_of_what_did_not_fit() -> None:
    disk = small_disk()
    if disk is None:
        pytest.skip("no disk of our own can be mounted here")
    done = run(
        """
        import json, os, afere.store
        from afere.base.errors import StoreFailed
        from afere.base.score import Score
        session = afere.store.open("/mnt/store", project="p")
        kept, errors = [], []
        for i in range(2000):
            try:
                kept.append(session.put("prompt", "answer", {"i": i, "text": os.urandom(2000).hex()}).hash)
            except StoreFailed as error:
                errors.append(str(error))
                break
        try:
            session.put_blob(b"x" * 2_000_000)
        except StoreFailed as error:
            errors.append(str(error))
        blobs = [str(path) for path in session.folder.glob("blobs/**/*") if path.is_file()]
        session.close()
        session = afere.store.open("/mnt/store", project="p")
        page = session.find("artifacts", limit=5000)
        print(json.dumps([len(kept), kept == [a.hash for a in reversed(page.items)], errors, blobs, session.verify()]))
        """,
        before=disk,
    )
    assert done.returncode == 0, done.stderr
    count, same, errors, blobs, problems = json.loads(done.stdout)
    assert count > 5
    assert same
    assert "afere.db" in errors[0]
    assert "disk" in errors[0]
    assert "Nothing of it was kept" in errors[1]
    assert blobs == []
    assert problems == []


def damage(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff" * (file.stat().st_size - 100))


def test_a_damaged_database_names_itself_and_the_doctor(project: Path) -> None:
    with afere.store.open() as session:
        session.put("prompt", "answer", "Hi")
    file = project / ".afere" / "afere.db"
    whole = file.read_bytes()
    damage(file)
    with pytest.raises(StoreFailed, match=r"afere\.db is damaged.*afere doctor"):
        afere.store.open().find("artifacts")
    file.write_bytes(b"This is not a database at all." * 100)
    with pytest.raises(StoreFailed, match=r"afere\.db is damaged.*afere doctor"):
        afere.store.open()
    file.write_bytes(whole)
    assert afere.store.open().get("answer").content == "Hi"


def test_a_damaged_or_missing_blob_names_its_file(project: Path) -> None:
    session = afere.store.open()
    digest = session.put_blob(b"precious")
    file = project / ".afere" / "blobs" / digest[7:9] / digest[9:]
    file.write_bytes(b"other")
    with pytest.raises(StoreFailed, match=str(file)):
        session.blob(digest)
    assert session.put_blob(b"precious") == digest  # made again, it is whole again
    assert session.blob(digest) == b"precious"
    file.unlink()
    with pytest.raises(NotFound, match=str(file)):
        session.blob(digest)


def test_a_store_of_a_newer_version_is_neither_read_nor_written(project: Path) -> None:
    old = afere.store.open()
    old.put("prompt", "answer", "Hi")
    connection = sqlite3.connect(project / ".afere" / "afere.db")
    connection.execute("PRAGMA user_version=999")
    connection.close()
    with pytest.raises(StoreIsNewer, match="pip install --upgrade afere"):
        afere.store.open()
    with pytest.raises(StoreIsNewer):  # a process that had it open stops writing
        old.put("prompt", "answer", "more")


def test_a_damaged_cache_is_thrown_away_without_a_word_to_the_caller(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with afere.store.open() as session:
        session.cache.put("key", {"answer": "Hi"})
        assert session.cache.get("key") == {"answer": "Hi"}
    without_table = project / "other.db"
    with closing(sqlite3.connect(without_table)) as connection:
        connection.execute("PRAGMA user_version=1")
        connection.execute("CREATE TABLE other (x)")
    for spoil in (b"nonsense" * 1000, b"", without_table.read_bytes()):
        (project / ".afere" / "cache.db").write_bytes(spoil)
        with afere.store.open() as session:
            assert session.cache.get("key") is None
            session.cache.put("key", 2)
            assert session.cache.get("key") == 2
    assert "cache" in caplog.text
    for file in (project / ".afere").glob("cache.db*"):
        file.unlink()
    with afere.store.open() as session:
        assert session.cache.get("key") is None


def test_a_store_that_stays_locked_says_so_and_keeps_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afere.store.database.BUSY_SECONDS", 0.1)
    session = afere.store.open()
    session.put("prompt", "answer", "Hi")
    other = sqlite3.connect(project / ".afere" / "afere.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailed, match=r"afere\.db was in use by another process"):
        session.put("prompt", "answer", "more")
    assert session.get("answer").content == "Hi"  # readers do not wait
    other.execute("ROLLBACK")
    other.close()
    assert session.put("prompt", "answer", "more").version == 2


def test_a_folder_may_have_any_name(project: Path) -> None:
    with afere.store.open(project / "my store #1? 100%25 ü") as session:
        session.put("prompt", "answer", "Hi", blob=b"x")
    assert (session.folder / "afere.db").exists()


def test_a_store_used_after_closing_says_so(project: Path) -> None:
    session = afere.store.open()
    session.close()
    with pytest.raises(StoreFailed, match=r"afere\.open"):
        session.find("artifacts")


def test_a_store_that_cannot_be_made_is_not_said_to_be_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.os, "access", lambda *_: False)
    (found,) = health.check_store(tmp_path / "one" / ".afere", "p")
    assert (found.severity, found.what) == ("error", f"{tmp_path} is read-only for you.")


def test_a_full_disk_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spans.db").write_bytes(b"")

    def full(_: Path) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(health, "_read_only", full)
    found = next(one for one in health.check_store(tmp_path, "p") if one.about == "spans.db")
    assert "cannot be read now" in found.what and "aside" not in found.action
