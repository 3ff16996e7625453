"""Closed days rest as Parquet: shown, counted, erased, let go and backed up as before."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere.store
from afere.base.clock import new_span_id, new_trace_id, today
from afere.base.span import Span
from afere.cli.main import cli
from afere.server.pages import traces
from afere.server.pages.asked import Asked, as_json
from afere.store.backup import back_up
from afere.store.erase import erase
from afere.store.restore import restore
from afere.store.spans.store import SpanStore
from afere.store.upkeep import keep

parquet: Any = pytest.importorskip("pyarrow.parquet")

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def trace(days: float, **fields: Any) -> list[Span]:
    """A chain and its call, so many days ago."""
    trace_id, at = new_trace_id(), time.time_ns() - int(days * DAY)
    root = Span(trace_id, new_span_id(), "qa", at, kind="chain", end=at + 2 * SECOND, **fields)
    call = Span(
        trace_id, new_span_id(), "answer", at + SECOND, root.span_id, "llm", at + 2 * SECOND, model="gpt-4.1-mini",
        input_tokens=100, output_tokens=20, cost=0.002, input_messages=[{"role": "user", "text": "não\n\ud83d?"}], output=[],
        attributes={"gen_ai.x": 1.5, "n": [1, {"a": None}]}, events=[{"name": "e"}], artifacts=[("prompt:p", "sha256:1")],
        finish_reason="stop", environment="prod", **fields,
    )  # fmt: skip
    return [root, call]


def store_at(folder: Path) -> SpanStore:
    return SpanStore(folder, "handbook")


def test_an_archived_trace_is_the_same_and_still_counts(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    old, same_day, new = trace(20), trace(20), trace(0.01)
    for spans in (old, same_day, new):
        store.write(spans)
    before, counts = store.trace(old[0].trace_id), store.stats(by=["model"])
    assert store.archive(14 * 86_400) == 4
    file = tmp_path / "archive" / "handbook" / f"{today(old[0].start)}.parquet"
    assert parquet.read_metadata(file).num_rows == 4
    assert [found.trace_id for found in store.find().items] == [new[0].trace_id]
    assert before is not None
    assert store.trace(old[0].trace_id[:12]) == before
    assert store.trace("ab" * 16) is None
    assert store.stats(by=["model"]) == counts
    assert store.archive(14 * 86_400) == 0


def test_lists_say_what_rests_in_the_archive_and_sql_asks_it(project: Path) -> None:
    pytest.importorskip("duckdb")
    old, new = trace(20, user="ana"), trace(0.01, user="ana")
    with afere.store.open() as session:
        session.spans.write([*old, *new])
        session.spans.archive(14 * 86_400)
        day = today(old[0].start)
        assert session.spans.archived() == session.spans.archived("since:30d user:ana") == [day]
        assert session.spans.archived("since:7d") == session.spans.archived("before:40d") == []
        page = traces.page(session, Asked())
        assert as_json(page)["archived"] == {"days": 1, "first": day, "last": day}  # type: ignore[index, call-overload]
        assert "archived" not in as_json(traces.page(session, Asked(query={"q": "since:7d"})))  # type: ignore[operator]
    said = CliRunner().invoke(cli, ["traces", "user:ana"], catch_exceptions=False).output
    assert day in said and "afere sql --archive" in said
    assert "archive" not in CliRunner().invoke(cli, ["traces", "user:ana", "since:7d"], catch_exceptions=False).output
    ask = [
        "sql",
        "--json",
        "--archive",
        "SELECT t.*, s.model, s.seconds AS took FROM traces t JOIN spans s USING (trace_id) WHERE s.kind = 'llm'",
    ]
    (row,) = json.loads(CliRunner().invoke(cli, ask, catch_exceptions=False).output)["items"]
    assert (row["trace_id"], row["user"], row["seconds"], row["took"], row["spans"]) == (
        old[0].trace_id,
        "ana",
        2.0,
        1.0,
        2,
    )
    assert row["start"].startswith(day) and row["cost"] == 0.002 and row["input_tokens"] == 100


def test_a_late_span_joins_its_trace_in_the_archive(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    spans = trace(20)
    store.write(spans)
    store.archive(86_400)
    store.write([replace(spans[1], name="again"), *spans[:1]])  # sent again, after it was moved
    assert store.archive(86_400) == 2
    found = store.trace(spans[0].trace_id)
    assert found is not None
    assert [span.name for span in found.spans] == ["qa", "again"]


def test_an_erased_subject_is_in_no_closed_day(tmp_path: Path) -> None:
    session = afere.store.open(tmp_path / "store", project="handbook")
    gone, kept = trace(20, user="ana-7731"), trace(20, user="bo")
    gone[0].name, gone[1].model, gone[1].attributes["release"] = "mail of ana-7731", "tuned-ana-7731", "for-ana-7731"
    gone[0].environment = kept[1].model = "only-here"
    session.spans.write([*gone, *kept])
    session.spans.archive(86_400)
    assert erase(session, "user:ana-7731", try_only=True).spans == 2
    erased = erase(session, "user:ana-7731")
    assert (erased.traces, erased.spans) == (1, 2)
    assert session.spans.trace(gone[0].trace_id) is None
    assert session.spans.trace(kept[0].trace_id) is not None
    (file,) = (tmp_path / "store").glob("archive/*/*.parquet")
    assert set(parquet.read_table(file)["user"].to_pylist()) == {"bo"}
    assert not any(b"ana-7731" in one.read_bytes() for one in (tmp_path / "store").rglob("*") if one.is_file())
    counted = {row["model"]: row["count"] for row in session.spans.stats(by=["model"])}
    assert counted == {None: 2, "(erased)": 1, "only-here": 1}


def test_closed_days_go_when_they_are_old_and_each_project_has_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AFERE_STORE", "AFERE_PROJECT"):  # what an earlier command said
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "afere.yaml").write_text(
        "project: handbook\nkeep: {spans: 60d, archive: 14d, projects: {trial: 7d, '*': 30d}}\n"
    )
    folder = tmp_path / ".afere"
    session = afere.store.open(folder, project="handbook")
    for project in ("handbook", "trial", "other"):
        for days in (90, 40, 20, 3):
            session.spans.of(project).write(trace(days))
    kept = keep(session)
    assert (kept.removed, kept.others, kept.archived) == (2, {"trial": 6, "other": 4}, 6)
    assert len(list(folder.glob("archive/handbook/*.parquet"))) == 2
    # A shorter age reaches the files.
    (tmp_path / "afere.yaml").write_text("project: handbook\nkeep: {spans: 30d}\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["keep", "--json"])
    assert json.loads(result.stdout)["removed"]["spans"] == 2
    assert len(list(folder.glob("archive/handbook/*.parquet"))) == 1


def test_a_backup_has_the_closed_days(tmp_path: Path) -> None:
    session = afere.store.open(tmp_path / "store", project="handbook")
    spans = trace(20)
    session.spans.write(spans)
    session.spans.archive(86_400)
    made = back_up(tmp_path / "store", tmp_path / "kept.tar")
    restore(made.file, tmp_path / "again")
    again = afere.store.open(tmp_path / "again", project="handbook")
    assert again.spans.trace(spans[0].trace_id) == session.spans.trace(spans[0].trace_id)
