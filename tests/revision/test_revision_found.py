"""What static analysis cannot see is added from what ran, and stays known."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from afere.cli.main import cli
from afere.server.pages.asked import Asked
from afere.server.pages.home import page
from afere.store import open as open_store

APP = """\
import os
import afere
from afere.testing import ScriptedModel

ScriptedModel("m", {"": "yes"})


@afere.chain
def qa(question: str) -> str:
    return afere.prompt("/".join(["prompts", question + ".md"]))(q=question)


@afere.chain
def find(question: str) -> int:
    return len(afere.search("handbook", question))


@afere.chain
def known(question: str) -> str:
    return afere.prompt("prompts/first.md")(q=question)
"""
CONFIG = """\
project: handbook
chains: {qa: "app:qa", find: "app:find", known: "app:known"}
indexes: {handbook: {source: docs/, embed: none}}
"""
SUITE = "name: {target}\ntarget: {target}\ndata: data.jsonl\nscorers: [exact]\n"


@pytest.fixture(autouse=True)
def app(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in {
        "afere.yaml": CONFIG, "app.py": APP, "docs/a.md": "# Lunch\n\nLunch is at noon.\n",
        "prompts/first.md": "---\nmodel: scripted:m\n---\nFirst {{ q }}", "prompts/second.md": "---\nmodel: scripted:m\n---\nSecond {{ q }}",
        "data.jsonl": "".join(json.dumps({"input": {"question": q}, "expected": "yes"}) + "\n" for q in ("first", "second")),
        "evals/qa.yaml": SUITE.format(target="qa"),
    }.items():  # fmt: skip
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    return project


def afere(*words: str) -> str:
    """What a command prints; the user's modules are imported anew, as in a process of its own."""
    for name in ("app", "desk", "hands", "plug"):
        sys.modules.pop(name, None)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        cli.main([*words], standalone_mode=False)
    return said.getvalue()


def answered(*words: str) -> dict[str, Any]:
    return json.loads(afere(*words, "--json"))


def elsewhere(*words: str) -> dict[str, Any]:
    """The same in another process."""
    command = [sys.executable, "-m", "afere.cli.main", *words, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)


def uses(ref: str) -> dict[str, str]:
    return {use["as"]: use["ref"] for use in answered("show", ref)["uses"]}


def test_a_prompt_that_only_a_run_shows_joins_the_revision_of_that_run_and_of_later_processes() -> None:
    first = elsewhere("run", "qa", "first")
    assert uses(first["revision"]) == {"found component first": "component:first@1"}
    assert elsewhere("show", "qa")["hash"] == answered("show", first["revision"])["hash"]
    again = answered("run", "qa", "first")
    assert again["revision"] == first["revision"]
    shown = afere("show", "chain:qa")
    assert "found by running\n  component first" in shown and "python: " in shown
    assert "component first was found by running" in answered("show", "chain:qa")["notes"]
    replayed = answered("replay", first["trace_id"])["items"][0]
    assert (replayed["exact"], replayed["notes"]) == (True, [])


def test_an_edit_of_a_found_prompt_takes_its_place_and_of_the_code_forgets_it(app: Path) -> None:
    answered("run", "qa", "first")
    (app / "prompts/first.md").write_text("---\nmodel: scripted:m\n---\nFirst of all {{ q }}")
    edited = answered("run", "qa", "first")
    assert uses(edited["revision"]) == uses("qa") == {"found component first": "component:first@2"}
    (app / "prompts/first.md").write_text("---\nmodel: scripted:m\n---\nFirst {{ q }}")
    assert uses(answered("run", "qa", "first")["revision"]) == {"found component first": "component:first@1"}
    importlib.import_module("afere.chains.revision.found")._KNOWN.clear()
    assert uses("qa") == {"found component first": "component:first@1"}, "what ran last, for later processes too"
    (app / "app.py").write_text(APP.replace('question + ".md"', 'question.lower() + ".md"'))
    assert uses("qa") == {}


def test_one_prompt_with_two_models_settles_on_both(app: Path) -> None:
    (app / "app.py").write_text(
        APP.replace(
            'ScriptedModel("m", {"": "yes"})', 'ScriptedModel("m", {"": "yes"})\nScriptedModel("n", {"": "no"})'
        )
        + "\n\n@afere.chain\ndef two(model: str) -> str:\n    return afere.prompt('prompts/first.md', model='scripted:' + model)(q='x')\n"
    )
    runs = [answered("run", "app:two", model)["revision"] for model in ("m", "n", "m", "n")]
    assert runs[1] == runs[2] == runs[3] != runs[0]


