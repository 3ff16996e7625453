"""One local server that speaks what providers speak (OpenAI chat, Anthropic messages, Gemini generateContent) and keeps the OTLP it gets.

Every program that is recorded asks the same: "Capital of France?" is answered "Paris.", a question about the weather with a
call of the tool `weather` where there is one, its result with "It is sunny.", and the model `no-such` with 404. Usage is
always 131 tokens in (64 of them cached) and 17 out (5 of them reasoning, where the protocol has a word for it).
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER, SUNNY = "Paris.", "It is sunny."
DATED = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}  # as asked -> as answered


class StandIn(ThreadingHTTPServer):
    """`with StandIn() as server:` serves at `server.url`; `server.bodies` are the OTLP requests: (path, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.bodies: list[tuple[str, bytes]] = []

    def __enter__(self) -> StandIn:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say."""

    def do_GET(self) -> None:
        self._json(200, {})

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if path.endswith(("/v1/traces", "/v1/logs", "/v1/metrics")):
            self.server.bodies.append((path, body))
            return self._send(200, b"", "application/x-protobuf")
        asked: dict[str, Any] = json.loads(body or b"{}")
        if path.endswith("/chat/completions"):
            return self._answer(openai(asked), asked.get("model"), bool(asked.get("stream")))
        if path.endswith("/embeddings"):
            return self._json(200, embeddings(asked))
        if path.endswith("/messages"):
            return self._answer(anthropic(asked), asked.get("model"), bool(asked.get("stream")))
        if ":generateContent" in path or ":streamGenerateContent" in path:
            model = path.rpartition("/")[2].partition(":")[0]
            return self._answer(gemini(asked, model), model, "stream" in path)
        return self._json(404, {"error": {"message": f"There is no {path}.", "type": "not_found"}})

    def _body(self) -> bytes:
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            found = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(found) if self.headers.get("content-encoding") == "gzip" else found

    def _answer(self, pieces: tuple[dict[str, Any], Iterator[str]], model: object, stream: bool) -> None:
        whole, streamed = pieces
        if model == "no-such":
            about = {
                "message": "The model no-such does not exist.",
                "type": "not_found_error",
                "code": 404,
                "status": "NOT_FOUND",
            }
            self._json(404, {"type": "error", "error": about})
        elif stream:
            self._send(200, "".join(streamed).encode(), "text/event-stream")
        else:
            self._json(200, whole)

    def _json(self, status: int, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _wants(asked: dict[str, Any], *, told: bool, tools: bool) -> str:
    """What to do: call the tool, tell its result, or answer."""
    if told:
        return SUNNY
    return "" if tools and "weather" in json.dumps(asked.get("messages") or asked.get("contents")).lower() else ANSWER


def openai(asked: dict[str, Any]) -> tuple[dict[str, Any], Iterator[str]]:
    """Chat completions, whole and streamed."""
    text = _wants(asked, told=any(m["role"] == "tool" for m in asked["messages"]), tools=bool(asked.get("tools")))
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    usage = {
        "prompt_tokens": 131, "completion_tokens": 17, "total_tokens": 148,
        "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 5},
    }  # fmt: skip
    head = {"id": "chatcmpl-1", "created": 1_795_000_000, "model": DATED.get(asked["model"], asked["model"])}
    message = {"role": "assistant", "content": text or None, **({} if text else {"tool_calls": [call]})}
    finish = "stop" if text else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def streamed() -> Iterator[str]:
        delta = (
            {"role": "assistant", "content": text}
            if text
            else {"role": "assistant", "tool_calls": [{"index": 0, **call}]}
        )
        for choices, said in (
            ([{"index": 0, "delta": delta, "finish_reason": None}], None),
            ([{"index": 0, "delta": {}, "finish_reason": finish}], None),
            ([], usage),
        ):
            chunk = {**head, "object": "chat.completion.chunk", "choices": choices, "usage": said}
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return whole, streamed()


def embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    """Two numbers for each text, by its length; as base64 where that is asked for."""
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    base64 = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": "AACAPwAAAAA=" if base64 else [1.0, 0.0]}
        for i in range(len(texts))
    ]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return {"object": "list", "data": data, "model": asked["model"], "usage": usage}


def anthropic(asked: dict[str, Any]) -> tuple[dict[str, Any], Iterator[str]]:
    """Messages, whole and streamed. Its `input_tokens` leave out what the cache answered: 67 + 64 = 131."""
    told = '"tool_result"' in json.dumps(asked["messages"])
    text = _wants(asked, told=told, tools=bool(asked.get("tools")))
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
    block = {"type": "text", "text": text} if text else call
    stop = "end_turn" if text else "tool_use"
    usage = {"input_tokens": 67, "cache_read_input_tokens": 64, "cache_creation_input_tokens": 0, "output_tokens": 17}
    whole = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": DATED.get(asked["model"], asked["model"]),
        "content": [block], "stop_reason": stop, "stop_sequence": None, "usage": usage,
    }  # fmt: skip

    def streamed() -> Iterator[str]:
        begun = {"type": "text", "text": ""} if text else {**call, "input": {}}
        delta = (
            {"type": "text_delta", "text": text}
            if text
            else {"type": "input_json_delta", "partial_json": '{"city": "Paris"}'}
        )
        for event in (
            {
                "type": "message_start",
                "message": {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
            },
            {"type": "content_block_start", "index": 0, "content_block": begun},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop, "stop_sequence": None},
                "usage": {"output_tokens": 17},
            },
            {"type": "message_stop"},
        ):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"

    return whole, streamed()


def gemini(asked: dict[str, Any], model: str) -> tuple[dict[str, Any], Iterator[str]]:
    """generateContent, whole and streamed. Its candidates leave out what was reasoning: 12 + 5 = 17."""
    told = "functionResponse" in json.dumps(asked["contents"]) or "function_response" in json.dumps(asked["contents"])
    text = _wants(asked, told=told, tools=bool(asked.get("tools")))
    part = {"text": text} if text else {"functionCall": {"name": "weather", "args": {"city": "Paris"}}}
    whole = {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 131, "candidatesTokenCount": 12, "thoughtsTokenCount": 5, "cachedContentTokenCount": 64,
            "totalTokenCount": 148,
        },
        "modelVersion": model, "responseId": "r1",
    }  # fmt: skip
    return whole, iter([f"data: {json.dumps(whole)}\r\n\r\n"])
