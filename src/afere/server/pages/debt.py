"""Debt: what the project owes, worst first, with cost, owner and the next action; how it went by week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from afere.base.artifact import KINDS
from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.errors import BadInput, NotFound
from afere.base.project import find_project
from afere.govern.debt import Debt, Finding, Trend, Week, trend
from afere.govern.debt.audit import whole
from afere.server import words
from afere.server.figures import Spark, spark
from afere.server.pages.asked import Asked
from afere.server.pages.fresh import Fresh
from afere.server.render import part
from afere.server.render import place as place_of

if TYPE_CHECKING:
    from afere.base.score import Score
    from afere.store import Session

_USUAL = timedelta(days=90)
_NAMES = 1000  # prompts whose pages are linked
_PROMPT_FILES = (".md", ".yml", ".yaml", ".prompt", ".prompty")
_TOOL = re.compile(r"[\w.-]+")  # the place of an overlap is two of them
_COMMAND = re.compile(r"(afere [a-z]+ [^;,()]*|afere [a-z]+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding as the page shows it. `prompts` are the names that have a page."""

    finding: Finding
    new: bool
    gain: float
    prompts: frozenset[str]

    @property
    def cost(self) -> str:
        """Money first, then failures, calls and tokens, in words."""
        cost = self.finding.cost
        if cost.usd:
            return f"{words.money(cost.usd)} in 90 days"
        if cost.failures:
            return words.many(cost.failures, "failed call")
        if cost.calls:
            return words.many(cost.calls, "call")
        return f"{words.many(cost.tokens, 'token')} in 90 days" if cost.tokens else ""

    @property
    def evidence(self) -> list[tuple[str, str]]:
        """(kind, text): a trace, a reference, or a place in words."""
        return [(_kind(one), one) for one in self.finding.evidence]

    def page_of(self, place: str) -> str:
        """The page of a place: of a reference, of a prompt for the lines of its file, of a tool; nothing for other files."""
        if _kind(place) == "ref":
            return place_of(place, "")
        file, _, line = place.rpartition(":")
        path = PurePosixPath(file if file and line.isdecimal() else place)
        name = path.name.split(".")[0]
        if name in self.prompts and path.suffix in _PROMPT_FILES:
            return f"/prompts/{part(name)}?show=blame"
        if self.finding.debt == "tools" and not path.suffix and _TOOL.fullmatch(place):
            return f"/tools/{part(place)}"
        return ""

    @property
    def command(self) -> str:
        """The command within its action, where there is one to copy."""
        found = _COMMAND.search(self.finding.action)
        return found[1].strip().rstrip(".") if found and self.finding.action.startswith(found[1]) else ""


@dataclass(frozen=True, slots=True)
class Part:
    """One debt: `spark` is its score by week, `then` its health in the first of them."""

    debt: Debt
    items: tuple[Shown, ...]
    spark: Spark | None
    then: int

    @property
    def answer(self) -> str:
        """In order, to watch, or to act on."""
        worst = {one.finding.severity for one in self.items}
        return "fail" if "error" in worst else "warn" if "warning" in worst else "pass"

    @property
    def spoken(self) -> str:
        return {"fail": "act now", "warn": "watch", "pass": "in order"}[self.answer]


@dataclass(frozen=True, slots=True)
class DebtPage:
    """`parts` are the debts, the worst first."""

    trend: Trend
    parts: tuple[Part, ...]
    spark: Spark | None
    first_day: str  # the first and a usual last day of an acceptance
    usual_day: str
    may_accept: bool

    @property
    def title(self) -> str:
        if self.trend.audit.empty:
            return "Nothing to look at yet"
        return f"{words.many(len(self.trend.audit.findings), 'finding')}, health {self.trend.audit.health} of 100"

    @property
    def verdict(self) -> str:
        """How many of each, and what changed since Monday."""
        if self.trend.audit.empty:
            return "No prompt, tool, trace or score is here. Bring what you have with afere import, or run a chain."
        counts = [
            sum(one.severity == name for one in self.trend.audit.findings) for name in ("error", "warning", "note")
        ]
        said = ", ".join(
            words.many(count, name) for count, name in zip(counts, ("error", "warning", "note"), strict=True) if count
        )
        worst = self.parts[0]
        text = f"{said or 'Nothing found'}; {len(self.trend.new)} new and {len(self.trend.mended)} mended since Monday."
        return f"{text} {worst.debt.title} is in the worst health." if worst.items else text

    def to_json(self) -> Json:
        return self.trend.to_json()


def agree(session: Session, rule: str, place: str, why: str, until: str, *, withdrawn: bool) -> Score:
    """Accept a finding that stands now, or take that back; the next audit knows."""
    from afere.govern.debt.accepting import accept, withdraw

    session.require("write")
    if withdrawn:
        made = withdraw(session, rule, place, why=why)
    else:
        try:
            finding = AUDITS.of(session).audit.finding(rule, place)
        except NotFound as error:  # the address is right, what was sent to it is not
            raise BadInput(str(error)) from None
        made = accept(session, finding, why=why, until=until)
    AUDITS.forget(session)
    return made


def page(session: Session, asked: Asked) -> DebtPage:
    """The audit of now, at most a minute old. With `as_of=DATE`: as it stood at the end of that day."""
    text = asked.get("as_of")
    found = AUDITS.of(session, asked.patience, about=text)
    new = {one.key for one in found.new}
    prompts = frozenset(one.name for one in session.find("artifacts", kind="prompt", latest=True, limit=_NAMES).items)
    parts = [
        Part(
            debt, tuple(Shown(one, one.key in new, debt.gain(one), prompts) for one in debt.findings),
            _spark(found, [week.debts.get(debt.name, 100.0) for week in found.weeks], debt.score),
            whole(_of(found.weeks[0], debt.name)),
        )
        for debt in found.audit.debts
    ]  # fmt: skip
    parts.sort(key=lambda part: part.debt.score)
    today = datetime.fromtimestamp(now_ns() / 1e9, UTC).date()
    return DebtPage(
        found, tuple(parts), _spark(found, [week.score for week in found.weeks], found.audit.score), today.isoformat(),
        (today + _USUAL).isoformat(), not text and session.rights.may("write", session.project),
    )  # fmt: skip


def _project(session: Session):
    return find_project(session.folder)


def _audited(session: Session, day: str) -> Trend:
    from afere.govern.debt.moment import moment

    return trend(session, _project(session), as_of=moment(day) if day else None)


AUDITS = Fresh(_audited)


def _of(week: Week, debt: str) -> float:
    return week.debts.get(debt, 100.0)


def _spark(found: Trend, before: list[float], now: float) -> Spark | None:
    return spark([*before, now]) if len(found.weeks) > 1 else None


def _kind(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{32}(/[0-9a-f]{16})?", text):
        return "trace"
    kind = text.partition(":")[0]
    return "ref" if kind in KINDS and re.fullmatch(r"[a-z]+:[\w.-]+(@\w+|~[0-9a-f]+)?", text) else "place"
