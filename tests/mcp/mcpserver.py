"""A small MCP server that keeps to the protocol, in both eras and over both transports, or breaks it in one named way.

`python mcpserver.py ERA TOOLS.json [LIE]` speaks over standard streams; `serve(...)` over HTTP. Only the standard library,
so that what it does is what it says here. It was held against the official client (Python SDK 2.3 and 1.30).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MODERN, LEGACY = "2026-07-28", "2025-11-25"
PAGE = 3  # tools of a page


@dataclass
class Desk:
    """The server itself: one message in, its answer out. `era`: modern, legacy or dual."""

    era: str
    tools: list[Any]
    lie: str = ""
    greeted: bool = False
    heard: list[dict] = field(default_factory=list)

    def answer(self, message: dict) -> dict | None:
        self.heard.append(message)
        number, method, params = message.get("id"), message.get("method"), message.get("params") or {}
        if number is None or method is None:
            return None
        modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {})
        if modern and self.era == "legacy":
            return _error(number, -32602, "Invalid request parameters")
        if not modern and self.era == "modern":
            return _error(number, -32022, "Unsupported protocol version", {"supported": [MODERN], "requested": "?"})
        if modern and params["_meta"]["io.modelcontextprotocol/protocolVersion"] != MODERN:
            return _error(number, -32022, "Unsupported protocol version", {"supported": [MODERN], "requested": "?"})
        if not modern and method not in ("initialize", "ping") and not self.greeted:
            return _error(number, -32602, "Received request before initialization was complete")
        try:
            result = getattr(self, "_" + method.replace("/", "_"))(params)
        except AttributeError:
            return _error(number, -32601, "Method not found")
        except LookupError as problem:
            return _error(number, -32602, f"Unknown tool: {problem}")
        stamps = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if modern else {}
        return {"jsonrpc": "2.0", "id": number, "result": {**result, **stamps}}

    def _server_discover(self, _params: dict) -> dict:
        info = {"io.modelcontextprotocol/serverInfo": {"name": "test-desk", "version": "7"}}
        return {"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "_meta": info}

    def _initialize(self, params: dict) -> dict:
        self.greeted = True
        version = "1999-01-01" if self.lie == "other-version" else LEGACY
        assert params["protocolVersion"] == LEGACY
        return {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "test-desk", "version": "7"},
        }

    def _ping(self, _params: dict) -> dict:
        return {}

    def _tools_list(self, params: dict) -> dict:
        start = int(params.get("cursor") or 0)
        if self.lie == "circle":
            return {"tools": self.tools[:1], "nextCursor": "0"}
        page = {"tools": self.tools[start : start + PAGE]}
        return page | ({"nextCursor": str(start + PAGE)} if start + PAGE < len(self.tools) else {})

    def _tools_call(self, params: dict) -> dict:
        name, arguments = params["name"], params.get("arguments") or {}
        if name not in {tool["name"] for tool in self.tools}:
            raise LookupError(name)
        if name == "fails":
            return {"content": [{"type": "text", "text": "the printer is \x1b[31mon fire"}], "isError": True}
        if name == "environment":
            return {"content": [{"type": "text", "text": json.dumps(dict(os.environ))}]}
        if name == "slow":
            time.sleep(30)
        return {"content": [{"type": "text", "text": json.dumps(arguments)}], "structuredContent": {"echo": arguments}}


def _error(number: Any, code: int, message: str, data: Any = None) -> dict:
    error = {"code": code, "message": message} | ({"data": data} if data else {})
    return {"jsonrpc": "2.0", "id": number, "error": error}


def main() -> None:
    """Standard streams, with the lies that are told there."""
    era, file, lie = sys.argv[1], sys.argv[2], (sys.argv[3:] or [""])[0]
    desk = Desk(era, json.loads(Path(file).read_text("utf-8")), lie)
    out = sys.stdout.buffer
    if lie == "dies":
        sys.stderr.write(f"\x1b[2Jno license for {os.environ.get('TOKEN', 'nobody')}\n")
        sys.exit(3)
    if lie == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(file).with_suffix(".pid").write_text(f"{os.getpid()} {child.pid}")
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if lie == "hangs":
            time.sleep(600)
        if lie == "floods":
            while True:
                out.write(
                    b'{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "'
                    + b"x" * 60_000
                    + b'"}}\n'
                )
        if lie == "endless":
            while True:
                out.write(b"x" * 60_000)
        if lie == "silent-start" and message.get("method") == "server/discover":
            continue
        if lie == "ends-at-questions" and message.get("method") == "server/discover":
            sys.exit(1)
        answer = desk.answer(message)
        if lie == "chatty":
            sys.stderr.write("log " * 50_000)
            out.write(b"Starting up...\n")
            out.write(json.dumps({"jsonrpc": "2.0", "id": "mine", "method": "ping"}).encode() + b"\n")
        if lie == "wrong-ids" and answer:
            out.write(json.dumps(answer | {"id": 4711}).encode() + b"\n")
            out.write(json.dumps(answer | {"id": str(answer["id"])}).encode() + b"\n")
            answer = None
        if answer is not None:
            out.write(json.dumps(answer).encode() + b"\n")
        out.flush()
    if lie == "child":
        time.sleep(600)  # does not end with its input, as it should


@dataclass
class Web:
    """A server over HTTP: `seen` are the headers and methods of what came. `stream`: it answers with events."""

    desk: Desk
    stream: bool = False
    key: str = ""
    status: int = 0
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(web: Web) -> Iterator[Web]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_DELETE(self) -> None:
            web.seen.append(("DELETE", {name.lower(): value for name, value in self.headers.items()}))
            self._send(204, b"")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            given = {name.lower(): value for name, value in self.headers.items()}
            web.seen.append((str(body.get("method")), given))
            if web.status:
                return self._send(web.status, b"no", "text/plain")
            if web.key and given.get("authorization") != web.key:
                return self._send(401, b"who?", "text/plain")
            if given.get("mcp-protocol-version") == MODERN and web.desk.era == "legacy":
                return self._json(400, _error("server-error", -32600, "Bad Request: Unsupported protocol version"))
            if web.desk.greeted and body.get("method") != "initialize" and given.get("mcp-session-id") != "s-1":
                return self._json(400, _error("server-error", -32600, "Bad Request: Missing session ID"))
            answer = web.desk.answer(body)
            if answer is None:
                return self._send(202, b"")
            code = answer.get("error", {}).get("code")
            status = {-32022: 400, -32601: 404}.get(code, 200)
            if web.stream and status == 200:
                note = {
                    "jsonrpc": "2.0",
                    "method": "notifications/message",
                    "params": {"level": "info", "data": "working"},
                }
                text = f": hello\n\nevent: message\ndata: {json.dumps(note)}\n\nevent: message\ndata: {json.dumps(answer)}\n\n"
                return self._send(200, text.encode(), "text/event-stream")
            return self._json(status, answer)

        def _json(self, status: int, value: dict) -> None:
            self._send(status, json.dumps(value).encode())

        def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            if web.desk.greeted:
                self.send_header("mcp-session-id", "s-1")
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    web.url = f"http://127.0.0.1:{server.server_port}/mcp"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
