"""What the span store costs: CPU of writing, bytes on disk, and milliseconds of each question and page.

python benchmarks/span_store.py [SPANS]

Traces of 8 spans (a chain, a search, tools, three calls of models) over seven days, in batches of 512 spans.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import afere.store
from afere.base.span import Span
from afere.server.pages import over, traces
from afere.server.pages.asked import Asked, as_json
from afere.server.written import JsonResponse
from afere.store import Session
from afere.store.spans.store import SpanStore

SECOND = 1_000_000_000
WORDS = [f"{a}{b}" for a in ("notice", "refund", "contract", "leave", "policy", "manager") for b in range(200)]
MODELS = ("gpt-4.1", "gpt-4.1-mini", "local")
BATCH = 64  # traces


def text(chance: random.Random, words: int) -> str:
    """Words as rare and as common as words are."""
    return " ".join(WORDS[int(len(WORDS) * chance.random() ** 3)] for _ in range(words))


def trace(chance: random.Random, number: int, start: int) -> Iterator[Span]:
    """A question answered in eight steps; the prompts repeat what was found."""
    trace_id, at = f"{chance.getrandbits(128):032x}", start
    who = {"user": str(number % 1000), "session": f"s{number % 5000}", "environment": "production"}
    found, question = text(chance, 120), text(chance, 12)
    attributes = {f"app.setting.{n}": n * 7 for n in range(12)} | {"tenant": f"t{number % 50}"}
    names = ("answer question", "search", "rewrite", "plan", "look up", "call tool", "answer", "check")
    kinds = ("chain", "retrieval", "llm", "llm", "tool", "tool", "llm", "step")
    for step, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        seconds = chance.lognormvariate(-1, 1) if step else chance.lognormvariate(1, 0.6)
        span = Span(
            trace_id, f"{step + 1:016x}", name, at + step * 1_000_000, None if not step else f"{1:016x}", kind,
            at + step * 1_000_000 + int(seconds * SECOND), attributes=dict(attributes), **who,
        )  # fmt: skip
        if chance.random() < 0.02:
            span.status, span.error = "error", "TimeoutError: no answer within 30 s"
        if kind == "llm":
            span.model, span.provider = MODELS[number % 3], "openai"
            span.input_tokens, span.output_tokens = 300 + int(chance.expovariate(1 / 600)), 120
            span.cost = (span.input_tokens + 4 * span.output_tokens) / 1e6
            span.input_messages = [{"role": "user", "text": f"{found}\n{question}"}]
            span.output_messages = [{"role": "assistant", "text": text(chance, 40)}]
        elif step in (0, 1):
            span.input, span.output = question, text(chance, 30) if not step else found
        yield span


def best(question: Callable[[], object], times: int = 5) -> float:
    """Milliseconds of CPU, the best of some; the others were disturbed."""
    rounds: list[float] = []
    for _ in range(times):
        begun = time.process_time()
        question()
        rounds.append(time.process_time() - begun)
    return min(rounds) * 1000


def write(store: SpanStore, spans: int) -> tuple[int, str]:
    """Write so many, in batches; how many they are, and a trace among them."""
    chance, now = random.Random(1), time.time_ns()
    used = wall = 0.0
    count, kept, many = 0, "", spans // 8
    for first in range(0, many, BATCH):
        batch = [
            span
            for number in range(first, min(first + BATCH, many))
            for span in trace(chance, number, now - 7 * 86_400 * SECOND + number * (7 * 86_400 * SECOND // many))
        ]
        begun, clock = time.process_time(), time.perf_counter()
        store.write(batch)
        used += time.process_time() - begun
        wall += time.perf_counter() - clock
        count += len(batch)
        kept = batch[0].trace_id
    print(f"load {os.getloadavg()[0]:.1f}; {count:,} spans")
    print(f"write: {used / count * 1e6:.0f} ms of CPU per 1,000 spans ({count / wall:,.0f} spans/s)")
    return count, kept


def ask(store: SpanStore, kept: str) -> None:
    """Each question that the store answers."""
    for name, question in {
        "latest 50 traces": store.find,
        "status:error": lambda: store.find("status:error"),
        "model:gpt-4.1 user:42": lambda: store.find("model:gpt-4.1 user:42"),
        "session:s77": lambda: store.find("session:s77"),
        "attr.tenant:t7 (filterable)": lambda: store.find("attr.tenant:t7"),
        "attr.tenant:none (filterable)": lambda: store.find("attr.tenant:none"),
        "name:nothing (which no span has)": lambda: store.find("name:nothing"),
        "text of two words": lambda: store.find('"manager199 notice0"'),
        "one trace": lambda: store.trace(kept),
        "stats": store.stats,
        "stats by model,hour since:7d": lambda: store.stats("since:7d", by=["model", "hour"]),
        "stats by name since:24h": lambda: store.stats("since:24h", by=["name"]),
        "stats by component": lambda: store.stats(by=["component"]),
        "stats by version,chain": lambda: store.stats(by=["version", "chain"]),
    }.items():
        print(f"{name}: {best(question):.1f} ms")
    sort(store)
    slow = best(lambda: store.stats("-provider:x", by=["model", "hour"]), 1)
    print(f"stats by model,hour from the spans: {slow:.0f} ms")


def sort(store: SpanStore) -> None:
    """Lists by what is largest; those by cost and tokens sum each trace."""
    for by in ("latency", "cost", "tokens"):
        print(f"sorted by {by}: {best(partial(store.find, sort=by), 2):.1f} ms")
    cursor = store.find(sort="cost").next
    print(f"sorted by cost, second page: {best(partial(store.find, sort='cost', cursor=cursor), 2):.1f} ms")
    print(f"of a model, sorted by cost: {best(partial(store.find, 'model:gpt-4.1', sort='cost'), 2):.1f} ms")


def page(session: Session, asked: str) -> bytes:
    """What the address /traces.json?q= answers."""
    return bytes(JsonResponse(as_json(traces.page(session, Asked(query={"q": asked})))).body)


def main() -> None:
    """Write, then ask, then look."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        store = SpanStore(Path(folder), "bench", filterable=["tenant"])
        count, kept = write(store, spans)
        store.close()  # so that all of it is in the file
        size = sum(file.stat().st_size for file in Path(folder).glob("spans.db"))
        print(f"on disk: {size / count:.0f} bytes a span")
        store = SpanStore(Path(folder), "bench", filterable=["tenant"])
        ask(store, kept)
        store.close()
        with afere.store.open(folder, project="bench") as session:
            for name, asked in (("", ""), (", a common word", "notice0"), (", a rare word", "manager199")):
                print(f"page of traces{name}, as JSON: {best(partial(page, session, asked)):.1f} ms")
            print(f"counts over the newest 1,000: {best(lambda: over.page(session, Asked())):.1f} ms")


if __name__ == "__main__":
    main()
