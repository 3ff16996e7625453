"""The ledger of a run: what is finished, in memory and in its job, and told to whoever watches."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from afere.base.canonical import Json
from afere.chains.outcome import Outcome, Progress, Purse
from afere.data import Row
from afere.models import Paces
from afere.store import Job, Session
from afere.tracing.sink import settle

_TICK = 0.25  # seconds between two writings of what is finished
_GRACE = 2.0  # seconds that running rows have to end after Ctrl-C


class Ledger:
    """What is finished: in memory, in the job, and told to whoever watches. Written by one thread, a few times a second."""

    def __init__(
        self, rows: Sequence[Row], repeats: int, *, session: Session, job: Job | None, purse: Purse, paces: Paces,
        progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self._rows, self._repeats, self._job, self._purse, self._paces = rows, repeats, job, purse, paces
        self._progress = progress
        self._lock = threading.Lock()
        self._fresh: list[Outcome] = []
        self.done: dict[tuple[str, int], Outcome] = {}
        self._errors = 0
        self._begun = time.monotonic()
        self._halted = self._enough = self.interrupted = False
        self.problem: BaseException | None = None
        for outcome in _kept(rows, repeats, session, job):
            self.done[outcome.row.id, outcome.repeat] = outcome
            self._errors += outcome.error is not None
        self._resumed = len(self.done)
        self._why = ""  # nothing more is begun

    @property
    def total(self) -> int:
        return len(self._rows) * self._repeats

    def add(self, outcome: Outcome, paid: float) -> None:
        """Take one finished row."""
        self._purse.pay(paid)
        with self._lock:
            self.done[outcome.row.id, outcome.repeat] = outcome
            self._fresh.append(outcome)
            self._errors += outcome.error is not None

    def pass_over(self, outcome: Outcome) -> None:
        """Take a row that nothing ran for; the next run looks at it again."""
        with self._lock:
            self.done[outcome.row.id, outcome.repeat] = outcome
            self._errors += 1

    def let_go(self, outcome: Outcome) -> None:
        """Keep neither output nor trace of an outcome in memory."""
        self.done[outcome.row.id, outcome.repeat] = outcome.bare

    @property
    def stopped(self) -> bool:
        """Whether no more rows are to be started."""
        return self._halted or self._enough or self._purse.empty or self._away

    @property
    def _away(self) -> bool:
        """Whether a model or target has been down for too long; it stays so."""
        gone = self._paces.gone
        if gone is not None and not self._why:
            self._why = f"not run: {gone.place} had not answered for {gone.down:.0f} s; resume to go on"
        return bool(self._why)

    def enough(self) -> None:
        """Start no more rows: what is not begun is not wanted any more."""
        self._enough = True

    def halt(self, problem: BaseException | None = None) -> None:
        """Start no more rows; `problem` is raised when those that run have ended."""
        self.problem, self._halted = self.problem or problem, True

    def write(self) -> None:
        """Keep what has finished since the last time. Its spans first: a kept row then always has its trace."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        if fresh and self._job is not None:
            settle()
            kept = {_key(one.row, one.repeat): cast("Json", one.to_json()) for one in fresh if not one.world}
            self._job.put(kept)
        if self._progress is not None:
            self._progress(self._now())

    def watch(self, finished: Callable[[float], bool]) -> None:
        """Write now and then until `finished(seconds)`, then once more. Ctrl-C stops the run and says what is kept."""
        try:
            while not finished(_TICK):
                self.write()
        except BaseException as problem:
            self.interrupted = True
            self.halt()
            finished(_GRACE)
            self.write()
            if isinstance(problem, KeyboardInterrupt):
                raise KeyboardInterrupt(self._told()) from None
            raise
        self.write()
        if self.problem is not None:
            raise self.problem

    def outcomes(self) -> list[Outcome]:
        """All outcomes in order; a row that was not started says why."""
        why = self._why or (
            f"not run: max_cost of {self._purse.limit} USD was reached ({self._purse.paid:.4f} USD paid); resume to go on"
        )
        keys = [(row, repeat) for row in self._rows for repeat in range(1, self._repeats + 1)]
        return [
            self.done.get((row.id, repeat)) or Outcome(row, repeat, error=why, world=True)
            for row, repeat in keys
            if not self._enough or (row.id, repeat) in self.done
        ]

    def _told(self) -> str:
        finished = sum(not one.world for one in self.done.values())
        if self._job is None:
            return f"interrupted after {finished} of {self.total} rows; nothing was to be kept."
        return (
            f"interrupted: {finished} of {self.total} rows are finished and kept. "
            "Run the same again with --resume (resume=True) to go on; finished rows are not paid again."
        )

    def _now(self) -> Progress:
        done = len(self.done)
        new = done - self._resumed
        left = (time.monotonic() - self._begun) / new * (self.total - done) if new else None
        paces = self._paces
        return Progress(done, self.total, self._purse.paid, left, self._errors, _busy(), paces.limit, paces.waiting)


def _key(row: Row, repeat: int) -> str:
    return f"{row.id}#{repeat}"


def _kept(rows: Sequence[Row], repeats: int, session: Session, job: Job | None) -> Iterator[Outcome]:
    """The rows that an earlier run of the job finished, with their traces."""
    items = job.items() if job is not None else {}
    for row in rows:
        for repeat in range(1, repeats + 1):
            item = items.get(_key(row, repeat))
            if isinstance(item, dict):
                said = cast("dict[str, Any]", item)
                trace = session.spans.trace(said["trace_id"]) if said["trace_id"] else None
                yield Outcome(
                    row,
                    repeat,
                    said["output"],
                    said["error"],
                    False,
                    trace,
                    said["trace_id"],
                    said["seconds"],
                    said["cost"],
                )


def _busy() -> bool:
    """Whether more programs want the processors than there are, this one aside."""
    try:
        return os.getloadavg()[0] > (os.cpu_count() or 1) + 1
    except OSError:
        return False
