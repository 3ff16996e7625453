"""What takes long to find out, kept for a minute for each project of a store; one look at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from afere.store import Session

T = TypeVar("T")
_SECONDS = 60.0


class Fresh(Generic[T]):
    """`of(session)` is what `make(session)` found, at most a minute ago."""

    def __init__(self, make: Callable[[Session], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[float, T]] = {}

    def of(self, session: Session) -> T:
        """Refused without `read`, whoever asked before."""
        session.require("read")
        key = str(session.folder), session.project
        with self._lock:
            known = self._kept.get(key)
            if known is None or time.monotonic() - known[0] > _SECONDS:
                known = self._kept[key] = time.monotonic(), self._make(session)
            return known[1]

    def forget(self, session: Session) -> None:
        """Something was decided: look again when next asked."""
        with self._lock:
            self._kept.pop((str(session.folder), session.project), None)
