"""What a sweep or bake-off and a report of stability show is recomputed from the runs of their experiments and their own figures."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.stats

import afere
from afere.evals import Experiment, stats
from afere.evals.stability.perturb import origin

Run = Callable[..., tuple[int, str, str]]
Said = dict[str, Any]
APP = """
import itertools, zlib
import afere

COUNT = itertools.count()

def luck(word, q):
    return zlib.crc32(f"{word} {q}".encode()) / 2**32

@afere.chain
def one(q: str) -> str:
    return "right" if luck("one", q) < 0.6 else "wrong"

@afere.chain
def two(q: str) -> str:
    return "right" if luck("two", q) < 0.64 else "wrong"

@afere.chain
def three(q: str) -> str:
    return "right, surely" if luck("three", q) < 0.95 else "wrong"

@afere.chain
def noisy(q: str) -> str:
    return "right" if luck(q, next(COUNT)) < 0.8 and q[0] != "W" else "wrong"

@afere.scorer
def right(output):
    return output.startswith("right")

@afere.scorer
def length(output, input):
    return len(input["q"])
"""


@pytest.fixture
def suite(project: Path) -> Path:
    for folder in ("data", "evals"):
        (project / folder).mkdir()
    (project / "app.py").write_text(APP)
    rows = [
        {"id": f"r{i}", "input": {"q": f"{'Where' if i % 3 else 'there'} is number {i}, please?"}} for i in range(60)
    ]
    (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("one", "noisy"):
        scorers = "['app:right', 'app:length']"
        (project / f"evals/{name}.yaml").write_text(f"target: app:{name}\ndata: data/qa.jsonl\nscorers: {scorers}\n")
    return project


def _by_row(made: Experiment, name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in made.rows:
        found.setdefault(run.row, []).append(float(run.scores[name][0]))  # type: ignore[arg-type]
    return found


def _holm(values: list[float]) -> list[float]:
    """Adjusted p-values (Holm 1979), by its definition."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = highest
    return adjusted


def test_a_sweep_is_recomputed_from_the_runs_of_its_cells(suite: Path, cli: Run) -> None:
    status, out, err = cli("sweep", "one", "--target", "app:two,app:three", "--json")
    assert status == 0, err
    told: Said = json.loads(out)
    cells = {one["label"]: one for one in told["cells"]}
    runs = {label: _by_row(afere.evals.experiment(one["experiment"]), "right") for label, one in cells.items()}
    (current, *others) = cells
    tests = [one for label in others for one in cells[label]["against"] if one["p"] is not None]
    assert [one["p_holm"] for one in tests] == pytest.approx(_holm([one["p"] for one in tests]))
    for label, cell in cells.items():
        mean = sum(x for (x,) in runs[label].values()) / 60
        number = next(one for one in cell["numbers"] if one["name"] == "right")
        assert (number["value"], number["n"]) == (pytest.approx(mean), 60)
        assert (number["low"], number["high"]) == pytest.approx(stats.wilson(mean * 60, 60), abs=1e-6)
    answers: set[str] = set()
    for label in others:
        found = next(one for one in cells[label]["against"] if one["measure"] == "right")
        changes = [runs[label][row][0] - runs[current][row][0] for row in runs[current]]
        won, lost = changes.count(1.0), changes.count(-1.0)
        assert (found["value"], found["n"]) == (pytest.approx((won - lost) / 60), 60)
        assert found["p"] == pytest.approx(scipy.stats.binomtest(won, won + lost).pvalue)
        shown = found["p_holm"] <= 0.05 and not found["low"] <= 0 <= found["high"]
        assert found["answer"] == (("better" if found["low"] > 0 else "worse") if shown else "open")
        answers.add(found["answer"])
    assert answers == {"better", "open"}
    best = next(one for one in cells["app:three"]["against"] if one["measure"] == "right")
    assert f"right +{best['value']:.3f} ({best['low']:.3f} to {best['high']:.3f})" in told["recommendation"]["say"]


def test_a_report_of_stability_is_recomputed_from_its_runs(suite: Path, cli: Run) -> None:
    status, out, err = cli("stability", "noisy", "--repeats", "3", "--concurrency", "1", "--at-least", "0.9", "--json")
    assert status == 1, err
    told: Said = json.loads(out)
    made = afere.evals.experiment(told["experiment"])
    changes = {id_: about for id_, row in made.examples.items() if (about := origin(row))}
    for measure, kind in itertools.product(("right", "length"), dict.fromkeys(kind for _, kind in changes.values())):
        held = next(one for one in told["held"] if (one["measure"], one["change"]) == (measure, kind))
        values = _by_row(made, measure)
        apart: list[tuple[float, float]] = []
        for id_, (of, change) in changes.items():
            if change == kind:
                before, after = values[of], values[id_]
                between = [abs(a - b) for a in before for b in after]
                own = [sum(abs(a - b) for a, b in pairs) / len(pairs)
                       for side in (before, after) if (pairs := list(itertools.combinations(side, 2)))]  # fmt: skip
                apart.append((sum(between) / len(between), sum(own) / len(own)))
        beyond = [a - b for a, b in apart]
        n, mean = len(beyond), sum(beyond) / len(beyond)
        assert held["cases"] == n
        assert held["changed"] == pytest.approx(sum(a for a, _ in apart) / n)
        assert held["own"] == pytest.approx(sum(b for _, b in apart) / n)
        assert held["beyond"] == pytest.approx(mean)
        half = scipy.stats.t.ppf(0.95, n - 1) * math.sqrt(sum((x - mean) ** 2 for x in beyond) / (n - 1) / n)
        assert held["low"] <= max(mean - half, min(mean, 0.0)) + 1e-9  # never narrower than the plain interval
        most = mean + half if measure == "length" else min(1.0, mean + half)
        assert held["high"] >= most - 1e-9, held
        assert held["low"] > 0 or not held["stands"]
    assert told["answer"] == "fail"
    named = next(
        one for one in told["held"] if told["why"].startswith(f"{one['measure']} under {one['change']}: proven < 0.9")
    )
    assert named["stands"] and 1 - named["low"] < 0.9  # its own interval says so too
    shown = [one["beyond"] for one in told["held"] if one["measure"] == "right"]
    assert named["beyond"] == max(shown)
