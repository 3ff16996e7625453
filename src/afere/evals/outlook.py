"""Before spending: the smallest drop that so many cases would show, and how many would show a smaller one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.rule import BUILTIN, Rule
from afere.evals import stats
from afere.evals.gate import MARGIN
from afere.evals.references import previous, results_of
from afere.evals.results import Results
from afere.evals.stats.distributions import t_quantile
from afere.store import Session

_CHANGING = 0.2  # the share of cases that change, where nothing is known yet: sd sqrt(0.2)


@dataclass(frozen=True, slots=True)
class Outlook:
    """For one measure that a rule compares: `smallest` is the drop seen 8 times in 10 with `cases` cases; `needs` and
    `repeats` are the cases, or the repeats of these cases, that would show a drop of `margin` (None: no number would).

    `spread` is the standard deviation of a case's difference, from `source`.
    """

    measure: str
    cases: int
    margin: float
    spread: float
    source: str
    smallest: float
    needs: int
    repeats: int | None

    def to_json(self) -> dict[str, Json]:
        return {
            "measure": self.measure, "cases": self.cases, "margin": self.margin, "spread": self.spread,
            "source": self.source, "smallest": self.smallest, "needs": self.needs, "repeats": self.repeats, "power": 0.8,
        }  # fmt: skip

    def __str__(self) -> str:
        enough = self.needs <= self.cases
        more = f", or {self.repeats} repeats of these" if self.repeats and self.repeats > 1 else ""
        rest = "" if enough else f"; to see a drop of {self.margin:.3g} you need about {self.needs} cases{more}"
        return (
            f"{self.measure}: {self.cases} cases show a drop of {self.smallest:.2g} 8 times in 10{rest} ({self.source})"
        )


def outlook(rules: Sequence[Rule], name: str, cases: int, repeats: int, session: Session) -> list[Outlook]:
    """One for each `not worse than` rule on a mean; where nothing was compared before, only for rates is a guess made."""
    found: dict[str, Outlook] = {}
    last = previous(name, session)
    said = cast("dict[str, Any]", last.content) if last is not None else {}
    results = results_of(last, session) if last is not None else None
    for rule in rules:
        measure = rule.measure
        if rule.op != "not worse than" or rule.where or measure.statistic not in (None, "mean") or cases < 2:
            continue
        spread, source = _spread(measure.name, said, last.ref if last else "")
        margin = rule.amount or MARGIN
        if spread is None or margin <= 0:
            continue
        found[measure.name] = Outlook(
            measure.name, cases, margin, spread, source, stats.smallest_drop(cases, spread),
            stats.cases_needed(spread, margin), _repeats(results, measure.name, spread, cases, repeats, margin),
        )  # fmt: skip
    return list(found.values())


def _spread(name: str, said: dict[str, Any], ref: str) -> tuple[float | None, str]:
    """From the interval of the last comparison; else what is assumed."""
    for one in said.get("measures", ()):
        change = one["difference"]
        if one["name"] == name and change and change["n"] > 2 and change["high"] is not None:
            half = (change["high"] - change["low"]) / 2
            return half / t_quantile((1 + stats.LEVEL) / 2, change["n"] - 1) * math.sqrt(
                change["n"]
            ), f"spread of {ref}"
    kinds = {one["name"]: one["kind"] for one in said.get("measures", ())}
    if name in BUILTIN or kinds.get(name, "rate") == "mean":
        return None, ""
    return math.sqrt(_CHANGING), "assuming that one case in five changes"


def _repeats(
    results: Results | None, name: str, spread: float, cases: int, repeats: int, margin: float
) -> int | None:  # fmt: skip
    """How many repeats of the same cases would do, where repeats have shown how much of the spread is sampling."""
    split = stats.variance_split(tries_of(results, name)) if results is not None else None
    if split is None:
        return None
    # The spread seen is that of means over the repeats of then, of both sides.
    runs = max(1, round(len(results.runs) / max(1, len({run.row for run in results.runs})))) if results else repeats
    between = max(0.0, spread**2 - 2 * split.sampling / runs)
    return stats.repeats_needed(cases, margin, between, split.sampling, split.sampling)


def tries_of(results: Results, name: str) -> list[list[float]]:
    """The values of each case, one for each of its repeats."""
    found: dict[tuple[str, str], list[float]] = {}
    series = results.series(name)
    for value, case in zip(series.values, series.cases, strict=True):
        found.setdefault(case, []).append(value)
    return list(found.values())
