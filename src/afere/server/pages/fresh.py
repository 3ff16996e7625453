"""What takes long to find out, kept for a minute for each project of a store; one look at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from afere.store import Session

T = TypeVar("T")
_log = logging.getLogger("afere.server")
_SECONDS = 60.0
_SHARE = 10  # of ten times as long as a look takes, one may be spent looking
_OLDEST = 3600.0  # seconds; what is older is nothing to show meanwhile


@dataclass(slots=True)
class _Kept(Generic[T]):
    """`at` is when the look ended, `took` its seconds."""

    value: T
    at: float
    took: float


class Fresh(Generic[T]):
    """`of(session)` is what `make(session)` found: at most a minute ago, or ten times as long ago as a look takes.

    What is older, up to an hour, is shown once more while one looks again; only the first to ask ever waits.
    """

    def __init__(self, make: Callable[[Session], T]) -> None:
        self._make = make
        self._lock = threading.Lock()  # of the book-keeping
        self._looks: dict[tuple[str, str], threading.Lock] = {}  # one look at a time in each project
        self._kept: dict[tuple[str, str], _Kept[T]] = {}

    def of(self, session: Session) -> T:
        """Refused without `read`, whoever asked before."""
        session.require("read")
        key = str(session.folder), session.project
        with self._lock:
            look = self._looks.setdefault(key, threading.Lock())
            known = self._kept.get(key)
        age = time.monotonic() - known.at if known else _OLDEST
        if known is not None and age < max(_SECONDS, _SHARE * known.took):
            return known.value
        if known is not None and age < _OLDEST:
            if look.acquire(blocking=False):
                threading.Thread(target=self._beside, args=(session, key, look), daemon=True).start()
            return known.value
        with look:
            with self._lock:
                newer = self._kept.get(key)
            return newer.value if newer is not None and newer is not known else self._look(session, key, look)

    def forget(self, session: Session) -> None:
        """Something was decided: look again when next asked. A look that has begun is of before, and is not kept."""
        key = str(session.folder), session.project
        with self._lock:
            self._kept.pop(key, None)
            self._looks.pop(key, None)

    def _look(self, session: Session, key: tuple[str, str], look: threading.Lock) -> T:
        began = time.monotonic()
        value = self._make(session)
        ended = time.monotonic()
        with self._lock:
            if self._looks.get(key) is look:
                self._kept[key] = _Kept(value, ended, ended - began)
        return value

    def _beside(self, session: Session, key: tuple[str, str], look: threading.Lock) -> None:
        try:
            self._look(session, key, look)
        except Exception:
            _log.exception("what is kept for pages could not be looked up again")
        finally:
            look.release()
