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
from afere.server.pages.steps import COLUMNS, Step, Steps, steps
from afere.server.pages.summary import Judged, Summary, state_of, summary
from afere.tracing import Lack, lacks

if TYPE_CHECKING:
    from afere.store import Session

_ROWS = 500  # of the tree on one page
_PREVIEW = 300


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
        spans: list[Json] = [_json(step.span, step.state, self.full) for step in self.steps]
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
    trace = _trace(session, asked)
    tree = steps(trace.spans, trace.root)
    chosen = asked.get("span") or _first_shown(tree)
    offset = _offset(tree, asked, chosen)
    shown = next((span for span in trace.spans if span.span_id == chosen), None)
    if shown is None:
        raise NotFound(f"Trace {trace.trace_id[:8]} has no span {chosen!r}. Leave ?span= out to see all of them.")
    about = summary(session, trace.root, trace.totals)
    rows = tuple(tree.row(at) for at in range(offset, min(offset + _ROWS, len(tree.ordered))))
    return TracePage(
        about, tree, rows, offset, view(shown, about.scores, state_of(shown, trace.root)),
        sum(span.status == "error" for span in trace.spans), asked.get("content") == "full", _marks(trace.spans),
        tuple(lacks(trace)),
    )  # fmt: skip


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
    trace = _trace(session, asked)
    tree = steps(trace.spans, trace.root)
    return StepsPage(trace.trace_id, COLUMNS, tree.table(), tree.whole / 1e9)


@dataclass(frozen=True, slots=True)
class SpanPage:
    """One span of a trace, in full."""

    trace_id: str
    shown: SpanView

    def to_json(self) -> Json:
        return {**self.shown.span.to_json(), "status": self.shown.state}


def span_page(session: Session, asked: Asked) -> SpanPage:
    """A span by its id."""
    trace = _trace(session, asked)
    wanted = str(asked.path["span"])
    found = next((span for span in trace.spans if span.span_id == wanted), None)
    if found is None:
        raise NotFound(f"Trace {trace.trace_id[:8]} has no span {wanted!r}.")
    about = summary(session, trace.root, trace.totals)
    return SpanPage(trace.trace_id, view(found, about.scores, state_of(found, trace.root)))


def _trace(session: Session, asked: Asked) -> Trace:
    wanted = str(asked.path["trace"])
    trace = session.spans.trace(wanted)
    if trace is None:
        raise NotFound(f"There is no trace {wanted} in project {session.project!r}. The newest ones: afere traces")
    return trace


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
