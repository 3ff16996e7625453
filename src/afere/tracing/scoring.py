"""Record what somebody thinks of a trace, a span, an artifact or another score."""

from __future__ import annotations

from afere.base.clock import new_id
from afere.base.score import Score, Value
from afere.tracing import targets
from afere.tracing.live import LiveSpan


def score(target: str | LiveSpan, name: str, value: Value, *, by: str, why: str = "", id: str | None = None) -> Score:
    """Keep a score, durably, and return it.

    target: a trace id, TRACE/SPAN, a ref, dataset:NAME@VERSION/ROW, a score's id, or a running span (its trace).
    value: None is "unknown"; then say `why`. by: "user:42", "person:ana", "judge:faithful@2", "scorer:exact@1", "service:ci".
    id: give your own and sending it again is harmless.
    """
    wanted = target.trace_id if isinstance(target, LiveSpan) else target
    made = Score(wanted, name, value, by, why, id=id or new_id())
    targets.session().append(made)
    return made
