"""How spans leave afere: in the GenAI convention as far as it goes, the rest as `afere.*`; and how the latter are read again.

Only what another afere would not read from the attributes that are there anyway is added: a span that came over OTLP leaves
as it came.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.span import SPAN_KINDS, Span

PREFIX = "afere."
_OPERATIONS = {
    "llm": "chat", "embedding": "embeddings", "tool": "execute_tool", "agent": "invoke_agent", "retrieval": "retrieval",
    "chain": "invoke_workflow",
}  # fmt: skip
_TEXTS = {
    "model": "gen_ai.request.model", "response_model": "gen_ai.response.model", "provider": "gen_ai.provider.name",
    "session": "gen_ai.conversation.id", "user": "user.id", "environment": "deployment.environment.name",
}  # fmt: skip
_COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens", "output_tokens": "gen_ai.usage.output_tokens",
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "first_token_seconds": "gen_ai.response.time_to_first_chunk",
}  # fmt: skip
_LISTS = ("input_messages", "output_messages", "documents")
_CONTENT = ("input", "output", "tool", *_LISTS)
CONTENT = tuple(PREFIX + name for name in _CONTENT)
_MARKS = ("cut", "redacted")  # the others are found out anew
_OPENS = ("{", "[", '"')  # how JSON begins that is read as such


# writing


def attributes(span: Span, sent: dict[str, Json], read: Callable[[Span], None]) -> dict[str, Json]:
    """What is to be added to `sent`, so that who reads them (`read`) finds every field of the span."""
    added: dict[str, Json] = {}
    for name, value in _spoken(span, _read(span, sent, read)):
        if name not in sent and value is not None:
            added[name] = value
    found = _read(span, {**sent, **added}, read)
    for field in dataclasses.fields(Span):
        value = getattr(span, field.name)
        if field.name == "status" and value != "paused":
            continue  # the protocol says it
        if field.name == "marks":
            value = [mark for mark in span.marks if mark in _MARKS] or None
        if field.name in _READERS and value is not None and value != getattr(found, field.name):
            added[PREFIX + field.name] = _written(field.name, value)
    return added


def _read(span: Span, sent: dict[str, Json], read: Callable[[Span], None]) -> Span:
    seen = Span(
        span.trace_id, span.span_id, span.name, span.start, end=span.end, attributes=dict(sent), events=span.events
    )
    if span.status == "error":
        seen.status, seen.error = "error", span.error
    read(seen)
    return seen


def _spoken(span: Span, seen: Span) -> Iterable[tuple[str, Json]]:
    """Fields that the GenAI convention has a name for, where they are not seen yet."""
    if span.kind != seen.kind and span.kind in _OPERATIONS:
        yield "gen_ai.operation.name", _OPERATIONS[span.kind]
    for field, name in (*_TEXTS.items(), *_COUNTS.items()):
        if getattr(span, field) != getattr(seen, field):
            yield name, getattr(span, field)
    if span.finish_reason != seen.finish_reason:
        yield "gen_ai.response.finish_reasons", [span.finish_reason]
    for field, name in (("input_messages", "gen_ai.input.messages"), ("output_messages", "gen_ai.output.messages")):
        said = getattr(span, field)
        if said and said != getattr(seen, field):
            yield name, _json([_message(one) for one in said])
    if span.tool is not None and span.tool != seen.tool:
        yield "gen_ai.tool.name", span.tool.get("name")
        for part in ("arguments", "result"):
            value = span.tool.get(part)
            yield f"gen_ai.tool.call.{part}", value if isinstance(value, str) or value is None else _json(value)
    if span.kind == "retrieval" and isinstance(span.input, str) and span.input != seen.input:
        yield "gen_ai.retrieval.query.text", span.input
    if span.documents and span.documents != seen.documents:
        yield "gen_ai.retrieval.documents", _json(span.documents)
    if span.status == "error" and "error.type" not in span.attributes:
        yield "error.type", (span.error or "").partition(":")[0].strip()[:200] or "_OTHER"


def _message(said: Json) -> Json:
    """A message as the convention has it: {role, parts: [{type, content}]}."""
    one = cast("dict[str, Any]", said) if isinstance(said, dict) else {"role": "user", "text": str(said)}
    parts: list[Json] = []
    for part in cast("list[dict[str, Any]]", one.get("parts") or []):
        if part.get("type") in ("text", "reasoning"):
            parts.append({"type": part["type"], "content": part.get("text", "")})
        else:
            parts.append(
                {
                    "type": "uri",
                    "modality": part.get("type"),
                    "mime_type": part.get("media_type"),
                    "uri": part.get("url"),
                }
            )
    if not parts and one.get("text"):
        parts.append({"type": "text", "content": one["text"]})
    if one.get("role") == "tool":
        return {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": one.get("tool_call_id"), "response": one.get("text")}],
        }
    calls = cast("list[dict[str, Any]]", one.get("tool_calls") or [])
    parts += [{"type": "tool_call", **{name: call.get(name) for name in ("id", "name", "arguments")}} for call in calls]
    return {"role": str(one.get("role", "user")), "parts": parts}


def _written(field: str, value: Any) -> Json:
    if isinstance(value, int | float) or (isinstance(value, str) and value[:1] not in _OPENS):
        return value
    if field == "artifacts":
        return _json([{"ref": ref, "hash": hash_} for ref, hash_ in value])
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# reading


def names(attributes: Iterable[str]) -> tuple[str, ...]:
    """Those of the attributes that say what a field of the span is."""
    return tuple(name for name in attributes if name.startswith(PREFIX) and name.removeprefix(PREFIX) in _READERS)


def read(span: Span, said: Iterable[str]) -> None:
    """Fill the fields that these attributes say; what is no value of its field is left alone."""
    for name in said:
        field = name.removeprefix(PREFIX)
        value = _READERS[field](span.attributes[name])
        if field == "marks":
            span.marks = list(dict.fromkeys([*span.marks, *(value or ())]))
        elif value is not None:
            setattr(span, field, value)


def _any(value: Json) -> Json:
    return _loaded(value) if isinstance(value, str) and value[:1] in _OPENS else value


def _loaded(value: Json) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _one_of(*words: str) -> Callable[[Json], str | None]:
    return lambda value: value if isinstance(value, str) and value in words else None


def _text(value: Json) -> str | None:
    return value[:1000] if isinstance(value, str) and value else None


def _whole(value: Json) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _amount(value: Json) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 else None
    )


def _objects(value: Json) -> list[Json] | None:
    found = _loaded(value)
    good = isinstance(found, list) and all(isinstance(one, dict) for one in cast("list[Any]", found))
    return cast("list[Json]", found) if good else None


def _object(value: Json) -> dict[str, Json] | None:
    found = _loaded(value)
    return cast("dict[str, Json]", found) if isinstance(found, dict) else None


def _artifacts(value: Json) -> list[tuple[str, str]] | None:
    found = [(one.get("ref"), one.get("hash")) for one in cast("list[dict[str, Any]]", _objects(value) or [])]
    return [(ref[:300], hash_[:100]) for ref, hash_ in found if isinstance(ref, str) and isinstance(hash_, str)] or None


def _marks(value: Json) -> list[str] | None:
    found = _loaded(value)
    return [mark for mark in _MARKS if mark in cast("list[Any]", found)] if isinstance(found, list) else None


_READERS: dict[str, Callable[[Json], Any]] = {
    "kind": _one_of(*SPAN_KINDS), "status": _one_of("paused"), "cost": _amount, "input": _any, "output": _any,
    **dict.fromkeys(_TEXTS, _text), **dict.fromkeys(_COUNTS, _whole), "first_token_seconds": _amount,
    "finish_reason": _text, **dict.fromkeys(_LISTS, _objects), "tool": _object, "artifacts": _artifacts, "marks": _marks,
}  # fmt: skip
