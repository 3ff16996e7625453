"""Rules of one's own under `redact:`: kinds, patterns, keys and scopes, by either way into the store."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.trace import TracerProvider

import afere
import afere.store
from afere.base.errors import BadProject, MissingExtra
from afere.base.redact import Redaction
from afere.base.span import Span
from afere.server.intake import Writer
from afere.tracing import flush, otlp
from afere.tracing.foreign import provider
from afere.tracing.policy import Policy

PATTERN = '{pattern: "ACME-[0-9]+", as: order}'


def rules(project: Path, text: str) -> None:
    (project / "afere.yaml").write_text(f"project: handbook\nredact: [{text}]\n")


def stored(project: Path, trace_id: str) -> Span:
    flush()
    with afere.store.open(project / ".afere", project="handbook") as session:
        trace = session.spans.trace(trace_id)
    assert trace is not None
    return trace.root


def at_rest(project: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (project / ".afere").glob("spans.db*"))


def received(project: Path, attributes: dict[str, str], scope: str = "") -> Span:
    """What a server keeps of a span that another program sent."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    group.scope.name = scope
    group.spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name="call", start_time_unix_nano=1, end_time_unix_nano=2,
        attributes=[KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in attributes.items()],
    )  # fmt: skip
    with afere.store.open(project / ".afere", project="handbook") as session:
        writer = Writer(session)
        writer.put(writer.understood(otlp.traces(request.SerializeToString(), "protobuf")), None).result(10)
    return stored(project, (b"t" * 16).hex())


