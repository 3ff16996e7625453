"""Measures of all cases together: published values, honest intervals, and rules on them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

import afere
from afere.data import Row
from afere.evals import pooled
from afere.evals.results import Result, Results, difference
from afere.evals.scorers import Case, counted, named

LABELS = ("billing", "technical", "general")


def _results(pairs: list[tuple[str, str]], entry: object = "classification") -> Results:
    one = named(entry)
    runs: list[Result] = []
    for i, (said, expected) in enumerate(pairs):
        row = Row(f"r-{i}", {"q": i}, expected)
        found = one.score(Case(row, said))
        scores = {name: (scored.value, scored.why) for name, scored in found.items()}
        runs.append(Result(row.id, "d", scores=scores, counts=counted(found)))
    return Results("experiment:1", scorers={one.name: "h"}, runs=tuple(runs))


def _drawn(seed: int, n: int = 120) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    wanted = [rng.choice(LABELS) for _ in range(n)]
    return [(one if rng.random() < 0.7 else rng.choice(LABELS), one) for one in wanted]


def test_precision_recall_and_f1_are_those_of_the_textbook() -> None:
    # scikit-learn's own example: precision_recall_fscore_support([cat dog pig cat dog pig], [cat pig dog cat cat dog])
    true, said = ["cat", "dog", "pig"] * 2, ["cat", "pig", "dog", "cat", "cat", "dog"]
    results = _results(list(zip(said, true, strict=True)), {"name": "label", "kind": "classification"})
    value = {name: results.series(name).estimate().value for name in results.names}
    assert value["label.precision"] == pytest.approx(0.2222, abs=1e-4)
    assert value["label.recall"] == pytest.approx(0.3333, abs=1e-4)
    assert value["label.f1"] == pytest.approx(0.2667, abs=1e-4)
    assert (value["label.micro_f1"], value["label"]) == pytest.approx((1 / 3, 1 / 3))
    assert (value["label.precision.cat"], value["label.recall.cat"], value["label.f1.dog"]) == pytest.approx(
        (2 / 3, 1, 0)
    )
    matrix = pooled.confusion([run.counts["label"][1] for run in results.runs])
    assert matrix is not None
    assert (matrix.labels, matrix.counts) == (("cat", "dog", "pig"), ((2, 0, 0), (1, 0, 1), (0, 2, 0)))


def test_the_interval_of_a_pooled_measure_is_that_of_a_bootstrap() -> None:
    pairs = _drawn(1)
    results = _results(pairs)
    found = results.series("classification.f1").estimate()
    rng = random.Random(2)
    counts = [run.counts["classification"][1] for run in results.runs]
    ones = [1.0] * len(counts)
    drawn = sorted(
        pooled.classification(pooled.total(rng.choices(counts, k=len(counts)), ones))["f1"] for _ in range(1000)
    )
    assert found.value == pytest.approx(pooled.classification(pooled.total(counts, ones))["f1"])
    assert found.low == pytest.approx(drawn[50], abs=0.015)
    assert found.high == pytest.approx(drawn[949], abs=0.015)


def test_a_slice_has_the_measure_of_its_own_cases() -> None:
    pairs = _drawn(3)
    results = _results(pairs)
    rows = {f"r-{i}" for i in range(40)}
    part = results.series("classification.f1", rows=rows).estimate().value
    assert part == pytest.approx(_results(pairs[:40]).series("classification.f1").estimate().value)


def test_corpus_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    from sacrebleu.metrics import BLEU, CHRF  # pyright: ignore[reportMissingTypeStubs]

    pairs = [
        ("the cat sat on a mat", "the cat sat on the mat"),
        ("there is a dog in the garden now", "a dog is in the garden"),
        ("we leave at noon on the first day of spring", "we leave at noon on the first of spring"),
    ]
    said, wanted = [a for a, _ in pairs], [b for _, b in pairs]
    bleu, chrf = _results(pairs, "bleu"), _results(pairs, "chrf")
    assert bleu.series("bleu.corpus").estimate().value == pytest.approx(BLEU().corpus_score(said, [wanted]).score)
    assert chrf.series("chrf.corpus").estimate().value == pytest.approx(CHRF().corpus_score(said, [wanted]).score)
    short = _results([("no", "nothing"), ("a b", "c d")], "bleu").series("bleu.corpus").estimate()
    assert short.value == 0.0


def test_two_versions_are_compared_on_a_pooled_measure() -> None:
    before, after = _results(_drawn(4)), _results([(e, e) if i % 3 else (s, e) for i, (s, e) in enumerate(_drawn(4))])
    found = difference(after.series("classification.f1"), before.series("classification.f1"), "experiment:1")
    assert found.estimate.value is not None
    assert found.estimate.low is not None
    assert found.estimate.low > 0
    assert (found.p, found.changed) == (None, ())


def test_rules_the_table_and_the_baseline_know_pooled_measures(project: Path) -> None:
    rows = [{"id": f"r-{i}", "input": {"q": str(i)}, "output": s, "expected": e} for i, (s, e) in enumerate(_drawn(5))]
    (project / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    label = {"name": "label", "kind": "classification"}
    done = afere.evaluate(None, "rows.jsonl", scorers=[label])
    table = {line.name: line for line in done.table()}
    assert {"label", "label.f1", "label.recall", "label.f1.billing", "label.micro_f1"} <= table.keys()
    assert done.gate("label.f1.mean >= 0.5", "label.recall.billing >= 0.3").answer == "pass"
    assert done.gate("label.f1 >= 0.99").answer == "fail"
    done.accept()
    again = afere.evaluate(None, "rows.jsonl", scorers=[label], against="baseline")
    change = {line.name: line.difference for line in again.table()}["label.f1"]
    assert change is not None
    assert change.estimate.value == 0.0
    kept = afere.evals.experiment(again.ref)
    assert {line.name: line.value for line in kept.table()}["label.f1"] == table["label.f1"].value


def test_an_interval_ends_where_the_measure_does() -> None:
    said, true = ["a", "b", "a", "b", "a"], ["a", "b", "b", "b", "a"]
    results = _results(list(zip(said, true, strict=True)))
    for measure in results.pools["classification"]:
        found = results.series(measure).estimate()
        assert found.low is not None and found.high is not None and 0 <= found.low <= found.high <= 1
    run = Result("r", "d", scores={"seconds": (9.0, ""), "gain": (9.0, "")})
    rows = Results(
        "experiment:1",
        runs=(run, *(replace(run, row=f"r{n}", scores={"seconds": (0.1, ""), "gain": (0.1, "")}) for n in range(3))),
    )
    assert rows.series("seconds").estimate().low == 0
    unbounded = rows.series("gain").estimate().low
    assert unbounded is not None and unbounded < 0  # nobody said that a gain cannot be
