"""The audit: all rules over one set of facts, what a project has accepted taken out, and a score for each debt.

A score says how little debt was found, from 100 (none) downwards. Each open finding takes a share of what is left, by its
severity: so the first ones count most, the order does not matter, and a score never falls below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import NotFound
from afere.govern.debt.accepting import agreed
from afere.govern.debt.facts import Facts, read_facts
from afere.govern.debt.finding import DEBTS, SEVERITIES, Finding, Severity

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

SHARES: dict[Severity, float] = {"error": 0.20, "warning": 0.08, "note": 0.02}
_MODULES = ("tools", "prompt", "pipelines", "consumers", "feedback", "people", "configuration")


@dataclass(frozen=True)
class Debt:
    """One of the debts: its score, its open findings, the worst first, and how the score rises when each is mended."""

    name: str
    title: str
    score: float
    findings: tuple[Finding, ...]

    @property
    def health(self) -> int:
        """The score as people read it."""
        return whole(self.score)

    def gain(self, finding: Finding) -> float:
        """How many points mending this finding alone would bring."""
        return score_of([one for one in self.findings if one is not finding]) - self.score

    def to_json(self) -> dict[str, Json]:
        drivers: list[Json] = [
            {"rule": one.rule, "place": one.place, "gain": round(self.gain(one), 1)} for one in self.findings[:5]
        ]
        return {"title": self.title, "score": round(self.score, 1), "findings": len(self.findings), "drivers": drivers}


@dataclass(frozen=True)
class Audit:
    """What an audit found. `accepted` findings are listed and do not count; `problems` could not be read."""

    project: str
    as_of: str
    debts: tuple[Debt, ...]
    accepted: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()
    empty: bool = False  # there was nothing to look at: the scores say nothing

    @property
    def score(self) -> float:
        """The mean of the debts; 100 where there was nothing to look at."""
        return sum(debt.score for debt in self.debts) / len(self.debts)

    @property
    def health(self) -> int:
        """The score as people read it."""
        return whole(self.score)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All open ones, the worst first."""
        return tuple(sorted((one for debt in self.debts for one in debt.findings), key=_worst_first))

    def finding(self, rule: str, place: str) -> Finding:
        """The open or accepted finding of that rule at that place (a line that moved is the same); NotFound otherwise."""
        key = Finding(rule, "note", place, "", "").key
        for one in (*self.findings, *self.accepted):
            if one.key == key:
                return one
        near = [one.place for one in self.findings if one.rule == rule] or [one.rule for one in self.findings]
        raise NotFound(
            f"There is no finding {rule} at {place!r} now. Found: {', '.join(dict.fromkeys(near[:8])) or 'nothing'}. See them: afere debt --all"
        )

    def to_json(self) -> dict[str, Json]:
        unknown: dict[str, Json] = {"score": None} if self.empty else {}
        return {
            "project": self.project, "as_of": self.as_of, "score": round(self.score, 1), **unknown,
            "debts": {debt.name: debt.to_json() | unknown for debt in self.debts},
            "findings": [one.to_json() for one in (*self.findings, *self.accepted)],
            "problems": list(self.problems), "empty": self.empty,
        }  # fmt: skip


def audit(session: Session, project: Project, *, as_of: int | None = None) -> Audit:
    """Look for all debts of a project as it stood at a moment (ns; default: now)."""
    moment = now_ns() if as_of is None else as_of
    return judge(read_facts(session, project, as_of=moment))


def judge(facts: Facts) -> Audit:
    """What the rules say of these facts."""
    open_: list[Finding] = []
    accepted: list[Finding] = []
    accepted_ones = agreed(facts.project, facts.acceptances)
    for finding in _all(facts):
        if finding.rule in facts.rules.off:
            continue
        said = accepted_ones.get(finding.key) or accepted_ones.get((finding.rule, "*"))
        if said is not None and said.until >= facts.today.date().isoformat():
            accepted.append(replace(finding, accepted=said))
        elif said is not None:
            ended = f"{finding.action} (It was accepted until {said.until}: {said.why.rstrip('.')}.)"
            open_.append(replace(finding, action=ended))
        else:
            open_.append(finding)
    debts = [
        Debt(name, title, score_of(own), tuple(sorted(own, key=_worst_first)))
        for name, title in DEBTS.items()
        for own in [[one for one in open_ if one.debt == name]]
    ]
    return Audit(
        facts.project.name, rfc3339(facts.now), tuple(debts), tuple(accepted), tuple(facts.problems), facts.empty
    )


def score_of(findings: Iterable[Finding]) -> float:
    """100 for none; each takes its share of what is left."""
    left = 100.0
    for finding in findings:
        left *= 1 - SHARES[finding.severity]
    return left


def whole(score: float) -> int:
    """A score as people read it; 100 only where nothing is open."""
    return 100 if score >= 100 else min(99, round(score))


def _all(facts: Facts) -> Iterator[Finding]:
    for name in _MODULES:
        findings = cast("Callable[[Facts], Iterator[Finding]]", import_module(f"afere.govern.debt.{name}").findings)
        yield from findings(facts)


def _worst_first(finding: Finding) -> tuple[object, ...]:
    usd, failures, calls = finding.cost.weight
    return SEVERITIES.index(finding.severity), -usd, -failures, -calls, finding.rule, finding.place
