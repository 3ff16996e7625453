"""Several processes in one folder, some of them killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import afere.store
from afere.base.errors import Refused
from afere.base.score import Score

WRITER = """
    import itertools, json, sys
    import afere.store
    from afere.base.score import Score
    folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    session = afere.store.open(folder, project="p")
    print("ready", flush=True)
    job = session.job("work", name)
    for i in itertools.count() if count < 0 else range(count):
        shared = session.put("prompt", "shared", {"i": i}, blob=f"{i}".encode() * 50)
        own = session.put("prompt", name, {"i": i})
        session.alias(f"prompt:{name}@production", own.hash, why="newer")
        session.append(Score(own.ref, "n", i, "person:ana", id=f"{name}-{i}"), Score(own.ref, "m", i, "scorer:x"))
        job.put({f"a{i}": i, f"b{i}": i})
        print(json.dumps([i, shared.hash, own.version, shared.blob]), flush=True)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def acknowledged(process: subprocess.Popen[str]) -> Iterator[list]:
    """What the writer said was kept, without a last line cut short by its death."""
    assert process.stdout is not None
    for line in process.stdout.read().splitlines(keepends=True):
        if line.startswith("[") and line.endswith("\n"):
            yield json.loads(line)


def test_processes_that_write_at_once_lose_nothing_and_number_without_gaps(project: Path) -> None:
    folder = project / "store"
    writers = [start(WRITER, folder, f"w{n}", 15) for n in range(4)]
    said = [list(acknowledged(writer)) for writer in writers]
    assert [writer.wait() for writer in writers] == [0] * 4
    session = afere.store.open(folder, project="p")
    assert all(len(lines) == 15 for lines in said)
    assert {artifact.version for artifact in session.find("artifacts", name="shared", limit=100).items} == set(
        range(1, 16)
    )
    for n, lines in enumerate(said):
        assert [version for _, _, version, _ in lines] == list(range(1, 16))
        assert session.get(f"w{n}@production").version == 15
    assert len(session.find("scores", limit=500).items) == 4 * 15 * 2
    assert session.verify() == []
    seqs = [change.seq for change in session.follow()]
    assert seqs == sorted(set(seqs))


def test_what_was_acknowledged_survives_kill_9(project: Path) -> None:
    folder = project / "store"
    chance = random.Random(7)
    kept: dict[str, list[list]] = {}
    for round_ in range(10):
        writer = start(WRITER, folder, f"w{round_}", -1)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        seen = [json.loads(writer.stdout.readline()) for _ in range(chance.randrange(5))]
        time.sleep(chance.uniform(0, 0.03))
        writer.kill()
        kept[f"w{round_}"] = seen + list(acknowledged(writer))
        writer.wait()
        session = afere.store.open(folder, project="p")
        assert session.verify() == []
        for name, lines in kept.items():
            for i, shared, version, blob in lines:
                assert session.get(shared).content == {"i": i}
                assert session.blob(blob) == f"{i}".encode() * 50
                assert session.get(f"{name}@{version}").content == {"i": i}
                assert session.find("scores", target=f"prompt:{name}@{version}").items
            job = session.job("work", name)  # its process is dead, so it may be taken over
            items = job.items()
            assert all(items[f"a{i}"] == items[f"b{i}"] == i for i, *_ in lines)
            assert {key[1:] for key in items if key[0] == "a"} == {key[1:] for key in items if key[0] == "b"}
            job.end("stopped")
        session.close()
    assert sum(map(len, kept.values())) >= 10


def test_a_job_is_done_by_one_living_process_at_a_time(project: Path) -> None:
    folder = project / "store"
    worker = start(
        """
        import sys, time, afere.store
        afere.store.open(sys.argv[1], project="p").job("eval", "qa").put({"row 1": 1})
        print("working", flush=True)
        time.sleep(60)
        """,
        folder,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "working\n"
    session = afere.store.open(folder, project="p")
    with pytest.raises(Refused, match=str(worker.pid)):
        session.job("eval", "qa")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert session.job("eval", "qa").items() == {"row 1": 1}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the point of the test
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_and_its_parent_both_go_on_writing(project: Path) -> None:
    session = afere.store.open(project / "store", project="p")
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            session.put("prompt", "thread", {"i": time.time()})

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        children = []
        for n in range(3):
            child = os.fork()
            if child == 0:
                try:
                    for i in range(5):
                        session.put("prompt", f"child{n}", {"i": i})
                    os._exit(0)
                finally:
                    os._exit(1)
            children.append(child)
            session.put("prompt", "parent", {"n": n})
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    finally:
        stop.set()
        thread.join()
    assert [session.get(f"child{n}").version for n in range(3)] == [5, 5, 5]
    assert session.get("parent").version == 3
    assert session.verify() == []


def test_threads_share_a_session(project: Path) -> None:
    session = afere.store.open(project / "store", project="p")

    def work(n: int) -> None:
        for i in range(10):
            session.put("prompt", "shared", {"n": n, "i": i})
            session.append(Score("t", "n", i, "user:1"))
            session.cache.put(f"{n} {i}", i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.get("shared").version == 60
    assert len(session.find("scores", limit=100).items) == 60
    assert session.cache.get("5 9") == 9
    assert session.verify() == []
