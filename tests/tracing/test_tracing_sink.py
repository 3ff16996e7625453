"""What reaches the disk: at exit, after a kill, from forks and many processes; and what is said when it cannot."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.store.spans.joining import died
from afere.store.spans.store import SpanStore
from afere.tracing import configure, flush, sink

HEAD = """
import json, os, sys, time
import afere
from afere.tracing import flush
"""


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def kept(project: Path, filter: str = "", roots: bool = False) -> list[str]:
    store = SpanStore(project / ".afere", "handbook")
    names = [span.name for span in store.find(filter, limit=10_000, roots=roots).items]
    store.close()
    return names


def test_flush_tells_what_was_written(project: Path) -> None:
    before = flush()
    for n in range(10):
        with afere.span(f"step {n}"):
            pass
    after = flush()
    assert (after.written - before.written, after.waiting, after.lost - before.lost) == (10, 0, 0)
    assert len(kept(project)) == 10


def test_a_short_script_leaves_all_its_spans_even_when_it_fails(project: Path) -> None:
    done = run("""
import atexit
@afere.trace
def step(n): return n
for n in range(300): step(n)
atexit.register(lambda: step(300))
with afere.span("last"): raise SystemExit(3)
""")
    assert (done.returncode, done.stderr) == (3, "")
    assert len(kept(project)) == 302
    assert kept(project, "status:error") == ["last"]


def test_a_running_root_is_seen_and_known_as_dead_after_kill_9(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + """
with afere.span("root"), afere.context(user="42"):
    for n in range(100):
        with afere.span("finished"): pass
    print(flush(), flush=True)
    time.sleep(60)
"""],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert b"written=100" in process.stdout.readline()
    store = SpanStore(project / ".afere", "handbook")
    running = store.find("status:running").items
    assert [span.name for span in running] == ["root"] and not died(running[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    [root] = store.find("status:running").items
    assert died(root)
    trace = store.trace(root.trace_id)
    assert trace is not None and len(trace.spans) == 101
    store.close()


@pytest.mark.parametrize("wait", [0.1, 0.3, 1.5])
@pytest.mark.parametrize("child", [True, False])
def test_what_ended_is_never_seen_without_the_root_that_was_killed(project: Path, child: bool, wait: float) -> None:
    code = (
        HEAD
        + f"""
with afere.span("before"): pass
flush()  # the store is open
with afere.span("root"):
    if {child}:
        with afere.span("child"): pass
    print("runs", flush=True)
    time.sleep(60)
"""
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"runs\n"
    time.sleep(wait)
    process.kill()
    process.wait()
    process.stdout.close()
    store = SpanStore(project / ".afere", "handbook")
    roots = [span for span in store.find(roots=True).items if span.name != "before"]
    found = kept(project)
    store.close()
    assert all(span.name == "root" and died(span) for span in roots)
    assert ("child" in found) <= ("root" in found)
    if wait > 1:
        assert [span.name for span in roots] == ["root"]


def test_a_root_that_waits_behind_its_children_is_written_with_the_first_of_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "BATCH", 3)
    seen: list[set[str]] = []
    put = SpanStore.put

    def watched(self: SpanStore, spans: Any) -> None:
        put(self, spans)
        seen.append(set(kept(project)))

    monkeypatch.setattr(SpanStore, "put", watched)
    before = flush()
    with afere.span("root"):
        for n in range(10):
            with afere.span(f"step {n}"):
                pass
    after = flush()
    assert (after.written - before.written, after.waiting, after.lost) == (11, 0, before.lost)
    assert len(seen) > 1 and all("root" in names for names in seen)
    assert len(kept(project)) == 11 and kept(project, "status:running") == []


def test_what_was_flushed_survives_kill_9_at_any_moment(project: Path) -> None:
    code = (
        HEAD
        + """
n = 0
while True:
    with afere.span(f"s{n}"): pass
    n += 1
    if n % 20 == 0:
        flush()
        sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
"""
    )
    acknowledged = 0
    for wait in (0.05, 0.2):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(wait)
        process.kill()
        rest = process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        acknowledged += int((rest or [first])[-1])
    names = kept(project)
    assert len(names) >= acknowledged > 0


def test_a_forked_child_writes_its_own_spans_once_under_its_parents(project: Path) -> None:
    done = run("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12+ warns of any fork beside a thread
with afere.span("parent") as live:
    with afere.span("before"): pass
    pid = os.fork()
    with afere.span("child" if pid == 0 else "sibling"): pass
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
print(json.dumps([os.getpid(), flush().written, live.trace_id]))
""")
    assert done.stderr == "" and done.returncode == 0
    counts = sorted(json.loads(line)[1] for line in done.stdout.splitlines())
    assert counts == [1, 3]  # the child wrote "child", the parent the others
    assert sorted(kept(project)) == ["before", "child", "parent", "sibling"]
    assert kept(project, roots=True) == ["parent"]


