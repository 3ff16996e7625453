"""A step that waits for a person pauses what runs it: said of the spans above it, which ended as if all were done."""

from __future__ import annotations

from collections.abc import Sequence

from afere.base.span import Span


def pause_above(spans: Sequence[Span]) -> None:
    """Mark as paused what is above a paused span and from the same library, unless the same step went on later."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    for waiting in [span for span in spans if span.status == "paused"]:
        if any(_goes_on(other, waiting) for other in spans):
            continue
        above = by_id.get((waiting.trace_id, waiting.parent_id or ""))
        while above is not None and above.status == "ok" and _scope(above) == _scope(waiting):
            above.status = "paused"
            above = by_id.get((above.trace_id, above.parent_id or ""))


def _goes_on(other: Span, waiting: Span) -> bool:
    return (
        (other.trace_id, other.parent_id, other.name) == (waiting.trace_id, waiting.parent_id, waiting.name)
        and other.start > waiting.start
        and other.status != "paused"
    )


def _scope(span: Span) -> object:
    return span.attributes.get("scope.name")
