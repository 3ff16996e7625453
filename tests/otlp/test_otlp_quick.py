"""What rests as it came says the same as what is read whole: in its row, in what can be searched, and when it is read again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from recordings import RECORDED, names

from afere.base.clock import now_ns
from afere.base.span import Span
from afere.store.spans import wire as span_wire
from afere.store.spans.chunks import Kept
from afere.store.spans.rows import AT, Entry, detail
from afere.store.spans.store import SpanStore
from afere.store.spans.texts import strings, tokens
from afere.store.spans.write import entry_of
from afere.tracing import dialects
from afere.tracing.dialects.glance import Shape, Spans
from afere.tracing.otlp.kept import Kept as AsItCame
from afere.tracing.otlp.quick import Quick
from afere.tracing.policy import Policy


def entries(body: bytes, redact: list[Any] | None = None) -> list[tuple[Entry, Span]]:
    """What goes the quick way, each with the same span read whole."""
    batch = Quick(Policy(redact=redact or [])).traces(body)
    found: list[tuple[Entry, Span]] = []
    for spans in batch.spans.values():
        for one in spans:
            if isinstance(one, Entry):
                assert one.again is not None
                span = one.again()
                dialects.read(span)
                found.append((one, span))
    return found


def shown(text: str | None) -> str:
    """A glance without the difference between JSON as it was written and as we write it."""
    try:
        return json.dumps(json.loads(text or "null"))
    except ValueError:
        return "".join((text or "").split())[:80]


def at_rest(entry: Entry) -> Kept:
    return AsItCame(entry.part.data, *(json.loads(one) for one in entry.part.common))


def check(entry: Entry, span: Span) -> None:
    """The row, the texts and what is read again are those of the whole span."""
    whole = entry_of(span)
    for column, place in AT.items():
        if column not in ("input", "output"):
            assert entry.row[place] == whole.row[place], (span.name, column)
        else:
            assert (entry.row[place] is None) == (whole.row[place] is None), (span.name, column)
            assert shown(entry.row[place]) == shown(whole.row[place]), (span.name, column)
    said = {word for text in entry.texts for word in tokens(text)}
    lacking = {word for text in strings(detail(span)) for word in tokens(text)} - said
    # Names of roles and parts, and names in what a tool was given and gave back, say nothing that people look for.
    named = {
        word
        for text in map(str, span.attributes.values())
        for name in re.findall(r'"([^"\\]+?)":', text)
        for word in tokens(name)
    }
    assert lacking <= named | {"user", "assistant", "system", "tool", "text", "reasoning"}, span.name
    assert set(entry.keys) == set(whole.keys) and entry.begins == whole.begins
    kept = at_rest(entry)
    assert kept.details() == detail(span) and kept.texts() == list(entry.texts)
    light = kept.light()
    assert light.get("attributes", {}) == span.attributes and light.get("marks", []) == span.marks


@pytest.mark.parametrize("name", names())
def test_recorded_programs_are_read_alike_the_quick_way_and_the_long_way(name: str) -> None:
    body = (RECORDED / f"{name}.traces.pb").read_bytes()
    for entry, span in entries(body):
        check(entry, span)


def test_most_spans_of_most_programs_go_the_quick_way() -> None:
    quick = [name for name in names() if entries((RECORDED / f"{name}.traces.pb").read_bytes())]
    assert len(quick) > len(names()) / 2


def request(attributes: dict[str, Any], name: str = "chat") -> bytes:
    made = ExportTraceServiceRequest()
    span = made.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = b"\1" * 16, b"\2" * 8, name
    span.start_time_unix_nano, span.end_time_unix_nano = now_ns() - 10**9, now_ns()
    for key, value in attributes.items():
        field = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        span.attributes.append(KeyValue(key=key, value=AnyValue(**{field: value})))
    return made.SerializeToString()


KEYS = (
    "openinference.span.kind", "gen_ai.operation.name", "llm.model_name", "gen_ai.request.model", "gen_ai.usage.input_tokens",
    "llm.token_count.prompt", "llm.cost.total", "session.id", "user.id", "input.value", "output.value", "gen_ai.input.messages",
    "llm.input_messages.0.message.role", "llm.input_messages.0.message.content", "retrieval.documents.0.document.id",
    "retrieval.documents.0.document.content", "error.type", "tool.name", "traceloop.entity.input", "ai.prompt", "ai.response.text",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "type", "parts", "kwargs", "args", "id"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
VALUES = (
    st.sampled_from(["LLM", "TOOL", "RETRIEVER", "EMBEDDING", "chat", "execute_tool", "user", "gpt-4o", "[", '"x"', "{", ""])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | JSON.map(json.dumps)
    | st.booleans() | st.integers(-5, 2**62) | st.floats(allow_nan=False)
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=7))
def test_any_attributes_are_read_alike_the_quick_way_and_the_long_way(attributes: dict[str, Any]) -> None:
    found = entries(request(attributes))
    assert found
    for entry, span in found:
        whole = entry_of(span)
        for column, place in AT.items():
            if column not in ("input", "output"):
                assert entry.row[place] == whole.row[place], column
        assert at_rest(entry).details() == detail(span)


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("my key is sk-proj-abcdefghijklmnopqrstuv", []),
        ('{"key": "sk\\u002dproj-abcdefghijklmnopqrstuv"}', []),
        ("write to ana@example.com", ["email"]),
        ('[{"role": "user", "content": "ana\\u0040example.com"}]', ["email"]),
        (
            '[{"role": "user", "parts": [{"type": "text", "content": "ana@"}, {"type": "text", "content": "example.com"}]}]',
            ["email"],
        ),
        ('[{"role": "user", "content": ["my key is sk-proj-", "abcdefghijklmnopqrstuv"]}]', []),
        ('{"password": "x"}', [{"key": "password"}]),
        ('{"to\u212aen": "x"}', [{"key": "token"}]),  # the sign for kelvin, which is a k in small letters
        ("écrire à ana@example.com, s'il vous plaît…", ["email"]),
        ('{"a": "%s", "pass\\u0077ord": "x"}' % ("so long " * 50), [{"key": "password"}]),
    ],
)
def test_what_must_not_rest_never_goes_the_quick_way(value: str, entry: list[Any]) -> None:
    assert entries(request({"input.value": value, "openinference.span.kind": "LLM"}), entry) == []
    said = '[{"role": "user", "content": [{"text": "good"}, {"text": "day"}]}]'
    assert len(entries(request({"input.value": said, "openinference.span.kind": "LLM"}), entry)) == 1
    assert len(entries(request({"input.value": "good day", "openinference.span.kind": "LLM"}), entry)) == 1


SECRET = st.sampled_from(
    ["ana@example.com", "ACME-1234", "sk-proj-abcdefghijklmnopqrstuv", "DE89370400440532013000", "4111 1111 1111 1111"]
)
TOLD = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
    | st.builds(
        lambda before, secret, after: before + secret + after, st.text(max_size=70), SECRET, st.text(max_size=3)
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "text", "password", "role"]), inner)
    ),
    max_leaves=5,
)
RULES: list[Any] = ["email", "iban", "card", {"pattern": r"\bACME-[0-9]+\b", "as": "order"}, {"key": "password"}]


def written(told: Any, *, ascii: bool) -> str:
    text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=ascii)
    return text.encode("utf-8", "replace").decode()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), st.builds(written, TOLD, ascii=st.booleans()), max_size=4))
def test_what_goes_the_quick_way_has_nothing_that_the_long_way_takes_out(attributes: dict[str, str]) -> None:
    policy = Policy(redact=RULES)
    for _, span in entries(request(attributes), RULES):
        assert policy.hidden(span) is span and policy.apply(span, derived=True) is span


@pytest.mark.parametrize("length", [*range(60, 96), 130])
def test_a_pattern_of_whole_words_is_found_whatever_bytes_of_the_request_stand_beside_them(length: int) -> None:
    entry = [{"pattern": r"\bACME-[0-9]+\b", "as": "order"}]
    for value in ("ACME-1234".ljust(length, "."), "ACME-1234".rjust(length, ".")):
        assert entries(request({"input.value": value, "openinference.span.kind": "LLM"}), entry) == []


def test_a_span_that_no_glance_foresaw_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = Shape.glance

    def glance(self: Shape, spans: Spans) -> Any:
        if "odd" in spans.column("input.value"):
            raise LookupError("odd")
        return as_it_is(self, spans)

    monkeypatch.setattr(Shape, "glance", glance)
    batch = Quick(Policy()).traces(request({"input.value": "odd"}) + request({"input.value": "good day"}))
    odd, good = batch.spans[None]
    assert isinstance(odd, Span) and odd.attributes["input.value"] == "odd" and isinstance(good, Entry)


ANSWER = json.dumps({"intent": "refund", "slots": {"order": "A7"}})


@pytest.mark.parametrize(
    "attributes",
    [
        {"llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": ANSWER},
        {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}]}])},
    ],
)
def test_names_in_an_answer_that_is_json_are_found_as_they_are_shown(
    attributes: dict[str, Any], tmp_path: Path
) -> None:
    store = SpanStore(tmp_path, "p")
    store.enter([entry for entry, _ in entries(request({"openinference.span.kind": "LLM", **attributes}))])
    assert [store.find(word).items[0].output for word in ("intent", "slots", "refund", "A7")] == [ANSWER] * 4
    store.close()


def test_what_rests_as_it_came_is_found_read_and_erased(tmp_path: Path) -> None:
    store = SpanStore(tmp_path, "p", filterable=["tenant"])
    body = request(
        {"openinference.span.kind": "LLM", "input.value": "the quokka's notice", "user.id": "42", "tenant": "acme"}
    )
    store.enter([entry for entry, _ in entries(body)])
    assert [span.input for span in store.find("quokka").items] == ["the quokka's notice"]
    assert store.find("attr.tenant:acme").items[0].attributes["tenant"] == "acme"
    trace = store.trace("01" * 16)
    assert trace is not None and trace.root.kind == "llm" and trace.root.input == "the quokka's notice"
    store.enter([entry for entry, _ in entries(body)])  # the same again
    assert store.stats()[0]["count"] == 1 and len(store.find("quokka", roots=False).items) == 1
    store.close()


def test_spans_of_our_own_client_are_held_to_the_rules_of_the_server() -> None:
    secret = "sk-" + "a1B2" * 12
    spans = [
        Span(
            "ab" * 16, f"{number:016x}", "op", 10, end=20, input=said, attributes={"user": {"password": "pass-phrase"}}
        )
        for number, said in enumerate(("plain", "write to ana@example.com", f"key\n{secret}", "x" * 2_000_000), 1)
    ]
    body = span_wire.request([span_wire.written(span) for span in spans])
    whole, hidden = (
        [
            one.again()
            for one in Quick(Policy(redact=rules)).traces(body).spans[None]
            if isinstance(one, Entry) and one.again
        ]
        for rules in ([], ["email", {"key": "*.password"}])
    )
    assert [whole[0], whole[1]] == spans[:2] and secret not in str(whole[2]) and whole[3].marks == ["cut"]
    assert "ana@example.com" not in str(hidden) and "pass-phrase" not in str(hidden) and secret not in str(hidden)
    assert [span.marks for span in hidden] == [["redacted"]] * 3 + [["cut", "redacted"]]


def test_a_bad_span_of_our_own_client_costs_only_itself() -> None:
    good = span_wire.written(Span("ab" * 16, "cd" * 8, "op", 10, end=20))
    bad = [
        good.replace(b'"kind":"step"', b'"kind":12345 '),
        good.replace(b"afere.columns", b"afere.columnz"),
        good[:-1],
        re.sub(rb'\{"name".*?\}', lambda found: b'"%s"' % (b"x" * (len(found[0]) - 2)), good),
    ]
    batch = Quick(Policy()).traces(span_wire.request([*bad, good]))
    assert len(batch.spans[None]) == 1 and batch.rejected.total() == 4 and batch.ours
    assert "its kind is of another type" in batch.why
