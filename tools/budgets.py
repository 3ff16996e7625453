"""The budgets of docs/decisions/budgets.md, measured on a fresh core install; fails when one is exceeded.

Builds a virtual environment of the core alone, then measures it. CPU time is the least of several runs, so that a busy
machine does not fail the check.
"""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "distributions": 25,
    "megabytes": 60,
    "import afere, CPU ms": 150,
    "afere --help, CPU s": 0.25,
    "afere traces, CPU s": 0.4,
}


def cpu_seconds(command: list[str], cwd: Path, runs: int = 5) -> float:
    """The least CPU time, user and system, of a command over some runs."""
    best = float("inf")
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best


def measure(folder: Path) -> dict[str, float]:
    """Install the core into `folder` and measure what the budgets name."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv" / "lib").iterdir()) / "site-packages"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "-q",
        "--python",
        str(folder / "venv/bin/python"),
    ]
    subprocess.run([*pip, "install", str(ROOT)], check=True, stderr=subprocess.DEVNULL)
    python = str(folder / "venv/bin/python")
    listing = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"],
        check=True,
        capture_output=True,
        text=True,
    )
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    empty = folder / "empty"
    empty.mkdir()
    bare = cpu_seconds([python, "-c", "pass"], empty)
    free_of_numpy = "import afere, sys; assert 'numpy' not in sys.modules"
    return {
        "distributions": float(listing.stdout),
        "megabytes": size / 1e6,
        "import afere, CPU ms": (cpu_seconds([python, "-c", free_of_numpy], empty) - bare) * 1000,
        "afere --help, CPU s": cpu_seconds([str(folder / "venv/bin/afere"), "--help"], empty),
        "afere traces, CPU s": cpu_seconds([str(folder / "venv/bin/afere"), "traces"], empty),
    }


def longest() -> None:
    """Print the ten longest files and functions: the ones asking to be split."""
    files: list[tuple[int, str]] = []
    functions: list[tuple[int, str]] = []
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        files.append((text.count("\n"), name))
        functions += [
            ((node.end_lineno or node.lineno) - node.lineno + 1, f"{name}:{node.lineno} {node.name}")
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    for title, items in (("files", files), ("functions", functions)):
        print(f"longest {title}: " + "; ".join(f"{lines} {name}" for lines, name in sorted(items, reverse=True)[:10]))


def main() -> int:
    os.environ.pop("AFERE_STORE", None)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    over = [name for name, value in found.items() if value > LIMITS[name]]
    for name, value in found.items():
        print(f"{name:24} {value:8.2f}  of {LIMITS[name]}{'   EXCEEDED' if name in over else ''}")
    longest()
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
