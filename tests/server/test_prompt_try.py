"""The playground of a prompt: models side by side, priced before, held by a cap; one that fails leaves the others alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.models import Request
from afere.net import Answer as Reply
from afere.net import Call, send
from afere.store import Session
from afere.testing import Answer, Fault, OpenAIServer

TRY = "/prompts/answer/1/try"
PROMPT = """---
inputs: {question: string, tries: {type: integer, default: 1}}
---
Answer: {{ question }} ({{ tries }})
"""
Site = tuple[str, Session, list[str]]


@pytest.fixture
def site(project: Path) -> Iterator[Site]:
    """A server of a project with three models: two that answer, one that refuses; and what they were asked."""
    asked: list[str] = []

    def says(request: Request) -> Answer | Fault:
        asked.append(str(request.parameters["model"]))
        if asked[-1] == "broken":
            return Fault("status", status=400)
        return Answer(f"{asked[-1]} says <script>alert(1)</script> to {request.messages[-1].text}")

    with OpenAIServer(says, models=("small", "large", "broken")) as models:
        entries: dict[str, Any] = {
            name: {"model": f"{models.url}#{name}", "prices": {"input": 1, "output": 2}, "retries": 0}
            for name in ("small", "large", "broken")
        }
        entries["unpriced"] = {"model": f"{models.url}#small"}
        (project / "afere.yaml").write_text(json.dumps({"project": "handbook", "models": entries}))
        with afere.store.open(project / ".afere", project="handbook") as session:
            content: dict[str, Any] = {"template": PROMPT.split("---\n")[2].strip(), "inputs": {
                "question": {"type": "string"}, "tries": {"type": "integer", "default": 1}}, "output": None}  # fmt: skip
            session.put("prompt", "answer", content, why="the first")
            afere.dataset(
                [{"id": f"r{n}", "input": {"question": f"question {n}"}, "expected": "x"} for n in range(12)], name="qa"
            )
            with serving(session) as url:
                yield url, session, asked


def program(url: str, given: dict[str, Any], **headers: str) -> tuple[int, Any]:
    told = send(Call("POST", url + TRY, {"content-type": "application/json", **headers}, json.dumps(given).encode()))
    return told.status, json.loads(told.body)


def form(url: str, given: list[tuple[str, str]], site: str = "same-origin") -> Reply:
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": site, "accept": "text/html"}
    return send(Call("POST", url + TRY, headers, urlencode(given).encode()))


def test_a_very_long_answer_is_folded_beside_the_others(site: Site) -> None:
    url, session, _ = site
    session.put("prompt", "answer", {"template": "{{ question }} " * 3000, "inputs": {"question": {"type": "string"}}})
    given = [("model", "small"), ("model", "large"), ("in.question", "<b>all</b>"), ("cap", "1"), ("do", "run")]
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-site": "same-origin",
        "accept": "text/html",
    }
    page = send(Call("POST", url + "/prompts/answer/2/try", headers, urlencode(given).encode())).body.decode()
    assert page.count("characters more</summary>") == 2 and "<b>all" not in page


def test_models_answer_side_by_side_and_one_that_fails_leaves_the_others_alone(site: Site) -> None:
    url, session, _ = site
    status, told = program(url, {"models": ["small", "broken", "large"], "dataset": "qa", "ids": ["r2", "r7"]})
    assert status == 200, told
    columns = {one["model"]: one["cells"] for one in told["columns"]}
    assert [cell["row"] for cell in columns["small"]] == ["r2", "r7"]
    assert columns["large"][1]["output"].startswith("large says") and "question 7 (1)" in columns["large"][1]["output"]
    broken = columns["broken"]
    assert all(cell["error"] and cell["output"] is None and cell["trace"] for cell in broken), broken
    for name in ("small", "large"):
        for cell in columns[name]:
            assert cell["cost"] > 0 and cell["output_tokens"] > 0 and cell["seconds"] > 0 and cell["error"] is None
            trace = session.spans.trace(cell["trace"])
            assert trace is not None and trace.root.environment == "playground"
            assert trace.root.output == cell["output"]
    home = json.loads(send(Call("GET", f"{url}/home.json?over=all")).body)
    assert home["requests"] == 0 and home["components"] == [] and home["cost"] is None


def test_the_page_shows_the_estimate_first_then_answers_that_are_text_with_their_traces(site: Site) -> None:
    url, session, asked = site
    given = [("model", "small"), ("model", "large"), ("in.question", "why?"), ("in.tries", "3"), ("cap", "0.5")]
    page = form(url, [*given, ("do", "estimate")]).body.decode()
    assert "2 calls, estimated at" in page and 'value="run"' in page and asked == []
    page = form(url, [*given, ("do", "run")]).body.decode().replace("&#x2f;", "/")
    assert sorted(asked) == ["large", "small"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page and "why? (3)" in page
    traces = re.findall(r'href="/handbook/traces/([0-9a-f]{32})"', page)
    assert len(traces) == 2 and all(session.spans.trace(one) is not None for one in traces)
    assert "cannot hold it" in form(url, [("model", "unpriced"), *given[2:], ("do", "estimate")]).body.decode()


def test_what_may_cost_more_than_the_cap_and_what_does_not_fit_is_not_asked(site: Site) -> None:
    url, _, asked = site
    rows = {"models": ["small"], "dataset": "qa", "first": 10}
    status, told = program(url, {**rows, "cap": 0.00001})
    assert status == 400 and "above the cap" in told["detail"]
    status, told = program(url, {**rows, "cap": 0.00001, "run": False})
    assert status == 200 and told["estimate"]["calls"] == 10
    # the form says with the estimate that it would not run
    page = form(url, [("model", "small"), ("in.question", "x"), ("cap", "0"), ("do", "estimate")])
    assert page.status == 422 and "above the cap of $0.00" in page.body.decode()
    wrong = (
        ({**rows, "cap": "much"}, "cap="),
        ({**rows, "models": ["os:system#x"]}, "not to be chosen"),  # no name but those of the project is looked up
        ({**rows, "models": ["http://127.0.0.1:1/v1#x"]}, "not to be chosen"),
        ({**rows, "models": []}, "one to 4 models"),
        ({**rows, "ids": ["nobody"]}, "nobody"),
        ({**rows, "key": "sk-1"}, "no field 'key'"),
        ({"models": ["small"], "inputs": {"quest": "x"}}, "quest"),
    )
    for given, word in wrong:
        status, told = program(url, given)
        assert status in (400, 404) and word in told["detail"], (given, told)
    page = form(
        url, [("model", "small"), ("in.question", "kept <b>"), ("in.tries", "many"), ("cap", "1"), ("do", "run")]
    )
    assert page.status == 422 and "tries: " in page.body.decode() and "kept &lt;b&gt;" in page.body.decode()
    assert form(url, [("model", "small"), ("in.question", "x"), ("do", "run")], site="cross-site").status == 403
    assert asked == []


def test_what_was_written_stays_where_no_model_was_chosen(site: Site) -> None:
    said = form(site[0], [("in.question", "Why is the sky blue?"), ("cap", "0.07")])
    page = said.body.decode()
    assert "Choose one to 4 models" in page
    assert "Why is the sky blue?" in page and 'value="0.07"' in page


def test_who_may_only_read_asks_nothing(site: Site) -> None:
    url, session, asked = site
    keys = {
        scope: session.actors.create_key(scope, project="handbook", scopes=[scope])[0] for scope in ("read", "write")
    }
    given = {"models": ["small"], "inputs": {"question": "x"}}
    status, told = program(url, given, authorization=f"Bearer {keys['read']}")
    assert status == 403 and "needs: write" in told["detail"] and asked == []
    assert program(url, given, authorization=f"Bearer {keys['write']}")[0] == 200 and asked == ["small"]


@pytest.mark.browser
def test_it_works_by_keyboard_on_a_phone_without_script(browser: Browser, site: Site) -> None:  # noqa: F811
    url, _, _ = site
    for width, scheme, script in ((1280, "light", True), (390, "dark", False)):
        for page in opened(
            browser, url, viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=script
        ):
            page.goto("/prompts/answer/1?show=try")
            page.get_by_label("large").check()
            page.get_by_label("small").check()
            page.get_by_label("question").fill("why?")
            page.get_by_role("button", name="Estimate the cost").press("Enter")
            page.get_by_role("button", name="Run").press("Enter")
            page.get_by_text("large says").wait_for()
            if script:
                assert sideways(page) <= 0 and barriers(page) == []
            page.get_by_role("link", name="trace", exact=True).first.click()
            assert "/traces/" in page.url
