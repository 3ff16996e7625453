"""What other tracing says of a call of a model, a tool or a search, read into the fields of our spans.

Two conventions: OpenTelemetry's for generative AI (`gen_ai.*`, 1.37 and later) and OpenInference's (`llm.*`, `input.value`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.message import Usage
from afere.base.prices import price
from afere.base.span import Span

_KINDS = {
    "chat": "llm", "generate_content": "llm", "text_completion": "llm", "embeddings": "embedding", "execute_tool": "tool",
    "invoke_agent": "agent", "create_agent": "agent", "invoke_workflow": "chain", "retrieval": "retrieval",
    "LLM": "llm", "EMBEDDING": "embedding", "TOOL": "tool", "AGENT": "agent", "CHAIN": "chain", "RETRIEVER": "retrieval",
    "RERANKER": "retrieval", "GUARDRAIL": "guard", "EVALUATOR": "judge",
}  # fmt: skip
_TEXTS = {
    "model": ("gen_ai.request.model", "llm.model_name", "embedding.model_name"),
    "response_model": ("gen_ai.response.model", "llm.model_name"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "session": ("session.id", "gen_ai.conversation.id"),
    "user": ("user.id",),
}
_COUNTS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
    "cached_input_tokens": ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning"),
}
# What was said: read into fields, where redaction reaches it, and left out of the attributes.
_SAID = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.", "input.value",
    "output.value", "llm.input_messages.", "llm.output_messages.", "embedding.embeddings.", "retrieval.documents.",
)  # fmt: skip


def read(span: Span, attributes: Mapping[str, Any]) -> None:
    """Fill the span from another tracer's attributes (plain JSON); those that hold what was said are moved, others kept."""
    operation = attributes.get("gen_ai.operation.name") or attributes.get("openinference.span.kind")
    span.kind = _KINDS.get(str(operation), "step")
    for field, names in _TEXTS.items():
        value = _first(attributes, names)
        if value is not None and getattr(span, field) is None:
            setattr(span, field, str(value))
    for field, names in _COUNTS.items():
        value = _first(attributes, names)
        if isinstance(value, int):
            setattr(span, field, value)
    asked = _json(attributes.get("llm.invocation_parameters"))
    if isinstance(asked, dict) and isinstance(asked.get("model"), str):
        span.model = cast("str", asked["model"])
    reasons = attributes.get("gen_ai.response.finish_reasons") or [attributes.get("llm.finish_reason")]
    span.finish_reason = str(reasons[0]) if isinstance(reasons, list) and reasons[0] else None  # pyright: ignore[reportUnknownArgumentType]
    _content(span, attributes)
    span.attributes.update({name: value for name, value in attributes.items() if not name.startswith(_SAID)})
    if span.kind in ("llm", "embedding") and span.model is not None:
        span.cost = _cost(span)


def _content(span: Span, attributes: Mapping[str, Any]) -> None:
    instructions = _json(attributes.get("gen_ai.system_instructions"))
    if isinstance(instructions, list):
        span.input_messages.append(_message({"role": "system", "parts": instructions}))
    span.input_messages += _messages(attributes, "gen_ai.input.messages", "llm.input_messages.")
    span.output_messages += _messages(attributes, "gen_ai.output.messages", "llm.output_messages.")
    given, made = _json(attributes.get("input.value")), _json(attributes.get("output.value"))
    if span.kind == "tool":
        given = _json(attributes.get("gen_ai.tool.call.arguments", given))
        made = _json(attributes.get("gen_ai.tool.call.result", made))
        name = _first(attributes, ("gen_ai.tool.name", "tool.name"))
        span.tool = {"name": str(name or span.name), "arguments": given, "result": made}
    if span.kind != "embedding":  # its output is numbers
        span.input = None if span.input_messages else given
        span.output = None if span.output_messages else made
    else:
        span.input = [item.get("embedding.text") for item in _numbered(attributes, "embedding.embeddings.")] or None
    for document in _numbered(attributes, "retrieval.documents."):
        named = {name.removeprefix("document."): value for name, value in document.items()}
        span.documents.append({"id": named.get("id"), "text": named.get("content"), "score": named.get("score")})


def _messages(attributes: Mapping[str, Any], whole: str, numbered: str) -> list[Json]:
    said = _json(attributes.get(whole))
    if isinstance(said, list):
        return [_message(cast("dict[str, Any]", message)) for message in said if isinstance(message, dict)]
    return [_flat_message(message) for message in _numbered(attributes, numbered)]


def _message(said: Mapping[str, Any]) -> Json:
    """A message of OpenTelemetry's convention: {role, parts: [{type, content}]}."""
    parts: list[Json] = []
    calls: list[Json] = []
    texts: list[str] = []
    for part in cast("list[dict[str, Any]]", said.get("parts") or []):
        match part.get("type"):
            case "text":
                texts.append(str(part.get("content", "")))
                parts.append({"type": "text", "text": texts[-1]})
            case "reasoning":
                parts.append({"type": "reasoning", "text": str(part.get("content", ""))})
            case "tool_call":
                calls.append(
                    {"id": part.get("id"), "name": part.get("name"), "arguments": _json(part.get("arguments"))}
                )
            case "tool_call_response":
                answer = part.get("response", part.get("result"))
                texts.append(answer if isinstance(answer, str) else json.dumps(answer))
                parts.append({"type": "text", "text": texts[-1]})
            case _:
                parts.append(part)
    return {"role": said.get("role"), "text": "".join(texts), "parts": parts, "tool_calls": calls}


def _flat_message(said: Mapping[str, Any]) -> Json:
    """A message of OpenInference's convention: message.role, message.content, message.contents.N..., message.tool_calls.N..."""
    texts = [said["message.content"]] if isinstance(said.get("message.content"), str) else []
    texts += [
        part["message_content.text"]
        for part in _numbered(said, "message.contents.")
        if isinstance(part.get("message_content.text"), str)
    ]
    calls: list[Json] = [
        {
            "id": call.get("tool_call.id"),
            "name": call.get("tool_call.function.name"),
            "arguments": _json(call.get("tool_call.function.arguments")),
        }
        for call in _numbered(said, "message.tool_calls.")
    ]
    parts: list[Json] = [{"type": "text", "text": text} for text in texts]
    return {"role": said.get("message.role"), "text": "".join(texts), "parts": parts, "tool_calls": calls}


def _numbered(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """`prefix0.a, prefix0.b, prefix1.a` as [{a, b}, {a}]."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            number, _, rest = name.removeprefix(prefix).partition(".")
            if number.isdecimal() and len(number) < 7:
                found.setdefault(int(number), {})[rest] = value
    return [found[number] for number in sorted(found)]


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _json(value: Any) -> Json:
    """The value of a text that holds JSON; other texts and values as they are."""
    if not isinstance(value, str):
        return cast("Json", value)
    try:
        return json.loads(value) if value[:1] in '[{"' else value
    except (ValueError, RecursionError):
        return value


def _cost(span: Span) -> float | None:
    output = 0 if span.kind == "embedding" else span.output_tokens
    usage = Usage(span.input_tokens, output, span.cached_input_tokens, span.reasoning_tokens)
    named = f"{span.provider}:{span.model}" if span.provider else str(span.model)
    return price(named, usage)
