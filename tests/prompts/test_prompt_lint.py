"""`afere prompt lint` and `blame`, and what `afere diff` says of two versions of a prompt."""

from __future__ import annotations

import json

import pytest

import afere
from afere.base.project import find_project
from afere.data.place import session_of
from afere.store import looking
from afere.testing import ScriptedModel

GOOD = "---\nowner: support\ninputs: {q: string}\n---\n{{ q }}\n"


def found(run, *files: str) -> list[tuple[str, str]]:
    code, said = run("prompt", "lint", *files, "--json")
    problems = json.loads(said)["problems"]
    assert code == (1 if any(one["severity"] == "error" for one in problems) else 0)
    return [(one["rule"], one["place"]) for one in problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD, None),
        (GOOD.replace("owner: support\n", ""), ("unowned", "prompts/a.md:1")),
        (GOOD.replace("{{ q }}", "Hello\n{{ p }} {{ q }}"), ("broken", "prompts/a.md:6")),
        (GOOD.replace("inputs:", "inptus:"), ("broken", "prompts/a.md:3")),
        (GOOD.replace("owner: support", "owner: ["), ("broken", "prompts/a.md:3")),
        (GOOD.replace("inputs: {q: string}", "inputs:\n  q: string\n  tone: string"), ("unused-input", "prompts/a.md:5")),
        (GOOD.replace("\n---\n{{", "\nexamples: [{input: {p: x}, output: y}]\n---\n{{"), ("example", "prompts/a.md:4")),
        (
            GOOD.replace("\n---\n{{", "\noutput: {type: object}\nexamples: [{input: {q: x}, output: y}]\n---\n{{"),
            ("example", "prompts/a.md:5"),
        ),
        (GOOD.replace("{{ q }}", "{% if q %}"), ("broken", "prompts/a.md:5")),
        (
            GOOD.replace("\n---\n{{", "\nexamples: {data: [{input: x, output: y}], nearest: 1, embed: hsah}\n---\n{{"),
            ("example", "prompts/a.md:4"),
        ),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line(run, write, text, problem) -> None:
    write("prompts/a.md", text)
    write("prompts/b.md", GOOD)
    assert found(run) == ([problem] if problem else [])
    assert found(run, "prompts/b.md") == []


def test_an_example_that_an_evaluation_asks_too_is_an_error_and_a_near_one_is_none(run, write) -> None:
    write("evals/qa.yaml", "target: qa\ndata: data/qa.jsonl\nscorers: [exact]\n")
    write("data/qa.jsonl", '{"id": "e-1", "input": {"q": "May I bring my dog?"}, "expected": "Yes."}\n')
    write("data/shots.jsonl", '{"input": {"q": "may I bring  my DOG"}, "expected": "Yes."}\n')
    write("prompts/a.md", GOOD.replace("inputs:", "examples: data/shots.jsonl\ninputs:"))
    write("prompts/b.md", GOOD.replace("inputs:", 'examples: [{input: "May I bring my cat?", output: "No."}]\ninputs:'))
    write(
        "prompts/c.md",
        GOOD.replace("inputs:", "examples: data/shots.jsonl\ninputs:").replace("string}", "string, p: array}")
        + "{{ p }}",
    )
    assert found(run) == [
        ("contamination", "prompts/a.md:3"),
        ("example", "prompts/c.md:3"),
        ("contamination", "prompts/c.md:3"),
    ]
    (write("prompts/c.md", GOOD)).unlink()
    assert "qa:e-1" in run("prompt", "lint")[1]
    write("data/qa.jsonl", '{"input": {"q": "Else?"}}\n{"input": {"q": "May I bring my dog?"}, "expected": "Yes."}\n')
    assert "the evaluation row qa:2:" in run("prompt", "lint")[1]


def test_what_is_nearly_asked_is_a_warning_and_a_snippet_that_holds_the_question_is_an_error(run, write) -> None:
    write("evals/qa.yaml", "target: qa\ndata: data/qa.jsonl\nscorers: [exact]\n")
    write(
        "data/qa.jsonl",
        '{"id": "e-1", "input": {"question": "How many days of leave may I take over into next year?"}, "expected": "Five."}\n'
        '{"id": "e-2", "input": {"question": "Which laptop do new colleagues get?"}, "expected": "A small one."}\n',
    )
    write(
        "data/terms.jsonl",
        '{"text": "Leave lapses in March."}\n{"text": "Asked often: Which laptop do new colleagues get? A small one."}\n',
    )
    shot = "[{input: {q: 'How many days of leave may I take over into the next year?'}, output: Five}]"
    write(
        "prompts/a.md",
        GOOD.replace("inputs:", f"examples: {shot}\nsnippets: {{terms: data/terms.jsonl}}\ninputs:").replace(
            "{{ q", "{{ snippets.terms }} {{ q"
        ),
    )
    assert sorted(found(run)) == [("contamination", "prompts/a.md:3"), ("contamination", "prompts/a.md:4")]
    said = run("prompt", "lint")[1]
    assert "example 1 is nearly the evaluation row qa:e-1 (0." in said
    assert "snippet 2 of terms holds the evaluation row qa:e-2" in said
    check = run("dataset", "check", "data/qa.jsonl")[1]
    assert "prompts/a.md snippet 2 of terms" in check and "prompts/a.md example 1" in check


