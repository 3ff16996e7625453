"""Record what the real promptfoo says of the files in tests/evals/promptfoo: `python tools/record_promptfoo.py PROMPTFOO [FILE...]`.

PROMPTFOO is its program, such as node_modules/.bin/promptfoo of `npm install promptfoo` in a scratch folder. The verdicts
go to recorded.json beside the files, which the tests read, so that they need no npm. With names of files only those are recorded
anew. One call at a time: which of several answers it compares is the first depends on who is done first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FILES = Path(__file__).parents[1] / "tests" / "evals" / "promptfoo"
QUIET = ("DISABLE_TELEMETRY", "DISABLE_UPDATE", "DISABLE_SHARING", "DISABLE_REMOTE_GENERATION")


def main(program: str, *only: str) -> None:
    kept = json.loads((FILES / "recorded.json").read_text(encoding="utf-8"))["files"] if only else {}
    found: dict[str, Any] = {"version": _run(program, "--version").strip(), "files": kept}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(FILES, folder, dirs_exist_ok=True)
        for file in sorted(one for one in FILES.glob("*.yaml") if not only or one.name in only):
            out = Path(folder) / "out.json"
            _run(
                program,
                "eval",
                "-c",
                str(Path(folder) / file.name),
                "--no-cache",
                "--no-table",
                "-j",
                "1",
                "-o",
                str(out),
            )
            results = json.loads(out.read_text())["results"]["results"]
            found["files"][file.name] = [_result(one) for one in results]
    (FILES / "recorded.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _run(program: str, *words: str) -> str:
    quiet = {f"PROMPTFOO_{one}": "1" for one in QUIET}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [program, *words],
            env={**os.environ, **quiet, "PROMPTFOO_CONFIG_DIR": home},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 100):  # 100: a test failed
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


def _result(one: dict[str, Any]) -> dict[str, Any]:
    graded = one.get("gradingResult") or {}
    parts = [
        {
            **{key: (part.get("assertion") or {}).get(key) for key in ("type", "value")},
            "pass": part["pass"],
            "score": round(part["score"], 4),
        }
        for part in graded.get("componentResults") or []
    ]
    return {
        "prompt": one["prompt"]["raw"], "provider": one["provider"].get("label") or one["provider"]["id"], "vars": one["vars"],
        "success": one["success"], "error": (one.get("error") or "")[:200] if not parts else "", "parts": parts,
    }  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
