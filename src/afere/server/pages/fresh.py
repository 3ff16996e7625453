"""What takes long to find out, kept for a minute for each project of a store; one look at a time."""

from __future__ import annotations

import logging
import math
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
_Key = tuple[str, str, str]  # folder, project, what about
_log = logging.getLogger("afere.server")
_SECONDS = 60.0
_SHARE = 10  # of ten times as long as a look takes, one may be spent looking
_FAILED = 10.0  # seconds for which nobody looks again where a look failed
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


@dataclass(slots=True)
class _Look(Generic[T]):
    """One that is under way, or that failed: until `over` this is what it found."""

    value: Future[T]
    began: float
    over: float = math.inf


class Fresh(Generic[T]):
    """`of(session)` is what `make(session, "")` found: at most a minute ago, or ten times as long ago as a look takes.

    What is older, up to an hour, is shown once more while one looks again; only the first to ask ever waits.
    """

    def __init__(self, make: Callable[[Session, str], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._looks: dict[_Key, _Look[T]] = {}  # at most one of each
        self._kept: dict[_Key, _Kept[T]] = {}

    def of(self, session: Session, patience: float | None = None, *, about: str = "") -> T:
        """What was found `about` something. Refused without `read`, whoever asked before; Looking where there is nothing to show
        after `patience` seconds."""
        session.require("read")
        key = str(session.folder), session.project, about
        with self._lock:
            known = self._kept.get(key)
            age = time.monotonic() - known.at if known else _OLDEST
            if known is not None and age < max(_SECONDS, _SHARE * known.took):
                return known.value
            look = self._looks.get(key)
            if look is None or time.monotonic() >= look.over:
                look = self._begin(session, key)
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
        here = str(session.folder), session.project
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if key[:2] != here}
            self._looks = {key: look for key, look in self._looks.items() if key[:2] != here}

    def _begin(self, session: Session, key: _Key) -> _Look[T]:
        now = time.monotonic()
        look: _Look[T] = _Look(Future(), now)
        self._looks = {**{one: before for one, before in self._looks.items() if now < before.over}, key: look}
        threading.Thread(target=self._run, args=(session, key, look), daemon=True).start()
        return look

    def _run(self, session: Session, key: _Key, look: _Look[T]) -> None:
        try:
            value = self._make(session, key[2])
        except BaseException as error:
            look.over = time.monotonic() + _FAILED
            _log.warning(
                "what is kept for pages could not be looked up: %s", error, exc_info=not isinstance(error, AfereError)
            )
            look.value.set_exception(error)
            return
        ended = time.monotonic()
        with self._lock:
            if self._end(key, look):
                young = {one: kept for one, kept in self._kept.items() if ended - kept.at < _OLDEST}
                self._kept = {**young, key: _Kept(value, ended, ended - look.began)}
        look.value.set_result(value)

    def _end(self, key: _Key, look: _Look[T]) -> bool:
        """Whether nothing was decided since the look began."""
        if self._looks.get(key) is not look:
            return False
        del self._looks[key]
        return True
