"""Many programs write to one server that is killed meanwhile: what was acknowledged is there, once; what was lost is counted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_process import ServerProcess

import afere.store
from afere.store import Session

# One launcher, so that the twelve share the time of the imports; each is a process that opens the store for itself.
_WRITERS = """
import json, os, sys
import afere, afere.store, afere.store.remote
from afere.base.score import Score

def kept(what, id_):
    os.write(1, (json.dumps([what, id_]) + "\\n").encode())

def write(name, rounds):
    session = afere.store.open()
    for n in range(rounds):
        with afere.span(f"work {name} {n}") as root:
            with afere.span("inner"):
                pass
        flushed = afere.flush(60)
        assert flushed.lost == flushed.waiting == 0, flushed
        kept("trace", root.trace_id)
        scores = [Score(root.trace_id, f"good {k}", n, "scorer:own") for k in range(3)]
        session.append(*scores)
        for score in scores:
            kept("score", score.id)
        kept("artifact", session.put("policy", f"policy-{name}", f"text {n}", blob=f"{name} {n}".encode() * 500).ref)
        kept("experiment", session.put("experiment", None, {"by": name, "n": n}).ref)

children = []
for name in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        status = 1
        try:
            write(name, int(sys.argv[2]))
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.fixture
def server(project: Path) -> Iterator[tuple[ServerProcess, str]]:
    with afere.store.open(project / ".afere", project="handbook") as session:
        key = session.actors.create_key("app", project="handbook", scopes=["write"])[0]
    running = ServerProcess(project)
    yield running, key
    running.kill()


