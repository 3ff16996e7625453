"""A second look at a new version, beside whoever made it. What is found is logged by who looks; nothing is held up or kept back."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from afere.base.extension import load

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store.session import Session

# Who looks, by kind: `look(session, artifact)`. Named and not imported, since it is above this package; loaded at the first new version.
LOOKS = {"prompt": "afere.govern.promptlint:look"}
_PATIENCE = 10.0  # seconds for which the close of a session waits

_log = logging.getLogger("afere")
_moved = threading.Condition()
_waiting: deque[tuple[Session, Artifact]] = deque()  # the first is being looked at
_thread: threading.Thread | None = None


def begin(session: Session, made: Artifact) -> None:
    """Have a look at a version that was just made; returns at once."""
    global _thread  # noqa: PLW0603 - one thread for the process, which ends when there is nothing to look at
    if made.kind not in LOOKS:
        return
    with _moved:
        importlib.import_module("concurrent.futures.thread")  # which cannot be imported once the main thread has ended
        if _thread is None or not _thread.is_alive():  # no longer so in a forked child
            _waiting.clear()
            _thread = threading.Thread(target=_work, name="afere looks at new versions")
            _waiting.append((session, made))
            _thread.start()  # no daemon: a program that ends after its last `put` still hears what was found
        else:
            _waiting.append((session, made))


def _after_fork() -> None:
    """In the child: another thread of the parent may have held the condition, and never gives it back here."""
    global _moved, _thread
    _moved, _thread = threading.Condition(), None
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def finish(session: Session) -> None:
    """Wait, for a few seconds, until all looks through this session are done: it is about to be closed."""
    with _moved:
        if _thread is not None and _thread is not threading.current_thread():
            _moved.wait_for(lambda: not any(one is session for one, _ in _waiting), _PATIENCE)


def _work() -> None:
    global _thread  # noqa: PLW0603
    while True:
        with _moved:
            if not _waiting:
                _thread = None
                return
            session, made = _waiting[0]
        try:
            load("look", made.kind, builtin=LOOKS)(session, made)
        except Exception as problem:
            _log.debug("%s could not be looked at: %s", made.ref, problem)
        with _moved:
            _waiting.popleft()
            _moved.notify_all()
