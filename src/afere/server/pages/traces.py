"""The list of traces: a filter, counts over time, and the newest that match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.errors import BadRule
from afere.base.filter import FIELDS, Term, parse_filter
from afere.base.span import Span
from afere.server import figures, words
from afere.server.pages.asked import Asked
from afere.server.pages.summary import Summary, summaries

if TYPE_CHECKING:
    from afere.store import Session

_COUNTED = 500  # newest traces that the counts and the histogram are over
_SLOTS = 48


@dataclass(frozen=True, slots=True)
class Token:
    """A term of the filter as a chip, and the filter without it."""

    field: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many of the counted traces are of a kind, and the filter that shows them."""

    name: str
    count: int
    query: str


@dataclass(frozen=True, slots=True)
class TracesPage:
    items: tuple[Summary, ...]
    next: str | None
    query: str
    first: bool
    tokens: tuple[Token, ...]
    counted: int
    failed: int
    more: bool
    counts: tuple[Count, ...]
    chart: figures.Histogram | None
    slowest: float
    problem: str
    status: int = 200
    fields: tuple[str, ...] = tuple(FIELDS)

    @property
    def empty(self) -> bool:
        """Nothing was ever traced here."""
        return self.first and not self.items and not self.query and not self.problem

    @property
    def verdict(self) -> str:
        """How many there are and how many failed."""
        if not self.counted:
            return "No trace matches."
        number = (
            f"More than {self.counted:,} traces match; of the newest {self.counted:,}"
            if self.more
            else f"{words.many(self.counted, 'trace')}; of them"
        )
        return f"{number} {self.failed:,} failed." if self.failed else f"{number} none failed."

    def to_json(self) -> Json:
        return {"items": [one.to_json() for one in self.items], "next": self.next}


def page(session: Session, asked: Asked) -> TracesPage:
    """Traces that match `?q=`; a filter that cannot be read is said on the page, with status 400."""
    query = asked.get("q").strip()
    try:
        terms = parse_filter(query).terms
    except BadRule as problem:
        return TracesPage((), None, query, asked.cursor is None, (), 0, 0, False, (), None, 0.0, str(problem), 400)
    found = session.spans.find(query, limit=asked.limit, cursor=asked.cursor)
    sample = session.spans.find(query, limit=_COUNTED)
    failed = sum(span.status == "error" for span in sample.items)
    slowest = max((span.seconds or 0.0 for span in found.items), default=0.0)
    return TracesPage(
        summaries(session, found.items), found.next, query, asked.cursor is None, _tokens(terms), len(sample.items), failed,
        sample.next is not None, _counts(query, sample.items, failed), chart(sample.items), slowest, "",
    )  # fmt: skip


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


def _counts(query: str, spans: Sequence[Span], failed: int) -> tuple[Count, ...]:
    slow = sum((span.seconds or 0) > 5 for span in spans)
    running = sum(span.status == "running" for span in spans)
    found = (
        ("errors", failed, "status:error"),
        ("over 5 s", slow, "latency>5s"),
        ("running", running, "status:running"),
    )
    return tuple(
        Count(name, count, f"{query} {term}".strip()) for name, count, term in found if count and term not in query
    )


def chart(spans: Sequence[Span], *, since: int | None = None) -> figures.Histogram | None:
    """Traces over time, from the oldest of `spans` (or `since`) to now; None for fewer than two."""
    if len(spans) < 2:
        return None
    first, last = since or spans[-1].start, now_ns()
    width = max((last - first) // _SLOTS, 1)
    counts, errors = [0] * _SLOTS, [0] * _SLOTS
    for span in spans:
        slot = min(max((span.start - first) // width, 0), _SLOTS - 1)
        counts[slot] += 1
        errors[slot] += span.status == "error"
    xs = [words.when(first + (last - first) * part // 4) for part in range(4)]
    label = f"{len(spans)} traces over {words.seconds((last - first) / 1e9)}, {sum(errors)} failed"
    return figures.histogram(counts, errors, [*xs, "now"], label)
