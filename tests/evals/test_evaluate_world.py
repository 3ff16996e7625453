"""An evaluation in a world that fails: killed processes, models that are down, limits. Real processes and real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import afere
from afere.models import Request
from afere.testing import Answer, OpenAIServer

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
