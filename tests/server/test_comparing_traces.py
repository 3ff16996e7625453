"""Two periods and two versions side by side, by command, page and JSON; views, facets and messages on the command line."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser
from serving import serving
from test_server_browser import barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]
from test_server_http import ask, read  # pyright: ignore[reportMissingImports]

import afere.store
from afere.base.errors import AfereError
from afere.base.filter import parse_filter
from afere.base.span import Span
from afere.cli.main import cli
from afere.evals.stats import Estimate, apart, clustered_rate, p_apart, wilson
from afere.server.pages import views
from afere.server.pages.traces import chip
from afere.store import Session

SECOND, HOUR = 10**9, 3600
OLD, NEW = "chain:qa~aaaaaa", "chain:qa~bbbbbb"


def _runs(count: int, *, hours_ago: float, seconds: float, failed: int, ref: str, first: int) -> list[Span]:
    dice, now = random.Random(first), time.time_ns()
    spans: list[Span] = []
    for nth in range(count):
        trace, start = f"{first + nth:032x}", now - int((hours_ago + nth / count * 20) * HOUR * SECOND)
        end = start + int(seconds * dice.uniform(0.8, 1.2) * SECOND)
        spans += [
            Span(trace, f"{first + nth:016x}", "qa", start, None, "chain", end, "error" if nth < failed else "ok", user=f"user:{nth % 40}", artifacts=[(ref, "h")]),
            Span(trace, f"{first + nth + 10**6:016x}", "answer", start, f"{first + nth:016x}", "llm", end, model="m", input_tokens=100, output_tokens=nth % 7, cost=0.001,
                 artifacts=[("component:answer@2", "c"), ("prompt:answer@2", "p")], input_messages=[{"role": "user", "text": f"question {nth}\x1b[31m"}]),
        ]  # fmt: skip
    return spans


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Session]]:
    """Two days: the new version of today fails more often and takes twice as long."""
    folder = tmp_path_factory.mktemp("compared")
    with afere.store.open(folder / ".afere", project="handbook") as session:
        session.spans.write(_runs(200, hours_ago=26, seconds=1, failed=4, ref=OLD, first=1000))
        session.spans.write(_runs(200, hours_ago=1, seconds=2, failed=40, ref=NEW, first=5000))
        views.save(session, "slow", "latency>1.5s", "latency")
        with serving(session) as url:
            yield url, session


def run(session: Session, *words: str) -> Any:
    done = CliRunner().invoke(cli, [*words, "--json", "--store", str(session.folder), "--project", "handbook"], catch_exceptions=False)  # fmt: skip
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def shown(session: Session, *words: str) -> str:
    return CliRunner().invoke(cli, [*words, "--store", str(session.folder), "--project", "handbook"], catch_exceptions=False, env={"COLUMNS": "100"}).output  # fmt: skip


@pytest.mark.parametrize(("query", "against"), [("since:24h", "previous"), ("chain:qa~bbbbbb", "chain:qa~aaaaaa"), ("since:24h", "since:48h before:24h")])  # fmt: skip
def test_what_got_worse_is_proven_and_the_same_on_every_door(place: tuple[str, Session], query: str, against: str) -> None:  # fmt: skip
    url, session = place
    page = read(url, f"/traces/against.json?q={query}&against={against.replace(' ', '+')}")
    told = run(session, "stats", query, "--against", against)
    assert [one["before"]["value"] for one in told["measures"]] == [one["before"]["value"] for one in page["measures"]]
    assert ((page["before"]["count"], page["after"]["count"]), (page["before"]["failed"], page["after"]["failed"])) == ((200, 200), (4, 40))  # fmt: skip
    measures = {one["name"]: one for one in page["measures"]}
    failed = measures["failed"]
    assert (failed["before"]["value"], failed["after"]["value"], failed["answer"]) == (0.02, 0.2, "more")
    assert failed["change"]["low"] > 0.05
    assert failed["p"] < 0.01
    assert measures["median time"]["answer"] == "more"
    assert measures["median time"]["change"]["low"] < 1 < measures["median time"]["change"]["high"]
    assert [measures[name]["answer"] for name in ("tokens a trace", "cost a trace")] == [None, None]
    for one in measures.values():  # each answer follows from its interval
        low, high = one["change"]["low"], one["change"]["high"]
        assert one["answer"] == ("more" if low is not None and low > 0 else "less" if high is not None and high < 0 else None)  # fmt: skip
    assert "failed 18.0 points more" in shown(session, "stats", query, "--against", against)


def test_nothing_is_proven_where_nothing_changed(place: tuple[str, Session]) -> None:
    _, session = place
    told = run(session, "stats", "chain:qa~aaaaaa since:35h", "--against", "since:60h before:35h")
    assert [one["answer"] for one in told["measures"]] == [None] * 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stats", "--against", "previous"), "must say a period"),
        (("stats", "chain:qa", "--against", "chain:qa"), "is the same as the filter"),
        (("stats", "--against", "chian:qa"), "Did you mean chain?"),
        (("stats", "since:1h", "--against", ""), "the word previous"),
        (("stats", "--against", "user:1", "--by", "model"), "one at a time"),
        (("stats", "--by", "componnet"), "Did you mean 'component'?"),
        (("traces", "--view", "quick"), "Views: slow"),
    ],
)
def test_a_wrong_question_is_answered_with_the_right_one(place: tuple[str, Session], words: tuple[str, ...], said: str) -> None:  # fmt: skip
    with pytest.raises(AfereError, match=said.replace("?", "\\?")):
        run(place[1], *words)


def test_statistics_are_by_what_ran(place: tuple[str, Session]) -> None:
    _, session = place

    def by(name: str) -> dict[str, int]:
        return {row[name]: row["count"] for row in run(session, "stats", "--by", name)["items"]}

    assert by("component") == {"qa": 400, "answer": 400}
    assert by("prompt") == {"answer@2": 400, None: 400}
    assert by("version") == {"qa~aaaaaa": 200, "qa~bbbbbb": 200, None: 400}
    rows = run(session, "stats", "kind:llm", "--by", "component,model")["items"]
    assert [(row["component"], row["model"], row["cost"]) for row in rows] == [("answer", "m", pytest.approx(0.4))]


def test_statistics_have_a_page_and_json_of_the_same_numbers(place: tuple[str, Session]) -> None:
    url, session = place
    for by in ("component", "version,kind", "chain", "hour", "user"):
        page = read(url, f"/stats.json?q=kind:chain&by={by}")["items"]
        assert page == run(session, "stats", "kind:chain", "--by", by)["items"]
    html = ask(url, "/stats?q=kind:chain&by=chain")[2]
    assert "20.0%" in html
    assert "q=kind%3Achain+chain%3Aqa~bbbbbb" in html or "q=kind%3Achain%20chain%3Aqa~bbbbbb" in html
    status, _, wrong = ask(url, "/stats?q=stauts:ok&by=componnet")
    assert status == 400
    assert "Did you mean" in wrong


def test_views_facets_and_sorts_are_those_of_the_page(place: tuple[str, Session]) -> None:
    url, session = place
    viewed = run(session, "traces", "--view", "slow", "--limit", "5")["items"]
    paged = read(url, "/traces.json?view=slow&limit=5")["items"]
    assert [one["trace_id"] for one in viewed] == [one["trace_id"] for one in paged]
    assert [one["seconds"] for one in viewed] == sorted((one["seconds"] for one in viewed), reverse=True)
    newest = run(session, "traces", "--view", "slow", "--sort", "start", "user:user:3")["items"]
    assert {one["user"] for one in newest} == {"user:3"}
    assert [one["start"] for one in newest] == sorted((one["start"] for one in newest), reverse=True)
    assert run(session, "traces", "user:user:4", "--sort", "cost", "--save", "dear") | {"at": ""} == {
        "name": "dear", "filter": "user:user:4", "sort": "cost", "by": session.actor, "at": "", "why": "",
    }  # fmt: skip
    assert {one["user"] for one in run(session, "traces", "--view", "dear")["items"]} == {"user:4"}
    told = run(session, "traces", "--facets", "chain:qa~bbbbbb")
    assert told["facets"]["status"] == [{"value": "ok", "count": 160}, {"value": "error", "count": 40}]
    assert told["facets"] == read(url, "/traces/over.json?q=chain:qa~bbbbbb")["facets"]
    top = run(session, "traces", "--sort", "tokens", "--limit", "3")["items"]
    assert [one["totals"]["output_tokens"] for one in top] == [6, 6, 6]


def test_show_tells_what_the_steps_said_without_codes_for_the_terminal(place: tuple[str, Session]) -> None:
    _, session = place
    plain, told = shown(session, "show", f"{5000:032x}"), shown(session, "show", f"{5000:032x}", "--messages")
    assert "question 0" not in plain
    assert "--messages" in plain
    assert "user  question 0[31m" in told
    assert "\x1b" not in told


def test_of_a_huge_trace_the_first_thousand_are_shown_and_the_rest_counted(fresh: tuple[str, Session]) -> None:
    _, session = fresh
    now = time.time_ns()
    session.spans.write([Span("c" * 32, f"{nth + 1:016x}", f"step {nth}", now + nth, None if nth == 0 else f"{1:016x}", end=now + 5000) for nth in range(1200)])  # fmt: skip
    told = shown(session, "show", "c" * 32)
    assert "step 999 " in told
    assert "step 1000 " not in told
    assert "200 more spans" in told


def test_a_run_whose_process_is_gone_died_in_the_json(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    session.spans.write([Span("d" * 32, "d" * 16, "qa", time.time_ns(), None, "chain", None, "running", attributes={"process.pid": gone.pid, "host.name": socket.gethostname()})])  # fmt: skip
    (one,) = run(session, "traces")["items"]
    assert (one["status"], one["error"]) == ("died", "the process that ran it is gone")
    assert run(session, "show", "d" * 32)["status"] == read(url, "/traces.json")["items"][0]["status"] == "died"


def test_the_difference_of_two_rates_is_newcombes() -> None:
    """Newcombe 1998, table II, (a) 56/70 against 48/80, method 10: 0.0524 to 0.3339 at 95%; (f) 9/10 against 3/10."""
    for (a, n, b, m), (low, high) in (((56, 70, 48, 80), (0.0524, 0.3339)), ((9, 10, 3, 10), (0.1705, 0.8090))):
        left, right = (Estimate(k / of, *wilson(k, of, level=0.95), of, of) for k, of in ((b, m), (a, n)))
        change = apart(left, right)
        assert (change.low, change.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_the_test_of_two_rates_keeps_its_error_rate_with_clusters() -> None:
    dice = random.Random(5)

    def side() -> tuple[list[float], list[str]]:
        values: list[float] = []
        clusters: list[str] = []
        for group in range(40):
            rate = dice.betavariate(2, 8)
            values += [float(dice.random() < rate) for _ in range(5)]
            clusters += [str(group)] * 5
        return values, clusters

    def apart_at(level: float, *sides: tuple[list[float], list[str]]) -> bool:
        change = apart(*(clustered_rate(*one, level=level) for one in sides))
        assert change.low is not None
        assert change.high is not None
        return not change.low <= 0 <= change.high

    drawn = [(side(), side()) for _ in range(300)]
    found = [apart_at(0.95, *sides) for sides in drawn]
    assert sum(found) <= 300 * 0.05 + 2 * (300 * 0.05 * 0.95) ** 0.5
    for (left, right), seen in zip(drawn[:5], found, strict=False):  # the p says the same as the interval
        p = p_apart(lambda level, a=left, b=right: (clustered_rate(*a, level=level), clustered_rate(*b, level=level)))
        assert p is not None
        assert (p < 0.05) == seen
    assert p_apart(lambda _: (Estimate(0.1, None, None, 1, 1), Estimate(0.2, None, None, 1, 1))) is None


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_from_the_list_to_the_comparison_of_its_period(
    browser: Browser,  # noqa: F811
    place: tuple[str, Session],
    width: int,
    scheme: Any,
) -> None:
    for page in opened(browser, place[0], viewport={"width": width, "height": 844}, color_scheme=scheme):
        page.goto("/traces?q=since:24h")
        page.click("text=Against the time before")
        page.wait_for_selector("h1 >> text=Compared")
        assert "Proven: failed 18.0 points more" in page.locator(".verdict").inner_text()
        assert sideways(page) <= 0
        assert barriers(page) == []
        page.fill("input[name=against]", "chian:<b>x")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Did you mean chain?")
        assert page.locator("pre >> text=chian:<b>x").count() == 1
        assert barriers(page) == []


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_statistics_fit_have_no_barrier_and_lead_to_their_traces(
    browser: Browser,  # noqa: F811
    place: tuple[str, Session],
    width: int,
    scheme: Any,
) -> None:
    for page in opened(browser, place[0], viewport={"width": width, "height": 844}, color_scheme=scheme):
        page.goto("/stats?q=since:7d&by=user")
        assert barriers(page) == []
        assert sideways(page) <= 0
        page.click("p[aria-label='Group by'] >> text=chain")
        page.click("td >> text=qa~bbbbbb")
        page.wait_for_selector("h1 >> text=Traces")
        assert page.locator("tr[data-trace]").count() == 50


@given(st.text(min_size=1).filter(str.strip))
def test_the_link_of_a_value_asks_for_exactly_it(value: str) -> None:
    (term,) = parse_filter(f"status:error {chip('user', value)}").terms[1:]
    assert (term.field, term.value, term.glob, term.negated) == ("user", value, False, False)


def test_a_comparison_of_nothing_says_so(place: tuple[str, Session]) -> None:
    status, _, html = ask(place[0], "/traces/against?q=user:nobody+since:1h&against=previous")
    assert status == 200
    assert "nothing to compare" in html
