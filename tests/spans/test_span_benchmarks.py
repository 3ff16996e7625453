"""The heavy benchmarks of spans, run small: that they run and tell what they promise. What they measure is in docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("file", "told"),
    [("span_store.py", ("800 spans", "bytes a span", "one trace", "latest 50 traces", "page of traces")), ("tracing_overhead.py", ("calling thread", "lost 0"))],
)  # fmt: skip
def test_a_benchmark_runs_small(file: str, told: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, HERE / file, "800"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in told), done.stdout
