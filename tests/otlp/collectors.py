"""A collector for tests: real HTTP on loopback, which takes what comes, is slow, or answers as it is told."""

from __future__ import annotations

import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    """`with Collector() as one:` takes requests at `one.url`; `answers` are (status, headers) for the next of them."""

    def __init__(self, *answers: tuple[int, dict[str, str]], pause: float = 0.0) -> None:
        self.answers = deque(answers)
        self.pause = pause
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.times: list[float] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
                time.sleep(self.pause)
                self.times.append(time.monotonic())
                status, headers = self.answers.popleft() if self.answers else (200, {})
                if status == 200:
                    self.came.append((handler.path, {k.lower(): v for k, v in handler.headers.items()}, body))
                handler.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    handler.send_header(name, value)
                handler.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def until(true: Any, seconds: float = 15.0) -> None:
    """Wait for something that other threads bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
