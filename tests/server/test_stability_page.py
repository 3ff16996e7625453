"""The page of a stability run: what each change moved, the rule, the cases; for programs too; in a browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere.store
from afere.cli.main import main
from afere.net import Call, send

APP = """
import afere

@afere.chain
def brittle(question: str) -> str:
    return "Paris" if "capital" in question else "<b>I do not know.</b>"
"""


@pytest.fixture
def site(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server over a store with one stability run of a target that minds capitals."""
    (project / "app.py").write_text(APP)
    (project / "evals").mkdir()
    rows = [
        {"id": f"q-{i}", "input": {"question": f"What is the capital of country {i}?"}, "expected": "Paris"}
        for i in range(30)
    ]
    (project / "evals/cities.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    (project / "evals/brittle.yaml").write_text(
        "target: app:brittle\ndata: evals/cities.jsonl\nscorers: [exact]\ngate: ['stability >= 0.9']\n"
    )
    monkeypatch.setattr(sys, "argv", ["afere", "stability", "brittle", "--changes", "case,spaces"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url


def got(url: str) -> tuple[int, str]:
    answer = send(Call("GET", url))
    return answer.status, answer.body.decode()


def test_the_page_says_what_the_record_says(site: str) -> None:
    record = json.loads(got(f"{site}/stability/1.json")[1])
    status, html = got(f"{site}/stability/1")
    assert status == 200
    assert (record["rule"], record["answer"], record["name"]) == ("stability >= 0.9", "fail", "brittle")
    case = next(one for one in record["held"] if (one["change"], one["measure"]) == ("case", "exact"))
    assert case["stands"]
    for one in record["held"]:
        assert f'data-value="{one["beyond"]}" data-low="{one["low"]}" data-high="{one["high"]}"' in html
    assert "case changed exact in" in html
    assert "exact under case: proven &lt; 0.9" in html
    assert "<b>I do not know" not in html
    assert "CAPITAL" in html
    assert json.loads(got(f"{site}/stability.json")[1])["items"][0]["ref"] == "report:1"
    listed = got(f"{site}/stability")[1].replace("&#x2f;", "/")
    assert "/handbook/stability/1" in listed
    assert "No bake-offs yet" in got(f"{site}/bakeoffs")[1]
    assert "/handbook/stability/1" in got(f"{site}/artifacts/report:1")[1].replace("&#x2f;", "/")
    home = got(f"{site}/")[1].replace("&#x2f;", "/")
    assert "report:1" in home or "/handbook/stability/1" in home
    assert got(f"{site}/stability/7")[0] == 404
    assert got(f"{site}/stability/x")[0] == 400


@pytest.mark.browser
def test_the_pages_have_no_barrier_and_fit_a_phone(browser: Browser, site: str) -> None:  # noqa: F811
    for width, scheme in ((1280, "light"), (390, "dark")):
        for page in opened(browser, site, viewport={"width": width, "height": 844}, color_scheme=scheme):
            for path in ("/stability", "/stability/1"):
                page.goto(path)
                assert sideways(page) <= 0
                assert barriers(page) == []
