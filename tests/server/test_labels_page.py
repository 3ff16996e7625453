"""Labels in the browser and over HTTP: one at a time and side by side, by keyboard, resumable, and safe with hostile text."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.evals.labelling.labels import Labels
from afere.testing import ScriptedModel

NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script> {{ 7 * 7 }} **bold** \u202e"
STYLE = {"name": "style", "kind": "human", "rubric": "polite & <b>brief</b>", "scale": ["rude", "dry", "warm"]}


def asked(url: str, said: object = None) -> tuple[int, str]:
    """Status and body of a GET, or of a POST of JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    body = None if said is None else json.dumps(said)
    path = f"{parts.path}?{parts.query}"
    connection.request(
        "GET" if said is None else "POST", path, body, {"Content-Type": "application/json"} if body else {}
    )
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def value(url: str) -> dict[str, Any]:
    status, body = asked(url)
    assert status == 200, body
    return json.loads(body)


@pytest.fixture
def labelled(project: Path) -> Iterator[tuple[str, afere.store.Session]]:
    """Two experiments on the same six cases, with a judge and a human entry."""
    ScriptedModel("judge", says={"": {"why": "so", "verdict": "pass"}})
    judge = {"name": "polite", "kind": "judge", "rubric": "Is it polite?", "model": "scripted:judge"}
    for word in ("one", "two"):
        rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}} for i in range(6)]
        afere.evaluate(lambda q, word=word: f"{word} {q} {NASTY}", rows, scorers=[judge, STYLE])
    with afere.store.open(project / ".afere", project="handbook") as session, serving(session) as url:
        yield url, session


def _labels(session: afere.store.Session, number: int = 1) -> Labels:
    return Labels(afere.evals.experiment(number, session=session))


def test_a_label_over_http_is_a_persons_score(labelled: tuple[str, afere.store.Session]) -> None:
    url, session = labelled
    page = value(f"{url}/labels/1.json?by=ana")
    assert (page["name"], page["total"], page["done"], page["by"]) == ("style", 6, 0, "person:ana")
    sent = {"case": page["case"], "word": "warm", "by": "ana", "why": NASTY}
    status, body = asked(f"{url}/labels/1", sent)
    made = json.loads(body)
    assert status == 201
    assert (made["value"], made["by"], made["why"]) == ("warm", "person:ana", NASTY)
    after = value(f"{url}/labels/1.json?by=ana")
    assert after["done"] == 1
    assert after["case"] != page["case"]
    assert value(f"{url}/labels/1.json?by=ben")["done"] == 0
    for wrong in (
        {"case": "zz", "word": "warm"},
        {"case": "r1", "word": "hot"},
        {"case": "r1", "word": "warm", "name": "no"},
        {"case": "r1", "word": "warm", "by": "judge:x"},
    ):
        assert asked(f"{url}/labels/1", wrong)[0] in (400, 422)
    assert asked(f"{url}/labels/99.json")[0] == 404
    assert sum(len(kept) for kept in _labels(session).of("style").values()) == 1


def test_hostile_outputs_are_shown_as_text(labelled: tuple[str, afere.store.Session]) -> None:
    url, _ = labelled
    html = asked(f"{url}/labels/1")[1]
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    assert "&lt;img src=x" in html
    assert "polite &amp; &lt;b&gt;brief" in html


def test_side_by_side_is_blind_random_and_recorded(labelled: tuple[str, afere.store.Session]) -> None:
    url, session = labelled
    lefts: list[str] = []
    for i in range(6):
        shown = value(f"{url}/labels/1.json?with=2&by=ana&case=r{i}")
        lefts.append(shown["answers"][0].split()[0])
        asked(f"{url}/labels/1", {"case": f"r{i}", "word": "left", "with": "2", "by": "ana"})
    assert set(lefts) == {"one", "two"}
    kept = {one.data["row"]: one for by in _labels(session).of("preferred").values() for one in by.values()}
    for i, word in enumerate(lefts):
        said = kept[f"r{i}"]
        assert said.value == {"one": "experiment:1", "two": "experiment:2"}[word]
        assert {said.data["left"], said.data["right"]} == {"experiment:1", "experiment:2"}
    html = asked(f"{url}/labels/1?with=2&by=ben")[1]
    assert "experiment:2" not in html.split("label-case")[1].split("</form>")[0]
    assert asked(f"{url}/labels/1?with=1")[0] == 400
    (ranked,) = value(f"{url}/compare/1/2.json")["ranking"]
    assert (ranked["by"], ranked["games"], ranked["position"]["value"]) == ("people", 6, 1.0)  # always the left one
    assert "Preferred by people" in asked(f"{url}/compare/1/2")[1]
    assert asked(f"{url}/compare/1/2?several=no")[0] == 400


