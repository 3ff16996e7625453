"""A span as code that does it again: Python with afere, curl for an OpenAI-compatible endpoint, a row of a dataset."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.span import Span
from afere.models.catalogue import PROVIDERS

_PARAMETERS = (
    "temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty", "stop_sequences",
)  # fmt: skip
_PREFIX = "gen_ai.request."
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to do it again. `id` is unique within the span."""

    id: str
    title: str
    text: str


def snippets(span: Span) -> tuple[Snippet, ...]:
    """What can be copied of this span. A call of a model without its messages cannot be made again, so it has only a row.

    Python is for what the public names do: a component of ours by its version, a call of plain messages as a prompt file,
    a whole run as a replay. Messages that carry calls of tools have only curl.
    """
    made: list[Snippet] = []
    if span.kind == "llm" and span.input_messages:
        python = _component(span) or _python(span)
        made += [Snippet("python", "Python", python)] if python else []
        made.append(Snippet("curl", "curl", _curl(span)))
    elif span.parent_id is None and span.kind in ("chain", "agent"):
        made.append(Snippet("python", "Python", _again(span)))
    return (*made, Snippet("row", "Dataset row", json.dumps(_row(span), ensure_ascii=False)))


def _component(span: Span) -> str | None:
    """The component that ran, in the version that ran, on the same inputs."""
    ref = next((ref for ref, _ in span.artifacts if ref.startswith("component:")), None)
    if ref is None or not isinstance(span.input, dict) or "messages" in span.input:
        return None
    return f"import afere\n\nanswer = afere.prompt({ref!r})\nprint(answer(**{span.input!r}))"


def _python(span: Span) -> str | None:
    """A prompt file with a place for each message: what was said is handed in, so that none of it is read as a template."""
    messages = _messages(span)
    if any(said["role"] not in _ROLES or "tool_calls" in said for said in messages):
        return None
    template = "".join(f"# {said['role']}\n{{{{ m{nth} }}}}\n" for nth, said in enumerate(messages, 1))
    inputs = "".join(f"    m{nth}={said['content']!r},\n" for nth, said in enumerate(messages, 1))
    model = f"{_provider(span)}:{span.model or span.response_model}"
    given = "".join(f", {name}={value!r}" for name, value in _parameters(span).items())
    return (
        "from pathlib import Path\n\n"
        "import afere\n\n"
        f'file = Path("call-{span.span_id[:6]}.md").resolve()\n'
        f"file.write_text({template!r})\n"
        f"answer = afere.prompt(file, model={model!r}{given})\n"
        f"print(answer(\n{inputs}))"
    )


def _curl(span: Span) -> str:
    body = {"model": span.model or span.response_model, "messages": _messages(span), **_parameters(span)}
    return (
        'curl "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions" \\\n'
        '  -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=1))}"
    )


def _again(span: Span) -> str:
    return f"import afere\n\nrun = afere.replay({span.trace_id!r})[0]  # models and tools answer from the record\nprint(run.output)"


def _row(span: Span) -> Json:
    given: Json = span.input
    if span.kind == "llm" and span.input_messages:
        given = {"messages": cast("list[Json]", _messages(span))}
    elif given is not None and not isinstance(given, dict):
        given = {"input": given}
    made: Json = span.output
    if made is None and span.output_messages:
        last = span.output_messages[-1]
        made = last.get("text") or last.get("content") if isinstance(last, dict) else last
    return {
        "id": f"{span.trace_id[:12]}-{span.span_id[:6]}", "input": given if given is not None else {}, "output": made,
        "metadata": {"trace": span.trace_id, "span": span.span_id},
    }  # fmt: skip


def _messages(span: Span) -> list[dict[str, Any]]:
    """As the chat endpoint takes them. Nothing of the form that was recorded is taken for granted."""
    return [_chat(message) for message in span.input_messages]


def _chat(message: Json) -> dict[str, Any]:
    if not isinstance(message, dict):
        return {"role": "user", "content": message if isinstance(message, str) else json.dumps(message)}
    role = str(message.get("role") or "user")
    said: dict[str, Any] = {"role": role, "content": _text(message)}
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        said["tool_calls"] = [_call(call) for call in calls if isinstance(call, dict)]
    if message.get("tool_call_id"):
        said["tool_call_id"] = message["tool_call_id"]
    return said


def _text(message: dict[str, Json]) -> str:
    text = message.get("text") or message.get("content")
    if isinstance(text, str):
        return text
    parts = message.get("parts")
    if isinstance(parts, list):
        return "".join(str(part.get("text") or "") for part in _dicts(parts) if part.get("type") == "text")
    return "" if text is None else json.dumps(text, ensure_ascii=False)


def _dicts(values: Sequence[Json]) -> list[dict[str, Json]]:
    return [value for value in values if isinstance(value, dict)]


def _call(call: dict[str, Json]) -> dict[str, Any]:
    arguments = call.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    name = str(call.get("name") or "")
    return {"id": str(call.get("id") or ""), "type": "function", "function": {"name": name, "arguments": text}}


def _parameters(span: Span) -> dict[str, Any]:
    found = {name: span.attributes.get(_PREFIX + name) for name in _PARAMETERS}
    renamed = {"stop_sequences": "stop"}
    return {renamed.get(name, name): value for name, value in found.items() if value is not None}


def _provider(span: Span) -> str:
    """A provider that we can ask; what others are called is mostly behind an OpenAI-compatible endpoint."""
    return span.provider if span.provider and span.provider in PROVIDERS else "openai"
