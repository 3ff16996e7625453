"""The pages of tools: the registry, groups of those that are alike, one tool with its versions; as HTML and as JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from serving import serving

import afere.store
from afere.base.clock import now_ns
from afere.base.project import find_project
from afere.base.span import Span
from afere.chains.mcp import Listing, Offer, Server
from afere.chains.toolcard import ToolCard
from afere.govern.overlaps import overlaps
from afere.govern.registry import registry
from afere.govern.toolservers import keep
from afere.net import Call, send
from afere.store import Session

NASTY = "<script>alert(1)</script> {{ 7*7 }}"
SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}}
DECLARED = [
    {"name": "find_order", "description": "Looks up an order by its number and returns its status.", "owner": "shop", "parameters": SCHEMA},
    {"name": "weather", "description": f"Tells the weather of a city. {NASTY}"},
]  # fmt: skip
SECOND = 10**9


@pytest.fixture
def shop(project: Path) -> Iterator[Session]:
    mcp = {"hr": {"command": "hr-server", "owner": "people"}}
    (project / "afere.yaml").write_text(json.dumps({"project": "handbook", "tools": DECLARED, "mcp": mcp}))
    with afere.store.open(project / ".afere", project="handbook") as session:
        server = Server("hr", project, "hr-server", owner="people")
        for text in (
            "Looks up an order by its number and returns the status.",
            f"Looks up an order by its number and returns the status. {NASTY}",
        ):
            offer = Offer("order/status", "", text, SCHEMA, None, {"readOnlyHint": True})
            keep(session, server, Listing("hr", "2026-07-28", "hr 1", (offer,), (f"tool 2: {NASTY}: left out",), 1))
        start = now_ns() - 3600 * SECOND
        session.spans.write([
            Span(f"{n:032x}", f"{n + 1:016x}", "find_order", start, kind="tool", end=start + SECOND // 4, status="error" if n < 3 else "ok",
                 tool={"name": "find_order", "arguments": {}, "result": None})
            for n in range(12)
        ])  # fmt: skip
        yield session


def get(url: str) -> str:
    answer = send(Call("GET", url))
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_the_page_and_its_json_tell_of_every_tool(shop: Session) -> None:
    with serving(shop) as url:
        value = json.loads(get(f"{url}/tools.json"))
        page = get(f"{url}/tools")
    items = {one["name"]: one for one in value["items"]}
    assert list(items) == ["find_order", "order/status", "weather"]
    assert (items["find_order"]["usage"]["calls"], items["find_order"]["usage"]["error_rate"]) == (12, 0.25)
    assert items["order/status"]["hints"] == ["reads only"]
    assert [(one["server"], one["tools"], one["left_out"]) for one in value["servers"]] == [("hr", 1, 1)]
    (group,) = value["overlaps"]
    assert set(group["tools"]) == {"find_order", "order/status"}
    assert group["pairs"][0]["overlap"] is True
    assert value["findings"]["find_order"] >= 1
    text = html.unescape(page)
    assert "1 of 3 tools called in 30 days; 1 without an owner; 1 changed by their servers." in text
    assert "<script>alert(1)" not in page
    assert "{{ 7*7 }}" in text
    assert 'href="/handbook/tools/order%2Fstatus"' in text


def test_one_tool_tells_what_its_server_changed(shop: Session) -> None:
    with serving(shop) as url:
        value = json.loads(get(f"{url}/tools/{quote('order/status', safe='')}.json"))
        page = get(f"{url}/tools/{quote('order/status', safe='')}")
        missing = send(Call("GET", f"{url}/tools/nothing"))
    assert [one["tool"] for one in value["alike"]] == ["find_order"]
    assert (value["difference"]["from"], value["difference"]["to"]) == (value["versions"][1], value["versions"][0])
    assert [one["what"] for one in value["changes"]] == [["description"]]
    assert "hr changed what models are told of it (description)" in html.unescape(page)
    assert "<script>alert(1)" not in page
    assert missing.status == 404


def test_what_is_not_alike_stands_in_no_group(shop: Session) -> None:
    cards = [one.sources[0].card for one in registry(shop, find_project()).tools]
    (group,) = overlaps(cards, 0.76)
    assert "weather" not in group.tools
    assert overlaps(cards, 2.0) == ()


@pytest.mark.parametrize(
    "thing", ["file", "order", "message", "report"]
)  # the first three are deeds too, of other tools
def test_two_tools_told_in_the_same_words_are_an_overlap(thing: str) -> None:
    twins = [ToolCard(f"{deed}_{thing}", f"Delete a {thing}.") for deed in ("delete", "remove")]
    (group,) = overlaps(twins, 0.5)
    assert group.pairs[0].overlap
    assert overlaps([ToolCard(f"{deed}_{thing}", f"Works on a {thing}.") for deed in ("lock", "unlock")], 0.5) == ()
