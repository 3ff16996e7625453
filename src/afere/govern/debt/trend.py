"""How debt went: the scores of past weeks, each recomputed from the records that existed then, and what changed since Monday."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json, digest, digest_of
from afere.base.clock import now_ns, rfc3339
from afere.govern.debt.audit import Audit, judge, whole
from afere.govern.debt.facts import DAY, Facts, read_facts
from afere.govern.debt.finding import Finding

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

WEEKS = 8
_QUICK = 20_000  # spans up to which past weeks are looked at without being asked for


@dataclass(frozen=True, slots=True)
class Week:
    """An audit as of a Monday: its scores, by debt too, and the open findings by rule and place. `empty`: there was nothing yet."""

    at: str
    score: float
    debts: dict[str, float]
    open: tuple[tuple[str, str], ...]
    empty: bool = False

    @property
    def health(self) -> int:
        """The score as people read it."""
        return whole(self.score)

    def to_json(self) -> dict[str, Json]:
        return {
            "at": self.at,
            "score": None if self.empty else round(self.score, 1),
            "debts": {name: None if self.empty else round(value, 1) for name, value in self.debts.items()},
            "findings": len(self.open),
        }


@dataclass(frozen=True, slots=True)
class Trend:
    """An audit with the weeks before it, oldest first. `new` came and `mended` went since `since`, the last Monday.

    `partial`: older weeks were not looked at, since that takes long; `afere debt --weeks 8` does.
    """

    audit: Audit
    weeks: tuple[Week, ...]
    since: str
    new: tuple[Finding, ...]
    mended: tuple[tuple[str, str], ...]
    partial: bool = False

    def to_json(self) -> dict[str, Json]:
        since: Json = {
            "at": self.since, "new": [{"rule": one.rule, "place": one.place} for one in self.new],
            "mended": [{"rule": rule, "place": place} for rule, place in self.mended],
        }  # fmt: skip
        return {**self.audit.to_json(), "history": [week.to_json() for week in self.weeks], "since_monday": since}


def trend(session: Session, project: Project, *, as_of: int | None = None, weeks: int | None = None) -> Trend:
    """Audit a project as of a moment (ns; default: now), and the Mondays before it.

    `weeks`: how many Mondays, 1 at least; by default 8 where that is quick, else those that were looked at before. What was
    found of a Monday is kept in the store's cache, by what the project's settings were.
    """
    moment = now_ns() if as_of is None else as_of
    facts = read_facts(session, project, as_of=moment)
    found = judge(facts)
    quick = weeks is not None or len(facts.spans) <= _QUICK
    days = mondays(moment, WEEKS if weeks is None else max(1, weeks))
    first = facts.first
    # Before the first record there was nothing, which is no health; last Monday is compared with in any case.
    days = [day for day in days if day == days[-1] or (first is not None and day >= first)]
    past = [week for day in days if (week := _week(session, facts, day, ask=quick or day == days[-1]))]
    last = past[-1]
    before = set(last.open)
    there = {one.key for one in (*found.findings, *found.accepted)}  # what was accepted is not mended
    return Trend(
        found, tuple(past), last.at, tuple(one for one in found.findings if one.key not in before),
        tuple(sorted(before - there)), len(past) < len(days),
    )  # fmt: skip


def mondays(moment: int, count: int) -> list[int]:
    """The starts (ns, UTC) of so many weeks until a moment, oldest first; the last is that of its own week."""
    day = datetime.fromtimestamp(moment / 1e9, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = day - timedelta(days=day.weekday())
    return [int(monday.timestamp()) * 10**9 - 7 * DAY * back for back in range(count - 1, -1, -1)]


def _week(session: Session, facts: Facts, day: int, *, ask: bool) -> Week | None:
    key = f"debt:{facts.project.name}:{day}:{_settings(facts)}"
    kept = session.cache.get(key)
    if isinstance(kept, dict):
        said = cast("dict[str, Json]", kept)
        open_ = tuple((str(rule), str(place)) for rule, place in cast("list[list[str]]", said["open"]))
        score, debts = cast("float", said["score"]), cast("dict[str, float]", said["debts"])
        return Week(str(said["at"]), score, debts, open_, bool(said["empty"]))
    if not ask:
        return None
    found = judge(facts.before(day))
    week = Week(
        rfc3339(day),
        found.score,
        {debt.name: debt.score for debt in found.debts},
        tuple(one.key for one in found.findings),
        found.empty,
    )
    open_findings: list[Json] = [list(pair) for pair in week.open]
    session.cache.put(
        key,
        {"at": week.at, "score": week.score, "debts": dict(week.debts), "open": open_findings, "empty": week.empty},
    )
    return week


@cache
def _code() -> str:
    """What finds: another version of the rules finds other things of the same week."""
    sources = sorted(
        (one for one in resources.files("afere.govern.debt").iterdir() if one.name.endswith((".py", ".toml"))),
        key=lambda one: one.name,
    )
    return digest(b"".join(one.read_bytes() for one in sources))


def _settings(facts: Facts) -> str:
    """What else a past week's findings depend on: the project's settings, its prompts' files, tools and cases as they stand."""
    texts: list[Json] = [[one.name, one.text, len(one.versions)] for one in facts.prompts]
    tools: list[Json] = [[card.name, card.description, card.owner, list(card.permissions)] for card in facts.tools]
    cases: list[Json] = [[case.place, case.text] for case in facts.cases]
    return digest_of(
        [
            _code(),
            dict(facts.project.config),
            texts,
            tools,
            cases,
            len(facts.scores),
            len(facts.moves),
            len(facts.acceptances),
        ]
    )[:23]
