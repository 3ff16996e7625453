"""The spans of a trace in the order of its tree, and the critical path: what made it take as long as it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.span import Span
from afere.server.pages.summary import State, state_of

DEEPEST = 12  # levels that are indented
COLUMNS = (
    "span_id", "level", "name", "kind", "model", "start", "seconds", "first_token_seconds", "state", "critical", "late",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the tree. `x`, `wait` and `width` are thousandths of the whole time; `late`: it began after the answer."""

    span: Span
    depth: int
    x: float
    wait: float
    width: float
    late: bool
    critical: bool
    state: State

    @property
    def note(self) -> str:
        """Kind and model, small beside the name."""
        return ", ".join(part for part in (self.span.kind, self.span.response_model or self.span.model) if part)


@dataclass(frozen=True, slots=True)
class Steps:
    """A trace's spans as a tree, top to bottom: span and depth. `own` has, for each span on the critical path, the nanoseconds it adds."""

    root: Span
    ordered: tuple[tuple[Span, int], ...]
    own: dict[str, int]
    whole: int  # nanoseconds from the start to the last end that is part of the run

    @property
    def bottleneck(self) -> Span | None:
        """The span that adds most to the time, by itself."""
        if not self.own or self.root.end is None:
            return None
        longest = max(self.own, key=lambda span_id: self.own[span_id])
        return next(span for span, _ in self.ordered if span.span_id == longest)

    @property
    def share(self) -> float:
        """How much of the whole time the bottleneck adds."""
        return max(self.own.values(), default=0) / self.whole

    @property
    def bottleneck_seconds(self) -> float:
        """What the bottleneck adds, in seconds."""
        return max(self.own.values(), default=0) / 1e9

    def row(self, at: int) -> Step:
        """The row at this place, ready to be drawn."""
        span, depth = self.ordered[at]

        def share(ns: float) -> float:
            return round(min(max(ns, 0) * 1000 / self.whole, 1000), 1)

        took = (span.end or span.start) - span.start
        wait = min((span.first_token_seconds or 0) * 1e9, took)
        x = share(span.start - self.root.start)
        return Step(
            span, min(depth, DEEPEST), x, share(wait), max(min(share(took - wait), 1000 - x), 2.0), is_late(span, self.root),
            span.span_id in self.own, state_of(span, self.root),
        )  # fmt: skip

    def table(self) -> list[list[Json]]:
        """All rows as lists of `COLUMNS`; `start` is in seconds from the root's."""
        begun = self.root.start
        return [
            [
                span.span_id, depth, span.name, span.kind, span.response_model or span.model,
                round((span.start - begun) / 1e9, 6), span.seconds, span.first_token_seconds, state_of(span, self.root), span.span_id in self.own,
                is_late(span, self.root),
            ]
            for span, depth in self.ordered
        ]  # fmt: skip


def steps(spans: Sequence[Span], root: Span) -> Steps:
    """Spans below their parents in order of start; what began after the answer comes last."""
    known = {span.span_id for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in spans:
        above = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        children.setdefault(above, []).append(span)
    ordered = _ordered(spans, children, root)
    end = max((span.end or span.start for span, _ in ordered if not is_late(span, root)), default=root.start)
    return Steps(root, ordered, _critical(root, children), max(end - root.start, 1))


def is_late(span: Span, root: Span) -> bool:
    """Whether it began when the run was over."""
    return root.end is not None and span is not root and span.start >= root.end


def _ordered(spans: Sequence[Span], children: dict[str | None, list[Span]], root: Span) -> tuple[tuple[Span, int], ...]:
    found: list[tuple[Span, int]] = []
    later: list[tuple[Span, int]] = []
    stack = [(span, 0) for span in reversed(children.get(None, []))]
    unseen = {span.span_id: span for span in spans}
    while stack or unseen:
        if not stack:  # what is left is, by what was sent, below itself: shown from its first span on
            stack.append((next(iter(unseen.values())), 0))
        span, depth = stack.pop()
        if unseen.pop(span.span_id, None) is None:
            continue
        (later if is_late(span, root) else found).append((span, depth))
        stack.extend((below, depth + 1) for below in reversed(children.get(span.span_id, [])))
    return tuple(found + later)


def _critical(root: Span, children: dict[str | None, list[Span]]) -> dict[str, int]:
    """From the end backwards: of the spans below, the one that ended last is what was waited for; before it, the next.

    What no span below accounts for is the span's own. A part that runs beside a longer one adds nothing.
    """
    own: dict[str, int] = {}
    if root.end is None:
        return own
    stack = [(root, root.end)]
    while stack:
        span, until = stack.pop()
        if span.span_id in own:
            continue
        at, mine = until, 0
        below = [(min(child.end, until), child) for child in children.get(span.span_id, ()) if child.end is not None]
        for end, child in sorted(below, key=lambda one: (one[0], one[1].start), reverse=True):
            if end > at or child.start >= at or end < span.start:
                continue
            mine += at - end
            stack.append((child, end))
            at = max(child.start, span.start)
        own[span.span_id] = mine + max(at - span.start, 0)
    return own
