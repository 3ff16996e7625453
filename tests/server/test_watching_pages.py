"""The pages that watch: the live list with its counts and views, sessions, users, the wait for a first span, what people say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import pytest
import seeding
from playwright.sync_api import Browser
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]
from test_server_http import Inline, ask, read  # pyright: ignore[reportMissingImports]

import afere.store
from afere.base.errors import BadInput
from afere.base.score import Score
from afere.base.span import Span
from afere.server import app, store_api
from afere.server.pages.code import snippets
from afere.store import Session
from afere.testing import OpenAIServer

SECOND = 10**9
NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }}\"'&"


def trace(nth: int, *, ago: float = 10, status: Any = "ok", **also: Any) -> list[Span]:
    """A run of two spans that began `ago` seconds before now."""
    trace_id, start = f"{nth:032x}", time.time_ns() - int(ago * SECOND)
    end = None if status == "running" else start + nth % 7 * SECOND // 10 + SECOND
    root = Span(trace_id, f"{nth:016x}", also.pop("name", "qa"), start, None, "chain", end, status, input=f"question {nth}", output=f"answer {nth}", **also)  # fmt: skip
    call = Span(trace_id, f"{nth + 10**6:016x}", "answer", start, root.span_id, "llm", start + SECOND, model="gpt-4.1-mini", input_tokens=nth, output_tokens=1, cost=nth / 1000)  # fmt: skip
    return [root, call]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    """Sixty runs of three users in five sessions over two hours; one of everything has a hostile name."""
    folder = tmp_path_factory.mktemp("busy")
    with afere.store.open(folder / ".afere", project="handbook") as session:
        for nth in range(1, 61):
            version = "resource.service.version" if nth % 2 else "service.version"
            session.spans.write(
                trace(nth, ago=(61 - nth) * 120, status="error" if nth % 10 == 0 else "ok", user=f"user:{nth % 3}", session=f"s/{nth % 5}",
                      environment="production", attributes={version: "1.4" if nth < 40 else "1.5"}, artifacts=[(f"chain:qa~{nth % 2}f2e3d", "sha256:0")])
            )  # fmt: skip
        session.spans.write(
            trace(99, ago=5, name=NASTY, user=NASTY, session=NASTY, environment=NASTY, attributes={"service.version": NASTY})
        )  # fmt: skip
        session.append(
            Score(f"{99:032x}", NASTY, NASTY, f"user:{NASTY}"),
            Score(f"{99:032x}", "comment", NASTY, "person:ana"),
            Score(f"{99:032x}", "assigned", NASTY, "person:ana"),
            Score(f"{1:032x}", "helpful", False, "user:1", "it is wrong"),
        )
        with serving(session) as url:
            yield url, session


ADDRESSES = (
    "/traces", "/traces/over", "/traces/new", f"/traces/{99:032x}", "/sessions", f"/sessions/{quote(NASTY, safe='')}", "/users",
    f"/users/{quote(NASTY, safe='')}", f"/traces?{urlencode({'q': json.dumps(NASTY)})}", f"/traces?{urlencode({'q': 'user:' + NASTY})}",
    f"/traces?{urlencode({'q': NASTY + ':1'})}", f"/traces?{urlencode({'view': NASTY})}", "/handbook",
)  # fmt: skip


@pytest.mark.parametrize("path", ADDRESSES)
def test_hostile_text_is_text_on_each_of_them(busy: tuple[str, Session], path: str) -> None:
    status, _, html = ask(busy[0], path)
    assert status in (200, 400, 404), html
    assert Inline.of(html) == []
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    assert "49" not in html.partition("<title>")[2].partition("</title>")[0]


def test_facets_count_and_each_of_their_filters_finds_what_they_counted(busy: tuple[str, Session]) -> None:
    url, _ = busy
    html = ask(url, "/traces/over")[2]
    facets = read(url, "/traces/over.json")["facets"]
    assert {"status", "chain", "name", "user", "session", "environment", "model"} <= facets.keys()
    assert facets["status"] == [{"value": "ok", "count": 55}, {"value": "error", "count": 6}]
    assert {one["value"]: one["count"] for one in facets["version"]} == {"1.4": 39, "1.5": 21, NASTY: 1}

    class Links(HTMLParser):
        found: ClassVar[list[str]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value for name, value in attrs if name == "href" and value and "traces?q=" in value]

    Links().feed(html.partition("data-facets")[2])
    counted = [one["count"] for values in facets.values() for one in values]
    followed = [
        len(read(url, f"{link.replace('/traces?', '/traces.json?')}&limit=100")["items"]) for link in Links.found
    ]
    assert followed == counted


def test_counts_over_time_add_up_and_follow_the_filter(busy: tuple[str, Session]) -> None:
    url, _ = busy
    over = read(url, "/traces/over.json?q=since:1h")
    listed = read(url, "/traces.json?q=since:1h&limit=100")["items"]
    assert sum(slot["count"] for slot in over["slots"]) == over["counted"] == len(listed) > 20
    assert sum(slot["failed"] for slot in over["slots"]) == over["failed"] == 3
    assert ask(url, "/traces/over.json?q=statsu:ok")[0] == 400


@pytest.mark.parametrize("sort", ["latency", "cost", "tokens"])
def test_a_sorted_list_goes_on_where_its_page_ended(busy: tuple[str, Session], sort: str) -> None:
    url, _ = busy
    value = {"latency": lambda one: one["seconds"], "cost": lambda one: one["totals"]["cost"], "tokens": lambda one: one["totals"]["input_tokens"] + one["totals"]["output_tokens"]}[sort]  # fmt: skip
    first = read(url, f"/traces.json?sort={sort}&limit=40")
    second = read(url, f"/traces.json?sort={sort}&limit=40&cursor={first['next']}")
    both = [*first["items"], *second["items"]]
    assert len({one["trace_id"] for one in both}) == len(both) == 61
    assert [value(one) for one in both] == sorted((value(one) for one in both), reverse=True)
    assert second["next"] is None


def test_a_wrong_filter_points_at_the_character_on_every_door(busy: tuple[str, Session]) -> None:
    from click.testing import CliRunner

    from afere.cli.main import cli

    url, session = busy
    status, _, body = ask(url, "/traces.json?q=user:1+laency>2s")
    assert status == 400
    assert "character 8" in json.loads(body)["detail"]
    assert "Did you mean latency?" in json.loads(body)["detail"]
    status, _, html = ask(url, "/traces?q=user:1+laency>2s")
    assert status == 400
    assert "character 8: there is no field 'laency'. Did you mean latency?" in unescape(html)
    found = CliRunner().invoke(cli, ["traces", "user:1", "laency>2s", "--store", str(session.folder)])
    assert "character 8" in str(found.exception)
    assert "Did you mean latency?" in str(found.exception)


def test_a_view_is_saved_used_replaced_and_taken_away(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    session.spans.write([*trace(1), *trace(2, status="error")])

    def send(said: dict[str, Any]) -> tuple[int, Any]:
        status, _, body = ask(url, "/views", method="POST", headers={"content-type": "application/json", "accept": "application/json"}, body=json.dumps(said).encode())  # fmt: skip
        return status, json.loads(body)

    assert send({"name": "failed", "filter": "status:error", "sort": "latency", "why": "the Monday look"})[0] == 201
    assert [one["trace_id"] for one in read(url, "/traces.json?view=failed")["items"]] == [f"{2:032x}"]
    assert send({"name": "failed", "filter": "status:ok"})[0] == 201
    kept = read(url, "/views.json")["items"]
    assert [(one["name"], one["filter"], one["sort"], one["by"]) for one in kept] == [
        ("failed", "status:ok", "start", "person:local")
    ]
    for wrong in ({"name": "x", "filter": "stauts:ok"}, {"name": "x", "sort": "size"}, {"name": "A b"}, {"filter": ""}):
        assert send(wrong)[0] in (400, 422), wrong
    assert send({"name": "failed", "remove": "yes"})[0] == 201
    assert read(url, "/views.json")["items"] == []
    assert "Views: none yet" in json.loads(ask(url, "/traces.json?view=failed")[2])["detail"]
    assert len(session.find("artifacts", kind="view", name="failed").items) == 3  # its history stays


def test_sessions_and_users_add_up(busy: tuple[str, Session]) -> None:
    url, _ = busy
    sessions = {one["name"]: one for one in read(url, "/sessions.json")["items"]}
    assert {name: one["traces"] for name, one in sessions.items()} == {**{f"s/{nth}": 12 for nth in range(5)}, NASTY: 1}
    one = read(url, "/sessions/s%2F3.json")
    assert [turn["input"] for turn in one["items"]] == [f"question {nth}" for nth in range(3, 60, 5)]
    assert one["totals"]["traces"] == 12
    assert one["totals"]["cost"] == pytest.approx(sum(range(3, 60, 5)) / 1000)
    user = read(url, "/users/user:1.json")
    assert user["totals"]["traces"] == 20
    assert [(score["name"], score["why"]) for score in user["scores"]] == [("helpful", "it is wrong")]
    assert sum(each["traces"] for each in user["sessions"]) == 20
    assert ask(url, "/users/nobody.json")[0] == ask(url, "/sessions/none.json")[0] == 404


def _said(*more: Any) -> list[Any]:
    texts = [("system", "Be {{ kind }}."), ("user", "What's \"up\"?\n# user\nLine {% if %}"), ("assistant", "Ok"), ("user", "é\\n")]  # fmt: skip
    return [{"role": role, "text": text} for role, text in texts] + list(more)


def test_the_python_that_is_copied_says_the_same_again(project: Path, tmp_path: Path) -> None:
    span = Span("a" * 32, "b" * 16, "plan", 1, "c" * 16, "llm", 2, model="gpt-x", provider="openai", input_messages=_said(), attributes={"gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 7})  # fmt: skip
    python, curl, row = snippets(span)
    assert [one.id for one in (python, curl, row)] == ["python", "curl", "row"]
    assert "afere.base" not in python.text
    assert "afere.models" not in python.text
    with OpenAIServer("Again.", models=["gpt-x"]) as server:
        ran = subprocess.run([sys.executable, "-c", python.text], check=False, cwd=project, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"})  # fmt: skip
        assert (ran.stdout.strip(), ran.returncode) == ("Again.", 0), ran.stderr
        body = server.requests[-1].body
    assert [(said["role"], said["content"]) for said in body["messages"]] == [(said["role"], said["text"]) for said in _said()]  # fmt: skip
    assert (body["temperature"], body.get("max_tokens", body.get("max_completion_tokens"))) == (0.2, 7)


def test_what_cannot_be_said_with_the_public_names_has_only_curl_and_a_row() -> None:
    call = {"role": "assistant", "text": "", "tool_calls": [{"id": "1", "name": "look", "arguments": {}}]}
    span = Span("a" * 32, "b" * 16, "plan", 1, "c" * 16, "llm", 2, model="m", input_messages=_said(call))
    assert [one.id for one in snippets(span)] == ["curl", "row"]
    ours = Span("a" * 32, "b" * 16, "answer", 1, "c" * 16, "llm", 2, input={"question": "x"}, input_messages=_said(), artifacts=[("component:answer@3", "h")])  # fmt: skip
    assert "afere.prompt('component:answer@3')" in snippets(ours)[0].text


def test_the_wait_for_a_first_span_offers_a_chain_that_is_declared_and_no_other(fresh: tuple[str, Session]) -> None:
    url, session = fresh

    def commands() -> set[str]:
        said = unescape(ask(url, "/traces")[2])
        return set(re.findall(r">(afere (?:run|init)[^<]*)<", said))

    assert commands() == {"afere init"}
    (session.folder.parent / "afere.yaml").write_text("project: handbook\nchains: {desk: 'app:desk'}\n")
    assert commands() == {'afere run desk "A question"'}


@pytest.mark.browser
def test_the_first_span_turns_the_waiting_page_into_the_list(
    browser: Browser,  # noqa: F811
    fresh: tuple[str, Session],
) -> None:
    url, session = fresh
    for page in opened(browser, url, viewport={"width": 390, "height": 844}):
        page.goto("/traces")
        assert page.locator("h1").inner_text() == "Waiting for your first span"
        assert f'OTEL_EXPORTER_OTLP_ENDPOINT="{url}"' in page.content()
        assert barriers(page) == []
        assert sideways(page) <= 0
        session.spans.write(trace(1))
        page.wait_for_selector("text=question 1")


@pytest.mark.browser
def test_new_traces_come_in_order_running_ones_end_and_the_list_can_be_paused(
    browser: Browser,  # noqa: F811
    fresh: tuple[str, Session],
) -> None:
    url, session = fresh
    session.spans.write([*trace(1, ago=30), *trace(2, ago=20, status="running")])
    for page in opened(browser, url, viewport={"width": 1280, "height": 800}):
        page.goto("/traces")
        rows = page.locator("tr[data-trace]")
        assert rows.count() == 2
        session.spans.write([*trace(2, ago=20), *trace(3, ago=1), *trace(4, ago=25)])  # the last came late
        page.wait_for_selector("text=question 4")
        page.wait_for_selector("tr[data-running]", state="detached")
        shown = [rows.nth(nth).get_attribute("data-trace") for nth in range(rows.count())]
        assert shown == [f"{nth:032x}" for nth in (3, 2, 4, 1)]
        assert "2 came while you looked" in page.locator("[data-came]").inner_text()
        page.keyboard.press("l")
        assert page.locator("[data-live]").get_attribute("aria-pressed") == "false"
        session.spans.write(trace(5, ago=0.5))
        page.wait_for_timeout(2600)
        assert page.get_by_text("question 5").count() == 0
        page.keyboard.press("l")
        page.wait_for_selector("text=question 5")
        assert barriers(page) == []


@pytest.mark.browser
def test_facets_the_histogram_and_a_view_narrow_the_list(browser: Browser, fresh: tuple[str, Session]) -> None:  # noqa: F811
    url, session = fresh
    for nth in range(1, 21):
        session.spans.write(trace(nth, ago=nth * 60, user=f"user:{nth % 2}", status="error" if nth == 3 else "ok"))
    for page in opened(browser, url, viewport={"width": 1280, "height": 900}):
        page.goto("/traces")
        page.click("[data-facets] summary")
        page.click("[data-facets] >> text=user:1")
        page.wait_for_selector("[data-counted]")
        assert page.locator("tr[data-trace]").count() == 10
        assert page.locator("[data-facets] a[aria-current]").inner_text() == "user:1"  # open, as it was left
        assert barriers(page) == []
        page.click("[data-open=view-dialog]")
        assert barriers(page) == []
        page.fill("#view-name", "one")
        page.click("#view-dialog .primary")
        page.goto("/traces")
        page.click("summary >> text=Views")
        page.click(".menu >> text=one")
        page.wait_for_url("**view=one")
        assert page.locator("tr[data-trace]").count() == 10
        assert page.locator("input[name=q]").input_value() == "user:user:1"
        box = page.locator("[data-histogram] svg").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 5)
        page.mouse.up()
        page.wait_for_url("**since*")
        assert 3 <= page.locator("tr[data-trace]").count() <= 7
    assert session.get("view:one").content == {"filter": "user:user:1", "sort": "start"}


@pytest.mark.browser
def test_people_comment_and_assign_and_see_it_as_they_wrote_it(
    browser: Browser,  # noqa: F811
    fresh: tuple[str, Session],
) -> None:
    url, session = fresh
    session.spans.write(trace(1))
    for page in opened(browser, url, viewport={"width": 1280, "height": 800}):
        page.goto(f"/traces/{1:032x}")
        page.fill("[name=value][aria-label=Comment]", NASTY)
        page.keyboard.press("Enter")
        page.wait_for_selector(".thread li")
        assert NASTY in page.locator(".thread li").inner_text()
        page.click("[data-open=assign-dialog]")
        assert barriers(page) == []
        page.fill("#assign-value", "ana")
        page.click("#assign-dialog .primary")
        page.wait_for_selector("text=Assigned to ana")
        page.click("[data-open=assign-dialog]")
        page.fill("#assign-value", "")
        page.click("#assign-dialog .primary")
        page.wait_for_selector("[data-open=assign-dialog] >> text=/^Assign$/")
    value = read(url, f"/traces/{1:032x}.json")
    assert ([one["value"] for one in value["comments"]], value["assigned"], value["scores"]) == ([NASTY], None, [])


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_these_pages_fit_and_have_no_barrier(
    browser: Browser,  # noqa: F811
    busy: tuple[str, Session],
    width: int,
    scheme: Any,
) -> None:
    for page in opened(browser, busy[0], viewport={"width": width, "height": 844}, color_scheme=scheme):
        for path in (
            "/traces",
            "/traces/over",
            "/sessions",
            "/sessions/s%2F3",
            "/users",
            "/users/user:1",
            *ADDRESSES[3:8],
        ):
            page.goto(path)
            if path == "/traces":
                page.click("[data-facets] summary")
            assert sideways(page) <= 0, path
            assert width == 320 or barriers(page) == [], path


def test_seeded_texts_of_all_scripts_are_on_the_pages_of_their_users(site: str) -> None:
    for text in (seeding.RTL, seeding.LONG):
        status, _, html = ask(site, f"/users/{quote(text[:40], safe='')}")
        assert status == 200
        assert text[:20] in html


def test_home_counts_a_whole_week_and_leaves_evaluations_out(fresh: tuple[str, Session]) -> None:
    """Of more requests and spans than one page of either would hold."""
    url, session = fresh
    for first in range(0, 2_600, 650):
        session.spans.write(
            [
                span
                for nth in range(first + 1, first + 651)
                for span in trace(
                    nth, ago=nth * 200, status="error" if nth % 50 == 0 else "ok", environment="production"
                )
            ]
        )

    def home() -> tuple[Any, dict[str, tuple[Any, ...]]]:
        page = read(url, "/home.json?over=7d")
        return page, {one["name"]: (one["calls"], one["errors"]) for one in page["components"]}

    page, components = home()
    assert (page["requests"], page["failed"], page["more"], page["more_spans"]) == (2600, 52, False, False)
    assert components == {"qa": (2600, 52), "answer": (2600, 0)}
    assert page["cost"] == pytest.approx(sum(range(1, 2601)) / 1000)
    assert page["p95"]["value"] == pytest.approx(1.6)
    assert page["error_rate"]["low"] < 0.02 < page["error_rate"]["high"]
    rows = [
        Span(one.trace_id, one.span_id, one.name, one.start, one.parent_id, one.kind, one.end, "error", environment="evaluation", cost=5.0)
        for one in trace(9_000)
    ]  # fmt: skip
    session.spans.write(rows)
    with_rows, same = home()
    assert (with_rows["requests"], with_rows["evaluated"], same) == (2600, 1, components)
    assert with_rows["cost"] == pytest.approx(page["cost"])


def test_a_question_that_takes_too_long_is_given_up_and_says_so(
    fresh: tuple[str, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, session = fresh
    session.spans.write([span for nth in range(1, 1500) for span in trace(nth)])
    long = "/traces{}?q=attr.tenant:nobody"  # of an attribute that is not declared: every span is read
    assert read(url, long.format(".json"))["items"] == []
    with monkeypatch.context() as patch:
        patch.setattr(app, "LONGEST", 0.0)
        patch.setattr(store_api, "LONGEST", 0.0)
        for path in (long.format(".json"), long.format("")):
            status, _, said = ask(url, path)
            assert status == 400 and "takes too long" in said and "filterable" in said
        with afere.store.open(url) as remote, pytest.raises(BadInput, match="takes too long"):
            remote.spans.find("attr.tenant:nobody")
        assert len(read(url, "/traces.json?limit=20")["items"]) == 20  # what is quick is answered
    assert read(url, long.format(".json"))["items"] == [] and session.spans.find("attr.tenant:nobody").items == ()


def test_a_trace_whose_first_span_kept_nothing_shows_what_a_model_said_last_or_no_answer(
    fresh: tuple[str, Session],
) -> None:
    url, session = fresh
    root, call = trace(1)
    root.input = root.output = None
    session.spans.write([root, call])
    assert "<h2>Answer</h2>" not in ask(url, f"/traces/{root.trace_id}")[2]
    session.spans.write([*trace(2)[:1], replace(trace(2)[1], output="Twenty days.")])
    told, said = trace(3)
    session.spans.write([replace(told, output=None), replace(said, output="Twenty days.")])
    page = ask(url, f"/traces/{told.trace_id}")[2]
    assert "<h2>Answer</h2>" in page and "the last call of a model" in page and "Twenty days." in page
    assert "the last call of a model" not in ask(url, f"/traces/{2:032x}")[2]


def test_spans_have_a_page(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    session.spans.write([span for nth in range(1, 4) for span in trace(nth, name=NASTY)])
    status, _, page = ask(url, "/spans?q=kind:llm&limit=2")
    assert status == 200 and page.count(">answer</a>") == 2 and 'rel="next"' in page
    assert NASTY not in ask(url, "/spans")[2] and ask(url, "/spans?q=boo:x")[0] == 400
    assert ask(url, "/spans.json?q=boo:x")[0] == 400 and ask(url, "/spans?cursor=x")[0] == 400
