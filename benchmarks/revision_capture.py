"""How long capturing a revision takes on a project of 300 modules with 12 functions each.

    python benchmarks/revision_capture.py

Processor time, since the machine may be busy. Cold is the first capture on a machine; "new process" finds the index on disk; warm is the next capture of a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULES, FUNCTIONS = 300, 12

_PROGRAM = """
import json, sys, time
sys.path.insert(0, ".")
from app.main import few, all_of_them
from afere.chains.revision import capture
import afere.chains.component
chain = all_of_them if sys.argv[1] == "all" else few
def timed():
    begun, used = time.perf_counter(), time.process_time()
    revision = capture(chain)
    return len(revision.parts), 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - used)
first = timed()
print(json.dumps({"parts": first[0], "first": first[1:], "warm": min(timed()[1:] for _ in range(20))}))
"""


def main() -> None:
    """Print a line per size and state of the cache."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _project(root)
        print(f"{'':24}{'parts':>6}{'cold':>12}{'new process':>14}{'warm':>10}   (milliseconds of processor time)")
        for size in ("few", "all"):
            environment = {**os.environ, "XDG_CACHE_HOME": str(root / f"cache-{size}")}
            cold = _run(root, size, environment)
            again = min((_run(root, size, environment) for _ in range(3)), key=lambda one: one["first"][1])
            print(
                f"{'reaches ' + ('a third' if size == 'few' else 'all modules'):24}{cold['parts']:>6}{cold['first'][1]:>12.0f}"
                f"{again['first'][1]:>14.0f}{again['warm'][1]:>10.1f}"
            )


def _run(root: Path, size: str, environment: dict[str, str]) -> dict:
    command = [sys.executable, "-c", _PROGRAM, size]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _project(root: Path) -> None:
    (root / "afere.yaml").write_text("project: bench\n")
    (root / "app").mkdir()
    (root / "app/__init__.py").write_text("")
    for number in range(MODULES):
        (root / f"app/m{number}.py").write_text(_module(number))
    every = "\n".join(f"from app import m{number}" for number in range(MODULES))
    calls = ", ".join(f"m{number}.f0(x)" for number in range(MODULES))
    (root / "app/everything.py").write_text(f"{every}\n\n\ndef run(x):\n    return [{calls}]\n")
    (root / "app/main.py").write_text(
        "from app.m0 import f0\n\n\ndef few(x):\n    return f0(x)\n\n\n"
        "def all_of_them(x):\n    from app.everything import run\n    return run(x)\n"
    )
    old = time.time() - 3600
    for file in [*root.rglob("*"), root]:
        os.utime(file, (old, old))


def _module(number: int) -> str:
    """Module n uses module n+3 (so a third of them hang on the first), four of its functions and a constant."""
    after = number + 3
    lines = ["import json", "import re", ""]
    if after < MODULES:
        lines.insert(2, f"from app.m{after} import f0 as after")
    lines += [f"LIMIT = {number}", ""]
    for i in range(FUNCTIONS):
        inner = (
            f"f{i + 1}(x)"
            if i in (0, 1, 2)
            else f"after(x) if x > {number} else x"
            if i == 3 and after < MODULES
            else "x"
        )
        lines += [
            "", f"def f{i}(x, depth={i}):", f'    """Function {i} of module {number}."""', "    found = {}",
            "    for key, value in sorted(json.loads(str(x)).items()):",
            f"        if re.match('[a-z]{{{i}}}', key) and len(value) > LIMIT:",
            "            found[key.strip()] = [part.lower() for part in value.split(',') if part]",
            "        else:", "            found.setdefault('rest', []).append((key, value, depth))",
            f"    return found or {inner}", "",
        ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
