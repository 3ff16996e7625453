"""A small project on disk, captured in a process of its own, and edits to it."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILES = {
    "afere.yaml": "project: handbook\nindexes: {handbook: {source: docs/}}\n",
    "prompts/answer.md": "---\nmodel: openai:gpt-x\nparameters: {temperature: 0}\n---\nAnswer {{ question }} briefly.\n",
    "data/synonyms.json": '{"pto": "leave"}\n',
    "data/unused.json": "{}\n",
    "app/__init__.py": "import os\n\nos.environ.setdefault('APP', '1')\n",
    "app/config.py": "LIMIT = 4\nTIMEOUT = 30\nif LIMIT > 3:\n    MODE = 'many'\nelse:\n    MODE = 'few'\n\n\ndef build():\n    return [1, 2]\n\n\nTABLE = build()\n",
    "app/setup.py": "import app.config\n\napp.config.TIMEOUT = 60\n",
    "app/text/__init__.py": "from app.text.clean import clean\n",
    "app/text/clean.py": '''import re
import json

WORDS = re.compile("[a-z]+")


def clean(text: str) -> str:
    """Lower case, one space."""
    return " ".join(WORDS.findall(lower(text)))


def lower(text):
    return text.lower()


def unused(text):
    return text
''',
    "app/registry.py": """TOOLS = {}


def register(fn):
    TOOLS[fn.__name__] = fn
    return fn
""",
    "app/tools.py": '''import afere
from app.registry import register


@register
def days(country: str) -> int:
    """Days of leave in a country."""
    return len(country)


@afere.tool
def rate(currency: str) -> float:
    """The exchange rate."""
    return 1.0
''',
    "app/retrieve.py": '''from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    TEXT = 1
    PAGE = 2


class Base:
    limit = 5

    def open(self):
        return self


@dataclass
class Found:
    text: str
    score: float = 0.0


class Retriever(Base):
    """Finds passages."""

    def find(self, question: str) -> list:
        """Passages for a question."""
        return [Found(question)] if Kind.TEXT else []
''',
    "app/plugins/__init__.py": "",
    "app/plugins/alpha.py": "def run():\n    return 'alpha'\n",
    "app/loose.py": "def stray():\n    return 1\n",
    "app/chain.py": '''import importlib
import json
import os

import afere
import click
from app import config
from app import setup, tools
from app.registry import TOOLS
from app.retrieve import Retriever
from app.text import clean as tidy

answer = afere.prompt("prompts/answer.md")
MODEL = os.environ.get("MODEL", "small")
_cache = {}


def helper(question, pad=1):
    def inner(word):
        return word * pad

    return [inner(word) for word in question.split()]


def plugin(name):
    return importlib.import_module(f"app.plugins.{name}")


@afere.chain
def qa(question: str) -> str:
    """Answers."""
    with open("data/synonyms.json") as file:
        synonyms = json.load(file)
    passages = Retriever().find(tidy(question))
    _cache[question] = click.style(str(passages))
    return answer(question=str([helper(question), synonyms, config.LIMIT, config.TABLE, config.MODE, config.TIMEOUT, TOOLS, MODEL, plugin]))


@afere.chain
def other(question):
    return question


if __name__ == "__main__":
    print(qa("x"))
''',
}

_PROGRAM = """
import json, os, sys, traceback
import afere
import afere.data, afere.evals
from afere.chains.revision import capture
with afere.open(sys.argv[1]) as session:
    capture(afere.chain(lambda: None, name="warm")).put(session)

def one(job):
    os.chdir(job["root"])
    sys.path.insert(0, job["root"])
    os.environ.update(job["environment"])
    from importlib import import_module
    module, _, name = job["target"].partition(":")
    target = import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    scope = {"target": target, "capture": capture, "afere": afere}
    exec(job["do"], scope)
    revision = capture(scope["target"])
    with afere.open() as session:
        hash = revision.put(session).hash
    return {"hash": hash, "content": revision.content(), "notes": revision.notes, "uses": sorted(revision.uses),
            "setting": revision.setting_digest, "said": scope.get("said")}

for line in sys.stdin:
    job = json.loads(line)
    if os.fork() == 0:  # a process of its own, without paying the imports of afere again
        try:
            text = json.dumps(one(job))
        except BaseException:
            text = json.dumps({"error": traceback.format_exc()})
        with open(job["answer"], "w") as file:
            file.write(text)
        os._exit(0)
    os.wait()
    print("done", flush=True)
"""


@cache
def _process(number: int) -> subprocess.Popen[str]:
    """A process that captures; each number has one, with a hash seed of its own."""
    # -B: a module that is written again within a second, as long as before, is the old one to Python's cache of compiled ones.
    started = subprocess.Popen(
        [sys.executable, "-B", "-c", _PROGRAM, tempfile.mkdtemp()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(started.kill)
    return started


def write(root: Path, files: dict[str, str]) -> Path:
    """Put files into a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@dataclass
class Job:
    """One capture in a process of its own. `do` is code that runs before it, with the live object as `target`."""

    root: Path
    target: str = "app.chain:qa"
    do: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def captured(*jobs: Job, process: int = 0) -> list[dict[str, Any]]:
    """What each job captured: hash, content, notes."""
    server = _process(process)
    assert server.stdin
    assert server.stdout
    results: list[dict[str, Any]] = []
    for job in jobs:
        answer = job.root.parent / f"{job.root.name}.answer.json"
        wanted = {**asdict(job), "root": str(job.root), "answer": str(answer)}
        server.stdin.write(json.dumps(wanted) + "\n")
        server.stdin.flush()
        assert server.stdout.readline() == "done\n"
        result = json.loads(answer.read_text())
        assert "error" not in result, result["error"]
        results.append(result)
    return results
