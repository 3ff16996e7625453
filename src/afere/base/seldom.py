"""Python's search for circles of objects, made less often while much is made and next to nothing of it is circular."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

_EVERY = 5_000  # objects more than before (Python: 700, or 2,000), until it looks through the young ones


class _Now:
    inside = 0
    before: tuple[int, int, int] | None = None


_lock = threading.Lock()


@contextmanager
def seldom_collected() -> Generator[None]:
    """Inside, circles are looked for seldom: of a run that keeps little, the search is a tenth of the work. A program that
    has set a longer time, or none, keeps its own."""
    with _lock:
        now = gc.get_threshold()
        if not _Now.inside and 0 < now[0] < _EVERY:
            _Now.before = now
            gc.set_threshold(_EVERY, *now[1:])
        _Now.inside += 1
    try:
        yield
    finally:
        with _lock:
            _Now.inside -= 1
            if not _Now.inside and _Now.before is not None:
                if gc.get_threshold()[0] == _EVERY:
                    gc.set_threshold(*_Now.before)
                _Now.before = None
