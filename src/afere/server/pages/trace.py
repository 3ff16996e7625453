"""One trace: what was asked and answered, what was said of it, the steps as a tree with their times, and one span in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.base.span import Span, Trace
from afere.server import words
from afere.server.pages.asked import Asked
from afere.server.pages.span import SpanView, view
from afere.server.pages.summary import Judged, State, Summary, scores_of, state_of

if TYPE_CHECKING:
    from afere.store import Session

_ROWS = 500  # of the tree on one page
_DEEPEST = 12
_PREVIEW = 300


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the tree. `x`, `wait` and `width` are thousandths of the whole time; `late`: it began after the answer."""

    span: Span
    depth: int
    x: float
    wait: float
    width: float
    late: bool
    state: State

    @property
    def note(self) -> str:
        """Kind and model, small beside the name."""
        return ", ".join(part for part in (self.span.kind, self.span.response_model or self.span.model) if part)


@dataclass(frozen=True, slots=True)
class TracePage:
    summary: Summary
    steps: tuple[Step, ...]
    offset: int
    total: int
    shown: SpanView
    longest: Step | None
    spans: tuple[Span, ...]
    full: bool
    marks: tuple[tuple[str, int], ...]

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
        took = f"It took {words.seconds(root.seconds)} over {words.many(self.total, 'span')}"
        if root.status == "error":
            return f"It failed: {(root.error or 'the span says no more')[:300]}"
        if failed:
            names = " and ".join(dict.fromkeys(f"{one.name} by {one.score.by}" for one in failed[:3]))
            return f"{took}. Judged and found wanting: {names}."
        if self.summary.scores:
            return f"{took}. {words.many(len(self.summary.scores), 'score')}, none of them a fail."
        return f"{took}. Nobody has judged it yet."

    def to_json(self) -> Json:
        spans: list[Json] = [_json(span, self.full) for span in self.spans]
        return {**self.summary.to_json(), "spans": spans, "next": self.next}


def page(session: Session, asked: Asked) -> TracePage:
    """A trace by its id or a prefix. `?span=` chooses the span, `?from=` the first row of the tree, `?content=full` for JSON."""
    trace = _trace(session, asked)
    root = trace.root
    ordered = _ordered(trace, root)
    chosen = asked.get("span") or _first_shown(ordered)
    offset = _offset(ordered, asked, chosen)
    scores = scores_of(session, trace.trace_id)
    shown = next((span for span, _ in ordered if span.span_id == chosen), None)
    if shown is None:
        raise NotFound(f"Trace {trace.trace_id[:8]} has no span {chosen!r}. Leave ?span= out to see all of them.")
    end = max((span.end or span.start for span, _ in ordered if not _late(span, root)), default=root.start)
    rows = ordered[offset : offset + _ROWS]
    steps = tuple(_step(span, depth, root, max(end - root.start, 1)) for span, depth in rows)
    return TracePage(
        Summary(root, trace.project, trace.totals, scores), steps, offset, len(ordered), view(shown, scores, state_of(shown, root)),
        _longest(trace, root, max(end - root.start, 1)), tuple(span for span, _ in rows), asked.get("content") == "full", _marks(trace.spans),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpanPage:
    """One span of a trace, in full."""

    trace_id: str
    shown: SpanView

    def to_json(self) -> Json:
        return self.shown.span.to_json()


def span_page(session: Session, asked: Asked) -> SpanPage:
    """A span by its id."""
    trace = _trace(session, asked)
    wanted = str(asked.path["span"])
    found = next((span for span in trace.spans if span.span_id == wanted), None)
    if found is None:
        raise NotFound(f"Trace {trace.trace_id[:8]} has no span {wanted!r}.")
    return SpanPage(trace.trace_id, view(found, scores_of(session, trace.trace_id), state_of(found, trace.root)))


def _trace(session: Session, asked: Asked) -> Trace:
    wanted = str(asked.path["trace"])
    trace = session.spans.trace(wanted)
    if trace is None:
        raise NotFound(f"There is no trace {wanted} in project {session.project!r}. The newest ones: afere traces")
    return trace


def _ordered(trace: Trace, root: Span) -> list[tuple[Span, int]]:
    """Spans with their depth: below their parents in order of start; what began after the answer comes last."""
    known = {span.span_id for span in trace.spans}
    children: dict[str | None, list[Span]] = {}
    for span in trace.spans:
        above = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        children.setdefault(above, []).append(span)
    found: list[tuple[Span, int]] = []
    later: list[tuple[Span, int]] = []
    stack = [(span, 0) for span in reversed(children.get(None, []))]
    unseen = dict.fromkeys(span.span_id for span in trace.spans)
    while stack or unseen:
        if not stack:  # what is left is, by what was sent, below itself: shown from its first span on
            stack.append((next(span for span in trace.spans if span.span_id in unseen), 0))
        span, depth = stack.pop()
        if span.span_id not in unseen:
            continue
        del unseen[span.span_id]
        (later if _late(span, root) else found).append((span, min(depth, _DEEPEST)))
        stack.extend((below, depth + 1) for below in reversed(children.get(span.span_id, [])))
    return found + later


def _late(span: Span, root: Span) -> bool:
    return root.end is not None and span is not root and span.start >= root.end


def _first_shown(ordered: Sequence[tuple[Span, int]]) -> str:
    """The span to open first: the one that failed deepest, else the last call of a model, else the root."""
    failed = [span for span, _ in ordered if span.status == "error"]
    calls = [span for span, _ in ordered if span.kind == "llm"]
    return (failed or calls or [ordered[0][0]])[-1].span_id


def _offset(ordered: Sequence[tuple[Span, int]], asked: Asked, chosen: str) -> int:
    if asked.get("from") or asked.cursor:
        return asked.number("from" if asked.get("from") else "cursor", 0, most=len(ordered))
    at = next((i for i, (span, _) in enumerate(ordered) if span.span_id == chosen), 0)
    return at // _ROWS * _ROWS if asked.get("span") else 0


def _step(span: Span, depth: int, root: Span, whole: int) -> Step:
    def share(ns: float) -> float:
        return round(min(max(ns, 0) * 1000 / whole, 1000), 1)

    took = (span.end or span.start) - span.start
    wait = min((span.first_token_seconds or 0) * 1e9, took)
    return Step(
        span,
        depth,
        share(span.start - root.start),
        share(wait),
        max(share(took - wait), 2.0),
        _late(span, root),
        state_of(span, root),
    )


def _longest(trace: Trace, root: Span, whole: int) -> Step | None:
    """Of the spans that nothing runs below, the one that took most."""
    parents = {span.parent_id for span in trace.spans}
    leaves = [
        span
        for span in trace.spans
        if span.span_id not in parents and span.seconds is not None and not _late(span, root)
    ]
    if not leaves:
        return None
    return _step(max(leaves, key=lambda span: span.seconds or 0), 0, root, whole)


def _marks(spans: Sequence[Span]) -> tuple[tuple[str, int], ...]:
    counted: dict[str, int] = {}
    for span in spans:
        for mark in span.marks:
            counted[mark] = counted.get(mark, 0) + 1
    return tuple(sorted(counted.items()))


def _json(span: Span, full: bool) -> dict[str, Json]:
    """A span as JSON; without its contents but for the beginning, unless asked for in full."""
    value = span.to_json()
    if full:
        return value
    for name in ("input", "output"):
        if value[name] is not None:
            text = words.said(value[name])
            value[name] = text if len(text) <= _PREVIEW else text[: _PREVIEW - 1] + "…"
    return {**value, "input_messages": [], "output_messages": [], "documents": [], "events": [], "tool": None}
