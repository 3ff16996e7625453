"""The owner's own Python and JavaScript, called in child processes: it can end, hang or print what it likes."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, WorldFailed

SECONDS = 300.0  # for one answer
JAVASCRIPT = (".js", ".cjs", ".mjs")
NO_NODE = "it is JavaScript, and node is not installed"
_HOSTS = Path(__file__).with_name("hosts")
_TAIL = 500  # characters of what a child printed that are shown

Language = Literal["python", "javascript"]


class ProgramFailed(Exception):
    """The function raised, or answered with what is no JSON."""


@dataclass(frozen=True, slots=True)
class Code:
    """A function: of a file, or written out with the `names` of its arguments. `names` of a file: those to look for."""

    language: Language
    text: str = ""
    file: Path | None = None
    names: tuple[str, ...] = ()

    @property
    def content(self) -> Json:
        """What makes it this one."""
        return (
            self.text if self.file is None else [self.file.name, self.file.read_text("utf-8", "replace"), *self.names]
        )


def language_of(file: Path) -> Language | None:
    """In what a file is written, by its ending; None: it is no program."""
    return "python" if file.suffix == ".py" else "javascript" if file.suffix in JAVASCRIPT else None


def node() -> str | None:
    """The `node` that runs JavaScript."""
    return shutil.which("node")


class Programs:
    """Child processes that wait for calls: as many as there are calls at once, used again, ended with this object."""

    def __init__(self, folder: Path, *, python: str = sys.executable, seconds: float = SECONDS) -> None:
        self._folder, self._python, self._seconds = folder, python, seconds
        self._idle: dict[Language, list[_Child]] = {"python": [], "javascript": []}
        self._lock = threading.Lock()
        self.told: Callable[[Language], None] = lambda _: None  # before the first process of a language starts

    def call(self, code: Code, *arguments: Json) -> Json:
        """What the function answers. ProgramFailed where it raises; WorldFailed where its process ends or takes too long."""
        with self._lock:
            child = self._idle[code.language].pop() if self._idle[code.language] else None
        child = child or self._start(code.language)
        asked = {
            "file": str(code.file.resolve()) if code.file else None, "code": code.text, "names": list(code.names),
            "arguments": list(arguments),
        }  # fmt: skip
        said = child.ask(asked, self._seconds)
        with self._lock:
            self._idle[code.language].append(child)
        if "error" in said:
            raise ProgramFailed(str(said["error"]))
        return said["value"]

    def _start(self, language: Language) -> _Child:
        self.told(language)
        if language == "python":
            return _Child([self._python, "-u", "-c", (_HOSTS / "host.py").read_text("utf-8")], self._folder, "python")
        found = node()
        if found is None:
            raise BadInput("node is not installed, and JavaScript needs it.")
        return _Child([found, str(_HOSTS / "host.cjs")], self._folder, "node")


class _Child:
    """One process: a line of JSON to it, a line back."""

    def __init__(self, command: list[str], folder: Path, label: str) -> None:
        self._label = label
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - what it prints never blocks it; gone with this object
        self._process = subprocess.Popen(  # noqa: S603 - the user's own programs, without a shell
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._rest = b""
        self.end = weakref.finalize(self, _end, self._process)

    def ask(self, asked: object, seconds: float) -> dict[str, Json]:
        stdin, stdout = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            stdin.write(json.dumps(asked, ensure_ascii=True).encode() + b"\n")
            stdin.flush()
            line = self._line(stdout, time.monotonic() + seconds)
        except OSError as problem:
            raise self._lost(str(problem)) from None
        try:
            return cast("dict[str, Json]", json.loads(line))
        except ValueError:
            raise self._lost("it answered with what is no JSON") from None

    def _line(self, stdout: IO[bytes], until: float) -> bytes:
        with selectors.DefaultSelector() as ready:
            ready.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                left = until - time.monotonic()
                if left <= 0 or not ready.select(left):
                    raise self._lost("it took too long")
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    raise self._lost("it ended")
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _lost(self, why: str) -> WorldFailed:
        self.end()
        self._errors.seek(0)
        printed = self._errors.read().decode("utf-8", "replace").strip()[-_TAIL:]
        return WorldFailed(f"{self._label}: {why}{f'; it printed: {printed}' if printed else ''}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
