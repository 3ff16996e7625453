"""Records in the shapes of Langfuse's API, compared fact by fact. See tools/record_exports/langfuse_export.py."""

from __future__ import annotations

import json
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
