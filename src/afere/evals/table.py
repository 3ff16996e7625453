"""The table of an evaluation: one line a measure, with its 90% interval and what changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.evals.results import Difference, Kind, Results, Series, difference

QUIET = ("input_tokens", "output_tokens", "first_token_seconds")  # shown only where a rule or a person asks


@dataclass(frozen=True, slots=True)
class Measure:
    """One number with its interval. `low` and `high` are the ends of the 90% interval: two one-sided 95% bounds.

    `n` cases have a value; `missing` runs have none, most often because of `why`. A rate is the share of true ones,
    a share that of one text. `calibrated` is False for a judge that has not been compared with people.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    difference: Difference | None = None
    kind: Kind = "mean"
    lower_is_better: bool = False
    calibrated: bool = True
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "value": self.value, "low": self.low, "high": self.high, "n": self.n,
            "missing": self.missing, "difference": self.difference.to_json() if self.difference else None,
            "kind": self.kind, "better": "lower" if self.lower_is_better else "higher", "calibrated": self.calibrated,
            "why": self.why,
        }  # fmt: skip


def measures(
    results: Results, against: Results | None = None, *, rows: Collection[str] | None = None, all_builtin: bool = False
) -> list[Measure]:
    """Every measure of the results; a text has one line for each of its values."""
    found: list[Measure] = []
    for name in results.names:
        if name in QUIET and not all_builtin:
            continue
        series = results.series(name, rows=rows)
        if name in BUILTIN and not all_builtin and not any(series.values):
            continue
        if series.words:
            found += [_measure(results, against, name, word, rows) for word in series.words]
        else:
            found.append(_measure(results, against, name, None, rows, series))
    return found


def _measure(
    results: Results, against: Results | None, name: str, word: str | None, rows: Collection[str] | None,
    series: Series | None = None,
) -> Measure:  # fmt: skip
    series = series or results.series(name, value=word, rows=rows)
    lower = results.lower_is_better(name)
    change: Difference | None = None
    if against is not None and against.hash_of(name) is not None and against.hash_of(name) == results.hash_of(name):
        before = against.series(name, value=word, rows=rows)
        if before.values and series.values:
            change = difference(series, before, against.ref, lower_is_better=lower)
    estimate = series.estimate()
    judged = any(name == one or name.startswith(f"{one}.") for one in results.judged)
    return Measure(
        f"{name}.{word}" if word is not None else name, estimate.value, estimate.low, estimate.high, series.n,
        series.missing, change, "share" if word is not None else series.kind, lower, not judged, series.why,
    )  # fmt: skip
