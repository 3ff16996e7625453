"""Pooled measures: what is computed from all cases together, such as a class's F1 or the BLEU of a corpus.

A scorer leaves counts with each case; the measure is a function of their sums. It is written as one number a case whose
mean is the measure and whose spread is that of the measure: its value plus the influence of that case (infinitesimal
jackknife: Jaeckel 1972; Efron 1982, 6.5). So intervals, clusters, paired differences and rules are those of every other
measure, and a part of the rows has the measure of that part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

Counts = Mapping[str, float]
LABELS = 20  # of more labels than these, only what is over all of them is a measure
_STEP = 1e-6  # of one case's weight: small enough for a slope, large enough for doubles


def bleu(counts: Counts) -> dict[str, float]:
    """Corpus BLEU, 0 to 100 (Papineni et al. 2002; exponential smoothing as sacrebleu's default)."""
    said, wanted = counts["said"], counts["wanted"]
    logs, smooth = 0.0, 1.0
    for n in range(1, 5):
        right, all_ = counts[f"right {n}"], counts[f"all {n}"]
        if all_ <= 0:
            return {"corpus": 0.0}
        if right <= 0:
            smooth *= 2
        logs += math.log(100 * right / all_ if right > 0 else 100 / (smooth * all_)) / 4
    if not any(counts[f"right {n}"] > 0 for n in range(1, 5)) or said <= 0:
        return {"corpus": 0.0}
    short = 1.0 if said >= wanted else math.exp(1 - wanted / said)
    return {"corpus": short * math.exp(logs)}


def chrf(counts: Counts) -> dict[str, float]:
    """Corpus chrF, 0 to 100: mean over orders of F with beta 2 (Popovic 2015), as sacrebleu's default."""
    precision = recall = 0.0
    orders = 0
    n = 1
    while f"said {n}" in counts:
        said, wanted, both = counts[f"said {n}"], counts[f"wanted {n}"], counts[f"both {n}"]
        if said > 0 and wanted > 0:
            precision, recall, orders = precision + both / said, recall + both / wanted, orders + 1
        n += 1
    if not orders or not precision + recall:
        return {"corpus": 0.0}
    p, r = precision / orders, recall / orders
    return {"corpus": 100 * 5 * p * r / (4 * p + r)}


def classification(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1: macro (the mean over labels), micro (over all decisions), and of each label.

    What has no denominator counts as 0, as it does elsewhere by default.
    """
    labels = sorted({key[3:] for key in counts if key[:3] in ("tp ", "fp ", "fn ")})
    found: dict[str, float] = {}
    sums = [0.0, 0.0, 0.0]
    totals = [0.0, 0.0, 0.0]
    for label in labels:
        cell = [counts.get(f"{kind} {label}", 0.0) for kind in ("tp", "fp", "fn")]
        totals = [a + b for a, b in zip(totals, cell, strict=True)]
        rates = _rates(*cell)
        sums = [a + b for a, b in zip(sums, rates, strict=True)]
        found |= {f"{name}.{label}": value for name, value in zip(_PARTS, rates, strict=True)}
    overall = {name: value / len(labels) for name, value in zip(_PARTS, sums, strict=True)} if labels else {}
    each = found if len(labels) <= LABELS else {}
    return {**overall, "micro_f1": _rates(*totals)[2], **each}


_PARTS = ("precision", "recall", "f1")


def _rates(tp: float, fp: float, fn: float) -> tuple[float, float, float]:
    return (
        tp / (tp + fp) if tp + fp > 0 else 0.0, tp / (tp + fn) if tp + fn > 0 else 0.0,
        2 * tp / (2 * tp + fp + fn) if tp + fp + fn > 0 else 0.0,
    )  # fmt: skip


POOLS: dict[str, Callable[[Counts], dict[str, float]]] = {"bleu": bleu, "chrf": chrf, "classification": classification}
LIMITS = {"bleu": (0.0, 100.0), "chrf": (0.0, 100.0), "classification": (0.0, 1.0)}  # what each can be at all


def total(counts: Sequence[Counts], weights: Sequence[float]) -> dict[str, float]:
    """The weighted sum of the counts."""
    found: dict[str, float] = {}
    for one, weight in zip(counts, weights, strict=True):
        for key, n in one.items():
            found[key] = found.get(key, 0.0) + n * weight
    return found


def spread(pool: str, measure: str, counts: Sequence[Counts], weights: Sequence[float]) -> list[float]:
    """One number a case: the measure plus that case's influence on it. Their weighted mean is the measure."""
    formula, sums, whole = POOLS[pool], total(counts, weights), math.fsum(weights)
    value = formula(sums)[measure]

    @cache
    def influence(key: tuple[tuple[str, float], ...]) -> float:
        less = dict(sums)
        for name, n in key:
            less[name] -= n * _STEP
        return whole * (value - formula(less).get(measure, value)) / _STEP

    raw = [influence(tuple(one.items())) for one in counts]
    middle = math.fsum(v * w for v, w in zip(raw, weights, strict=True)) / whole if whole else 0.0
    return [round(value + one - middle, 12) for one in raw]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often what was expected (rows) was said as what (columns)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion(counts: Sequence[Counts]) -> Confusion | None:
    """The matrix of a classification with one label a case; None where no case has one."""
    cells: dict[tuple[str, str], int] = {}
    for one in counts:
        for key in one:
            if key.startswith("["):
                expected, said = json.loads(key)
                cells[expected, said] = cells.get((expected, said), 0) + 1
    if not cells:
        return None
    labels = tuple(sorted({label for pair in cells for label in pair}))
    return Confusion(labels, tuple(tuple(cells.get((a, b), 0) for b in labels) for a in labels))
