"""Rows in the browser and over HTTP: every change is a version, nobody's work is lost, what is wrong is said at its field."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser
from test_server_browser import AXE, barriers, browser, opened, sideways  # noqa: F401 # pyright: ignore[reportMissingImports]

import afere
import afere.store
from afere.base.actor import Actor
from afere.base.errors import Refused
from afere.data import Dataset
from afere.data.editing import Edit, edit
from afere.net import Call, send
from afere.store import Session

NASTY = "<img src=x onerror=alert(1)></textarea><script>alert(2)</script> {{ 7 * 7 }}"
Fresh = tuple[str, Session]


def sent(url: str, body: bytes | str, kind: str, *, accept: str = "text/html", **headers: str) -> tuple[int, str, str]:
    """Status, place to go and body of a POST."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("POST", parts.path, body, {"Content-Type": kind, "Accept": accept, **headers})
    answer = connection.getresponse()
    found = answer.status, answer.getheader("location") or "", answer.read().decode()
    connection.close()
    return found


def form(url: str, **fields: Any) -> tuple[int, str, str]:
    given = {key.replace("__", ":").replace("_dot_", "."): value for key, value in fields.items()}
    return sent(url, urlencode(given, doseq=True), "application/x-www-form-urlencoded")


def rows(session: Session, ref: str = "dataset:qa") -> dict[str, Any]:
    return {row.id: row for row in Dataset(session.get(ref), session).rows}


@pytest.fixture
def qa(fresh: Fresh) -> Fresh:
    given = [
        {"id": f"e-{i}", "input": {"question": f"What is {i}?"}, "expected": f"{i}", "tags": ["edge"]} for i in range(3)
    ]
    afere.dataset(given, name="qa")
    return fresh


def test_a_row_is_changed_as_a_new_version_with_who_and_why(qa: Fresh) -> None:
    url, session = qa
    status, place, _ = form(
        f"{url}/datasets/qa/rows", do="save", base=1, id="e-1", input_dot_question="What is one?", expected="one", tags="edge, essential",
        weight="2", why="it was unclear",
    )  # fmt: skip
    assert (status, place) == (303, "/handbook/datasets/qa/2#e-1")
    row = rows(session)["e-1"]
    assert (row.input, row.expected, row.tags, row.weight) == (
        {"question": "What is one?"},
        "one",
        ("edge", "essential"),
        2,
    )
    assert rows(session, "dataset:qa@1")["e-1"].expected == "1"
    made = session.get("dataset:qa@2")
    assert (made.by, made.why, [use.ref for use in made.uses]) == ("person:local", "it was unclear", ["dataset:qa@1"])
    assert session.verify() == []
    # going back to what was is a version too: the newest one is what people see
    assert (
        form(
            f"{url}/datasets/qa/rows",
            do="save",
            base=2,
            id="e-1",
            input_dot_question="What is 1?",
            expected="1",
            tags="edge",
            why="no",
        )[0]
        == 303
    )
    assert session.get("dataset:qa").version == 3


def test_a_form_sent_empty_keeps_no_row(qa: Fresh) -> None:
    url, session = qa
    post = f"{url}/datasets/qa/rows"
    status, _, page = form(post, do="save", base=1, input_dot_question=" ", expected="", tags="edge", why="by mistake")
    assert status == 422
    assert "input: missing" in page
    assert session.get("dataset:qa").version == 1


def test_a_very_long_row_is_cut_in_the_list_and_whole_on_its_page(qa: Fresh) -> None:
    url, _ = qa
    text = "long " * 20_000
    form(f"{url}/datasets/qa/rows", do="save", base=1, id="e-1", input_dot_question=text, expected="x", why="w")
    pages = [send(Call("GET", f"{url}/datasets/qa/2{path}")).body.decode() for path in ("", "/rows/e-1")]
    assert "98,000 characters more" in pages[0] and len(pages[0]) < 60_000
    assert text in pages[1]


def test_a_weight_that_is_no_number_is_said_at_its_field(qa: Fresh) -> None:
    url, session = qa
    for text in ("nan", "inf", "much"):
        status, _, page = form(
            f"{url}/datasets/qa/rows", do="save", base=1, id="e-1", input_dot_question="q", weight=text, why="w"
        )
        assert status == 422
        assert f"{text}&#x27; is no number; write one from 0 up" in page.replace("&#39;", "&#x27;")
    assert session.get("dataset:qa").version == 1