def test_warnings_count_when_asked_and_included_parts_are_no_prompts(run, write) -> None:
    write("prompts/parts/tone.md", "Be {{ tone }}.")
    write("prompts/a.md", '{% include "parts/tone.md" %}')
    assert found(run) == [("unowned", "prompts/a.md:1")]
    assert run("prompt", "lint")[1].endswith("1 prompt file: 0 errors, 1 warning\n")
    assert run("prompt", "lint", "--strict")[0] == 1
    assert run("prompt", "lint", "prompts/none.md")[0] == 2
    assert run("prompt", "lint", "a")[1].endswith("1 prompt file: 0 errors, 1 warning\n")


def test_blame_names_the_version_of_each_line_and_a_line_that_moved_keeps_its_own(run, write) -> None:
    session = afere.open()
    for text, why in (("One\nTwo", "begin"), ("One\nTwo\nThree", "more"), ("Zero\nOne\nTwo!\nThree", "louder")):
        session.put("prompt", "a", {"template": text, "inputs": None, "output": None}, why=why)
    lines = json.loads(run("prompt", "blame", "a", "--json")[1])
    assert [(one["text"], one["version"], one["why"]) for one in lines] == [
        ("Zero", 3, "louder"), ("One", 1, "begin"), ("Two!", 3, "louder"), ("Three", 2, "more")
    ]  # fmt: skip
    assert {one["by"] for one in lines} == {"person:local"} and all(one["at"] for one in lines)
    write("prompts/a.md", "Zero\nOne\nTwo!\nThree\nFour")
    said = run("prompt", "blame", "prompt:a")[1].splitlines()
    assert run("prompt", "blame", "prompts/a.md")[1].splitlines() == said
    assert (
        said[0].startswith("@3 ") and "(louder)" in said[0] and said[-1].startswith("as written") and "Four" in said[-1]
    )
    assert run("prompt", "blame", "b")[0] == 2


def test_diff_tells_variables_and_marks_the_words(run, monkeypatch) -> None:
    from rich.console import Console

    from afere.cli.drawing import draw_places

    session = afere.open()
    for text in ("Be brief.\n{{ question }}", "Be very brief.\n{{ question }} {{ tone }}"):
        session.put("prompt", "a", {"template": text, "inputs": None, "output": None})
    changes = json.loads(run("diff", "prompt:a@1", "prompt:a@2", "--json")[1])["changes"]
    assert {"path": "variables", "before": ["question"], "after": ["question", "tone"]} in changes
    console = Console(force_terminal=True, color_system="standard", width=80, record=True)
    draw_places(console, changes)
    marked = [part for part in console.export_text(styles=True).split("\x1b[") if part.startswith("1;4")]
    assert [part.split("m", 1)[1].strip() for part in marked][:1] == ["very"]


def test_what_lint_finds_is_told_when_a_prompt_is_pushed_and_promoted_and_keeps_nothing_back(run, write) -> None:
    write("prompts/a.md", GOOD.replace("inputs: {q: string}", "inputs: {q: string, tone: {type: string, default: x}}"))
    code, said = run("prompt", "push")
    assert code == 0
    assert "prompts/a.md:3: warning: the input 'tone' is declared" in said
    code, said = run("promote", "prompt:a@1", "production", "--why", "ready")
    assert code == 0
    assert "prompt:a@1: warning: the input 'tone' is declared" in said


def test_a_new_version_made_from_python_is_linted_and_logged_once(run, write, caplog, project) -> None:
    ScriptedModel("said", {"": "ok"})
    write("prompts/answer.md", "---\nmodel: scripted:said\ninputs: {q: string, z: {default: 1}}\n---\nSay {{ q }}")
    content = {"template": "Hi {{ x }}", "inputs": {"y": {"type": "string"}}, "output": None}
    for _ in range(2):
        with afere.open() as session:  # its close waits for the look
            session.put("prompt", "raw", content)
            session.put("prompt", "text", "no template at all")
            session.put("prompt", "sound", {"template": "Hi", "inputs": None, "output": None})
        answer = afere.prompt("prompts/answer.md")
        assert answer(q="x") == "ok"
        looking.finish(session_of(find_project()))
    told = [record.getMessage() for record in caplog.records if "lint finds" in record.getMessage()]
    assert [one.partition(" ")[0] for one in told] == ["prompt:raw@1", "prompt:text@1", "prompt:answer@1"]
    assert "1 error: prompt:raw@1:1: 'x' is not among the inputs" in told[0]
    assert "1 warning: the input 'z' is declared" in told[2] and told[2].endswith("All: afere prompt lint answer")
    _, said = run("prompt", "status")
    assert "1 error: prompt:raw@1:1: 'x' is not among the inputs" in said
    rules = {
        one["name"]: {each["rule"] for each in one["lint"]} for one in json.loads(run("prompt", "status", "--json")[1])
    }
    assert rules == {"answer": {"unused-input", "unowned"}, "raw": {"broken"}, "text": {"broken"}, "sound": set()}


def test_characters_escaped_as_json_does_are_read_and_half_of_one_is_named(run, write) -> None:
    emoji = "\\ud83d\\ude00"  # as json.dumps writes it
    write("prompts/a.md", GOOD.replace("owner: support", f'owner: "{emoji} support"'))
    assert found(run) == []
    write("prompts/a.md", GOOD.replace("owner: support", 'owner: "\\ud83d"'))
    assert found(run) == [("broken", "prompts/a.md:2")]


def test_a_new_version_on_a_server_is_told_to_the_program_that_made_it(site, caplog, write) -> None:
    content = {"template": "Hi {{ x }}", "inputs": {"y": {"type": "string"}}, "output": None}
    for _ in range(2):
        with afere.open() as session:
            session.put("prompt", "raw", content)
    told = [record.getMessage() for record in caplog.records if "lint finds" in record.getMessage()]
    assert len(told) == 1 and told[0].startswith("prompt:raw@1 was made, and lint finds 1 error")
