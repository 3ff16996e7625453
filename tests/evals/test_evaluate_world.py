"""An evaluation in a world that fails: killed processes, models that are down, limits. Real processes and real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import afere
from afere.base.project import find_project
from afere.chains.runner import Progress
from afere.evals import Plan, perform, read_suite
from afere.models import Request
from afere.testing import Answer, Fault, OpenAIServer

PROGRAM = """
import sys, afere

answer = afere.prompt("prompts/answer.md")

@afere.chain
async def qa(q: str) -> str:
    return await answer.aio(q=q)

rows = [{"id": f"r{i}", "input": {"q": f"question {i}."}, "expected": "yes"} for i in range(150)]
judge = afere.judge("Is it right?", name="right", model="answer")
made = afere.evaluate(
    qa, afere.dataset(rows, name="cases"), scorers=["exact", judge], concurrency=25, resume="--resume" in sys.argv
)
values = {one.name: (one.value, one.n, one.missing) for one in made.table()}
print(made.complete, len(made.results.runs), values["exact"], values["right"])
"""


def _says(request: Request) -> Answer:
    judged = request.output is not None
    return Answer('{"why": "It is.", "verdict": "pass"}' if judged else "yes", delay=0.05)


def test_after_kill_9_only_calls_that_were_under_way_are_made_again(project: Path) -> None:
    with OpenAIServer(_says) as server:
        (project / "afere.yaml").write_text(f"project: handbook\nmodels: {{answer: '{server.name}'}}\n")
        (project / "prompts").mkdir()
        (project / "prompts/answer.md").write_text("{{ q }}")
        (project / "program.py").write_text(PROGRAM)
        first = subprocess.Popen([sys.executable, "program.py"], cwd=project)
        until = time.monotonic() + 30
        while len(server.requests) < 150:
            assert first.poll() is None and time.monotonic() < until
            time.sleep(0.002)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        before = len(server.requests)
        second = subprocess.run(
            [sys.executable, "program.py", "--resume"], cwd=project, capture_output=True, text=True, check=False
        )
        assert second.stdout == "True 150 (1.0, 150, 0) (1.0, 150, 0)\n", second.stderr
    asked = [repr(one.body["messages"]) for one in server.requests]
    assert before < 300 and len(set(asked)) == 300
    assert len(asked) - 300 <= 25, "an answer that had come was asked for again"
    assert afere.open().verify() == []


APP = """
import afere

answer = afere.prompt("prompts/answer.md")

@afere.chain
async def qa(q: str) -> str:
    return await answer.aio(q=q)
"""
SUITE = """
name: qa
target: qa
data: data/qa.jsonl
scorers:
  - exact
  - {name: right, kind: judge, rubric: "Is it right?", model: answer}
