"""The page of a prompt: results by model, what lint says, what no case exercises, what a change touches; for programs too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere.store
from afere.base.project import find_project
from afere.evals import find_suite, read_suite
from afere.evals.bakeoff.bakeoff import Bakeoff
from afere.evals.bakeoff.sweep import Sweep
from afere.models import Request
from afere.net import Call, send
from afere.testing import Answer, OpenAIServer

NASTY = "<b>big</b>"
FIRST = """---
model: small
inputs: {question: string, unused: {type: string, default: x}}
examples: [{input: "it is 3, is it", output: "3"}]
---
# system
Say the number.
If the guest asks about parking, name the underground garage.
# user
{{question}}
"""


def says(request: Request) -> Answer:
    number = int(request.messages[-1].text.split()[-3].strip(","))
    shorter = "Only" in request.messages[0].text
    right = request.parameters["model"] == NASTY or number % 10 < (8 if shorter else 5)
    return Answer(str(number) if right else "no idea")


@pytest.fixture
def site(project: Path) -> Iterator[str]:
    """A server over a store in which two versions of a prompt ran with two models."""
    with OpenAIServer(says, models=("small", NASTY)) as models:
        entries = {
            name: {"model": f"{models.url}#{name}", "prices": {"input": 1, "output": 2}} for name in ("small", NASTY)
        }
        (project / "afere.yaml").write_text(json.dumps({"project": "handbook", "models": entries}))
        for folder in ("prompts", "evals", "data"):
            (project / folder).mkdir()
        (project / "evals/qa.yaml").write_text("target: prompts/answer.md\ndata: data/qa.jsonl\nscorers: [exact]\n")
        rows = [{"input": {"question": f"it is {i}, is it"}, "expected": str(i)} for i in range(20)]
        (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for text in (FIRST, FIRST.replace("Say the number.", "Only say the number.")):
            (project / "prompts/answer.md").write_text(text)
            here = find_project()
            Bakeoff.of(read_suite(find_suite("qa", here), here), Sweep(models=("small", NASTY)), here).run()
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url


def read(site: str, path: str) -> dict:
    answer = send(Call("GET", f"{site}{path}", {}, b""))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_each_pairing_of_version_and_model_keeps_its_own_result(site: str) -> None:
    found = read(site, "/prompts/answer.json?show=models")["pairings"]
    exact = {
        (one["version"], one["model"]): next(each["value"] for each in one["measures"] if each["name"] == "exact")
        for one in found
    }
    small, nasty = "openai:small", f"openai:{NASTY}"
    assert exact == {(1, small): 0.5, (1, nasty): 1.0, (2, small): 0.8, (2, nasty): 1.0}
    assert len({one["experiment"] for one in found}) == 4
    assert all(one["dataset"].startswith("dataset:qa@") for one in found)
    page = send(Call("GET", f"{site}/prompts/answer?show=models", {}, b"")).body.decode().replace("&#x2f;", "/")
    assert "openai:&lt;b&gt;big&lt;/b&gt;" in page
    assert NASTY not in page
    assert page.count('<th scope="row">') == 2  # a line for each model, a column for each version


def test_checks_name_lint_uncovered_instructions_and_what_a_change_touches(site: str) -> None:
    checks = read(site, "/prompts/answer/2.json?show=checks")["checks"]
    assert {one["rule"] for one in checks["problems"]} == {"unused-input", "contamination"}
    assert all(one["place"] == "prompt:answer@2" for one in checks["problems"])
    assert ["parking" in one["why"] for one in checks["untested"]] == [True]
    assert checks["cases"] == 20
    assert checks["impact"]["suites"] == ["qa"]


def test_a_prompt_of_almost_a_megabyte_is_shown_and_its_coverage_left_to_the_audit(site: str, project: Path) -> None:
    text = " ".join(f"word{i % 977}" for i in range(110_000))
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.put_once(
            None, "prompt", "answer", {"template": f"{text} {{{{ question }}}}", "inputs": None, "output": None}
        )
    checks = read(site, "/prompts/answer.json?show=checks")["checks"]
    assert checks["too_long"] == len(text) + 15 and checks["untested"] == []
    for show in ("text", "checks", "try"):
        assert send(Call("GET", f"{site}/prompts/answer?show={show}", {}, b"")).status == 200


@pytest.mark.browser
def test_it_has_no_barrier_and_fits_a_phone(browser: Browser, site: str) -> None:  # noqa: F811
    for width, scheme in ((1280, "light"), (390, "dark")):
        for page in opened(browser, site, viewport={"width": width, "height": 844}, color_scheme=scheme):
            for show in ("models", "checks", "blame"):
                page.goto(f"/prompts/answer?show={show}")
                assert sideways(page) <= 0
                assert barriers(page) == []
