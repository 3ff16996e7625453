"""What a replay answers a step with: the output, and the span it was recorded on."""

from __future__ import annotations

from dataclasses import dataclass, field

from afere.base.span import Span
from afere.tracing import Played


@dataclass(frozen=True)
class Recorded(Played):
    """An answer from a record, with the whole span (its messages, tool calls, usage and cost)."""

    span: Span = field(kw_only=True)
