"""What takes long to find out, kept for a minute for each project of a store; one look at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from afere.base.errors import AfereError

if TYPE_CHECKING:
    from afere.store import Session

T = TypeVar("T")
_log = logging.getLogger("afere.server")
_SECONDS = 60.0
_SHARE = 10  # of ten times as long as a look takes, one may be spent looking
_OLDEST = 3600.0  # seconds; what is older is nothing to show meanwhile


class Looking(AfereError):
    """A look takes longer than the one who asks waits; it goes on. `seconds` is how long it has taken so far."""

    status = 202  # Accepted

    def __init__(self, seconds: float) -> None:
        super().__init__("afere still looks through this project. Ask again in a moment.")
        self.seconds = seconds


@dataclass(slots=True)
class _Kept(Generic[T]):
    """`at` is when the look ended, `took` its seconds."""

    value: T
    at: float
    took: float


@dataclass(frozen=True, slots=True)
class _Look(Generic[T]):
    """One that is under way."""

    value: Future[T]
    began: float


class Fresh(Generic[T]):
    """`of(session)` is what `make(session)` found: at most a minute ago, or ten times as long ago as a look takes.

    What is older, up to an hour, is shown once more while one looks again; only the first to ask ever waits.
    """

    def __init__(self, make: Callable[[Session], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._looks: dict[tuple[str, str], _Look[T]] = {}  # at most one in each project
        self._kept: dict[tuple[str, str], _Kept[T]] = {}

    def of(self, session: Session, patience: float | None = None) -> T:
        """Refused without `read`, whoever asked before; Looking where there is nothing to show after `patience` seconds."""
        session.require("read")
        key = str(session.folder), session.project
        with self._lock:
            known = self._kept.get(key)
            age = time.monotonic() - known.at if known else _OLDEST
            if known is not None and age < max(_SECONDS, _SHARE * known.took):
                return known.value
            look = self._looks.get(key) or self._begin(session, key)
        if known is not None and age < _OLDEST:
            return known.value
        try:
            return look.value.result(patience)
        except TimeoutError:
            if look.value.done():  # it was the look that timed out
                raise
            raise Looking(time.monotonic() - look.began) from None

    def forget(self, session: Session) -> None:
        """Something was decided: look again when next asked. A look that has begun is of before, and is not kept."""
        key = str(session.folder), session.project
        with self._lock:
            self._kept.pop(key, None)
            self._looks.pop(key, None)

    def _begin(self, session: Session, key: tuple[str, str]) -> _Look[T]:
        look: _Look[T] = _Look(Future(), time.monotonic())
        self._looks[key] = look
        threading.Thread(target=self._run, args=(session, key, look), daemon=True).start()
        return look

    def _run(self, session: Session, key: tuple[str, str], look: _Look[T]) -> None:
        try:
            value = self._make(session)
        except BaseException as error:
            with self._lock:
                self._end(key, look)
            _log.warning(
                "what is kept for pages could not be looked up: %s", error, exc_info=not isinstance(error, AfereError)
            )
            look.value.set_exception(error)
            return
        ended = time.monotonic()
        with self._lock:
            if self._end(key, look):
                self._kept[key] = _Kept(value, ended, ended - look.began)
        look.value.set_result(value)

    def _end(self, key: tuple[str, str], look: _Look[T]) -> bool:
        """Whether nothing was decided since the look began."""
        if self._looks.get(key) is not look:
            return False
        del self._looks[key]
        return True
