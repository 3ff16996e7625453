"""A prompt by alias from a server, for a program that goes on when the server does not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import afere
from afere.base.errors import BadPrompt, BadReference
from afere.testing import ScriptedModel

FILE = "---\nmodel: scripted:fetched\nparameters: {temperature: 0}\ninputs: {q: string}\n---\nPackaged: {{ q }}"


@pytest.fixture(autouse=True)
def model(write) -> ScriptedModel:
    write("prompts/answer.md", FILE)
    return ScriptedModel("fetched", {"Packaged": "from the file", "Kept": "from the store", "Newer": "newer"})


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def put(session: afere.Session, text: str) -> None:
    content = {"template": text, "inputs": {"q": {"type": "string"}}, "output": None}
    made = session.put("prompt", "answer", content)
    session.alias("prompt:answer@production", made.hash, why="test")


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


def called(answer, **inputs: str) -> tuple[str, dict, list[str]]:
    """(the answer, the span's attributes, references of what ran)"""
    with afere.span("around"):
        from afere.tracing import collecting

        with collecting() as collected:
            said = answer(**inputs)
    span = next(one for trace in collected.traces.values() for one in trace.spans if one.kind == "llm")
    return said, dict(span.attributes), [ref for ref, _ in span.artifacts]


def test_the_alias_on_the_server_answers_and_a_move_arrives(site, model) -> None:
    put(site.session, "Kept: {{ q }}")
    answer = afere.prompt("answer@production", fallback="prompts/answer.md", refresh=0)
    until(lambda: answer(q="x") == "from the store")
    said, attributes, refs = called(answer, q="x")
    assert said == "from the store" and refs[0] == "prompt:answer@1"
    assert (attributes["afere.prompt.source"], attributes["afere.prompt.fallback"]) == ("store", False)
    assert dict(model.requests[-1].parameters) == {"temperature": 0}  # a stored prompt has none: those of the file
    put(site.session, "Newer: {{ q }}")
    until(lambda: answer(q="x") == "newer")
    assert called(answer, q="x")[2][0] == "prompt:answer@2"


def test_an_alias_that_is_not_there_yet_is_answered_by_the_packaged_file(site) -> None:
    answer = afere.prompt("answer@production", fallback="prompts/answer.md", refresh=0)
    said, attributes, refs = called(answer, q="x")
    assert said == "from the file" and refs[0].startswith("prompt:answer")
    assert (attributes["afere.prompt.source"], attributes["afere.prompt.fallback"]) == ("file", True)
    put(site.session, "Kept: {{ q }}")
    until(lambda: answer(q="x") == "from the store")


PROGRAM = """
import os, time, afere
from afere.testing import ScriptedModel
ScriptedModel("fetched", {"": "from the file"})
begun = time.monotonic()
answer = afere.prompt("answer@production", fallback="prompts/answer.md")
print([answer(q="x"), answer(q="y")], time.monotonic() - begun < 15, flush=True)
os._exit(0)
"""


def test_a_server_that_hangs_holds_up_no_call(nowhere: str, project: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=project, env={**os.environ, "AFERE_STORE": nowhere}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.stdout == "['from the file', 'from the file'] True\n", said.stderr  # it would be waited for 30 seconds


def test_what_was_kept_and_is_damaged_counts_as_nothing(site, monkeypatch, project: Path) -> None:
    put(site.session, "Kept: {{ q }}")
    first = afere.prompt("answer@production", fallback="prompts/answer.md")
    until(lambda: first(q="x") == "from the store")
    until(lambda: any(project.glob(".afere/fetched/*.json")))
    kept = next(project.glob(".afere/fetched/*.json"))
    whole = json.loads(kept.read_text())
    monkeypatch.setattr("afere.chains.fetching.session_of", _away)
    for damaged in ("", "{", "[]", '{"name": 3}', json.dumps(whole | {"content": "no prompt"})):
        kept.write_text(damaged)
        assert afere.prompt("answer@production", fallback="prompts/answer.md")(q="x") == "from the file"


def _away(_: object) -> None:
    raise ConnectionError("away")


def test_what_was_fetched_once_is_used_by_the_next_process(site, monkeypatch, caplog, project: Path) -> None:
    put(site.session, "Kept: {{ q }}")
    first = afere.prompt("answer@production", fallback="prompts/answer.md")
    until(lambda: first(q="x") == "from the store")
    until(lambda: any(project.glob(".afere/fetched/*.json")))
    monkeypatch.setattr("afere.chains.fetching.session_of", _away)  # a new component knows no more than a new process
    answer = afere.prompt("answer@production", fallback="prompts/answer.md", refresh=0)
    said, attributes, refs = called(answer, q="x")
    assert said == "from the store" and refs[0] == "prompt:answer@1"
    assert (attributes["afere.prompt.source"], attributes["afere.prompt.fallback"]) == ("disk", True)
    for _ in range(5):
        answer(q="x")
    told = [one.getMessage() for one in caplog.records if "could not be looked up" in one.getMessage()]
    assert told == ["answer@production could not be looked up, so prompt:answer@1, as known before, is used: away"]


def test_other_languages_read_an_alias_as_json(site) -> None:
    put(site.session, "Kept: {{ q }}")
    key = {"authorization": f"Bearer {site.key('read')}"}
    status, _, body = site.ask("/prompts/answer/production.json", **key)
    artifact = json.loads(body)["artifact"]
    assert status == 200 and artifact["ref"] == "prompt:answer@1"
    assert artifact["content"]["template"] == "Kept: {{ q }}" and artifact["content"]["inputs"] == {
        "q": {"type": "string"}
    }
    assert site.ask("/prompts/answer/none.json", **key)[0] == 404
    status, headers, body = site.ask("/artifacts/prompt:answer@production.json", **key)
    assert status == 200 and json.loads(body)["content"]["template"] == "Kept: {{ q }}"
    again = {**key, "if-none-match": f'"other", {headers["etag"]}'}
    assert site.ask("/artifacts/prompt:answer@production.json", **again)[::2] == (304, "")
    put(site.session, "Newer: {{ q }}")
    status, newer, body = site.ask("/artifacts/prompt:answer@production.json", **again)
    assert (status, json.loads(body)["ref"]) == (200, "prompt:answer@2") and newer["etag"] != headers["etag"]


def test_a_component_brings_its_model_and_parameters(site, write) -> None:
    ScriptedModel("other", {"": "by the other model"})
    write("prompts/other.md", FILE.replace("scripted:fetched", "scripted:other"))
    made = afere.prompt("prompts/other.md").put(site.session)
    site.session.alias("component:other@production", made.hash, why="test")
    answer = afere.prompt("component:other@production", fallback="prompts/answer.md")
    until(lambda: answer(q="x") == "by the other model")
    assert answer.model_name == "scripted:other"


def test_a_fallback_that_is_not_packaged_is_an_error_at_once(project: Path) -> None:
    with pytest.raises(BadReference, match="there is no such file"):
        afere.prompt("answer@production", fallback="prompts/none.md")
    with pytest.raises(BadPrompt, match="is for a reference"):
        afere.prompt("prompts/answer.md", fallback="prompts/answer.md")
