"""Case: one row with what the target made of it. A case of one component, or of one turn, is a case like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from afere.base.canonical import Json
from afere.base.span import Span, Trace
from afere.data import Row

TURN = "turn"  # `of: turn` scores the turns of a conversation, one by one


@dataclass(frozen=True, slots=True)
class Case:
    """One row with what the target made of it: what scorers see."""

    row: Row
    output: Json
    trace: Trace | None = None
    repeat: int = 1
    inner: tuple[Json, list[Json]] | None = None  # input and documents of one span, where a component is scored

    @property
    def input(self) -> Json:
        """What went in: the row's input, or the span's."""
        return self.inner[0] if self.inner else self.row.input or self.row.metadata

    @property
    def context(self) -> list[Json]:
        """The documents that were retrieved, in order: `{id, text, score}`; where nothing ran, the row's own `context`."""
        if self.inner is not None:
            return self.inner[1]
        if self.trace is not None:
            return [document for span in self.trace.spans for document in span.documents]
        held = self.row.metadata.get("context", self.row.input.get("context"))
        return held if isinstance(held, list) else [] if held is None else [held]

    def of(self, component: str) -> list[Case]:
        """This case as each run of that component saw it: its input, output, documents, and the spans below it.

        `turn` without spans of that name: the turns that the target said, read from its output.
        """
        trace = self.trace
        spans = [span for span in (trace.spans if trace else ()) if _is(span, component)]
        if trace is None or not spans:
            return self._turns() if component == TURN else []
        rows = self._rows(len(spans)) if component == TURN else [self.row] * len(spans)
        made: list[Case] = []
        for row, span in zip(rows, spans, strict=True):
            below = _below(trace, span)
            # A turn is a whole run, whose searches are below it; any other component has the documents of its own span.
            found = [one for inner in below.spans for one in inner.documents] if component == TURN else span.documents
            made.append(replace(self, row=row, output=span.output, inner=(span.input, found), trace=below))
        return made

    def _turns(self) -> list[Case]:
        """Each message of the assistant in the output, with all that was said before it as its input."""
        before, said = messages_of(self.row.input.get("messages")), messages_of(self.output)
        if said[: len(before)] == before:  # the whole conversation came back, not only what is new
            said = said[len(before) :]
        places = [i for i, one in enumerate(said) if one.get("role") == "assistant"]
        rows = self._rows(len(places))
        return [
            replace(self, row=row, output=said[i].get("content", ""), inner=(list[Json]([*before, *said[:i]]), []))
            for row, i in zip(rows, places, strict=True)
        ]

    def _rows(self, turns: int) -> list[Row]:
        """The row as each turn is held against it: a list of as many expected values is one for each."""
        expected = self.row.expected
        if isinstance(expected, list) and len(expected) == turns:
            return [replace(self.row, expected=one) for one in expected]
        return [self.row] * turns


def messages_of(value: Json) -> list[dict[str, Json]]:
    """The messages in a list, in `{"messages": [...]}`, or in a plain text, which is one message of the assistant."""
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    held = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(held, list):
        return []
    found = [one for one in held if isinstance(one, dict) and "role" in one]
    return [one if "content" in one else {**one, "content": one.get("text", "")} for one in found]


def _is(span: Span, component: str) -> bool:
    if component in (span.name, span.kind):
        return True
    return any(ref.partition(":")[2].partition("@")[0].partition("~")[0] == component for ref, _ in span.artifacts)


def _below(trace: Trace, top: Span) -> Trace:
    """A span and all that ran under it, as a trace."""
    kept = {top.span_id}
    children: dict[str | None, list[Span]] = {}
    for span in trace.spans:
        children.setdefault(span.parent_id, []).append(span)
    open_ = [top.span_id]
    while open_:
        new = [one.span_id for one in children.get(open_.pop(), []) if one.span_id not in kept]
        kept.update(new)
        open_ += new
    return Trace(trace.trace_id, tuple(span for span in trace.spans if span.span_id in kept), trace.project)
