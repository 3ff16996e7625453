"""Over the traces that match: how many, how many failed, when, and of what kinds. Read apart from the list, so that the list is there at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.filter import Term, parse_filter
from afere.base.span import Span
from afere.server import figures, words
from afere.server.pages.asked import Asked
from afere.server.pages.summary import state_of
from afere.server.pages.traces import chip, without
from afere.store.spans.filter import time_of

if TYPE_CHECKING:
    from afere.store import Session

_COUNTED = 1000  # newest traces that are counted
_SLOTS = 48
_AMONG = ("version", "component", "model", "kind")  # what any span of a trace may say
_TOP = 8  # values of a facet


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a field: on how many it stands, and the filter with it."""

    name: str
    count: int
    query: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """Of a field, the values that most traces have."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time: its first nanosecond, how many traces began in it and how many of them failed."""

    start: int
    count: int
    failed: int


@dataclass(frozen=True, slots=True)
class OverPage:
    """`slots` cover the time from `since` to `before` (nanoseconds); `rest` is the filter without its own times."""

    query: str
    rest: str
    counted: int
    more: bool
    failed: int
    facets: tuple[Facet, ...]
    slots: tuple[Slot, ...]
    since: int
    before: int
    chart: figures.Histogram | None

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
        return {
            "counted": self.counted, "more": self.more, "failed": self.failed,
            "facets": {
                facet.field: [{"value": one.name, "count": one.count} for one in facet.values] for facet in self.facets
            },
            "slots": [
                {"start": rfc3339(slot.start), "count": slot.count, "failed": slot.failed} for slot in self.slots
            ],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> OverPage:
    """Counts over the newest 1,000 traces that match `?q=`: by time, status, chain, name, user, environment, version, component, model."""
    query = asked.get("q").strip()
    terms = parse_filter(query).terms
    sample = session.spans.find(query, limit=_COUNTED, brief=True)
    since, before = _stretch(terms, sample.items)
    slots = slots_of(sample.items, since, before)
    failed = sum(slot.failed for slot in slots)
    chart = drawn(slots, since, before) if len(sample.items) > 1 else None
    return OverPage(
        query, without(terms, "since", "before"), len(sample.items), sample.next is not None, failed,
        _facets(session, query, terms, sample.items), slots, since, before, chart,
    )  # fmt: skip


def _stretch(terms: Sequence[Term], spans: Sequence[Span]) -> tuple[int, int]:
    """The time that is drawn: as the filter says it, else from the oldest counted to now."""
    now = now_ns()
    oldest = spans[-1].start if spans else now - 10**9
    since = max((time_of(term, now) for term in terms if term.field == "since" and not term.negated), default=oldest)
    before = min((time_of(term, now) for term in terms if term.field == "before" and not term.negated), default=now)
    latest = max((span.start for span in spans), default=now)
    before = max(min(before, now) if before >= latest else before, since + _SLOTS)
    return (max(since, oldest) if len(spans) >= _COUNTED else since), before


class Began(Protocol):
    """What has a start (ns) and a status: a span, or a run."""

    @property
    def start(self) -> int: ...
    @property
    def status(self) -> str: ...


def slots_of(spans: Sequence[Began], since: int, before: int) -> tuple[Slot, ...]:
    """The traces that begin with these spans, by time."""
    width = max((before - since) // _SLOTS, 1)
    counts, failed = [0] * _SLOTS, [0] * _SLOTS
    for span in spans:
        slot = min(max((span.start - since) // width, 0), _SLOTS - 1)
        counts[slot] += 1
        failed[slot] += span.status == "error"
    return tuple(Slot(since + at * width, counts[at], failed[at]) for at in range(_SLOTS))


def drawn(slots: Sequence[Slot], since: int, before: int) -> figures.Histogram:
    """The slots as bars."""
    total, failed = sum(slot.count for slot in slots), sum(slot.failed for slot in slots)
    ends = [words.when(since + (before - since) * part // 4) for part in range(4)]
    last = "now" if now_ns() - before < 60 * 10**9 else words.when(before)
    label = f"{total} traces over {words.seconds((before - since) / 1e9)}, {failed} failed"
    return figures.histogram([slot.count for slot in slots], [slot.failed for slot in slots], [*ends, last], label)


_OF_ROOT: tuple[tuple[str, Callable[[Span], str | None]], ...] = (
    ("status", state_of),
    ("chain", lambda span: next((ref.removeprefix("chain:") for ref, _ in span.artifacts if ref.startswith("chain:")), None)),
    ("name", lambda span: span.name),
    ("user", lambda span: span.user),
    ("session", lambda span: span.session),
    ("environment", lambda span: span.environment),
)  # fmt: skip


def _facets(session: Session, query: str, terms: Sequence[Term], spans: Sequence[Span]) -> tuple[Facet, ...]:
    asked = {str(term) for term in terms}
    found: list[Facet] = []
    for field, read in _OF_ROOT:
        counts: dict[str, int] = {}
        for span in spans:
            if value := read(span):
                counts[value] = counts.get(value, 0) + 1
        found.append(_facet(field, counts, query, asked))
    among = session.spans.among([span.trace_id for span in spans], _AMONG)
    chains = {one.name for facet in found if facet.field == "chain" for one in facet.values}
    for field in _AMONG:  # a program that says no version has that of its chain
        counts = {name: count for name, count in among[field].items() if field != "version" or name not in chains}
        found.append(_facet(field, counts, query, asked))
    return tuple(facet for facet in found if facet.values)


def _facet(field: str, counts: dict[str, int], query: str, asked: set[str]) -> Facet:
    """The most frequent values. `died` is no status that can be asked for: such a run is `running` in the store."""
    top = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_TOP]
    values: list[Value] = []
    for name, count in top:
        term = chip(field, "running" if (field, name) == ("status", "died") else name)
        chosen = term in asked
        values.append(Value(name, count, query if chosen else f"{query} {term}".strip(), chosen))
    return Facet(field, tuple(values))
