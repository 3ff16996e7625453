"""Traces become rows of a dataset: once, with where they come from, and not as the truth unless somebody says so."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import afere
from afere.base.errors import BadData, NotFound
from afere.cli.main import cli


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["dataset", *words], standalone_mode=False)


@pytest.fixture
def traced(project: Path) -> list[str]:
    """Ids of three traces, oldest first; the last one failed."""

    @afere.trace
    def reply(question: str) -> str:
        if "?" not in question:
            raise ValueError(question)
        return f"It is {question[:-1]}."

    for question in ("one?", "two?", "three"):
        with suppress(ValueError):
            reply(question)
    afere.flush()
    with afere.open() as session:
        return [one.trace_id for one in reversed(session.spans.find().items)]


def test_traces_become_rows_once_unreviewed_with_where_they_come_from(traced: list[str]) -> None:
    said = json.loads(run("add", "qa", "--traces", "status:ok", "--tag", "edge", "--json").output)
    assert (said["ref"], said["added"]) == ("dataset:qa@1", 2)
    rows = {row.id: row for row in afere.dataset("qa").rows}
    assert rows.keys() == set(traced[:2])
    row = rows[traced[0]]
    assert (row.input, row.output, row.expected, row.tags) == (
        {"question": "one?"},
        "It is one.",
        None,
        ("edge", "unreviewed"),
    )
    assert (row.metadata["trace"], row.metadata["chain"]) == (traced[0], "reply")
    again = run("add", "qa", "--traces", "", "--most", "5")
    assert "1 row added; left out: 2 there already" in again.output  # the failed one is a case too
    assert "nothing new" in run("add", "qa", "--trace", traced[0][:12]).output
    assert afere.dataset("qa").ref == "dataset:qa@2"


def test_an_answer_is_expected_only_where_somebody_vouches_for_it(traced: list[str]) -> None:
    run("add", "qa", "--trace", traced[1], "--right", "--split", "test", "--why", "ana checked it")
    data = afere.dataset("qa")
    (row,) = data.rows
    assert (row.expected, row.split, row.tags, data.artifact.why) == ("It is two.", "test", (), "ana checked it")


def test_what_does_not_fit_the_dataset_changes_nothing(traced: list[str]) -> None:
    afere.dataset([{"input": {"question": 7}}], name="numbers")
    failed = run("add", "numbers", "--trace", traced[0])
    assert isinstance(failed.exception, BadData)
    assert "input.question" in str(failed.exception)
    assert isinstance(run("add", "numbers", "--trace", "f" * 32).exception, NotFound)
    assert afere.dataset("numbers").ref == "dataset:numbers@1"
