"""Runs and feedback that LangSmith's client listed, compared fact by fact. See tools/record_exports/langsmith_export.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import afere
from afere.base.errors import BadInput
from afere.exchange import bring as bring_in
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
FILE = Path(__file__).parent / "exports" / "langsmith-0.15.jsonl"


def test_langsmith_brings_runs_as_traces_and_feedback_as_scores(here: Session, bring: Bring) -> None:
    report = bring("langsmith", FILE)
    assert report["counts"] == {"spans": 8, "traces": 2, "scores": 2}
    assert (report["there"], report["problems"]) == (0, [])
    trace = here.spans.trace(here.spans.find('"How much notice? 1"').items[0].trace_id)
    assert trace is not None
    root = trace.root
    assert (root.name, root.kind, root.user, root.session) == ("qa", "chain", "u-1", "s-1")
    assert (root.input, root.output) == ({"question": "How much notice? 1", "who": "bad"}, {"answer": "Four weeks."})
    assert root.attributes["langsmith.span.tags"] == "hr" and root.attributes["langsmith.metadata.release"] == 7
    assert [(one.name, one.kind, one.parent_id == root.span_id) for one in trace.spans if one is not root] == [
        ("find", "retrieval", True), ("lookup", "tool", True), ("llm", "llm", True),
    ]  # fmt: skip
    llm = trace.of_kind("llm")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens) == ("gpt-4.1-mini", "openai", 30, 5)
    assert "Four weeks." in json.dumps(llm.output_messages) and "notice? 1" in json.dumps(llm.input_messages)
    found = trace.of_kind("retrieval")[0].documents[0]
    assert isinstance(found, dict) and found["text"] == "Notice is four weeks."
    tool = trace.of_kind("tool")[0]
    assert (tool.status, tool.error) == ("error", "ValueError('no such person')")
    assert "Traceback" in json.dumps(tool.events)
    told = {one["id"]: one for one in map(json.loads, FILE.read_text().splitlines())}
    scores = {one.name: one for one in here.find("scores").items}
    assert (scores["helpful"].value, scores["helpful"].by, scores["helpful"].why) == (
        1.0, "person:unknown", "right answer",
    )  # fmt: skip
    assert (scores["tone"].value, scores["tone"].by) == ("formal", "judge:unknown")
    judged = next(one for one in told.values() if one.get("key") == "helpful")["run_id"]
    other = here.spans.trace(judged.replace("-", ""))
    assert other is not None and scores["helpful"].target == f"{other.root.trace_id}/{other.root.span_id}"


def test_again_doubles_nothing(here: Session, bring: Bring) -> None:
    first, second = bring("langsmith", FILE), bring("langsmith", FILE)
    assert second["counts"] == first["counts"] and second["there"] == 8
    assert (here.spans.requests(), len(here.find("scores").items)) == (2, 2)


def test_half_a_file_a_newer_version_and_other_files_cost_only_themselves(
    here: Session, bring: Bring, project: Path
) -> None:
    lines = FILE.read_text().splitlines()
    newer = {**json.loads(lines[0]), "mood": "calm", "run_type": "dream", "start_time": "2026-11-28T10:00:00"}
    folder = project / "runs"
    folder.mkdir()
    (folder / "half.jsonl").write_text("\n".join(lines[:4])[:-40])
    (folder / "newer.json").write_text(json.dumps({"runs": [newer, {"id": "x"}, 3]}))
    (folder / "other.jsonl").write_text(f"{lines[8]}\n{json.dumps({'hello': 1})}")
    report = bring("langsmith", folder)
    assert report["counts"] == {"spans": 4, "traces": 1, "scores": 1}
    assert [one.partition(": ")[0].rpartition("/")[2] for one in report["problems"]] == [
        "half.jsonl:4", "newer.json:2", "newer.json:3", "other.jsonl:2",
    ]  # fmt: skip
    assert any(one["field"] == "run field mood" and one["how"] == "not kept" for one in report["fields"])
    with pytest.raises(BadInput, match="give a file"):
        bring_in("langsmith", "https://api.smith.langchain.com", here)


def test_what_a_call_cost_and_examples_of_datasets_are_brought(here: Session, bring: Bring, project: Path) -> None:
    lines = [json.loads(line) for line in FILE.read_text().splitlines()]
    llm = next(one for one in lines if one.get("run_type") == "llm")
    llm |= {
        "prompt_token_details": {"cache_read": 20}, "completion_token_details": {"reasoning": 3}, "total_cost": "0.003",
        "prompt_cost": "0.001", "first_token_time": llm["start_time"], "prompt_tokens": 30,
    }  # fmt: skip
    llm["extra"]["invocation_params"] = {"temperature": 0.2}
    told = {"id": "d-1", "name": "notice", "data_type": "kv", "created_at": "2026-11-02T09:00:00Z"}
    example = {"dataset_id": "d-1", "inputs": {"q": "How much?"}, "outputs": {"answer": "Four weeks."}}
    examples = [
        {**example, "id": "e-1", "metadata": {"dataset_split": ["test"], "k": "v"}}, {**example, "id": "e-2", "metadata": None},
        {**example, "id": "e-3", "dataset_id": "unknown"},
    ]  # fmt: skip
    file = project / "export.jsonl"
    file.write_text("\n".join(map(json.dumps, [llm, *examples, told])))
    report = bring("langsmith", file)
    assert (report["counts"]["spans"], report["counts"]["rows"], report["problems"]) == (1, 3, [])
    span = here.spans.find("kind:llm", roots=False).items[0]
    assert (span.input_tokens, span.cost) == (30, 0.003)
    whole = here.spans.trace(span.trace_id)
    assert whole is not None and whole.spans[0].first_token_seconds == 0
    assert (whole.spans[0].cached_input_tokens, whole.spans[0].reasoning_tokens) == (20, 3)
    assert "0.2" in str(whole.spans[0].attributes["langsmith.invocation_params"])
    rows = afere.dataset("dataset:notice").rows
    assert [(row.id, row.split, row.expected) for row in rows] == [
        ("e-1", "test", {"answer": "Four weeks."}), ("e-2", None, {"answer": "Four weeks."}),
    ]  # fmt: skip
    assert len(afere.dataset("dataset:export").rows) == 1  # of whose dataset nothing else is said