def test_rows_are_added_removed_and_uploaded(qa: Fresh) -> None:
    url, session = qa
    post = f"{url}/datasets/qa/rows"
    assert form(post, do="save", base=1, input_dot_question=NASTY, expected="x", why="new")[0] == 303
    assert len(rows(session)) == 4
    assert form(post, do="delete", base=2, row=["e-0", "e-2"], why="old")[0] == 303
    assert (
        form(post, do="lines", base=3, lines='{"question": "not ours"}', why="more")[0] == 422
    )  # the schema says input.question
    assert (
        form(
            post,
            do="lines",
            base=3,
            lines='{"id": "e-1", "input": {"question": "new"}}\n\n{"input": {"question": "b"}}',
            why="more",
        )[0]
        == 303
    )
    now = rows(session)
    assert now["e-1"].input == {"question": "new"}
    assert len(now) == 3
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="do"\r\n\r\nfile\r\n--xx\r\nContent-Disposition: form-data; name="base"\r\n\r\n4\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="why"\r\n\r\nthe sheet of HR\r\n--xx\r\nContent-Disposition: form-data; name="whole"\r\n\r\nyes\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="hr.csv"\r\nContent-Type: text/csv\r\n\r\n'
        b'id,input.question,expected\r\nh-1,"a, ""b""\r\nc",yes\r\n\r\n--xx--\r\n'
    )
    status, place, _ = sent(post, body, "multipart/form-data; boundary=xx")
    assert (status, place) == (303, "/handbook/datasets/qa/5")
    assert [(row.id, row.input["question"], row.expected) for row in rows(session).values()] == [
        ("h-1", 'a, "b"\r\nc', "yes")
    ]
    wrong = sent(
        post, body.replace(b"\r\n4\r\n", b"\r\n5\r\n").replace(b"h-1,", b"h-1,h-2,"), "multipart/form-data; boundary=xx"
    )
    assert wrong[0] == 422
    assert "hr.csv:2: 4 cells, but the header has 3" in wrong[2].replace("&#x27;", "'")


def test_what_is_wrong_stands_at_its_field_and_nothing_that_was_written_is_lost(qa: Fresh) -> None:
    url, session = qa
    status, _, page = form(
        f"{url}/datasets/qa/rows", do="save", base=1, id="e-1", input_dot_question=NASTY, expected="kept", weight="heavy",
        metadata__json="{broken", why="because",
    )  # fmt: skip
    assert status == 422
    assert "2 fields cannot be kept as written" in page
    assert re.search(r'name="weight" value="heavy" aria-invalid="true"', page)
    assert "is no number" in page
    assert "this is not JSON" in page
    assert "kept</textarea>" in page
    assert 'value="because"' in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert session.get("dataset:qa").version == 1
    unfit = form(f"{url}/datasets/qa/rows", do="save", base=1, id="e-1", input_dot_question__json="7", why="x")
    assert unfit[0] == 422
    assert "in all other rows" in unfit[2]
    assert (
        form(
            f"{url}/datasets/qa/rows",
            do="save",
            base=1,
            id="e-1",
            input_dot_question__json="7",
            any_shape="yes",
            why="x",
        )[0]
        == 303
    )
    for missing in ({"why": " "}, {"base": "x"}, {"base": 99}):
        assert form(
            f"{url}/datasets/qa/rows", **{"do": "save", "base": 1, "input_dot_question": "n", "why": "w", **missing}
        )[0] in (404, 422)


