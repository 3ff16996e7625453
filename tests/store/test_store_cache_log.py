"""Answers gathered in a log: nothing that was put is lost, whoever ends when."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from afere.base.seldom import seldom_collected
from afere.store.cache import Cache

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="logs are locked as POSIX has it")

GATHER = """
import sys, time
from pathlib import Path
from afere.store.cache import Cache
cache = Cache(Path(sys.argv[1]))
with cache.gathering():
    for number in range(int(sys.argv[2])):
        cache.put(f"k{number}", {"n": number})
    print("put", flush=True)
    time.sleep(60)
"""


def logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("cache-*.log"))


def kept(folder: Path) -> int:
    with sqlite3.connect(folder / "cache.db") as connection:
        return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])


def killed(folder: Path, count: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", GATHER, str(folder), str(count)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "put\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def test_what_is_gathered_is_found_at_once_and_rests_in_the_file_afterwards(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.gathering():
        for number in range(7):
            cache.put(f"k{number}", {"n": number})
        assert [cache.get(f"k{number}") for number in range(8)] == [*({"n": n} for n in range(7)), None]
        with cache.gathering():
            cache.put("k0", "newer")
        assert cache.get("k0") == "newer" and len(logs(tmp_path)) == 1
    assert (kept(tmp_path), logs(tmp_path)) == (7, [])
    assert cache.get("k0") == "newer" and Cache(tmp_path).get("k6") == {"n": 6}


@pytest.mark.parametrize("count", [3, 1203])
def test_a_killed_process_leaves_its_answers_to_the_next(tmp_path: Path, count: int) -> None:
    Cache(tmp_path).put("before", 1)
    killed(tmp_path, count)
    assert logs(tmp_path)
    cache = Cache(tmp_path)
    with cache.gathering():
        assert all(cache.get(f"k{number}") == {"n": number} for number in range(count))
        assert len(logs(tmp_path)) == 1  # its own
    assert kept(tmp_path) == count + 1 and not logs(tmp_path)


def test_half_a_record_at_the_end_of_a_log_is_left_out(tmp_path: Path) -> None:
    Cache(tmp_path).put("before", 1)
    killed(tmp_path, 3)
    (log,) = logs(tmp_path)
    log.write_bytes(log.read_bytes()[:-1])
    cache = Cache(tmp_path)
    with cache.gathering():
        assert [cache.get(f"k{number}") for number in range(3)] == [{"n": 0}, {"n": 1}, None]


@pytest.mark.parametrize("middle", [b"\xff" * 30, b"\0" * 30, b"\2\0\0\0\1\0\0\0\xff\xfe1"])
def test_what_a_power_cut_has_mixed_up_is_left_out(tmp_path: Path, middle: bytes) -> None:
    Cache(tmp_path).put("before", 1)
    killed(tmp_path, 3)
    (log,) = logs(tmp_path)
    log.write_bytes(log.read_bytes() + middle)
    cache = Cache(tmp_path)
    with cache.gathering():
        assert [cache.get(f"k{number}") for number in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert kept(tmp_path) == 4 and not logs(tmp_path)


@pytest.mark.parametrize("count", [3, 700])
def test_what_the_file_does_not_take_waits_in_the_log(tmp_path: Path, count: int) -> None:
    cache = Cache(tmp_path)
    cache.put("before", 1)
    with sqlite3.connect(tmp_path / "cache.db") as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    other.close()
    with cache.gathering():
        for number in range(count):
            cache.put(f"k{number}", {"n": number})
    assert cache.get("k0") == {"n": 0} and logs(tmp_path)
    later = Cache(tmp_path)
    with later.gathering():
        assert all(later.get(f"k{number}") == {"n": number} for number in range(count))
    assert kept(tmp_path) == count and not logs(tmp_path)


def test_the_log_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one, other = Cache(tmp_path), Cache(tmp_path)
    with one.gathering():
        one.put("mine", 1)
        with other.gathering():
            other.put("yours", 2)
            assert len(logs(tmp_path)) == 2 and other.get("mine") is None
    assert Cache(tmp_path).get("mine") == 1 and Cache(tmp_path).get("yours") == 2


@pytest.mark.parametrize("count", [3, 1203])
def test_what_others_put_meanwhile_is_found_though_keys_of_the_file_are_remembered(tmp_path: Path, count: int) -> None:
    one, other = Cache(tmp_path), Cache(tmp_path)
    other.put("before", 0)
    with one.gathering():
        for number in range(count):
            one.put(f"k{number}", number)
        assert one.get("yours") is None and one.get("before") == 0
        other.put("yours", 2)
        time.sleep(0.05)  # it looks fifty times a second
        assert one.get("yours") == 2 and one.get("k0") == 0
        for number in range(count, 2 * count):  # taken by the file after it was another's turn
            one.put(f"k{number}", number)
        assert [one.get(f"k{number}") for number in range(2 * count)] == list(range(2 * count))
        with other.gathering():
            other.put("later", 3)
        assert one.get("later") == 3 and one.get("never") is None
    assert one.get("later") == 3


def test_a_new_question_of_a_run_does_not_ask_the_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def asked() -> int:
        said: list[object] = []
        sys.setprofile(
            lambda _, event, what: said.append(what) if event == "c_call" and what.__name__ == "execute" else None
        )
        try:
            assert cache.get("never put") is None
        finally:
            sys.setprofile(None)
        return len(said)

    assert asked() > 0
    with cache.gathering():
        cache.put("put", 1)
        assert asked() == 0
        for number in range(600):  # some of which go into the file
            cache.put(f"put {number}", number)
        assert asked() == 0 and cache.get("put 7") == 7


def test_clearing_forgets_what_waits_in_logs_too(tmp_path: Path) -> None:
    Cache(tmp_path).put("before", 1)
    killed(tmp_path, 3)
    cache = Cache(tmp_path)
    with cache.gathering():
        cache.put("mine", 1)
        killed(tmp_path, 3)
        cache.clear()
        assert cache.get("mine") is None and [log.stat().st_size for log in logs(tmp_path)] == [0]
        cache.put("later", 2)
    assert kept(tmp_path) == 1 and Cache(tmp_path).get("later") == 2


def test_several_threads_gather_in_one_log(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def work(name: str) -> None:
        for number in range(400):
            cache.put(f"{name}{number}", number)

    with cache.gathering():
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert kept(tmp_path) == 1200 and Cache(tmp_path).get("b399") == 399


def test_a_forked_child_has_no_part_in_its_parents_log(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.gathering():
        cache.put("parent", 1)
        child = multiprocessing.get_context("fork").Process(target=cache.put, args=("child", 2))
        child.start()
        child.join()
        assert child.exitcode == 0 and cache.get("child") == 2  # it went into the file
        cache.put("after", 3)
    assert kept(tmp_path) == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_gathers_nothing(tmp_path: Path) -> None:
    Cache(tmp_path).put("before", 1)
    tmp_path.chmod(0o555)
    try:
        cache = Cache(tmp_path)
        with cache.gathering():
            assert cache.get("before") == 1
    finally:
        tmp_path.chmod(0o755)


def test_circles_are_looked_for_seldom_inside_and_as_before_outside() -> None:
    before = gc.get_threshold()
    with seldom_collected(), seldom_collected():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
    gc.set_threshold(0)
    try:
        with seldom_collected():  # a program that looks for none keeps it so
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
