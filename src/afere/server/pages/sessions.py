"""Sessions: the traces of one conversation, in the order in which they were said, with what they took together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import NotFound
from afere.base.span import Span, Totals
from afere.server import words
from afere.server.pages.asked import Asked
from afere.server.pages.summary import Summary, state_of, summaries
from afere.server.pages.traces import chip

if TYPE_CHECKING:
    from afere.store import Session

_LOOKED = 1000  # newest traces that lists of sessions and users are made of
_TURNS = 100  # of a session on one page
_WHOLE = 500  # spans of a trace that is read whole for its texts


@dataclass(frozen=True, slots=True)
class Sums:
    """What several traces took together; None where none of them says."""

    traces: int
    failed: int
    seconds: float | None
    tokens: int | None
    cost: float | None

    def to_json(self) -> dict[str, Json]:
        return {
            "traces": self.traces, "failed": self.failed, "seconds": self.seconds, "tokens": self.tokens, "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """The traces of one session or user: of the newest ones, those that are counted here."""

    name: str
    first: int
    last: int
    sums: Sums
    others: tuple[str, ...]  # the users of a session, the sessions of a user
    asked: str

    def to_json(self) -> Json:
        return {
            "name": self.name, "first": rfc3339(self.first), "last": rfc3339(self.last), **self.sums.to_json(),
            "others": list(self.others),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupsPage:
    """Sessions or users, the latest first. `more`: there are earlier traces than were looked through."""

    of: Literal["session", "user"]
    items: tuple[Group, ...]
    looked: int
    more: bool
    next: str | None = None

    def to_json(self) -> Json:
        return {
            "items": [one.to_json() for one in self.items],
            "next": self.next,
            "looked": self.looked,
            "more": self.more,
        }


def list_page(session: Session, asked: Asked) -> GroupsPage:
    """The sessions of the newest 1,000 traces, the latest first."""
    return groups(session, asked, "session")


def groups(session: Session, asked: Asked, field: Literal["session", "user"]) -> GroupsPage:
    """The newest traces that have this field, by it."""
    found = session.spans.find(f"{field}:*", limit=_LOOKED, brief=True)
    named: dict[str, list[Span]] = {}
    for root in found.items:
        named.setdefault(str(getattr(root, field)), []).append(root)
    shown = list(named.items())[: asked.limit]
    totals = session.spans.totals([root.trace_id for _, roots in shown for root in roots])
    other = "user" if field == "session" else "session"
    return GroupsPage(
        field,
        tuple(_group(name, roots, totals, other) for name, roots in shown),
        len(found.items),
        found.next is not None,
    )


def _group(name: str, roots: Sequence[Span], totals: Mapping[str, Totals], other: str) -> Group:
    others = dict.fromkeys(value for root in roots if (value := getattr(root, other)))
    asked = words.glance(roots[0].input)[:300] or roots[0].name
    return Group(name, roots[-1].start, roots[0].start, sums(roots, totals), tuple(others), asked)


def sums(roots: Sequence[Span], totals: Mapping[str, Totals]) -> Sums:
    """What the traces took together."""
    seconds = [root.seconds for root in roots if root.seconds is not None]
    tokens = [
        count for root in roots for count in (totals[root.trace_id].input_tokens, totals[root.trace_id].output_tokens)
        if count is not None
    ]  # fmt: skip
    costs = [cost for root in roots if (cost := totals[root.trace_id].cost) is not None]
    failed = sum(state_of(root) in ("error", "died") for root in roots)
    return Sums(
        len(roots),
        failed,
        sum(seconds) if seconds else None,
        sum(tokens) if tokens else None,
        sum(costs) if costs else None,
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """One trace of a conversation: what was asked and answered, whole where that can be read at once."""

    summary: Summary
    given: Json
    made: Json


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A conversation, oldest turn first. `next` is the cursor of the turns before these."""

    name: str
    query: str
    turns: tuple[Turn, ...]
    sums: Sums
    users: tuple[str, ...]
    next: str | None

    @property
    def verdict(self) -> str:
        """What is known of it, in a sentence."""
        newest = "The newest " if self.next else ""
        text = f"{newest}{words.many(self.sums.traces, 'turn')}"
        if self.sums.seconds is not None:
            text += f", {words.seconds(self.sums.seconds)} of answering"
        return f"{text}; {self.sums.failed} failed." if self.sums.failed else f"{text}; none failed."

    def to_json(self) -> Json:
        return {
            "session": self.name, "users": list(self.users), "totals": self.sums.to_json(), "next": self.next,
            "items": [turn.summary.to_json() for turn in self.turns],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> SessionPage:
    """The traces of a session as a conversation, oldest first, with their totals."""
    name = str(asked.path["name"])
    query = chip("session", name)
    found = session.spans.find(
        query, limit=min(asked.number("limit", _TURNS), _TURNS) or 1, cursor=asked.cursor, brief=True
    )
    if not found.items and asked.cursor is None:
        raise NotFound(f"No trace belongs to session {name!r} in project {session.project!r}. Sessions: {_ADDRESS}")
    about = tuple(reversed(summaries(session, found.items)))
    totals = {one.root.trace_id: one.totals for one in about}
    users = dict.fromkeys(one.root.user for one in about if one.root.user)
    turns = tuple(_turn(session, one) for one in about)
    return SessionPage(name, query, turns, sums([one.root for one in about], totals), tuple(users), found.next)


_ADDRESS = "/sessions"


def _turn(session: Session, one: Summary) -> Turn:
    """A turn with its whole texts; of a huge trace, or where nothing more was kept, with what lists keep of them."""
    trace = session.spans.trace(one.root.trace_id) if one.totals.spans <= _WHOLE else None
    if trace is None:
        return Turn(one, one.asked, one.answered)
    root = trace.root
    given: Json = words.said(root.input) if root.input is not None else one.asked
    return Turn(one, given, root.output if root.output is not None else one.answered or None)
