"""The pages in a browser: the main paths at desk and phone width, light and dark; nothing blocked, nothing sideways, no barrier."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import seeding
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from afere.base.errors import BadInput
from afere.base.project import find_project
from afere.govern.debt import Trend, trend
from afere.server import app
from afere.server.pages import debt
from afere.server.pages.fresh import Fresh
from afere.store import Session

pytestmark = pytest.mark.browser

TRACE = f"{1:032x}"
FAILED = f"{21:032x}"
PAGES = (
    "/handbook", "/traces", "/traces?q=boo:x", "/spans?q=kind:llm", "/spans?q=boo:x", f"/traces/{TRACE}", f"/traces/{FAILED}", f"/traces/{seeding.NASTY_TRACE}", f"/traces/{seeding.LONG_TRACE}",
    f"/traces/{seeding.RTL_TRACE}", "/prompts", "/prompts/answer/1..3", "/prompts/answer/3?show=text", "/datasets/handbook-eval", "/experiments", "/experiments/2",
    "/compare/1/2", "/artifacts", "/artifacts/chain:qa", "/audit", "/debt", "/tools", "/lineage", "/lineage?of=prompt:answer", "/nothing",
)  # fmt: skip
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def desk(browser: Browser, site: str) -> Iterator[Page]:
    yield from opened(browser, site, viewport={"width": 1280, "height": 800})


def opened(browser: Browser, site: str, **options: Any) -> Iterator[Page]:
    """A window whose complaints fail the test: console errors, requests that were blocked or left this machine."""
    context = browser.new_context(base_url=site, **options)
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        # The browser reports a page of status 4xx as an error of its own.
        if message.type in ("error", "warning") and "the server responded with a status of 40" not in message.text:
            complaints.append(f"{page.url}: {message.text}")

    def failed(request: Request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # left for the next page before it came
            complaints.append(f"{request.url}: {request.failure}")

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("requestfailed", failed)
    page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(site) else None)
    yield page
    context.close()
    assert complaints == []


def barriers(page: Page) -> list[str]:
    """What axe-core finds against WCAG level A and AA."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    return page.evaluate(
        """axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
        .then(found => found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 160)}`)))"""
    )


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1440, 900, "light"), (1280, 800, "light"), (390, 844, "dark")]
)
def test_no_page_has_a_barrier_or_anything_blocked(
    browser: Browser, site: str, width: int, height: int, scheme: Any
) -> None:
    for page in opened(browser, site, viewport={"width": width, "height": height}, color_scheme=scheme):
        page.add_init_script(path=AXE)
        for path in PAGES:
            page.goto(path)
            assert sideways(page) <= 0, path
            assert barriers(page) == [], path


@pytest.mark.parametrize("width", [320, 1024])
def test_no_width_makes_a_page_scroll_sideways(browser: Browser, site: str, width: int) -> None:
    for page in opened(browser, site, viewport={"width": width, "height": 800}):
        for path in PAGES:
            page.goto(path)
            assert sideways(page) <= 0, path


def test_from_home_to_a_span_by_clicks(desk: Page) -> None:
    desk.goto("/handbook")
    desk.click("nav >> text=Traces")
    desk.fill("input[name=q]", "chain:qa model:gpt*")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**q=chain*")
    desk.click("text=May I expense a second monitor?")
    assert desk.locator("h1").inner_text() == "May I expense a second monitor?"
    desk.click("role=treeitem >> text=search handbook")
    desk.wait_for_selector("text=docs/leave.md#2")
    assert desk.url.endswith(f"#{desk.locator('[data-span-section]').get_attribute('id')}")
    desk.click("role=tab >> text=Raw JSON")
    assert '"kind": "retrieval"' in desk.locator("#raw").inner_text()
    desk.reload()
    desk.wait_for_selector("text=docs/leave.md#2")


