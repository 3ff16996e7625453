"""Events of Braintrust's SDK, compared fact by fact. See tools/record_exports/braintrust_export.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import afere
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
FOLDER = Path(__file__).parent / "exports" / "braintrust-0.48"


def test_braintrust_brings_spans_scores_rows_and_prompts(here: Session, bring: Bring) -> None:
    report = bring("braintrust", FOLDER)
    assert report["counts"] == {"spans": 4, "traces": 1, "scores": 2, "prompts": 2, "datasets": 1, "rows": 2}
    assert (report["there"], report["problems"]) == (0, [])
    trace = here.spans.trace(here.spans.find("").items[0].trace_id)
    assert trace is not None
    root = trace.root
    assert (root.name, root.kind, root.user, root.session, root.output) == ("qa", "chain", "u-1", "s-1", "Four weeks.")
    assert root.attributes["braintrust.tags"] == ["hr"] and root.attributes["code.function.name"] == "run"
    llm, tool, judge = trace.of_kind("llm")[0], trace.of_kind("tool")[0], trace.of_kind("judge")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens, llm.cached_input_tokens) == (
        "gpt-4.1-mini", "openai", 30, 5, 10,
    )  # fmt: skip
    assert "Four weeks." in json.dumps(llm.output_messages) and llm.parent_id == root.span_id
    assert (tool.status, tool.error) == ("error", "ValueError: no such person") and judge.name == "helpful"
    assert {(one.target, one.name, one.value) for one in here.find("scores").items} == {
        (root.trace_id, "helpful", 1.0), (root.trace_id, "expected", "Four weeks."),
    }  # fmt: skip
    versions = here.find("artifacts", kind="prompt", name="answer").items
    assert [(one.version, one.why, one.at[:10]) for one in versions] == [
        (2, "chat", "2026-11-03"),
        (1, "first", "2026-11-02"),
    ]
    said = afere.prompt("prompt:answer@2", model="scripted:none").render(question="Why?", who="Ana")
    assert [(one.role, one.text) for one in said] == [("system", "You are Ana."), ("user", "Why?")]
    rows = {row.id: row for row in afere.dataset("dataset:notice").rows}
    assert (rows["a"].expected, rows["a"].tags, rows["b"].metadata) == ("Four weeks.", ("test",), {"by": "ana"})
    assert {one["field"] for one in report["fields"] if one["how"] == "not kept"} == {
        "options of a prompt", "tags of a prompt",
    }  # fmt: skip


def test_again_doubles_nothing_and_what_is_broken_is_named(here: Session, bring: Bring, project: Path) -> None:
    first = bring("braintrust", FOLDER)
    second = bring("braintrust", FOLDER)
    assert second["counts"] == first["counts"] and second["there"] == 6
    assert (here.spans.requests(), len(here.find("scores").items)) == (1, 2)
    lines = (FOLDER / "logs.jsonl").read_text().splitlines()
    newer = {**json.loads(lines[0]), "mood": "calm", "metrics": {"start": 1.0, "end": 2.0, "hops": 3}}
    file = project / "half.jsonl"
    file.write_text("\n".join([json.dumps(newer), '{"id": 1}', json.dumps([1]), lines[1][:-40]]))
    report = bring("braintrust", file)
    assert report["counts"]["spans"] == 1 and [one.partition(": ")[0][-2:] for one in report["problems"]] == [
        ":2",
        ":3",
        ":4",
    ]
    assert {one["field"] for one in report["fields"] if one["how"] == "not kept"} == {"event field mood", "metric hops"}


def test_an_event_knows_the_version_of_the_prompt_it_used(here: Session, bring: Bring, project: Path) -> None:
    lines = [json.loads(line) for line in (FOLDER / "logs.jsonl").read_text().splitlines()]
    llm = next(one for one in lines if one["span_attributes"].get("type") == "llm")
    llm["metadata"]["prompt"] = {"id": "pr-1", "version": "2", "variables": {}}
    prompts = json.loads((FOLDER / "prompts.json").read_text())["objects"]
    (project / "all.jsonl").write_text("\n".join(json.dumps(one) for one in [llm, *prompts]))
    report = bring("braintrust", project / "all.jsonl")
    span = here.spans.find("kind:llm", roots=False).items[0]
    whole = here.spans.trace(span.trace_id)
    assert whole is not None and [ref for ref, _ in whole.spans[0].artifacts] == ["prompt:answer@2"]
    assert any(one["field"] == "version of a prompt that a span used" for one in report["fields"])
