"""Records in the shapes of Langfuse's API, compared fact by fact. See tools/record_exports/langfuse_export.py."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import afere
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
FILE = Path(__file__).parent / "exports" / "langfuse-5.0.jsonl"
TRACE = "0123456789abcdef0123456789abcdef"


def test_langfuse_brings_observations_scores_and_prompts(here: Session, bring: Bring) -> None:
    report = bring("langfuse", FILE)
    assert report["counts"] == {"spans": 5, "traces": 2, "scores": 3, "prompts": 2, "aliases": 1}
    assert (report["there"], report["problems"]) == (0, [])
    trace = here.spans.trace(TRACE)
    assert trace is not None
    root = trace.root
    assert (root.name, root.kind, root.user, root.session, root.environment) == (
        "qa", "chain", "u-1", "s-1", "production",
    )  # fmt: skip
    assert (root.input, root.output) == ({"question": "How much notice?"}, "Four weeks.")
    assert root.attributes["langfuse.trace.tags"] == ["hr"] and root.attributes["langfuse.release"] == "7"
    llm = trace.of_kind("llm")[0]
    assert (llm.model, llm.input_tokens, llm.output_tokens, llm.cost) == ("gpt-4.1-mini", 30, 5, 0.002)
    assert "Four weeks." in json.dumps(llm.output_messages) and llm.parent_id == root.span_id
    assert llm.attributes["langfuse.observation.prompt.version"] == 2
    tool = trace.of_kind("tool")[0]
    assert (tool.name, tool.status, tool.error, tool.seconds) == ("lookup", "error", "no such person", 0.05)
    old = here.spans.trace(next(one.trace_id for one in here.spans.find("", limit=9).items if one.name == "old"))
    assert old is not None and [(one.name, one.input, one.user) for one in old.spans] == [
        ("old", None, "u-2"), ("old", "before", "u-1"),
    ]  # fmt: skip
    scores = {(one.target, one.name, one.value, one.by, one.why) for one in here.find("scores").items}
    assert scores == {
        (TRACE, "helpful", 1.0, "person:ana", "right answer"),
        (f"{TRACE}/{llm.span_id}", "tone", "formal", "judge:unknown", ""),
        (old.root.trace_id, "helpful", 1.0, "person:ana", "right answer"),
    }
    versions = here.find("artifacts", kind="prompt", name="answer").items
    assert [(one.version, one.why) for one in versions] == [(2, "chat"), (1, "first")]
    assert here.get("answer@production", kind="prompt").version == 1
    said = afere.prompt("prompt:answer@2", model="scripted:none").render(question="Why?", who="Ana")
    assert [(one.role, one.text) for one in said] == [("system", "You are Ana."), ("user", "Why?")]
    assert [one["field"] for one in report["fields"] if one["how"] == "not kept"] == [
        "config of a prompt", "tags of a prompt",
    ]  # fmt: skip


def test_again_doubles_nothing(here: Session, bring: Bring) -> None:
    first, second = bring("langfuse", FILE), bring("langfuse", FILE)
    assert second["counts"] | {"aliases": 1} == first["counts"] and second["there"] == 7
    assert (here.spans.requests(), len(here.find("scores").items)) == (2, 3)
    assert len(here.find("artifacts", kind="prompt").items) == 2


def test_half_a_file_a_newer_version_and_other_records_cost_only_themselves(
    here: Session, bring: Bring, project: Path
) -> None:
    lines = FILE.read_text().splitlines()
    newer = {**json.loads(lines[0]), "mood": "calm", "type": "DREAM"}
    placeholder = {**json.loads(lines[6]), "prompt": [{"type": "placeholder", "name": "history"}]}
    folder = project / "fuse"
    folder.mkdir()
    (folder / "half.jsonl").write_text("\n".join(lines[1:4])[:-30])
    (folder / "newer.json").write_text(json.dumps({"data": [newer, placeholder, {"id": 1}], "meta": {}}, indent=1))
    (folder / "torn.json").write_text(json.dumps([newer], indent=1)[:-60])
    report = bring("langfuse", folder)
    assert report["counts"] == {"spans": 3, "traces": 1}
    assert sorted(one.partition(": ")[0].rpartition("/")[2] for one in report["problems"]) == [
        "half.jsonl:3", "newer.json:2", "newer.json:3", "torn.json",
    ]  # fmt: skip
    assert any(one["field"] == "observation field mood" for one in report["fields"])


def _bucket(said: dict[str, Any]) -> dict[str, Any]:
    """A record as Langfuse exports it to a bucket: names with underscores, contents as text, times without a zone."""
    named = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in said.items()}
    named["provided_model_name"] = named.pop("model", None)
    for key in ("start_time", "end_time", "timestamp", "updated_at"):
        if key in named:
            named[key] = named[key].replace("T", " ").removesuffix("Z")
    of_trace = ("user_id", "session_id", "tags", "release", "trace_name")
    return {
        key: json.dumps(value) if key in ("input", "output") and not isinstance(value, str) else value
        for key, value in named.items() if value is not None and key not in of_trace
    }  # fmt: skip


def test_what_it_exports_to_a_bucket_is_one_trace(here: Session, bring: Bring, project: Path) -> None:
    records = [json.loads(line) for line in FILE.read_text().splitlines()[:5]]
    folder = project / "bucket"
    folder.mkdir()
    observations = "\n".join(json.dumps(_bucket(one)) for one in records[:3])
    (folder / "observations.jsonl.gz").write_bytes(gzip.compress(observations.encode()))
    (folder / "scores.json").write_text(json.dumps([_bucket(one) for one in records[3:]]))
    trace: dict[str, Any] = {
        "id": TRACE,
        "timestamp": "2026-11-02 09:00:00.000000",
        "name": "qa",
        "user_id": "u-1",
        "project_id": "p",
        "tags": [],
    }
    (folder / "traces.jsonl").write_text(json.dumps(trace))
    report = bring("langfuse", folder)
    assert (report["counts"], report["problems"]) == ({"spans": 4, "traces": 1, "scores": 2}, [])
    found = here.spans.trace(TRACE)
    assert found is not None and [one.name for one in found.spans if one.parent_id is None] == ["qa"]
    assert found.root.user == "u-1" and not any("orphan" in one.marks for one in found.spans)
    llm = found.of_kind("llm")[0]
    assert (llm.model, llm.input_tokens, llm.cost) == ("gpt-4.1-mini", 30, 0.002)
    assert "Four weeks." in json.dumps(llm.output_messages)


def test_items_of_datasets_and_comments_are_brought_and_spans_know_their_prompt(
    here: Session, bring: Bring, project: Path
) -> None:
    at = {"createdAt": "2026-11-02T09:00:00Z", "updatedAt": "2026-11-02T09:00:00Z"}
    item: dict[str, Any] = {
        "datasetId": "d",
        "datasetName": "notice",
        "metadata": {"k": 1},
        "mediaReferences": [],
        **at,
    }
    items = [
        {
            **item,
            "id": f"i{n}",
            "status": "ARCHIVED" if n == 2 else "ACTIVE",
            "input": given,
            "expectedOutput": "Four weeks.",
        }
        for n, given in enumerate(({"question": "How much notice?"}, "How much?", "Old?"))
    ]
    comments = [
        {"id": f"c-{kind}", "objectType": kind, "objectId": TRACE, "content": "Nice.", "authorUserId": "ana", **at}
        for kind in ("TRACE", "OBSERVATION")
    ]
    file = project / "all.jsonl"
    file.write_text(FILE.read_text() + "\n".join(map(json.dumps, [*items, *comments])))
    report = bring("langfuse", file)
    assert (report["counts"]["rows"], report["problems"]) == (2, [])
    assert [row.input for row in afere.dataset("dataset:notice").rows] == [
        {"question": "How much notice?"}, {"input": "How much?"},
    ]  # fmt: skip
    assert ("comment", "Nice.", "person:ana") in {(one.name, one.value, one.by) for one in here.find("scores").items}
    trace = here.spans.trace(TRACE)  # its line stands before those of the prompts
    assert trace is not None and [ref for ref, _ in trace.of_kind("llm")[0].artifacts] == ["prompt:answer@2"]
    lost = {one["field"] for one in report["fields"] if one["how"] == "not kept"}
    assert {"archived item of a dataset", "comment of observation"} <= lost


def test_earlier_fields_of_tokens_and_cost_are_read(here: Session, bring: Bring, project: Path) -> None:
    whole = json.loads(FILE.read_text().splitlines()[2])
    older = {key: value for key, value in whole.items() if key not in ("usageDetails", "costDetails")}
    (project / "old.json").write_text(json.dumps([
        {**older, "usage": {"input": 30, "output": 5, "unit": "TOKENS"}, "calculatedTotalCost": 0.002},
        {**older, "id": "b", "promptTokens": 7, "completionTokens": 2, "totalCost": 0.001},
        {**whole, "id": "c", "usageDetails": {"input": 10, "input_cached_tokens": 20, "output": 2, "output_reasoning_tokens": 3}},
    ]))  # fmt: skip
    bring("langfuse", project / "old.json")
    found = here.spans.find("kind:llm", roots=False).items
    assert sorted((one.input_tokens, one.output_tokens, one.cost) for one in found) == [
        (7, 2, 0.001), (30, 5, 0.002), (30, 5, 0.002),
    ]  # fmt: skip