def test_the_keyboard_walks_the_tree_the_rows_and_the_palette(desk: Page) -> None:
    desk.goto(f"/traces/{TRACE}")
    desk.focus("role=treeitem >> nth=0")
    desk.keyboard.press("ArrowDown")
    desk.wait_for_selector("text=docs/leave.md#2")
    desk.keyboard.press("g")
    desk.keyboard.press("e")
    desk.wait_for_url("**/experiments")
    desk.keyboard.press("/")
    desk.keyboard.type("prompts")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/prompts")
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/prompts/*")
    desk.keyboard.press("Control+k")
    desk.keyboard.type("carry over")
    assert desk.locator("dialog.palette [role=option]").last.inner_text().startswith("Traces with carry over")
    assert barriers(desk) == []


def test_the_theme_is_kept_over_a_reload(desk: Page) -> None:
    desk.goto("/traces")
    desk.click("[data-theme-toggle]")
    desk.click("[data-theme-toggle]")
    assert desk.locator("html").get_attribute("data-theme") == "dark"
    desk.reload()
    assert desk.locator("html").get_attribute("data-theme") == "dark"
    desk.click("[data-theme-toggle]")
    desk.reload()
    assert desk.locator("html").get_attribute("data-theme") is None


def test_the_phones_navigation_is_a_drawer(browser: Browser, site: str) -> None:
    for phone in opened(browser, site, viewport={"width": 390, "height": 844}):
        phone.goto("/handbook")
        assert not phone.locator(".nav >> text=Experiments").is_visible()
        phone.click(".nav-open")
        phone.click(".nav >> text=Experiments")
        phone.wait_for_url("**/experiments")


def test_a_person_scores_an_answer_and_promotes_a_prompt(browser: Browser, fresh: tuple[str, Session]) -> None:
    url, session = fresh
    chain = seeding.artifacts(session)
    seeding.traces(session, chain, count=1)
    for page in opened(browser, url, viewport={"width": 1280, "height": 800}):
        page.goto(f"/traces/{TRACE}")
        page.click("[data-open=judge-dialog]")
        assert barriers(page) == []
        page.fill("#judge-why", "it is <b>5</b> since this year")
        page.click("#judge-dialog .primary")
        page.wait_for_selector("text=it is <b>5</b> since this year")
        page.goto("/prompts/answer/3")
        page.click("[data-open=promote-dialog]")
        page.fill("#why", "shorter, and as good")
        assert barriers(page) == []
        page.click("#promote-dialog .primary")
        page.wait_for_selector("text=shorter, and as good")
    assert session.get("prompt:answer@production").version == 3
    assert session.find("scores", target=TRACE, name="helpful", by="person:local").items[0].value is True


def test_all_of_it_works_without_script(browser: Browser, site: str) -> None:
    for page in opened(browser, site, java_script_enabled=False, viewport={"width": 1280, "height": 800}):
        page.goto(f"/traces/{TRACE}")
        page.click("role=treeitem >> text=leave_balance")
        assert "span=" in page.url
        assert page.locator("#tab-raw").is_visible()
        page.click(".find")
        page.fill("input[name=q]", "status:error")
        page.click(".filters button")
        page.click("noscript a")
        assert " failed." in page.locator(".verdict").inner_text()
        page.click("[data-theme-toggle]")
        assert page.locator("html").get_attribute("data-theme") == "light"


def test_a_page_that_looks_long_says_so_and_comes_by_itself(
    browser: Browser, store: Session, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.0)
    monkeypatch.setattr(debt, "AUDITS", Fresh(trend_after(0.5)))
    context = browser.new_context(base_url=site)
    page = context.new_page()
    answer = page.goto("/debt")
    assert answer is not None and answer.status == 202
    expect(page.get_by_role("status")).to_contain_text("Prompts, tools, traces and scores have been read for")
    expect(page.get_by_role("heading", level=1)).to_contain_text("health", timeout=60_000)

    def fails(_session: Session, _day: str) -> Trend:
        time.sleep(0.5)
        asked.append(1)
        raise BadInput("debt: no such rule.")

    asked: list[int] = []
    monkeypatch.setattr(debt, "AUDITS", Fresh(fails))
    page.goto("/debt")
    expect(page.locator("#page")).to_contain_text("debt: no such rule.", timeout=60_000)
    page.wait_for_timeout(1500)
    assert len(asked) == 1  # it is not looked for again and again
    context.close()


def trend_after(seconds: float) -> Callable[[Session, str], Trend]:
    """The audit of the page, which first takes its time."""

    def look(session: Session, _day: str) -> Trend:
        time.sleep(seconds)
        return trend(session, find_project(session.folder))

    return look
