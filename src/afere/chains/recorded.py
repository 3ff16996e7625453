"""A recorded trace that answers: components, tools, searches and the clock, by name, arguments and nth call."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, ModelFailed
from afere.base.message import Message, Usage
from afere.base.span import Span, Trace
from afere.chains.calls import message_from_json
from afere.chains.prompt import as_text
from afere.models import Reply, Request
from afere.tracing import Played

_SPOILT = ("cut", "redacted")


class ReplayStopped(AfereError):
    """A replay needs a step that the record cannot answer."""


class ToolFailed(AfereError):
    """A tool ended with an error when it was recorded."""


@dataclass(frozen=True)
class Recorded(Played):
    """An answer from a record, with the whole span (its messages, tool calls, usage and cost)."""

    span: Span = field(kw_only=True)


class Record:
    """A trace as a playback. `fresh` are the components that run anew. `notes` say where the run left the record."""

    def __init__(self, trace: Trace, fresh: Collection[str]) -> None:
        self._fresh = fresh
        self._steps: dict[tuple[str, str], list[Span]] = {}
        for span in trace.spans:
            self._steps.setdefault((span.kind, span.name), []).append(span)
        self._now = [
            cast("dict[str, Any]", event)
            for span in trace.spans
            for event in span.events
            if isinstance(event, dict) and event.get("name") == "afere.now"
        ]
        self._now.sort(key=lambda event: event["at"])
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self.notes: list[str] = []
        self.exact = True  # whether all that was not swapped was as recorded, or follows from the swap
        self.stopped: ReplayStopped | None = None

    def answer(self, kind: str, name: str, arguments: Json) -> Played | None:
        """What was recorded for this call; None: run it."""
        with self._lock:
            if kind == "now":
                return self._clock()
            if kind == "llm" and name in self._fresh:
                return None
            steps = self._steps.get((kind, name), [])
            if any(mark in _SPOILT for step in steps for mark in step.marks):
                raise self._stop(
                    f"the recording of {name!r} is not whole ({', '.join(sorted({m for s in steps for m in s.marks}))}), "
                    "so it cannot answer. Record the run again with full content, and without redaction of what it needs."
                )
            key = repr(_sorted(arguments))
            nth, call = self._count((kind, name, key)), self._count((kind, name, ""))
            same = [step for step in steps if repr(_sorted(step.input)) == key and step.status != "running"]
            if nth < len(same):
                return self._played(same[nth])
            return self._tool(name, call, arguments, steps) if kind == "tool" else self._anew(kind, name, steps)

    def _tool(self, name: str, nth: int, arguments: Json, steps: list[Span]) -> Played:
        """Tools are never fired: the nth call of that name answers, though its arguments differ."""
        ended = [step for step in steps if step.status != "running"]
        if nth >= len(ended):
            raise self._stop(
                f"call {nth + 1} of the tool {name!r} is not in the record, which holds {len(ended)}, and tools are not "
                f"fired in a replay. Its arguments now: {str(arguments)[:200]}"
            )
        self.exact = False
        self.notes.append(f"tool {name}: other arguments than recorded; answered from call {nth + 1} of the record")
        return self._played(ended[nth])

    def _anew(self, kind: str, name: str, steps: list[Span]) -> None:
        what = "search" if kind == "retrieval" else "component"
        why = "its input is not the recorded one" if steps else "it is not in the record"
        self.exact = self.exact and bool(self._fresh)
        self.notes.append(f"{what} {name}: ran anew, since {why}")

    def _clock(self) -> Played | None:
        nth = self._count(("now", "", ""))
        return Played(self._now[nth]["attributes"]["value"]) if nth < len(self._now) else None

    def _played(self, span: Span) -> Recorded:
        return Recorded(span.output, span.error if span.status == "error" else None, span=span)

    def _count(self, key: tuple[str, str, str]) -> int:
        self._asked[key] += 1
        return self._asked[key] - 1

    def _stop(self, why: str) -> ReplayStopped:
        self.stopped = ReplayStopped(f"the replay stops: {why}")
        return self.stopped


def _sorted(value: Json) -> object:
    """Equal for equal JSON: the order of keys does not count, and 1.0 is 1."""
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def reply_of(name: str, recorded: Played, request: Request) -> Reply:
    """The reply that a record holds. Its tokens are the recorded ones; this time nothing is paid."""
    if recorded.error is not None:
        raise ModelFailed(f"{name}: as recorded: {recorded.error}")
    text = as_text(recorded.output)
    value = recorded.output if request.output is not None else None
    if not isinstance(recorded, Recorded):
        return Reply(text, (Message("assistant"),), (), Usage(), 0.0, "stop", "", value)
    was = recorded.span
    said = tuple(message_from_json(cast("dict[str, Any]", one)) for one in was.output_messages)
    usage = Usage(was.input_tokens, was.output_tokens, was.cached_input_tokens, was.reasoning_tokens)
    return Reply(
        text, said, tuple(call for one in said for call in one.tool_calls), usage, 0.0, was.finish_reason or "stop",
        was.response_model or "", value, was.first_token_seconds,
    )  # fmt: skip
