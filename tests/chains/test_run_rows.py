"""The runner: every row once, nothing paid twice, and whose fault an error is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.errors import BadData, BadInput
from afere.chains.runner import Progress, run_rows
from afere.data import Row
from afere.testing import Answer, Fault, OpenAIServer, ScriptedModel

PROMPT = "---\nmodel: scripted:{model}\ninputs: {{q: string}}\n---\n# user\n{{{{ q }}}}\n"


def rows(count: int) -> list[Row]:
    return [Row(f"r{i}", {"q": f"question {i}."}) for i in range(count)]


@pytest.fixture
def answer(project: Path, write, model: ScriptedModel) -> afere.Component:
    write("prompts/answer.md", PROMPT.format(model=model.name))
    model.says(lambda request: request.messages[-1].text.upper())
    return afere.prompt("prompts/answer.md")


async def test_every_kind_of_target_gives_one_trace_a_row_also_inside_a_running_loop(answer: afere.Component) -> None:
    @afere.chain
    def plain(q: str) -> str:
        return answer(q=q)

    @afere.chain
    async def coroutine(q: str) -> str:
        return await answer.aio(q=q)

    @afere.chain
    def pieces(q: str):
        yield from answer.stream(q=q)

    def function(q: str) -> str:
        return answer(q=q)

    async def async_function(**inputs: str) -> str:
        return await answer.aio(**inputs)

    session = afere.open()
    with afere.span("around"):
        for target in (plain, coroutine, pieces, function, async_function, answer, lambda q: answer(q=q)):
            found = run_rows(target, rows(5), session=session, repeats=2, concurrency=3)
            assert [(one.row.id, one.repeat, one.output) for one in found] == [
                (f"r{i}", repeat, f"QUESTION {i}.") for i in range(5) for repeat in (1, 2)
            ]
            assert len({one.trace_id for one in found}) == 10
            for one in found:
                assert [span.name for span in one.trace.of_kind("llm")] == ["answer"]
                assert one.trace.root.parent_id is None
                assert one.error is None and not one.world


def test_a_slow_model_is_waited_for_side_by_side(answer: afere.Component, model: ScriptedModel) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    @afere.chain
    def qa(q: str) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return q

    run_rows(qa, rows(12), session=afere.open(), concurrency=4)
    assert 1 < most <= 4


def reset() -> None:
    raise ConnectionResetError("reset")


def test_whose_fault_an_error_is(answer: afere.Component, model: ScriptedModel, monkeypatch) -> None:
    monkeypatch.setattr("afere.chains.runner._PAUSE", 0.0)
    monkeypatch.setattr("afere.models.pace.PATIENCE", 0.01)
    model.says({"question 0.": "fine", "question 1.": Fault("status", status=500), "question 2.": Fault("unreachable")})
    seen: list[Progress] = []

    @afere.chain
    def qa(q: str) -> str:
        if "3" in q:
            raise ValueError("my own mistake")
        if "4" in q:
            raise OSError(28, "No space left on device")
        if "5" in q:
            try:
                reset()
            except ConnectionResetError as error:
                raise RuntimeError("my client wraps errors") from error
        return answer(q=q)

    job = afere.open().job("experiment", "k")
    found = run_rows(qa, rows(6), session=afere.open(), job=job, progress=seen.append)
    assert [(one.error is None, one.world) for one in found] == [
        (True, False), (False, True), (False, True), (False, False), (False, True), (False, True),
    ]  # fmt: skip
    assert found[3].error == "ValueError: my own mistake" and found[3].trace.root.status == "error"
    assert set(job.items()) == {"r0#1", "r3#1"}, "what the world failed is not finished"
    assert (seen[-1].done, seen[-1].total, seen[-1].errors) == (6, 6, 5)


def test_a_passing_failure_is_tried_again_and_finished_calls_are_not_paid_again(
    answer: afere.Component, model: ScriptedModel, monkeypatch
) -> None:
    monkeypatch.setattr("afere.chains.runner._PAUSE", 0.0)
    model.says([Answer("first"), Fault("status", status=503), Answer("second")])

    @afere.chain
    def qa(q: str) -> str:
        return answer(q=q) + answer(q=q + " again")

    (one,) = run_rows(qa, rows(1), session=afere.open())
    assert one.output == "firstsecond" and len(model.requests) == 3
    assert one.seconds is None, "a time that a cache shortened is no measurement"


def test_a_repeat_asks_again_but_the_same_repeat_does_not(answer: afere.Component, model: ScriptedModel) -> None:
    @afere.chain
    def twice(q: str) -> list[str]:
        return [answer(q=q), answer(q=q)]

    run_rows(twice, rows(2), session=afere.open(), repeats=3)
    assert len(model.requests) == 2 * 2 * 3
    found = run_rows(twice, rows(2), session=afere.open(), repeats=3)
    assert len(model.requests) == 12
    assert all(span.attributes["afere.cached"] for one in found for span in one.trace.of_kind("llm"))


def test_wrong_rows_are_told_before_anything_is_paid(answer: afere.Component, model: ScriptedModel) -> None:
    bad = [Row("r9", {"q": "x", "questoin": "y"}), Row("r10", {"p": "x"})]
    with pytest.raises(BadData, match=r"row r9: the target takes q, but .*'questoin'"):
        run_rows(answer, bad, session=afere.open())
    with pytest.raises(BadInput, match="same id"):
        run_rows(answer, rows(1) * 2, session=afere.open())
    assert not model.requests
    assert run_rows(lambda text: text, [Row("a", {"input": "hi"})], session=afere.open())[0].output == "hi"


def test_max_cost_starts_no_new_row_and_says_which_were_not_run(project: Path, write) -> None:
    with OpenAIServer("Paris") as server:
        write("afere.yaml", f"models: {{answer: {{model: '{server.name}', prices: {{input: 0, output: 1000000}}}}}}")
        write("prompts/answer.md", "{{ q }}")
        answer = afere.prompt("prompts/answer.md")
        price = answer.ask(q="x").cost
        assert price
        job = afere.open().job("experiment", "k")
        found = run_rows(answer, rows(10), session=afere.open(), job=job, concurrency=1, max_cost=3 * price)
        assert [one.error is None for one in found] == [True] * 3 + [False] * 7
        assert found[-1].world and "max_cost" in found[-1].error
        found = run_rows(answer, rows(10), session=afere.open(), job=job)
        assert all(one.error is None for one in found) and len(server.requests) == 11


def test_an_address_is_a_target(project: Path, monkeypatch) -> None:
    monkeypatch.setattr("afere.chains.runner._PAUSE", 0.0)

    class App(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status = {"question 1.": 422, "question 2.": 503}.get(body["q"], 200)
            assert self.headers["traceparent"].startswith("00-")
            answer = json.dumps({"output": {"said": body["q"]}, "took": 1}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/chat"
        ok, refused, failed = run_rows(url, rows(3), session=afere.open())
    finally:
        server.shutdown()
        server.server_close()
    assert ok.output == {"said": "question 0."}
    assert refused.error and "422" in refused.error and not refused.world
    assert failed.error and "503" in failed.error and failed.world
    gone = run_rows(url, rows(1), session=afere.open())[0]
    assert gone.world


PROGRAM = """
import sys, afere
from afere.chains.runner import run_rows
from afere.data import Row

