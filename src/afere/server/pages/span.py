"""One span as people read it: messages, documents, tool, input and output, and what was recorded of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from afere.base.canonical import Json
from afere.base.span import Span
from afere.server import words
from afere.server.pages.code import Snippet, snippets
from afere.server.pages.summary import Judged, State

_ROLES = ("system", "user", "assistant", "tool")
_RAW = 200_000  # characters of raw JSON on a page


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that was asked for, as people write a call."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message: who, what, and which tools it asks for. A model's text is read as Markdown."""

    role: str
    name: str
    text: str
    reasoning: str
    calls: tuple[Call, ...]
    attached: tuple[str, ...]

    @property
    def styled(self) -> bool:
        return self.role == "assistant"


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    text: str
    score: float | None


@dataclass(frozen=True, slots=True)
class SpanView:
    """A span with its contents taken apart."""

    span: Span
    state: State
    messages: tuple[Said, ...]
    documents: tuple[Document, ...]
    call: Call | None
    result: Json
    scores: tuple[Judged, ...]
    raw: str
    raw_cut: bool
    code: tuple[Snippet, ...]

    @property
    def prompt(self) -> str:
        """The prompt by name and version, as the span says it where no artifact of ours ran; nothing where it does not."""
        if any(ref.startswith("prompt:") for ref, _ in self.span.artifacts):
            return ""
        said = [self.span.attributes.get(f"gen_ai.prompt.{part}") for part in ("name", "version")]
        return "@".join(str(part) for part in said if part is not None)

    @property
    def given(self) -> Json:
        """The input, unless the messages, or the tool's arguments, already say it."""
        return None if self.messages or self.call else self.span.input

    @property
    def made(self) -> Json:
        """The output, unless messages, documents or the tool's result already say it."""
        return None if self.span.output_messages or self.documents or self.call else self.span.output


def view(span: Span, scores: Sequence[Judged], state: State) -> SpanView:
    """Take a span apart for showing; `scores` are those of its whole trace, `state` how it stands."""
    tool = span.tool or {}
    call = Call(_call(tool.get("name") or span.name, tool.get("arguments"))) if span.tool else None
    raw = words.pretty(span.to_json())
    return SpanView(
        span,
        state,
        tuple(_said(message) for message in (*span.input_messages, *span.output_messages)),
        tuple(_document(document) for document in span.documents),
        call,
        tool.get("result") if tool.get("result") is not None else (span.output if span.tool else None),
        tuple(one for one in scores if one.score.target == f"{span.trace_id}/{span.span_id}"),
        raw[:_RAW],
        len(raw) > _RAW,
        snippets(span),
    )


def _said(message: Json) -> Said:
    """A message as it was recorded, by us or by a stranger's instrumentation: nothing of its form is taken for granted."""
    if not isinstance(message, dict):
        return Said("user", "", words.said(message), "", (), ())
    role = str(message.get("role") or "user")
    parts = [part for part in _list(message.get("parts")) if isinstance(part, dict)]
    text = message.get("text") or message.get("content")
    if not isinstance(text, str):
        said = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
        text = said or ("" if text is None else words.said(text))
    reasoning = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "reasoning")
    attached = tuple(_attached(part) for part in parts if part.get("type") not in ("text", "reasoning"))
    calls = [call for call in _list(message.get("tool_calls")) if isinstance(call, dict)]
    return Said(
        role if role in _ROLES else "user", str(message.get("name") or ("" if role in _ROLES else role)), text, reasoning,
        tuple(Call(_call(call.get("name"), call.get("arguments"))) for call in calls), attached,
    )  # fmt: skip


def _attached(part: dict[str, Json]) -> str:
    """What stands for an image, a document or a sound: nothing of it is fetched."""
    url = part.get("url")
    where = url if isinstance(url, str) else ""
    if where.startswith("data:"):
        where = f"{where[5:].partition(';')[0]}, {words.many(len(where) * 3 // 4, 'byte')} in the message"
    told = (part.get("type"), part.get("media_type"), where)
    return " ".join(dict.fromkeys(str(one) for one in told if one))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _call(name: Json, arguments: Json) -> str:
    """`leave_balance(user="118")`; arguments that are no object stand as they are."""
    if isinstance(arguments, dict):
        inside = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    else:
        inside = words.said(arguments)
    return f"{name}({inside})"


def _document(value: Json) -> Document:
    if not isinstance(value, dict):
        return Document("", words.said(value), None)
    score = value.get("score")
    number = float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None
    known = cast("Json", value.get("text") or value.get("content"))
    return Document(str(value.get("id") or value.get("source") or ""), words.said(known), number)
