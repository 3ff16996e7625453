"""Pace: how many calls of one run may be under way at a model's place, and how long it is waited for when it is down.

After "too many requests" (429) or "not now" (503) half as many calls are made at once; every round of calls that work adds
one (additive increase, multiplicative decrease: D. Chiu and R. Jain, Computer Networks and ISDN Systems 17, 1989).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

PATIENCE = 40.0  # seconds, for each retry of the model's settings, that a place which has worked is waited for
GONE = 30.0  # seconds at least after which nothing more is begun
SEVERAL = (
    3  # calls that failed one after the other, before it is the place that is down and not the question that is odd
)
FULL = frozenset({429, 503})
_log = logging.getLogger("afere")


@dataclass
class Pace:
    """One place: a model at an address, or a target. What is called `when` is a time of the monotonic clock."""

    place: str
    retries: int = 3
    _limit: float | None = None  # calls at once; None: as many as come
    _most: int = 0  # how many there were before the first cut
    _cut: float = 0.0  # when that was last
    _active: int = 0
    _waiting: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])
    _failing: float | None = None  # since when nothing has worked, where something failed
    _calls: int = 0  # that failed since then
    _worked: bool = False
    _told: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def limit(self) -> int | None:
        """How many calls are made at once, while that is fewer than come."""
        return None if self._limit is None else int(self._limit)

    @property
    def down(self) -> float:
        """Seconds for which nothing has worked; 0 where it does."""
        since = self._failing
        return 0.0 if since is None else time.monotonic() - since

    @property
    def patience(self) -> float:
        """Seconds for which it is waited for: it has worked in this run before."""
        return PATIENCE * self.retries if self._worked else 0.0

    @property
    def gone(self) -> bool:
        """Whether it has been down for too long."""
        return self._calls >= SEVERAL and self.down > max(GONE, self.patience)

    @property
    def may_come_back(self) -> bool:
        """Whether a call that has failed too often is made once more: the place is down, for not too long yet."""
        return self._calls >= SEVERAL and 0.0 < self.down < self.patience

    def free(self) -> bool:
        """Begin a call, if there are not enough already."""
        with self._lock:
            return self._begin()

    def _begin(self) -> bool:
        if self._limit is not None and self._active >= int(self._limit):
            return False
        self._active += 1
        return True

    def enter(self, granted: Callable[[], None]) -> bool:
        """Begin a call. False: there are enough; `granted` is called, in some thread, when this one may begin."""
        with self._lock:
            if self._begin():
                return True
            self._waiting.append(granted)
            return False

    def forgo(self, granted: Callable[[], None]) -> None:
        """Whoever was to be called does not wait any more."""
        with self._lock:
            if granted in self._waiting:
                self._waiting.remove(granted)
                return
        self.leave()

    def leave(self) -> None:
        """A call has ended."""
        with self._lock:
            self._active -= 1
            ready: list[Callable[[], None]] = []
            while self._waiting and self._begin():
                ready.append(self._waiting.popleft())
        for granted in ready:
            granted()

    def worked(self, when: float) -> None:
        """A call that began at `when` was answered; of what failed since then that says nothing."""
        if self._worked and self._failing is None and self._limit is None:
            return
        with self._lock:
            self._worked, told = True, False
            if self._failing is not None and when >= self._failing:
                self._failing, self._calls = None, 0
                told, self._told = self._told, False
            if self._limit is not None:
                self._limit += 1 / self._limit
                if self._limit >= self._most:
                    self._limit = None
        if told:
            _log.warning("%s answers again; the run goes on.", self.place)

    def failed(self, status: int | None, when: float, *, first: bool) -> None:
        """An attempt that began at `when`, the first of its call or a later one, has failed in a way that may pass."""
        now = time.monotonic()
        with self._lock:
            self._failing = self._failing or now
            self._calls += first
            if status in FULL and when >= self._cut:  # those that were under way then tell nothing new
                self._most = self._most or self._active
                self._limit, self._cut = max(1.0, (self._limit or self._active) / 2), now
            tell = not self._told and self._worked and self._calls >= SEVERAL and now - self._failing > 5.0
            self._told = self._told or tell
        if tell:
            _log.warning(
                "%s does not answer; calls wait for it, up to %.0f s. What is finished is kept.",
                self.place,
                self.patience,
            )


class Paces:
    """The paces of one run, by place."""

    def __init__(self) -> None:
        self._by_place: dict[str, Pace] = {}
        self._lock = threading.Lock()

    def of(self, place: str, retries: int = 3) -> Pace:
        """That of a place."""
        found = self._by_place.get(place)
        if found is None:
            with self._lock:
                found = self._by_place.setdefault(place, Pace(place, retries))
        return found

    @property
    def limit(self) -> int | None:
        """The smallest number of calls at once; None where nothing is held back."""
        return min((limit for one in list(self._by_place.values()) if (limit := one.limit) is not None), default=None)

    @property
    def waiting(self) -> str:
        """The place that is waited for, if one is."""
        return next((one.place for one in list(self._by_place.values()) if one.down > 1.0), "")

    @property
    def gone(self) -> Pace | None:
        """The place that is down, and not waited for any more."""
        return next((one for one in list(self._by_place.values()) if one.gone), None)


@dataclass(frozen=True, slots=True)
class Turn:
    """An effect: wait until a call may begin."""

    pace: Pace

    def run(self) -> None:
        ready = threading.Event()
        granted = ready.set
        if self.pace.enter(granted):
            return
        try:
            ready.wait()
        except BaseException:
            self.pace.forgo(granted)
            raise

    async def arun(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def granted() -> None:
            loop.call_soon_threadsafe(lambda: ready.done() or ready.set_result(None))

        if self.pace.enter(granted):
            return
        try:
            await ready
        except BaseException:
            self.pace.forgo(granted)
            raise
