"""A prompt by reference for a program that must go on: looked up beside the caller, kept in memory and on disk.

The caller waits a moment for the first look-up of a component, and never again. What cannot be looked up is what it was last
time, also after a restart, else the caller's packaged file.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from afere.base.artifact import Artifact, Ref, parse_ref
from afere.base.canonical import Json, digest
from afere.base.errors import BadReference, NoSuchArtifact
from afere.base.project import Project
from afere.data.place import session_of
from afere.store import Session

WAIT = 1.0  # seconds that the first call waits for the first look-up
REFRESH = 30.0  # seconds for which an answer is not looked up again, unless told otherwise
AGAIN = 5.0  # the same, after a look-up that failed

_log = logging.getLogger("afere")


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference means: a prompt, and model and parameters where it is that of a component."""

    prompt: Artifact
    model: str | None
    parameters: dict[str, Json]
    source: Literal["store", "disk"] = "store"

    def same(self, other: Found | None) -> bool:
        return other is not None and (self.prompt.hash, self.model, self.parameters, self.source) == (
            other.prompt.hash, other.model, other.parameters, other.source
        )  # fmt: skip


def found_by(ref: Ref, session: Session) -> Found:
    """The prompt that a reference means in a store, or the prompt of the component that it means."""
    try:
        found = session.get(ref, kind=ref.kind or "prompt")
    except NoSuchArtifact:
        if ref.kind is not None:
            raise
        found = session.get(ref, kind="component")
    if found.kind == "prompt":
        return Found(found, None, {})
    if found.kind != "component":
        raise BadReference(f"{found.ref} is a {found.kind}; afere.prompt takes a prompt or a component.")
    said = cast("dict[str, Any]", found.content)
    edge = next(use for use in found.uses if use.role == "prompt")
    prompt = session.get(parse_ref(f"{edge.ref.partition('@')[0]}~{edge.hash.removeprefix('sha256:')}"))
    return Found(prompt, str(said["model"]), cast("dict[str, Json]", said["parameters"]))


class Fetcher:
    """Keeps what a reference means, looked up again every `refresh` seconds by a thread of its own. Never raises."""

    def __init__(self, ref: Ref, project: Project, refresh: float) -> None:
        self._ref, self._project = ref, project
        self._refresh = float("inf") if ref.number is not None or ref.hex is not None else refresh
        self._file = (
            project.root
            / ".afere"
            / "fetched"
            / f"{digest(f'{project.store} {project.name} {ref}'.encode())[7:39]}.json"
        )
        self._lock = threading.Lock()
        self._known: Found | None = None
        self._looked: float | None = None  # when the last look-up ended
        self._thread: threading.Thread | None = None
        self._waited = False
        self._failing = False

    def current(self) -> Found | None:
        """What the reference means as far as is known; None: it never could be looked up."""
        with self._lock:
            thread, first = self._due(), not self._waited
            self._waited = True
        if first and thread is not None:
            thread.join(WAIT)
        with self._lock:
            if self._known is None:
                self._known = self._kept()
            return self._known

    def _due(self) -> threading.Thread | None:
        """The look-up that runs now; begun if it is time."""
        if self._thread is not None and self._thread.is_alive():  # no longer so in a forked child
            return self._thread
        pause = min(self._refresh, AGAIN) if self._failing else self._refresh
        if self._looked is not None and time.monotonic() - self._looked < pause:
            return None
        self._thread = threading.Thread(target=self._look, name=f"afere fetches {self._ref}", daemon=True)
        self._thread.start()
        return self._thread

    def _look(self) -> None:
        found: Found | None = None
        try:
            found = found_by(self._ref, session_of(self._project))
        except Exception as problem:  # whatever it is, the caller goes on with what it has
            if not self._failing:  # said once, until it can be looked up again
                known = self._known or self._kept()
                used = f"{known.prompt.ref}, as known before, is used" if known else "the packaged file is used"
                _log.warning("%s could not be looked up, so %s: %s", self._ref, used, problem)
        with self._lock:
            self._looked, self._failing = time.monotonic(), found is None
            if found is None:
                return
            changed = not found.same(self._known)
            self._known = found if changed else self._known
        if changed:
            self._keep(found)

    def _keep(self, found: Found) -> None:
        """On disk, in one step; a disk that cannot be written is no reason to stop."""
        prompt = found.prompt
        value = {
            "name": prompt.name, "version": prompt.version, "hash": prompt.hash, "content": prompt.content,
            "model": found.model, "parameters": found.parameters,
        }  # fmt: skip
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            ignore = self._file.parent.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="ascii")
            part = self._file.with_suffix(f".{threading.get_native_id()}")
            part.write_text(json.dumps(value), encoding="utf-8")
            part.replace(self._file)

    def _kept(self) -> Found | None:
        """What an earlier process kept; a file that is not whole counts as none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            said: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            prompt = Artifact("prompt", str(said["name"]), int(said["version"]), str(said["hash"]), said["content"])
            return Found(prompt, said["model"], dict(said["parameters"]), "disk")
        return None


def packaged(path: str | Path, project: Project) -> Path:
    """The file that is used while nothing else is known; BadReference if it is not there, at once and not on a bad day."""
    found = project.path(path)
    if not found.is_file():
        raise BadReference(
            f"fallback={str(path)!r}: there is no such file in {project.root}. Name a prompt file that is packaged."
        )
    return found