@pytest.mark.browser
def test_a_person_labels_everything_by_keyboard(
    browser: Browser,  # noqa: F811
    labelled: tuple[str, afere.store.Session],
) -> None:
    url, session = labelled
    for page in opened(browser, url, viewport={"width": 1280, "height": 800}):
        _by_keyboard(page, session)


def _by_keyboard(page: Page, session: afere.store.Session) -> None:
    page.goto("/labels/1?by=ana&name=polite")
    first = page.locator("input[name=case]").get_attribute("value")
    page.keyboard.press("s")  # skip
    page.wait_for_function("first => document.querySelector('input[name=case]').value !== first", arg=first)
    page.locator("textarea").fill("because 1 and 2")  # digits that are typed are no verdicts
    assert not _labels(session).of("polite")
    page.keyboard.press("Escape")
    for done in range(1, 7):
        with page.expect_navigation():
            page.keyboard.press("2" if done % 2 else "1")
        assert page.locator(".verdict").inner_text().startswith(f"{done} of 6")
    assert page.get_by_text("All are labelled").count() == 1
    kept = [one for by in _labels(session).of("polite").values() for one in by.values()]
    assert sorted(bool(one.value) for one in kept) == [False] * 3 + [True] * 3
    assert "because 1 and 2" in {one.why for one in kept}
    page.get_by_text("Look at the last one").click()
    page.wait_for_selector("[data-label]")
    with page.expect_navigation():
        page.get_by_role("button", name="take back").click()
    assert page.locator(".verdict").inner_text().startswith("5 of 6")
    page.goto("/experiments/1")
    assert page.locator("#agreement").get_by_text("judge:polite@1 and people").count() == 1
    assert page.get_by_text("uncalibrated judge").count() == 0
    page.goto("/artifacts/judge:polite")
    assert page.locator("#agreement-1").get_by_text("judge:polite@1 and people").count() == 1
    assert page.get_by_text("uncalibrated").count() == 0


def test_the_page_of_a_judge_says_whether_people_agree_with_it(labelled: tuple[str, afere.store.Session]) -> None:
    url, session = labelled
    assert "uncalibrated" in asked(f"{url}/artifacts/judge:polite")[1]
    assert value(f"{url}/artifacts/judge:polite.json")["agreement"] == []
    for i in range(6):
        _labels(session, 2).put("polite", f"r{i}", i != 0, by="person:ana")
    (one,) = value(f"{url}/artifacts/judge:polite.json")["agreement"]
    assert (one["experiment"], one["judge"]["n"], one["judge"]["b"]) == (2, 6, "people")
    assert "uncalibrated" not in asked(f"{url}/artifacts/judge:polite")[1]


@pytest.mark.browser
def test_side_by_side_ends_at_the_comparison(
    browser: Browser,  # noqa: F811
    labelled: tuple[str, afere.store.Session],
) -> None:
    url, session = labelled
    for page in opened(browser, url, viewport={"width": 390, "height": 844}):
        page.goto("/labels/2?with=1&by=ana")
        for key in "123123":
            with page.expect_navigation():
                page.keyboard.press(key)
        page.get_by_text("Look at the last one").click()
        page.wait_for_selector("[data-label]")
        with page.expect_navigation():
            page.keyboard.press("x")  # taken back
        assert page.locator(".verdict").inner_text().startswith("5 of 6")
        with page.expect_navigation():
            page.keyboard.press("1")
        page.get_by_role("link", name="See which is preferred").click()
        page.wait_for_url("**/compare/1/2")
        assert page.get_by_text("Preferred by people").count() == 1
    assert len(_labels(session, 2).of("preferred")) == 6


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_pages_of_labels_fit_and_have_no_barrier(
    browser: Browser,  # noqa: F811
    labelled: tuple[str, afere.store.Session],
    width: int,
    scheme: Any,
) -> None:
    url, session = labelled
    for i in range(3):
        for who in ("ana", "ben"):
            _labels(session).put("style", f"r{i}", "warm" if i else "dry", by=f"person:{who}")
        asked(f"{url}/labels/1", {"case": f"r{i}", "word": "left", "with": "2", "by": "ana"})
    for page in opened(browser, url, viewport={"width": width, "height": 844}, color_scheme=scheme):
        for path in (
            "/labels/1",
            "/labels/1?with=2",
            "/labels/1?name=polite&by=ana",
            "/labels/1?case=r0&by=ana",
            "/experiments/1",
            "/compare/1/2?several=bh",
        ):
            page.goto(path)
            assert barriers(page) == [], path
            assert sideways(page) <= 0, path