def arrived(
    project: Path, attributes: dict[str, str], form: otlp.Form, *, scope: str = "lib", failed: str = ""
) -> Span:
    """What a server keeps of a request as it reads one."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    group.scope.name = scope
    span = group.spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name="call", start_time_unix_nano=1, end_time_unix_nano=2,
        attributes=[KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in attributes.items()],
    )  # fmt: skip
    if failed:
        span.status.code, span.status.message = 2, failed
    body = request.SerializeToString()
    if form == "json":
        said = MessageToDict(request)
        said["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"traceId": "74" * 16, "spanId": "73" * 8}
        body = json.dumps(said).encode()
    with afere.store.open(project / ".afere", project="handbook") as session:
        Writer(session).receive(body, "", form, None, most=2**20, logs=False).result(10)
    return stored(project, (b"t" * 16).hex())


def made(attributes: dict[str, str], scope: str) -> str:
    """The trace of a span that an instrumentor in this program makes."""
    mine: TracerProvider = provider()
    with mine.get_tracer(scope).start_as_current_span("call", attributes=attributes) as span:
        pass
    return f"{span.get_span_context().trace_id:032x}"


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "my private matter"}]}]
    ),
}


def test_a_pattern_of_ones_own_is_taken_out_of_every_text(project: Path) -> None:
    pytest.importorskip("re2")
    rules(project, PATTERN)
    with afere.span("mail ACME-77", note="ACME-1 and ACME-22") as live:
        live.input({"ACME-3": ["ask for ACME-4", 5]})
    span = stored(project, live.trace_id)
    assert (span.name, span.attributes["note"]) == ("mail [order]", "[order] and [order]")
    assert span.input == {"[order]": ["ask for [order]", 5]} and span.marks == ["redacted"]
    assert re.search(rb"ACME-\d", at_rest(project)) is None


def test_an_anchored_pattern_means_the_ends_of_each_text(project: Path) -> None:
    pytest.importorskip("re2")
    rules(project, '{pattern: "^[0-9]{4}$", as: pin}')
    with afere.span("pay") as live:
        live.input(["1234", "order 1234", "99"])
    assert stored(project, live.trace_id).input == ["[pin]", "order 1234", "99"]


def test_the_values_of_keys_go_wherever_the_key_is(project: Path) -> None:
    rules(project, '{key: "*password*"}, {key: user.id, as: person}, {key: "attributes.tenant"}')
    with afere.context(user="42"), afere.span("log in", tenant="shop", **{"db.password": "hunter2"}) as live:
        live.input({"form": [{"Password": "hunter2", "Pa\u017fsword": "hunter2", "name": "ana", "tenant": "shop"}]})
        live.output('{"new_password": "hunter2", "ok": true}')
    span = stored(project, live.trace_id)
    assert span.user == "[person]" and span.attributes["tenant"] == "[redacted]"
    assert span.input == {
        "form": [{"Password": "[redacted]", "Pa\u017fsword": "[redacted]", "name": "ana", "tenant": "shop"}]
    }
    assert json.loads(str(span.output)) == {"new_password": "[redacted]", "ok": True}
    assert b"hunter2" not in at_rest(project) and "redacted" in span.marks


@pytest.mark.parametrize(
    "letter", ["\u017f", "\u212a", "\u0130", "\u0131"]
)  # as case is ignored, these are s, k, i and i
def test_letters_that_case_makes_the_same_are_of_a_key(project: Path, letter: str) -> None:
    rules(project, "{key: ship}, {key: keep}")
    name = (
        "keep".replace("k", letter)
        if letter == "\u212a"
        else "ship".replace("s" if letter == "\u017f" else "i", letter)
    )
    with afere.span("go", **{name: "hunter2"}) as live:
        pass
    assert stored(project, live.trace_id).attributes[name] == "[redacted]" and b"hunter2" not in at_rest(project)


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_what_json_writes_otherwise_is_found(project: Path, form: otlp.Form) -> None:
    pytest.importorskip("re2")
    rules(project, 'email, {pattern: "João Silva", as: person}, {key: "*.password"}')
    said = json.dumps({"who": "João Silva, ana@exemplo.pt", "more": json.dumps({"again": "João Silva"}), "n": "1\n2"})
    odd = '{"p\\u0061ssword": "hunter2", "mail": "ana\\u0040exemplo.pt"}'
    chat = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "I am João Silva"}]}])
    attributes = {**CHAT, "gen_ai.input.messages": chat, "metadata": said, "odd": odd}
    span = arrived(project, attributes, form)
    assert json.loads(str(span.attributes["metadata"])) == {
        "who": "[person], [email]", "more": '{"again": "[person]"}', "n": "1\n2",
    }  # fmt: skip
    assert json.loads(str(span.attributes["odd"])) == {"password": "[redacted]", "mail": "[email]"}
    assert "[person]" in str(span.attributes["gen_ai.input.messages"]) and "I am [person]" in str(span.input_messages)


def test_a_user_goes_by_whatever_name_a_dialect_has_it(project: Path) -> None:
    rules(project, "{key: user.id, as: person}")
    attributes = {
        "traceloop.association.properties.user_id": "zeb-42", "metadata": '{"user_id": "zeb-42"}', "plan": "zeb-427",
    }  # fmt: skip
    span = arrived(project, attributes, "protobuf")
    assert span.user == "[person]" and span.attributes["plan"] == "zeb-427"
    assert span.attributes["traceloop.association.properties.user_id"] == "[person]"
    assert span.attributes["metadata"] == '{"user_id": "[person]"}'


def test_of_a_scope_without_content_no_words_rest(project: Path) -> None:
    rules(project, '{scope: "quiet*", content: none}')
    with (project / "afere.yaml").open("a") as file:
        file.write("spans: {filterable: [tenant]}\n")
    attributes = {
        **CHAT,
        "note": "words of somebody",
        "answer": "yes",
        "gen_ai.agent.name": "Travel desk",
        "tenant": "shop",
    }
    span = arrived(project, attributes, "protobuf", scope="quiet.lib", failed="it said: words of somebody")
    assert span.attributes["gen_ai.agent.name"] == "Travel desk" and span.attributes["tenant"] == "shop"
    assert not {"note", "answer"} & span.attributes.keys() and span.error == "[text of 26 characters]"


@pytest.mark.parametrize("way", ["sent", "instrumented"])
def test_a_key_goes_before_anything_is_read_from_it(project: Path, way: str) -> None:
    rules(project, "{key: gen_ai.input.messages}")
    span = received(project, CHAT, "toy") if way == "sent" else stored(project, made(CHAT, "toy"))
    assert span.model == "gpt-4o-mini" and "redacted" in span.marks
    assert b"private matter" not in at_rest(project)


@pytest.mark.parametrize("way", ["sent", "instrumented"])
def test_of_a_scope_only_the_structure_rests(project: Path, way: str) -> None:
    rules(project, '{scope: "open*.private", content: none}')
    name = "openinference.private"
    span = received(project, CHAT, name) if way == "sent" else stored(project, made(CHAT, name))
    assert span.model == "gpt-4o-mini" and span.input_messages
    assert b"private matter" not in at_rest(project)
    other = stored(project, made(CHAT, "openinference.public"))
    assert "my private matter" in json.dumps(other.input_messages)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("emial", "emial"),
        ("{pattern: '(', as: x}", "cannot be read"),
        ("{pattern: 'a*'}", "empty text"),
        ("{pattern: 'a', as: '1 x'}", "cannot name"),
        ("{key: '******'}", "five"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_file(
    project: Path, entry: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("re2")
    rules(project, entry)
    with afere.store.open(project / ".afere") as session, pytest.raises(BadProject, match=why):
        Writer(session)
    with afere.span("goes on"):
        pass
    assert any(why in line.getMessage() and "afere.yaml" in line.getMessage() for line in caplog.records)


def test_a_pattern_without_its_library_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    rules(project, PATTERN.replace("ACME", "OTHER"))
    with afere.store.open(project / ".afere") as session, pytest.raises(MissingExtra, match=r"afere\[redact\]"):
        Writer(session)


texts = st.lists(
    st.text(alphabet="a@.1234 -\0{}\"':pswrd\n\\", max_size=40)
    | st.sampled_from(
        [
            "ana@example.org",
            '{"password": 1}',
            "4111 1111 1111 1111",
            "ACME-7",
            r'["ana\u0040example.org"]',
            r'{"p\u0061ss": 1}',
            json.dumps({"in": json.dumps({"Ação ACME-7": "João"})}),
        ]
    ),
    max_size=4,
)


@given(texts)
def test_one_look_at_all_texts_finds_whatever_each_of_them_has(parts: list[str]) -> None:
    pytest.importorskip("re2")
    whole = Redaction(["email", "card", "phone", {"pattern": "ACME-[0-9]+"}, {"pattern": "^1+$"}, {"key": "*pass*"}])
    narrowed = whole.narrowed(parts)
    seen: Any = whole if narrowed is None else narrowed
    for part in parts:
        expected = whole.text(part, "input")
        assert (part if narrowed is None else seen.text(part, "input")) == expected


_SECRET = "sk-proj-" + "a1B2" * 8


@given(
    st.text(max_size=12), st.text(max_size=12), st.sampled_from(["", "\\", '"', "\\n", "\n", "\t", '\\"', "\\\\", "\x01", "é"]),
    st.sampled_from(["input", "output", "attributes", "events", "input_messages", "documents", "tool"]),
)  # fmt: skip
def test_whatever_stands_around_a_secret_it_does_not_rest(before: str, after: str, sign: str, field: str) -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{'QUJD' * 12}\n-----END PRIVATE KEY-----"
    said = f"{before}{sign} {_SECRET} {sign}{after}\n{key}"
    held: Any = (
        {"text": said}
        if field in ("attributes", "tool")
        else said
        if field in ("input", "output")
        else [{"text": said}]
    )
    rested = json.dumps(getattr(Policy().apply(Span("a" * 32, "b" * 16, "x", 1, end=2, **{field: held})), field))
    assert _SECRET not in rested and "QUJD" not in rested and "[secret]" in rested
