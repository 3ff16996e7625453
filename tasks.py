"""The checks of this repository, by name: `python tasks.py check` runs all of them, as CI does.

python tasks.py lint      ruff: style and format
python tasks.py types     pyright: strict
python tasks.py layers    import-linter: imports point down
python tasks.py test      pytest: everything, docs and browser included
python tasks.py explore   the property tests (Hypothesis) with examples never seen before
python tasks.py budgets   size of the install, import time, longest files and functions
python tasks.py fix       let ruff mend what it can
python tasks.py lock      write requirements/dev.txt anew (needs uv)
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent
BIN = Path(sys.executable).parent

TASKS: dict[str, list[list[str]]] = {
    "lint": [[f"{BIN}/ruff", "check"], [f"{BIN}/ruff", "format", "--check"]],
    "types": [[f"{BIN}/pyright", "--pythonpath", sys.executable, "--pythonversion", f"3.{sys.version_info.minor}"]],
    "layers": [[f"{BIN}/lint-imports", "--no-cache"]],
    "test": [[sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadgroup"]],
    "explore": [[sys.executable, "-m", "pytest", "-n", "auto", "--hypothesis-profile=explore", "-m", "hypothesis"]],
    "budgets": [[sys.executable, "tools/budgets.py"]],
    "fix": [[f"{BIN}/ruff", "check", "--fix"], [f"{BIN}/ruff", "format"]],
    "lock": [
        [
            "uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes",
            "--no-emit-index-url", "--no-header", "--group", "dev", "--all-extras", "-o", "requirements/dev.txt",
        ]
    ],
}  # fmt: skip
CHECK = ("lint", "types", "layers", "test", "budgets")


def run(name: str) -> bool:
    """Run one task; whether all of its commands succeeded."""
    start = time.monotonic()
    print(f"== {name}", flush=True)
    good = all(subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in TASKS[name])
    print(f"== {name}: {'ok' if good else 'FAILED'} in {time.monotonic() - start:.0f} s", flush=True)
    return good


def main() -> int:
    wanted = sys.argv[1:] or ["help"]
    names = [name for word in wanted for name in (CHECK if word == "check" else (word,))]
    if unknown := [name for name in names if name not in TASKS]:
        print(__doc__)
        return 0 if unknown == ["help"] else 2
    failed = [name for name in names if not run(name)]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
