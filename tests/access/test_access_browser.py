"""Logging in with a browser: by keyboard, at desk and phone width, light and dark, with nothing in the way of anybody."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from access_site import Site
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "server" / "vendor" / "axe.min.js"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


def _barriers(page: Page) -> list[str]:
    page.evaluate(AXE.read_text("utf-8"))
    return page.evaluate(
        """axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
        .then(found => found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' | ')))"""
    )


def test_somebody_logs_in_by_keyboard_lands_where_they_wanted_and_leaves(browser: Browser, site: Site) -> None:
    site.session.actors.add_person("ana", role="viewer", project="handbook", password=PASSWORD)
    site.session.put("prompt", "answer", "a")
    page = browser.new_page(base_url=site.url)
    page.goto("/handbook/prompts?limit=7")
    assert page.url.startswith(f"{site.url}/login?back=")
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type("a wrong guess")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert page.evaluate("document.activeElement.id") == "password"  # the name is known already
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/handbook/prompts?limit=7")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{site.url}/login")
    page.goto("/handbook/prompts")
    assert "/login" in page.url
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_way_in_has_no_barrier_and_nothing_sideways(browser: Browser, site: Site, scheme: str, width: int) -> None:
    invitation = site.session.actors.add_person("ana", role="viewer", project="handbook")
    context = browser.new_context(
        base_url=site.url,
        viewport={"width": width, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(site.url) else None)
    for path in ("/login", f"/invitation/{invitation}"):
        page.goto(path)
        assert _barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/login")
    page.fill("#name", "ana")
    page.fill("#password", "a wrong guess")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("[role=alert]")
    assert _barriers(page) == [] and complaints == []
    context.close()
