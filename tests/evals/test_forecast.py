"""`afere eval --dry-run`: what an evaluation will take, before anything is called; and the question at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from afere.models import Request
from afere.testing import Answer, OpenAIServer

APP = """
import afere

answer = afere.prompt("prompts/answer.md")

@afere.chain
def qa(q: str) -> str:
    return answer(q=q)

def plain(q: str) -> str:
    return q
"""
SUITE = """
name: qa
target: {target}
data: data/qa.jsonl
repeats: 2
scorers:
  - exact
  - {{name: right, kind: judge, rubric: "Is it right?", model: answer}}
  - {{name: careful, kind: cascade, rubric: "Is it right?", models: [answer, dear]}}
"""


def _says(request: Request) -> Answer:
    return Answer('{"why": "It is.", "verdict": "pass", "sure": true}' if request.output is not None else "yes indeed")


@pytest.fixture
def server(project: Path) -> Generator[OpenAIServer]:
    with OpenAIServer(_says) as server:
        base, _, model = server.name.partition("#")
        cheap = {"model": server.name, "prices": {"input": 1, "output": 10}}
        dear = {"model": f"{base}#{model}-dear", "prices": {"input": 100, "output": 1000}}
        said = {"project": "handbook", "chains": {"qa": "app:qa"}, "models": {"answer": cheap, "dear": dear}}
        (project / "afere.yaml").write_text(json.dumps(said))
        for folder in ("prompts", "data", "evals"):
            (project / folder).mkdir()
        (project / "prompts/answer.md").write_text(
            "---\nmodel: answer\nparameters: {max_tokens: 100}\n---\nAnswer this question in one word: {{ q }}"
        )
        lines = [json.dumps({"id": f"r{i}", "input": {"q": f"Is {i} a number?"}, "expected": "yes"}) for i in range(20)]
        (project / "data/qa.jsonl").write_text("\n".join(lines))
        (project / "app.py").write_text(APP)
        (project / "evals/qa.yaml").write_text(SUITE.format(target="qa"))
        yield server


def afere(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "afere.cli.main", *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def forecast(project: Path) -> dict[str, Any]:
    done = afere(project, "eval", "qa", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dry_run_tells_calls_tokens_and_cost_by_the_texts_and_calls_nothing(
    server: OpenAIServer, project: Path
) -> None:
    found = forecast(project)
    assert (found["cases"], found["repeats"]) == (20, 2)
    target, right, careful = found["parts"]
    assert target["calls"] == [40, 40]
    low, high = target["input_tokens"]
    assert low < 40 * 14 < high  # "Answer this question in one word: Is 3 a number?" is some 13 words and signs
    assert target["output_tokens"] == [40 * 20, 40 * 100]
    assert target["cost"][0] == pytest.approx((low * 1 + 40 * 20 * 10) / 1e6, rel=0.1)
    assert right["calls"] == [40, 40]
    assert careful["calls"] == [40, 80], "a cascade may ask its second model"
    assert careful["cost"][1] > 5 * right["cost"][1]
    assert found["calls"] == [120, 160]
    assert server.requests == []
    said = afere(project, "eval", "qa", "--dry-run").stdout
    assert "20 cases x 2 repeats: 120 to 160 calls, $" in said
    assert server.requests == []


def test_after_an_experiment_its_runs_say_what_the_next_will_take(server: OpenAIServer, project: Path) -> None:
    made = json.loads(afere(project, "eval", "qa", "--json").stdout)
    asked = len(server.requests)
    found = forecast(project)
    target = found["parts"][0]
    assert target["source"] == "as 40 runs of experiment:1 were"
    assert target["calls"] == [40, 40]
    measures = {one["name"]: one for one in made["measures"]}
    low, high = target["cost"]
    assert low - 1e-12 <= measures["cost"]["value"] * 40 <= high + 1e-12
    assert target["output_tokens"] == [80, 80]  # "yes indeed", each time
    assert found["seconds"][0] is not None
    assert len(server.requests) == asked


def test_what_nothing_is_known_of_is_said_to_be_unknown(server: OpenAIServer, project: Path) -> None:
    (project / "evals/qa.yaml").write_text(SUITE.format(target="http://127.0.0.1:9/answer"))
    found = forecast(project)
    assert found["parts"][0]["calls"] == [None, None]
    assert "not known" in found["parts"][0]["source"]
    assert found["cost"] == [None, None]
    assert found["parts"][1]["calls"] == [40, 40], "the judge's questions are known"


@pytest.mark.parametrize(("answer", "begins"), [("n", False), ("y", True)])
def test_at_a_terminal_it_asks_before_it_spends_much(
    server: OpenAIServer, project: Path, answer: str, begins: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "afere.cli.main", "eval", "qa", "--ask-above", "0.01"]
    child = subprocess.Popen(command, cwd=project, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    said = b""
    while b"Begin?" not in said:
        said += os.read(ours, 1000)
    assert b"$" in said
    asked = len(server.requests)
    os.write(ours, f"{answer}\n".encode())
    assert child.stdout is not None
    child.stdout.read()
    assert (child.wait(timeout=60) == 0) is begins
    os.close(ours)
    assert asked == 0
    assert bool(server.requests) is begins