"""


@pytest.fixture
def suite(project: Path) -> Callable[..., Path]:
    """A project with a suite of so many rows, whose model is a server."""

    def make(server: OpenAIServer, count: int, retries: int = 3) -> Path:
        model = {"model": server.name, "retries": retries}
        said = {"project": "handbook", "chains": {"qa": "app:qa"}, "models": {"answer": model}}
        (project / "afere.yaml").write_text(json.dumps(said))
        for folder in ("prompts", "data", "evals"):
            (project / folder).mkdir()
        (project / "prompts/answer.md").write_text("{{ q }}")
        lines = [json.dumps({"id": f"r{i}", "input": {"q": f"question {i}."}, "expected": "yes"}) for i in range(count)]
        (project / "data/qa.jsonl").write_text("\n".join(lines))
        (project / "app.py").write_text(APP)
        (project / "evals/qa.yaml").write_text(SUITE)
        return project

    return make


def evaluated(watch: Callable[[str, Progress], None] | None = None, *, concurrency: int = 20, resume: bool = False):
    project = find_project()
    plan = Plan.of(read_suite(project.root / "evals/qa.yaml", project))
    return perform(plan, project, concurrency=concurrency, watch=watch, resume=resume)


class Narrow:
    """A server that takes so many calls at once, and refuses all others."""

    def __init__(self, most: int) -> None:
        self.most, self.active, self.refused, self.served = most, 0, 0, 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer | Fault:
        with self._lock:
            if self.active >= self.most:
                self.refused += 1
                return Fault("status", status=429, retry_after=0.05)
            self.active += 1
        time.sleep(0.03)
        with self._lock:
            self.active -= 1
            self.served += 1
        said = _says(request)
        return Answer(said.text)


def test_a_server_that_refuses_gets_fewer_calls_at_once(suite: Callable[..., Path]) -> None:
    narrow, seen = Narrow(4), list[int | None]()
    with OpenAIServer(narrow) as server:
        suite(server, 100)
        made = evaluated(lambda _, now: seen.append(now.at_once))
    assert made.complete
    assert {one.name: (one.value, one.missing) for one in made.table()}["right"] == (1.0, 0)
    assert narrow.served == 200
    assert narrow.refused < 100, "it went on with as many calls as before"
    assert any(one is not None and one <= 10 for one in seen), seen


def test_a_model_that_is_down_for_a_while_is_waited_for(
    suite: Callable[..., Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afere.models.retry.LONGEST_PAUSE", 0.5)
    down = threading.Event()
    count = 0

    def says(request: Request) -> Answer | Fault:
        nonlocal count
        count += 1
        if count == 60:
            down.set()
            threading.Timer(6.0, down.clear).start()
        return Fault("status", status=502) if down.is_set() else _says(request)

    waited = list[str]()
    with OpenAIServer(says) as server:
        suite(server, 60, retries=1)
        made = evaluated(lambda _, now: waited.append(now.waiting))
    assert made.complete
    values = {one.name: (one.value, one.n, one.missing) for one in made.table()}
    assert (values["exact"], values["right"]) == ((1.0, 60, 0), (1.0, 60, 0))
    assert any(server.url in one for one in waited)
    assert "does not answer; calls wait for it" in caplog.text
    assert "answers again" in caplog.text


def test_a_model_that_does_not_come_back_ends_the_run_and_resume_finishes_it(
    suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afere.models.pace.GONE", 0.5)
    monkeypatch.setattr("afere.models.pace.PATIENCE", 1.0)
    asked, down = 0, True

    def says(request: Request) -> Answer | Fault:
        nonlocal asked
        asked += 1
        return Fault("status", status=503) if down and asked > 40 else _says(request)

    with OpenAIServer(says) as server:
        suite(server, 200, retries=1)
        made = evaluated()
        assert not made.complete
        assert asked < 300, "rows were begun after the model was given up"
        runs = made.results.runs
        assert len(runs) == 200
        lost = [run for run in runs if run.world]
        assert 100 < len(lost) < 200
        assert all(run.scores["exact"][0] is None or run.scores["right"][0] is None for run in lost), (
            "a fault became a score"
        )
        assert any(
            "had not answered for" in run.scores["exact"][1] and "resume to go on" in run.scores["exact"][1]
            for run in runs
        )
        down = False
        done = evaluated(resume=True)
    assert done.complete
    assert {one.name: (one.value, one.n) for one in done.table()}["right"] == (1.0, 200)


def test_a_judge_that_answers_prose_on_some_cases_keeps_the_others(suite: Callable[..., Path]) -> None:
    def says(request: Request) -> Answer:
        judged = request.output is not None
        odd = any(f"question {n}." in said.text for said in request.messages for n in (3, 5))
        return Answer("I think it is fine.") if judged and odd else _says(request)

    with OpenAIServer(says) as server:
        suite(server, 20)
        made = evaluated()
        asked = len(server.requests)
    table = {one.name: one for one in made.table()}
    assert made.complete
    assert asked == 20 + 18 + 2 * 2, "an odd answer is asked for once more"
    assert (table["exact"].n, table["exact"].missing) == (20, 0)
    assert (table["right"].value, table["right"].n, table["right"].missing) == (1.0, 18, 2)
    why = {run.row: run.scores["right"][1] for run in made.results.runs}
    assert why["r3"].startswith("the judge gave no verdict: right: the model 'test-model' answered twice")
    assert "I think it is fine." in why["r5"]