def test_a_short_row_has_a_field_for_each_of_its_keys_and_stays_short(fresh: Fresh) -> None:
    url, session = fresh
    afere.dataset([{"id": "s-1", "question": "When?", "year": 7, "note": None, "expected": "At eight."}], name="short")
    assert 'name="metadata.question" ' in http_get(f"{url}/datasets/short/1/rows/s-1")
    kept = {"do": "save", "why": "w", "metadata.year:json": "7", "metadata.note:json": ""}
    post = f"{url}/datasets/short/rows"
    assert form(post, **kept, base=1, id="s-1", **{"metadata.question": "Since when?"}, expected="At nine.")[0] == 303
    row = rows(session, "dataset:short")["s-1"]
    assert (row.input, row.metadata, row.expected) == (
        {},
        {"question": "Since when?", "year": 7, "note": None},
        "At nine.",
    )
    new = http_get(f"{url}/datasets/short/new")
    assert 'name="metadata.question"' in new and 'name="metadata:json"' not in new
    status, _, page = form(post, do="save", base=2, **{"metadata.question": "", "metadata.year:json": "8"}, why="w")
    assert status == 422 and "question" in page  # a new row without what all rows have
    assert ">\nnull</textarea>" in new  # what is unknown in all rows so far
    typed = {**kept, "metadata.note:json": "null", "metadata.question": "Where?"}
    assert form(post, **typed, base=2)[0] == 303
    assert [one.metadata.get("question") for one in rows(session, "dataset:short").values()] == [
        "Since when?",
        "Where?",
    ]


def test_two_people_at_once_lose_nothing(qa: Fresh) -> None:
    url, session = qa
    post = f"{url}/datasets/qa/rows"
    both = {"do": "save", "base": 1, "tags": "edge"}
    assert form(post, **both, id="e-1", input_dot_question="What is 1?", expected="mine", why="a")[0] == 303
    assert (
        form(post, **both, id="e-2", input_dot_question="What is 2?", expected="yours", why="b")[0] == 303
    )  # another row: both stay
    assert (rows(session)["e-1"].expected, rows(session)["e-2"].expected) == ("mine", "yours")
    status, _, page = form(post, **both, id="e-1", input_dot_question="What is 1?", expected="late", why="c")
    assert status == 409
    assert "made dataset:qa@3 meanwhile" in page
    assert "late</textarea>" in page  # what was written stands there still
    assert form(post, do="delete", base=1, row="e-1", why="d")[0] == 409
    assert rows(session)["e-1"].expected == "mine"


def test_programs_send_json_and_get_the_version(qa: Fresh) -> None:
    url, session = qa
    post, kind = f"{url}/handbook/datasets/qa/rows", "application/json"
    said = {"base": 1, "why": "nightly", "rows": [{"input": {"question": "x"}}], "remove": ["e-0"]}
    status, _, body = sent(post, json.dumps(said), kind, accept=kind)
    assert (status, json.loads(body)["ref"], json.loads(body)["count"]) == (201, "dataset:qa@2", 3)
    assert sent(post, json.dumps({**said, "remove": ["e-0"]}), kind, accept=kind)[0] in (404, 409)
    both = {"base": 2, "why": "x", "rows": [{"id": "e-1", "input": {"question": "x"}}], "remove": ["e-1"]}
    status, _, body = sent(post, json.dumps(both), kind, accept=kind)
    assert status in (400, 422) and "to be removed too" in body  # neither wish is dropped in silence
    assert sent(post, '{"base": 1}', kind, accept=kind)[0] == 400
    assert sent(post, b"x" * (21 << 20), kind, accept=kind)[0] == 413
    assert sent(post, json.dumps(said), kind, Origin="http://elsewhere.example")[0] == 403
    made = sent(
        f"{url}/datasets/born/rows",
        json.dumps({"base": 0, "why": "first", "rows": [{"input": {"q": 1}}]}),
        kind,
        accept=kind,
    )
    assert json.loads(made[2])["ref"] == "dataset:born@1"
    assert session.get("dataset:qa").version == 2


def test_who_may_only_read_changes_nothing(qa: Fresh) -> None:
    _, session = qa
    reader = session.of("handbook", Actor("person:eve", grants=(("handbook", frozenset({"read"})),)))
    with pytest.raises(Refused):
        edit(reader, "qa", Edit(1, "no", remove=["e-1"]))
    assert session.get("dataset:qa").version == 1


