"""A real HTTP server on loopback that speaks the OpenAI protocol and says what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import ModelFailed
from afere.base.message import Message, ToolCall, Usage, message
from afere.models import Called, Done, Event, Reasoning, Request, Text
from afere.models.embedding import HashEmbedder
from afere.testing.scripted import Answer, Fault, Script, answer_of, events, speaker


@dataclass(frozen=True, slots=True)
class Asked:
    """One call the server got. Header names are in small letters."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class OpenAIServer:
    """`with OpenAIServer("Paris.") as server:` answers at `server.url`; `server.name` is what `resolve` takes.

    `says` is what ScriptedModel takes, faults included, and can be changed with `.says(...)`. With `key` a call needs it.
    `requests` keeps what was asked. Embeddings are those of the `hash` embedder.
    """

    script: Script = "Yes."
    models: Sequence[str] = ("test-model",)
    key: str | None = None
    requests: list[Asked] = field(default_factory=list[Asked])

    def __enter__(self) -> OpenAIServer:
        self.closing = threading.Event()
        self.says(self.script)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base URL, with /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def name(self) -> str:
        """The first model's name as `resolve` takes it."""
        return f"{self.url}#{self.models[0]}"

    def says(self, script: Script) -> None:
        """Change what it says from now on."""
        self.say = speaker(script, "OpenAIServer")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, door: OpenAIServer) -> None:
        self.door = door
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small piece waits 40 ms for the one before it to be acknowledged
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - made by it alone

    def log_message(self, format: str, *args: Any) -> None:
        """Tests do not want a line per request."""

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._json(
                200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.door.models]}
            )
        else:
            self._problem(404, f"There is no {self.path}.")

    def do_POST(self) -> None:
        door = self.server.door
        body = cast("dict[str, Any]", json.loads(self.rfile.read(int(self.headers.get("content-length") or 0))))
        door.requests.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        if door.key and self.headers.get("authorization") != f"Bearer {door.key}":
            self._problem(401, "Incorrect API key provided.")
        elif body.get("model") not in door.models:
            self._problem(404, f"The model {body.get('model')!r} does not exist.")
        elif self.path == "/v1/embeddings":
            self._embed(body)
        elif self.path == "/v1/chat/completions":
            self._chat(body)
        else:
            self._problem(404, f"There is no {self.path}.")

    def _embed(self, body: dict[str, Any]) -> None:
        vectors = HashEmbedder()(cast("list[str]", body["input"]))
        data: list[Json] = [
            {"object": "embedding", "index": i, "embedding": [*vector]} for i, vector in enumerate(vectors)
        ]
        self._json(
            200,
            {
                "object": "list",
                "data": data,
                "model": body["model"],
                "usage": {"prompt_tokens": len(data), "total_tokens": len(data)},
            },
        )

    def _chat(self, body: dict[str, Any]) -> None:
        request = _request(body)
        try:
            said = answer_of(self.server.door.say(request))
        except ModelFailed as error:
            self._problem(400, str(error))
            return
        if isinstance(said, Fault) and said.kind != "half":
            self._fail(said)
        elif isinstance(said, Fault):
            self._begin_stream()
            self._piece(f"data: {json.dumps(_chunk(Text(said.text), str(body['model'])))}\n\n")
            self.close_connection = True  # without the last, empty piece: cut off
        else:
            self.server.door.closing.wait(said.delay)
            self._answer(said, request, body)

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "status":
            headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            self._problem(fault.status, "As scripted.", headers)
        elif fault.kind == "garbage":
            self._begin_stream()
            self._piece("data: {<html>\n\n")
            self._piece("")
        else:
            if fault.kind == "hang":
                self.server.door.closing.wait(fault.seconds or 3600)
            self.close_connection = True

    def _answer(self, answer: Answer, request: Request, body: dict[str, Any]) -> None:
        model = str(body["model"])
        if not body.get("stream"):
            self._json(200, _joined(answer, request, model))
            return
        self._begin_stream()
        self._piece(": hello\n\n")
        for event in events(answer, request, model):
            self._piece(f"data: {json.dumps(_chunk(event, model))}\n\n")
            self.server.door.closing.wait(answer.pause)
        self._piece("data: [DONE]\n\n")
        self._piece("")

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _piece(self, text: str) -> None:
        """One piece of a chunked body; the empty one ends it."""
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _json(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _problem(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        self._json(status, {"error": {"message": text, "type": "error", "code": None}}, headers)


def _request(body: Mapping[str, Any]) -> Request:
    """What was asked, as a scripted model sees it: texts, calls and parameters."""
    messages = tuple(_message(item) for item in cast("list[dict[str, Any]]", body.get("messages") or []))
    parameters = {name: value for name, value in body.items() if name not in ("messages", "tools", "response_format")}
    wanted = cast("dict[str, Any]", body.get("response_format") or {})
    schema = cast("dict[str, Any]", wanted.get("json_schema") or {}).get("schema")
    return Request(messages, parameters, output=schema)


def _message(item: Mapping[str, Any]) -> Message:
    content = item.get("content")
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    text = content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in parts)
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in item.get("tool_calls") or ()
    ]
    return message(item["role"], text, calls=calls, call_id=item.get("tool_call_id"))


def _chunk(event: Event, model: str) -> dict[str, Json]:
    """One event as the protocol streams it."""
    delta: dict[str, Json] = {}
    finish: str | None = None
    if isinstance(event, Text):
        delta = {"content": event.text}
    elif isinstance(event, Reasoning):
        delta = {"reasoning_content": event.text}
    elif isinstance(event, Called):
        delta = {"tool_calls": [_call(event.call)]}
    else:
        finish = event.finish
    choice: Json = {"index": 0, "delta": delta, "finish_reason": finish, **_logprobs(event)}
    usage = _usage(event.usage) if isinstance(event, Done) else None
    return {"id": "c-1", "object": "chat.completion.chunk", "model": model, "choices": [choice], "usage": usage}


def _joined(answer: Answer, request: Request, model: str) -> dict[str, Json]:
    """The whole answer in one piece."""
    calls: list[Json] = []
    end = Done("stop", Usage(), model)
    for event in events(answer, request, model):
        if isinstance(event, Called):
            calls.append(_call(event.call))
        elif isinstance(event, Done):
            end = event
    said: dict[str, Json] = {"role": "assistant", "content": answer.text}
    if calls:
        said["tool_calls"] = calls
    choice: Json = {"index": 0, "message": said, "finish_reason": end.finish, **_logprobs(end)}
    return {"id": "c-1", "object": "chat.completion", "model": model, "choices": [choice], "usage": _usage(end.usage)}


def _logprobs(event: Event) -> dict[str, Json]:
    each: list[Json] = [{"logprob": one} for one in event.logprobs] if isinstance(event, Done) else []
    return {"logprobs": {"content": each}} if each else {}


def _call(call: ToolCall) -> Json:
    place = int(call.id.rpartition("_")[2]) - 1
    function: Json = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"index": place, "id": call.id, "type": "function", "function": function}


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": (usage.input_tokens or 0) + (usage.output_tokens or 0),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
