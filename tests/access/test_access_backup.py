"""A backup is made while a server is written to, holds all that was acknowledged, and is put back only if it is whole."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_process import ServerProcess

import afere.store
from afere.base.errors import AfereError, BadInput, Refused, StoreFailed, StoreIsNewer
from afere.base.score import Score
from afere.base.span import Span
from afere.store import Session
from afere.store.backup import back_up
from afere.store.restore import check, restore


def _afere(root: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "afere.cli.main", *arguments, "--json"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def _round(session: Session, n: int) -> tuple[str, str, str]:
    """Something of each kind, acknowledged: trace id, score id, ref."""
    trace, score = f"{n + 1:032x}", Score(f"{n + 1:032x}", "good", n, "scorer:own")
    session.spans.write([Span(trace, f"{n + 1:016x}", "op", n + 1, end=n + 2, status="ok")])
    session.append(score)
    return trace, score.id, session.put("prompt", "answer", f"text {n}", blob=f"blob {n} ".encode() * 300).ref


@pytest.fixture
def filled(project: Path) -> Path:
    """A store with something of each kind."""
    with afere.store.open(project / ".afere", project="handbook") as session:
        for n in range(5):
            _round(session, n)
        session.actors.create_key("app", project="handbook", scopes=["write"])
    return project / ".afere"


def test_a_backup_during_writing_holds_all_that_was_acknowledged_before(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with afere.store.open(project / ".afere", project="handbook") as session:
        key = session.actors.create_key("app", project="handbook", scopes=["write"])[0]
    server = ServerProcess(project)
    monkeypatch.setenv("AFERE_KEY", key)
    acknowledged, stop = list[tuple[str, str, str]](), threading.Event()

    def write() -> None:
        with afere.store.open(server.url) as remote:
            while not stop.is_set():
                acknowledged.append(_round(remote, len(acknowledged)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(acknowledged) < 20:
            writer.join(0.02)
        before = len(acknowledged)
        status, made, problem = _afere(project, "backup", "../backup.tar")
        assert (status, problem) == (0, "") and made["head"][0] > 20
        while len(acknowledged) < before + 5:  # it goes on meanwhile and after
            writer.join(0.02)
        assert _afere(project, "doctor", "--verify")[0] == 0
        in_use = _afere(project, "restore", "../backup.tar", "--replace")
        assert in_use[0] == 2 and "is in use" in in_use[2]
    finally:
        stop.set()
        writer.join()
        server.kill()
    monkeypatch.delenv("AFERE_KEY")
    elsewhere = project.parent / "elsewhere" / "store"
    status, done, problem = _afere(project, "restore", "../backup.tar", "--store", str(elsewhere))
    assert (status, problem, done["before"]) == (0, "", None)
    with afere.store.open(elsewhere, project="handbook") as session:
        for trace, score, ref in acknowledged[:before]:
            assert session.spans.trace(trace) is not None
            assert session.find("scores", target=trace).items[0].id == score
            assert len(session.blob(str(session.get(ref).blob))) > 1000
        assert session.verify(made["head"][1]) == [] and session.actors.by_key(key) is not None
        assert _round(session, 10**6)[2].startswith("prompt:answer@")  # it can be written
    status, found, _ = _afere(project, "doctor", "--verify", "--store", str(elsewhere))
    assert status == 0 and found["ok"]
    status, done, _ = _afere(project, "restore", "../backup.tar", "--replace")
    assert status == 0 and Path(done["before"], "afere.db").is_file() and _afere(project, "doctor", "--verify")[0] == 0


def _names(folder: Path) -> list[str]:
    names = (str(one.relative_to(folder)) for one in folder.rglob("*"))
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))  # SQLite's own, while somebody looks


def _changed(archive: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The archive with another manifest."""
    to = archive.with_name("changed.tar")
    with tarfile.open(archive) as old, tarfile.open(to, "w") as new:
        for member in old.getmembers():
            data = old.extractfile(member)
            assert data is not None
            body = data.read()
            if member.name == "manifest.json":
                said = json.loads(body)
                change(said)
                body = json.dumps(said).encode()
                member.size = len(body)
            new.addfile(member, io.BytesIO(body))
    return to


