"""The page of one trace, however large: by HTTP the tree and one span, in a browser the drawn tree by mouse and keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]
from test_server_http import ask, read  # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.base.span import Span
from afere.store import Session
from afere.store.spans.rows import UNDER

HUGE, SMALL = "f" * 32, "e" * 32
COUNT = 3_000  # more than a page reads whole
SECOND = 10**9
NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }} \u202e"


def _id(nth: int) -> str:
    return f"{nth:016x}"


def run(trace: str, count: int) -> list[Span]:
    """Turns of nine calls below one root; every 1,000th fails, the last span came below a span that was not kept."""
    start = time.time_ns() - 3600 * SECOND
    spans = [Span(trace, _id(1), "agent run", start, None, "agent", start + count * SECOND, input="Do it", output="Done", user="user:7")]  # fmt: skip
    turn = _id(1)
    for nth in range(2, count):
        at = start + (nth - 1) * SECOND
        if nth % 10 == 2:
            turn = _id(nth)
            last = start + min(nth + 8, count - 1) * SECOND
            spans.append(Span(trace, turn, f"turn {nth // 10}", at, _id(1), "step", last))
            continue
        failed = nth % 1000 == 0
        said = [{"role": "user", "text": f"question {nth} {NASTY}"}]
        spans.append(
            Span(trace, _id(nth), f"call {nth}", at, turn, "llm" if nth % 2 else "tool", at + SECOND, "error" if failed else "ok",
                 "it did not answer" if failed else None, model="gpt-4.1-mini" if nth % 2 else None, input_messages=list(said) if nth % 2 else [],
                 output=f"answer {nth}", input_tokens=10 if nth % 2 else None, cost=0.001 if nth % 2 else None)
        )  # fmt: skip
    foreign = Span(trace, _id(count), "under another", start + SECOND // 2, "9" * 16, "step", start + SECOND, attributes={UNDER: _id(1)})  # fmt: skip
    return [*spans, foreign]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    folder = tmp_path_factory.mktemp("huge")
    with afere.store.open(folder / ".afere", project="handbook") as session:
        for trace, count in ((HUGE, COUNT), (SMALL, 40)):
            session.spans.write(run(trace, count))
        with serving(session) as url:
            yield url, session


@pytest.fixture
def desk(browser: Browser, place: tuple[str, Session]) -> Iterator[Page]:  # noqa: F811
    yield from opened(browser, place[0], viewport={"width": 1440, "height": 900})


def test_the_steps_of_a_huge_trace_are_those_of_a_small_one(place: tuple[str, Session]) -> None:
    url, _ = place
    for trace, count in ((HUGE, COUNT), (SMALL, 40)):
        steps = read(url, f"/traces/{trace}/steps.json")
        rows = [dict(zip(steps["columns"], row, strict=True)) for row in steps["rows"]]
        assert len({row["span_id"] for row in rows}) == len(rows) == count
        assert [row["level"] for row in rows[:4]] == [0, 1, 1, 2]
        assert rows[1]["name"] == "under another"  # by the attribute that names the nearest span above
        assert [row["start"] for row in rows] == sorted(row["start"] for row in rows)
        assert rows[3] | {"start": 0} == {
            "span_id": _id(3), "level": 2, "name": "call 3", "kind": "llm", "model": "gpt-4.1-mini", "start": 0, "seconds": 1.0,
            "first_token_seconds": None, "state": "ok", "critical": True, "late": False,
        }  # fmt: skip


def test_the_value_of_a_huge_trace_is_that_of_a_small_one(place: tuple[str, Session]) -> None:
    url, session = place
    huge, small = (read(url, f"/traces/{trace}.json") for trace in (HUGE, SMALL))
    assert huge["totals"] == session.spans.trace(HUGE).totals.to_json()
    assert (huge["totals"]["spans"], small["totals"]["spans"]) == (COUNT, 40)
    assert {name: type(value) for name, value in huge.items()}.keys() == small.keys()
    assert (huge["next"], len(huge["spans"]), small["next"]) == ("500", 500, None)
    assert huge["spans"][3]["output"] == "answer 3"
    assert huge["spans"][3]["input_messages"] == []
    whole = read(url, f"/traces/{HUGE}.json?content=full&cursor=500")["spans"]
    assert whole[0]["span_id"] == _id(500)
    assert NASTY in read(url, f"/traces/{HUGE}.json?content=full")["spans"][3]["input_messages"][0]["text"]
    assert huge["bottleneck"]["name"]


def test_one_span_is_read_alone_and_a_wrong_one_is_said(place: tuple[str, Session]) -> None:
    url, session = place
    span = read(url, f"/traces/{HUGE}/spans/{_id(2501)}.json")
    assert span == session.spans.span(HUGE, _id(2501)).to_json()
    status, _, html = ask(url, f"/traces/{HUGE}/spans/{_id(2501)}")
    assert status == 200
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    for path in (f"/traces/{HUGE}/spans/{'8' * 16}", f"/traces/{HUGE}/spans/zz", f"/traces/{'7' * 32}", f"/traces/{'7' * 32}/steps"):  # fmt: skip
        status, _, body = ask(url, f"{path}.json")
        assert (status, json.loads(body)["status"]) == (404, 404), path
    assert "no span" in ask(url, f"/traces/{HUGE}?span=8888")[2]


@pytest.mark.browser
def test_thousands_of_steps_are_drawn_as_they_are_scrolled(desk: Page) -> None:
    desk.goto(f"/traces/{HUGE}")
    desk.wait_for_selector(f"html[data-steps='{COUNT}']")
    assert desk.locator("[role=treeitem]").count() < 100
    view = desk.locator("ol[data-steps]").locator("..")
    view.evaluate("view => view.scrollTop = view.scrollHeight")
    desk.wait_for_selector(f"[data-span='{_id(COUNT - 1)}']")
    assert desk.locator("[role=treeitem]").count() < 100
    view.evaluate("view => view.scrollTop = view.scrollHeight / 2")
    desk.wait_for_function("view => { const box = view.getBoundingClientRect(); return [...view.querySelectorAll('[role=treeitem]')].some(row => row.getBoundingClientRect().top > box.top && row.getBoundingClientRect().bottom < box.bottom) }", arg=view.element_handle())  # fmt: skip
    assert barriers(desk) == []


@pytest.mark.browser
def test_the_keyboard_goes_through_the_tree_and_folds_it(desk: Page) -> None:
    desk.goto(f"/traces/{SMALL}")
    desk.wait_for_selector("html[data-steps='40']")
    desk.focus("[role=treeitem][aria-selected=true]")
    keys = (
        ("Home", _id(1)), ("End", _id(39)), ("Home", _id(1)), ("ArrowDown", _id(40)), ("ArrowDown", _id(2)), ("ArrowRight", _id(3)), ("ArrowLeft", _id(2)),
        ("ArrowLeft", _id(2)), ("ArrowDown", _id(12)), ("ArrowUp", _id(2)), ("ArrowRight", _id(2)), ("ArrowDown", _id(3)), ("PageDown", _id(18)),
    )  # fmt: skip
    for key, wanted in keys:
        desk.keyboard.press(key)
        assert desk.evaluate("document.activeElement.dataset.span") == wanted, key
    desk.wait_for_selector(f"[data-span-section][id='{_id(18)}']")
    assert desk.url.endswith(f"#{_id(18)}")
    fold = desk.locator("[data-tree-fold]")
    fold.click()
    assert desk.locator("[role=treeitem]").count() == 6  # the root, what stands beside the turns, four turns
    assert desk.locator(f"[data-span='{_id(2)}']").get_attribute("aria-expanded") == "false"
    fold.click()
    assert desk.locator("[role=treeitem]").count() > 30
    desk.click(f"[data-span='{_id(2)}'] [data-fold]")
    assert desk.locator(f"[data-span='{_id(3)}']").count() == 0


@pytest.mark.browser
def test_search_in_a_trace_finds_names_and_contents_and_errors(desk: Page) -> None:
    desk.goto(f"/traces/{HUGE}")
    desk.wait_for_selector(f"html[data-steps='{COUNT}']")
    opens = desk.locator("[data-span-section]")
    assert opens.get_attribute("id") == _id(2000)  # what failed is open
    for wanted in (1000, 2000):
        desk.keyboard.press("e")
        desk.wait_for_selector(f"[data-span-section][id='{_id(wanted)}'] >> text=it did not answer")
    desk.fill("[data-tree-find]", "question 2501")  # only in what was said
    desk.wait_for_selector("[data-tree-count] >> text=1 found")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(f"[data-span-section][id='{_id(2501)}']")
    assert desk.locator(f"[data-span='{_id(2501)}']").get_attribute("aria-selected") == "true"
    assert "question 2501" in opens.inner_text()
    desk.fill("[data-tree-find]", "turn 29")
    desk.wait_for_selector("[data-tree-count] >> text=11 found")


@pytest.mark.browser
def test_a_link_to_a_step_opens_it_with_and_without_script(browser: Browser, place: tuple[str, Session]) -> None:  # noqa: F811
    for page in opened(browser, place[0], viewport={"width": 1280, "height": 800}):
        page.goto(f"/traces/{HUGE}#{_id(2777)}")
        page.wait_for_selector(f"[data-span-section][id='{_id(2777)}']")
        assert page.locator(f"[data-span='{_id(2777)}']").is_visible()
        page.evaluate(f"location.hash = '{_id(13)}'")
        page.wait_for_selector(f"[data-span-section][id='{_id(13)}']")
        page.goto("/traces")
        page.go_back()
        page.wait_for_selector(f"[data-span-section][id='{_id(13)}']")
    for page in opened(browser, place[0], java_script_enabled=False, viewport={"width": 1280, "height": 800}):
        page.goto(f"/traces/{HUGE}?span={_id(2777)}")
        assert page.locator(f"[data-span-section][id='{_id(2777)}']").count() == 1
        assert page.locator(f"[data-span='{_id(2777)}']").get_attribute("aria-selected") == "true"
        page.click("a[rel=prev]")
        assert page.locator("[role=treeitem]").first.get_attribute("data-span") == _id(2000)


@pytest.mark.browser
def test_a_huge_trace_fits_a_phone(browser: Browser, place: tuple[str, Session]) -> None:  # noqa: F811
    for page in opened(browser, place[0], viewport={"width": 390, "height": 844}, color_scheme="dark"):
        page.goto(f"/traces/{HUGE}")
        page.wait_for_selector(f"html[data-steps='{COUNT}']")
        assert sideways(page) <= 0
        assert barriers(page) == []
        page.locator(f"[data-span='{_id(1995)}']").click()
        page.wait_for_selector(f"[data-span-section][id='{_id(1995)}']")
        assert sideways(page) <= 0
