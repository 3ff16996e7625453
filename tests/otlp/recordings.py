"""What the recorded programs said, and which facts of it are read: for the tests, and for the table in docs/reference/dialects.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afere.base.span import Span
from afere.tracing import dialects, otlp

RECORDED = Path(__file__).parent / "recorded"
MODELS = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5": "claude-sonnet-4-5-20250929", "gemini-2.5-flash": "gemini-2.5-flash",
}  # fmt: skip
CALL = {"name": "weather", "arguments": {"city": "Paris"}}


def names() -> list[str]:
    """The recorded programs."""
    return sorted(file.name.removesuffix(".traces.pb") for file in RECORDED.glob("*.traces.pb"))


def spans(name: str) -> list[Span]:
    """The spans of a program with what came in log records, not read yet, in order of start."""
    found = otlp.traces((RECORDED / f"{name}.traces.pb").read_bytes(), "protobuf").spans.values()
    all_of_them = sorted((span for some in found for span in some), key=lambda span: span.start)
    logs = RECORDED / f"{name}.logs.pb"
    for event in otlp.logs(logs.read_bytes(), "protobuf").events[None] if logs.exists() else ():
        next(span for span in all_of_them if span.span_id == event.span_id).events.append(event.event)
    return all_of_them


def read(name: str) -> list[Span]:
    """The spans of a program as they are understood."""
    found = spans(name)
    for span in found:
        dialects.read(span)
    dialects.pause_above(found)
    return found


@dataclass(frozen=True)
class Fact:
    """One thing that the programs say. `told`: texts, one of which is in what was sent if it was sent at all."""

    name: str
    holds: Callable[[list[Span]], bool]
    told: tuple[str, ...]


def _calls(read: list[Span]) -> list[Span]:
    return [span for span in read if span.kind == "llm"]


def _messages(read: list[Span], role: str, *, out: bool = False) -> Iterator[dict[str, Any]]:
    for span in _calls(read):
        for message in span.output_messages if out else span.input_messages:
            if isinstance(message, dict) and message["role"] == role:
                yield message


def _says(read: list[Span], role: str, text: str, *, out: bool = False, times: int = 1) -> bool:
    return sum(message["text"] == text for message in _messages(read, role, out=out)) >= times


def _calls_tool(read: list[Span], *, out: bool) -> bool:
    found = [call for message in _messages(read, "assistant", out=out) for call in message["tool_calls"]]
    return bool(found) and all({name: call[name] for name in CALL} == CALL for call in found)


def _ran(read: list[Span]) -> bool:
    tools = [span.tool or {} for span in read if span.kind == "tool"]
    return bool(tools) and all(tool.get("name") == "weather" and _sunny(tool.get("result")) for tool in tools)


def _sunny(result: Any) -> bool:
    return result in ("sunny", {"result": "sunny"})  # Google's ADK makes an object of it


def _given(read: list[Span]) -> bool:
    tools = [span.tool or {} for span in read if span.kind == "tool"]
    return bool(tools) and all(tool.get("arguments") == CALL["arguments"] for tool in tools)


def _some(field: str, value: Any) -> Callable[[list[Span]], bool]:
    """Most calls: some libraries leave out, or miscount, what a streamed one says."""

    def holds(read: list[Span]) -> bool:
        counted = [call for call in _calls(read) if call.input_tokens is not None and call.status == "ok"]
        return sum(getattr(call, field) == value for call in counted) > len(counted) / 2

    return holds


def _documents(read: list[Span]) -> bool:
    found = [span.documents for span in read if span.kind == "retrieval"]
    return any(len(some) == 1 and isinstance(some[0], dict) and some[0]["text"] == "Within 30 days." for some in found)


def _scores(read: list[Span]) -> bool:
    found = [document for span in read if span.kind == "retrieval" for document in span.documents]
    return bool(found) and all(isinstance(one, dict) and isinstance(one["score"], float) for one in found)


FACTS = (
    Fact("model asked", lambda read: any(call.model in MODELS for call in _calls(read)), tuple(f'"{name}"' for name in MODELS)),
    Fact("model answered", lambda read: any(call.response_model in MODELS.values() for call in _calls(read)), tuple(set(MODELS.values()) - set(MODELS))),
    Fact("provider", lambda read: any(call.provider in ("openai", "anthropic", "gcp.gemini") for call in _calls(read)), ('"openai"', '"anthropic"', '"gcp.gemini"')),
    Fact("system", lambda read: any(message["text"].startswith("Be brief.") for message in _messages(read, "system")), ("Be brief.",)),
    Fact("input", lambda read: _says(read, "user", "Capital of France?"), ("Capital of France?",)),
    Fact("output", lambda read: _says(read, "assistant", "Paris.", out=True), ("Paris.",)),
    Fact("streamed", lambda read: _says(read, "assistant", "Paris.", out=True, times=2), ("stream",)),
    Fact("tool call", lambda read: _calls_tool(read, out=True), ("weather",)),
    Fact("tool result", lambda read: _says(read, "tool", "sunny") or _says(read, "tool", '{"result": "sunny"}'), ("tool_call_id", "toolResult", "tool_call_response", "tool-result", "functionResponse")),
    Fact("tool arguments", _given, ("execute_tool", "TOOL", "toolCall", "tool_response")),
    Fact("tool run", _ran, ("execute_tool", "TOOL", "toolCall", "tool_response")),
    Fact("documents", _documents, ("Within 30 days.",)),
    Fact("scores", _scores, ('0.9', "score")),
    Fact("tokens", lambda read: _some("input_tokens", 131)(read) and _some("output_tokens", 17)(read), ("131", "67")),
    Fact("cached", _some("cached_input_tokens", 64), ("cache",)),
    Fact("reasoning", _some("reasoning_tokens", 5), ("reasoning",)),
    Fact("cost", lambda read: all(call.cost for call in _calls(read) if call.status == "ok" and call.input_tokens), ("131", "67")),
    Fact("finish", lambda read: any(call.finish_reason in ("stop", "end_turn", "STOP") for call in _calls(read)), ("stop", "end_turn", "STOP")),
    Fact("error", lambda read: any(call.status == "error" and "no-such" in f"{call.error} {call.model}" for call in _calls(read)), ("does not exist",)),
    Fact("session", lambda read: any(span.session for span in read), ("session-1", "conversation.id")),
    Fact("user", lambda read: any(span.user == "user-1" for span in read), ("user-1",)),
    Fact("version", lambda read: any("service.version" in span.attributes for span in read), ("service.version", "1.4.2")),
)  # fmt: skip


def table(name: str) -> dict[str, str]:
    """Each fact: "yes", "no", or "-" where the program did not send it."""
    sent = spans(name)
    said = json.dumps(
        [[span.name, {k: _open(v) for k, v in span.attributes.items()}, _open(span.events)] for span in sent],
        ensure_ascii=False,
    )
    understood = read(name)
    return {
        fact.name: "yes" if fact.holds(understood) else "no" if any(text in said for text in fact.told) else "-"
        for fact in FACTS
    }


def _open(value: Any) -> Any:
    """JSON inside of texts, opened: so that what is looked for is found however deep it was written."""
    if isinstance(value, str) and value[:1] in '[{"' and value:
        try:
            return _open(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, list):
        return [_open(item) for item in value]
    if isinstance(value, dict):
        return {name: _open(item) for name, item in value.items()}
    return value
