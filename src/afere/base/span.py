"""Span: a record that something ran. Trace: the spans of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from afere.base.canonical import Json
from afere.base.clock import rfc3339

SPAN_KINDS = ("chain", "agent", "llm", "embedding", "retrieval", "tool", "guard", "judge", "step")
EXAMPLES = "afere.examples"  # attribute: the examples chosen for a call, {row, likeness} each
Status = Literal["ok", "error", "running", "paused"]


@dataclass(slots=True)
class Span:
    """A record that something ran, with the hashes of the artifacts that ran.

    Times are nanoseconds since 1970; `end` None means it has not ended. Ids are hex (32 and 16 digits).
    Unknown numbers are None. `marks` holds "late", "orphan", "skewed", "cut", "redacted",
    "damaged".
    """

    trace_id: str
    span_id: str
    name: str
    start: int
    parent_id: str | None = None
    kind: str = "step"
    end: int | None = None
    status: Status = "ok"
    error: str | None = None
    model: str | None = None
    response_model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    finish_reason: str | None = None
    first_token_seconds: float | None = None
    input: Json = None
    output: Json = None
    input_messages: list[Json] = field(default_factory=list["Json"])
    output_messages: list[Json] = field(default_factory=list["Json"])
    tool: dict[str, Json] | None = None
    documents: list[Json] = field(default_factory=list["Json"])
    session: str | None = None
    user: str | None = None
    environment: str | None = None
    attributes: dict[str, Json] = field(default_factory=dict[str, "Json"])
    events: list[Json] = field(default_factory=list["Json"])
    artifacts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # (ref, hash)
    marks: list[str] = field(default_factory=list[str])

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.end is None else (self.end - self.start) / 1e9

    def to_json(self) -> dict[str, Json]:
        return {
            "trace_id": self.trace_id, "span_id": self.span_id, "parent_id": self.parent_id, "name": self.name,
            "kind": self.kind, "start": rfc3339(self.start), "seconds": self.seconds,
            "first_token_seconds": self.first_token_seconds, "status": self.status, "error": self.error,
            "model": self.model, "response_model": self.response_model, "provider": self.provider,
            "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens, "reasoning_tokens": self.reasoning_tokens,
            "cost": self.cost, "finish_reason": self.finish_reason, "input": self.input, "output": self.output,
            "input_messages": self.input_messages, "output_messages": self.output_messages, "tool": self.tool,
            "documents": self.documents, "session": self.session, "user": self.user, "attributes": self.attributes,
            "events": self.events, "artifacts": [{"ref": ref, "hash": hash_} for ref, hash_ in self.artifacts],
            "marks": list(self.marks),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a trace's calls to models; None where no call said."""

    spans: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None

    def to_json(self) -> Json:
        return {
            "spans": self.spans, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens, "reasoning_tokens": self.reasoning_tokens, "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """The spans of one run, in order of start. Scorers and pages read it."""

    trace_id: str
    spans: tuple[Span, ...]
    project: str = "default"

    @cached_property
    def root(self) -> Span:
        """The span without a parent here; the earliest one if there are several or none."""
        known = {span.span_id for span in self.spans}
        roots = [span for span in self.spans if span.parent_id is None or span.parent_id not in known]
        return min(roots or self.spans, key=lambda span: span.start)

    def named(self, name: str) -> list[Span]:
        """The spans with that name, in order."""
        return [span for span in self.spans if span.name == name]

    def of_kind(self, kind: str) -> list[Span]:
        """The spans of that kind, in order."""
        return [span for span in self.spans if span.kind == kind]

    @cached_property
    def totals(self) -> Totals:
        """Sums of tokens and cost; an outer span that repeats the sums of its calls is not counted twice."""
        return totals(self.spans)


def totals(spans: Sequence[Span]) -> Totals:
    """Sums over the innermost spans that report: a span counts only if none of its descendants does."""
    return summed(
        [
            (span.span_id, span.parent_id, span.input_tokens, span.output_tokens, span.cached_input_tokens,
             span.reasoning_tokens, span.cost)
            for span in spans
        ]
    )  # fmt: skip


def summed(rows: Sequence[Sequence[Any]]) -> Totals:
    """The same of rows: a span's id and its parent's, tokens in, out, cached and for reasoning, cost; None where unknown."""
    parents = {row[0]: row[1] for row in rows}
    reporting = [row for row in rows if row[2] is not None or row[3] is not None or row[6] is not None]
    covered: set[Any] = set()
    for row in reporting:
        above = row[1]
        while above is not None and above in parents and above not in covered and above != row[0]:
            covered.add(above)
            above = parents[above]
    counted = [row for row in reporting if row[0] not in covered]

    def whole(column: int) -> Any:
        known = [row[column] for row in counted if row[column] is not None]
        return sum(known) if known else None

    return Totals(len(rows), whole(2), whole(3), whole(4), whole(5), whole(6))
