"""Experiments in the browser: which to compare is chosen by hand, more than two too, and a case is wrong only by what judges it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from serving import serving
from test_labels_page import asked, value  # pyright: ignore[reportMissingImports]
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.testing import ScriptedModel

ROWS = [{"id": f"r{i}", "input": {"q": f"{i}?"}, "expected": f"{i}"} for i in range(6)]
PAIR = {"name": "nicer", "kind": "pairwise", "rubric": "Which is right?", "to": "expected", "model": "scripted:judge"}


@pytest.fixture
def three(project: Path) -> Iterator[str]:
    """Three experiments on the same cases: all right, one wrong, one that gives an address away."""
    ScriptedModel("judge", says={"": {"why": "so", "verdict": "tie"}})
    wrong = {"right": {}, "wrong": {"3": "no"}, "leaky": {"5": "5 ana@example.com"}}
    for said in wrong.values():
        answer = lambda q, said=said: said.get(q[0], q[0])  # noqa: E731
        afere.evaluate(answer, ROWS, scorers=["contains", "pii", PAIR])
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url


def test_a_case_is_wrong_by_what_judges_it_only(three: str) -> None:
    """Where lower is better false is right, and how often a judge saw a draw says nothing of the answer."""
    assert value(f"{three}/experiments/1.json")["counts"]["failed"] == 0
    for number, case in ((2, "r3"), (3, "r5")):
        page = value(f"{three}/experiments/{number}.json")
        assert page["counts"]["failed"] == 1
        assert page["items"][0]["row"] == case  # worst first
    leaky = value(f"{three}/compare/1/3.json")
    assert (leaky["worse"], leaky["better"]) == (1, 0)
    moved = asked(f"{three}/compare/1/3")[1]
    assert moved.count("how it was judged") >= 2  # nicer.draw, nicer.flipped


def test_one_or_a_page_full_is_no_comparison(three: str) -> None:
    for query, says in (("of=1", "1 experiment marked"), ("&".join(f"of={i}" for i in range(12)), "12 experiments")):
        status, body = asked(f"{three}/compare?{query}")
        assert status == 422
        assert says in body
    assert asked(f"{three}/compare?of=x")[0] == 307  # back to the list
    beside = value(f"{three}/compare/1/2.json?with=3,3")["beside"]
    assert [(one["a"], one["b"]) for one in beside] == [("experiment:1", "experiment:3")]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_three_are_marked_and_compared(browser: Browser, three: str, width: int, scheme: Any) -> None:  # noqa: F811
    for page in opened(browser, three, viewport={"width": width, "height": 844}, color_scheme=scheme):
        page.goto("/experiments")
        assert barriers(page) == []
        assert sideways(page) <= 0
        for number in (3, 1, 2):
            page.get_by_label(f"Mark experiment {number}").check()
        page.get_by_role("button", name="Compare the marked ones").click()
        page.wait_for_url("**/compare/1/2?with=3")
        assert page.locator("#beside-3 h2").inner_text() == "Experiment 3 against 1"
        assert barriers(page) == []
        assert sideways(page) <= 0
        for box in page.get_by_text("not enough evidence").filter(visible=True).all():
            right = box.bounding_box()
            assert right is not None
            assert right["x"] + right["width"] <= width  # the answer is on the screen without a scroll
        page.goto("/experiments/2")
        assert barriers(page) == []
