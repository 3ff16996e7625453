"""`afere sql`: questions to a snapshot, and nothing but the snapshot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere.base.errors import AfereError, MissingExtra
from afere.cli.main import cli
from afere.tracing import flush

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


def ask(*words: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(cli, ["sql", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)["items"]


def refused(*words: str) -> str:
    done = CliRunner().invoke(cli, ["sql", *words])
    assert isinstance(done.exception, AfereError), done.output
    return str(done.exception)


@pytest.fixture
def traced(project: Path) -> Path:
    for n in range(3):
        with afere.context(user=f"u{n % 2}"), afere.span("qa", kind="agent", tenant="shop") as root:
            root.record.input_tokens = 20  # the sum of its calls, which must not count twice
            for model in ("big", "small"):
                with afere.span("call", kind="llm") as call:
                    call.record.model, call.record.input_tokens, call.record.cost = model, 10, 0.25 * (n + 1)
    flush()
    return project


def test_a_question_is_answered_from_spans_and_from_traces(traced: Path) -> None:
    found = ask(
        "SELECT model, count(*) AS n, sum(cost) AS cost FROM spans WHERE kind = 'llm' GROUP BY model ORDER BY 1"
    )
    assert found == [{"model": "big", "n": 3, "cost": 1.5}, {"model": "small", "n": 3, "cost": 1.5}]
    found = ask("SELECT name, spans, input_tokens, cost FROM traces ORDER BY cost DESC LIMIT 1")
    assert found == [{"name": "qa", "spans": 3, "input_tokens": 20, "cost": 1.5}]
    assert ask("""SELECT attributes ->> '$."tenant"' AS t FROM spans WHERE kind = 'agent' LIMIT 1""") == [{"t": "shop"}]
    assert ask("SELECT start > now() - INTERVAL 1 HOUR AS recent, start FROM traces LIMIT 1")[0]["recent"] is True
    assert ask("SELECT 1 AS a, 2 AS a, 1e400 AS b, [1.5::DECIMAL(3,1)] AS l") == [
        {"a": 1, "a_2": 2, "b": None, "l": [1.5]}
    ]


def test_a_question_without_end_is_stopped_and_told_so(traced: Path) -> None:
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range % 7 = b.range % 5"
    said = refused(endless, "--timeout", "0.2")
    assert "more than 0.2 s" in said and "--filter" in said and "--timeout 10" in said
    assert ask("SELECT count(*) AS n FROM traces", "--timeout", "1e30") == [{"n": 3}]


def test_the_snapshot_is_of_a_filter_or_a_file_that_export_wrote(traced: Path) -> None:
    assert ask("SELECT count(*) AS n FROM traces", "--filter", "user:u1") == [{"n": 1}]
    assert CliRunner().invoke(cli, ["export", "user:u0", "--to", "it's.parquet"]).exit_code == 0
    assert ask("SELECT count(*) AS n FROM traces", "--from", "it's.parquet") == [{"n": 2}]
    assert "no file" in refused("SELECT 1", "--from", "gone.parquet")
    assert "no snapshot" in refused("SELECT 1", "--from", "afere.yaml")
    assert "one of them" in refused("SELECT 1", "--from", "it's.parquet", "--filter", "user:u0")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('afere.yaml')", "SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM glob('*')",
        "SELECT * FROM 'afere.yaml'", "COPY spans TO 'out.csv'", "EXPLAIN ANALYZE COPY spans TO 'snap.parquet'",
        "ATTACH 'x.db'", "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true", "PRAGMA version",
        "CREATE TABLE t AS SELECT 1", "DROP VIEW spans", "SELECT 1; SELECT 2", "", "SELECT getenv('HOME')",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
    ],
)  # fmt: skip
def test_nothing_else_is_read_and_nothing_is_written(traced: Path, query: str) -> None:
    CliRunner().invoke(cli, ["export", "--to", "snap.parquet"])
    before = {file: file.read_bytes() for file in traced.iterdir() if file.is_file()}
    assert "project: handbook" not in refused(query, "--from", "snap.parquet")
    assert {file: file.read_bytes() for file in traced.iterdir() if file.is_file()} == before


def test_a_wrong_question_says_what_there_is(traced: Path) -> None:
    said = refused("SELECT mdoel FROM spans")
    assert '"model"' in said and "Columns of spans: project, trace_id" in said
    assert "traces" in refused("SELECT * FROM trace")


def test_people_get_a_table_and_more_is_told(traced: Path) -> None:
    done = CliRunner().invoke(cli, ["sql", "SELECT model, 'a\nb' AS text FROM spans", "--limit", "2"])
    assert "model" in done.output and "a b" in done.output and "More than 2 rows" in done.output
    assert "-- row 1" in CliRunner().invoke(cli, ["sql", "SELECT * FROM spans"]).output


def test_without_the_engine_it_says_what_to_install(traced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    done = CliRunner().invoke(cli, ["sql", "SELECT 1"])
    assert isinstance(done.exception, MissingExtra) and "afere[sql]" in str(done.exception)
