"""What each dialect's attributes are read into, as their conventions write them, and as older versions of libraries did."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.span import Span
from afere.tracing import dialects

USAGE = {"input_tokens": 131, "output_tokens": 17, "cached_input_tokens": 64}


def read(name: str = "op", events: list[Any] | None = None, **attributes: Any) -> Span:
    span = Span("a" * 32, "b" * 16, name, 1_795_000_000 * 10**9, end=1_795_000_001 * 10**9)
    span.attributes = {
        key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in attributes.items()
    }
    span.events = events or []
    before = dict(span.attributes)
    dialects.read(span)
    assert before.items() <= span.attributes.items()
    return span


def said(messages: list[Any]) -> list[tuple[str, str]]:
    return [(one["role"], one["text"]) for one in messages]


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "genai": (
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
         "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
         "gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.prompt.name": "answer", "gen_ai.response.finish_reasons": ["stop"],
         "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
         "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
         "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Yes"}], "finish_reason": "stop"}]},
        {"kind": "llm", "model": "gpt-4o-mini", "response_model": "gpt-4o-mini-2024-07-18", "provider": "openai", "cost": 0.00021,
         "finish_reason": "stop", "in": [("system", "Be brief."), ("user", "Hi")], "out": [("assistant", "Yes")]},
    ),
    "openinference retriever": (
        {"openinference.span.kind": "RETRIEVER", "input.value": "refund?", "retrieval.documents.0.document.content": "Within 30 days.",
         "retrieval.documents.0.document.score": 0.9, "retrieval.documents.1.document.content": "No.", "retrieval.documents.1.document.id": "b",
         "retrieval.documents.1.document.metadata": {"score": 0.5}, "metadata": {"user_id": "u"}},
        {"kind": "retrieval", "input": "refund?", "user": "u",
         "documents": [{"id": None, "text": "Within 30 days.", "score": 0.9}, {"id": "b", "text": "No.", "score": 0.5}]},
    ),
    "openinference tool": (
        {"openinference.span.kind": "TOOL", "tool.name": "add", "input.value": {"a": 1}, "output.value": "2", "session.id": "s"},
        {"kind": "tool", "tool": {"name": "add", "arguments": {"a": 1}, "result": "2"}, "session": "s"},
    ),
    "traceloop before 0.50": (
        {"llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 131,
         "gen_ai.usage.completion_tokens": 17, "gen_ai.usage.cache_read_input_tokens": 64, "gen_ai.prompt.0.role": "user",
         "gen_ai.prompt.0.content": "Hi", "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.tool_calls.0.name": "f",
         "gen_ai.completion.0.tool_calls.0.arguments": '{"a": 1}', "gen_ai.completion.0.finish_reason": "tool_calls",
         "traceloop.association.properties.session_id": "s", "traceloop.association.properties.user_id": "u"},
        {"kind": "llm", "provider": "openai", **USAGE, "in": [("user", "Hi")], "finish_reason": "tool_calls", "session": "s", "user": "u",
         "calls": [{"id": None, "name": "f", "arguments": {"a": 1}}]},
    ),
    "traceloop decorator": (
        {"traceloop.span.kind": "workflow", "traceloop.entity.name": "app", "traceloop.entity.input": {"args": ["q"]}, "traceloop.entity.output": "a"},
        {"kind": "chain", "input": {"args": ["q"]}, "output": "a"},
    ),
    "langfuse langchain": (
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m",
         "langfuse.observation.usage_details": {"input": 67, "input_cache_read": 64, "output": 17},
         "langfuse.observation.input": [{"role": "user", "content": "Hi"}], "langfuse.observation.output": {"role": "assistant", "content": "Yes"},
         "langfuse.observation.prompt.name": "answer", "langfuse.observation.prompt.version": 3, "user.id": "u"},
        {"kind": "llm", **USAGE, "in": [("user", "Hi")], "out": [("assistant", "Yes")], "user": "u"},
    ),
    "langfuse error": (
        {"langfuse.observation.type": "tool", "langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "boom"},
        {"kind": "tool", "status": "error", "error": "boom"},
    ),
    "mlflow": (
        {"mlflow.spanType": '"CHAT_MODEL"', "model": '"gpt-4o-mini"', "mlflow.chat.tokenUsage": {"input_tokens": 131, "output_tokens": 17, "cache_read_input_tokens": 64},
         "mlflow.spanInputs": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]},
         "mlflow.spanOutputs": {"model": "gpt-4o-mini-2024-07-18", "choices": [{"message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}]}},
        {"kind": "llm", "model": "gpt-4o-mini", "response_model": "gpt-4o-mini-2024-07-18", **USAGE, "in": [("user", "Hi")], "out": [("assistant", "Yes")], "finish_reason": "stop"},
    ),
    "mlflow tool": (
        {"mlflow.spanType": '"TOOL"', "mlflow.spanFunctionName": '"add"', "mlflow.spanInputs": {"a": 1}, "mlflow.spanOutputs": '"2"'},
        {"kind": "tool", "tool": {"name": "add", "arguments": {"a": 1}, "result": "2"}},
    ),
    "vercel": (
        {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "m", "ai.model.provider": "openai.chat", "ai.usage.promptTokens": 131,
         "ai.usage.completionTokens": 17, "ai.usage.cachedInputTokens": 64, "ai.response.msToFirstChunk": 250, "ai.response.finishReason": "tool-calls",
         "ai.prompt.messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c", "toolName": "f", "args": {"a": 1}}]},
                                {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c", "output": {"type": "text", "value": "sunny"}}]}],
         "ai.response.text": "Yes", "ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.sessionId": "s"},
        {"kind": "llm", "model": "m", "provider": "openai", **USAGE, "first_token_seconds": 0.25, "finish_reason": "tool-calls", "user": "u", "session": "s",
         "in": [("user", "Hi"), ("assistant", ""), ("tool", "sunny")], "out": [("assistant", "Yes")]},
    ),
    "vercel calls": (
        {"ai.operationId": "ai.generateText.doGenerate", "ai.response.text": "", "ai.response.toolCalls": [{"toolCallId": "c", "toolName": "f", "input": '{"a": 1}'}]},
        {"kind": "llm", "calls": [{"id": "c", "name": "f", "arguments": {"a": 1}}]},
    ),
    "langsmith": (
        {"langsmith.span.kind": "llm", "gen_ai.request.model": "m", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 17,
         "langsmith.metadata.usage_metadata": {"input_token_details": {"cache_read": 64}}, "langsmith.metadata.session_id": "s",
         "gen_ai.prompt": {"messages": [[{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Hi", "type": "human"}}]]},
         "gen_ai.completion": {"generations": [[{"text": "Yes", "message": {"id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {"content": "Yes", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c"}]}}}]]}},
        {"kind": "llm", **USAGE, "session": "s", "in": [("user", "Hi")], "out": [("assistant", "Yes")], "calls": [{"id": "c", "name": "f", "arguments": {"a": 1}}]},
    ),
    "langsmith retriever": (
        {"langsmith.span.kind": "retriever", "gen_ai.prompt": {"query": "refund"}, "gen_ai.completion": {"documents": [{"kwargs": {"page_content": "a", "metadata": {"source": "a.md"}}}]}},
        {"kind": "retrieval", "documents": [{"id": "a.md", "text": "a", "score": None}]},
    ),
    "adk": (
        {"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2, "gcp.vertex.agent.session_id": "s",
         "gcp.vertex.agent.llm_request": {"config": {"system_instruction": "Be brief."}, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
         "gcp.vertex.agent.llm_response": {"content": {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a": 1}}}]}, "finish_reason": "STOP"}},
        {"name": "call_llm", "kind": "llm", "provider": None, "session": "s", "in": [("system", "Be brief."), ("user", "Hi")], "finish_reason": "STOP", "calls": [{"id": None, "name": "f", "arguments": {"a": 1}}]},
    ),
    "pydantic-ai 1 tool": (
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f", "tool_arguments": {"a": 1}, "tool_response": "2", "logfire.msg": "x"},
        {"kind": "tool", "tool": {"name": "f", "arguments": {"a": 1}, "result": "2"}},
    ),
    "pydantic-ai 1 tool without an operation": (
        {"gen_ai.tool.name": "f", "tool_arguments": {"a": 1}, "tool_response": "2"},
        {"name": "running tool", "kind": "tool", "tool": {"name": "f", "arguments": {"a": 1}, "result": "2"}},
    ),
    "genai with a picture": (
        {"gen_ai.operation.name": "chat",
         "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}, {"type": "blob", "mime_type": "image/png", "content": "iVBORw0K"}]}]},
        {"kind": "llm", "in": [("user", "Hi")]},
    ),
    "no dialect": ({"http.request.method": "GET", "session.id": "s"}, {"kind": "step", "session": "s", "model": None, "in": []}),
    "anthropic sdk error": ({"gen_ai.operation.name": "chat", "error.type": "RateLimitError"}, {"status": "error", "error": "RateLimitError"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_dialect_is_read_into_our_fields(case: str) -> None:
    attributes, wanted = CASES[case]
    span = read(wanted.get("name", "op"), **attributes)
    found: dict[str, Any] = {"in": said(span.input_messages), "out": said(span.output_messages)}
    found["calls"] = span.output_messages[0]["tool_calls"] if span.output_messages else None
    for field, value in wanted.items():
        assert (found[field] if field in found else getattr(span, field)) == (
            pytest.approx(value) if isinstance(value, float) else value
        ), field
    again = read(wanted.get("name", "op"), **attributes)
    dialects.read(again)
    assert again == span


def test_what_was_said_may_be_in_events_of_the_span_or_in_logs() -> None:
    strands = read(
        events=[
            {"name": "gen_ai.user.message", "at": "", "attributes": {"content": '[{"text": "Hi"}]'}},
            {"name": "gen_ai.tool.message", "at": "", "attributes": {"content": '[{"toolResult": {"toolUseId": "c", "content": [{"text": "sunny"}]}}]'}},
            {"name": "gen_ai.choice", "at": "", "attributes": {"message": '[{"text": "Yes"}, {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1}}}]', "finish_reason": "end_turn"}},
        ],
        **{"gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents"},
    )  # fmt: skip
    assert said(strands.input_messages) == [("user", "Hi"), ("tool", "sunny")] and strands.provider is None
    assert said(strands.output_messages) == [("assistant", "Yes")] and strands.finish_reason == "end_turn"
    assert strands.output_messages[0]["tool_calls"] == [{"id": "c", "name": "f", "arguments": {"a": 1}}]
    old = read(
        events=[
            {"name": "gen_ai.user.message", "at": "", "attributes": {"body": {"content": "Hi"}}},
            {"name": "gen_ai.choice", "at": "", "attributes": {"body": {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"}}}},
        ],
        **{"gen_ai.operation.name": "chat"},
    )  # fmt: skip
    assert (said(old.input_messages), said(old.output_messages), old.finish_reason) == (
        [("user", "Hi")],
        [("assistant", "Yes")],
        "stop",
    )


_keys = st.sampled_from([
    name for one in dialects.MAPS for rules in one.rules.values() for rule in rules for name, _ in rule.terms
] + [f"{prefix}.{n}.{rest}" for prefix in ("llm.input_messages", "gen_ai.prompt", "retrieval.documents") for n in (0, "x", 10**12)
     for rest in ("role", "message.role", "message", "message.content", "document.score", "")]
  + [key for one in dialects.MAPS for key in one.kinds] + ["llm", "ai", "gen_ai", ""])  # fmt: skip
_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["chat", "LLM", "TOOL", "tool", "retriever", "generation", '{"role": 1}', "[[{", '[{"text": 5}]', '{"choices": [{"message": []}]}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "parts", "text", "type", "tool_calls", "message", "messages", "kwargs", "id", "documents", "function"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(attributes=st.dictionaries(_keys, _any, max_size=10), as_text=st.booleans())
def test_no_value_of_a_known_attribute_breaks_the_reading(attributes: dict[str, Any], as_text: bool) -> None:
    if as_text:
        attributes = {key: json.dumps(value) for key, value in attributes.items()}
    span = Span("a" * 32, "b" * 16, "op", 1, end=2, attributes=attributes)
    dialects.read(span)
    json.dumps(span.to_json(), allow_nan=False)
    messages: list[Any] = [*span.input_messages, *span.output_messages]
    assert all(one["role"] in ("system", "user", "assistant", "tool") for one in messages)
