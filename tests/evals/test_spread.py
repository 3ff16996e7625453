"""Where the spread comes from is told with what to do about it, by repeats, by panels, and on the experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import afere
from afere.cli.artifacts import show
from afere.evals import Experiment, stats
from afere.evals.report import notes
from afere.evals.results import Result, Results
from afere.evals.spread import spread
from afere.testing import ScriptedModel


def _results(value: Callable[[int, int], list[float]], cases: int, repeats: int) -> Results:
    """With verdicts of a panel whose mean is the score."""
    runs: list[Result] = []
    for i in range(cases):
        for r in range(repeats):
            said = value(i, r)
            mean = math.fsum(said) / len(said)
            runs.append(
                Result(f"r{i}", "d", r + 1, {"q": (mean, "")}, verdicts={"q": tuple(said)} if len(said) > 1 else {})
            )
    return Results("", scorers={"q": "h"}, runs=tuple(runs))


@pytest.mark.parametrize(
    ("sd", "says"),
    [
        ((1.0, 0.1, 0.1), "more cases, not more repeats or verdicts"),
        ((0.1, 1.0, 0.1), "more cases or repeats, not more verdicts"),
        ((0.1, 0.1, 1.0), "more cases or repeats or verdicts"),
    ],
)
def test_the_parts_are_found_and_what_helps_is_said(sd: tuple[float, float, float], says: str) -> None:
    rng = np.random.default_rng(1)
    cases, repeats, verdicts = 400, 3, 3
    case, answer = rng.normal(0, sd[0], cases), rng.normal(0, sd[1], (cases, repeats))
    noise = rng.normal(0, sd[2], (cases, repeats, verdicts))
    (found,) = spread(_results(lambda i, r: (case[i] + answer[i, r] + noise[i, r]).tolist(), cases, repeats))
    assert (found.cases, found.repeats, found.verdicts) == (cases, repeats, verdicts)
    for part, true in ((found.case, sd[0]), (found.sampling, sd[1]), (found.judge, sd[2])):
        assert part == pytest.approx(true**2, rel=0.25, abs=0.03)
    assert says in found.says
    assert "twice the cases by 29%" in found.says
    # the error it predicts for half of the repeats is the one that half of the repeats have
    one = spread(_results(lambda i, r: (case[i] + answer[i, r] + noise[i, r]).tolist(), cases, repeats))[0]
    means = (case[:, None] + answer + noise.mean(axis=2)).mean(axis=1)
    assert one._error(1, 1) == pytest.approx(means.var(ddof=1), rel=0.05)  # pyright: ignore[reportPrivateUsage]


def _flaky(project: Path) -> Experiment:
    """Ten cases: r0 to r5 always pass, r6 and r7 pass once in two, r8 and r9 never do; a panel of one model asked twice."""
    seen: dict[str, int] = {}

    def run(q: str) -> str:
        seen[q] = seen.get(q, 0) + 1
        i = int(q)
        return f"{q}: right" if i < 6 or (i < 8 and seen[q] == 1) else f"{q}: wrong"

    asked: list[int] = []

    def verdict(_: object) -> dict[str, object]:
        asked.append(1)
        return {"why": "so", "verdict": "pass" if len(asked) % 2 else "fail"}  # of two verdicts one is always pass

    ScriptedModel("judge", says=verdict)  # type: ignore[arg-type]
    panel: Any = {
        "name": "nice", "kind": "panel", "rubric": "Nice?", "models": ["scripted:judge", "scripted:judge"],
        "take": "mean", "scale": ["fail", "pass"], "points": [0, 1],
    }  # fmt: skip
    right: Any = afere.scorer(lambda output: str(output).endswith("right"), name="right")
    rows = [{"id": f"r{i}", "input": {"q": str(i)}} for i in range(10)]
    return afere.evaluate(run, rows, scorers=[right, panel], repeats=2, concurrency=1)


def test_an_experiment_tells_pass_at_k_flaky_cases_and_where_the_spread_lies(project: Path) -> None:
    done = _flaky(project)
    told: dict[str, Any] = json.loads(json.dumps(done.to_json()))
    (steady,) = told["stability"]
    assert (steady["measure"], steady["k"]) == ("right", 2)
    assert steady["pass_at_k"]["value"] == pytest.approx(8 / 10)
    assert steady["pass_hat_k"]["value"] == pytest.approx(6 / 10)
    assert steady["cases"] == [["r6", 1, 2], ["r7", 1, 2]]
    parts = {one["measure"]: one for one in told["spread"]}
    by_hand = stats.variance_split([[1.0, 1.0]] * 6 + [[1.0, 0.0]] * 2 + [[0.0, 0.0]] * 2)
    assert by_hand is not None
    assert (parts["right"]["case"], parts["right"]["sampling"]) == pytest.approx((by_hand.case, by_hand.sampling))
    assert parts["right"]["judge"] is None
    assert (parts["nice"]["case"], parts["nice"]["sampling"]) == (0, 0)
    assert parts["nice"]["judge"] == pytest.approx(0.5)  # every answer has one pass and one fail
    said = "\n".join(notes(afere.evals.experiment(done.ref)))
    assert "at least one of 2 tries passes in 80.0%, all 2 in 60.0% of cases; 2 flaky: r6, r7" in said
    assert "right: of its spread" in said
    assert "100% of the judge" in said
    assert CliRunner().invoke(show, [done.ref]).exit_code == 0
