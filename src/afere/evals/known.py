"""Accepted failures: cases that are known to fail, with who accepted it, why, and until when. They stand in the baseline
file, so that they are reviewed like code, and no rule looks at them until the day named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.rule import BUILTIN
from afere.evals.results import Results


@dataclass(frozen=True, slots=True)
class Known:
    """One accepted failure. `until` is the last day on which it is accepted."""

    case: str
    why: str
    until: date
    by: str = ""
    at: str = ""

    def to_json(self) -> dict[str, Json]:
        return {"case": self.case, "why": self.why, "until": self.until.isoformat(), "by": self.by, "at": self.at}

    @property
    def over(self) -> bool:
        return self.until < today()


def today() -> date:
    return datetime.now(UTC).date()


def known_from(entries: Sequence[dict[str, str]], shown: str) -> tuple[Known, ...]:
    """What a baseline file lists. BadInput names a day that is none."""
    return tuple(
        Known(one["case"], one["why"], day(one["until"], shown), one.get("by", ""), one.get("at", ""))
        for one in entries
    )


def day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{where}: {text!r} is no day. Write it as 2026-12-31.") from None


def joined(before: Sequence[Known], more: Sequence[Known]) -> list[Json]:
    """All that are accepted, the newest word on a case last; what is over is dropped."""
    found = {one.case: one for one in (*before, *more)}
    return [cast("Json", found[case].to_json()) for case in sorted(found) if not found[case].over]


def findings(known: Sequence[Known], results: Results, file: str) -> list[Json]:
    """What to look at: acceptances that are over, and cases that pass by now."""
    found: list[Json] = []
    for one in known:
        if one.over:
            why = f"the failure of {one.case} was accepted until {one.until} ({one.why}): rules look at it again"
            found.append(_finding("known-failure-over", file, why, "repair it, or accept it anew with a later day"))
        elif _passes(one.case, results):
            why = f"{one.case} is an accepted failure until {one.until}, and passes"
            found.append(_finding("known-failure-passes", file, why, "accept the experiment without it"))
    return found


def _passes(case: str, results: Results) -> bool:
    """Whether each yes-or-no score of a case is yes, and there is one."""
    runs = [run for run in results.runs if run.row == case]
    said = [
        value
        for run in runs
        for name, (value, _) in run.scores.items()
        if isinstance(value, bool) and name not in BUILTIN
    ]
    return bool(said) and all(said)


def _finding(rule: str, place: str, why: str, action: str) -> Json:
    return {
        "rule": rule, "severity": "warning", "place": place, "evidence": [], "since": None, "cost": None, "why": why,
        "action": action, "accepted": None,
    }  # fmt: skip