def test_what_is_no_whole_backup_changes_nothing_and_says_why(filled: Path, tmp_path: Path) -> None:
    archive = back_up(filled, tmp_path / "b.tar").file
    data = archive.read_bytes()
    half, flipped = tmp_path / "half.tar", tmp_path / "flipped.tar"
    half.write_bytes(data[: len(data) // 2])
    at = data.index(b"blob 3 ")
    flipped.write_bytes(data[:at] + b"B" + data[at + 1 :])
    (tmp_path / "other.tar").write_bytes(b"no archive at all" * 100)

    def newer(said: dict[str, Any]) -> None:
        said["layouts"]["spans.db"] += 1

    def fewer(said: dict[str, Any]) -> None:
        del said["files"][-1]

    wrong: list[tuple[Path, type[AfereError], str]] = [
        (half, StoreFailed, "no whole backup"),
        (flipped, StoreFailed, "blobs/.* no longer has its hash"),
        (tmp_path / "other.tar", StoreFailed, "no whole backup"),
        (tmp_path / "absent.tar", BadInput, "There is no file"),
        (_changed(archive, newer), StoreIsNewer, "newer afere .spans.db of layout"),
    ]
    before = _names(filled.parent)
    for file, error, words in wrong:
        for folder, replace in ((filled, True), (filled.parent / "new", False)):
            with pytest.raises(error, match=words):
                restore(file, folder, replace=replace)
        with pytest.raises(error, match=words):
            check(file)
    with pytest.raises(StoreFailed, match="lists other files"):
        check(_changed(archive, fewer))
    assert _names(filled.parent) == before
    with pytest.raises(Refused, match="not empty"):
        restore(archive, filled)
    assert check(archive).counts["scores"] == 5


def test_an_archive_cannot_write_outside_the_store(filled: Path, tmp_path: Path) -> None:
    archive = back_up(filled, tmp_path / "b.tar").file
    for kind, name in ((tarfile.REGTYPE, "../evil"), (tarfile.REGTYPE, "/tmp/evil"), (tarfile.SYMTYPE, "spans.db")):
        evil = tmp_path / "evil.tar"
        with tarfile.open(archive) as old, tarfile.open(evil, "w") as new:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            new.addfile(info)
            for member in old.getmembers():
                new.addfile(member, old.extractfile(member))
        with pytest.raises(StoreFailed, match="has no place in one"):
            restore(evil, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_a_backup_goes_unseen(filled: Path, tmp_path: Path, data: st.DataObject) -> None:
    archive = tmp_path / "b.tar"
    if not archive.exists():
        back_up(filled, archive)
    whole = archive.read_bytes()
    manifest = check(archive)
    used = whole.rindex(b"\n}") + 2  # after it there is only what fills the archive up
    hurt = bytearray(whole)
    at = data.draw(st.integers(0, used - 1))
    hurt[at] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "hurt.tar").write_bytes(hurt)
    try:
        seen = check(tmp_path / "hurt.tar")
    except AfereError:
        return
    # What can be changed unseen are words about the files (a time, a count, an owner), and the filling between them.
    assert seen.files == manifest.files


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from afere.base.errors import AfereError
from afere.store.backup import back_up
from afere.store.restore import restore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    if sys.argv[1] == "backup":
        back_up(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        restore(Path(sys.argv[2]), Path(sys.argv[3]))
except AfereError as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing_behind(filled: Path, tmp_path: Path) -> None:
    archive = back_up(filled, tmp_path / "b.tar").file
    (tmp_path / "to").mkdir()
    for job in (["backup", filled, tmp_path / "to" / "c.tar"], ["restore", archive, tmp_path / "to" / "store"]):
        done = subprocess.run(
            [sys.executable, "-c", _LIMITED, *map(str, job), "20000"], capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("StoreFailed"), done.stderr
        assert _names(tmp_path / "to") == []


def test_a_store_that_does_not_fit_is_refused_before_it_is_unpacked(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = back_up(filled, tmp_path / "b.tar").file
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)

    def little(_: Path) -> object:
        return usage

    monkeypatch.setattr(shutil, "disk_usage", little)
    with pytest.raises(StoreFailed, match="MB free, and the store takes"):
        restore(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_dated_backups_take_turns(filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in ("20260101", "20260102", "20260103"):
        (folder / f"afere-{day}T000000Z.tar").write_bytes(b"old")
    (folder / "afere-mine.tar").write_bytes(b"not ours")
    made = back_up(filled, folder, keep=2)
    assert sorted(one.name for one in folder.iterdir()) == sorted(
        ["afere-20260103T000000Z.tar", "afere-mine.tar", made.file.name]
    )
    assert check(made.file).counts["artifacts"] == 5 and made.file.stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="inside the store"):
        back_up(filled, filled / "b.tar")
    with pytest.raises(BadInput, match="is no store"):
        back_up(tmp_path / "backups", tmp_path / "c.tar")


def test_a_damaged_blob_is_named_and_all_else_is_backed_up(filled: Path, tmp_path: Path) -> None:
    blob = next(file for file in (filled / "blobs").glob("??/*") if b"blob 3 " in file.read_bytes())
    blob.write_bytes(b"damaged")
    status, made, _ = _afere(filled.parent, "backup", str(tmp_path / "b.tar"))
    assert status == 4 and made["damaged"] == [f"sha256:{blob.parent.name}{blob.name}"]
    assert check(tmp_path / "b.tar").counts["artifacts"] == 5
    status, found, _ = _afere(filled.parent, "doctor", "--verify")
    assert status == 4 and any(blob.name in one["what"] for one in found["findings"] if one["severity"] == "error")


def test_verify_finds_a_tie_that_is_gone(filled: Path) -> None:
    with sqlite3.connect(filled / "spans.db") as connection:
        connection.execute("DELETE FROM chunks WHERE id = 2")
    assert _afere(filled.parent, "doctor")[0] == 0
    status, found, _ = _afere(filled.parent, "doctor", "--verify")
    assert status == 4 and any("lost its contents" in one["what"] for one in found["findings"])


def test_a_damaged_database_is_not_backed_up_and_verify_says_so(filled: Path, tmp_path: Path) -> None:
    data = bytearray((filled / "afere.db").read_bytes())
    data[4096 : len(data)] = b"x" * (len(data) - 4096)
    (filled / "afere.db").write_bytes(data)
    with pytest.raises(StoreFailed, match=r"afere\.db is damaged"):
        back_up(filled, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()
    assert _afere(filled.parent, "doctor", "--verify")[0] == 4