def test_ten_thousand_rows_are_paged_found_and_changed(fresh: Fresh) -> None:
    url, session = fresh
    afere.dataset([{"id": f"n-{i}", "input": {"q": f"number {i} of many"}} for i in range(10_000)], name="many")
    with_q = json.loads(http_get(f"{url}/datasets/many/1.json?q=number+9876"))
    assert (with_q["found"], with_q["items"][0]["id"]) == (1, "n-9876")
    assert with_q["checked"] is None  # told how to check so many, instead of waiting
    assert (
        form(f"{url}/datasets/many/rows", do="save", base=1, id="n-9876", input_dot_q="number nine", why="w")[0] == 303
    )
    assert rows(session, "dataset:many")["n-9876"].input == {"q": "number nine"}
    assert len(rows(session, "dataset:many")) == 10_000


def http_get(url: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}")
    body = connection.getresponse().read().decode()
    connection.close()
    return body


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scripts"), [(1280, True), (390, False)])
def test_a_person_edits_adds_uploads_and_removes(
    browser: Browser,  # noqa: F811
    qa: Fresh,
    tmp_path: Path,
    width: int,
    scripts: bool,
) -> None:
    url, session = qa
    (tmp_path / "more.jsonl").write_text('{"input": {"question": "From a file"}}\n')
    for page in opened(browser, url, viewport={"width": width, "height": 844}, java_script_enabled=scripts):
        page.goto("/datasets/qa")
        page.get_by_role("link", name="e-1").first.click()
        page.get_by_label("expected").fill("uno")
        page.get_by_label("Why").first.fill("in Spanish")
        page.keyboard.press("Enter")
        page.wait_for_url("**/datasets/qa/2#e-1")
        page.get_by_role("link", name="Add rows").click()
        page.get_by_label("input.question").fill("A new one")
        page.locator("#why-row").fill("missing")
        page.get_by_role("button", name="Add this row").click()
        page.wait_for_url("**/datasets/qa/3")
        page.get_by_role("link", name="Add rows").click()
        page.locator("#file").set_input_files(tmp_path / "more.jsonl")
        page.locator("#why-file").fill("from the team")
        if scripts:  # what is said until the answer is there; and sent twice is sent once
            page.evaluate(
                "document.addEventListener('submit', (e) => setTimeout(() => { if (sessionStorage.said) return;"
                "sessionStorage.said = `${document.querySelector('p.waiting').textContent}|"
                "${document.querySelectorAll('p.waiting progress').length}`; e.target.requestSubmit(); }, 0))"
            )
        page.get_by_role("button", name="Upload").click()
        page.wait_for_url("**/datasets/qa/4")
        if scripts:
            assert page.evaluate("sessionStorage.said") == "Sending and checking the rows: more.jsonl, 0.0 MB |1"
        page.get_by_label("Mark e-0").check()
        page.locator("form#gone input[name=why]").fill("gone")
        page.get_by_role("button", name="Remove", exact=True).click()
        page.wait_for_url("**/datasets/qa/5")
        assert sideways(page) <= 0 if scripts else True
        if scripts:
            for path in ("/datasets/qa", "/datasets/qa/5/rows/e-1", "/datasets/qa/new"):
                page.goto(path)
                assert barriers(page) == [], path
                assert sideways(page) <= 0, path
    now = rows(session)
    assert now["e-1"].expected == "uno"
    assert {row.input["question"] for row in now.values()} == {"What is 1?", "What is 2?", "A new one", "From a file"}


def test_a_trace_becomes_a_row_from_its_page(fresh: Fresh) -> None:
    url, session = fresh
    with afere.span("qa", kind="chain") as span:
        span.input({"question": "When?"})
        span.output("At eight.")
    afere.flush()
    post = f"{url}/traces/{span.trace_id}/rows"
    assert "row-dialog" in http_get(f"{url}/traces/{span.trace_id}")
    status, place, _ = form(post, name="asked", right="yes", tags="essential", why="good question")
    assert (status, place.partition("?")[0]) == (303, "/handbook/datasets/asked/1")
    (row,) = rows(session, "dataset:asked").values()
    assert (row.id, row.expected, row.tags) == (span.trace_id, "At eight.", ("essential",))
    assert form(post, name="asked", why="again")[0] == 400
    assert form(post, name="No Name", why="again")[0] == 400
    assert form(f"{url}/traces/{'f' * 32}/rows", name="asked", why="x")[0] == 404
