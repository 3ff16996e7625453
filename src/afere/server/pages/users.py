"""Users: what one person asked, how it went, and what they said of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.base.score import Score
from afere.server import words
from afere.server.pages.asked import Asked
from afere.server.pages.sessions import GroupsPage, Sums, groups, sums
from afere.server.pages.summary import Summary, summaries
from afere.server.pages.traces import chip

if TYPE_CHECKING:
    from afere.store import Session

_COUNTED = 500  # newest traces of a user that are summed up
_SAID = 20


@dataclass(frozen=True, slots=True)
class UserPage:
    """`items` are the newest traces; `sums` are over more of them. `said`: scores the user gave."""

    name: str
    query: str
    items: tuple[Summary, ...]
    next: str | None
    sums: Sums
    more: bool
    sessions: tuple[tuple[str, int], ...]
    said: tuple[Score, ...]

    @property
    def slowest(self) -> float:
        """Seconds, for the bars."""
        return max((one.root.seconds or 0.0 for one in self.items), default=0.0)

    @property
    def verdict(self) -> str:
        """What is known of them, in a sentence."""
        text = f"{'The newest ' if self.more else ''}{words.many(self.sums.traces, 'trace')}"
        return f"{text}; {self.sums.failed} failed." if self.sums.failed else f"{text}; none failed."

    def to_json(self) -> Json:
        return {
            "user": self.name, "totals": self.sums.to_json(), "more": self.more,
            "sessions": [{"session": name, "traces": count} for name, count in self.sessions],
            "scores": [score.to_json() for score in self.said],
            "items": [one.to_json() for one in self.items], "next": self.next,
        }  # fmt: skip


def list_page(session: Session, asked: Asked) -> GroupsPage:
    """The users of the newest 1,000 traces, the latest first."""
    return groups(session, asked, "user")


def page(session: Session, asked: Asked) -> UserPage:
    """One user: totals, sessions, what they said, and their newest traces."""
    name = str(asked.path["name"])
    query = chip("user", name)
    found = session.spans.find(query, limit=asked.limit, cursor=asked.cursor, brief=True)
    if not found.items and asked.cursor is None:
        raise NotFound(f"No trace is of user {name!r} in project {session.project!r}. Users: /users")
    counted = session.spans.find(query, limit=_COUNTED, brief=True)
    totals = session.spans.totals([root.trace_id for root in counted.items])
    threads: dict[str, int] = {}
    for root in counted.items:
        if root.session:
            threads[root.session] = threads.get(root.session, 0) + 1
    by = name if name.partition(":")[0] in ("user", "person") and ":" in name else f"user:{name}"
    return UserPage(
        name, query, summaries(session, found.items), found.next, sums(counted.items, totals), counted.next is not None,
        tuple(threads.items()), session.find("scores", by=by, limit=_SAID).items,
    )  # fmt: skip
