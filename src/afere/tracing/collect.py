"""Keep the finished spans of what runs inside in memory too."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from opentelemetry import context as otel

from afere.base.project import find_project
from afere.base.span import Span, Trace
from afere.tracing.scope import COLLECTORS, holding


class Collected:
    """The finished spans of what ran inside, in whatever thread that carries the context."""

    def __init__(self, project: str) -> None:
        self._spans: list[Span] = []  # list.append is atomic
        self._project = project

    def add(self, span: Span) -> None:
        """Keep one finished span."""
        self._spans.append(span)

    @property
    def first(self) -> Trace | None:
        """The trace that began first; None if there is none."""
        traces = self.traces
        return (
            min(traces.values(), key=lambda one: one.root.start)
            if len(traces) > 1
            else next(iter(traces.values()), None)
        )

    @property
    def traces(self) -> dict[str, Trace]:
        """The traces by id, each with its spans in order of start."""
        grouped: dict[str, list[Span]] = {}
        if len({span.trace_id for span in self._spans}) == 1:
            spans = tuple(sorted(self._spans, key=lambda span: span.start))
            return {spans[0].trace_id: Trace(spans[0].trace_id, spans, self._project)}
        for span in sorted(self._spans, key=lambda span: span.start):
            grouped.setdefault(span.trace_id, []).append(span)
        return {trace_id: Trace(trace_id, tuple(spans), self._project) for trace_id, spans in grouped.items()}


@contextmanager
def collecting() -> Generator[Collected]:
    """`with collecting() as c:` then `c.traces`; may be nested, and one may surround each row of an evaluation."""
    collected = Collected(find_project().name)
    outer = cast("tuple[Collected, ...]", otel.get_value(COLLECTORS) or ())
    with holding(COLLECTORS, (*outer, collected)):
        yield collected
