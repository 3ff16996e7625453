"""The other tables, each number recomputed from the runs: slices, rankings, what is forecast before a run, how much repeats and
judges spread, and how far three people agree. What is drawn at random is drawn anew here, by another generator.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import afere
from afere.evals import Experiment, stats
from afere.evals.labelling.agreeing import agreements
from afere.evals.labelling.labels import Labels
from afere.evals.preferred import preferred
from afere.testing import ScriptedModel

Run = Callable[..., tuple[int, str, str]]
Said = dict[str, Any]
CASES = 36
APP = """
import itertools, zlib
import afere

COUNT = itertools.count()

@afere.chain
def qa(q: str) -> str:
    luck = [zlib.crc32(f"{q} {n}".encode()) / 2**32 for n in (0, next(COUNT))]
    return ("right" if sum(luck) < 1.2 else "wrong") + "x" * int(10 * luck[1])

@afere.scorer
def right(output):
    return output.startswith("right")

@afere.scorer
def length(output):
    return len(output)
"""


@pytest.fixture
def suite(project: Path) -> Path:
    for folder in ("data", "evals"):
        (project / folder).mkdir()
    (project / "app.py").write_text(APP)
    tags = ["edge", "average", "essential", "long"]
    rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}, "tags": [tags[i % 3], *tags[3:][: i % 2]]} for i in range(CASES)]
    (project / "data/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project / "evals/qa.yaml").write_text(
        "target: app:qa\ndata: data/qa.jsonl\nscorers: ['app:right', 'app:length']\nslices: [tags, '7?']\nrepeats: 3\n"
        "gate: ['right.mean not worse than baseline by 0.05', 'length.mean not worse than baseline by 0.2']\n"
    )
    return project


def _tries(made: Experiment, name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for run in made.rows:
        found.setdefault(run.row, []).append(float(cast("float", run.scores[name][0])))
    return found


def _evaluated(cli: Run, count: int) -> list[Experiment]:
    found: list[Experiment] = []
    for _ in range(count):
        _, out, err = cli("eval", "qa", "--concurrency", "1", "--json")
        assert "ref" in out, err
        found.append(afere.evals.experiment(json.loads(out)["ref"]))
        found[0].accept()
    return found


def test_slices_are_recomputed_from_the_runs_in_them(suite: Path, cli: Run) -> None:
    (made,) = _evaluated(cli, 1)
    told: Said = json.loads(json.dumps(made.to_json()))["slices"]
    assert set(told) == {'tag:"essential"', 'tag:"average"', 'tag:"edge"', 'tag:"long"', "7?"}
    checked = 0
    for slice_, lines in told.items():
        word = slice_.removeprefix("tag:").strip('"')
        inside = {row for row, one in made.examples.items() if word in one.tags or word in str(one.input["q"])}
        assert 0 < len(inside) < CASES
        for line in lines:
            if line["name"] not in ("right", "length"):
                continue
            tries = {row: xs for row, xs in _tries(made, line["name"]).items() if row in inside}
            means = [sum(xs) / len(xs) for xs in tries.values()]
            mean, error = float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(len(means))
            assert (line["value"], line["n"], line["missing"]) == (pytest.approx(mean), len(inside), 0)
            half = float(scipy.stats.t.ppf(0.95, len(means) - 1)) * error
            if line["kind"] == "mean":
                assert (line["low"], line["high"]) == pytest.approx((mean - half, mean + half))
            else:
                assert 0 <= line["low"] < mean < line["high"] <= 1
                assert line["high"] - line["low"] == pytest.approx(
                    2 * half, rel=0.25
                )  # Wilson's, by the effective size
            checked += 1
    assert checked == 10


def _fitted(games: list[tuple[int, int, float]], count: int) -> Any:
    """The strengths of the greatest likelihood (Bradley, Terry), with a tenth of a half-won game of each against one of 0."""
    points = Counter[tuple[int, int]]()
    for a, b, x in games:
        points.update({(a, b): x, (b, a): 1 - x})  # type: ignore[dict-item]
    won = np.array([[float(points[a, b]) for b in range(count)] for a in range(count)])

    def loss(strengths: Any) -> float:
        apart = np.log1p(np.exp(strengths[None, :] - strengths[:, None]))
        return float((won * apart).sum() + 0.1 * np.logaddexp(strengths / 2, -strengths / 2).sum())

    found = scipy.optimize.minimize(loss, np.zeros(count)).x
    return found - found.mean()


def test_a_ranking_is_recomputed_from_what_was_preferred(project: Path) -> None:
    rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}} for i in range(30)]
    rng = np.random.default_rng(3)
    luck = {q: float(rng.random()) for q in (f"{i}?" for i in range(30))}

    def verdict(request: Any) -> object:
        text = request.messages[1].text
        one, other = (
            text.split(f"--- {side} ")[1].split("begins\n")[1].split("\n")[0].split() for side in ("first", "second")
        )
        x = luck[one[1]]
        better = "second" if (one[0] < other[0]) is (x < 0.7) else "first"
        return {"why": "so", "verdict": "tie" if 0.4 < x < 0.5 else "first" if x > 0.9 else better}

    ScriptedModel("judge", says=verdict)
    made: list[Experiment] = [
        afere.evaluate(lambda q: f"a {q}", rows, scorers=[afere.scorer(lambda output: True, name="ok")])
    ]
    for word in ("b", "c"):
        judge = {"name": "nicer", "kind": "pairwise", "rubric": "Which?", "model": "scripted:judge", "to": made[-1].ref}
        made.append(afere.evaluate(lambda q, word=word: f"{word} {q}", rows, scorers=[judge]))
    (found,) = preferred(made)
    told: Said = json.loads(json.dumps(found.to_json()))
    by_prompt: dict[str, list[tuple[int, int, float]]] = {}
    places: list[bool] = []
    flips: list[bool] = []
    for later in (1, 2):
        for run in made[later].rows:
            words = run.scores["nicer.flipped"][1].split(", ")
            sides = [(later, later - 1), (later - 1, later)]
            for (a, b), word in zip(sides, words, strict=True):
                by_prompt.setdefault(run.row, []).append((a, b, {"first": 1.0, "second": 0.0}.get(word, 0.5)))
                places += [word == "first"] if word in ("first", "second") else []
            flips.append(words[0] == words[1] != "tie")
    games = [game for each in by_prompt.values() for game in each]
    fitted = _fitted(games, 3)
    drawn = [_fitted([game for i in rng.integers(0, 30, 30) for game in by_prompt[f"r{i}"]], 3) for _ in range(60)]
    ends = np.quantile(drawn, [0.05, 0.95], axis=0)
    assert (told["games"], told["prompts"], told["draws"]) == (len(games), 30, len(games) - len(places))
    assert [one["strength"] for one in told["ranking"]] == sorted(
        (one["strength"] for one in told["ranking"]), reverse=True
    )
    for one in told["ranking"]:
        i = [each.ref for each in made].index(one["experiment"])
        assert one["strength"] == pytest.approx(fitted[i], abs=1e-3)
        assert one["wins"] == pytest.approx(1 / (1 + math.exp(-one["strength"])))
        assert one["games"] == sum(i in game[:2] for game in games)
        assert one["low"] <= one["strength"] <= one["high"]
        spread = ends[1][i] - ends[0][i]
        assert (one["low"], one["high"]) == pytest.approx((ends[0][i], ends[1][i]), abs=max(0.35 * spread, 0.01))
    assert (told["position"]["value"], told["position"]["n"]) == (pytest.approx(np.mean(places)), len(places))
    assert told["position"]["low"] < told["position"]["value"] < told["position"]["high"]
    assert told["flipped"] == pytest.approx(np.mean(flips)) and 0 < told["flipped"] < 1
    assert f"{told['flipped']:.1%} of the pairs" in told["about"][1]


def test_what_is_forecast_before_a_run_follows_from_the_spread_it_names(suite: Path, cli: Run) -> None:
    _, *_, last = _evaluated(cli, 3)
    told: list[Said] = json.loads(json.dumps(last.to_json()))["outlook"]
    assert [one["measure"] for one in told] == ["right", "length"] and {one["power"] for one in told} == {0.8}
    before: Said = json.loads(json.dumps(afere.evals.experiment("experiment:2").to_json()))
    z = float(scipy.stats.norm.ppf(0.95) + scipy.stats.norm.ppf(0.8))
    for one in told:
        change = next(line["difference"] for line in before["measures"] if line["name"] == one["measure"])
        half = (change["high"] - change["low"]) / 2
        assert one["source"] == "spread of experiment:2"
        assert one["spread"] == pytest.approx(half / scipy.stats.t.ppf(0.95, CASES - 1) * math.sqrt(CASES))
        assert one["smallest"] == pytest.approx(z * one["spread"] / math.sqrt(one["cases"]))
        assert one["needs"] == max(2, math.ceil((z * one["spread"] / one["margin"]) ** 2))
        tries = list(_tries(afere.evals.experiment("experiment:2"), one["measure"]).values())
        within = float(np.mean([np.var(xs, ddof=1) for xs in tries]))
        between = max(0.0, one["spread"] ** 2 - 2 * within / 3)
        room = one["cases"] * (one["margin"] / z) ** 2 - between
        assert one["repeats"] == (math.ceil(2 * within / room) if room > 0 else None)


def test_what_repeats_and_verdicts_spread_is_recomputed(suite: Path, cli: Run) -> None:
    (made,) = _evaluated(cli, 1)
    told: Said = json.loads(json.dumps(made.to_json()))
    for line in told["spread"]:
        tries = _tries(made, line["measure"])
        table = np.array(list(tries.values()))
        within = float(table.var(axis=1, ddof=1).mean())
        assert (line["cases"], line["repeats"]) == (CASES, 3)
        assert line["sampling"] == pytest.approx(within)
        assert line["case"] == pytest.approx(max(0.0, float(table.mean(axis=1).var(ddof=1)) - within / 3))
        total = line["case"] + line["sampling"]
        assert (
            f"{line['case'] / total:.0%} between cases, {line['sampling'] / total:.0%} between answers" in line["says"]
        )
    assert {line["measure"] for line in told["spread"]} == {"right", "length"}
    (steady,) = told["stability"]
    tries = _tries(made, "right")
    all_of = [float(all(xs)) for xs in tries.values()]
    any_of = [float(any(xs)) for xs in tries.values()]
    for found, chances in ((steady["pass_hat_k"], all_of), (steady["pass_at_k"], any_of)):
        assert (found["value"], found["n"]) == (pytest.approx(np.mean(chances)), CASES)
        assert (found["low"], found["high"]) == pytest.approx(stats.wilson(sum(chances), CASES))
    flaky = {row: [row, int(sum(xs)), 3] for row, xs in tries.items() if 0 < sum(xs) < 3}
    assert steady["flaky"] == len(flaky) and steady["cases"] == sorted(
        flaky.values(), key=lambda one: (abs(one[1] / 3 - 0.5), one[0])
    )


def _fleiss(units: list[list[object]]) -> float:
    labels = sorted({str(one) for unit in units for one in unit})
    counts = np.array([[sum(str(one) == label for one in unit) for label in labels] for unit in units])
    seen = float(((counts**2).sum(axis=1) - 3).mean() / 6)
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (seen - chance) / (1 - chance)


def _alpha(units: list[list[object]]) -> float:
    """By the table of coincidences, label by label (Krippendorff 2011, section C)."""
    pairs = [(a, b, len(unit)) for unit in units for a, b in itertools.permutations(unit, 2)]
    n = sum(len(unit) for unit in units)
    seen = sum((a != b) / (m - 1) for a, b, m in pairs) / n
    each = Counter(one for unit in units for one in unit)
    return 1 - seen / (sum(each[a] * each[b] for a, b in itertools.permutations(each, 2)) / (n * (n - 1)))


def test_how_far_three_people_agree_is_recomputed(project: Path) -> None:
    ScriptedModel("judge", says={"": {"why": "so", "verdict": "pass"}})
    judge: Any = {"name": "polite", "kind": "judge", "rubric": "Polite?", "model": "scripted:judge"}
    rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}} for i in range(40)]
    labels = Labels(afere.evaluate(lambda q: q, rows, scorers=[judge]))
    rng, units = np.random.default_rng(4), list[list[object]]()
    for item in labels.items:
        truth = bool(rng.random() < 0.6)
        units.append([bool(truth ^ (rng.random() < share)) for share in (0.1, 0.2, 0.3)])
        for who, said in zip(("ana", "ben", "cao"), units[-1], strict=True):
            labels.put("polite", item.key, cast("bool", said), by=f"person:{who}")
    told: Said = json.loads(json.dumps(agreements(labels)[0].to_json()))
    assert (told["labels"], told["of"], told["people"]) == (
        40,
        40,
        dict.fromkeys(("person:ana", "person:ben", "person:cao"), 40),
    )
    raw = np.mean([a == b for unit in units for a, b in itertools.combinations(unit, 2)])
    for name, coefficient in (("fleiss", _fleiss), ("alpha", _alpha)):
        found = told[name]
        assert (found["value"], found["n"], found["raw"]) == (pytest.approx(coefficient(units)), 40, pytest.approx(raw))
        drawn = [coefficient([units[i] for i in rng.integers(0, 40, 40)]) for _ in range(400)]
        assert (found["low"], found["high"]) == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=0.05)
    assert len(told["pairs"]) == 3
    for pair in told["pairs"]:
        sides = [[unit["abc".index(pair[side][7])] for unit in units] for side in ("a", "b")]
        same = np.mean([x == y for x, y in zip(*sides, strict=True)])
        left, right = (np.mean([bool(x) for x in side]) for side in sides)
        chance = left * right + (1 - left) * (1 - right)
        assert (pair["raw"], pair["value"]) == (pytest.approx(same), pytest.approx((same - chance) / (1 - chance)))
