"""The same files here and with the real promptfoo: the same prompts, and the same verdict of each assertion.

`promptfoo/recorded.json` is what promptfoo said (its version is in it; `tools/record_promptfoo.py` wrote it).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from afere.base.project import find_project
from afere.data import Row, dataset
from afere.evals import perform
from afere.evals.promptfoo import read_config
from afere.evals.promptfoo.config import Target
from afere.evals.promptfoo.grading import PromptfooScorer
from afere.evals.promptfoo.programs import Programs
from afere.evals.scorers import Case
from afere.tracing import collecting, span

FILES = Path(__file__).parent / "promptfoo"
RECORDED = json.loads((FILES / "recorded.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="the files hold JavaScript")

# Where we say otherwise on purpose: file, type, a part of the value; and why.
OTHERWISE = {
    ("graded.yaml", "not-llm-rubric", ""): "promptfoo 0.120 does not negate it",
    ("programs.yaml", "not-python", ""): "it does not negate it",
    ("plain.yaml", "not-is-json", "country"): "it does not negate a schema",
    ("plain.yaml", "not-contains-json", "country"): "it does not negate a schema",
    ("plain.yaml", "not-tool-call-f1", ""): "its score is that of the plain one",
    ("tables.yaml", "python", "check.py"): "it takes the name of a file in a table for code",
}


@pytest.mark.parametrize("name", [one for one in RECORDED["files"] if one != "compared.yaml"])
def test_every_assertion_says_what_promptfoo_says(name: str, project: Path) -> None:
    shutil.copytree(FILES, project, dirs_exist_ok=True)
    wanted = RECORDED["files"][name]
    config = read_config(project / name, find_project(project))
    seen = 0
    for plan in config.plans:
        target: Any = plan.subject.run
        assert isinstance(target, Target)
        (passed, *_), rows = plan.scorers, dataset(plan.data).rows  # type: ignore[arg-type]
        assert isinstance(passed, PromptfooScorer)
        for row in rows:
            ours = _run(target, row)
            theirs = _theirs(
                wanted,
                passed.tests.provider.label,
                passed.tests.prompt.filled(row.input, passed.tests.reading.at.programs),
                row,
            )
            seen += _agree(name, row, passed, ours, theirs)
    assert seen > 5


def test_answers_compared_win_where_promptfoo_lets_them_win(project: Path) -> None:
    shutil.copytree(FILES, project, dirs_exist_ok=True)
    found = find_project(project)
    config = read_config(project / "compared.yaml", found)
    made = [perform(plan, found) for plan in config.plans]
    more, lost = config.compared(made, found)
    assert len(more) == len(config.plans) == 6 and not lost
    seen: list[tuple[bool, bool]] = []
    for plan, (prompt, provider) in zip(
        more, [(one.tests.prompt, one.tests.provider) for one in config.entrants], strict=True
    ):
        runs = perform(plan, found)
        for run in runs.rows:
            row = runs.examples[run.row]
            (theirs,) = _theirs(
                RECORDED["files"]["compared.yaml"], provider.label, prompt.filled(row.input, Programs(project)), row
            )
            parts = {one["type"]: one["pass"] for one in theirs["parts"] if one["type"] in ("select-best", "max-score")}
            ours = {name: run.scores[name][0] for name in parts}
            if row.input["city"] == "Turin":  # the grader names none: there nobody wins, here it is not known who does
                assert ours == {"select-best": None} and parts == {"select-best": False}
                continue
            assert ours == parts, (run.row, prompt.label, provider.label)
            assert run.scores["passed"][0] == theirs["success"]
            seen += [(won, theirs["success"]) for won in parts.values()]
    assert len(seen) == 6 * 7 and {won for won, _ in seen} == {True, False}


def _run(target: Target, row: Row) -> Case:
    with collecting() as kept, span("run") as live:
        output = target(**row.input)
        live.output(output)
    (trace,) = kept.traces.values()
    return Case(row, output, trace)


def _theirs(recorded: list[dict[str, Any]], provider: str, prompt: str, row: Row) -> list[dict[str, Any]]:
    fitting = [
        one for one in recorded
        if one["provider"].removesuffix(":default") == provider and one["prompt"] == prompt and one["vars"] == row.input
    ]  # fmt: skip
    assert fitting, (provider, prompt, row.input)
    return fitting


def _agree(name: str, row: Row, passed: PromptfooScorer, case: Case, theirs: list[dict[str, Any]]) -> int:
    """How many verdicts were compared; those of sets only as a whole, since promptfoo tells them in another order."""
    made = passed.tests.of(case)
    asserts = [dict(one) for one in row.metadata["assert"]]  # type: ignore[union-attr,call-overload,arg-type]
    if any(one["type"] == "assert-set" for one in asserts):
        same = [
            one
            for one in theirs
            if one["success"] == made.whole.passed and any(part["type"] is None for part in one["parts"])
        ]
    else:
        ours = [(one, held.passed, held.score) for one, (_, _, held) in zip(asserts, made.parts, strict=True)]
        same = [one for one in theirs if _fits(name, one, ours, made.whole.passed)]
    assert same, (name, row.input, row.metadata.get("description"), made, theirs)
    return len(made.parts)


def _fits(
    name: str, theirs: dict[str, Any], ours: list[tuple[dict[str, Any], bool | None, float]], whole: bool | None
) -> bool:
    if len(theirs["parts"]) != len(ours):
        return False
    otherwise = False
    for part, (said, passed, score) in zip(theirs["parts"], ours, strict=True):
        if any(
            file == name and said["type"] == type_ and word in str(said.get("value")) for file, type_, word in OTHERWISE
        ):
            otherwise = True
        elif (
            part["type"] not in (None, said["type"])
            or abs(part["score"] - score) > 1e-3
            or part["pass"] != (passed or said.get("weight") == 0)
        ):
            return False
    return otherwise or theirs["success"] == whole
