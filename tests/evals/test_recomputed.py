"""Every number that a table or page shows can be recomputed: from the runs, from its own interval, and from its rule.

The test walks the JSON of real experiments, comparisons, gates and labels, and computes each number anew from what the JSON
itself holds beside it. "Needs about n more" states its assumption: that value and spread stay.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import scipy.stats

import afere
from afere.base.rule import parse_rule
from afere.evals import Experiment, stats
from afere.evals.labelling.agreeing import agreements
from afere.evals.labelling.labels import Labels
from afere.testing import ScriptedModel

Said = dict[str, Any]
RULES = (
    "right.mean >= 0.5", "right.mean >= 0.8", "right.mean >= 0.62", "length.mean <= 30", "length.mean >= 30",
    "right.mean not worse than experiment:1 by 0.05", "polite.mean not worse than experiment:1 by 0.2",
    "length.mean not worse than experiment:1 by 1", "right.mean better than experiment:1",
)  # fmt: skip


@pytest.fixture
def made(project: Path) -> tuple[Experiment, Experiment]:
    """Two versions on 60 cases in groups of unequal size, twice each, with a rate, a mean and a judge."""
    rng = np.random.default_rng(8)
    seen: dict[tuple[str, str], int] = {}
    luck = {(word, f"{i}?", r): float(rng.random()) for word in ("one", "two") for i in range(60) for r in (1, 2)}

    def version(word: str, share: float) -> Any:
        def run(q: str) -> str:
            seen[word, q] = seen.get((word, q), 0) + 1
            ok = luck[word, q, seen[word, q]] < share
            return f"{word} {'right' if ok else 'wrong'} {'x' * int(20 * luck[word, q, seen[word, q]])}"

        return run

    def verdict(request: Any) -> Any:
        return {"why": "so", "verdict": "pass" if "xxxxxxx" in request.messages[1].text else "fail"}

    ScriptedModel("judge", says=verdict)
    right: Any = afere.scorer(lambda output: "right" in str(output), name="right")
    length: Any = afere.scorer(lambda output: len(str(output)), name="length")
    polite: Any = {"name": "polite", "kind": "judge", "rubric": "Polite?", "model": "scripted:judge"}
    rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}, "group": f"g{int(i**0.7)}"} for i in range(60)]
    first, second = (
        afere.evaluate(version(word, share), rows, scorers=[right, length, polite], repeats=2, concurrency=1,
                       against=None if word == "one" else "experiment:1")
        for word, share in (("one", 0.7), ("two", 0.6))
    )  # fmt: skip
    labels = Labels(second)
    for item in labels.shuffled[:60]:
        for who in ("ana", "ben"):
            labels.put("polite", item.key, bool(rng.random() < 0.6), by=f"person:{who}")
    return first, afere.evals.experiment(second.ref)


def _said(value: object) -> Any:
    return json.loads(json.dumps(value))


def _values(one: Experiment, name: str) -> dict[str, tuple[float, str]]:
    """The mean over the runs of each case, and its group, from the runs as they are kept."""
    found: dict[str, list[float]] = {}
    group: dict[str, str] = {}
    for run in one.rows:
        value = run.scores[name][0]
        found.setdefault(run.row, []).append(float(cast("float", value)))
        group[run.row] = str(run.group)
    return {row: (math.fsum(xs) / len(xs), group[row]) for row, xs in found.items()}


def _clustered(values: list[float], groups: list[str]) -> tuple[float, float, float]:
    """Mean, CR2 standard error and Satterthwaite's degrees of freedom, by matrices."""
    x, names = np.array(values), sorted(set(groups))
    member = np.array([[float(g == name) for name in names] for g in groups])
    n, share = len(x), member.sum(axis=0) / len(x)
    each = (np.eye(n) - np.ones((n, n)) / n) @ member / n @ np.diag((1 - share) ** -0.5)
    eigen = np.linalg.eigvalsh(each.T @ each)
    return float(x.mean()), float(np.linalg.norm(each.T @ x)), float(eigen.sum() ** 2 / (eigen**2).sum())


