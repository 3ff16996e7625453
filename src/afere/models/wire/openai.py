"""The OpenAI chat and embeddings protocol: requests to bodies, bytes to events. Pure, and spoken by many servers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson

from afere.base.canonical import Json, parsed
from afere.base.errors import BadInput, ModelFailed
from afere.base.message import Message, Part, ToolCall, Usage
from afere.base.once import Once
from afere.models.request import Called, Done, Event, Reasoning, Request, Text
from afere.models.wire.sse import EventStream

_OURS = frozenset({"messages", "model", "stream", "stream_options", "tools", "response_format"})


def body(request: Request, model: str, *, stream: bool = True) -> dict[str, Json]:
    """The body of POST /chat/completions."""
    taken = _OURS & set(request.parameters)
    if taken:
        raise BadInput(
            f"parameters: {', '.join(sorted(taken))} cannot be set here. Tools, output and messages have their own place "
            "in a prompt file."
        )
    written: dict[str, Json] = {
        **request.parameters,
        "model": model,
        "messages": [_message(m) for m in request.messages],
    }
    if stream:
        written |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.tools:
        written["tools"] = [{"type": "function", "function": tool.to_json()} for tool in request.tools]
    if request.output is not None:
        written["response_format"] = _format(request.output)
    return written


def _message(message: Message) -> Json:
    written: dict[str, Json] = {"role": message.role}
    if (
        len(message.parts) == 1
        and message.parts[0].type == "text"
        and not message.tool_calls
        and message.role != "tool"
    ):
        written["content"] = message.parts[0].text
        return written
    parts = [part for part in message.parts if part.type != "reasoning"]  # no server wants its own thoughts back
    if all(part.type == "text" for part in parts):
        written["content"] = message.text
    else:
        written["content"] = [_part(part) for part in parts]
    if message.tool_calls:
        written["content"] = written["content"] or None
        written["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "tool":
        written["tool_call_id"] = message.tool_call_id or ""
    return written


def _call(call: ToolCall) -> Json:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _part(part: Part) -> Json:
    if part.type == "text":
        return {"type": "text", "text": part.text}
    if not part.url:
        raise BadInput(
            f"A message holds {part.type} without an address: give it a url, https://... or data:...;base64,..."
        )
    if part.type == "image":
        return {"type": "image_url", "image_url": {"url": part.url}}
    if part.type == "document":
        return {"type": "file", "file": {"file_data": part.url}}
    head, _, data = part.url.partition(";base64,")
    if not data:
        raise BadInput(
            "A message holds audio as an address: this protocol takes sound only as data:audio/...;base64,..."
        )
    return {"type": "input_audio", "input_audio": {"data": data, "format": head.rpartition("/")[2]}}


def _strict(schema: Json) -> bool:
    """Whether a schema is of the kind that OpenAI can enforce: closed objects with every property required."""
    if isinstance(schema, list):
        return all(_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        names, required = properties if isinstance(properties, dict) else {}, schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if set(names) != set(cast("list[str]", required)):
            return False
    return all(_strict(part) for part in schema.values())


def _format_of(output: Mapping[str, Json]) -> Json:
    schema = dict(output)
    return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": _strict(schema)}}


_format = Once(_format_of)


class Decoder:
    """The bytes of a streamed answer, split anywhere, become events; `end` when there are no more."""

    def __init__(self, model: str) -> None:
        self._stream = EventStream()
        self._model = model
        self._calls: dict[int, dict[str, str]] = {}
        self._finish: str | None = None
        self._usage = Usage()
        self._logprobs: list[float] = []
        self._ended = False

    def feed(self, piece: bytes) -> list[Event]:
        """The events that this piece completes. ModelFailed for an error the server reports, or for garbage."""
        return [event for data in self._stream.feed(piece) for event in self._data(data)]

    def end(self) -> list[Event]:
        """The last events. ModelFailed if the answer is not whole."""
        events: list[Event] = []
        for data in self._stream.end():
            if data.strip() == "[DONE]" or json_object(data) is not None:
                events += self._data(data)
        if not self._ended and self._finish is None:
            raise ModelFailed(f"{self._model}: the stream ended early, before the answer was whole. Try again.")
        return events if self._ended else [*events, *self._last()]

    def finished(self) -> list[Event]:
        """The last events, where the end of the stream was seen."""
        return self._last()

    def _data(self, data: str) -> list[Event]:
        if self._ended or not data.strip():
            return []
        if data.strip() == "[DONE]":
            return self._last()
        chunk = json_object(data)
        if chunk is None:
            raise ModelFailed(f"{self._model}: the stream holds something that is not JSON: {excerpt(data)!r}.")
        return self.chunk(chunk)

    def chunk(self, chunk: Mapping[str, Any]) -> list[Event]:
        """The events of one chunk, parsed."""
        _raise_error(chunk, self._model)
        self._usage = _usage(chunk.get("usage")) or self._usage
        self._model = _text(chunk.get("model")) or self._model
        choice = _first(chunk.get("choices"))
        if not choice:
            return []
        self._finish = _text(choice.get("finish_reason")) or self._finish
        if (said := choice.get("logprobs")) is not None:
            each = [token.get("logprob") for token in _items(_mapping(said).get("content"))]
            self._logprobs += [float(cast("float", one)) for one in each if _is_number(one)]
        return self._delta(_mapping(choice.get("delta")))

    def _delta(self, delta: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        if thought:
            events.append(Reasoning(thought))
        text = _text(delta.get("content")) or _text(delta.get("refusal"))
        if text:
            events.append(Text(text))
        for piece in _items(delta.get("tool_calls")):
            known = self._calls.setdefault(self._index(piece), {"id": "", "name": "", "arguments": ""})
            function = _mapping(piece.get("function"))
            known["id"] = known["id"] or _text(piece.get("id"))
            known["name"] = known["name"] or _text(function.get("name"))
            known["arguments"] += _arguments(function.get("arguments"))
        return events

    def _index(self, piece: Mapping[str, Any]) -> int:
        """Which call a piece belongs to; a server that does not number them begins each with its own id."""
        index = piece.get("index")
        if isinstance(index, int):
            return index
        last = max(self._calls, default=0)
        begins = bool(self._calls) and _text(piece.get("id")) not in ("", self._calls[last]["id"])
        return last + 1 if begins else last

    def _last(self) -> list[Event]:
        if self._finish is None:
            raise ModelFailed(f"{self._model}: the stream ended early, without a reason to finish. Try again.")
        self._ended = True
        called = [Called(_tool_call(number, call)) for number, call in sorted(self._calls.items())]
        return [*called, Done(self._finish, self._usage, self._model, tuple(self._logprobs))]


def streamed(body: bytes, model: str) -> list[Event]:
    """The events of a stream that is there as a whole, pieces of text together."""
    decoder = Decoder(model)
    chunks = _chunks(body)
    if chunks is None:
        return [*decoder.feed(body), *decoder.end()]
    events: list[Event] = []
    text: list[str] = []
    for chunk in chunks:
        try:  # most hold a piece of text and nothing else of interest; what has a "content" is a dict
            choice = chunk["choices"][0]
            delta = choice["delta"]
            piece = delta["content"]
            alone = type(piece) is str and len(delta) == 1 and not choice.get("finish_reason")
            if alone and not (chunk.get("usage") or chunk.get("error") or choice.get("logprobs")):
                text.append(piece)
                continue
        except (KeyError, IndexError, TypeError):
            pass
        if text:
            events.append(Text(_text("".join(text))))
            text = []
        events += decoder.chunk(chunk)
    if text:
        events.append(Text(_text("".join(text))))
    return [*events, *decoder.finished()]


def _chunks(body: bytes) -> list[dict[str, Any]] | None:
    """The chunks of a stream of one line each, as nearly all servers write them: read as one text of JSON, in a fraction of
    the time. None for any other stream.
    """
    if not (body.startswith(b"data: {") and body.endswith(_DONE)):
        return None
    inner = body[6 : -len(_DONE)].replace(b"\n\ndata: ", b",")
    if b"\n" in inner or b"\r" in inner:
        return None
    try:
        chunks = orjson.loads(b"[%b]" % inner)
    except ValueError:
        return None
    return chunks if set(map(type, chunks)) <= {dict} else None


_DONE = b"\n\ndata: [DONE]\n\n"


def whole(answer: Mapping[str, Any], model: str) -> list[Event]:
    """The events of an answer that came in one piece."""
    _raise_error(answer, model)
    choice = _first(answer.get("choices"))
    said = choice.get("message")
    if not isinstance(said, Mapping):
        raise ModelFailed(f"{model}: this is no answer: {excerpt(json.dumps(answer, default=str))!r}.")
    decoder = Decoder(model)
    chunk: dict[str, Any] = {
        **answer,
        "choices": [{**choice, "delta": cast("object", said), "finish_reason": choice.get("finish_reason") or "stop"}],
    }
    return [*decoder.chunk(chunk), *decoder.finished()]


def embeddings_body(texts: Sequence[str], model: str) -> dict[str, Json]:
    """The body of POST /embeddings."""
    return {"model": model, "input": list(texts), "encoding_format": "float"}


def embeddings(answer: bytes, model: str, count: int) -> tuple[list[list[float]], Usage]:
    """The vectors in the order of the texts, of length 1 (unit vectors)."""
    value = json_object(answer)
    if value is None:
        raise ModelFailed(f"{model}: this is not JSON: {excerpt(answer)!r}.")
    _raise_error(value, model)
    vectors: dict[int, list[float]] = {}
    for place, item in enumerate(_items(value.get("data"))):
        index, vector = item.get("index"), item.get("embedding")
        if isinstance(vector, list) and all(_is_number(x) for x in cast("list[object]", vector)):
            vectors[index if isinstance(index, int) else place] = unit(cast("list[float]", vector))
    if sorted(vectors) != list(range(count)):
        raise ModelFailed(f"{model}: asked for {count} embeddings, got {len(vectors)}. Is it an embedding model?")
    return [vectors[i] for i in range(count)], _usage(value.get("usage")) or Usage()


def models(answer: bytes) -> tuple[str, ...]:
    """The names in an answer to GET /models; none if it is something else."""
    items = _items((json_object(answer) or {}).get("data"))
    return tuple(name for item in items if (name := _text(item.get("id"))))


def unit(vector: Sequence[float]) -> list[float]:
    """The vector at length 1; a vector of zeros stays one."""
    length = math.sqrt(math.fsum(x * x for x in vector))
    return [x / length for x in vector] if length else list(vector)


def error_text(answer: bytes) -> str:
    """What the body of a failed call says, cut to a line."""
    value = json_object(answer)
    return excerpt(_message_of(value) if value is not None else answer)


def excerpt(text: str | bytes) -> str:
    """At most 200 characters of it, in one line."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= 200 else line[:200] + "..."


