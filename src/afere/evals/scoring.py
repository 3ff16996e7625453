"""Scorers that are functions, run on one case: on the event loop where they have shown to be quick, else in a thread."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import context as otel

from afere.base.steps import Effect
from afere.chains.calls import Memory, with_memory
from afere.chains.variant import with_nothing_varied
from afere.evals.scorers import Case, Judging, Scored
from afere.models import Paces
from afere.tracing.scope import entered

if TYPE_CHECKING:
    from afere.store.cache import Cache

PATIENCE = 60.0  # seconds after which a scorer that has not answered is named
_QUICK, _QUICK_CALLS = 0.001, 3  # seconds of a quick call; so many of them show that a scorer is quick
_SLOW, _SLOW_CALLS = 0.02, 3  # seconds of a call that was slow after all; so many of them end it for good


class Quick:
    """Which functions have shown that they take no time worth a change of thread.

    A busy machine makes some calls of any function slow, so it is the quick ones that count; what waits for a network or
    a disk has none.
    """

    def __init__(self) -> None:
        self._quick: dict[str, int] = {}
        self._slow: dict[str, int] = {}

    def knows(self, scorer: Judging) -> bool:
        return self._quick.get(scorer.name, 0) >= _QUICK_CALLS

    def took(self, scorer: Judging, seconds: float) -> None:
        name = scorer.name
        if not self.knows(scorer):
            if seconds <= _QUICK and not self._never(scorer):
                self._quick[name] = self._quick.get(name, 0) + 1
        elif seconds > _SLOW:
            self._slow[name] = self._slow.get(name, 0) + 1
            self._quick[name] = 0

    def _never(self, scorer: Judging) -> bool:
        is_async = inspect.iscoroutinefunction(getattr(scorer, "function", None))
        return is_async or getattr(scorer, "waits", False) or self._slow.get(scorer.name, 0) >= _SLOW_CALLS


class Busy:
    """Which scorer is at which case, and since when: one that hangs is named, with its row, while the run waits for it."""

    def __init__(self, tell: Callable[[str, str, float], None]) -> None:
        self._tell = tell  # scorer, row and seconds
        self._at: dict[object, tuple[str, str, float]] = {}
        self._told: set[str] = set()

    def begins(self, scorer: Judging, case: Case, mark: object) -> None:
        """The scorer is at the case, until `ends` is called with the same mark."""
        self._at[mark] = (scorer.name, case.row.id, time.monotonic())

    def ends(self, mark: object) -> None:
        del self._at[mark]

    @contextmanager
    def watched(self) -> Generator[None]:
        """Look now and then, in a thread of its own, whatever the others wait for."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(PATIENCE / 4):
                for scorer, row, since in list(self._at.values()):
                    seconds = time.monotonic() - since
                    if seconds >= PATIENCE and scorer not in self._told:
                        self._told.add(scorer)
                        self._tell(scorer, row, seconds)

        thread = threading.Thread(target=look, name="afere-busy", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@dataclass(frozen=True, slots=True)
class Scoring(Effect):
    """The answers of several functions on one case, by scorer."""

    scorers: Sequence[Judging]
    case: Case
    cache: Cache
    paces: Paces
    pool: ThreadPoolExecutor
    quick: Quick
    busy: Busy

    def run(self) -> dict[str, dict[str, Scored]]:
        return self._all(self.scorers)

    async def arun(self) -> dict[str, dict[str, Scored]]:
        slow = [one for one in self.scorers if not self.quick.knows(one)]
        if not slow:
            return self._all(self.scorers)
        later = asyncio.get_running_loop().run_in_executor(self.pool, self._all, slow)
        now = self._all([one for one in self.scorers if one not in slow])
        return {**now, **await later}

    def _all(self, scorers: Sequence[Judging]) -> dict[str, dict[str, Scored]]:
        found: dict[str, dict[str, Scored]] = {}
        memory = Memory(self.cache, self.case.repeat, self.paces)
        with entered(with_nothing_varied(with_memory(otel.get_current(), memory))):
            for one in scorers:
                memory.forget_asked()  # each is asked about on its own
                begun = time.perf_counter()
                self.busy.begins(one, self.case, mark := object())
                try:
                    found[one.name] = one.score(self.case)
                finally:
                    self.busy.ends(mark)
                self.quick.took(one, time.perf_counter() - begun)
        return found
