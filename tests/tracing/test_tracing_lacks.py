"""What a trace does not tell, with the line that brings it; and where it comes from."""

from __future__ import annotations

from typing import Any

from afere.base.span import Span, Trace
from afere.tracing import dialects, lacks, origin

CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 131,
    "gen_ai.usage.output_tokens": 17, "gen_ai.input.messages": '[{"role": "user", "content": "Hi"}]',
}  # fmt: skip
RELEASE = {"resource.service.name": "shop", "resource.service.version": "1.4.2"}


def trace(*attributes: dict[str, Any], **fields: Any) -> Trace:
    spans = [
        Span("a" * 32, f"{number:016x}", "op", 1_795_000_000 * 10**9 + number, end=1_795_000_001 * 10**9, attributes=dict(said), **fields)
        for number, said in enumerate(attributes, 1)
    ]  # fmt: skip
    for span in spans:
        dialects.read(span)
    return Trace("a" * 32, tuple(spans))


def test_a_trace_that_tells_everything_lacks_nothing() -> None:
    assert lacks(trace({**CALL, **RELEASE})) == []
    assert lacks(trace(CALL, artifacts=[("chain:qa@3", "sha256:1")])) == []


def test_what_is_missing_is_said_with_the_line_that_brings_it() -> None:
    silent = {name: said for name, said in CALL.items() if name not in ("gen_ai.input.messages",)}
    (versions, inputs) = lacks(trace({**silent, "resource.service.name": "shop"}))
    assert versions.what == "which version ran" and "OTEL_RESOURCE_ATTRIBUTES" in versions.line
    assert inputs.what == "what the model was asked" and "CAPTURE_MESSAGE_CONTENT=SPAN_ONLY" in inputs.line
    (tokens,) = lacks(
        trace({**RELEASE, "gen_ai.operation.name": "chat", "gen_ai.input.messages": "Hi"}, {**CALL, **RELEASE})
    )
    assert tokens.what == "tokens and cost (1 of 2 calls)" and "include_usage" in tokens.line
    (cost,) = lacks(trace({**CALL, **RELEASE, "gen_ai.request.model": "our-own-model"}))
    assert "our-own-model" in cost.what and "gen_ai.usage.cost" in cost.line
    (unnamed,) = lacks(trace({**RELEASE, **{k: v for k, v in CALL.items() if k != "gen_ai.request.model"}}))
    assert "gen_ai.request.model" in unnamed.line


def test_what_was_taken_out_or_failed_is_not_missing() -> None:
    silent = {**RELEASE, **{name: said for name, said in CALL.items() if name != "gen_ai.input.messages"}}
    assert lacks(trace(silent, marks=["redacted"])) == []
    assert lacks(trace({**RELEASE, "gen_ai.operation.name": "chat"}, status="error")) == []
    assert [lack.what for lack in lacks(trace({}))] == ["which version ran"]


def test_the_origin_of_a_trace_is_taken_from_its_resource() -> None:
    said = {
        **CALL, "resource.service.name": "shop", "resource.service.version": "1.4.2", "resource.vcs.ref.head.revision": "bfe89a9",
        "resource.deployment.environment.name": "staging",
    }  # fmt: skip
    found = trace(said)
    assert origin(found) == ("shop", "1.4.2", "bfe89a9", "staging") and found.root.environment == "staging"
    assert found.root.attributes["service.version"] == "1.4.2"
    assert origin(trace({"resource.service.name": "unknown_service:python"})) == (None, None, None, None)
    assert origin(trace({"langfuse.release": "v7"})).version == "v7"
