"""Where names and paths resolve: the project of the code that calls, else of the working directory."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import afere.store
from afere.base.project import Project, find_project
from afere.store import Session

_PACKAGE = "afere"
_sessions: dict[tuple[str, str], Session] = {}  # open for the life of the process: threads and forks may share them
_opening: dict[tuple[str, str], threading.Lock] = {}  # one a store: a server that does not answer holds up no other


def calling_project() -> Project:
    """The declared project of the nearest caller outside this package; else that of the working directory."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_file():
            project = find_project(file)
            if project.declared:
                return project
    return find_project()


def shown(path: Path, root: Path) -> str:
    """A path as people write it: from the root where it lies inside, else whole."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def session_of(project: Project) -> Session:
    """The project's store, opened once per process."""
    key = (project.store, project.name)
    with _opening.setdefault(key, threading.Lock()):
        session = _sessions.get(key)
        if session is None or not session.folder.is_dir():
            session = _sessions[key] = afere.store.open(project.store, project=project.name)
        return session
