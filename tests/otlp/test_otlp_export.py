"""`afere export --to`: stored traces as OTLP, to a second real server and to collectors that are down, busy or refuse."""

from __future__ import annotations

import json
import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from collectors import Collector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sending import Door, body, span

import afere
import afere.store
from afere.base.span import Span
from afere.cli import sending
from afere.cli.main import cli
from afere.server import Server
from afere.tracing import dialects, flush, otlp

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Door]:
    """A second afere, with a store of its own."""
    with afere.store.open(tmp_path / "other", project="elsewhere") as session:
        server = Server(session, port=0)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Door(server.url, session)
        server.stop()
        thread.join(10)


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, ["export", *words], catch_exceptions=True)


def fields(one: Span) -> dict[str, Any]:
    said = one.to_json()
    said.pop("attributes")
    said["marks"] = [mark for mark in one.marks if mark != "late"]  # as what was recorded long ago is by now
    return said


def traced() -> None:
    """A trace of afere's own with every kind of thing in it."""
    with afere.context(user="42", session="s-1"), afere.span("qa", kind="chain", tenant="shop") as root:
        root.input({"question": "How much notice?", "n": [1, None, True]})
        with afere.span("notice", kind="retrieval") as search:
            search.input("notice")
            search.record.documents.append({"id": "a#1", "text": "Four weeks.", "score": 0.5})
        with afere.span("chat", kind="llm") as call:
            call.use("component:answer@3", "abc123")
            record = call.record
            record.model, record.response_model, record.provider = "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openai"
            record.input_tokens, record.output_tokens, record.cached_input_tokens = 131, 17, 64
            record.cost, record.finish_reason, record.first_token_seconds = 0.25, "stop", 0.125
            record.input_messages += [
                {
                    "role": "user",
                    "text": "How much?",
                    "parts": [{"type": "text", "text": "How much?"}],
                    "tool_calls": [],
                }
            ]
            record.output_messages += [
                {"role": "assistant", "text": "", "parts": [],
                 "tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"q": "x"}}]}
            ]  # fmt: skip
            call.output('{"not": "an object, but a text"}')
        with afere.span("lookup", kind="tool") as tool:
            tool.record.tool = {"name": "lookup", "arguments": {"q": "x"}, "result": {"weeks": 4}}
            tool.event("looked", where="index")
            tool.input({"q": "x"})
            tool.output({"weeks": 4})
        with afere.span("judge", kind="judge") as judge:
            judge.output(False)
            judge.fail(ValueError("no verdict"))
        root.output("Four weeks.")
    flush()


def test_a_second_server_has_the_same_traces(project: Path, door: Door, other: Door) -> None:
    traced()
    for recorded in ("genai-openai", "openinference-langgraph", "vercel-ai", "langfuse-openai", "strands-agent"):
        assert door.post((RECORDED / f"{recorded}.traces.pb").read_bytes()).status == 200
    done = run("--to", other.url, "--json")
    assert done.exit_code == 0, done.output
    here, there = door.session.spans, other.session.spans.of("handbook")
    roots = here.find(limit=1000).items
    said = json.loads(done.output)
    assert (said["traces"], said["refused"]) == (len(roots), 0) and len(roots) > 5
    for root in roots:
        sent, got = here.trace(root.trace_id), there.trace(root.trace_id)
        assert sent is not None and got is not None
        assert [fields(one) for one in got.spans] == [fields(one) for one in sent.spans]
        assert got.totals == sent.totals
    assert run("--to", other.url + "/v1/traces", "--json").exit_code == 0
    assert there.count([root.trace_id for root in roots]) == said["spans"]  # again is harmless


def test_what_came_leaves_as_it_came(door: Door) -> None:
    sent = span("ask", attributes={"n": 7, "l": ["a", {"b": True}], "gen_ai.request.model": "m"}, kind=3)
    sent.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    sent.events.add(name="said", time_unix_nano=1_700_000_000_123_456_000, attributes=sent.attributes[:1])
    sent.trace_state, sent.status.message = "vendor=1", "fine"
    door.post(body(sent, service_version="1.2"))
    with Collector() as collector:
        assert run("--to", collector.url).exit_code == 0
    path, headers, packed = collector.came[0]
    assert path == "/v1/traces" and headers["content-encoding"] == "gzip"
    request = ExportTraceServiceRequest.FromString(otlp.unpack(packed, "gzip", most=10**6))
    got = request.resource_spans[0].scope_spans[0].spans[0]
    got.attributes.sort(key=lambda pair: pair.key)
    sent.attributes.sort(key=lambda pair: pair.key)
    assert str(got).splitlines() == str(sent).splitlines()
    resource = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert resource == {"service.name": "shop", "service.version": "1.2", "afere.project": "handbook"}


def test_own_spans_speak_the_genai_convention(project: Path) -> None:
    traced()
    with Collector() as collector:
        assert run("name:qa", "--to", collector.url).exit_code == 0
    request = ExportTraceServiceRequest.FromString(otlp.unpack(collector.came[0][2], "gzip", most=10**6))
    group = request.resource_spans[0].scope_spans[0]
    assert group.scope.name == "afere"
    said = {one.name: {pair.key: pair.value for pair in one.attributes} for one in group.spans}
    call = said["chat"]
    assert call["gen_ai.operation.name"].string_value == "chat" and call["gen_ai.usage.input_tokens"].int_value == 131
    assert json.loads(call["gen_ai.input.messages"].string_value) == [
        {"role": "user", "parts": [{"type": "text", "content": "How much?"}]}
    ]
    assert json.loads(call["gen_ai.output.messages"].string_value)[0]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"q": "x"}}
    ]
    assert json.loads(call["afere.artifacts"].string_value) == [{"ref": "component:answer@3", "hash": "abc123"}]
    assert call["gen_ai.conversation.id"].string_value == "s-1" and call["user.id"].string_value == "42"
    assert said["lookup"]["gen_ai.tool.call.result"].string_value == '{"weeks":4}'
    assert said["judge"]["error.type"].string_value == "ValueError" and "gen_ai.operation.name" not in said["judge"]


