"""The OpenAI protocol as bytes: whatever the split, whatever the garbage."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afere.base.errors import BadInput, ModelFailed
from afere.base.message import Message, Part, ToolCall, Usage, message
from afere.models import Called, Done, Event, Reasoning, Request, Text
from afere.models.wire import openai as wire


def decoded(pieces: list[bytes]) -> list[Event]:
    decoder = wire.Decoder("m")
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps({"model": "m-1", "choices": choices, **more}, ensure_ascii=False)


def call(index: int, arguments: str, **more: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}}]}


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Hm, "}),
    chunk({"content": "Olá 🦀\n"}),
    chunk({"content": "data: [DONE]"}),
    chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "second", "arguments": "{}"}}]}),
    chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "first", "arguments": '{"city": "S'}}]}),
    chunk(call(0, 'ão Paulo"}')),
    chunk({}, "tool_calls"),
    chunk(usage={"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}),
]
EVENTS = [
    Reasoning("Hm, "),
    Text("Olá 🦀\n"),
    Text("data: [DONE]"),
    Called(ToolCall("a", "first", {"city": "São Paulo"})),
    Called(ToolCall("b", "second", {})),
    Done("tool_calls", Usage(9, 5, 4), "m-1"),
]


def written(end: str, *, done: bool = True) -> bytes:
    lines = [": comment", "event: message", *(f"id: 1{end}data: {text}{end}" for text in CHUNKS)]
    return (end.join(lines) + end + (f"data: [DONE]{end}{end}" if done else "")).encode()


@given(st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 1400)), st.booleans())
def test_any_split_of_a_stream_gives_the_same_events(end: str, cuts: list[int], done: bool) -> None:
    stream = written(end, done=done)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert decoded([stream[a:b] for a, b in pairwise(places)]) == EVENTS


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"data: ", b"\n\n", b"{", b'"choices":[{"delta":'])),
        max_size=12,
    )
)
def test_garbage_fails_as_a_model_and_never_otherwise(pieces: list[bytes]) -> None:
    try:
        decoded(pieces)
    except ModelFailed:
        return
    pytest.fail("bytes without an answer were taken for one")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "tool_calls", "function", "usage", "error", "index", "model"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values)
def test_json_of_any_shape_gives_events_that_can_be_kept_or_fails_as_a_model(first: Any, second: Any) -> None:
    stream = "".join(f"data: {json.dumps(value)}\n\n" for value in (first, {"choices": [{"delta": second}]}))
    try:
        events = decoded([stream.encode(), b'data: {"choices":[{"finish_reason":"stop"}]}\n\n'])
    except ModelFailed:
        return
    for event in events:
        if isinstance(event, Called):
            json.dumps(event.call.to_json(), allow_nan=False)
        elif isinstance(event, Text | Reasoning):
            event.text.encode()


@pytest.mark.parametrize("kept", range(1, len(CHUNKS) - 1))
def test_half_a_stream_is_a_failure(kept: int) -> None:
    stream = "".join(f"data: {text}\n\n" for text in CHUNKS[: kept if kept < 7 else 6])
    with pytest.raises(ModelFailed, match="ended early"):
        decoded([stream.encode()])
    with pytest.raises(ModelFailed, match="ended early"):
        decoded([stream.encode(), b'data: {"choices": [{"del'])


def test_an_error_in_the_middle_is_told_with_its_words() -> None:
    with pytest.raises(ModelFailed, match="overloaded, come back") as caught:
        decoded(
            [
                f'data: {CHUNKS[2]}\n\ndata: {{"error": {{"message": "overloaded,\\n come back", "code": 529}}}}\n\n'.encode()
            ]
        )
    assert caught.value.status == 529


def test_arguments_that_do_not_parse_are_handed_on_as_text() -> None:
    stream = [
        chunk({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x": NaN}'}}]}),
        chunk({}, "stop"),
    ]
    events = decoded(["".join(f"data: {text}\n\n" for text in stream).encode()])
    assert events[0] == Called(ToolCall("a", "f", '{"x": NaN}'))


def test_calls_without_numbers_are_told_apart_by_their_ids() -> None:
    calls = [{"tool_calls": [{"id": name, "function": {"name": name, "arguments": "{}"}}]} for name in ("a", "b")]
    stream = "".join(f"data: {text}\n\n" for text in [*map(chunk, calls), chunk({}, "stop")])
    assert decoded([stream.encode()])[:2] == [Called(ToolCall("a", "a", {})), Called(ToolCall("b", "b", {}))]


def test_an_answer_in_one_piece_gives_the_same_events() -> None:
    answer = {
        "model": "m-1",
        "choices": [{"message": {"role": "assistant", "content": "Olá", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}},
    }  # fmt: skip
    assert wire.whole(answer, "m") == [
        Text("Olá"), Called(ToolCall("a", "f", {})), Done("tool_calls", Usage(1, 2, None, 1), "m-1"),
    ]  # fmt: skip
    with pytest.raises(ModelFailed, match="no answer"):
        wire.whole({"hello": "world"}, "m")


def test_pictures_go_as_addresses_and_thoughts_stay_here() -> None:
    seen = Message("user", (Part("text", "What is this?"), Part("image", url="https://host/a.png")))
    thought = Message("assistant", (Part("reasoning", "Hm."), Part("text", "A crab.")))
    body = wire.body(Request((seen, thought), {"temperature": 0}), "m")
    assert body["messages"] == [
        {"role": "user", "content": [
            {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://host/a.png"}}]},
        {"role": "assistant", "content": "A crab."},
    ]  # fmt: skip
    with pytest.raises(BadInput, match="image without an address"):
        wire.body(Request((Message("user", (Part("image", blob="sha256:00"),)),)), "m")
    with pytest.raises(BadInput, match="messages cannot be set"):
        wire.body(Request((message("user", "x"),), {"messages": []}), "m")


def test_probabilities_of_tokens_are_told_in_one_piece_and_streamed() -> None:
    said = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}, {"token": "?", "logprob": None}]
    one = {"index": 0, "delta": {"content": "a"}, "finish_reason": None, "logprobs": {"content": said[:1]}}
    two = {"index": 0, "delta": {"content": "b"}, "finish_reason": None, "logprobs": {"content": said[1:]}}
    end = {"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None}
    lines = "".join(f"data: {json.dumps({'model': 'm', 'choices': [each]})}\n\n" for each in (one, two, end))
    body = f"{lines}data: [DONE]\n\n".encode()
    whole = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop", "logprobs": {"content": said}}]}
    for events in (wire.streamed(body, "m"), decoded([body]), wire.whole(whole, "m")):
        assert "".join(event.text for event in events if isinstance(event, Text)) == "ab"
        done = events[-1]
        assert isinstance(done, Done) and done.logprobs == (-0.5, -1.0)
