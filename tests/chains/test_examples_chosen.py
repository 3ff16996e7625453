"""Examples chosen at each call: the nearest rows of a dataset, the same ones each time, told by span and lineage."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.errors import BadPrompt
from afere.base.project import find_project
from afere.chains.prompt import load_prompt, stored_prompt
from afere.data.place import session_of
from afere.govern.lineage import lineage
from afere.govern.promptwriting import file_text
from afere.testing import ScriptedModel

ROWS = [
    {"id": "leave", "input": {"q": "How many days of holiday do I have?"}, "output": "hr"},
    {"id": "laptop", "input": {"q": "My laptop does not start"}, "output": "it"},
    {"id": "invoice", "input": {"q": "The invoice is too high"}, "expected": "billing"},
    {"id": "printer", "input": {"q": "The printer does not start"}, "output": "it"},
]
PROMPT = """---
model: scripted:{model}
inputs: {{q: string}}
examples: {{data: {data}, nearest: {n}}}
---
# system
Name the desk.
# user
{{{{ q }}}}
"""


@pytest.fixture
def desk(project: Path, write: Any, model: ScriptedModel) -> Any:
    write("data/shots.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    write("prompts/desk.md", PROMPT.format(model=model.name, data="data/shots.jsonl", n=2))
    return afere.prompt("prompts/desk.md")


def _texts(messages: list[Any]) -> list[str]:
    return [one.text for one in messages]


def test_the_nearest_rows_are_shown_and_the_nearest_of_all_stands_last(desk: Any) -> None:
    shown = _texts(desk.render(q="The laptop does not start any more"))
    assert shown == [
        "Name the desk.", "The printer does not start", "it", "My laptop does not start", "it",
        "The laptop does not start any more",
    ]  # fmt: skip
    assert _texts(desk.render(q="invoice"))[-3:] == ["The invoice is too high", "billing", "invoice"]
    assert shown == _texts(desk.render(q="The laptop does not start any more"))


@pytest.mark.parametrize("how", ["call", "async", "stream"])
def test_the_span_tells_the_rows_and_lineage_finds_the_answer_from_a_row(
    desk: Any, model: ScriptedModel, project: Path, how: str
) -> None:
    question = "Does the printer not start?"
    if how == "call":
        desk(q=question)
    elif how == "async":
        asyncio.run(desk.aio(q=question))
    else:
        list(desk.stream(q=question))
    assert [one.text for one in model.requests[-1].messages][-3:] == ["The printer does not start", "it", question]
    afere.flush()
    session = session_of(find_project())
    (root,) = session.spans.find(roots=True).items
    trace = session.spans.trace(root.trace_id)
    assert trace is not None
    told = trace.spans[0].attributes["afere.examples"]
    assert [one["row"] for one in told] == ["data/shots.jsonl/laptop", "data/shots.jsonl/printer"]
    assert 0 < told[0]["likeness"] <= told[1]["likeness"] <= 1
    up = lineage(session, root.trace_id).up
    assert up is not None
    assert {one.ref for one in up.items if one.kind == "row"} == {one["row"] for one in told}
    down = lineage(session, "data/shots.jsonl/printer").down
    assert down is not None
    assert [one.ref for one in down.items] == [root.trace_id]


def test_rows_of_a_dataset_version_are_named_by_it(project: Path, write: Any, model: ScriptedModel) -> None:
    afere.dataset(ROWS, name="shots")
    write("prompts/desk.md", PROMPT.format(model=model.name, data="dataset:shots@1", n=1))
    afere.prompt("prompts/desk.md")(q="holiday")
    afere.flush()
    session = session_of(find_project())
    (root,) = session.spans.find(roots=True).items
    down = lineage(session, "dataset:shots@1/leave").down
    assert down is not None
    assert [one.ref for one in down.items] == [root.trace_id]


def test_a_version_holds_all_rows_and_is_written_back_as_it_was(desk: Any, project: Path) -> None:
    session = session_of(find_project())
    desk.put(session)
    version = session.get("prompt:desk")
    assert isinstance(version.content, dict)
    said = version.content["examples"]
    assert isinstance(said, dict)
    assert (said["nearest"], len(said["data"])) == (2, 4)
    stored = stored_prompt(version)
    asked = {"q": "invoice"}
    assert _texts(stored.render(stored.values(asked))) == _texts(desk.render(**asked))
    path = project / "prompts/other.md"
    path.write_text(file_text(version, path, find_project(), None))
    assert load_prompt(path, find_project()).content == version.content


def test_how_many_are_shown_is_another_version_of_the_prompt(desk: Any, project: Path, write: Any) -> None:
    before = desk.prompt.content
    assert len(_texts(desk.render(q="invoice"))) == 6
    write("prompts/desk.md", (project / "prompts/desk.md").read_text().replace("nearest: 2", "nearest: 0"))
    assert _texts(desk.render(q="invoice")) == ["Name the desk.", "invoice"]
    assert desk.prompt.content != before


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ("{data: data/none.jsonl, nearest: 2}", "there is no file 'data/none.jsonl'"),
        ("{data: data/shots.jsonl, nearest: -1}", "nearest"),
        ("{data: data/shots.jsonl, nearest: 2, by: [topic]}", "'topic' is no input of this prompt. Its inputs: q"),
        ("{data: data/shots.jsonl}", "nearest"),
        ("{data: data/shots.jsonl, nearest: 2, order: up}", "order"),
    ],
)
def test_a_mistake_names_the_field(project: Path, write: Any, examples: str, said: str) -> None:
    write("data/shots.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    write("prompts/desk.md", f"---\nmodel: scripted:x\ninputs: {{q: string}}\nexamples: {examples}\n---\n{{{{ q }}}}")
    with pytest.raises(BadPrompt) as problem:
        afere.prompt("prompts/desk.md")
    assert said in str(problem.value)
    assert "prompts/desk.md:4" in str(problem.value)
