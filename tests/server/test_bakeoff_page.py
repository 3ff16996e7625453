"""The page of a bake-off: its table, plots and recommendation; for programs too; in a browser, light and dark, wide and narrow."""

from __future__ import annotations

import json
import re
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
from afere.evals.bakeoff.sweep import Require, Sweep
from afere.models import Request
from afere.net import Call, send
from afere.testing import Answer, OpenAIServer

NASTY = "<b>big</b>"


def says(request: Request) -> Answer:
    if request.parameters["model"] == "judge":
        first = request.messages[-1].text.split("--- first ")[1].split("begins\n")[1].split("\n")[0]
        return Answer(json.dumps({"why": "so", "verdict": "second" if first == "no idea" else "first"}))
    number = int(request.messages[-1].text.split()[-1])
    return Answer(str(number) if request.parameters["model"] == NASTY or number % 10 < 5 else "no idea")


@pytest.fixture
def site(project: Path) -> Iterator[str]:
    """A server over a store with one bake-off of three models, one of them left out."""
    with OpenAIServer(says, models=("small", NASTY, "judge")) as models:
        entries = {
            "small": {"model": f"{models.url}#small", "prices": {"input": 1, "output": 2}, "licence": "mit"},
            NASTY: {"model": f"{models.url}#{NASTY}", "prices": {"input": 30, "output": 60}, "licence": "mit"},
            "judge": {"model": f"{models.url}#judge"},
            "closed": {"model": "openai:gpt-4.1-mini", "licence": "proprietary"},
        }
        (project / "afere.yaml").write_text(json.dumps({"project": "handbook", "models": entries}))
        for folder in ("prompts", "evals", "data"):
            (project / folder).mkdir()
        (project / "prompts/answer.md").write_text("---\nmodel: small\n---\nSay the number: {{question}}")
        (project / "evals/qa.yaml").write_text(
            "target: prompts/answer.md\ndata: data/qa.jsonl\n"
            "scorers: [exact, {name: nicer, kind: pairwise, rubric: Which one is right, model: judge}]\n"
        )
        rows = [{"input": {"question": f"it is {i}"}, "expected": str(i)} for i in range(30)]
        (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        here = find_project()
        sweep = Sweep(models=(NASTY, "closed"), require=Require(licence=("mit",)))
        Bakeoff.of(read_suite(find_suite("qa", here), here), sweep, here).run()
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url


def got(url: str) -> tuple[int, str]:
    answer = send(Call("GET", url))
    return answer.status, answer.body.decode()


def test_the_page_says_what_the_record_says(site: str) -> None:
    record = json.loads(got(f"{site}/bakeoffs/1.json")[1])
    status, html = got(f"{site}/bakeoffs/1")
    assert status == 200
    assert record["recommendation"]["names"] == [NASTY]
    assert "&lt;b&gt;big&lt;/b&gt; is shown to be better than openai:small (current)" in html.replace("&#x2f;", "/")
    assert NASTY not in html
    assert "its licence is proprietary, and one of mit is asked for" in html
    assert html.count('<g class="point') == 2 * 2  # two models against cost and against latency
    for one in record["cells"][1]["against"]:
        assert f'data-difference="{one["value"]}"' in html
    (read,) = record["preferred"]
    assert "Read in pairs by nicer" in html
    assert read["pairs"][0]["answer"] == "better"
    assert f'data-share="{read["pairs"][0]["share"]}"' in html
    assert "15 pairs were read in both positions; 15 more were the same answer" in html
    assert json.loads(got(f"{site}/bakeoffs.json")[1])["items"][0]["ref"] == "report:1"
    assert "/handbook/bakeoffs/1" in got(f"{site}/bakeoffs")[1].replace("&#x2f;", "/")
    assert got(f"{site}/bakeoffs/7")[0] == 404
    assert got(f"{site}/bakeoffs/x")[0] == 400


def test_numbers_of_points_upon_each_other_are_one_text(site: str, project: Path) -> None:
    """Cells of the same cost and quality lie on one place of the plot; their numbers stand there side by side."""
    record = {
        key: value
        for key, value in json.loads(got(f"{site}/bakeoffs/1.json")[1]).items()
        if key not in ("ref", "at", "by")
    }
    first, second = (cell for cell in record["cells"] if cell["numbers"])
    second["numbers"] = first["numbers"]
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.put("report", None, record, why="the same numbers twice")
    html = got(f"{site}/bakeoffs/2")[1]
    assert html.count('<g class="point') == 2 * 2
    assert len(re.findall(r"<text[^>]*>1, 2</text>", html)) == 2
    assert "/handbook/bakeoffs/2" in got(f"{site}/artifacts/report:2")[1].replace("&#x2f;", "/")


@pytest.mark.browser
def test_the_page_has_no_barrier_and_fits_a_phone(browser: Browser, site: str) -> None:  # noqa: F811
    for width, scheme in ((1280, "light"), (390, "dark")):
        for page in opened(browser, site, viewport={"width": width, "height": 844}, color_scheme=scheme):
            for path in ("/bakeoffs", "/bakeoffs/1"):
                page.goto(path)
                assert sideways(page) <= 0
                assert barriers(page) == []
            assert page.locator("svg.plot").first.is_visible()
