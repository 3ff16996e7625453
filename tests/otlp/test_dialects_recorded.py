"""What real libraries sent, as recorded in `recorded/`, through the server and into the fields of spans."""

from __future__ import annotations

import json
from typing import Any

import pytest
import recordings
from recordings import RECORDED
from sending import PROTOBUF, Door

from afere.base.span import Trace, totals
from afere.tracing import dialects, lacks

# What is sent and not read, or read otherwise than the program said it, and why. All else must be "yes" or not sent.
KNOWN: dict[str, dict[str, str]] = {
    "mlflow-openai": {"provider": "it names the format of the messages, not who answered"},
    "traceloop-langgraph": {"reasoning": "only inside the output of the whole graph, not with the call"},
    "openinference-langgraph": {
        "tool arguments": "of a tool with one argument only its value is sent, without its name"
    },
}
# Tokens in and out that the calls of each program add up to; where it is not 131 and 17 a call, why.
SUMS = {
    "adk-agent": (3 * 131, 3 * 17), "genai-anthropic": (4 * 131, 4 * 17), "genai-langgraph": (4 * 131, 4 * 17),
    "genai-openai": (4 * 131 + 2, 4 * 17), "genai-openai-events": (4 * 131, 4 * 17), "langfuse-openai": (4 * 131 + 2, 4 * 17),
    "langsmith-langgraph": (4 * 131, 4 * 17), "logfire-openai": (4 * 131 + 2, 4 * 17), "mlflow-openai": (4 * 131 + 2, 4 * 17),
    "openai-v2-events": (4 * 131, 4 * 17), "openinference-anthropic": (4 * 131, 4 * 17), "openinference-langgraph": (4 * 131, 4 * 17),
    "openinference-llama-index": (5 * 131, 5 * 17), "openinference-openai": (4 * 131 + 2, 4 * 17),
    "openinference-openai-agents": (3 * 131, 3 * 17), "openlit-openai": (4 * 131 + 2, 4 * 17), "pydantic-ai-agent": (3 * 131, 3 * 17),
    "strands-agent": (3 * 131, 3 * 17), "traceloop-langgraph": (4 * 131, 4 * 17), "traceloop-openai": (4 * 131 + 2, 4 * 17),
    "vercel-ai": (4 * 131 + 2, 4 * 17),
    # It counts 18 for a streamed answer of 17, and ends before the span that the SDK makes itself: that is another trace.
    "traceloop-anthropic": (8 * 131, 8 * 17 + 1),
}  # fmt: skip
_HELD = [name for name in recordings.names() if "interrupt" not in name]


@pytest.mark.parametrize("name", _HELD)
def test_what_a_real_library_sent_is_read(name: str) -> None:
    missing = {fact for fact, answer in recordings.table(name).items() if answer == "no"}
    assert missing == set(KNOWN.get(name, {}))


@pytest.mark.parametrize("name", _HELD)
def test_no_token_is_counted_twice(name: str) -> None:
    read = recordings.read(name)
    by_trace = [
        totals([span for span in read if span.trace_id == trace_id]) for trace_id in {span.trace_id for span in read}
    ]
    sums = [sum(getattr(one, field) or 0 for one in by_trace) for field in ("input_tokens", "output_tokens")]
    assert tuple(sums) == SUMS[name]


@pytest.mark.parametrize("name", recordings.names())
def test_what_came_stays_as_it_came_and_reading_again_changes_nothing(name: str) -> None:
    for span in recordings.spans(name):
        before = json.dumps(span.attributes)
        dialects.read(span)
        assert json.loads(before).items() <= json.loads(json.dumps(span.attributes)).items()
        once = json.dumps(span.to_json())
        dialects.read(span)
        assert json.dumps(span.to_json()) == once


@pytest.mark.parametrize("name", recordings.names())
def test_content_none_lets_no_text_rest(name: str) -> None:
    for span in recordings.read(name):
        bare = dialects.without_content(span)
        rest = json.dumps([bare.attributes, bare.events])
        assert not any(text in rest for text in ("Capital", "Be brief", "sunny", "Within 30"))


@pytest.mark.parametrize("name", ["genai-openai-events", "openai-v2-events", "strands-agent", "vercel-ai"])
def test_the_server_shows_what_was_said_wherever_it_came(door: Door, name: str) -> None:
    for kind in ("logs", "traces"):  # content first: it waits for its span
        file = RECORDED / f"{name}.{kind}.pb"
        if file.exists():
            assert door.post(file.read_bytes(), PROTOBUF, f"/v1/{kind}").status == 200
    found = door.session.spans.find("kind:llm", roots=False, limit=50).items
    calls = [span for one in found for span in _whole(door, one.trace_id).of_kind("llm") if span.span_id == one.span_id]
    told: Any = [message for call in calls for message in call.output_messages]
    assert {"Paris.", "It is sunny."} <= {message["text"] for message in told}
    assert any(call.status == "error" for call in calls)


def _whole(door: Door, trace_id: str) -> Trace:
    trace = door.session.spans.trace(trace_id)
    assert trace is not None
    return trace


def test_an_agents_own_sums_and_answer_are_kept() -> None:
    agent = next(span for span in recordings.read("pydantic-ai-agent") if span.name.endswith("forecast"))
    assert (agent.kind, agent.input_tokens, agent.output) == ("agent", 262, "It is sunny.")
    outer = [span for span in recordings.read("vercel-ai") if span.name.startswith("ai.generateText")]
    assert {span.kind for span in outer} == {"chain", "llm"}


def test_a_streamed_call_of_logfire_has_its_answer_in_a_second_span() -> None:
    begun, said = [span for span in recordings.read("logfire-openai") if span.kind == "llm"][1:3]
    assert (begun.output_messages, begun.input_tokens) == ([], None)
    assert (said.output_messages[0]["text"], said.input_tokens, said.parent_id) == ("Paris.", 131, begun.parent_id)  # type: ignore[index]
    assert [lack.what for lack in lacks(Trace(begun.trace_id, (begun, said)))] == []


def test_prompt_and_release_are_named() -> None:
    attributes = [span.attributes for span in recordings.read("openinference-openai")]
    assert {one.get("gen_ai.prompt.version") for one in attributes} == {"3", None}
    langfuse = recordings.read("langfuse-openai")
    assert {span.attributes.get("service.version") for span in langfuse} == {"1.4.2"}
    assert {span.environment for span in langfuse} == {"staging"}


@pytest.mark.parametrize(
    "name", ["openinference-langgraph-interrupt", "traceloop-langgraph", "langsmith-langgraph-interrupt"]
)
def test_a_graph_that_waits_for_a_person_is_paused_and_not_failed(name: str) -> None:
    read = recordings.read(name)
    paused = [span for span in read if span.status == "paused"]
    assert {span.error for span in paused} == {None} and paused[-1].name.rpartition(" ")[2] == "ask"
    assert "approval" in paused[0].name and paused[0].parent_id is None and len({span.trace_id for span in paused}) == 1
    resumed = [span for span in read if "approval" in span.name and span.parent_id is None and span not in paused]
    assert [(span.status, span.session) for span in resumed] == [("ok", paused[0].session)] and paused[0].session
