"""Past traces as cases: chosen by a filter, scored as they are, in a suite, on the command line and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import afere
from afere.base.errors import BadInput, NotFound
from afere.base.project import find_project
from afere.base.span import Span
from afere.data.place import session_of
from afere.evals import experiment
from afere.store import Session

SUITE = """
name: live
traces: "chain:qa since:7d"
scorers:
  - app:tools
  - app:short
  - {name: found, kind: contains, of: search, text: "page"}
gate: ["short.mean >= 0.5"]
"""
APP = """
import afere

@afere.scorer
def short(output):
    return len(output) < 9

@afere.scorer
def tools(trace):
    return len(trace.of_kind("tool"))
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def afere_(project: Path, cli: Run) -> Run:
    """The command line in a project with a suite of past traces; its status, output and errors."""
    (project / "evals").mkdir()
    (project / "app.py").write_text(APP)
    (project / "evals/live.yaml").write_text(SUITE)

    return cli


def kept(count: int = 4) -> tuple[Session, list[str]]:
    """Traces of a chain `qa` that searched and called a tool, the first the oldest; beside them three that are no cases."""

    def qa(question: str) -> str:
        with afere.span("search", kind="tool") as found:
            found.output(f"page {question}")
        return question

    ids: list[str] = []
    for i in range(count):
        with afere.context(session=f"s-{i // 2}"), afere.span("qa", kind="chain") as live:
            live.input({"question": str(i)})
            live.output(qa(str(i)))
            ids.append(live.trace_id)
    with afere.span("qa", kind="chain"):
        pass  # without output
    with afere.context(environment="evaluation"), afere.span("qa", kind="chain") as live:
        live.output("of an evaluation")
    session = session_of(find_project())
    afere.flush()
    start = max(span.start for span in session.spans.find("chain:qa", limit=50).items)
    session.spans.write(
        [Span("f" * 32, "f" * 16, "qa", start + 1, kind="chain", status="running", input={"question": "?"})]
    )
    return session, ids


def test_past_traces_of_a_suite_are_scored_as_they_are(afere_: Run) -> None:
    session, ids = kept()
    before = {span.trace_id for span in session.spans.find("", limit=100).items}
    status, out, err = afere_("eval", "live", "--json", "--allow-open")
    said = json.loads(out)
    assert (status, err) == (0, "")
    assert said["traces"]["taken"] == 4
    assert said["traces"]["left_out"] == {"still running": 1, "without output": 1}
    values = {one["name"]: (one["value"], one["n"]) for one in said["measures"]}
    assert values["tools"] == (1.0, 4)
    assert values["found"] == (1.0, 4)
    assert values["seconds"][1] == 4
    made = experiment(said["ref"])
    assert {run.row for run in made.rows} == {run.trace for run in made.rows} == set(ids)
    assert {run.group for run in made.rows} == {"s-0", "s-1"}
    assert {span.trace_id for span in session.spans.find("", limit=100).items} == before  # nothing ran
    scores = session.find("scores", target=ids[0], name="short").items
    assert [(one.value, one.data["experiment"]) for one in scores] == [(True, said["ref"])]
    status, out, _ = afere_("lineage", ids[0], "--json")
    assert status == 0
    assert said["ref"] in out


def test_the_newest_or_a_sample_are_taken_and_it_is_said(afere_: Run) -> None:
    _, ids = kept(12)
    _, out, err = afere_("eval", "live", "--traces", "chain:qa", "--most", "3")
    assert "past traces" in out
    assert "the newest 3; nothing is run again" in err
    assert "3 cases: 0 calls, $0.0000" in err
    picked: list[set[str]] = []
    for _ in range(2):
        _, out, _ = afere_("eval", "live", "--sample", "5", "--json")
        said = json.loads(out)
        assert (said["cases"], said["traces"]["sample"], said["traces"]["seed"]) == (5, 5, 20240101)
        picked.append({run.row for run in experiment(said["ref"]).rows})
    assert picked[0] == picked[1] < set(ids)
    newest = {run.row for run in experiment("experiment:1").rows}
    assert newest == set(ids[-3:])