def test_a_collector_that_is_busy_is_asked_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced()
    monkeypatch.setenv("OTEL_KEY", "Bearer k-1")
    with Collector((429, {"retry-after": "0"}), (503, {}), (502, {})) as collector:
        monkeypatch.setattr(sending, "_PAUSES", (0.01,) * 5)
        assert run("--to", collector.url, "--header", "authorization=OTEL_KEY").exit_code == 0
    assert len(collector.came) == 1 and collector.came[0][1]["authorization"] == "Bearer k-1"


def test_what_cannot_be_sent_is_told_with_what_to_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced()
    monkeypatch.setattr(sending, "_PAUSES", (0.01,) * 5)
    with Collector((401, {})) as collector:
        done = run("--to", collector.url)
        assert done.exit_code and "answered 401" in str(done.exception)
        done = run("--to", collector.url, "--header", "authorization=NOT_SET")
        assert "NOT_SET" in str(done.exception) and "not set" in str(done.exception)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        away = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for wrong, why in (
        (away, "Run the same again"), ("http://169.254.169.254/", "not called"), ("ftp://x/", "http"),
        ("http://u:secret@localhost/", "headers"), ("out.csv", "jsonl"),
    ):  # fmt: skip
        done = run("--to", wrong)
        assert done.exit_code and why in str(done.exception) and "secret" not in str(done.exception)


def test_a_file_is_another_target(project: Path) -> None:
    traced()
    assert run("name:qa", "--to", "out.jsonl").exit_code == 0
    assert [json.loads(line)["name"] for line in Path("out.jsonl").read_text().splitlines()] == ["qa"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(['{"a": 1}', "[1", '"q"', "7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(["step", "chain", "llm", "tool", "retrieval", "judge", "guard", "embedding", "agent"]), values, values,
    st.none() | st.integers(0, 2**40), st.none() | st.floats(0, 1e6), st.dictionaries(st.text(min_size=1, max_size=9), values),
)  # fmt: skip
def test_any_span_is_read_again_as_it_was(
    kind: str, given_: Any, answered: Any, tokens: int | None, cost: float | None, attributes: dict[str, Any]
) -> None:
    here = Span("a" * 32, "b" * 16, "x", 10, kind=kind, end=20, input=given_, output=answered, input_tokens=tokens)
    here.cost, here.attributes = cost, attributes
    batch = otlp.traces(otlp.encode([here], "handbook"), "protobuf")
    there = batch.spans["handbook"][0]
    dialects.read(there)
    for name in ("kind", "input", "output", "input_tokens", "cost"):
        wanted, got = getattr(here, name), getattr(there, name)
        same = math.isclose(wanted, got) if isinstance(wanted, float) and got is not None else wanted == got
        assert same or (name == "cost" and not wanted), (name, wanted, got)
