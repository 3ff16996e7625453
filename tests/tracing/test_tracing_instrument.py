"""`afere.instrument()` with an instrumentor as the registry's are: found by entry point, given our tracer provider.

The attributes are those that the OpenAI instrumentors of both conventions send for the same call.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace as otel

import afere
from afere.base.errors import MissingExtra, NotFound
from afere.base.span import Span
from afere.store.spans.store import SpanStore
from afere.tracing import collecting, configure, flush, libraries

INSTRUMENTOR = """
class Instrumentor:
    tracer = None
    is_instrumented_by_opentelemetry = False
    def instrument(self, *, tracer_provider):
        Instrumentor.tracer = tracer_provider.get_tracer("toy")
        Instrumentor.is_instrumented_by_opentelemetry = True
"""

GENAI = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.response.finish_reasons": ("tool_calls",),
    "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "How much notice?"}]}]),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"q": "x"}}]}]
    ),
    "server.port": 443,
}  # fmt: skip
OPENINFERENCE = {
    "openinference.span.kind": "LLM", "llm.system": "openai", "llm.model_name": "gpt-4o-mini-2024-07-18",
    "llm.invocation_parameters": json.dumps({"model": "gpt-4o-mini"}), "llm.finish_reason": "tool_calls",
    "llm.token_count.prompt": 12, "llm.token_count.completion": 5, "llm.token_count.prompt_details.cache_read": 4,
    "input.value": json.dumps({"messages": "all of the request"}), "output.value": json.dumps({"choices": []}),
    "llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "Be short.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.text": "How much notice?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "lookup",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"q": "x"}',
    "server.port": 443,
}  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An installed distribution with an instrumentor for a library called `toy`."""
    site = tmp_path / "site"
    info = site / "opentelemetry_instrumentation_genai_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-genai-toy\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text("[opentelemetry_instrumentor]\ntoy = toy_instrumentor:Instrumentor\n")
    (site / "toy_instrumentor.py").write_text(INSTRUMENTOR)
    monkeypatch.syspath_prepend(str(site))
    for name in ("OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"):
        monkeypatch.setenv(name, "")  # put back after the test
        monkeypatch.delenv(name)
    yield importlib.import_module("toy_instrumentor").Instrumentor
    sys.modules.pop("toy_instrumentor", None)
    libraries._done.clear()


def test_calls_of_an_instrumented_library_join_our_trace(project: Path, toy: Any) -> None:
    assert afere.instrument() == ["toy"] and afere.instrument("toy") == ["toy"]
    assert type(otel.get_tracer_provider()).__name__ == "ProxyTracerProvider"
    start = toy.tracer.start_as_current_span
    with (
        collecting() as c,
        afere.context(user="42"),
        afere.span("qa", kind="chain") as qa,
        start("invoke", attributes={"gen_ai.operation.name": "invoke_agent"}),
        start("chat", attributes=GENAI),
        afere.span("inner"),
    ):
        pass
    trace = c.traces[qa.trace_id]
    parents = {span.name: span.parent_id for span in trace.spans}
    ids = {span.name: span.span_id for span in trace.spans}
    assert parents == {"qa": None, "invoke": ids["qa"], "chat": ids["invoke"], "inner": ids["chat"]}
    assert {span.user for span in trace.spans} == {"42"} and trace.named("invoke")[0].kind == "agent"
    flush()
    store = SpanStore(project / ".afere", "handbook")
    kept = store.trace(qa.trace_id)
    assert kept is not None and [span.marks for span in kept.spans] == [[], [], [], []]
    assert kept.totals.input_tokens == 12 and kept.totals.cost is not None
    assert [span.name for span in store.find("model:gpt-4o-mini notice").items] == ["qa"]
    store.close()


@pytest.mark.parametrize("attributes", [GENAI, OPENINFERENCE], ids=["genai", "openinference"])
def test_both_conventions_are_read_into_the_same_fields(project: Path, toy: Any, attributes: dict[str, Any]) -> None:
    span = _call(toy, "chat", attributes)
    assert (span.kind, span.model, span.response_model, span.provider) == (
        "llm", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai",
    )  # fmt: skip
    assert (span.input_tokens, span.output_tokens, span.cached_input_tokens, span.finish_reason) == (
        12,
        5,
        4,
        "tool_calls",
    )
    assert span.cost is not None and span.cost > 0
    messages: Any = span.input_messages + span.output_messages
    assert [(message["role"], message["text"]) for message in messages] == [
        ("system", "Be short."), ("user", "How much notice?"), ("assistant", ""),
    ]  # fmt: skip
    assert messages[2]["tool_calls"] == [{"id": "c1", "name": "lookup", "arguments": {"q": "x"}}]
    assert span.attributes["server.port"] == 443 and "notice" not in json.dumps(span.attributes)
    assert span.input is None and span.output is None


def test_tools_documents_and_errors_are_read(project: Path, toy: Any) -> None:
    tool = _call(toy, "execute_tool lookup", {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup", "gen_ai.tool.call.arguments": '{"q": 1}',
        "gen_ai.tool.call.result": "found",
    })  # fmt: skip
    assert tool.tool == {"name": "lookup", "arguments": {"q": 1}, "result": "found"} and tool.output == "found"
    search = _call(toy, "search", {
        "openinference.span.kind": "RETRIEVER", "input.value": "notice", "retrieval.documents.0.document.id": "a#1",
        "retrieval.documents.0.document.content": "Four weeks.", "retrieval.documents.0.document.score": 0.5,
    })  # fmt: skip
    assert (search.kind, search.input) == ("retrieval", "notice")
    assert search.documents == [{"id": "a#1", "text": "Four weeks.", "score": 0.5}]
    odd = _call(
        toy, "odd", {"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"role": "user", "parts": 7}]'}
    )
    assert odd.name == "odd" and "7" in json.dumps(odd.input_messages)
    with collecting() as c, pytest.raises(ValueError), toy.tracer.start_as_current_span("chat", attributes=GENAI):
        raise ValueError("no such model")
    failed = next(iter(c.traces.values())).root
    assert (failed.status, failed.error) == ("error", "ValueError: no such model")


def _call(toy: Any, name: str, attributes: dict[str, Any]) -> Span:
    afere.instrument()
    with collecting() as c, toy.tracer.start_as_current_span(name, attributes=attributes):
        pass
    return next(iter(c.traces.values())).root


def test_what_was_said_to_a_library_obeys_content_none(project: Path, toy: Any) -> None:
    configure(content=False)
    _call(toy, "chat", GENAI)
    flush()
    assert b"notice" not in b"".join(file.read_bytes() for file in (project / ".afere").glob("spans.db*"))


def test_what_cannot_be_traced_is_said_with_the_line_that_installs_it(
    project: Path, toy: Any, monkeypatch: Any
) -> None:
    with pytest.raises(NotFound, match="pip install opentelemetry-instrumentation-genai-nothere"):
        afere.instrument("nothere")
    libraries._provider.cache_clear()
    monkeypatch.setitem(sys.modules, "afere.tracing.foreign", None)
    monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    monkeypatch.delitem(sys.modules, "afere.tracing.foreign")
    with pytest.raises(MissingExtra, match=r"afere\[instrument\]"):
        afere.instrument()
