"""What the server acknowledged survives whatever ends it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sending import PROTOBUF, body, span

import afere.store
import afere.store.spans.store
from afere.net import Call, HostFailed, send


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_acknowledged_survives_the_end_of_the_server(project: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "afere.cli.main", "ui", "--port", "0", "--json"]
    server = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = ""
    while not port:
        line = server.stdout.readline()
        assert line, "the server ended"
        port = (re.findall(r'"port": (\d+)', line) or [""])[0]
    acknowledged: list[tuple[str, str]] = []

    def sender() -> None:
        while True:
            spans = [span(attributes={"input.value": "x" * 200}) for _ in range(20)]
            try:
                answer = send(Call("POST", f"http://127.0.0.1:{port}/v1/traces", PROTOBUF, body(*spans), 20.0, 20.0))
            except HostFailed:
                return
            if answer.status == 200:
                acknowledged.extend((one.trace_id.hex(), one.span_id.hex()) for one in spans)

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 400:
        threads[0].join(0.02)
    server.send_signal(how)
    assert server.wait(10) is not None
    for thread in threads:
        thread.join()
    with afere.store.open(project / ".afere", project="handbook") as session:
        for trace_id, span_id in acknowledged:
            trace = session.spans.trace(trace_id)
            assert trace is not None and [one.span_id for one in trace.spans] == [span_id]


def test_a_store_whose_spans_are_gone_is_not_served_as_an_empty_one(project: Path) -> None:
    store = project / ".afere"
    with afere.store.open(store, project="handbook") as session:
        session.spans.write([afere.store.spans.store.Span("a" * 32, "b" * 16, "op", 1, end=2)])
    for file in store.glob("spans.db*"):
        file.unlink()
    command = [sys.executable, "-m", "afere.cli.main", "ui", "--port", "0"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=30, check=False)
    said = " ".join(ended.stderr.split())
    assert ended.returncode == 4 and "spans.db is gone" in said and "spans.made" in said
    assert not (store / "spans.db").exists()


def test_a_damaged_store_is_named_and_not_served(project: Path) -> None:
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.spans.write([afere.store.spans.store.Span("a" * 32, "b" * 16, "op", 1, end=2)])
    (project / ".afere" / "spans.db").write_bytes(b"not a database!!" * 1000)
    command = [sys.executable, "-m", "afere.cli.main", "ui", "--port", "0"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 4 and "spans.db is corrupt" in " ".join(ended.stderr.split())