def test_python_scores_past_traces_and_failed_ones_are_errors(project: Path) -> None:
    _, ids = kept()
    with pytest.raises(ZeroDivisionError), afere.span("qa", kind="chain") as live:
        live.input({"question": "0"})
        raise ZeroDivisionError("nothing to share")
    afere.flush()
    made = afere.evaluate(traces="chain:qa", scorers=["exact"], sample=50)
    assert made.content["errors"] == 1
    failed = next(run for run in made.rows if run.error)
    assert failed.trace == live.trace_id
    assert "nothing to share" in str(failed.scores["errors"][1])
    assert made.output_of(next(run for run in made.rows if run.row == ids[1])) == "1"
    again = afere.evaluate(traces="environment:evaluation", scorers=["exact"])
    assert (again.content["cases"], made.content["cases"]) == (1, 5)


def test_what_cannot_be_scored_is_said(project: Path, afere_: Run) -> None:
    kept(1)
    with pytest.raises(
        NotFound, match=r"No trace of 'chain:nobody -environment:evaluation -environment:playground' can be scored"
    ):
        afere.evaluate(traces="chain:nobody", scorers=["exact"])
    with pytest.raises(BadInput, match=r"leave out target, data and repeats"):
        afere.evaluate(str, traces="chain:qa", scorers=["exact"])
    with pytest.raises(BadInput, match=r"data: give rows"):
        afere.evaluate(str, scorers=["exact"])
    with pytest.raises(BadInput, match=r"most and sample"):
        afere.evaluate(traces="chain:qa", scorers=["exact"], most=2, sample=2)
    for words, why in (
        (("--traces", "chane:qa"), "chain"),
        (("--repeats", "2"), "Leave out --repeats"),
        (("--recorded",), "Leave out --recorded"),
    ):
        status, _, err = afere_("eval", "live", *words)
        assert status == 2
        assert why in err
    for text, why in (
        ("data: rows.jsonl\n" + SUITE, "data: past traces are scored as they are"),
        (SUITE.replace('traces: "chain:qa since:7d"', "sample: 3"), "sample: is of traces"),
        (SUITE.replace('traces: "chain:qa since:7d"', ""), "'data' is missing"),
        (SUITE.replace("chain:qa", "chane:qa"), "evals/live.yaml:3"),
    ):
        (project / "evals/live.yaml").write_text(text)
        status, _, err = afere_("eval", "live")
        assert status == 2
        assert why in err


def test_what_judges_cost_is_shown_before_they_begin(project: Path, afere_: Run) -> None:
    kept(5)
    (project / "afere.yaml").write_text("project: handbook\nmodels: {judge: 'openai:gpt-4o-mini'}\n")
    (project / "evals/live.yaml").write_text(
        'traces: "chain:qa"\nscorers: [{name: polite, kind: judge, rubric: "Is it polite?", scale: [rude, polite]}]\n'
    )
    status, out, err = afere_("eval", "live", "--dry-run", "--json")
    assert status == 0, err
    said = json.loads(out)
    assert said["calls"] == [5.0, 5.0]
    assert said["cost"][0] > 0
    assert [one["name"] for one in said["parts"]] == ["polite"]


def test_essential_average_and_edge_cases_are_reported_apart(project: Path, afere_: Run) -> None:
    tiers = ["essential", "average", "edge"]
    rows = [{"input": {"n": i}, "output": "ok" if i % 3 else "much too long", "tier": tiers[i % 3]} for i in range(9)]
    (project / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    slices = ", ".join(f"'attr.tier:{tier}'" for tier in tiers)
    (project / "evals/live.yaml").write_text(f"data: rows.jsonl\nscorers: [app:short]\nslices: [{slices}]\n")
    status, out, _ = afere_("eval", "live", "--json")
    assert status == 0
    found = {name: (said[0]["value"], said[0]["n"]) for name, said in json.loads(out)["slices"].items()}
    assert found == {"attr.tier:essential": (0.0, 3), "attr.tier:average": (1.0, 3), "attr.tier:edge": (1.0, 3)}
