"""What must not rest does not: not in the file, not in the full-text index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import afere
from afere.base.span import Trace
from afere.store.spans.store import SpanStore
from afere.tracing import collecting, configure, flush

KEY = "sk-proj-" + "Abc123" * 6


def rest(project: Path, trace_id: str) -> Trace:
    flush()
    store = SpanStore(project / ".afere", "handbook")
    trace = store.trace(trace_id)
    store.close()
    assert trace is not None
    return trace


def bytes_at_rest(project: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (project / ".afere").iterdir() if file.name.startswith("spans.db"))


def test_secrets_never_rest_whatever_the_settings(project: Path) -> None:
    with collecting() as c, afere.span("call", url=f"https://u:{KEY}@host/") as live:
        live.input({"headers": {"Authorization": f"Bearer {KEY}"}, "question": "hello there"})
        live.fail(ValueError(f"401 for {KEY}"))
    span = rest(project, live.trace_id).root
    assert KEY.encode() not in bytes_at_rest(project)
    assert span.error == "ValueError: 401 for [secret]" and "redacted" in span.marks
    value: Any = span.input
    assert value["headers"]["Authorization"] == "Bearer [secret]" and value["question"] == "hello there"
    assert KEY in str(c.traces[live.trace_id].root.input)  # the running program still has its own


def test_a_program_cannot_hide_a_secret_by_naming_a_scope(project: Path) -> None:
    """Of what came over OTLP the attributes say all; a program's own span says where it came from as it likes."""
    with afere.span("call", **{"scope.name": "another"}) as live:
        live.input({"note": KEY})
        live.output(f"so {KEY}")
    span = rest(project, live.trace_id).root
    assert (span.input, span.output) == ({"note": "[secret]"}, "so [secret]") and "redacted" in span.marks


def test_personal_data_is_taken_out_where_the_project_or_the_program_asks(project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\nredact: [email]\n")
    configure(redact=["card", lambda text: text.replace("Zenith", "[client]")])
    with afere.span("mail") as live:
        live.input(["Write to ana.reis@example.org for Zenith", "4111 1111 1111 1111", "912 345 678"])
        live.record.input_messages.append({"role": "user", "text": "I am ana.reis@example.org"})
    span = rest(project, live.trace_id).root
    assert span.input == ["Write to [email] for [client]", "[card]", "912 345 678"]
    assert span.input_messages == [{"role": "user", "text": "I am [email]"}]
    assert b"ana.reis" not in bytes_at_rest(project)


def test_content_none_keeps_the_structure_only(project: Path) -> None:
    configure(content=False)
    with afere.span("llm", kind="llm", diagnosis="private", weight=3, **{"server.address": "eu-1"}) as live:
        live.record.input_messages.append({"role": "user", "text": "a private matter", "tool_calls": []})
        live.record.model, live.record.input_tokens = "m", 12
        live.output({"answer": "yes", "sure": True, "score": 0.3})
        live.fail("TimeoutError: a private matter")
    span = rest(project, live.trace_id).root
    assert span.input_messages == [{"role": "user", "text": "[text of 16 characters]", "tool_calls": []}]
    assert span.output == {"answer": "[text of 3 characters]", "sure": True, "score": "[number]"}
    assert (span.model, span.input_tokens, span.error) == ("m", 12, "TimeoutError")
    assert {key: span.attributes.get(key) for key in ("server.address", "weight", "diagnosis")} == {
        "server.address": "eu-1", "weight": 3, "diagnosis": None,
    }  # fmt: skip
    assert b"private" not in bytes_at_rest(project)


def test_a_text_that_a_redactor_cannot_judge_does_not_rest(project: Path) -> None:
    def broken(text: str) -> str:
        raise RuntimeError("no")

    configure(redact=[broken])
    with afere.span("x") as live:
        live.input("private")
    assert rest(project, live.trace_id).root.input == "[redaction failed]"


def test_content_none_leaves_no_argument_standing_because_of_its_name(project: Path) -> None:
    configure(content=False)
    with afere.span("tool", kind="tool") as live:
        live.input({"name": "Ana Reis", "id": "PT-1"})
        live.record.tool = {"name": "lookup", "arguments": {"name": "Ana Reis"}, "result": None}
    span = rest(project, live.trace_id).root
    assert span.tool == {"name": "lookup", "arguments": {"name": "[text of 8 characters]"}, "result": None}
    assert span.input == {"name": "[text of 8 characters]", "id": "[text of 4 characters]"}


def test_a_text_of_megabytes_is_cut_and_says_so(project: Path) -> None:
    with afere.span("llm", kind="llm") as live:
        live.record.input_messages.append({"role": "user", "text": "x" * 3_000_000})
    span = rest(project, live.trace_id).root
    message: Any = span.input_messages[0]
    assert message["text"].endswith("(cut: 3000000 characters in all)") and len(message["text"]) < 1_100_000
    assert span.marks == ["cut"]
