"""`afere blame`: of several changed components, the one that did it is named, and no other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import afere.server.app
import afere.store
from afere.models import Request
from afere.net import Call, send
from afere.server import Server
from afere.testing import Answer, OpenAIServer

Run = Callable[..., tuple[int, str, str]]

APP = """
import afere

rewrite = afere.prompt("prompts/rewrite.md")
answer = afere.prompt("prompts/answer.md")

@afere.chain
def qa(question: str) -> str:
    return answer(question=rewrite(question=question))
"""
FILES = {
    "afere.yaml": "project: handbook\nchains: {{qa: 'app:qa'}}\nmodels: {{m: '{url}#m'}}\n",
    "prompts/rewrite.md": "---\nmodel: m\n---\nKeep: {{{{question}}}}",
    "prompts/answer.md": "---\nmodel: m\n---\nAnswer: {{{{question}}}}",
    "evals/qa.yaml": "name: qa\ntarget: qa\ndata: data/qa.jsonl\nscorers: [exact]\n",
    "app.py": APP,
}


def says(request: Request) -> Answer:
    """Rewrites as it is told, `Lose` forgets every third number; answers with the number, whatever the wording."""
    task, _, text = request.messages[-1].text.partition(": ")
    if task == "Lose" and int(text.split()[-1]) % 3 == 0:
        return Answer("what?")
    return Answer(text if task in ("Keep", "Lose") else text.split()[-1])


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(says, models=("m",)) as server:
        yield server


@pytest.fixture
def suite(project: Path, server: OpenAIServer) -> Path:
    """Experiment 1 of what is there; experiment 2 after a harmful change of rewrite and a harmless one of answer."""
    for folder in ("prompts", "evals", "data"):
        (project / folder).mkdir()
    for name, text in FILES.items():
        (project / name).write_text(text.format(url=server.url) if name != "app.py" else text)
    rows = [{"id": f"e-{i}", "input": {"question": f"it is {i}"}, "expected": str(i)} for i in range(30)]
    (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return project


def changed(suite: Path, cli: Run, **prompts: str) -> None:
    for name, task in prompts.items():
        (suite / f"prompts/{name}.md").write_text(f"---\nmodel: m\n---\n{task}: {{{{question}}}}")
    assert cli("eval", "qa")[0] == 0


def by_label(found: dict[str, Any]) -> dict[str, Any]:
    return {one["label"]: one for one in found["arms"]}


def test_the_component_whose_change_did_it_is_named_and_no_other(suite: Path, cli: Run, server: OpenAIServer) -> None:
    changed(suite, cli)
    changed(suite, cli, rewrite="Lose", answer="Reply")
    before = len(server.requests)
    status, out, _ = cli("blame", "1", "2", "--json")
    found = json.loads(out)
    assert status == 0, found
    arms = by_label(found)
    assert list(arms) == ["answer", "rewrite", "all of them"]
    assert arms["rewrite"]["found"]["value"] == pytest.approx(10 / 30)
    assert arms["rewrite"]["found"]["answer"] == "better"
    assert arms["rewrite"]["found"]["low"] > 0
    assert arms["answer"]["found"]["value"] == 0
    assert arms["answer"]["found"]["answer"] == "open"
    assert (len(found["lost"]), len(arms["rewrite"]["restored"]), arms["answer"]["restored"]) == (10, 10, [])
    assert found["total"]["value"] == pytest.approx(10 / 30)
    assert "The change of rewrite made it worse: put back alone, exact moves by +0.333" in found["says"]
    assert "The change of answer" not in found["says"]
    # what was answered before is not asked again: only "Reply" to the ten that are kept now, and "Answer" to "what?"
    asked = len(server.requests)
    assert 10 < asked - before <= 10 + 10
    text = cli("blame", "experiment:1", "experiment:2")[1]
    assert "made it worse" in text and "/compare/1/2" in text
    assert len(server.requests) == asked
    with afere.store.open(suite / ".afere", project="handbook") as session:
        server_ = Server(session, port=0)
        thread = threading.Thread(target=server_.run, daemon=True)
        thread.start()
        html = send(Call("GET", f"{server_.url}/compare/1/2")).body.decode()
        home = send(Call("GET", f"{server_.url}/handbook")).body.decode()
        told = json.loads(send(Call("GET", f"{server_.url}/compare/1/2.json")).body)
        server_.stop()
        thread.join(10)
    assert told["blame"]["says"] == found["says"]
    for one in found["arms"]:
        assert f'data-value="{one["found"]["value"]}"' in html
    assert "made it worse" in html
    assert "/compare/1/2#blame" in home.replace("&#x2f;", "/")


def test_the_interval_of_a_part_holds_what_its_change_did(suite: Path, cli: Run, server: OpenAIServer) -> None:
    """Two changes that both do harm, on cases of their own: each is blamed for its own share, and all for both."""
    changed(suite, cli)

    def half(request: Request) -> Answer:
        task, _, text = request.messages[-1].text.partition(": ")
        number = text.split()[-1]
        return (
            Answer("no" if number.isdecimal() and int(number) % 3 == 1 else number) if task == "Half" else says(request)
        )

    server.says(half)
    changed(suite, cli, rewrite="Lose", answer="Half")
    arms = by_label(json.loads(cli("blame", "1", "2", "--json")[1]))
    for arm in arms.values():  # each number follows from the cases that it names, and the answer from its interval
        one, won = arm["found"], len(arm["restored"])
        after, alone = [1.0] * won + [0.0] * (30 - won), [str(i) for i in range(30)]
        found = afere.evals.stats.difference([0.0] * 30, after, alone, rate=True)
        assert (one["value"], one["n"]) == (pytest.approx(won / 30), 30)
        assert (one["low"], one["high"]) == (pytest.approx(found.low), pytest.approx(found.high))
        assert one["answer"] == ("better" if one["low"] > 0 else "open")
    for name in ("rewrite", "answer"):
        assert arms[name]["found"]["low"] < 10 / 30 < arms[name]["found"]["high"]
        assert (arms[name]["found"]["answer"], len(arms[name]["restored"])) == ("better", 10)
    assert arms["all of them"]["found"]["value"] == pytest.approx(20 / 30)


def test_a_change_of_code_alone_blames_nobody(suite: Path, cli: Run) -> None:
    changed(suite, cli)
    (suite / "app.py").write_text(APP.replace("return answer(question=rewrite(question=question))", "return 'no'"))
    changed(suite, cli)
    status, _, err = cli("blame", "1", "2")
    assert status == 2
    assert "No component differs between experiment:1 and experiment:2" in err


def test_what_cannot_be_blamed_says_why(suite: Path, cli: Run) -> None:
    changed(suite, cli)
    changed(suite, cli, rewrite="Lose")
    status, _, err = cli("blame", "1", "2", "--measure", "f1")
    assert (status, "--measure f1: no number of that name" in err) == (2, True)
    (suite / "prompts/answer.md").write_text("---\nmodel: m\n---\nOther: {{question}}")
    status, _, err = cli("blame", "1", "2")
    assert status == 2
    assert "What is here is not what experiment:2 ran" in err
    assert "afere eval qa" in err
    assert cli("blame", "2", "1")[0] == 2
    assert cli("blame", "1", "9")[0] == 2
