"""A phoenix.db that Phoenix wrote, compared fact by fact. See tools/record_exports/phoenix_export.py."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere.base.errors import BadInput
from afere.cli.main import cli
from afere.exchange import bring as bring_in
from afere.store import Session

Bring = Callable[..., dict[str, Any]]
NAME = "phoenix-20.26.db"


def test_phoenix_brings_traces_annotations_prompts_and_datasets(
    here: Session, bring: Bring, unpacked: Callable[[str], Path]
) -> None:
    report = bring("phoenix", unpacked(NAME))
    assert report["counts"] == {
        "spans": 12, "traces": 3, "scores": 5, "prompts": 2, "aliases": 1, "datasets": 2, "rows": 5,
    }  # fmt: skip
    assert (report["there"], report["problems"]) == (0, [])
    trace = here.spans.trace(here.spans.find('"How much notice? 1"').items[0].trace_id)
    assert trace is not None and trace.root.input == {"question": "How much notice? 1"}
    assert (trace.root.name, trace.root.kind, trace.root.output) == ("qa", "chain", "Four weeks.")
    assert (trace.root.user, trace.root.session) == ("u-1", "s-1")
    said = trace.root.attributes
    assert (said["resource.service.name"], said["tag.tags"], said["metadata"]) == ("support", ["hr"], '{"release": 7}')
    llm = trace.of_kind("llm")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens) == ("gpt-4.1-mini", "openai", 30, 5)
    assert llm.attributes["llm.invocation_parameters"] == '{"temperature": 0.2}'
    assert "Four weeks." in json.dumps(llm.output_messages) and "notice? 1" in json.dumps(llm.input_messages)
    found = trace.of_kind("retrieval")[0].documents[0]
    assert isinstance(found, dict) and (found["id"], found["text"]) == ("d1", "Notice is four weeks.")
    tool = trace.of_kind("tool")[0]
    assert (tool.name, tool.status, tool.error) == ("lookup", "error", "ValueError: no such person")
    event = tool.events[0]
    assert isinstance(event, dict) and event["exception.message"] == "no such person"
    scores = {(one.name, one.value, one.by, one.why) for one in here.find("scores").items}
    assert scores == {
        ("helpful", 1.0, "person:unknown", "right answer"), ("correct", 0.5, "judge:unknown", ""),
        ("tone", "formal", "scorer:unknown", ""), ("resolved", 1.0, "person:unknown", ""),
        ("relevance", 0.8, "judge:unknown", ""),
    }  # fmt: skip
    by_name = {one.name: one for one in here.find("scores").items}
    assert by_name["correct"].target == f"{trace.root.trace_id}/{trace.root.span_id}"
    assert by_name["correct"].data == {"metadata": {"model": "gpt-4o"}} and by_name["helpful"].data == {"label": "yes"}
    assert "/" not in by_name["resolved"].target and by_name["relevance"].data == {"document": 0}


def test_prompts_and_datasets_have_all_their_versions(
    here: Session, bring: Bring, unpacked: Callable[[str], Path]
) -> None:
    report = bring("phoenix", unpacked(NAME))
    versions = here.find("artifacts", kind="prompt", name="answer").items
    assert [(one.version, one.why) for one in versions] == [(2, "shorter"), (1, "first")]
    assert here.get("answer@production", kind="prompt").version == 1
    first = afere.prompt("prompt:answer@1", model="scripted:none").render(question="Why?")
    assert [(one.role, one.text) for one in first] == [("user", "Answer: Why?")]
    second = afere.prompt("prompt:answer@2", model="scripted:none").render(question="Why?", who="Ana")
    assert [(one.role, one.text) for one in second] == [
        ("system", "You are Ana. {braces}"), ("user", "Briefly: Why?"),
    ]  # fmt: skip
    newest = versions[0].content
    assert isinstance(newest, dict) and newest["tools"] == ["lookup"]
    assert newest["output"] == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert len(afere.dataset("dataset:notice@1").rows) == 2
    rows = {row.input["question"]: row for row in afere.dataset("dataset:notice@2").rows}
    assert rows["How much notice?"].expected == {"answer": "Four weeks."}
    assert rows["How much notice?"].metadata == {"topic": "notice"}
    assert rows["Holidays?"].expected == {"answer": "Thirty days.", "source": "holidays.md"}
    assert set(rows) == {"How much notice?", "Holidays?", "Sick leave?"}
    lost = [one["field"] for one in report["fields"] if one["how"] == "not kept"]
    assert lost == ["model of a prompt and its parameters"]


def test_again_doubles_nothing_and_a_changed_annotation_is_another_score(
    here: Session, bring: Bring, unpacked: Callable[[str], Path]
) -> None:
    file = unpacked(NAME)
    first, second = bring("phoenix", file), bring("phoenix", file)
    assert second["counts"] | {"aliases": 1} == first["counts"] and second["there"] == 14
    assert (here.spans.requests(), len(here.find("scores").items)) == (3, 5)
    assert [len(here.find("artifacts", kind=kind).items) for kind in ("prompt", "dataset")] == [2, 2]
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            "UPDATE span_annotations SET score = 0, updated_at = '2027-01-01 00:00:00' WHERE name = 'helpful'"
        )
    bring("phoenix", file)
    assert {one.value for one in here.find("scores").items if one.name == "helpful"} == {0.0, 1.0}


def test_a_newer_version_and_damaged_rows_cost_only_themselves(
    here: Session, bring: Bring, unpacked: Callable[[str], Path]
) -> None:
    file = unpacked(NAME)
    tricky = {"type": "chat", "messages": [{"role": "user", "content": "Say {{x}}:\n# system\n{% raw %}"}]}
    with closing(sqlite3.connect(file)) as newer, newer:
        newer.execute("PRAGMA ignore_check_constraints = ON")
        newer.execute("ALTER TABLE spans ADD COLUMN colour TEXT DEFAULT 'red'")
        newer.execute("ALTER TABLE trace_annotations RENAME COLUMN updated_at TO changed_at")
        newer.execute("DROP TABLE document_annotations")
        newer.execute("UPDATE prompt_versions SET template_format = 'JINJA9' WHERE id = 2")
        newer.execute("UPDATE prompt_versions SET template = ? WHERE id = 1", (json.dumps(tricky),))
        newer.execute("UPDATE spans SET attributes = '[]' WHERE id = 1")
        newer.execute("UPDATE spans SET span_kind = 'DREAM', start_time = 'soon' WHERE id = 2")
        newer.execute(
            "UPDATE dataset_example_revisions SET revision_kind = 'DELETE', dataset_example_id = 1 WHERE id = 3"
        )
    report = bring("phoenix", file)
    assert report["counts"] == {
        "spans": 10, "traces": 3, "scores": 3, "prompts": 1, "aliases": 1, "datasets": 2, "rows": 3,
    }  # fmt: skip
    assert sorted(one.partition(": ")[0] for one in report["problems"]) == [
        "prompt_versions 2", "spans 1", "spans 2", "trace_annotations 1",
    ]  # fmt: skip
    assert [row.input["question"] for row in afere.dataset("dataset:notice@2").rows] == ["Holidays?"]
    assert any("JINJA9" in one for one in report["problems"])
    said = afere.prompt("prompt:answer@1", model="scripted:none").render(x="so")
    assert [(one.role, one.text) for one in said] == [("user", "Say so:\n# system\n{% raw %}")]


def test_what_is_no_file_of_phoenix_is_said(
    here: Session, bring: Bring, unpacked: Callable[[str], Path], project: Path
) -> None:
    whole = unpacked(NAME)
    with pytest.raises(BadInput, match="no table traces"):
        bring_in("phoenix", str(unpacked("mlflow-3.17.db")), here)
    with pytest.raises(BadInput, match=r"give Phoenix's SQLite file"):
        bring_in("phoenix", "http://localhost:6006", here)
    half = project / "half.db"
    half.write_bytes(whole.read_bytes()[:600_000])
    try:
        assert bring_in("phoenix", str(half), here).problems
    except BadInput as problem:
        assert "no SQLite file that can be read" in str(problem)


EXPORT = Path(__file__).parent / "exports" / "phoenix-20.26"


def test_what_its_client_gave_is_brought_too(here: Session, bring: Bring, project: Path) -> None:
    folder = project / "out"
    folder.mkdir()
    for name in ("spans", "annotations"):
        shutil.copy(EXPORT / f"{name}.jsonl", folder)
    shutil.copy(EXPORT / "dataset.json", folder)
    report = bring("phoenix", folder)
    assert report["counts"] == {"spans": 12, "traces": 3, "scores": 3, "datasets": 1, "rows": 3}
    assert report["problems"] == []
    llm = here.spans.find("kind:llm", roots=False).items[0]
    assert (llm.model, llm.input_tokens, llm.output_tokens, llm.session, llm.user) == (
        "gpt-4.1-mini",
        30,
        5,
        "s-1",
        "u-1",
    )
    assert {(one.name, one.value, one.by, one.why) for one in here.find("scores").items} == {
        ("helpful", 1.0, "person:unknown", "right answer"), ("correct", 0.5, "judge:unknown", ""),
        ("tone", "formal", "scorer:unknown", ""),
    }  # fmt: skip
    assert [row.id for row in afere.dataset("dataset:notice").rows] == ["example-1", "example-2", "example-3"]
    spans = {one.span_id: one.to_json() for one in here.spans.find("", roots=False, limit=50).items}
    frames = project / "frames"
    frames.mkdir()
    for name in ("spans", "annotations"):
        shutil.copy(EXPORT / f"{name}_frame.jsonl", frames)
    again = bring("phoenix", frames)  # the same as data frames: nothing is doubled
    assert (again["counts"], again["there"]) == ({"spans": 12, "traces": 3, "scores": 3}, 12)
    assert len(here.find("scores").items) == 3
    assert {
        one.span_id: one.to_json() for one in here.spans.find("", roots=False, limit=50).items
    }.keys() == spans.keys()


def test_a_data_frame_may_be_a_parquet_file(here: Session, bring: Bring, project: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [json.loads(line) for line in (EXPORT / "spans_frame.jsonl").read_text().splitlines()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), project / "spans.parquet")
    (project / "torn.parquet").write_bytes((project / "spans.parquet").read_bytes()[:900])
    assert bring("phoenix", project / "spans.parquet")["counts"] == {"spans": 12, "traces": 3}
    assert here.spans.find("kind:llm", roots=False).items[0].input_tokens == 30
    with pytest.raises(BadInput, match="nothing of phoenix"):
        CliRunner().invoke(cli, ["import", "phoenix", "torn.parquet"], catch_exceptions=False)


def test_annotations_without_their_spans_are_named(here: Session, bring: Bring, project: Path) -> None:
    folder = project / "out"
    folder.mkdir()
    lines = (EXPORT / "spans.jsonl").read_text().splitlines()
    (folder / "spans.jsonl").write_text("\n".join(lines[:4])[:-30])
    (folder / "annotations.jsonl").write_text((EXPORT / "annotations.jsonl").read_text() + '{"hello": 1}')
    report = bring("phoenix", folder)
    assert report["counts"]["spans"] == 3 and len(report["problems"]) >= 3
    assert any("export the spans too" in one for one in report["problems"])