def _work(n: int) -> None:
    for i in range(25):
        with afere.span(f"{n}.{i}"), afere.span("inner"):
            pass


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_write_one_folder_and_nothing_is_lost_at_their_end(project: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=_work, args=(n,)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(set(kept(project, roots=True))) == 75 and len(kept(project)) == 150


def test_a_store_that_cannot_be_written_costs_spans_not_the_program(project: Path) -> None:
    (project / ".afere").write_text("not a folder")
    done = run("""
@afere.trace
def answer(): return 42
print(answer(), answer())
print(json.dumps([flush().written, flush().waiting, flush().lost]))
""")
    assert done.returncode == 0 and done.stdout.splitlines() == ["42 42", "[0, 0, 2]"]
    assert done.stderr.count("afere is losing spans") == 1 and str(project / ".afere") in done.stderr


def test_a_read_only_folder_costs_spans_not_the_program(project: Path) -> None:
    folder = project / ".afere"
    folder.mkdir()
    folder.chmod(0o555)
    for above in (project, *project.parents):  # so that another user can come here
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(0o755)
    done = run("""
if os.geteuid() == 0:
    import pathlib, tempfile
    with afere.open(pathlib.Path(tempfile.mkdtemp())) as session: session.spans.find()  # all is imported while it may be
    os.seteuid(65534)
with afere.span("x"): pass
print(json.dumps([flush().written, flush().lost]))
""")
    folder.chmod(0o755)
    assert done.stdout.splitlines() == ["[0, 1]"], done.stderr
    assert "read-only" in done.stderr or "cannot be" in done.stderr


def test_a_full_disk_is_said_once_counted_and_noted_when_there_is_room_again(project: Path) -> None:
    done = run("""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with afere.span("first"): pass
flush()
size = os.path.getsize(".afere/spans.db") + os.path.getsize(".afere/spans.db-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
for n in range(30):
    with afere.span("big") as live: live.set(x=os.urandom(12000).hex())
print(flush().lost > 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with afere.span("again"): pass
print(json.dumps([flush().written, flush().lost]))
""")
    assert done.returncode == 0, done.stderr
    said, counts = done.stdout.splitlines()
    written, lost = json.loads(counts)
    assert said == "True" and written + lost == 32
    assert "again" in kept(project) and len(kept(project)) == written
    store = SpanStore(project / ".afere", "handbook")
    assert sum(loss.count for loss in store.losses()) == lost
    assert done.stderr.count("afere is losing spans") == 1
    store.close()


def test_a_full_queue_loses_and_counts_instead_of_waiting(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sink, "SPANS", 5)
    monkeypatch.setattr(sink, "LINGER", 1.0)
    before = flush()
    with caplog.at_level(logging.WARNING, "afere"), afere.span("root"):
        for _ in range(50):
            with afere.span("step"):
                pass
    after = flush()
    written, lost = after.written - before.written, after.lost - before.lost
    assert written + lost == 51 and lost > 0 and after.waiting == 0
    assert len([record for record in caplog.records if "waiting for the store" in record.message]) == 1


def test_a_project_file_that_does_not_parse_is_said_once_and_never_raised(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "afere.yaml").write_text("project: [")
    lost = flush().lost
    for _ in range(3):
        with afere.span("x"), afere.span("y"):
            pass
    assert flush().lost - lost == 6
    assert len([record for record in caplog.records if "cannot keep traces" in record.message]) == 1


def test_each_trace_rests_in_the_project_where_it_began(project: Path, tmp_path: Path, monkeypatch: Any) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "afere.yaml").write_text("project: other\n")
    with afere.span("here"):
        monkeypatch.chdir(other)
        with afere.span("inside"):
            pass
    with afere.span("there"):
        pass
    flush()
    assert sorted(kept(project)) == ["here", "inside"]
    assert [span.name for span in SpanStore(other / ".afere", "other").find().items] == ["there"]


def test_a_session_can_be_named_as_the_place(project: Path, tmp_path: Path) -> None:
    with afere.open(tmp_path / "elsewhere", project="lab") as session:
        configure(session=session)
        with afere.span("x"):
            pass
        flush()
        assert [span.name for span in session.spans.find().items] == ["x"]
    assert not (project / ".afere" / "spans.db").exists()


def test_one_span_that_cannot_be_kept_costs_only_itself(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = flush()
    with afere.span("root"):
        for n in range(5):
            with afere.span(f"step {n}") as live:
                if n == 2:
                    live.record.cost = object()  # type: ignore[assignment]  what a broken integration might do
    after = flush()
    assert (after.written - before.written, after.lost - before.lost) == (5, 1)
    assert sorted(kept(project)) == ["root", "step 0", "step 1", "step 3", "step 4"]
    assert "step 2" in caplog.text
