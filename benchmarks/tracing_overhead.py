"""What tracing costs: microseconds of CPU in the calling thread, and in the whole process, for each span.

Small steps, and calls of a model with 15 attributes and some 4.5 KB of messages; these with OpenTelemetry's SDK beside (its batch
processor, and an exporter that encodes and sends nothing), which says how fast the machine is at the moment.

python benchmarks/tracing_overhead.py [SPANS]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import afere


@afere.trace
def search(question: str, k: int = 4) -> str:
    """A small step: two inputs, an output of a hundred characters."""
    return "Contractors may end the agreement with notice. " * 2


@afere.trace(kind="chain")
def chain(steps: int) -> int:
    """A root with many steps."""
    for _ in range(steps):
        search("What is the notice period of a contractor?", k=4)
    return steps


SYSTEM = "You are a support agent of a web shop. " + "Answer from the context only, cite it, be brief. " * 9
CONTEXT = "Context:\n" + "The customer may return an article within thirty days of delivery. " * 22
ANSWER = "Yes. " + "Articles can be returned within thirty days of delivery in their original packing. " * 7
ASKED = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": CONTEXT}]
ANSWERED = [{"role": "assistant", "content": ANSWER}]
SAID: dict[str, str | int | float] = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-11-20", "gen_ai.request.temperature": 0.2, "gen_ai.request.max_tokens": 1024,
    "gen_ai.request.top_p": 0.95, "gen_ai.usage.input_tokens": 612, "gen_ai.usage.output_tokens": 148,
    "gen_ai.response.id": "chatcmpl-9f3a", "gen_ai.conversation.id": "sess-42", "session.id": "sess-42",
    "user.id": "user-7", "app.prompt.name": "support-answer", "app.prompt.version": 7,
}  # fmt: skip


def ours(calls: int) -> None:
    """Calls of a model, each a trace of its own, by our client."""
    for _ in range(calls):
        with afere.span("chat gpt-4o", kind="llm", **SAID) as live:
            live.input(ASKED)
            live.output(ANSWERED)


def sdk() -> Callable[[int], None] | None:
    """The same by OpenTelemetry's SDK; None where it is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    except ImportError:
        return None

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = provider.get_tracer("benchmark")

    def theirs(calls: int) -> None:
        for _ in range(calls):
            with tracer.start_as_current_span("chat gpt-4o") as span:
                span.set_attributes(SAID)
                span.set_attribute("gen_ai.input.messages", json.dumps(ASKED))
                span.set_attribute("gen_ai.output.messages", json.dumps(ANSWERED))

    return theirs


def llm(work: Callable[[int], None]) -> str:
    """Median and best of 20 bursts, of the calling thread alone."""
    work(50)
    took: list[float] = []
    for _ in range(20):
        afere.flush(60)
        began = time.thread_time()
        work(200)
        took.append((time.thread_time() - began) / 200 * 1e6)
    return f"median {statistics.median(took):.0f}, best {min(took):.0f} us"


def main() -> None:
    """Print the best of five rounds; a busy machine only makes a round slower."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        chain(200)
        afere.flush()
        rounds: list[tuple[float, float]] = []
        for _ in range(5):
            thread, process = time.thread_time(), time.process_time()
            chain(spans)
            calling = time.thread_time() - thread
            afere.flush(60)
            rounds.append((calling / spans * 1e6, (time.process_time() - process) / spans * 1e6))
        beside = sdk()
        print(
            f"an LLM span: {llm(ours)} in the calling thread; by OpenTelemetry's SDK: {llm(beside) if beside else 'not installed'}"
        )
        flushed = afere.flush(60)
        os.chdir("/")
    print(
        f"calling thread: {min(r[0] for r in rounds):.0f} us a span; with writing: {min(r[1] for r in rounds):.0f} us"
    )
    print(f"written {flushed.written}, lost {flushed.lost}")


if __name__ == "__main__":
    main()
