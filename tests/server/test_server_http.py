"""The server over real HTTP: who is answered, what every answer carries, and that a page and its JSON are one value."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import pytest
import seeding
from click.testing import CliRunner

from afere.base.errors import AfereError, Refused
from afere.base.span import Span
from afere.server import Server, words
from afere.server.markup import markdown
from afere.store import Session

TRACE = f"{1:032x}"
PAGES = (
    "/", "/handbook", "/handbook?over=7d", "/traces", "/traces?q=status:error", f"/traces/{TRACE}", f"/traces/{TRACE[:31]}", f"/traces/{seeding.NASTY_TRACE}",
    f"/traces/{seeding.LONG_TRACE}", f"/traces/{seeding.RTL_TRACE}", f"/traces/{seeding.RUNNING_TRACE}", "/prompts", "/prompts/answer", "/prompts/answer/1..3",
    "/prompts/answer/production", "/prompts/answer/3?show=used", "/prompts/answer/3?show=models", "/prompts/answer/3?show=checks", "/datasets", "/datasets/handbook-eval", "/datasets/handbook-eval/1", "/experiments",
    "/experiments/1", "/experiments/2", "/experiments/2?show=failed", "/experiments/3", "/compare/1/2", "/artifacts", "/artifacts?kind=chain", "/artifacts/chain:qa",
    "/artifacts/decision:2", "/audit", "/tools", "/lineage?of=qa", "/handbook/traces",
)  # fmt: skip


def ask(
    url: str, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], str]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=20)
    try:
        connection.request(method, path, body=body, headers={"accept": "text/html", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def read(url: str, path: str) -> dict:
    status, headers, body = ask(url, path)
    assert status == 200, body
    assert headers["content-type"] == "application/json"
    return json.loads(body)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_and_carries_the_policy(site: str, path: str) -> None:
    status, headers, body = ask(site, path)
    if path == f"/traces/{TRACE[:31]}":
        assert status == 400
        assert "Give more digits" in body
    else:
        assert status == 200
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert Inline.of(body) == []
    assert not re.search(r'(href|src|action)="(https?:)?//(?!example\.org)', body)


class Inline(HTMLParser):
    """Collects what the policy forbids: style attributes, handlers, scripts without a source, javascript: addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        self.found += [value for value in names.values() if value and value.strip().lower().startswith("javascript:")]
        if tag in ("style", "iframe", "object", "base") or (tag == "script" and "src" not in names):
            self.found.append(tag)

    @classmethod
    def of(cls, body: str) -> list[str]:
        parser = cls()
        parser.feed(body)
        return parser.found


def test_text_of_users_is_shown_as_they_wrote_it(site: str) -> None:
    status, _, body = ask(site, f"/traces/{seeding.NASTY_TRACE}")
    assert status == 200
    assert "<script>alert(1)" not in body
    assert "&lt;script&gt;alert(1)" in body
    assert "<b onclick" not in body
    assert "{{ 7*7 }}" in body.replace("&#x2f;", "/")
    assert "<img" not in body
    assert 'href="javascript' not in body


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("<img src=x onerror=alert(1)>", "<img"),
        ("[x](javascript:alert(1))", "<a"),
        ("[x](JaVaScRiPt:alert(1))", "<a"),
        ("[x](data:text/html,hi)", "<a"),
        ("[x](vbscript:x)", "<a"),
        ("[x](/relative)", "<a"),
        ("![x](https://example.org/a.png)", "<img"),
        ("| a |\n| ---: |\n| b |", "style="),
        ("```js onload=x\n</code><script>\n```", "<script"),
        ('[x](https://example.org/"onclick="alert(1))', 'onclick="'),
        ('[x](https://example.org "title\\" onclick=\\"x")', 'onclick="'),
        ("<https://example.org/<script>>", "<script"),
    ],
)
def test_markdown_of_models_stays_text(text: str, absent: str) -> None:
    assert absent not in markdown(text)