def _program(folder: Path, server: tuple[ServerProcess, str], code: str, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "AFERE_STORE": server[0].url, "AFERE_KEY": server[1]}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_twelve_writers_lose_and_double_nothing_when_the_server_is_killed(
    server: tuple[ServerProcess, str], tmp_path: Path, project: Path
) -> None:
    rounds, acknowledged = 5, list[list[str]]()
    program = _program(tmp_path / "elsewhere", server, _WRITERS, "12", str(rounds))

    def read() -> None:
        assert program.stdout is not None
        acknowledged.extend(json.loads(line) for line in program.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    for some in (60, 200):  # of 12 * 5 * 6 = 360
        while len(acknowledged) < some and reader.is_alive():
            time.sleep(0.02)
        server[0].kill()
        server[0].start()
    reader.join()
    assert (program.wait(), program.stderr.read() if program.stderr else "") == (0, "")
    assert len(acknowledged) == 12 * rounds * 6
    with afere.store.open(project / ".afere", project="handbook") as session:
        _all_there_once(session, acknowledged, 12 * rounds)


def _all_there_once(session: Session, acknowledged: list[list[str]], each: int) -> None:
    by: dict[str, list[str]] = {}
    for what, id_ in acknowledged:
        by.setdefault(what, []).append(id_)
    for trace_id in by["trace"]:
        trace = session.spans.trace(trace_id)
        assert trace is not None and sorted(span.name == "inner" for span in trace.spans) == [False, True]
    assert [one["count"] for one in session.spans.stats()] == [2 * each]
    assert {one.id for one in session.find("scores", limit=1000).items} == set(by["score"])
    assert len(by["score"]) == len(set(by["score"])) == 3 * each
    experiments = session.find("artifacts", kind="experiment", limit=1000).items
    assert sorted(one.ref for one in experiments) == sorted(by["experiment"])
    assert sorted(int(one.ref.partition(":")[2]) for one in experiments) == [*range(1, each + 1)]
    policies = session.find("artifacts", kind="policy", limit=1000).items
    assert sorted(one.ref for one in policies) == sorted(by["artifact"])
    assert all(len(session.blob(str(one.blob))) > 500 for one in policies)
    assert session.verify() == [] and session.spans.losses() == []


_OVERFLOWS = """
import sys
import afere, afere.store
import afere.tracing.sink as sink

sink.SPANS, sink.AGAIN = 50, 0.2
with afere.span("first"):
    pass
assert afere.flush(30).written == 1
print("ready", flush=True)
sys.stdin.readline()
for n in range(200):
    with afere.span(f"op {n}"):
        pass
print("full", flush=True)
sys.stdin.readline()
flushed = afere.flush(60)
print(flushed.written, flushed.waiting, flushed.lost, flush=True)
"""


def test_a_server_that_is_away_is_waited_for_and_what_overflows_is_counted_and_shown(
    server: tuple[ServerProcess, str], tmp_path: Path, project: Path
) -> None:
    program = _program(tmp_path / "elsewhere", server, _OVERFLOWS)
    assert program.stdin is not None and program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    server[0].kill()
    program.stdin.write("go\n")
    program.stdin.flush()
    assert program.stdout.readline() == "full\n"
    server[0].start()
    program.stdin.write("go\n")
    program.stdin.close()
    written, waiting, lost = map(int, program.stdout.readline().split())
    assert program.wait(20) == 0
    assert waiting == 0 and lost >= 100 and written + lost == 201  # up to 50 in the queue, some more in work
    with afere.store.open(project / ".afere", project="handbook") as session:
        assert session.spans.stats()[0]["count"] == written
        assert sum(loss.count for loss in session.spans.losses()) == lost
    home = json.loads(_asked(server, "/home.json"))
    assert home["lost"] == lost
    status, findings = _doctor(tmp_path / "elsewhere", server)
    told = [one["what"] for one in findings if one["severity"] == "warning"]
    assert status == 0 and any(f"{lost} spans were lost" in what and "50 spans" in what for what in told), findings


_ENDS = """
import afere
with afere.span("said too late"):
    pass
"""


def test_what_a_program_could_not_send_before_it_ended_is_told_later(
    server: tuple[ServerProcess, str], tmp_path: Path, project: Path
) -> None:
    folder = tmp_path / "elsewhere"
    server[0].kill()
    ended = _program(folder, server, _ENDS)
    assert ended.wait(30) == 0 and ended.stderr is not None and "losing spans" in ended.stderr.read()
    status, findings = _doctor(folder, server)
    about = {one["severity"]: one["what"] for one in findings if one["about"] in ("store", "spans")}
    assert status == 4 and "cannot be asked" in about["error"] and "1 spans were lost" in about["warning"], findings
    server[0].start()
    assert _program(folder, server, _ENDS).wait(30) == 0
    with afere.store.open(project / ".afere", project="handbook") as session:
        assert [loss.count for loss in session.spans.losses()] == [1]
        assert session.spans.stats()[0]["count"] == 1
    assert next(one for one in _doctor(folder, server)[1] if one["about"] == "store")["severity"] == "ok"


def test_a_program_ends_though_the_server_takes_and_never_answers(project: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, "AFERE_STORE": url, "AFERE_KEY": "afere_0_0"}
        code = f"import time\n{_ENDS}time.sleep(1)\n"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, timeout=45, check=False)
    assert done.returncode == 0
    noted = [json.loads(line) for line in next((tmp_path / ".afere").rglob("losses.jsonl")).read_text().splitlines()]
    assert [one["count"] for one in noted] == [1]


def test_one_span_that_cannot_be_kept_takes_no_other_with_it(
    server: tuple[ServerProcess, str], tmp_path: Path, project: Path
) -> None:
    program = _program(
        tmp_path / "elsewhere", server,
        "import afere\nfor n in range(40):\n with afere.span(f'op {n}') as s:\n  s.record.parent_id = 'no id' if n == 7 else None\n"
        "f = afere.flush(30)\nprint(f.written, f.lost)",
    )  # fmt: skip
    out, _ = program.communicate(timeout=30)
    with afere.store.open(project / ".afere", project="handbook") as session:
        assert (out.split(), session.spans.stats()[0]["count"]) == (["39", "1"], 39)


def _asked(server: tuple[ServerProcess, str], path: str) -> bytes:
    request = urllib.request.Request(server[0].url + path, headers={"Authorization": f"Bearer {server[1]}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def _doctor(folder: Path, server: tuple[ServerProcess, str]) -> tuple[int, list[dict[str, Any]]]:
    environment = {**os.environ, "AFERE_STORE": server[0].url, "AFERE_KEY": server[1]}
    command = [sys.executable, "-m", "afere.cli.main", "doctor", "--json"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, json.loads(ended.stdout)["findings"]
