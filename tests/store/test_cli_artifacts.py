"""`afere show`, `diff`, `promote`, `rollback`, `audit` and `doctor`, as a user types them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import afere.store
from afere.base.artifact import Use
from afere.base.errors import BadInput, NotFound, Refused
from afere.base.score import Score
from afere.base.span import Span
from afere.cli.main import cli

TRACE = "4f2a9c0000000000000000000000beef"


def run(*words: str) -> Result:
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json").output)


@pytest.fixture
def store(project: Path) -> Path:
    (project / "prompts").mkdir()
    (project / "prompts" / "answer.md").write_text(
        "---\ninputs: {q: string}\n---\nAnswer [bold]briefly[/bold]: {{ q }}\n"
    )
    with afere.store.open() as session:
        inputs = {"q": {"type": "string"}}
        one = session.put("prompt", "answer", {"template": "Answer: {{ q }}\nBye.\n", "inputs": inputs}, why="first")
        two = session.put("prompt", "answer", {"template": "Reply: {{ q }}\nBye.\n", "inputs": inputs, "tools": ["x"]})
        for temperature, prompt in ((0.2, one), (0.7, two)):
            content = {"model": "m", "parameters": {"temperature": temperature}}
            session.put("component", "answer", content, uses=[Use("prompt", prompt.ref, prompt.hash)])
        start = 1_800_000_000_000_000_000
        session.spans.write(
            [
                Span(TRACE, "a" * 16, "qa", start, kind="chain", end=start + 2_000_000_000, input={"q": "why?"}),
                Span(
                    TRACE, "b" * 16, "answer", start + 1, parent_id="a" * 16, kind="llm", end=start + 1_500_000_000,
                    model="gpt-x", input_tokens=12, output_tokens=3, cost=0.0021, status="error", error="too late",
                ),
            ]
        )  # fmt: skip
        session.append(Score(TRACE, "helpful", False, "user:42", "no answer"))
    return project / ".afere"


def test_show_draws_a_version_with_its_template_as_text(store: Path) -> None:
    run("promote", "prompt:answer@1", "production", "--why", "it [red]passed[/red]")
    shown = run("show", "prompt:answer@production").output
    for part in ("prompt:answer@1", "production", "first", "Answer: {{ q }}", "person:local"):
        assert part in shown
    assert run_json("show", "component:answer@2")["uses"][0]["ref"] == "prompt:answer@2"
    assert "[bold]briefly[/bold]" in run("show", "prompt:answer").output  # as the file says now


def test_show_draws_a_trace_as_a_tree(store: Path) -> None:
    shown = run("show", "4f2a9c").output
    for part in (
        "qa",
        "└── answer llm  1.500 s  gpt-x  12 + 3 tokens, $0.0021  too late",
        "helpful = false by user:42",
    ):
        assert part in shown
    trace = run_json("show", TRACE)
    assert (trace["name"], trace["seconds"], trace["totals"]["cost"]) == ("qa", 2.0, 0.0021)
    assert [span["name"] for span in trace["spans"]] == ["qa", "answer"]
    assert trace["scores"][0]["why"] == "no answer"
    with pytest.raises(NotFound, match="afere traces"):
        run("show", "abcdef99")


def test_diff_names_each_place_that_changed(store: Path) -> None:
    changes = {
        change["path"]: change for change in run_json("diff", "component:answer@1", "component:answer@2")["changes"]
    }
    assert changes.keys() == {"content.parameters.temperature", "uses.prompt"}
    assert (changes["uses.prompt"]["before"], changes["uses.prompt"]["after"]) == ("prompt:answer@1", "prompt:answer@2")
    drawn = run("diff", "prompt:answer@1", "prompt:answer@2").output
    assert "-Answer: {{ q }}" in drawn
    assert "+Reply: {{ q }}" in drawn
    assert 'content.tools: + ["x"]' in drawn
    assert "are the same" in run("diff", "prompt:answer@1", "prompt:answer@1").output
    assert "+Answer [bold]briefly[/bold]: {{ q }}" in run("diff", "prompt:answer@2", "answer").output
    with pytest.raises(BadInput, match="two kinds"):
        run("diff", "prompt:answer@1", "component:answer@1")


def test_promote_and_rollback_move_the_alias_and_keep_its_history(store: Path) -> None:
    assert "nothing -> prompt:answer@1" in run("promote", "prompt:answer@1", "production", "--why", "first").output
    assert run_json("promote", "prompt:answer@2", "production", "--why", "better")["from"] == "prompt:answer@1"
    assert "prompt:answer@2 -> prompt:answer@1" in run("rollback", "prompt:answer", "production").output
    with pytest.raises(Refused, match="differs from every version"):
        run("promote", "prompt:answer", "production", "--why", "what my file says")
    with pytest.raises(BadInput, match=r"afere promote prompt:answer@1 production$"):
        run("promote", "prompt:answer@1", "answer@production", "--why", "again")
    assert len(afere.store.open().find("aliases").items) == 3


def test_audit_verify_prints_the_head_and_fails_when_something_was_changed(store: Path) -> None:
    sound = run_json("audit", "verify")
    assert sound["sound"]
    assert run("audit", "verify", "--head", sound["head"]).return_value == 0
    with closing(sqlite3.connect(store / "afere.db")) as connection, connection:
        connection.execute("UPDATE artifacts SET why = 'another reason' WHERE version = 1")
    result = run("audit", "verify")
    assert result.return_value == 4
    assert "prompt:answer@1" in result.output


def test_the_doctor_finds_what_is_wrong_and_names_the_remedy(store: Path, project: Path) -> None:
    assert run("doctor").return_value == 0
    with afere.store.open() as session:
        digest = session.put("dataset", "qa", {}, blob=b"rows").blob or ""
    blob = store / "blobs" / digest[7:9] / digest[9:]
    blob.write_bytes(b"other")
    found = run("doctor", "--json")
    assert found.return_value == 4
    errors = [finding for finding in json.loads(found.output)["findings"] if finding["severity"] == "error"]
    assert [error["about"] for error in errors] == ["blobs"]
    assert "dataset:qa@1" in errors[0]["what"]
    assert str(blob) in errors[0]["what"]
    (project / "afere.yaml").write_text("project: [")
    assert "afere.yaml:1" in run("doctor").output


def test_the_doctor_saves_what_can_be_read_of_a_damaged_database(store: Path) -> None:
    with afere.store.open() as session:
        for i in range(300):
            session.append(Score(f"t{i}", "n", i, "scorer:x", why="x" * 500))
    file = store / "afere.db"
    with file.open("r+b") as stream:  # a page in the middle of the scores
        stream.seek(file.stat().st_size * 2 // 3 // 4096 * 4096)
        stream.write(b"\xff" * 4096)
    damaged = file.read_bytes()
    assert run("doctor").return_value == 4
    run("doctor", "--repair")
    with afere.store.open() as session:
        assert session.get("prompt:answer@2").content["tools"] == ["x"]
        assert session.get("component:answer@2").uses[0].ref == "prompt:answer@2"
        assert 100 < len(session.find("scores", limit=1000).items) <= 301
        session.put("prompt", "answer", "and on it goes")
    assert [path.read_bytes() for path in store.glob("afere.db.damaged-*Z")] == [damaged]
    assert run("doctor", "--repair").output.count("not damaged") == 1