def test_markdown_keeps_lists_code_tables_and_plain_links() -> None:
    html = markdown("# T\n\n1. one\n\n`c` [a](https://example.org/x) <mailto:a@example.org>\n\n| a |\n| --- |\n| b |")
    assert "<h1" not in html
    assert "<ol>" in html
    assert "<table>" in html
    assert 'href="https://example.org/x" rel="noopener nofollow noreferrer"' in html


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "192.168.1.4",
        "localhost:x",
        "[::1]x",
        "user@localhost",
        "",
    ],
)
def test_a_name_that_is_not_this_machine_is_refused(site: str, host: str) -> None:
    status, headers, body = ask(site, "/traces.json", headers={"host": host, "accept": "application/json"})
    assert status == 421
    assert headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in headers
    assert "vacation" not in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4318", "127.0.0.1:80", "[::1]:4318"])
def test_this_machines_own_names_are_answered(site: str, host: str) -> None:
    assert ask(site, "/healthz", headers={"host": host})[0] == 200


def test_two_host_lines_are_refused(site: str) -> None:
    place = urlsplit(site)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as connection:
        connection.sendall(
            b"GET /traces.json HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(64).split()[1] in (b"400", b"421")


JSON = {"content-type": "application/json", "accept": "application/json"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_cannot_change_anything(fresh: tuple[str, Session], headers: dict[str, str]) -> None:
    url, session = fresh
    body = json.dumps({"target": "a" * 32, "name": "helpful", "value": True}).encode()
    assert ask(url, "/scores", method="POST", headers={**JSON, **headers}, body=body)[0] == 403
    assert session.find("scores").items == ()


def test_a_form_of_another_kind_or_size_is_refused(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    assert ask(url, "/scores", method="POST", headers={"content-type": "text/plain"}, body=b'{"target": "a"}')[0] == 400
    assert ask(url, "/scores", method="POST", headers=JSON, body=b" " * 1_000_001)[0] == 413
    assert ask(url, "/scores", method="POST", headers=JSON, body=b"{nonsense")[0] == 400
    assert ask(url, "/scores", method="DELETE", headers=JSON)[0] == 405
    assert session.find("scores").items == ()


def test_a_target_that_the_command_refuses_is_refused_here_too(fresh: tuple[str, Session]) -> None:
    from afere.cli.traces import score

    url, session = fresh
    session.put("prompt", "answer", "Hi")

    def post(target: str) -> tuple[int, str]:
        body = json.dumps({"target": target, "name": "helpful", "value": True}).encode()
        status, _, said = ask(url, "/scores", method="POST", headers={**JSON, "origin": url}, body=body)
        return status, said

    for target in ("zzz", "prompt:gone@1", "no such thing", "abcdef"):
        status, said = post(target)
        done = CliRunner().invoke(score, [target, "helpful", "true", "--by", "person:ana"])
        assert isinstance(done.exception, AfereError)
        assert (status, json.loads(said)["detail"]) == (400, str(done.exception))
    assert session.find("scores").items == ()
    status, said = post("prompt:answer")
    assert status == 201 and json.loads(said)["target"] == "prompt:answer@1"


def test_a_score_of_a_person_is_kept_and_audited(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    body = json.dumps({"target": "a" * 32, "name": "helpful", "value": False, "why": "HR says 5"}).encode()
    status, _, made = ask(url, "/scores", method="POST", headers={**JSON, "origin": url}, body=body)
    assert status == 201
    kept = session.find("scores").items[0]
    assert json.loads(made) == kept.to_json()
    assert (kept.value, kept.by, kept.why) == (False, "person:local", "HR says 5")
    assert session.find("audit", limit=1).items[0].action == "score"
    machine = json.dumps({"target": "a" * 32, "name": "x", "value": 1, "by": "judge:faithful@1"}).encode()
    assert ask(url, "/scores", method="POST", headers=JSON, body=machine)[0] == 400


def test_a_form_comes_back_to_this_server_only(fresh: tuple[str, Session]) -> None:
    url, _ = fresh
    form = {"content-type": "application/x-www-form-urlencoded", "origin": url}
    for back, there in (
        ("/traces", "/traces"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ):
        body = f"theme=dark&back={back}".encode()
        status, headers, _ = ask(url, "/settings", method="POST", headers=form, body=body)
        assert (status, headers["location"]) == (303, there)
        assert "afere-theme=dark" in headers["set-cookie"]
    assert 'data-theme="dark"' in ask(url, "/", headers={"cookie": "afere-theme=dark"})[2]
    assert "data-theme=" not in ask(url, "/", headers={"cookie": 'afere-theme="><script>'})[2].split(">", 2)[1]


def test_an_alias_moves_with_a_reason_and_not_without(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    session.put("prompt", "answer", {"template": "x"})
    form = {"content-type": "application/x-www-form-urlencoded", "origin": url}
    assert (
        ask(
            url,
            "/aliases",
            method="POST",
            headers=form,
            body=b"name=prompt:answer&alias=production&to=prompt:answer@1&why=+",
        )[0]
        == 400
    )
    assert session.find("aliases").items == ()
    status, _, _ = ask(
        url,
        "/aliases",
        method="POST",
        headers=form,
        body=b"name=prompt:answer&alias=production&to=prompt:answer@1&why=gate+passed&back=/prompts",
    )
    assert status == 303
    assert session.get("prompt:answer@production").version == 1


def test_what_is_not_there_is_said_to_people_and_to_programs(site: str) -> None:
    for path in (
        "/nothing",
        "/traces/ffffffffffff",
        "/prompts/nobody",
        "/experiments/99",
        "/nobody/traces",
        f"/traces/{TRACE}/spans/ffffffffffffffff",
        "/static/x/../app.js",
    ):
        status, headers, body = ask(site, path)
        assert status == 404, path
        assert headers["content-type"].startswith("text/html") or path.startswith("/static")
        assert "Traceback" not in body
    status, headers, body = ask(site, "/prompts/nobody.json")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    problem = json.loads(body)
    assert problem["status"] == 404
    assert "nobody" in problem["detail"]
    for path in ("/jobs.json", "/jobs", "/monitors.json", "/gateway"):
        status, _, body = ask(site, path)
        assert (status, "reserved" in body, "not built yet" in body) == (404, True, True), path


@pytest.mark.parametrize(
    "path",
    ["/traces?q=boo:x", "/traces.json?cursor=x", "/traces.json?limit=x", "/handbook?over=99d", "/prompts/answer/3?show=x", "/experiments/x",
     "/artifacts?kind=x", "/artifacts/%3Cscript%3E", "/datasets/handbook-eval?cursor=x"],
)  # fmt: skip
def test_bad_requests_say_what_to_write(site: str, path: str) -> None:
    status, _, body = ask(site, path)
    assert status == 400
    assert "<script>" not in body
    assert "Traceback" not in body


def test_a_page_and_its_json_are_one_value(site: str, store: Session) -> None:
    listed = read(site, "/traces.json?limit=5")
    assert [one["trace_id"] for one in listed["items"]] == [span.trace_id for span in store.spans.find(limit=5).items]
    assert read(site, f"/traces.json?limit=5&cursor={listed['next']}")["items"][0]["trace_id"] not in {
        one["trace_id"] for one in listed["items"]
    }
    trace = read(site, f"/traces/{TRACE}.json?content=full")
    kept = store.spans.trace(TRACE)
    assert kept is not None
    assert trace["spans"] == [span.to_json() for span in kept.spans]
    assert trace["totals"] == kept.totals.to_json()
    assert {score["name"] for score in trace["scores"]} == {"faithful", "helpful", "similarity"}
    assert read(site, "/artifacts/prompt:answer@3.json") == store.get("prompt:answer@3").to_json()
    assert read(site, "/prompts/answer/1..3.json")["difference"]["added"] > 0
    assert read(site, "/spans.json?q=kind:llm&limit=3")["items"][0]["kind"] == "llm"
    assert read(site, "/datasets/handbook-eval/2.json")["count"] == 72
    one, *others = [read(site, path) for path in ("/handbook/home.json", "/handbook.json", "/home.json")]
    for other in others:  # the chart ends at the second in which it is read
        assert {**one, "chart": None} == {**other, "chart": None}
        assert one["chart"].keys() == other["chart"].keys()
    shown = ask(site, "/experiments/2")[2]
    rows = re.findall(r'<tr data-value="([^"]+)" data-low="([^"]+)" data-high="([^"]+)"', shown)
    intervals = [tuple(float(number) for number in row) for row in rows]
    for measure in read(site, "/experiments/2.json")["measures"]:
        if measure["value"] is not None:
            assert (measure["value"], measure["low"], measure["high"]) in intervals


def test_what_a_measure_was_before_fits_its_difference(site: str) -> None:
    told = {one["name"]: one for one in read(site, "/experiments/3.json")["measures"]}
    assert told["exact"]["difference"]["against"] == "evals/answer.baseline.json"
    before = words.measured(round(told["exact"]["value"] - told["exact"]["difference"]["value"], 12), "exact")
    assert told["exact"]["difference"]["value"] != 0
    assert f'<td class="num soft p2">{before}</td>' in ask(site, "/experiments/3")[2]


def test_a_dataset_shows_what_its_rows_have_and_no_empty_columns(site: str) -> None:
    page = ask(site, "/datasets/handbook-eval/2?cursor=50")[2]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page.split("<h2>Rows</h2>")[1])
    assert heads == ["Row", "Input", "Expected answer", "Tags", "Split"]
    assert page.count("<summary>Details</summary>") == 1
    assert '<span class="k">asked in</span>' in page
    assert "Details" not in ask(site, "/datasets/handbook-eval/1")[2]


def test_previews_are_short_and_full_content_is_a_question_away(site: str) -> None:
    short = read(site, f"/traces/{seeding.LONG_TRACE}.json")["spans"][0]
    full = read(site, f"/traces/{seeding.LONG_TRACE}.json?content=full")["spans"][0]
    assert len(short["output"]) == 300
    assert len(full["output"]) > 5000


def test_every_span_can_be_reached_without_script(site: str, store: Session) -> None:
    trace = store.spans.trace(TRACE)
    assert trace is not None
    page = ask(site, f"/traces/{TRACE}")[2]
    for span in trace.spans:
        assert f"?span={span.span_id}#" in page
        assert f'<section id="{span.span_id}"' in ask(site, f"/traces/{TRACE}?span={span.span_id}")[2]
        assert f'<section id="{span.span_id}"' in ask(site, f"/traces/{TRACE}/spans/{span.span_id}")[2]


def test_a_run_whose_process_is_gone_died_and_a_mark_is_said_in_words(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    now, trace = time.time_ns(), "e" * 32
    ran = {"process.pid": gone.pid, "host.name": socket.gethostname()}
    session.spans.write([
        Span(trace, "e" * 16, "qa", now, None, "chain", None, "running", input="Anyone?", attributes=dict(ran)),
        Span(trace, "f" * 16, "search", now + 5, "e" * 16, "retrieval", None, "running", marks=["skewed"]),
        Span("d" * 32, "d" * 16, "approval", now, None, "agent", now + 9, "paused"),
    ])  # fmt: skip
    page = ask(url, f"/traces/{trace}")[2]
    assert "It died: the process that ran it is gone." in page
    assert "had times that cannot be" in page
    assert "marked skewed" not in page
    for path in (f"/traces/{trace}", f"/traces/{trace}/spans/{'f' * 16}", "/traces", "/"):
        shown = ask(url, path)[2]
        assert "died" in shown, path
        assert "</svg>running</span>" not in shown, path
    assert "paused" in ask(url, f"/traces/{'d' * 32}")[2]


def test_a_huge_trace_is_shown_a_part_at_a_time(fresh: tuple[str, Session]) -> None:
    url, session = fresh
    now = time.time_ns()
    root = Span("d" * 32, "d" * 16, "loop", now, None, "agent", now + 10**9)
    steps = [
        Span("d" * 32, f"{i + 1:016x}", "step", now + i, "d" * 16, "step", now + i + 5, input={"i": i})
        for i in range(3000)
    ]
    session.spans.write([root, *steps])
    status, _, body = ask(url, f"/traces/{'d' * 32}")
    assert status == 200
    assert body.count('role="treeitem"') == 500
    assert "?from=500" in body
    assert "1 to 500 of 3,001" in body
    last = ask(url, f"/traces/{'d' * 32}?span={3000:016x}")[2]
    assert f'<section id="{3000:016x}"' in last
    assert "3,001 of 3,001" in last
    page = read(url, f"/traces/{'d' * 32}.json")
    assert (len(page["spans"]), page["next"]) == (500, "500")


def test_an_empty_store_says_which_command_fills_it(fresh: tuple[str, Session]) -> None:
    url, _ = fresh
    for path, command in (
        ("/", "afere demo"),
        ("/traces", "afere init"),
        ("/experiments", "afere eval qa"),
        ("/prompts", "afere init"),
        ("/datasets", "afere eval qa"),
        ("/artifacts", "afere run qa"),
        ("/audit", "afere audit verify"),
    ):
        status, _, body = ask(url, path)
        assert status == 200
        assert command in body
    assert read(url, "/traces.json") == {"items": [], "next": None}


def test_static_files_are_kept_by_browsers_and_change_their_address(site: str) -> None:
    address = re.search(r'href="(/static/[0-9a-f]{12}/afere\.css)"', ask(site, "/traces")[2])
    assert address
    status, headers, _ = ask(site, address[1])
    assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert ask(site, address[1], headers={"if-none-match": headers["etag"]})[0] == 304
    assert ask(site, "/static/other/afere.css")[1]["cache-control"] == "no-cache"
    assert ask(site, "/static/x/nothing.css")[0] == 404


def test_the_description_names_addresses_that_answer(site: str) -> None:
    described = read(site, "/openapi.json")
    assert described["openapi"] == "3.1.0"
    filled = {
        "project": "handbook",
        "trace": TRACE,
        "span": f"{101:016x}",
        "name": "answer",
        "version": "1",
        "a": "1",
        "b": "2",
        "number": "1",
        "ref": "chain:qa",
        "id": "e-001",
    }
    for path, methods in described["paths"].items():
        if "get" in methods and not path.startswith(
            ("/labels", "/bakeoffs", "/stability")
        ):  # ask for what this store has none of
            user = read(site, "/users.json")["items"][0]["name"]
            names = {"datasets": "handbook-eval", "sessions": "s-1", "users": quote(user), "tools": "leave_balance"}
            name = names.get(path.split("/")[1], "answer")
            there = path.format(**{**filled, "name": name})
            assert read(site, there) is not None
            assert methods["get"]["summary"]


def test_health_and_readiness(site: str) -> None:
    assert read(site, "/healthz") == {"status": "ok"}
    assert read(site, "/readyz") == {"status": "ready"}


def test_a_host_beyond_loopback_without_any_key_is_refused_before_anything_listens(store: Session) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.4"):
        with pytest.raises(Refused, match="afere key create"):
            Server(store, host=host)


def test_a_port_in_use_gives_way_to_the_next_free_one(store: Session) -> None:
    first = Server(store, port=0)
    second = Server(store, port=first.port)
    assert second.port > first.port
    first.socket.close()
    second.socket.close()


def test_the_command_refuses_in_one_sentence(project: object) -> None:
    from afere.cli.ui import ui

    answer = CliRunner().invoke(ui, ["--host", "0.0.0.0"])
    assert isinstance(answer.exception, Refused)


def test_a_filter_that_cannot_be_read_is_a_problem_that_points_at_the_character(site: str) -> None:
    status, headers, body = ask(site, "/traces.json?q=latensy%3E2", headers={"accept": "*/*"})
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert "character 1" in json.loads(body)["detail"] and "latency" in json.loads(body)["detail"]