def _raise_error(value: Mapping[str, Any], model: str) -> None:
    if value.get("error"):
        code = _mapping(value["error"]).get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else None
        raise ModelFailed(f"{model}: {excerpt(_message_of(value))}", status=status)


def _message_of(value: Mapping[str, Any]) -> str:
    error = value.get("error")
    if isinstance(error, str):
        return error
    found = _text(_mapping(error).get("message")) or _text(value.get("message")) or _text(value.get("detail"))
    return found or json.dumps(value, default=str)


def _tool_call(number: int, call: Mapping[str, str]) -> ToolCall:
    arguments = json_object(call["arguments"] or "{}")
    return ToolCall(call["id"] or f"call_{number}", call["name"], call["arguments"] if arguments is None else arguments)


def _usage(value: object) -> Usage | None:
    if not value or not (counts := _mapping(value)):
        return None
    given, made = counts.get("prompt_tokens_details"), counts.get("completion_tokens_details")
    return Usage(
        _count(counts.get("prompt_tokens")),
        _count(counts.get("completion_tokens")),
        _count(_mapping(given).get("cached_tokens")) if given else None,
        _count(_mapping(made).get("reasoning_tokens")) if made else None,
    )


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that a text is, None if it is none."""
    try:
        value = parsed(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _items(value: object) -> list[Mapping[str, Any]]:
    if not value:
        return []
    return [_mapping(item) for item in cast("list[object]", value)] if isinstance(value, list) else []


def _first(value: object) -> Mapping[str, Any]:
    return _mapping(cast("list[object]", value)[0]) if isinstance(value, list) and value else {}


def _text(value: object) -> str:
    """The text, or nothing if it is none. Half a surrogate pair cannot be stored as UTF-8: it becomes U+FFFD."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _arguments(value: object) -> str:
    """Arguments are JSON text; some servers send the object itself."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else _text(value)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
