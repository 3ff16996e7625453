"""Living with a finding: the same record from the page and from the command line, audited, for a while, and taken back."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from serving import serving

import afere.store
from afere.base.actor import Actor
from afere.base.errors import Refused
from afere.base.project import find_project
from afere.govern.debt import audit
from afere.govern.debt.accepting import accept
from afere.net import Answer, Call, send

RULE, PLACE = "tools.undescribed", "sync"


@pytest.fixture
def shop(project: Path) -> Path:
    (project / "afere.yaml").write_text(
        "project: handbook\ntools: [{name: sync, description: Sync.}, {name: run, description: Run.}]\n"
    )
    return project


def found(value: Any) -> dict[tuple[str, str], Any]:
    return {(one["rule"], one["place"]): one["accepted"] for one in value["findings"]}


def run(*words: str, code: int = 0) -> str:
    program = Path(sys.executable).with_name("afere")
    done = subprocess.run([program, "debt", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class Browser:
    """Asks the server as a page does (a form, from this site or another), and as a program (JSON)."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str) -> str:
        return send(Call("GET", self._url + path)).body.decode()

    def form(self, path: str, given: dict[str, str], *, site: str = "same-origin") -> Answer:
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": site}
        return send(Call("POST", self._url + path, headers, urlencode(given).encode()))

    def post(self, path: str, given: dict[str, Any]) -> Answer:
        return send(Call("POST", self._url + path, {"content-type": "application/json"}, json.dumps(given).encode()))


def soon() -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC).date() + timedelta(days=30)).isoformat()


def test_what_the_page_accepts_the_command_line_takes_back(shop: Path) -> None:
    until = soon()
    with afere.store.open(shop / ".afere", project="handbook") as session, serving(session) as url:
        page = Browser(url)
        before = html.unescape(page.get("/debt"))
        form = re.search(r'<form method="post" action="/handbook/debt".*?</form>', before, re.DOTALL)
        assert form is not None
        assert 'name="until" required' in form[0]
        given = {
            "rule": RULE,
            "place": PLACE,
            "why": "moves in <b>spring</b>",
            "until": until,
            "back": "/handbook/debt",
        }
        answer = page.form("/handbook/debt", given)
        assert (answer.status, answer.headers["location"]) == (303, "/handbook/debt")
        value = json.loads(page.get("/debt.json"))
        assert found(value)[RULE, PLACE] == {"why": "moves in <b>spring</b>", "until": until, "by": "person:local"}
        assert found(value)[RULE, "run"] is None
        assert "moves in &lt;b&gt;spring" in page.get("/debt")
        assert session.find("audit", limit=1).items[0].action == "score"
        # a judgement of debt is no judgement of an answer
        assert not [one for one in audit(session, find_project(shop)).findings if one.rule == "people.single-reviewer"]
    run("--withdraw", RULE, PLACE)
    assert found(json.loads(run("--json")))[RULE, PLACE] is None
    assert "nothing to take back" in run("--withdraw", RULE, PLACE, code=2)  # and not said to be done
    run("--accept", RULE, PLACE, "--why", "moves in spring", "--until", until)
    assert found(json.loads(run("--json")))[RULE, PLACE]["until"] == until


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"until": "soon"}, "until: 'soon' is no day"),
        ({"until": "2020-01-01"}, "is over"),
        ({"until": "2999-01-01"}, "more than three years ahead"),
        ({"why": " "}, "a reason is needed"),
        ({"place": "synk"}, "There is no finding tools.undescribed at 'synk' now. Found: run, sync"),
    ],
)
def test_an_acceptance_needs_a_finding_a_reason_and_a_day(shop: Path, given: dict[str, str], said: str) -> None:
    with afere.store.open(shop / ".afere", project="handbook") as session, serving(session) as url:
        page = Browser(url)
        answer = page.post("/debt", {"rule": RULE, "place": PLACE, "why": "spring", "until": soon(), **given})
        assert answer.status == 400
        assert said in json.loads(answer.body)["detail"]
        assert not session.find("scores").items


def test_a_page_of_another_site_and_a_reader_accept_nothing(shop: Path) -> None:
    with afere.store.open(shop / ".afere", project="handbook") as session, serving(session) as url:
        page = Browser(url)
        given = {"rule": RULE, "place": PLACE, "why": "spring", "until": soon()}
        assert page.form("/debt", given, site="cross-site").status == 403
        reader = session.of(
            "handbook", Actor("person:rui", ("viewer",), (("handbook", frozenset({"read", "ingest"})),))
        )
        finding = audit(session, find_project(shop)).finding(RULE, PLACE)
        with pytest.raises(Refused):
            accept(reader, finding, why="spring", until=soon())
        assert not session.find("scores").items
