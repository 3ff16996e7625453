"""The examples of the docs run: the blocks of a page, in order, in one empty project.

A fenced block marked `python` or `bash` runs; one without a mark, or marked `text`, is only shown. A page whose first line
holds `<!-- examples: openai -->` runs against a real HTTP server that speaks the OpenAI protocol.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from afere.models import Request
from afere.testing import OpenAIServer

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"^```(python|bash|yaml|markdown|jsonl|json)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
PAGES = [
    ROOT / "docs" / "start.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "docs" / "ideas").glob("*.md")),
]
RUNS = [page for page in PAGES if re.search(r"<!-- examples: (\w+) -->", page.read_text(encoding="utf-8"))]


def test_the_start_page_has_examples_that_run() -> None:
    assert ROOT / "docs" / "start.md" in RUNS


@pytest.mark.parametrize("page", RUNS, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_as_printed(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    with OpenAIServer(answer_like_a_model, models=["gpt-4.1-mini"]) as server:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AFERE_", "OPENAI_"))},
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-example",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        for language, title, body in BLOCK.findall(text):
            if title:  # a file of the project
                (folder / title).parent.mkdir(parents=True, exist_ok=True)
                (folder / title).write_text(body, encoding="utf-8")
            elif language in ("python", "bash"):
                command = (
                    [sys.executable, "-c", body] if language == "python" else ["bash", "-euo", "pipefail", "-c", body]
                )
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
                )
                assert done.returncode == 0, f"{page.name}:\n{body}\n--- printed\n{done.stdout}\n{done.stderr}"


def answer_like_a_model(request: Request) -> str:
    """What the server of the examples says: the line of the prompt that shares most words with its last line."""
    *lines, question = [line for line in request.messages[-1].text.splitlines() if line.strip()] or [""]
    wanted = set(re.findall(r"\w+", question.lower()))
    return max(lines or [question], key=lambda line: len(wanted & set(re.findall(r"\w+", line.lower()))))