def test_a_table_is_recomputed_from_its_runs(made: tuple[Experiment, Experiment]) -> None:
    checked = 0
    for one in made:
        for line in _said(one.to_json())["measures"]:
            if line["name"] not in ("right", "length", "polite"):
                continue
            runs = [run for run in one.rows if run.scores[line["name"]][0] is not None]
            values = [float(cast("float", run.scores[line["name"]][0])) for run in runs]
            mean, error, freedom = _clustered(values, [str(run.group) for run in runs])
            assert line["value"] == pytest.approx(mean)
            assert (line["n"], line["missing"]) == (60, 0)
            t = scipy.stats.t.ppf(0.95, freedom)
            if line["kind"] == "mean":
                assert (line["low"], line["high"]) == pytest.approx((mean - t * error, mean + t * error))
            else:  # Wilson with the effective sample size
                n = len(values)
                size, groups = min(n, n * mean * (1 - mean) / (n - 1) / error**2), {run.group for run in runs}
                rarer = {run.group for run, x in zip(runs, values, strict=True) if (x == 1) is (mean < 0.5)}
                weight, cut = 5 / (5 + len(rarer)), (scipy.stats.t.ppf(0.95, n - 1) / t) ** 2
                inner = min(size, size ** (1 - weight) * len(groups) ** weight)
                outer, middle = (stats.wilson(mean * m * cut, m * cut) for m in (size, inner))
                ends = (middle[0], outer[1]) if mean >= 0.5 else (outer[0], middle[1])
                assert (line["low"], line["high"]) == pytest.approx(ends, abs=1e-6)
            checked += 1
    assert checked == 6


def test_a_comparison_is_recomputed_from_the_runs_of_both(made: tuple[Experiment, Experiment]) -> None:
    told: Said = _said(afere.compare(*made).to_json())
    first, second = made
    for line in told["measures"]:
        if line["name"] == "seconds":
            continue
        before, after = _values(first, line["name"]), _values(second, line["name"])
        changes = [after[row][0] - before[row][0] for row in after]
        mean, error, freedom = _clustered(changes, [after[row][1] for row in after])
        found = line["difference"]
        assert (found["value"], found["n"]) == (pytest.approx(mean), 60)
        assert line["after"] - line["before"] == pytest.approx(found["value"])
        assert found["wins"] == sum(one > 0 for one in changes)
        assert found["losses"] == sum(one < 0 for one in changes)
        assert len(line["changed"]) == found["wins"] + found["losses"]
        assert found["p"] is line["p_holm"] is line["p_bh"] is None  # grouped cases are not independent
        half = scipy.stats.t.ppf(0.95, freedom) * error
        if line["name"] == "length":
            assert (found["low"], found["high"]) == pytest.approx((mean - half, mean + half))
        else:  # never narrower than the plain interval
            assert found["low"] <= mean - half + 1e-9
            assert found["high"] >= mean + half - 1e-9
    shown = {one["name"]: one["difference"] for one in _said(second.to_json())["measures"]}
    assert {one["name"]: one["difference"] for one in told["measures"] if one["name"] in ("right", "length")} == {
        name: shown[name] for name in ("right", "length")
    }  # the page of one experiment and the comparison say the same


