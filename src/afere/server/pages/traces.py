"""The list of traces: a filter, the newest that match, and what came since."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadInput, BadRule
from afere.base.filter import FIELDS, Term, parse_filter
from afere.base.project import find_project
from afere.base.span import Span
from afere.server.pages.asked import Asked
from afere.server.pages.summary import Summary, summaries
from afere.server.pages.views import SORTS, View, named, views

if TYPE_CHECKING:
    from afere.store import Session

PERIODS = ("1h", "24h", "7d", "30d")
_AT_ONCE = 50  # new traces of one look
_WATCHED = 20  # running ones that are looked at again
_OVERLAP = 60 * 10**9  # nanoseconds before the newest, for traces that come late


@dataclass(frozen=True, slots=True)
class Token:
    """A term of the filter as a chip, and the filter without it."""

    field: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class Period:
    """A choice of time, and the filter with it instead of another."""

    name: str
    query: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class TracesPage:
    items: tuple[Summary, ...]
    next: str | None
    query: str
    sort: str
    first: bool
    tokens: tuple[Token, ...] = ()
    periods: tuple[Period, ...] = ()
    views: tuple[View, ...] = ()
    view: str = ""
    waiting: bool = False
    chain: str = ""  # one that the project declares, to be tried while nothing is here
    site: str = ""
    archived: tuple[str, ...] = ()  # closed days that the filter reaches, the newest first: not in this list
    problem: str = ""
    status: int = 200
    fields: tuple[str, ...] = tuple(FIELDS)
    sorts: tuple[str, ...] = SORTS

    @property
    def live(self) -> bool:
        """Whether new traces belong at the top of this list."""
        return self.first and self.sort == "start" and not self.problem

    @property
    def timed(self) -> bool:
        """Whether it is of a period, so that there is one before it."""
        return any(token.field == "since" for token in self.tokens)

    @property
    def slowest(self) -> float:
        """Seconds, for the bars."""
        return max((one.root.seconds or 0.0 for one in self.items), default=0.0)

    @property
    def newest(self) -> int:
        """When the newest of them began."""
        return max((one.root.start for one in self.items), default=0)

    def to_json(self) -> Json:
        return {"items": [one.to_json() for one in self.items], "next": self.next, **told_archived(self.archived)}


def told_archived(days: Sequence[str]) -> dict[str, Json]:
    """What JSON says of closed days that a list does not have; nothing where there are none."""
    return {"archived": {"days": len(days), "first": days[-1], "last": days[0]}} if days else {}


def page(session: Session, asked: Asked) -> TracesPage:
    """Traces that match `?q=`, newest first or by `?sort=`; `?view=` is a kept filter and sort. A filter that cannot be read is said, with status 400."""
    view = named(session, asked.get("view")) if asked.get("view") else None
    query = asked.get("q", view.filter if view else "").strip()
    sort = asked.get("sort") or (view.sort if view else "start")
    try:
        terms = parse_filter(query).terms
        found = session.spans.find(query, limit=asked.limit, cursor=asked.cursor, sort=sort, brief=True)
    except (BadRule, BadInput) as problem:
        if not isinstance(problem, BadRule) and asked.cursor:
            raise
        return TracesPage(
            (), None, query, sort if sort in SORTS else "start", asked.cursor is None, problem=str(problem), status=400
        )
    waiting = not found.items and not query and asked.cursor is None and not session.spans.archived()
    return TracesPage(
        summaries(session, found.items), found.next, query, sort, asked.cursor is None, _tokens(terms), periods(terms),
        views(session), view.name if view else "", waiting, _chain(session) if waiting else "", asked.site, tuple(session.spans.archived(query)),
    )  # fmt: skip


def _chain(session: Session) -> str:
    """The first chain that afere.yaml declares."""
    return next(iter(find_project(session.folder).section("chains")), "")


@dataclass(frozen=True, slots=True)
class NewTraces:
    """What came since the list was made, newest first; `again`: what ran then, as it stands now. `more`: there are others."""

    items: tuple[Summary, ...]
    again: tuple[Summary, ...]
    more: bool
    newest: int
    slowest: float

    def to_json(self) -> Json:
        return {
            "items": [one.to_json() for one in self.items], "again": [one.to_json() for one in self.again],
            "more": self.more, "newest": rfc3339(self.newest),
        }  # fmt: skip


def new_page(session: Session, asked: Asked) -> NewTraces:
    """Traces that match `?q=` and began after `?after=` (nanoseconds) or a minute before it; `?watch=` are ids to look at again."""
    after = asked.number("after", 0, most=2**62)
    since = f" since:{rfc3339(after - _OVERLAP)}" if after > _OVERLAP else ""
    found = session.spans.find(asked.get("q") + since, limit=_AT_ONCE, brief=True)
    watched = [name for name in asked.get("watch").split(",") if name][:_WATCHED]
    again: list[Span] = []
    for trace_id in watched:
        again += session.spans.find(f"trace:{trace_id}", limit=1, brief=True).items
    newest = max((root.start for root in found.items), default=after)
    return NewTraces(
        summaries(session, found.items), summaries(session, again), found.next is not None, max(newest, after),
        asked.number("slowest", 0, most=10**9) / 1000,
    )  # fmt: skip


def chip(field: str, value: str) -> str:
    """A term that asks for exactly this value."""
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@~-]*", value) is not None
    return str(Term(field, ":", value, quoted=not plain))


def without(terms: Sequence[Term], *fields: str) -> str:
    """The filter without its terms on these fields."""
    return " ".join(str(term) for term in terms if term.field not in fields)


def periods(terms: Sequence[Term]) -> tuple[Period, ...]:
    """The times that can be chosen."""
    rest = without(terms, "since", "before")
    said = [str(term) for term in terms if term.field in ("since", "before")]
    found = [Period(name, f"{rest} since:{name}".strip(), said == [f"since:{name}"]) for name in PERIODS]
    return (*found, Period("all", rest, not said))


def _tokens(terms: Sequence[Term]) -> tuple[Token, ...]:
    texts = [str(term) for term in terms]
    return tuple(
        Token(
            ("not " if term.negated else "") + term.field,
            ("" if term.op == ":" else f"{term.op} ") + term.value,
            " ".join(texts[:at] + texts[at + 1 :]),
        )
        for at, term in enumerate(terms)
    )
