"""What tracing costs: microseconds of CPU in the calling thread, and in the whole process, for each span.

python benchmarks/tracing_overhead.py [SPANS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

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
        flushed = afere.flush(60)
        os.chdir("/")
    print(
        f"calling thread: {min(r[0] for r in rounds):.0f} us a span; with writing: {min(r[1] for r in rounds):.0f} us"
    )
    print(f"written {flushed.written}, lost {flushed.lost}")


if __name__ == "__main__":
    main()
