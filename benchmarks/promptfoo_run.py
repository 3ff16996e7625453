"""1,000 tests with a provider and an assertion in Python and one in JavaScript, by afere and, where its program is named, by
promptfoo: `python benchmarks/promptfoo_run.py [PROMPTFOO]`, such as node_modules/.bin/promptfoo. CPU is of all processes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = 1000
CONFIG = "prompts: ['say {{q}}']\nproviders: ['python:p.py']\ntests: file://t.csv\n"
PROVIDER = "def call_api(prompt, options, context):\n    return {'output': prompt}\n"


def main(peer: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "afere.yaml").write_text("project: bench\n")
        (folder / "promptfooconfig.yaml").write_text(CONFIG)
        (folder / "p.py").write_text(PROVIDER)
        rows = [f"text {i},contains: text,python: len(output) > 3,javascript: output.length > 3" for i in range(TESTS)]
        (folder / "t.csv").write_text("\n".join(["q,__expected,__expected2,__expected3", *rows]) + "\n")
        _timed(
            "afere", [str(Path(sys.executable).with_name("afere")), "eval", "promptfooconfig.yaml", "--json"], folder
        )
        if peer:
            _timed(
                "promptfoo",
                [str(Path(peer).resolve()), "eval", "--no-cache", "--no-table", "--no-progress-bar"],
                folder,
            )


def _timed(label: str, command: list[str], folder: Path) -> None:
    quiet = {f"PROMPTFOO_{one}": "1" for one in ("DISABLE_TELEMETRY", "DISABLE_UPDATE", "DISABLE_SHARING")}
    environment = {**os.environ, **quiet, "PROMPTFOO_CONFIG_DIR": str(folder / "peer")}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{label}: status {done.returncode}, {cpu:.1f} s of CPU, {time.monotonic() - begun:.1f} s, load {os.getloadavg()[0]:.0f}"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
