"""What the programs share: a tracer provider that exports over OTLP, and what they ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

URL = os.environ["STAND_IN"]
SYSTEM, QUESTION, WEATHER = "Be brief.", "Capital of France?", "How is the weather in Paris?"
SESSION, USER = "session-1", "user-1"
MODEL, CLAUDE = "gpt-4o-mini", "claude-sonnet-4-5"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": PARAMETERS}}


def provider() -> TracerProvider:
    """Every span is sent when it ends."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(made)
    return made


def logs() -> LoggerProvider:
    """Every log record is sent at once."""
    made = LoggerProvider()
    made.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
    return made


def fails(work: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Do what raises, and go on."""
    with suppress(Exception):
        work(*args, **kwargs)


def openai_calls(client: Any) -> None:
    """A plain call, a streamed one, one that asks for the tool, one that tells its result, one that fails."""
    create = client.chat.completions.create
    asked: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    create(model=MODEL, messages=asked, temperature=0)
    for _ in create(model=MODEL, messages=asked, stream=True, stream_options={"include_usage": True}):
        pass
    asked = [{"role": "user", "content": WEATHER}]
    call = create(model=MODEL, messages=asked, tools=[TOOL]).choices[0].message.tool_calls[0]
    said = {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": call.function.arguments}}
    asked += [
        {"role": "assistant", "content": None, "tool_calls": [said]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    create(model=MODEL, messages=asked, tools=[TOOL])
    fails(create, model="no-such", messages=[{"role": "user", "content": QUESTION}])


def anthropic_calls(client: Any) -> None:
    """The same over the Messages API."""
    create = client.messages.create
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    create(model=CLAUDE, max_tokens=99, system=SYSTEM, messages=asked)
    for _ in create(model=CLAUDE, max_tokens=99, system=SYSTEM, messages=asked, stream=True):
        pass
    tools = [{"name": "weather", "description": "The weather.", "input_schema": PARAMETERS}]
    asked = [{"role": "user", "content": WEATHER}]
    call = create(model=CLAUDE, max_tokens=99, messages=asked, tools=tools).content[0]
    asked += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": "weather", "input": call.input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
    ]
    create(model=CLAUDE, max_tokens=99, messages=asked, tools=tools)
    fails(create, model="no-such", max_tokens=99, messages=[{"role": "user", "content": QUESTION}])
