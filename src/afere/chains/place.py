"""The open store of a project, kept open for as long as the process runs."""

from __future__ import annotations

import os
import threading

from afere.base.project import Project
from afere.store import Session
from afere.store import open as open_store

_open: dict[tuple[str, str, int], Session] = {}
_lock = threading.Lock()


def session_of(project: Project) -> Session:
    """The project's store. One session serves all calls of a process (a forked child opens its own)."""
    key = (project.store, project.name, os.getpid())
    session = _open.get(key)
    if session is None or not session.folder.exists():
        with _lock:
            session = _open.get(key)
            if session is None or not session.folder.exists():
                session = _open[key] = open_store(project.store, project=project.name)
    return session
