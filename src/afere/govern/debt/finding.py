"""A finding: one piece of debt, with its evidence, what it costs, and what to do next. And the rules that may find one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Literal, cast

from afere.base.canonical import Json
from afere.base.errors import BadProject

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
DEBTS = {
    "tools": "Tool sprawl",
    "prompt": "Prompt stuffing",
    "pipeline": "Opaque pipelines",
    "feedback": "Inadequate feedback",
    "people": "Stakeholder engagement",
    "config": "Classic configuration debt",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a finding costs in the audited window; None where it is not known.

    `calls` are requests or steps it touches, `tokens` and `usd` what is spent on it, `failures` calls that failed.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    failures: int | None = None

    def to_json(self) -> Json:
        return {"calls": self.calls, "tokens": self.tokens, "usd": self.usd, "failures": self.failures}

    @property
    def weight(self) -> tuple[float, int, int]:
        """For sorting: money first, then failures, then calls."""
        return self.usd or 0.0, self.failures or 0, self.calls or 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody decided to live with a finding, until a day. `kept`: in the store, so that it can be taken back there."""

    why: str
    until: str
    by: str = ""
    kept: bool = False

    def to_json(self) -> Json:
        return {"why": self.why, "until": self.until, "by": self.by}


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of debt.

    `place`: `prompts/a.md:12`, a tool, a span's name, or a reference. `evidence`: traces, references, rows (`qa:e-1`) or
    other places. `since`: the day (RFC 3339) from which the data show it. `action`: a command to type or an edit to make.
    """

    rule: str
    severity: Severity
    place: str
    why: str
    action: str
    evidence: tuple[str, ...] = ()
    since: str | None = None
    cost: Cost = field(default_factory=Cost)
    owner: str | None = None
    accepted: Accepted | None = None

    @property
    def debt(self) -> str:
        """Which of the debts it belongs to."""
        return self.rule.partition(".")[0]

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding in another audit: a line that moved within its file is the same place."""
        file, colon, line = self.place.rpartition(":")
        return self.rule, file if colon and line.isdecimal() else self.place

    def to_json(self) -> dict[str, Json]:
        return {
            "rule": self.rule, "severity": self.severity, "place": self.place, "evidence": list(self.evidence),
            "since": self.since, "cost": self.cost.to_json(), "why": self.why, "action": self.action, "owner": self.owner,
            "accepted": self.accepted.to_json() if self.accepted else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule looks for: its title, default severity and thresholds, and why those."""

    id: str
    title: str
    severity: Severity
    reason: str
    thresholds: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return self.thresholds[name]


class Rules:
    """The rules with a project's own thresholds: `debt: {tools.unused: {days: 60}}` in afere.yaml, or `false` for off."""

    def __init__(self, settings: Mapping[str, Json] | None = None) -> None:
        settings = settings or {}
        known = _shipped()
        self._rules = dict(known)
        self.off = frozenset(name for name, said in settings.items() if said is False)
        for name, said in settings.items():
            if name == "accept":
                continue
            if name not in known:
                near = get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise BadProject(f"afere.yaml: debt: there is no rule {name!r}.{hint} Rules: {', '.join(known)}.")
            if isinstance(said, dict):
                self._rules[name] = _changed(known[name], said)

    def __getitem__(self, rule: str) -> Rule:
        return self._rules[rule]

    def __iter__(self):
        return iter(self._rules.values())


def _changed(rule: Rule, said: Mapping[str, Json]) -> Rule:
    values = dict(rule.thresholds)
    for name, value in said.items():
        if name == "severity":
            continue
        if name not in values or isinstance(value, bool) or not isinstance(value, int | float):
            raise BadProject(
                f"afere.yaml: debt: {rule.id}: {name!r} is not a threshold with a number. It has: "
                f"{', '.join(['severity', *values])}."
            )
        values[name] = float(value)
    severity = said.get("severity", rule.severity)
    if severity not in SEVERITIES:
        raise BadProject(f"afere.yaml: debt: {rule.id}: severity is one of {', '.join(SEVERITIES)}, not {severity!r}.")
    return Rule(rule.id, rule.title, severity, rule.reason, values)


@cache
def _shipped() -> dict[str, Rule]:
    text = resources.files("afere.govern.debt").joinpath("rules.toml").read_text(encoding="utf-8")
    found: dict[str, Rule] = {}
    for debt, rules in cast("dict[str, dict[str, dict[str, Json]]]", tomllib.loads(text)).items():
        for name, said in rules.items():
            numbers = {key: float(value) for key, value in said.items() if isinstance(value, int | float)}
            severity = cast("Severity", said["severity"])
            found[f"{debt}.{name}"] = Rule(f"{debt}.{name}", str(said["title"]), severity, str(said["reason"]), numbers)
    return found
