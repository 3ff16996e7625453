"""`afere tools`: the registry of tools over a real store, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import afere.store
from afere.base.clock import now_ns
from afere.base.span import Span

SECOND = 10**9
DAY = 86_400 * SECOND
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
FILES = {
    "afere.yaml": "project: desk\ntools: tools.yaml\nagents:\n  helper: {tools: [{name: search, owner: web}]}\n",
    "tools.yaml": "- {name: search, description: Search the handbook., owner: hr, permissions: [read]}\n- {name: idle, description: Never called.}\n",
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AFERE_STORE", raising=False)
    return tmp_path


def run(*words: str, code: int = 0, columns: int = 200) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("afere"), "tools", *words],
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def listed(*words: str) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(run("--json", *words))["items"]}


def keep(folder: Path, *spans: Span) -> None:
    with afere.store.open(str(folder / ".afere"), project="desk") as session:
        session.spans.write(spans)


def call(number: int, *, tool: str = "search", status: Any = "ok", seconds: float = 0.1, ago: int = DAY) -> list[Span]:
    """A trace: the agent `helper`, a step below it, and in that a call."""
    trace, start = f"{number:032x}", now_ns() - ago
    ids = [f"{number * 3 + place + 1:016x}" for place in range(3)]
    end = start + int(seconds * SECOND)
    return [
        Span(trace, ids[0], "helper", start, kind="agent", end=end),
        Span(trace, ids[1], "think", start, ids[0], end=end),
        Span(
            trace,
            ids[2],
            "call",
            start,
            ids[1],
            "tool",
            end,
            status,
            tool={"name": tool, "arguments": {}, "result": None},
        ),
    ]


def test_sources_are_merged_by_name_and_their_disagreements_named(desk: Path) -> None:
    with afere.store.open(str(desk / ".afere"), project="desk") as session:
        for text in ("Look things up.", "Look everything up."):
            session.put(
                "tool",
                "search",
                {"description": text, "parameters": SCHEMA, "owner": "hr", "permissions": ["read", "write"]},
            )
    other = {**SCHEMA, "properties": {"q": {"type": "integer"}}}
    offer = json.dumps([{"name": "search", "description": "Look everything up.", "parameters": other}])
    keep(
        desk,
        Span(
            "1" * 32,
            "1" * 16,
            "chat",
            now_ns() - DAY,
            kind="llm",
            end=now_ns(),
            attributes={"gen_ai.tool.definitions": offer},
        ),
    )
    tool = listed()["search"]
    assert (tool["description"], tool["owner"], tool["permissions"]) == ("Search the handbook.", "hr", ["read"])
    assert tool["parameters"] == SCHEMA
    assert tool["agents"] == ["helper"]
    assert [one["kind"] for one in tool["sources"]] == ["yaml", "yaml", "code", "traces"]
    assert len(tool["versions"]) == 2
    said = "\n".join(tool["disagreements"])
    assert "owner: tools.yaml" in said and "says hr" in said and "says web" in said
    assert "says Search the handbook." in said and "says Look everything up." in said
    assert "says read, " in said and "says read, write" in said
    assert 'says {"q": {"type": "string"}}, traces says {"q": {"type": "integer"}}' in said
    assert "sources disagree on search: afere tools search" in run()


def test_usage_is_counted_in_the_window_and_callers_are_the_agents_above(desk: Path) -> None:
    spans = [
        one for number in range(20) for one in call(number, status="error" if number < 5 else "ok", seconds=number)
    ]
    keep(desk, *spans, *call(30, ago=40 * DAY), *call(31, status="running"))
    usage = listed()["search"]["usage"]
    assert (usage["calls"], usage["errors"], usage["error_rate"]) == (21, 5, 0.25)
    assert usage["error_rate_low"] == pytest.approx(0.1274, abs=1e-3)  # Wilson's interval of 5 in 20, 90 %
    assert usage["error_rate_high"] == pytest.approx(0.4322, abs=1e-3)
    assert (usage["p50_seconds"], usage["p95_seconds"]) == pytest.approx(
        (12, 19), rel=0.02
    )  # of 5 to 19 s, those that went well
    assert usage["callers"] == {"helper": 21}
    assert usage["last_trace"] == f"{31:032x}"
    assert listed("--days", "60")["search"]["usage"]["calls"] == 22
    assert listed()["idle"]["usage"]["calls"] == 0
    shown = run("search")
    assert "21 in 30 days; 5 failed 25% (13% to 43%)" in shown and "helper (21)" in shown


def test_a_tool_only_seen_in_traces_is_listed_without_codes_for_the_terminal(desk: Path) -> None:
    keep(desk, *call(1, tool="e\x1b]0;\x07[red]"))
    assert listed()["e\x1b]0;\x07[red]"]["sources"][0]["kind"] == "traces"
    shown = run()
    assert "\x1b" not in shown and "\x07" not in shown
    assert "e]0;[red]" in shown


def test_a_wrong_name_is_told_with_the_nearest(desk: Path) -> None:
    assert "Did you mean 'search'?" in run("serch", code=2)


@pytest.mark.parametrize("text", ["tools: nowhere.yaml\n", "tools: [{description: nameless}]\n"])
def test_what_cannot_be_read_is_named_and_the_rest_is_listed(desk: Path, text: str) -> None:
    (desk / "afere.yaml").write_text(f"project: desk\n{text}", encoding="utf-8")
    keep(desk, *call(1))
    found = json.loads(run("--json"))
    assert [one["name"] for one in found["items"]] == ["search"]
    assert len(found["problems"]) == 1


def test_a_project_without_tools_is_told_how_to_declare_one(desk: Path) -> None:
    (desk / "afere.yaml").write_text("project: desk\n", encoding="utf-8")
    assert "@afere.tool" in run()


def test_spans_whose_parents_lead_in_a_circle_have_no_caller(desk: Path) -> None:
    agent, step, tool = call(1)
    keep(desk, replace(agent, kind="step", parent_id=step.span_id), step, tool)
    assert listed()["search"]["usage"]["callers"] == {}


def test_what_came_since_is_added_and_a_call_that_comes_again_counts_once(desk: Path) -> None:
    late = call(9, ago=2 * DAY)
    keep(desk, *(one for number in range(3) for one in call(number)), late[1], late[2], *call(4, status="running"))
    assert listed()["search"]["usage"]["callers"] == {"helper": 4}  # what is above the late one is not here yet
    keep(desk, late[0], *call(1), *call(4, status="error"), *call(5, tool="idle"))
    usage = listed()["search"]["usage"]
    assert (usage["calls"], usage["errors"], usage["callers"]) == (5, 1, {"helper": 5})
    assert listed()["idle"]["usage"]["calls"] == 1
    for file in (desk / ".afere").glob("cache.db*"):  # it may go at any time
        file.unlink()
    assert listed()["search"]["usage"] == usage


def test_a_window_counts_whole_days_and_a_longer_one_reads_what_was_left_out(desk: Path) -> None:
    keep(desk, *call(1, ago=3 * DAY), *call(2, ago=50 * DAY))
    assert [listed("--days", days)["search"]["usage"]["calls"] for days in ("1", "5", "60", "5")] == [0, 1, 2, 1]


def test_spans_whose_name_says_nothing_are_read_for_their_tool(desk: Path) -> None:
    keep(desk, *(one for number in range(40) for one in call(number, tool=("search", "idle")[number % 2])))
    assert {name: tool["usage"]["calls"] for name, tool in listed().items()} == {"search": 20, "idle": 20}


def test_failures_of_many_calls_have_the_interval_of_their_number(desk: Path) -> None:
    keep(desk, *(one for n in range(3000) for one in call(n, status="error" if n % 4 == 0 else "ok")))
    usage = listed()["search"]["usage"]
    assert usage["error_rate"] == 0.25
    assert (usage["error_rate_low"], usage["error_rate_high"]) == pytest.approx((0.2372, 0.2632), abs=2e-3)


def test_a_narrow_terminal_breaks_no_word_and_no_figure(desk: Path) -> None:
    for number in range(12):
        keep(desk, *call(number, tool="carry_over_days", status="error" if number % 2 else "ok"))
    narrow, wide = run(columns=80), run(columns=130)
    line = next(one for one in narrow.splitlines() if one.startswith("carry_over_days"))
    assert {"12", "50%", "helper"} <= set(line.split())
    assert all(len(one) <= 80 for one in narrow.splitlines())
    assert "50% (" not in narrow
    assert "50% (" in wide  # the interval, where there is room
