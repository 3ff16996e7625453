"""Scores by people, as the store has them: what labels are, and what makes a judge calibrated."""

from __future__ import annotations

from collections.abc import Sequence

from afere.base.score import Score
from afere.store import Session

_MOST = 1000  # scores a page of the store


def scores_of_people(session: Session, name: str) -> Sequence[Score]:
    """All scores by persons under a name, newest first."""
    found: list[Score] = []
    cursor: str | None = None
    while True:
        page = session.find("scores", name=name, who="person", limit=_MOST, cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def compared_with_people(session: Session, name: str, judge: str) -> bool:
    """Whether a person and this version of a judge have scored the same item."""
    seen: set[str] = set()
    for score in scores_of_people(session, name):
        if score.value is not None and score.target not in seen:
            seen.add(score.target)
            if session.find("scores", target=score.target, name=name, by=judge, limit=1).items:
                return True
    return False
