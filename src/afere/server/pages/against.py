"""Two periods, or two versions, side by side: how many, how many failed, how long, how many tokens, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, BadRule
from afere.base.filter import Term, parse_filter
from afere.base.span import Span, Totals
from afere.evals.stats import Estimate, apart, clustered_mean, clustered_rate, p_apart, quantile
from afere.server import figures, words
from afere.server.pages.asked import Asked
from afere.server.pages.summary import state_of
from afere.server.pages.traces import without
from afere.store.spans.filter import time_of

if TYPE_CHECKING:
    from afere.store import Session

Unit = Literal["share", "seconds", "tokens", "dollars"]
PREVIOUS = "previous"
_MOST = 2_000  # newest traces of each side


@dataclass(frozen=True, slots=True)
class Side:
    """The traces of one filter; `more`: there are others, and these are the newest."""

    query: str
    count: int
    more: bool
    failed: int

    def to_json(self) -> Json:
        return {"filter": self.query, "count": self.count, "more": self.more, "failed": self.failed}


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of both sides with 90% intervals, and what it changed by. `missing`: traces that do not say it."""

    name: str
    unit: Unit
    before: Estimate
    after: Estimate
    change: Estimate
    missing: tuple[int, int]
    p: float | None = None

    @property
    def answer(self) -> str:
        """Whether the change is proven: "more", "less", or nothing where the interval holds 0 or has no end."""
        low, high = self.change.low, self.change.high
        return "more" if low is not None and low > 0 else "less" if high is not None and high < 0 else ""

    @property
    def figure(self) -> figures.Interval | None:
        if self.change.value is None or self.change.low is None or self.change.high is None:
            return None
        return figures.interval(self.change.value, self.change.low, self.change.high, limit=0.0)

    def said(self, value: float | None) -> str:
        """A value of it as people read it."""
        if value is None:
            return "none"
        sign = "-" if value < 0 else ""
        shown = {"share": words.percent, "seconds": words.seconds, "dollars": words.money, "tokens": words.number}
        return sign + shown[self.unit](abs(value))

    def moved(self, value: float | None) -> str:
        """A difference of it: of shares in points."""
        return f"{value * 100:.1f} points" if self.unit == "share" and value is not None else self.said(value)

    @property
    def interval(self) -> str:
        """The interval of the change in words; one end where the other cannot be said."""
        low, high = self.change.low, self.change.high
        if low is None or high is None:
            one = f"at least {self.moved(low)}" if low is not None else f"at most {self.moved(high)}"
            return one if (low, high) != (None, None) else "too few to say"
        begin = self.moved(low).removesuffix(" points")
        return f"{begin} to {self.moved(high)}"

    def to_json(self) -> Json:
        def of(one: Estimate) -> Json:
            return {"value": one.value, "low": one.low, "high": one.high, "n": one.n}

        return {
            "name": self.name, "unit": self.unit, "before": of(self.before), "after": of(self.after), "change": of(self.change),
            "answer": self.answer or None, "p": self.p, "missing": list(self.missing),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class AgainstPage:
    """`after` is what was asked for, `before` what it is held against."""

    query: str
    against: str
    before: Side
    after: Side
    measures: tuple[Measure, ...] = ()
    problem: str = ""
    status: int = 200

    @property
    def verdict(self) -> str:
        """What is proven to have changed, in a sentence."""
        if self.problem:
            return "These two cannot be compared."
        if not self.before.count or not self.after.count:
            return f"No trace matches {(self.after if not self.after.count else self.before).query or 'here'}: nothing to compare."
        changed = [
            f"{one.name} {one.moved(one.change.value).lstrip('-')} {one.answer}" for one in self.measures if one.answer
        ]
        counts = f"{words.many(self.after.count, 'trace')} against {self.before.count:,}"
        return f"{counts}. Proven: {', '.join(changed)}." if changed else f"{counts}. No change is proven."

    def to_json(self) -> Json:
        return {
            "before": self.before.to_json(), "after": self.after.to_json(),
            "measures": [one.to_json() for one in self.measures],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> AgainstPage:
    """The traces of `?q=` against those of `?against=`: a filter whose terms take the place of its own, or `previous`. Without either, a day and the day before."""
    against = asked.get("against", PREVIOUS).strip()
    query = asked.get("q").strip() or ("since:24h" if against == PREVIOUS else "")
    try:
        return compared(session, query, against)
    except (BadRule, BadInput) as problem:
        nothing = Side("", 0, False, 0)
        return AgainstPage(query, against, nothing, nothing, problem=str(problem), status=400)


def compared(session: Session, query: str, against: str) -> AgainstPage:
    """See `page`. Intervals are of sessions, users or traces as they are independent: one person's many runs count as one."""
    other = other_query(query, against)
    (after, new), (before, old) = _read(session, query), _read(session, other)
    return AgainstPage(query, against, before, after, _measures(old, new) if old and new else ())


def other_query(query: str, against: str) -> str:
    """The filter of the other side."""
    terms = parse_filter(query).terms
    if against == PREVIOUS:
        since, before = _period(terms)
        rest = without(terms, "since", "before")
        begin, end = (at // 10**9 * 10**9 for at in (2 * since - before, since))  # whole seconds read better
        return f"{rest} since:{rfc3339(begin)} before:{rfc3339(end)}".strip()
    others = parse_filter(against).terms
    if not others:
        raise BadInput("against: a filter such as chain:qa~1f2e3d or 'since:48h before:24h', or the word previous.")
    fields = {term.field for term in others}
    if fields & {"since", "before"}:
        fields |= {"since", "before"}
    found = f"{without(terms, *fields)} {' '.join(map(str, others))}".strip()
    if parse_filter(found).terms == terms:
        raise BadInput(f"against={against!r} is the same as the filter itself. Name another period or version.")
    return found


def _period(terms: Sequence[Term]) -> tuple[int, int]:
    now = now_ns()
    since = [time_of(term, now) for term in terms if term.field == "since" and not term.negated]
    before = [time_of(term, now) for term in terms if term.field == "before" and not term.negated]
    if not since:
        raise BadInput("against=previous: the filter must say a period, such as since:24h.")
    return max(since), max(min([*before, now]), max(since) + 1)


def _read(session: Session, query: str) -> tuple[Side, list[tuple[Span, Totals]]]:
    found = session.spans.find(query, limit=_MOST, brief=True)
    totals = session.spans.totals([root.trace_id for root in found.items])
    failed = sum(_failed(root) for root in found.items)
    side = Side(query, len(found.items), found.next is not None, failed)
    return side, [(root, totals[root.trace_id]) for root in found.items]


def _failed(root: Span) -> bool:
    return state_of(root) in ("error", "died")


Runs = Sequence[tuple[Span, Totals]]


def _measures(before: Runs, after: Runs) -> tuple[Measure, ...]:
    def p95(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
        return quantile(values, 0.95, clusters=clusters)

    def p50(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
        return quantile(values, 0.5, clusters=clusters)

    return (
        _measure("failed", "share", before, after, lambda root, _: float(_failed(root)), clustered_rate),
        _measure("median time", "seconds", before, after, lambda root, _: root.seconds, p50),
        _measure("p95 time", "seconds", before, after, lambda root, _: root.seconds, p95),
        _measure("tokens a trace", "tokens", before, after, _tokens, clustered_mean),
        _measure("cost a trace", "dollars", before, after, lambda _, sums: sums.cost, clustered_mean),
    )


def _tokens(_root: Span, sums: Totals) -> float | None:
    known = [count for count in (sums.input_tokens, sums.output_tokens) if count is not None]
    return float(sum(known)) if known else None


def _measure(
    name: str, unit: Unit, before: Runs, after: Runs, read: Callable[[Span, Totals], float | None],
    estimate: Callable[[Sequence[float], Sequence[str]], Estimate],
) -> Measure:  # fmt: skip
    old, new = _known(before, read), _known(after, read)
    left, right = estimate(*old), estimate(*new)
    p = None
    if unit == "share":
        p = p_apart(lambda level: (clustered_rate(*old, level=level), clustered_rate(*new, level=level)))
    return Measure(
        name, unit, left, right, apart(left, right), (len(before) - len(old[0]), len(after) - len(new[0])), p
    )


def _known(runs: Runs, read: Callable[[Span, Totals], float | None]) -> tuple[list[float], list[str]]:
    """Values, and what is independent of each other: a session, else a user, else the trace itself."""
    found = [
        (value, root.session or root.user or root.trace_id)
        for root, sums in runs
        if (value := read(root, sums)) is not None
    ]
    return [value for value, _ in found], [cluster for _, cluster in found]
