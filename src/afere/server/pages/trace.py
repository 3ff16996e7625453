"""One trace: what was asked and answered, what was said of it, the steps as a tree with their times, and one span in full."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.base.span import Span, Totals, Trace
from afere.server import words
from afere.server.pages.asked import Asked
from afere.server.pages.span import SpanView, view
from afere.server.pages.steps import COLUMNS, Step, Steps, steps
from afere.server.pages.summary import Judged, Summary, state_of, summary
from afere.tracing import Lack, lacks

if TYPE_CHECKING:
    from afere.store import Session

_ROWS = 500  # of the tree on one page
_PREVIEW = 300
_WHOLE = 2_000  # spans of a trace that is read with all its contents
_OUTLINED = 20_000  # spans of a larger one that are read at once
_CALLS = 50  # of a larger one that are read for what the trace lacks


@dataclass(frozen=True, slots=True)
class TracePage:
    """`steps` are rows of the tree from `offset` on; the script fetches the others as it needs them."""

    summary: Summary
    tree: Steps
    steps: tuple[Step, ...]
    offset: int
    shown: SpanView
    failed: int
    full: bool
    marks: tuple[tuple[str, int], ...]
    lacks: tuple[Lack, ...]
    read: Callable[[Span], Span]  # a span of `steps` with its contents
    told: Span | None = None  # where the first span kept no answer, the last call of a model that kept one

    @property
    def total(self) -> int:
        """How many spans there are."""
        return len(self.tree.ordered)

    @property
    def next(self) -> str | None:
        after = self.offset + _ROWS
        return str(after) if after < self.total else None

    @property
    def previous(self) -> str | None:
        """The offset of the rows before these."""
        return str(max(0, self.offset - _ROWS)) if self.offset else None

    @property
    def lead(self) -> Judged | None:
        """The score to show first: one that failed, else the first."""
        scores = self.summary.scores
        return next((one for one in scores if one.answer == "fail"), scores[0] if scores else None)

    @property
    def missing(self) -> int:
        """How many scores are none."""
        return sum(one.value is None for one in self.summary.scores)

    @property
    def verdict(self) -> str:
        """What is known of this run, in a sentence."""
        root = self.summary.root
        if self.summary.state == "died":
            return "It died: the process that ran it is gone. What it had done until then is below."
        if self.summary.state == "running":
            return "It is running, or the program ended before it did. What is known so far is below."
        failed = [one for one in self.summary.scores if one.answer == "fail"]
        spans = words.many(self.total, "span")
        took = f"{spans}; how long they took is not known"
        if root.seconds is not None:
            took = f"It took {words.seconds(root.seconds)} over {spans}"
        if root.status == "error":
            return f"It failed: {(root.error or 'the span says no more')[:300]}"
        if failed:
            names = " and ".join(dict.fromkeys(f"{one.name} by {one.score.by}" for one in failed[:3]))
            return f"{took}. Judged and found wanting: {names}."
        if self.summary.scores:
            return f"{took}. {words.many(len(self.summary.scores), 'score')}, none of them a fail."
        return f"{took}. Nobody has judged it yet."

    def to_json(self) -> Json:
        spans: list[Json] = [_json(self.read(step.span), step.state, self.full) for step in self.steps]
        slow = self.tree.bottleneck
        bottleneck: Json = None
        if slow is not None:
            bottleneck = {"span_id": slow.span_id, "name": slow.name, "seconds": self.tree.bottleneck_seconds}
        return {
            **self.summary.to_json(), "spans": spans, "next": self.next, "bottleneck": bottleneck,
            "lacks": [{"what": lack.what, "line": lack.line} for lack in self.lacks],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> TracePage:
    """A trace by its id or a prefix. `?span=` chooses the span, `?from=` the first row of the tree, `?content=full` for JSON."""
    read = _read(session, asked)
    spans, root = read.trace.spans, read.root
    tree = steps(spans, root)
    chosen = asked.get("span") or _first_shown(tree)
    offset = _offset(tree, asked, chosen)
    shown = next((span for span in spans if span.span_id == chosen), None)
    if shown is None:
        raise NotFound(f"Trace {root.trace_id[:8]} has no span {chosen!r}. Leave ?span= out to see all of them.")
    about = summary(session, root, read.trace.totals)
    rows = tuple(tree.row(at) for at in range(offset, min(offset + _ROWS, len(tree.ordered))))
    return TracePage(
        about, tree, rows, offset, view(read.whole(shown), about.scores, state_of(shown, root)),
        sum(span.status == "error" for span in spans), asked.get("content") == "full", _marks(spans), read.lacks(),
        read.whole, _told(read),
    )  # fmt: skip


def _told(read: _Read) -> Span | None:
    """The last call of a model with an answer, where the first span has none."""
    if read.root.output is not None or read.root.status == "error":
        return None
    calls = [span for span in read.trace.spans if span.kind == "llm" and span.output is not None]
    return read.whole(max(calls, key=lambda span: span.end or span.start)) if calls else None


@dataclass(frozen=True, slots=True)
class _Read:
    """A trace as it was read: a huge one in outline, its root whole; `whole` brings what a span held."""

    trace: Trace
    root: Span
    whole: Callable[[Span], Span]
    outlined: bool

    def lacks(self) -> tuple[Lack, ...]:
        """What is not told; of a huge trace judged by its first calls of models."""
        if not self.outlined:
            return tuple(lacks(self.trace))
        calls = [span for span in self.trace.spans if span.kind == "llm" and span.status == "ok"][:_CALLS]
        return tuple(lacks(Trace(self.trace.trace_id, (self.root, *map(self.whole, calls)), self.trace.project)))


def _read(session: Session, asked: Asked) -> _Read:
    """The trace that the address names. Thirty thousand spans with their contents would take seconds."""
    wanted = str(asked.path["trace"]).lower()
    if re.fullmatch("[0-9a-f]{32}", wanted) and session.spans.count([wanted]) > _WHOLE:
        return _read_outline(session, wanted)
    trace = session.spans.trace(wanted)
    if trace is None:
        raise NotFound(f"There is no trace {wanted} in project {session.project!r}. The newest ones: afere traces")
    return _Read(trace, trace.root, lambda span: span, outlined=False)


def _read_outline(session: Session, trace_id: str) -> _Read:
    def whole(span: Span) -> Span:
        return session.spans.span(trace_id, span.span_id) or span  # it was removed meanwhile

    spans: list[Span] = []
    cursor: str | None = None
    while True:
        part = session.spans.outline(trace_id, limit=_OUTLINED, cursor=cursor)
        spans += part.items
        if (cursor := part.next) is None:
            break
    trace = Trace(trace_id, tuple(spans), session.project)
    return _Read(trace, whole(trace.root), whole, outlined=True)


@dataclass(frozen=True, slots=True)
class StepsPage:
    """The whole tree of a trace without contents: `rows` are lists of `columns`, from the top of the tree to its end."""

    trace_id: str
    columns: tuple[str, ...]
    rows: list[list[Json]]
    seconds: float  # of the run, for the scale

    def to_json(self) -> Json:
        return {
            "trace_id": self.trace_id, "seconds": self.seconds, "columns": list(self.columns),
            "rows": [*self.rows],
        }  # fmt: skip


def steps_page(session: Session, asked: Asked) -> StepsPage:
    """All steps of a trace as a table: for a tree that is drawn as it is scrolled."""
    read = _read(session, asked)
    tree = steps(read.trace.spans, read.root)
    return StepsPage(read.trace.trace_id, COLUMNS, tree.table(), tree.whole / 1e9)


@dataclass(frozen=True, slots=True)
class SpanPage:
    """One span of a trace, in full."""

    trace_id: str
    shown: SpanView

    def to_json(self) -> Json:
        return {**self.shown.span.to_json(), "status": self.shown.state}


def span_page(session: Session, asked: Asked) -> SpanPage:
    """A span by its id, without reading the others of its trace."""
    root = _root(session, str(asked.path["trace"]))
    wanted = str(asked.path["span"])
    found = session.spans.span(root.trace_id, wanted) if re.fullmatch("[0-9a-f]{16}", wanted) else None
    if found is None:
        raise NotFound(f"Trace {root.trace_id[:8]} has no span {wanted!r}.")
    scores = summary(session, root, Totals()).scores
    return SpanPage(root.trace_id, view(found, scores, state_of(found, root)))


def _root(session: Session, wanted: str) -> Span:
    """The first span of the trace that has this id or prefix, as lists show it."""
    if re.fullmatch("[0-9a-fA-F]{32}", wanted):
        found = session.spans.find(f"trace:{wanted}", limit=1).items
        if found:
            return found[0]
    trace = session.spans.trace(wanted)
    if trace is None:
        raise NotFound(f"There is no trace {wanted} in project {session.project!r}. The newest ones: afere traces")
    return trace.root


def _first_shown(tree: Steps) -> str:
    """The span to open first: the one that failed deepest, else the last call of a model, else the root."""
    failed = [span for span, _ in tree.ordered if span.status == "error"]
    calls = [span for span, _ in tree.ordered if span.kind == "llm"]
    return (failed or calls or [tree.ordered[0][0]])[-1].span_id


def _offset(tree: Steps, asked: Asked, chosen: str) -> int:
    if asked.get("from") or asked.cursor:
        return asked.number("from" if asked.get("from") else "cursor", 0, most=len(tree.ordered))
    at = next((i for i, (span, _) in enumerate(tree.ordered) if span.span_id == chosen), 0)
    return at // _ROWS * _ROWS if asked.get("span") else 0


def _marks(spans: Sequence[Span]) -> tuple[tuple[str, int], ...]:
    counted: dict[str, int] = {}
    for span in spans:
        for mark in span.marks:
            counted[mark] = counted.get(mark, 0) + 1
    return tuple(sorted(counted.items()))


def _json(span: Span, state: str, full: bool) -> dict[str, Json]:
    """A span as JSON; without its contents but for the beginning, unless asked for in full."""
    value: dict[str, Json] = {**span.to_json(), "status": state}
    if full:
        return value
    for name in ("input", "output"):
        if value[name] is not None:
            text = words.said(value[name])
            value[name] = text if len(text) <= _PREVIEW else text[: _PREVIEW - 1] + "…"
    return {**value, "input_messages": [], "output_messages": [], "documents": [], "events": [], "tool": None}