answer = afere.prompt("prompts/answer.md")

@afere.chain
def qa(q: str) -> str:
    first = answer(q="draft " + q)
    return answer(q="final " + q + first)

session = afere.open()
rows = [Row(f"r{i}", {"q": f"question {i}."}) for i in range(40)]
job = session.job("experiment", "killed", total=40)
found = run_rows(qa, rows, session=session, job=job, concurrency=4)
job.end("done")
assert all(one.error is None and one.trace is not None and one.trace.root.name == "qa" for one in found), found
print(len(found), "rows")
"""


def start(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "program.py"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_after_kill_9_or_ctrl_c_finished_rows_are_not_paid_again(project: Path, write, end: signal.Signals) -> None:
    with OpenAIServer(Answer("ok", delay=0.06)) as server:
        write("afere.yaml", f"project: handbook\nmodels: {{answer: '{server.name}'}}\n")
        write("prompts/answer.md", "{{ q }}")
        write("program.py", PROGRAM)
        first = start(project)
        wait_for(lambda: len(server.requests) >= 40)
        time.sleep(0.4)  # more than the runner may wait before it keeps what is finished
        os.kill(first.pid, end)
        _, told = first.communicate(timeout=20)
        if end == signal.SIGINT:
            assert "of 40 rows are finished and kept" in told
        kept = set(afere.open().find("jobs").items[0].items())
        assert len(kept) >= 8
        asked = len(server.requests)
        second = start(project)
        out, told = second.communicate(timeout=60)
        assert (second.returncode, out) == (0, "40 rows\n"), told
    texts = [str(one.body["messages"][-1]["content"]) for one in server.requests]
    again = [text for text in texts[asked:] if any(text.split()[2] == key for key in numbers(kept))]
    assert not again, "a finished row was asked again"
    # Of the rows that were running, only calls that had not come back are made again.
    assert len(texts) - len(set(texts)) <= 4
    assert afere.open().verify() == []


def numbers(keys: set[str]) -> set[str]:
    return {f"{key.partition('#')[0][1:]}." for key in keys}


def test_ctrl_c_during_an_async_run_ends_it_and_keeps_what_is_done(
    answer: afere.Component, model: ScriptedModel
) -> None:
    @afere.chain
    async def qa(q: str) -> str:
        if q == "question 3.":
            signal.raise_signal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else os.kill(
                os.getpid(), signal.SIGINT
            )
            await asyncio.sleep(60)
        return q

    job = afere.open().job("experiment", "k")
    with pytest.raises(KeyboardInterrupt, match="3 of 6 rows are finished and kept"):
        run_rows(qa, rows(6), session=afere.open(), job=job, concurrency=1)
    assert set(job.items()) == {"r0#1", "r1#1", "r2#1"}
