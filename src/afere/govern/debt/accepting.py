"""Living with a finding until a day: what people accepted on the page or the command line, and what afere.yaml lists.

An acceptance is a score of a person on `policy:debt`, named `accepted`: kept, audited, and taken back by a later one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from afere.base.clock import now_ns
from afere.base.errors import BadInput, BadProject
from afere.base.score import Score
from afere.govern.debt.finding import Accepted, Finding

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

TARGET, NAME = "policy:debt", "accepted"
_LONGEST = 366 * 3  # days; what is to stay for ever is a setting of the rule


def is_acceptance(score: Score) -> bool:
    """Whether a score is one, and no judgement of an answer."""
    return score.target == TARGET and score.name == NAME


def accept(session: Session, finding: Finding, *, why: str, until: str, by: str | None = None) -> Score:
    """Live with a finding until that day (YYYY-MM-DD, its last). Needs `write`; kept in the actor's name."""
    if not why.strip():
        raise BadInput("why: a reason is needed: it is what the next person reads first.")
    day = _day(until)
    rule, place = finding.key
    return _put(session, True, why.strip(), by, {"rule": rule, "place": place, "until": day.isoformat()})


def withdraw(session: Session, rule: str, place: str, *, why: str = "", by: str | None = None) -> Score:
    """The finding counts again. What afere.yaml accepts is taken back there."""
    rule, place = Finding(rule, "note", place, "", "").key
    if not _stands(session, rule, place):
        raise BadInput(
            f"Nobody accepted {rule} at {place!r} here, so there is nothing to take back. What is accepted, and where: "
            "afere debt --all. What afere.yaml accepts is taken out there."
        )
    return _put(session, False, why.strip() or "taken back", by, {"rule": rule, "place": place})


def _stands(session: Session, rule: str, place: str) -> bool:
    cursor: str | None = None
    while True:
        page = session.find("scores", target=TARGET, name=NAME, limit=200, cursor=cursor)  # newest first
        for score in page.items:
            if (score.data.get("rule"), score.data.get("place")) == (rule, place):
                return score.value is True
        if (cursor := page.next) is None:
            return False


def agreed(project: Project, kept: Iterable[Score]) -> dict[tuple[str, str], Accepted]:
    """What is accepted, by rule and place: `debt: {accept: [...]}` of afere.yaml, and before it the newest of the store."""
    found = _written(project)
    told: dict[tuple[str, str], Score] = {}
    for score in sorted(kept, key=lambda one: one.at):
        told[str(score.data.get("rule")), str(score.data.get("place"))] = score
    for key, score in told.items():
        if score.value is True:
            found[key] = Accepted(score.why, str(score.data.get("until")), score.by, kept=True)
    return found


def _put(session: Session, value: bool, why: str, by: str | None, data: dict[str, str]) -> Score:
    session.require("write")
    who = by or session.actor
    if not who.startswith("person:"):
        raise BadInput(f"{who} cannot accept a finding: a person does (person:NAME), who answers for it.")
    score = Score(TARGET, NAME, value, who, why, data={**data})
    session.append(score)
    return score


def _day(until: str) -> date:
    try:
        day = date.fromisoformat(until.strip())
    except ValueError:
        raise BadInput(
            f"until: {until[:40]!r} is no day. Write it as 2027-03-31: the last day it is accepted."
        ) from None
    ahead = (day - datetime.fromtimestamp(now_ns() / 1e9, UTC).date()).days
    if not 0 <= ahead <= _LONGEST:
        raise BadInput(
            f"until: {day} is {'over' if ahead < 0 else 'more than three years ahead'}. Name a day on which somebody looks "
            "again; a rule that is never wanted is switched off in afere.yaml: debt: {RULE: false}."
        )
    return day


def _written(project: Project) -> dict[tuple[str, str], Accepted]:
    said = project.section("debt").get("accept")
    found: dict[tuple[str, str], Accepted] = {}
    for one in said if isinstance(said, list) else ():
        if not isinstance(one, dict) or not all(one.get(key) for key in ("rule", "place", "why", "until")):
            raise BadProject(
                "afere.yaml: debt: accept: each entry needs rule, place, why and until (a date), such as "
                '{rule: tools.unused, place: old_search, why: "kept for the audit", until: 2027-03-31}.'
            )
        probe = Finding(str(one["rule"]), "note", str(one["place"]), "", "")
        found[probe.key] = Accepted(str(one["why"]), str(one["until"]), str(one.get("by") or ""))
    return found
