"""Conversations as cases: asked turn by turn with what was said so far, scored by turn and as a whole, counted as one case each."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.errors import BadData, BadInput
from afere.base.project import find_project
from afere.data import dataset as dataset_of
from afere.data.place import session_of
from afere.evals import find_suite, perform, read_suite
from afere.evals.bakeoff.bakeoff import Bakeoff
from afere.evals.bakeoff.grid import Cell
from afere.evals.plan import Plan
from afere.evals.stability.steady import stability_plan

ROWS = [
    {"id": "c-1", "input": {"messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "one"}, {"role": "assistant", "content": "recorded one"},
        {"role": "user", "content": "two"}, {"role": "assistant", "content": "recorded two"}, {"role": "user", "content": "three"},
    ]}, "expected": ["ONE", "TWO", "not this"]},
    {"id": "c-2", "input": {"messages": [{"role": "user", "content": "four"}]}, "expected": ["FOUR"]},
]  # fmt: skip


@afere.scorer
def right(output: Any, expected: Any) -> bool:
    return output == expected


@afere.scorer
def turns_said(output: Any) -> int:
    return sum(one["role"] == "assistant" for one in output["messages"])


BY_TURN = right.configured(name=None, of="turn", options={})


def heard(seen: list[list[str]]) -> Any:
    def shout(messages: list[dict[str, Any]]) -> str:
        seen.append([f"{one['role'][0]}:{one['content']}" for one in messages])
        return str(messages[-1]["content"]).upper()

    return shout


def measures(made: Any) -> dict[str, Any]:
    return {one.name: one for one in made.table()}


def test_each_turn_is_asked_with_the_targets_own_answers_before_it(project: Path) -> None:
    seen: list[list[str]] = []
    made = afere.evaluate(heard(seen), ROWS, scorers=[BY_TURN, turns_said], turns="live", concurrency=1)
    assert seen == [
        ["s:be brief", "u:one"], ["s:be brief", "u:one", "a:ONE", "u:two"], ["s:be brief", "u:one", "a:ONE", "u:two", "a:TWO", "u:three"],
        ["u:four"],
    ]  # fmt: skip
    said = measures(made)
    assert said["right"].n == 2  # a conversation is one case, however many turns it has
    assert said["right"].value == pytest.approx((2 / 3 + 1) / 2)
    assert [(said[f"right.turn{i}"].value, said[f"right.turn{i}"].n) for i in (1, 2, 3)] == [(1, 2), (1, 1), (0, 1)]
    assert said["right.turn3"].missing == 0  # the short conversation has no third turn: nothing is missing there
    assert said["turns_said"].value == 2  # of the whole


def test_recorded_answers_may_stand_in_the_history_instead(project: Path) -> None:
    seen: list[list[str]] = []
    afere.evaluate(heard(seen), ROWS[:1], scorers=[turns_said], turns="recorded")
    assert seen[-1] == ["s:be brief", "u:one", "a:recorded one", "u:two", "a:recorded two", "u:three"]


def test_without_the_word_a_conversation_is_one_call(project: Path) -> None:
    seen: list[list[str]] = []
    afere.evaluate(heard(seen), ROWS[1:], scorers=["exact"])
    assert seen == [["u:four"]]


def test_a_target_may_take_the_text_and_the_history_and_be_async(project: Path) -> None:
    seen: list[tuple[str, int, str]] = []

    async def reply(question: str, language: str, history: list[Any]) -> str:
        await asyncio.sleep(0)
        seen.append((question, len(history), language))
        return question.upper()

    rows = [{"input": {**row["input"], "language": "en"}, "expected": row["expected"]} for row in ROWS]  # type: ignore[dict-item]
    made = afere.evaluate(reply, rows, scorers=[BY_TURN], turns="live", concurrency=1)
    assert seen == [("one", 1, "en"), ("two", 3, "en"), ("three", 5, "en"), ("four", 0, "en")]
    assert measures(made)["right"].n == 2


def test_each_turn_has_its_span_and_a_turn_that_fails_is_no_score(project: Path) -> None:
    def fails(messages: list[dict[str, Any]]) -> str:
        if messages[-1]["content"] == "two":
            raise ValueError("no two")
        return "ok"

    made = afere.evaluate(fails, ROWS, scorers=[turns_said], turns="live")
    said = measures(made)
    assert (said["turns_said"].n, said["turns_said"].missing, said["errors"].value) == (1, 1, 0.5)
    with afere.open() as session:
        spans = [one for run in made.results.runs for one in session.spans.trace(run.trace).spans]
    assert sorted(one.attributes["turn"] for one in spans if one.name == "turn") == [1, 1, 2]


def test_a_target_that_cannot_know_what_was_said_is_refused_before_anything_runs(project: Path) -> None:
    (project / "app.py").write_text(
        "def deaf(question):\n    raise SystemError('never')\n\ndef hears(messages):\n    return messages[-1]['content']\n"
    )
    (project / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    (project / "evals").mkdir()
    suite = "target: app:deaf\ndata: rows.jsonl\nturns: live\nscorers: [{name: brief, kind: length, of: turn}]\n"
    (project / "evals/talk.yaml").write_text(suite)
    here = find_project()
    with pytest.raises(BadInput, match=r"evals/talk.yaml:3: turns: deaf takes question.*Let it take messages"):
        read_suite(find_suite("talk", here), here)
    (project / "evals/talk.yaml").write_text(suite.replace("deaf", "hears"))
    made = perform(Plan.of(read_suite(find_suite("talk", here), here)), here)
    assert made.content["turns"] == "live"
    assert measures(made)["turn.brief.turn2"].value == 1
    with pytest.raises(BadInput, match="live or recorded"):
        afere.evaluate(lambda messages: "", ROWS, scorers=[turns_said], turns="both")  # type: ignore[arg-type]


def test_essential_average_and_edge_cases_are_reported_apart_without_a_word(project: Path) -> None:
    tags = ["edge", "essential", "average", "hours", "essential"]
    rows = [{"input": {"q": str(i)}, "expected": "x" if i else "0", "tags": [tag]} for i, tag in enumerate(tags)]
    made = afere.evaluate(lambda q: q, rows, scorers=["exact"])
    assert list(made.slices) == ['tag:"essential"', 'tag:"average"', 'tag:"edge"']
    assert [(one["value"], one["n"]) for label in made.slices for one in made.slices[label] if one["name"] == "exact"] == [
        (0, 2), (0, 1), (1, 1),
    ]  # fmt: skip


def test_a_row_that_cannot_be_asked_is_named_with_its_line_and_the_others_are_asked(project: Path) -> None:
    seen: list[list[str]] = []
    strange = {
        "id": "c-9",
        "input": {"messages": [{"role": "system", "content": "s"}, {"role": "usr", "content": "x"}]},
    }
    lines = [json.dumps(ROWS[1]), "no row", json.dumps({"id": "c-8", "inptu": {}}), json.dumps(strange)]
    (project / "rows.jsonl").write_text("\n".join(lines) + "\n")
    made = afere.evaluate(heard(seen), "rows.jsonl", scorers=[turns_said], turns="live")
    assert [(run.row, run.error is None) for run in made.results.runs] == [
        ("c-2", True),
        ("c-8", False),
        ("c-9", False),
    ]
    errors = [run.error or "" for run in made.results.runs]
    assert errors[1].startswith("rows.jsonl:3: row c-8: no input for messages; the row's own keys are: inptu.")
    assert errors[2].startswith("rows.jsonl:4: row c-9: message 2 has the role 'usr'. Did you mean 'user'?")
    assert (made.content["unfit"], made.content["errors"]) == (2, 0)
    with pytest.raises(BadData, match=r"row 1: row c-9: message 2 has the role 'usr'"):
        afere.evaluate(heard([]), [strange], scorers=[turns_said], turns="live")


def test_a_row_without_an_output_did_not_begin_where_nothing_runs(project: Path) -> None:
    rows = [{"id": "a", "output": "x", "expected": "x"}, {"id": "b", "input": {"q": 1}, "expected": "x"}]
    made = afere.evaluate(None, rows, scorers=["exact"])
    assert (made.content["unfit"], made.content["errors"], made.content["unfit_why"]) == (
        1, 0, "row 2: row b: it has no output, and there is no target to make one",
    )  # fmt: skip


def test_stability_and_bakeoff_ask_conversations_turn_by_turn_too(project: Path) -> None:
    (project / "app.py").write_text("def hears(messages):\n    return 'ok'\n")
    (project / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (project / "talk.yaml").write_text("target: app:hears\ndata: rows.jsonl\nturns: recorded\nscorers: [exact]\n")
    found = find_project()
    suite = read_suite(find_suite("talk.yaml", found), found)
    plan = stability_plan(suite, found, ("case",))
    assert plan.turns == "recorded"
    assert perform(plan, found).content["turns"] == "recorded"
    cell = Cell("now", {}, suite.subject, None, "v", "k", None)
    made = Bakeoff(suite, suite.sweep, found, session_of(found), dataset_of(ROWS), 1, (cell,))
    assert made.plan(cell).turns == "recorded"
