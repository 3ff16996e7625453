"""Statistics and export as typed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere.store
from afere.base.clock import new_span_id, new_trace_id
from afere.base.errors import BadInput, WorldFailed
from afere.base.score import Score
from afere.base.span import Span
from afere.cli.main import cli

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND


def fill(count: int) -> list[str]:
    ids: list[str] = []
    spans: list[Span] = []
    with afere.store.open() as session:
        for n in range(count):
            root = Span(
                new_trace_id(), new_span_id(), "qa", START + n, kind="chain", end=START + n + 2 * SECOND, user=str(n)
            )
            call = Span(
                root.trace_id, new_span_id(), "answer", START + n, root.span_id, "llm", START + n + SECOND, model="gpt-4.1",
                input_tokens=100, output_tokens=20, cost=0.002, input="half \ud83d", attributes={"k": [n]},
            )  # fmt: skip
            spans += [root, call]
            ids.append(root.trace_id)
        session.spans.write(spans)
        session.append(Score(ids[0], "helpful", True, "user:0"))
    return ids


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_statistics_are_a_table_for_people_and_json_for_scripts(project: Path) -> None:
    assert "No spans yet" in run("stats").output
    fill(3)
    table = run("stats", "kind:llm", "--by", "model,hour").output
    assert "gpt-4.1" in table and "11-18 11:00Z" in table and "300" in table and "$0.0060" in table
    answer = json.loads(run("stats", "-kind:chain", "--by", "kind", "--json").output)
    assert answer["next"] is None and [(row["kind"], row["count"], row["errors"]) for row in answer["items"]] == [
        ("llm", 3, 0)
    ]
    with pytest.raises(BadInput, match="Did you mean 'model'"):
        run("stats", "--by", "modle")


def test_the_next_page_is_a_command_that_can_be_pasted(project: Path) -> None:
    fill(5)
    command, shown = ["traces", "name:qa*", "latency>1s", "--limit", "2"], list[int]()
    while command:
        lines = run(*command).output.splitlines()
        more = [line.removeprefix("More: ") for line in lines if line.startswith("More: ")]
        shown.append(len(lines) - 1 - len(more))
        command = shlex.split(more[0])[1:] if more else []
        assert not more or "'name:qa*' 'latency>1s' --limit 2 --cursor" in more[0]
    assert shown == [2, 2, 1]


def test_traces_are_exported_whole_as_lines_and_as_a_table(project: Path) -> None:
    ids = fill(205)
    lines = project / "out.jsonl"
    assert json.loads(run("traces", "--export", str(lines), "--json").output) == {"traces": 205, "file": str(lines)}
    read = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [trace["trace_id"] for trace in read] == ids[::-1]
    assert read[-1]["scores"][0]["name"] == "helpful" and read[0]["spans"][1]["attributes"] == {"k": [204]}
    assert read[0]["totals"]["input_tokens"] == 100

    parquet = pytest.importorskip("pyarrow.parquet")
    table = project / "out.parquet"
    assert "204 traces" in run("traces", "-user:0", "--export", str(table)).output
    rows = parquet.read_table(table).to_pylist()
    assert len(rows) == 408 and rows[1]["attributes"] == '{"k": [204]}' and rows[1]["cost"] == 0.002
    with pytest.raises(BadInput, match=r"\.jsonl or \.parquet"):
        run("traces", "--export", "out.csv")
    with pytest.raises(WorldFailed, match="could not be written"):
        run("traces", "--export", "missing/out.jsonl")
    assert sorted(file.name for file in project.iterdir() if file.name.startswith(".new")) == []
