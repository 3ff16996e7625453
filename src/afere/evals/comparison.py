"""Compare two experiments, case by case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.evals import stats
from afere.evals.experiment import Experiment, experiment
from afere.evals.results import Difference, difference
from afere.evals.table import QUIET


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure on both sides, on the cases that both have. `unlike` says why it cannot be compared."""

    name: str
    before: float | None
    after: float | None
    difference: Difference | None
    unlike: str = ""
    adjusted: float | None = None  # p after Holm, where the family is all measures of the comparison that have one
    screened: float | None = (
        None  # the same after Benjamini and Hochberg: of what is below 5%, about 5% are false findings
    )

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "before": self.before, "after": self.after,
            "difference": self.difference.to_json() if self.difference else None, "unlike": self.unlike, "p_holm": self.adjusted,
            "p_bh": self.screened,
            "changed": [
                {"row": row, "before": x, "after": y} for row, x, y in (self.difference.changed if self.difference else ())
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """From experiment `a` to `b`: measures with paired differences, and what is not alike about the two."""

    a: Experiment
    b: Experiment
    measures: tuple[Compared, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        return {
            "a": self.a.ref, "b": self.b.ref, "notes": list(self.notes),
            "measures": [one.to_json() for one in self.measures],
        }  # fmt: skip


def compare(a: str | int | Experiment, b: str | int | Experiment) -> Comparison:
    """Compare two experiments (numbers, or references such as `experiment:12`), paired by row and its content."""
    before = a if isinstance(a, Experiment) else experiment(a)
    after = b if isinstance(b, Experiment) else experiment(b)
    return Comparison(before, after, tuple(_measures(before, after)), tuple(_notes(before, after)))


def _measures(a: Experiment, b: Experiment) -> list[Compared]:
    found: list[Compared] = []
    for name in dict.fromkeys([*a.results.names, *b.results.names]):
        if name in QUIET:
            continue
        ours, theirs = b.results.hash_of(name), a.results.hash_of(name)
        if ours is None or theirs is None:
            found.append(Compared(name, None, None, None, f"only {b.ref if ours is not None else a.ref} has it"))
            continue
        if ours != theirs:
            found.append(Compared(name, None, None, None, "the scorer changed between the two"))
            continue
        words = sorted({*a.results.series(name).words, *b.results.series(name).words})
        for word in words or [None]:
            one = _compared(name, word, a, b)
            if name not in BUILTIN or one.before or one.after:
                found.append(one)
    return _adjusted(found)


def _adjusted(found: list[Compared]) -> list[Compared]:
    """With p-values that hold for all of them together: of 20 measures one is below 5% by chance alone."""
    tested = [i for i, one in enumerate(found) if one.difference is not None and one.difference.p is not None]
    alone = [cast("Difference", found[i].difference).p or 0.0 for i in tested]
    holm, screened = (dict(zip(tested, of(alone), strict=True)) for of in (stats.holm, stats.benjamini_hochberg))
    return [replace(one, adjusted=holm.get(i), screened=screened.get(i)) for i, one in enumerate(found)]


def _compared(name: str, word: str | None, a: Experiment, b: Experiment) -> Compared:
    x, y = a.results.series(name, value=word), b.results.series(name, value=word)
    shown = f"{name}.{word}" if word is not None else name
    before, after = x.estimate().value, y.estimate().value
    if not x.values or not y.values:
        return Compared(shown, before, after, None, x.why or y.why)
    return Compared(shown, before, after, difference(y, x, a.ref, lower_is_better=b.results.lower_is_better(name)))


def _notes(a: Experiment, b: Experiment) -> list[str]:
    notes: list[str] = []
    cases = [{(run.row, run.digest) for run in one.results.runs} for one in (a, b)]
    common = cases[0] & cases[1]
    if len(common) < max(len(cases[0]), len(cases[1])):
        notes.append(
            f"{len(common)} cases are in both: {a.ref} ran {len(cases[0])} of {a.results.dataset[0]}, "
            f"{b.ref} {len(cases[1])} of {b.results.dataset[0]}; differences are over those"
        )
    notes += [
        f"{one.ref} is not complete: {one.content['unfinished']} runs are unfinished"
        for one in (a, b)
        if not one.complete
    ]
    if a.results.target is not None and a.results.target == b.results.target:
        notes.append(f"both ran the same version, {a.results.target[0]}: differences are chance, or the machine's")
    return notes