def test_the_first_run_which_builds_an_index_ends_on_the_revision_that_has_it_and_replays_exactly() -> None:
    run = answered("run", "find", "lunch")
    assert run["output"] == 1
    assert uses(run["revision"]) == {"index handbook": "index:handbook@1"}
    replayed = answered("replay", run["trace_id"])["items"][0]
    assert (replayed["exact"], replayed["notes"]) == (True, [])


def test_nothing_is_new_where_all_that_ran_was_reached() -> None:
    answered("run", "known", "x")
    answered("run", "known", "y")
    assert answered("show", "known")["version"] == 1


def test_an_evaluation_settles_once_at_its_end_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    made = answered("eval", "qa")
    (told,) = [line for line in caplog.messages if "ran without being part" in line]
    assert "component first, component second" in told
    now = answered("show", "qa")
    assert now["version"] == 2, "one before, one after"
    assert set(uses("qa")) == {"found component first", "found component second"}
    assert made["target"][1] == now["hash"]
    row = answered("traces", "environment:evaluation")["items"][0]["trace_id"]
    assert answered("replay", row)["items"][0]["exact"], "what other rows have shown is no other code"
    caplog.clear()
    assert answered("eval", "qa")["target"] == made["target"] and not caplog.messages


def test_rows_of_an_evaluation_say_that_they_are() -> None:
    answered("eval", "qa")
    answered("run", "qa", "first")
    assert len(answered("traces", "environment:evaluation")["items"]) == 2
    assert len(answered("traces", "-environment:evaluation")["items"]) == 1
    with open_store(project="handbook") as session:
        home = page(session, Asked())
    assert home.requests == 1 and home.verdict.endswith(" 2 runs of evaluations not counted.")


TOOLS = '''\
import afere


@afere.tool
def lookup(word: str) -> str:
    """Looks a word up."""
    return helper(word)


def helper(word):
    return word.upper()


@afere.tool(name="by-post")
def send(to: str) -> str:
    """Sends a letter."""
    return to


@afere.tool
def unused(to: str) -> str:
    """Nobody asks for this."""
    return to
'''
DESK = """\
import afere
import hands
from afere.testing import Answer, ScriptedModel

ScriptedModel("desk", [Answer(calls=[("by-post", {"to": "Ana"})]), "done"])
desk = afere.agent(afere.prompt("prompts/desk.md"), tools=["by-post"], name="desk")


@afere.chain
def ask(question: str) -> str:
    return desk(q=question)
"""


def test_a_tool_that_is_named_by_text_is_part_of_the_revision_with_what_it_calls(app: Path) -> None:
    (app / "hands.py").write_text(TOOLS)
    (app / "desk.py").write_text(DESK)
    (app / "prompts/desk.md").write_text("---\nmodel: scripted:desk\ntools: [lookup]\n---\n{{ q }}")
    parts = {"function lookup in hands.py", "function helper in hands.py", "function send in hands.py"}
    for chain in ("desk:ask", "desk:desk"):
        made = answered("run", chain, "x")
        assert made["output"] == "done"
        content = answered("show", made["revision"])["content"]
        tools = {part for part in content["parts"] if " in hands.py" in part and part.startswith("function")}
        assert tools == parts and "found" not in content


def test_a_tool_out_of_a_module_that_only_the_run_names_is_found(app: Path) -> None:
    (app / "plug.py").write_text(
        'import afere\n\n\n@afere.tool\ndef alpha(x: str) -> str:\n    """Alpha."""\n    return x\n'
    )
    (app / "app.py").write_text(
        APP
        + "\n\n@afere.chain\ndef dyn(name: str) -> str:\n    import importlib\n\n    return importlib.import_module(name).alpha(x='1')\n"
    )
    first = answered("run", "app:dyn", "plug")
    assert uses(first["revision"]) == {"found tool alpha": "tool:alpha@1"}
    (app / "plug.py").write_text((app / "plug.py").read_text().replace("Alpha.", "Says it again."))
    again = answered("run", "app:dyn", "plug")
    assert uses(again["revision"]) == {"found tool alpha": "tool:alpha@2"}


def test_an_evaluation_that_stops_after_it_found_something_goes_on_where_it_was(app: Path) -> None:
    (app / "app.py").write_text(
        APP.replace("def qa(question: str) -> str:\n", "def qa(question: str) -> str:\n    open('ran', 'a').write('x')\n"
        "    if question == 'second' and not os.path.exists('up'):\n        raise ConnectionError('down')\n")
    )  # fmt: skip
    assert not answered("eval", "qa")["complete"]
    ran = len((app / "ran").read_text())
    (app / "up").touch()
    assert answered("eval", "qa", "--resume")["complete"]
    assert len((app / "ran").read_text()) == ran + 1, "only the row that was not finished"
