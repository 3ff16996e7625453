"""What the evaluation runner costs: N cases of one call to an application, three cheap scorers and one call of a judge,
50 at a time, against a provider on this machine that takes 50 ms to answer. Beside it, in the same run, the bare HTTP
client with the same calls and nothing else; and, where the environment of that interpreter has it, pydantic-evals with
the same cases, scorers and calls (pip install pydantic-evals "pydantic-ai-slim[openai]" openai).

python benchmarks/eval_runner.py [CASES [PYTHON]]
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
from typing import Any

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

    def _answer(self, reply: tuple[bytes, bytes]) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        kind, body = reply
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (kind, len(body), body)
        )


def _headers(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.lower().partition(b": ") for line in head.split(b"\r\n")[1:]]


VERDICT = {"why": "It says what is expected.", "verdict": "pass", "reason": "right", "pass": True, "score": 1.0}
USAGE = {"prompt_tokens": 40, "completion_tokens": 16, "total_tokens": 56}


def _reply(asked: dict[str, Any]) -> tuple[bytes, bytes]:
    """The answer, or a verdict in the way it was asked for: in sixteen pieces where a stream is."""
    if "response_format" in asked:
        wanted = asked["response_format"]["json_schema"]["schema"]["properties"]
        text = json.dumps({name: value for name, value in VERDICT.items() if name in wanted})
    else:
        text = "Paris. " * 9
    if not asked.get("stream"):
        return b"application/json", json.dumps(_whole(asked, text)).encode()
    step = max(1, len(text) // 16)
    deltas: list[dict[str, object]] = [
        {"choices": [{"delta": {"content": text[i : i + step]}}]} for i in range(0, len(text), step)
    ]
    last: dict[str, object] = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    lines = [json.dumps({"id": "1", "model": "gpt-x", **delta}) for delta in (*deltas, last)]
    return b"text/event-stream", "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()


def _whole(asked: dict[str, Any], text: str) -> dict[str, Any]:
    """An answer in one piece; where tools are offered, a call of the first."""
    said: dict[str, Any] = {"role": "assistant", "content": text}
    if asked.get("tools"):
        function = asked["tools"][0]["function"]
        wanted = function["parameters"]["properties"]
        given = json.dumps({name: value for name, value in VERDICT.items() if name in wanted})
        call = {"id": "call_1", "type": "function", "function": {"name": function["name"], "arguments": given}}
        said |= {"content": None, "tool_calls": [call]}
    finish = "tool_calls" if asked.get("tools") else "stop"
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-x", "choices": [choice], "usage": USAGE}


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


def peer(cases: int) -> None:
    """The same with pydantic-evals, as its documentation shows it; what it measures is not kept anywhere."""
    from dataclasses import dataclass

    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import EqualsExpected, Evaluator, LLMJudge

    client: Any = AsyncOpenAI()

    @dataclass
    class Names(Evaluator):
        def evaluate(self, ctx: Any) -> bool:
            return "Paris" in ctx.output

    @dataclass
    class Short(Evaluator):
        def evaluate(self, ctx: Any) -> bool:
            return len(ctx.output) < 500

    async def qa(question: str) -> str:
        said = [{"role": "user", "content": question}]
        return (await client.chat.completions.create(model="gpt-x", messages=said)).choices[0].message.content

    rows = [Case(name=str(n), inputs=f"{n}: the capital of France?", expected_output="Paris") for n in range(cases)]
    judge = LLMJudge(rubric="The answer is right", model=OpenAIChatModel("gpt-x"), include_input=True)
    data: Any = Dataset(name="cases", cases=rows, evaluators=[Names(), Short(), EqualsExpected(), judge])
    report = asyncio.run(data.evaluate(qa, max_concurrency=CONCURRENCY, progress=False))
    verdicts = [one.value for case in report.cases for name, one in case.assertions.items() if name == "LLMJudge"]
    assert len(verdicts) == cases and all(verdicts), f"{len(verdicts)} verdicts of {cases}"


def measured(mode: str, cases: int, port: str, python: str = sys.executable) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory in MB of one child, its start and imports included."""
    with tempfile.TemporaryDirectory() as folder:
        address = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "none"}
        begun = time.monotonic()
        command = [python, str(Path(__file__).resolve()), mode, str(cases)]
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


def main(cases: int, python: str | None = None) -> None:
    """Print a line for the bare client, one for the runner, and one for the peer of that interpreter."""
    ideal = 2 * cases * LATENCY / CONCURRENCY
    provider = subprocess.Popen([sys.executable, __file__, "provide"], stdout=subprocess.PIPE, text=True)
    try:
        assert provider.stdout is not None
        port = provider.stdout.readline().strip()
        print(f"{cases} cases, ideal {ideal:.1f} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        for mode in ("bare", "evaluation", *(["peer"] if python else [])):
            seconds, cpu, peak = measured(mode, cases, port, python if mode == "peer" and python else sys.executable)
            print(
                f"{mode:>10}: {seconds:6.1f} s ({seconds / ideal:.2f} x ideal), {cpu / cases * 1e3:.2f} ms of CPU a case, "
                f"{peak:.0f} MB"
            )
    finally:
        provider.kill()
        provider.wait()


if __name__ == "__main__":
    words = sys.argv[1:] or ["1000"]
    if words[0].isdecimal():
        main(int(words[0]), *words[1:2])
    elif words[0] == "provide":
        asyncio.run(provide())
    else:
        count = int(words[1])
        asyncio.run(bare(count)) if words[0] == "bare" else {"evaluation": evaluation, "peer": peer}[words[0]](count)
        print(usage())
