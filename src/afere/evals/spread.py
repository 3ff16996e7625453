"""Where the spread of a measure comes from: the cases, the sampling of answers, the noise of the judge; and what would help."""

from __future__ import annotations

import math
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.evals import stats
from afere.evals.results import Results

_WORTH = 0.10  # a narrowing of the interval by less than this share is not worth doubling anything


ABOUT_JUDGING = (
    ".split",
    ".escalated",
    ".flipped",
    ".draw",
)  # how a judge came to its verdict: nothing to pass or fail


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of one verdict on one answer, split. `sampling` is None where every case was answered once, so that it is
    part of `case`; `judge` where every answer has one verdict, so that it is part of `sampling`.

    `cases` were answered `repeats` times, and each answer judged `verdicts` times (means where they differ).
    """

    measure: str
    cases: int
    repeats: float
    verdicts: float
    case: float
    sampling: float | None
    judge: float | None

    def half_width(self, *, cases: float = 1, repeats: float = 1, verdicts: float = 1) -> float:
        """The half width of the mean's interval with so many times the cases, repeats or verdicts, as a share of today's:
        case / n + sampling / (n r) + judge / (n r v) is the squared error (Searle, Casella, McCulloch 1992)."""
        now, then = self._error(1, 1), self._error(repeats, verdicts)
        return math.sqrt(then / now / cases) if now else 1.0

    def _error(self, repeats: float, verdicts: float) -> float:
        answers = self.repeats * repeats
        return self.case + (self.sampling or 0) / answers + (self.judge or 0) / (answers * self.verdicts * verdicts)

    @property
    def says(self) -> str:
        """The shares, and what narrows the interval of this value. A comparison is by differences, where cases cancel."""
        parts = [
            ("between cases", self.case),
            ("between answers to one case", self.sampling),
            ("of the judge", self.judge),
        ]
        total = math.fsum(part or 0.0 for _, part in parts)
        if not total:
            return "all values are alike"
        shares = ", ".join(f"{part / total:.0%} {where}" for where, part in parts if part is not None)
        gains = {"cases": 1 - self.half_width(cases=2)}
        if self.sampling is not None:
            gains["repeats"] = 1 - self.half_width(repeats=2)
        if self.judge is not None:
            gains["verdicts"] = 1 - self.half_width(verdicts=2)
        told = ", ".join(f"twice the {what} by {gain:.0%}" for what, gain in gains.items())
        others = [what for what, gain in gains.items() if what != "cases" and gain < _WORTH]
        worth = [what for what, gain in gains.items() if what != "cases" and gain >= _WORTH]
        advice = f"more {' or '.join(['cases', *worth])}" + (f", not more {' or '.join(others)}" if others else "")
        return f"of its spread {shares}. To narrow the interval: {advice} ({told})"

    def to_json(self) -> dict[str, Json]:
        return {
            "measure": self.measure, "cases": self.cases, "repeats": self.repeats, "verdicts": self.verdicts,
            "case": self.case, "sampling": self.sampling, "judge": self.judge, "says": self.says,
        }  # fmt: skip


def spread(results: Results) -> list[Spread]:
    """One for each measure of scorers and judges where cases were answered, or answers judged, more than once."""
    found: list[Spread] = []
    if results.once and not any(run.verdicts for run in results.runs):
        return found
    for name in results.names:
        series = results.series(name)
        if name in BUILTIN or name.endswith(ABOUT_JUDGING) or series.kind in ("share", "empty") or series.pooled:
            continue
        table: dict[tuple[str, str], list[list[float]]] = {}
        for run in results.runs:
            value = run.scores.get(name, (None, ""))[0]
            if value is not None and not isinstance(value, str):
                table.setdefault((run.row, run.digest), []).append(list(run.verdicts.get(name, (float(value),))))
        if (one := _split(name, list(table.values()))) is not None:
            found.append(one)
    return found


def _split(name: str, cases: list[list[list[float]]]) -> Spread | None:
    answers = [answer for case in cases for answer in case]
    n = len(cases)
    if n < 2:
        return None
    repeats, verdicts = len(answers) / n, sum(map(len, answers)) / len(answers)
    if repeats > 1 and verdicts > 1:
        parts = stats.nested_variance(cases)
        return Spread(name, n, repeats, verdicts, parts.case, parts.sampling, parts.judge) if parts else None
    if repeats > 1:
        parts = stats.variance_split([[x for answer in case for x in answer] for case in cases])
        return Spread(name, n, repeats, 1.0, parts.case, parts.sampling, None) if parts else None
    parts = stats.variance_split([case[0] for case in cases])
    return Spread(name, n, 1.0, verdicts, parts.case, None, parts.sampling) if parts else None
