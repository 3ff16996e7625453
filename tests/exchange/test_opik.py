"""What `opik export` writes, compared fact by fact. See tools/record_exports/opik_export.py."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere.base.errors import BadInput
from afere.cli.main import cli
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
FOLDER = Path(__file__).parent / "exports" / "opik-2.2"
TRACE = "01939f00111170008000000000000001"


def test_opik_brings_traces_scores_datasets_and_prompts(here: Session, bring: Bring) -> None:
    report = bring("opik", FOLDER)
    assert report["counts"] == {"spans": 5, "traces": 1, "scores": 4, "prompts": 3, "datasets": 1, "rows": 2}
    assert (report["there"], report["problems"]) == (0, [])
    trace = here.spans.trace(TRACE)
    assert trace is not None
    root = trace.root
    assert (root.name, root.kind, root.seconds, root.session, root.environment) == (
        "qa",
        "chain",
        1.0,
        "s-1",
        "production",
    )
    assert (root.input, root.output) == ({"question": "How much notice?"}, {"output": "Four weeks."})
    assert root.attributes["opik.tags"] == ["hr"] and root.attributes["resource.service.name"] == "support"
    llm, tool, answer = trace.of_kind("llm")[0], trace.of_kind("tool")[0], trace.of_kind("step")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens, llm.cached_input_tokens, llm.cost) == (
        "gpt-4.1-mini", "openai", 30, 5, 10, 0.002,
    )  # fmt: skip
    assert (trace.totals.input_tokens, trace.totals.cost, llm.first_token_seconds) == (30, 0.002, 0.0125)
    assert "How much notice?" in json.dumps(llm.input_messages) and "Four weeks." in json.dumps(llm.output_messages)
    assert (tool.status, tool.error, tool.tool) == (
        "error", "ValueError: no such person", {"name": "lookup", "arguments": {"name": "bad"}, "result": None},
    )  # fmt: skip
    assert answer.parent_id == root.span_id and tool.parent_id == answer.span_id
    assert {(one.target, one.name, one.value, one.by, one.why) for one in here.find("scores").items} == {
        (TRACE, "helpful", 1.0, "person:ana", "right answer"), (TRACE, "helpful", 0.0, "person:eva", ""),
        (TRACE, "comment", "Nice.", "person:ana", ""), (f"{TRACE}/{llm.span_id}", "tone", "formal", "judge:ana", ""),
    }  # fmt: skip
    versions = here.find("artifacts", kind="prompt", name="answer").items
    assert [(one.version, one.why) for one in versions] == [(2, "Opik commit bbbb"), (1, "Opik commit aaaa")]
    newest = afere.prompt("prompt:answer@2", model="scripted:none").render(question="Why?")
    assert newest[0].text == "Answer briefly: Why? {% x %}"
    said = afere.prompt("prompt:chat@1", model="scripted:none").render(question="Why?", who="Ana")
    assert [(one.role, one.text) for one in said] == [("system", "You are Ana."), ("user", "Why?")]
    assert [(row.input, row.expected) for row in afere.dataset("dataset:notice").rows] == [
        ({"question": "How much notice?"}, "Four weeks."), ({"question": "Holidays?"}, "Thirty."),
    ]  # fmt: skip
    assert {one["field"] for one in report["fields"] if one["how"] == "not kept"} == {
        "dates of prompts", "tags of a prompt",
    }  # fmt: skip


def test_again_doubles_nothing_and_what_is_broken_is_named(here: Session, bring: Bring, project: Path) -> None:
    folder = project / "out"
    shutil.copytree(FOLDER, folder)
    first = bring("opik", folder)
    place = next(folder.rglob("traces"))
    whole = json.loads(next(place.iterdir()).read_text())
    whole["spans"][0]["mood"] = "calm"
    whole["spans"].append({"id": "x", "name": "no start"})
    (place / "trace_newer.json").write_text(json.dumps(whole))
    (place / "trace_half.json").write_text(json.dumps(whole, indent=1)[:900])
    (place / "other.json").write_text('{"hello": 1}')
    second = bring("opik", folder)
    assert second["there"] == 2 * first["counts"]["spans"] + first["counts"]["prompts"]
    assert here.spans.requests() == 1 and len(here.find("scores").items) == 4
    assert {one.partition(": ")[0].rpartition("/")[2].partition(":")[0] for one in second["problems"]} == {
        "other.json", "trace_half.json", f"trace {whole['trace']['id']}",
    }  # fmt: skip
    assert any(one["field"] == "span field mood" for one in second["fields"])


def test_nothing_brought_is_no_success(here: Session, project: Path) -> None:
    (project / "other.db").write_bytes(b"SQLite format 3\x00\xec")
    with pytest.raises(BadInput, match="nothing of opik was found there"):
        CliRunner().invoke(cli, ["import", "opik", "other.db"], catch_exceptions=False)


def test_spans_know_their_prompts_and_what_any_provider_calls_cached(
    here: Session, bring: Bring, project: Path
) -> None:
    folder = project / "out"
    shutil.copytree(FOLDER, folder)
    file = next(next(folder.rglob("traces")).iterdir())
    whole = json.loads(file.read_text())
    llm = next(one for one in whole["spans"] if one["type"] == "llm")
    llm["metadata"] = {"opik_prompts": [{"name": "answer", "id": "p-answer", "version": {"commit": "aaaa", "id": "v"}}]}
    llm["usage"] = {
        "prompt_tokens": 30, "completion_tokens": 5, "original_usage.cache_read_input_tokens": 9,
        "original_usage.thoughts_token_count": 3,
    }  # fmt: skip
    file.write_text(json.dumps(whole))
    report = bring("opik", folder)
    trace = here.spans.trace(here.spans.find("").items[0].trace_id)
    assert trace is not None and report["problems"] == []
    found = trace.of_kind("llm")[0]
    assert [ref for ref, _ in found.artifacts] == ["prompt:answer@1"]
    assert (found.cached_input_tokens, found.reasoning_tokens) == (9, 3)
