"""The one HTTP client, against real servers on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from afere.base.errors import Exit, Refused
from afere.net import Call, HostFailed, HostTimedOut, HostUnreachable, asend, check_address, send, stream
from afere.testing import Fault, OpenAIServer


class _Echo(BaseHTTPRequestHandler):
    """Answers what it was asked; as a proxy it is asked for whole addresses."""

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("location", "http://other.example/")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = f"{self.path} {self.headers.get('authorization')}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_redirect_is_handed_back_so_that_credentials_stay(echo: str) -> None:
    answer = send(Call("GET", f"{echo}/away", {"authorization": "Bearer x"}))
    assert (answer.status, answer.headers["location"]) == (302, "http://other.example/")


def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(echo: str) -> None:
    code = (
        "from afere.net import Call, send\n"
        "print(send(Call('GET', 'http://far.example/x')).body.decode())\n"
        f"print(send(Call('GET', '{echo}/y')).body.decode())\n"
    )
    environment = {**os.environ, "HTTP_PROXY": echo, "http_proxy": echo, "NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["http://far.example/x None", "/y None"]


def test_one_client_serves_several_event_loops_and_threads(echo: str) -> None:
    async def once() -> int:
        return (await asend(Call("GET", f"{echo}/"))).status

    assert [asyncio.run(once()) for _ in range(3)] == [200, 200, 200]
    found: list[int] = []
    for _ in range(10):  # threads that come and go, each with loops of its own
        threads = [threading.Thread(target=lambda: found.append(asyncio.run(once()))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [200] * 30


def test_no_host_no_time_no_address_are_told_apart_and_fail_as_the_world() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(HostUnreachable, match=rf"{address} cannot be reached: Connection refused"):
        send(Call("GET", f"http://user:secret@{address}/"))
    with OpenAIServer(Fault("hang")) as server, pytest.raises(HostTimedOut, match="gave no answer within"):
        send(Call("POST", f"{server.url}/chat/completions", {}, b'{"model": "test-model"}', first_byte=0.1))
    with pytest.raises(HostFailed, match="cannot be called: relative URL") as caught:
        send(Call("GET", "nonsense"))
    assert caught.value.exit == Exit.WORLD_FAILED


def test_a_stream_that_is_left_closes_its_connection() -> None:
    gone = threading.Event()

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while not gone.wait(0.01):
                    self.wfile.write(b"drop")
            except OSError:
                gone.set()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        with stream(Call("GET", f"http://127.0.0.1:{server.server_address[1]}/")) as answer:
            assert next(iter(answer)).startswith(b"drop")
        assert gone.wait(10)
        server.shutdown()


def test_control_c_ends_a_call_that_waits() -> None:
    with OpenAIServer(Fault("hang")) as server:
        code = (
            "from afere.net import Call, send\n"
            f"send(Call('POST', '{server.url}/chat/completions', {{}}, b'{{\"model\": \"test-model\"}}'))\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        while not server.requests:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_calls_work_in_children_forked_before_and_after_the_first_call(echo: str) -> None:
    code = f"""
import os
from afere.net import Call, send
def child():
    if os.fork() == 0:
        print(send(Call("GET", "{echo}/")).status, flush=True)
        os._exit(0)
    os.wait()
child()
send(Call("GET", "{echo}/"))
child()
print(send(Call("GET", "{echo}/")).status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines() == ["200", "200", "200"]


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0/", "file:///etc/passwd", "http:///x", "x"],
)
def test_addresses_that_lead_nowhere_good_are_refused_always(url: str) -> None:
    with pytest.raises(Refused):
        check_address(url, private_ok=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:80/",
        "https://10.1.2.3/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
    ],
)
def test_private_addresses_are_refused_unless_allowed(url: str) -> None:
    assert check_address(url, private_ok=True) == url
    with pytest.raises(Refused, match="private network or of this machine"):
        check_address(url, private_ok=False)
    assert check_address("https://93.184.216.34/", private_ok=False)
