"""Lineage and impact over a project that really ran: index, prompt, chain, suite, gate, release."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import afere
from afere.base.artifact import Use
from afere.base.clock import now_ns
from afere.base.span import Span
from afere.govern.lineage import lineage
from afere.store import Session
from afere.tracing import dialects, otlp

HERE = Path(__file__).parent
APP = """
import afere
from afere.testing import ScriptedModel

ScriptedModel("desk", "Four weeks.")
answer = afere.prompt("prompts/answer.md")


@afere.tool(owner="hr")
def holidays(year: int) -> int:
    'How many holidays a year has.'
    return 12


@afere.chain
def qa(question: str) -> str:
    holidays(2026)
    return answer(question=question, passages=afere.search("handbook", question, k=1))
"""
FILES = {
    "afere.yaml": 'project: handbook\nchains: {qa: "app:qa"}\nindexes:\n  handbook: {source: docs/, embed: hash}\n',
    "app.py": APP,
    "docs/notice.md": "# Notice\n\nThe notice period is four weeks.\n",
    "prompts/answer.md": "---\nmodel: scripted:desk\ninputs: {question: string, passages: array}\n---\n{{ passages }}\n{{ question }}\n",
    "data/qa.jsonl": '{"id": "e-1", "input": {"question": "How much notice?"}, "expected": "Four weeks."}\n',
    "evals/qa.yaml": "target: qa\ndata: data/qa.jsonl\nscorers: [exact]\ngate: [exact.mean >= 0.5]\n",
}


def run(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("afere"), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def said(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json"))


def head(project: Path) -> str:
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project, text=True).strip()


@pytest.fixture
def ran(project: Path) -> Iterator[Session]:
    for name, text in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words], cwd=project, check=True)
    run("run", "qa", "How much notice?")
    run("eval", "qa", "--allow-open")
    with afere.store.open(project / ".afere", project="handbook") as session:
        chain = session.find("artifacts", kind="chain").items[0]
        session.alias("qa@production", chain.ref, why="first release")
        yield session


def kinds(side: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in side["items"]:
        found.setdefault(item["kind"], []).append(item["ref"])
    return found


def test_an_answer_leads_to_all_that_made_it_and_all_of_it_back_to_the_answer(ran: Session, project: Path) -> None:
    served, evaluated = (
        ran.spans.find(word).items[0].trace_id for word in ("-environment:evaluation", "environment:evaluation")
    )
    behind = kinds(said("lineage", served[:8], "--up")["up"])
    assert {"chain", "component", "prompt", "model", "index", "document"} <= behind.keys()
    assert behind["document"] == ["docs/notice.md#1"]
    assert behind["tool"] == ["tool:holidays@1"] and behind["code"] == [head(project)]
    everything = [
        *behind["prompt"],
        *behind["index"],
        *behind["chain"],
        *behind["document"],
        *behind["tool"],
        *behind["code"],
    ]
    for ref in [*everything, "holidays", head(project)[:8]]:
        found = said("lineage", ref, "--down")
        assert found["up"] is None
        down = kinds(found["down"])
        assert {served, evaluated} <= set(down["trace"]) and found["down"]["counts"]["trace"] == 2, ref
        assert (down["experiment"], down["alias"]) == (["experiment:1"], ["chain:qa@production"]), ref
    assert behind["model"] == ["scripted:desk"]
    assert {"trace", "component", "chain", "experiment"} <= kinds(said("lineage", "scripted:desk")["down"]).keys()
    touched = kinds(said("lineage", behind["prompt"][0], "--down")["down"])
    assert touched["alias"] == ["chain:qa@production"] and touched["experiment"] == ["experiment:1"]
    # the answer of an evaluation is tied to its case
    case = said("lineage", evaluated)
    assert kinds(case["up"])["row"] == ["dataset:qa@1/e-1"]
    assert kinds(case["down"])["experiment"] == ["experiment:1"] and len(kinds(case["down"])["score"]) == 1
    row = kinds(said("lineage", "dataset:qa@1/e-1", "--down")["down"])
    assert (row["experiment"], row["trace"]) == (["experiment:1"], [evaluated])
    assert "no row 'e-9'" in run("lineage", "dataset:qa@1/e-9", code=2)
    assert evaluated in kinds(said("lineage", "experiment:1", "--up")["up"])["trace"]
    # people read it as a tree, and a release leads to the same
    assert "prompt:answer@1" in run("lineage", "qa@production")
    assert "no such" not in run("lineage", "qa@nowhere", code=2).lower()


def test_impact_names_chains_suites_releases_and_traffic(ran: Session, project: Path) -> None:
    for subject in ("prompts/answer.md", "index:handbook", "docs/notice.md", "app.py"):
        found = said("impact", subject)
        assert [one.partition("~")[0] for one in found["chains"]] == ["chain:qa"], subject
        assert (found["suites"], found["releases"]) == (["qa"], ["chain:qa@production"])
        assert (found["requests"], found["all_requests"]) == (2, 2)
        assert found["action"] == "after the change, run: afere eval qa"
    assert said("impact", "data/qa.jsonl")["experiments"] == ["experiment:1"]
    (project / "prompts" / "other.md").write_text("---\ninputs: {}\n---\nHi\n")
    unused = said("impact", "prompts/other.md")
    assert unused["chains"] == [] and "trace it" in unused["action"]
    assert "2 requests in 30 days (100% of 2)" in run("impact", "prompts/answer.md")
    assert "prompts/nothing.md" in run("impact", "prompts/nothing.md", code=2)


def test_lineage_is_exported_as_openlineage_events(ran: Session, project: Path) -> None:
    run("lineage", "qa@production", "--openlineage", "events.jsonl")
    events = [json.loads(line) for line in (project / "events.jsonl").read_text().splitlines()]
    chain = next(one for one in events if one["job"]["name"].startswith("chain:qa~"))
    assert {"namespace": "afere://handbook", "name": "index:handbook@1"} in chain["inputs"]
    assert (chain["eventType"], chain["outputs"]) == ("COMPLETE", [chain["job"]])
    schema = json.loads((HERE / "openlineage-2-0-2.schema.json").read_text())
    events_of_runs = jsonschema_rs.validator_for(schema, validate_formats=True)
    assert [str(one) for event in events for one in events_of_runs.iter_errors(event)] == []
    assert not events_of_runs.is_valid({**chain, "eventTime": "yesterday"})


def test_a_release_is_led_to_from_the_rows_and_the_decision_that_let_it_in(ran: Session, project: Path) -> None:
    (project / "evals" / "qa.yaml").write_text(FILES["evals/qa.yaml"].partition("gate:")[0])
    run("eval", "qa")
    subject = Use("subject", "experiment:2", ran.get("experiment:2").hash)
    decided = ran.put("decision", None, {"subject": "experiment:2", "answer": "pass", "rulings": []}, uses=[subject])
    run("promote", "chain:qa", "canary", "--why", "it passed", "--decision", decided.ref)
    for ref in ("dataset:qa@1", "dataset:qa@1/e-1", "experiment:2", decided.ref):
        found = lineage(ran, ref, up=False)
        assert found.down is not None
        aliases = {item.ref: item.note for item in found.down.items if item.kind == "alias"}
        assert aliases.get("chain:qa@canary") == f"let in by {decided.ref}", ref


def test_a_trace_of_another_program_says_its_tools_its_version_and_what_it_played_again(project: Path) -> None:
    with afere.store.open(project / ".afere", project="handbook") as session:
        at = now_ns()
        first, again = f"{1:032x}", f"{2:032x}"
        told = {"service.name": "shop", "service.version": "2.3.1"}
        session.spans.write([
            Span(first, "a" * 16, "answer", at, end=at, kind="agent", attributes=told),
            Span(first, "b" * 16, "execute_tool look_up", at, "a" * 16, end=at, kind="tool", tool={"name": "look_up"}),
            Span(again, "c" * 16, "answer", at, end=at, attributes={"afere.replay_of": first}),
        ])  # fmt: skip
        above = lineage(session, first).up
        assert above is not None
        assert {(item.kind, item.ref, item.note) for item in above.items} == {
            ("code", "2.3.1", "shop"), ("tool", "tool:look_up", ""),
        }  # fmt: skip
        for ref in ("look_up", "tool:look_up", "2.3.1", "version:2.3.1"):
            below = lineage(session, ref).down
            assert below is not None and [item.ref for item in below.items] == [first], ref
        played = lineage(session, again).up
        assert played is not None and [item.ref for item in played.items] == [first]


@pytest.mark.parametrize("program", ["adk-agent", "openinference-llama-index", "vercel-ai", "Pydantic AI 1"])
def test_a_tool_leads_to_its_calls_also_where_the_spans_of_all_tools_have_one_name(project: Path, program: str) -> None:
    sent = Path(__file__).parents[1] / "otlp" / "recorded" / f"{program}.traces.pb"
    if sent.exists():
        found = [span for spans in otlp.traces(sent.read_bytes(), "protobuf").spans.values() for span in spans]
    else:
        ran = {"gen_ai.tool.name": "weather", "tool_arguments": "{}", "tool_response": "sunny"}
        other = {**ran, "gen_ai.tool.name": "time"}
        found = [
            Span(f"{number + 1:032x}", "a" * 16, "running tool", now_ns(), attributes=said)
            for number, said in enumerate((ran, other, ran))
        ]
    for span in found:
        dialects.read(span)
    called = {span.trace_id for span in found if span.kind == "tool" and (span.tool or {}).get("name") == "weather"}
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.spans.write(found)
        below = lineage(session, "tool:weather").down
        assert called and below is not None and {item.ref for item in below.items} == called


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_meets_what_a_brute_force_walk_meets(project: Path, seed: int) -> None:
    chance = random.Random(seed)
    with afere.store.open(project / ".afere", project="handbook") as session:
        made: list[Any] = []
        uses: dict[str, set[str]] = {}
        for number in range(40):
            below = chance.sample(made, min(len(made), chance.randrange(4)))
            kind = chance.choice(["prompt", "component", "chain", "index", "experiment"])
            one = session.put(
                kind, None if kind == "experiment" else f"n{number}", {"n": number},
                uses=[Use(f"part {i}", used.ref, used.hash) for i, used in enumerate(below)],
            )  # fmt: skip
            uses[one.ref] = {used.ref for used in below}
            made.append(one)
        at = now_ns()
        ran: dict[str, str] = {}
        for number in range(20):
            used = chance.choice([one for one in made if one.kind != "experiment"])
            ran[f"{number + 1:032x}"] = used.ref
            session.spans.write(
                [Span(f"{number + 1:032x}", "a" * 16, "s", at, end=at, artifacts=[(used.ref, used.hash)])]
            )
        for begin in made:
            found = lineage(session, begin.ref, most=1000)
            assert found.up is not None and found.down is not None
            above = reach(begin.ref, uses)
            below = reach(begin.ref, {ref: {one for one in uses if ref in uses[one]} for ref in uses})
            answers = {trace for trace, used in ran.items() if used in below | {begin.ref}}
            assert {item.ref for item in found.up.items} == above
            assert {item.ref for item in found.down.items} == below | answers
            assert (found.up.more, found.down.more, found.down.counts.get("trace", 0)) == (0, 0, len(answers))
            few = lineage(session, begin.ref, most=3)
            assert few.down is not None and few.down.counts == found.down.counts


def reach(begin: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [begin]
    while waiting:
        for one in edges[waiting.pop()] - found:
            found.add(one)
            waiting.append(one)
    return found