def test_an_answer_and_how_many_more_follow_from_the_interval_beside_it(made: tuple[Experiment, Experiment]) -> None:
    _, second = made
    told: Said = _said(second.gate(*RULES).to_json())
    table = {one["name"]: one for one in _said(second.to_json())["measures"]}
    answers: set[str] = set()
    for one in told["rules"]:
        rule = parse_rule(one["rule"])
        amount, value, low, high = rule.amount or 0.0, one["value"], one["low"], one["high"]
        answers.add(one["answer"])
        assert low <= value <= high
        if rule.against is None:
            line = table[rule.measure.name]
            assert (value, low, high, one["n"]) == (line["value"], line["low"], line["high"], line["n"])
            rising = rule.op == ">="
            proven, refuted = (low >= amount, high < amount) if rising else (high <= amount, low > amount)
            end = (low if rising else high) if (value >= amount) == rising else (high if rising else low)
            distance, half = abs(value - amount), abs(end - value)
        else:
            margin = amount if rule.op == "not worse than" else -amount
            proven = low > -margin
            refuted = high < (0 if rule.op == "not worse than" else amount)
            drop = -value
            worse = rule.op == "not worse than"
            distance = (margin - drop if drop < margin else drop) if worse else abs(value - amount)
            half = value - low if value > -margin else high - value
        assert one["answer"] == ("pass" if proven else "fail" if refuted else "open"), one
        if one["answer"] == "open":
            assert one["needs"] == max(1, math.ceil(one["n"] * (half / distance) ** 2 - one["n"] - 1e-9)), one
            assert f"needs about {one['needs']} more" in one["why"]
        else:
            assert one["needs"] is None
    assert answers == {"pass", "fail", "open"}
    text = (Path(__file__).resolve().parents[2] / "docs" / "ideas" / "intervals.md").read_text(encoding="utf-8")
    assert re.search(r"n \(h/d\)² - n more cases would do, if value and spread stay", text)


def test_repeats_and_labels_are_recomputed(made: tuple[Experiment, Experiment]) -> None:
    _, second = made
    told: Said = _said(second.to_json())
    tries: dict[str, list[float]] = {}
    for run in second.rows:
        tries.setdefault(run.row, []).append(float(cast("float", run.scores["right"][0])))
    steady = next(one for one in told["stability"] if one["measure"] == "right")
    assert steady["pass_at_k"]["value"] == pytest.approx(sum(any(one) for one in tries.values()) / 60)
    assert steady["pass_hat_k"]["value"] == pytest.approx(sum(all(one) for one in tries.values()) / 60)
    assert steady["flaky"] == sum(any(one) and not all(one) for one in tries.values())
    for one in told["spread"]:
        error = one["case"] + (one["sampling"] or 0) / one["repeats"]
        fewer = math.sqrt((one["case"] + (one["sampling"] or 0) / (2 * one["repeats"])) / error)
        assert f"twice the repeats by {1 - fewer:.0%}" in one["says"]
        assert "twice the cases by 29%" in one["says"]
    found = agreements(Labels(second))[0].to_json()
    labels = Labels(second).of("polite")
    pairs = [(by["person:ana"].value, by["person:ben"].value) for by in labels.values()]
    same = sum(a == b for a, b in pairs) / len(pairs)
    left, right = (sum(bool(pair[side]) for pair in pairs) / len(pairs) for side in (0, 1))
    chance = left * right + (1 - left) * (1 - right)
    (pair,) = cast("list[Said]", found["pairs"])
    assert (pair["n"], pair["raw"]) == (60, pytest.approx(same))
    assert pair["value"] == pytest.approx((same - chance) / (1 - chance))
    corrected, alone = cast("Said", found["corrected"]), cast("Said", found["by_people"])
    agreed = {target for target, by in labels.items() if len({one.value for one in by.values()}) == 1}
    verdicts = {item.target: float(bool(item.run.scores["polite"][0])) for item in Labels(second).items}
    human = {target: float(bool(next(iter(labels[target].values())).value)) for target in agreed}
    rest = [verdict for target, verdict in verdicts.items() if target not in agreed]
    weight = corrected["weight"]
    by_hand = weight * np.mean(rest) + np.mean([human[target] - weight * verdicts[target] for target in agreed])
    assert corrected["value"] == pytest.approx(by_hand)
    assert (corrected["labels"], corrected["judged"]) == (len(agreed), len(rest))
    assert alone["value"] == pytest.approx(np.mean(list(human.values())))
