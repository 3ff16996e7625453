"""What other tools' own packages wrote, brought in and compared fact by fact. See tools/record_exports for the programs."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere import exchange
from afere.base.errors import BadInput
from afere.base.span import Span
from afere.cli.main import cli
from afere.store import Session
from afere.tracing.otlp import encode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RECORDED = Path(__file__).parents[1] / "otlp" / "recorded"
Bring = Callable[..., dict[str, Any]]


@pytest.fixture
def mlflow(unpacked: Callable[[str], Path]) -> Path:
    return unpacked("mlflow-3.17.db")


def test_mlflow_brings_traces_assessments_prompts_and_datasets(here: Session, bring: Bring, mlflow: Path) -> None:
    report = bring("mlflow", mlflow)
    assert report["counts"] == {
        "spans": 13, "traces": 4, "scores": 3, "prompts": 3, "aliases": 1, "datasets": 1, "rows": 2,
    }  # fmt: skip
    assert (report["there"], report["problems"]) == (0, [])
    first = here.spans.find('"How much notice? 0"').items[0]
    trace = here.spans.trace(first.trace_id)
    assert trace is not None
    assert (trace.root.name, trace.root.output, trace.root.user, trace.root.session) == (
        "qa",
        "Four weeks.",
        "u-1",
        "s-1",
    )
    assert trace.root.attributes["release"] == "7" and trace.root.attributes["resource.service.name"] == "support"
    llm = trace.of_kind("llm")[0]
    assert (llm.model, llm.provider, llm.input_tokens, llm.output_tokens) == ("gpt-4.1-mini", "openai", 30, 5)
    assert report["problems"] == [] and trace.root.status == "ok"
    assert (trace.totals.input_tokens, trace.totals.spans) == (30, 4)
    found = trace.of_kind("retrieval")[0].documents[0]
    assert isinstance(found, dict) and found["text"] == "Notice is four weeks."
    assert [(span.name, span.error) for span in here.spans.find("status:error", roots=False).items] == [
        ("broken", "RuntimeError: boom"), ("lookup", "ValueError: no such person"),
    ]  # fmt: skip
    scores = {(one.name, one.value, one.by, one.why) for one in here.find("scores").items}
    assert scores == {
        ("helpful", True, "person:ana@x.org", "right answer"), ("correct", 0.5, "judge:gpt-4o", ""),
        ("expected.expected_response", "Four weeks.", "person:ana@x.org", ""),
    }  # fmt: skip
    versions = here.find("artifacts", kind="prompt", name="answer").items
    assert [(one.version, one.why) for one in versions] == [(2, "shorter"), (1, "first")]
    assert here.get("answer@production", kind="prompt").version == 1
    assert versions[0].at < here.find("audit").items[0].at  # when it was made there
    newest = afere.prompt("prompt:answer@2", model="scripted:none").render(question="Why?")
    assert newest[0].text == "Answer briefly: Why? {% x %}"
    chat = here.get("prompt:chat").content
    assert isinstance(chat, dict) and chat["output"] == {"type": "object", "properties": {"a": {"type": "string"}}}
    rows = {row.input["question"]: row for row in afere.dataset("dataset:notice").rows}
    assert (rows["How much notice?"].expected, rows["How much notice?"].split) == ("Four weeks.", "test")
    assert rows["Holidays?"].expected == {"expected_facts": ["thirty"]}
    assert {one["field"] for one in report["fields"] if one["how"] == "not kept"} == {
        "tag team of a prompt", "tag team of a version of a prompt",
    }  # fmt: skip


def test_again_doubles_nothing(here: Session, bring: Bring, mlflow: Path) -> None:
    first = bring("mlflow", mlflow)
    second = bring("mlflow", mlflow)
    assert second["counts"] | {"aliases": 1} == first["counts"] and second["there"] >= 16
    assert len(here.find("scores").items) == 3 and here.spans.requests() == 4
    assert (
        len(here.find("artifacts", kind="prompt").items) == 3 and len(here.find("artifacts", kind="dataset").items) == 1
    )


def test_otlp_files_of_every_form_come_in_and_what_is_broken_is_named(
    here: Session, bring: Bring, project: Path
) -> None:
    report = bring("otlp", RECORDED)
    assert report["counts"]["traces"] > 50
    assert any("README.md" in one["field"] for one in report["fields"])
    assert not any("README" in one for one in report["problems"])
    folder = project / "traces"
    folder.mkdir()
    span = {
        "traceId": "a" * 32, "spanId": "b" * 16, "name": "one", "startTimeUnixNano": "1", "endTimeUnixNano": "2",
    }  # fmt: skip
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    other = {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, "spanId": "c" * 16}]}]}]}
    (folder / "lines.jsonl").write_text(f"{json.dumps(request)}\n{json.dumps(other)}\n{json.dumps(request)[:80]}")
    (folder / "one.json").write_text(json.dumps({**request}, indent=2).replace("b" * 16, "d" * 16))
    (folder / "half.json").write_text(json.dumps(request, indent=2)[:120])
    (folder / "damaged.pb").write_bytes(bytes(range(256)) * 8)
    report = bring("otlp", folder)
    assert report["counts"] == {"spans": 3, "traces": 1}
    assert sorted(problem.partition(": ")[0].rpartition("/")[2] for problem in report["problems"]) == [
        "damaged.pb", "half.json", "lines.jsonl:3",
    ]  # fmt: skip


_SPAN = {"name": "one", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}


def _request(number: int) -> dict[str, Any]:
    span = {**_SPAN, "traceId": f"{number:032x}", "spanId": f"{number:016x}"}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _packed(form: str) -> bytes:
    """Two requests as the collector's file exporter, protobuf's own tools and people who pack files write them."""
    texts = [json.dumps(_request(number)).encode() for number in (1, 2)]
    spans = [Span(f"{number:032x}", f"{number:016x}", "one", 1, end=2) for number in (1, 2)]
    bodies = [encode([span], "handbook") for span in spans]
    framed = {
        "collector, protobuf": bodies,
        "collector, zstd": [zstd.compress(one) for one in bodies],
        "collector, zstd of JSON": [zstd.compress(one) for one in texts],
    }
    if form in framed:
        return b"".join(len(one).to_bytes(4, "big") + one for one in framed[form])
    if form == "delimited":  # each is longer than 127 bytes: its size takes two
        return b"".join(bytes([len(one) & 127 | 128, len(one) >> 7]) + one for one in bodies)
    lines = b"\n".join(texts)
    return {"gzip": gzip.compress, "zstd": zstd.compress, "lines": bytes}[form](lines)


_FORMS = ("collector, protobuf", "collector, zstd", "collector, zstd of JSON", "delimited", "gzip", "zstd", "lines")


@pytest.mark.parametrize("form", _FORMS)
def test_otlp_files_may_hold_many_requests_and_be_packed(here: Session, bring: Bring, project: Path, form: str) -> None:
    file = project / "traces.out"
    file.write_bytes(_packed(form))
    report = bring("otlp", file)
    assert (report["counts"], report["there"], report["problems"]) == ({"spans": 2, "traces": 2}, 0, [])
    assert here.spans.requests() == 2 and bring("otlp", file)["there"] == 2
    assert not any(span.marks for trace in (1, 2) for span in here.spans.trace(f"{trace:032x}").spans), (
        "an old one is not late"
    )
    if form in ("gzip", "zstd"):
        packed = _packed(form)
        for place in range(12, len(packed), 5):
            file.write_bytes(packed[:place] + bytes([packed[place] ^ 0x55]) + packed[place + 1 :])
            with suppress(BadInput):  # where nothing can be read; any other error fails
                exchange.bring("otlp", str(file), here)
    else:  # what stands before the cut is kept
        file.write_bytes(_packed(form)[:-9])
        report = bring("otlp", file)
        assert (report["counts"], report["there"], len(report["problems"])) == ({"spans": 1, "traces": 1}, 1, 1)


def test_a_list_that_is_cut_off_gives_what_is_whole(here: Session, bring: Bring, project: Path) -> None:
    lines = (Path(__file__).parent / "exports" / "langfuse-5.0.jsonl").read_text().splitlines()
    whole = json.dumps({"meta": {"page": 1}, "data": [json.loads(line) for line in lines]}, indent=1)
    (project / "page.json").write_text(whole)
    first = bring("langfuse", project / "page.json")
    assert first["counts"]["spans"] == 5 and first["problems"] == []
    (project / "page.json").write_text(whole[: whole.rindex('"name"')])
    report = bring("langfuse", project / "page.json")
    assert report["counts"]["spans"] >= 3 and report["there"] >= 3
    assert len(report["problems"]) == 1 and "page.json: it is not whole JSON" in report["problems"][0]


def test_what_an_answer_of_mlflow_was_made_with_is_found(here: Session, bring: Bring, mlflow: Path) -> None:
    with closing(sqlite3.connect(mlflow)) as database, database:
        request = database.execute("SELECT request_id FROM trace_info").fetchone()[0]
        said = json.dumps([{"name": "answer", "version": "2"}])
        database.execute(
            "INSERT INTO trace_tags (key, value, request_id) VALUES ('mlflow.linkedPrompts', ?, ?)", (said, request)
        )
        twin = "SELECT name, 3, creation_time + 9, last_updated_time, description, current_stage, source, status FROM model_versions"
        database.execute(
            "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, source, "
            f"status) {twin} WHERE name = 'answer' AND version = 1"
        )
        tags = "SELECT key, value, name, 3 FROM model_version_tags WHERE name = 'answer' AND version = 1"
        database.execute(f"INSERT INTO model_version_tags (key, value, name, version) {tags}")
    report = bring("mlflow", mlflow)
    trace = here.spans.trace(request.removeprefix("tr-"))
    assert trace is not None and [ref for ref, _ in trace.root.artifacts] == ["prompt:answer@2"]
    changed = {one["field"] for one in report["fields"] if one["how"] == "changed"}
    assert "version of a prompt" in changed and report["there"] == 0


def test_what_cannot_be_read_is_said(here: Session, project: Path, mlflow: Path) -> None:
    (project / "half.db").write_bytes(mlflow.read_bytes()[:200_000])
    (project / "text.db").write_text("no database")
    shutil.copy(project / ".afere" / "afere.db", project / "other.db")
    for name, word in (
        ("text.db", "no SQLite file"),
        ("other.db", "no file of MLflow"),
        ("nowhere.db", "no such file"),
    ):
        done = CliRunner().invoke(cli, ["import", "mlflow", name])
        assert done.exit_code != 0 and word in str(done.exception or done.output), (name, done.output, done.exception)
    done = CliRunner().invoke(cli, ["import", "mlflow", "half.db", "--json"])
    assert done.exit_code != 0 or json.loads(done.stdout)["problems"]
