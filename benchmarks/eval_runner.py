"""What the evaluation runner costs: N cases of one call to an application, three cheap scorers and one call of a judge,
50 at a time, against a provider on this machine that takes 50 ms to answer. Beside it, in the same run, the bare HTTP
client with the same calls and nothing else.

python benchmarks/eval_runner.py [CASES]
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LATENCY = 0.05  # seconds
CONCURRENCY = 50


class Provider(asyncio.Protocol):
    """Just enough HTTP for one client that we know: it answers like a model, as a stream."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            size = next((int(v) for k, _, v in _headers(head) if k == b"content-length"), 0)
            if not found or len(rest) < size:
                return
            body, self.waiting = json.loads(rest[:size]), rest[size:]
            asyncio.get_running_loop().call_later(LATENCY, self._answer, _reply(body))

    def _answer(self, reply: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%b" % (len(reply), reply)
        )


def _headers(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.lower().partition(b": ") for line in head.split(b"\r\n")[1:]]


def _reply(asked: dict[str, object]) -> bytes:
    """The answer in sixteen pieces, or a verdict."""
    text = (
        json.dumps({"why": "It says what is expected.", "verdict": "pass"})
        if "response_format" in asked
        else "Paris. " * 9
    )
    step = max(1, len(text) // 16)
    deltas: list[dict[str, object]] = [
        {"choices": [{"delta": {"content": text[i : i + step]}}]} for i in range(0, len(text), step)
    ]
    last: dict[str, object] = {
        "choices": [{"delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 16},
    }
    lines = [json.dumps({"id": "1", "model": "gpt-x", **delta}) for delta in (*deltas, last)]
    return "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


async def provide() -> None:
    """Serve until killed; the first line printed is the port."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def bare(cases: int) -> None:
    """The calls alone."""
    from afere.net import Call, asend

    body = json.dumps(
        {"messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": True}
    ).encode()
    call = Call("POST", f"{os.environ['OPENAI_BASE_URL']}/chat/completions", {"content-type": "application/json"}, body)
    calls = iter(range(2 * cases))

    async def worker() -> None:
        for _ in calls:
            assert (await asend(call)).status == 200

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


def evaluation(cases: int) -> None:
    """The whole path: prompt, chain, traces, scorers, judge, experiment."""
    import afere

    Path("afere.yaml").write_text("project: bench\n", encoding="utf-8")
    Path("answer.md").write_text(
        "---\nmodel: openai:gpt-x\ninputs: {question: string}\n---\n{{ question }}\n", encoding="utf-8"
    )
    answer = afere.prompt("./answer.md")

    @afere.chain
    async def qa(question: str) -> str:
        return await answer.aio(question=question)

    def names(output: str) -> bool:
        return "Paris" in output

    def short(output: str) -> bool:
        return len(output) < 500

    def same(output: str, expected: str) -> bool:
        return output == expected

    rows = [{"input": {"question": f"{n}: the capital of France?"}, "expected": "Paris"} for n in range(cases)]
    judge = afere.judge("Is the answer right?", name="right", model="openai:gpt-x")
    scorers = [afere.scorer(one) for one in (names, short, same)]
    made = afere.evaluate(qa, afere.dataset(rows, name="cases"), scorers=[*scorers, judge], concurrency=CONCURRENCY)
    values = {measure.name: measure.value for measure in made.table()}
    assert made.complete and (values["names"], values["right"]) == (1.0, 1.0), values


def measured(mode: str, cases: int, port: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory in MB of one child, its start and imports included."""
    with tempfile.TemporaryDirectory() as folder:
        address = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "none"}
        begun = time.monotonic()
        command = [sys.executable, str(Path(__file__).resolve()), mode, str(cases)]
        child = subprocess.run(
            command, cwd=folder, env=os.environ | address, check=True, capture_output=True, text=True
        )
        seconds = time.monotonic() - begun
    cpu, peak = child.stdout.split()[-2:]
    return seconds, float(cpu), float(peak)


def usage() -> str:
    """CPU seconds and peak memory in MB of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss * unit / 1e6:.1f}"


def main(cases: int) -> None:
    """Print one line for the bare client and one for the runner."""
    ideal = 2 * cases * LATENCY / CONCURRENCY
    provider = subprocess.Popen([sys.executable, __file__, "provide", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert provider.stdout is not None
        port = provider.stdout.readline().strip()
        print(f"{cases} cases, ideal {ideal:.1f} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        for mode in ("bare", "evaluation"):
            seconds, cpu, peak = measured(mode, cases, port)
            print(
                f"{mode:>10}: {seconds:6.1f} s ({seconds / ideal:.2f} x ideal), {cpu / cases * 1e3:.2f} ms of CPU a case, "
                f"{peak:.0f} MB"
            )
    finally:
        provider.kill()
        provider.wait()


if __name__ == "__main__":
    mode, count = sys.argv[1:] if len(sys.argv) == 3 else ["main", *sys.argv[1:], "1000"][:2]
    if mode == "main":
        main(int(count))
    elif mode == "provide":
        asyncio.run(provide())
    else:
        asyncio.run(bare(int(count))) if mode == "bare" else evaluation(int(count))
        print(usage())
