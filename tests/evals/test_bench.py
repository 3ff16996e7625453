"""The benchmark of the runner, small: it runs as its page says, and its answers are right. No time is looked at."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "eval_runner.py"


def test_the_benchmark_of_the_runner_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FILE), "60"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for mode in ("bare", "evaluation"):  # which asserts its own scores
        assert re.search(rf"{mode}: +[\d.]+ s \([\d.]+ x ideal\), [\d.]+ ms of CPU a case, \d+ MB", done.stdout)
