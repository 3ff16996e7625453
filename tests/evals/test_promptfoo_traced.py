"""promptfoo's assertions about the spans of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from afere.base.canonical import Json
from afere.base.span import Span, Trace
from afere.evals.promptfoo.held import Held
from afere.evals.promptfoo.traced import NO_TRACE, error_spans, span_count, span_duration

Check = Callable[[Json, Trace | None], Held]


def span(number: int, name: str, ms: int | None, error: str | None = None) -> Span:
    end = None if ms is None else ms * 1_000_000
    return Span("1" * 32, f"{number:016x}", name, 0, end=end, status="error" if error else "ok", error=error)


TRACE = Trace(
    "1" * 32, (span(1, "chat one", 100), span(2, "Chat two", 300, "no"), span(3, "find", 50), span(4, "open", None))
)


@pytest.mark.parametrize(
    ("check", "value", "passed"),
    [
        (span_count, {"pattern": "chat*", "min": 2, "max": 2}, True),
        (span_count, {"pattern": "chat ???", "max": 1}, False),
        (span_count, {"pattern": "chat.*", "min": 1}, False),  # a dot is a dot
        (span_count, {"min": 1}, None),
        (span_duration, {"max": 299}, False),
        (span_duration, {"max": 300}, True),
        (span_duration, {"max": 100, "percentile": 50}, True),
        (span_duration, {"max": 1, "pattern": "open"}, True),  # it has not ended
        (span_duration, {"pattern": "*"}, None),
        (error_spans, None, False),
        (error_spans, 1, True),
        (error_spans, {"pattern": "find"}, True),
        (error_spans, {"max_percentage": 25}, True),
        (error_spans, {"max_percentage": 24}, False),
        (error_spans, {"max_percentage": 25, "max_count": 0}, False),
    ],
)  # fmt: skip
def test_spans_are_counted_timed_and_their_errors_found(check: Check, value: Json, passed: bool | None) -> None:
    assert check(value, TRACE).passed is passed
    unknown = check(value, None)
    assert (unknown.passed, unknown.why) == (None, NO_TRACE)
