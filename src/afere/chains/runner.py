"""Map a target over rows: limits, retries, one trace a row, and what is finished kept as it finishes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, ModelUnreachable
from afere.base.span import Trace, totals
from afere.base.steps import Effect, Steps, adrive, drive
from afere.chains.calls import CACHED, Memory, remembering
from afere.chains.chain import apart
from afere.chains.target import Target, as_json, is_world, target_of
from afere.chains.waiting import background
from afere.data import Row
from afere.net import HostFailed
from afere.store import Job, Session
from afere.tracing import Collected
from afere.tracing.capture import failure
from afere.tracing.scope import entered
from afere.tracing.sink import settle

T = TypeVar("T")

_log = logging.getLogger("afere")
_TICK = 0.15  # seconds between two writings of what is finished
_ATTEMPTS = 2  # of a row whose model, network or disk failed (each call has its own retries before that)
_PAUSE = 1.0  # seconds before the second
_GRACE = 2.0  # seconds that running rows have to end after Ctrl-C


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one row gave in one repeat.

    `error` with `world`: the model, the network or the disk failed, or the row was not run; never a score. `error`
    without it: the user's code raised. `seconds` is None where an answer came from the cache. `cost` is in USD.
    """

    row: Row
    repeat: int
    output: Json = None
    error: str | None = None
    world: bool = False
    trace: Trace | None = None
    trace_id: str | None = None
    seconds: float | None = None
    cost: float | None = None

    def to_json(self) -> dict[str, Json]:
        """What a job keeps of it."""
        return {
            "output": self.output, "error": self.error, "trace_id": self.trace_id, "seconds": self.seconds,
            "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `cost`: USD paid so far; `seconds_left` None until a row is done; `busy`: other programs hold
    the processors, so that times are upper bounds.
    """

    done: int
    total: int
    cost: float
    seconds_left: float | None
    errors: int
    busy: bool


class Purse:
    """What a run has paid, in USD, and what it may."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.paid = 0.0
        self._lock = threading.Lock()

    @property
    def empty(self) -> bool:
        return self.limit is not None and self.paid >= self.limit

    def pay(self, amount: float) -> None:
        with self._lock:
            self.paid += amount


def run_rows(
    target: Callable[..., Any] | str, rows: Sequence[Row], *, session: Session, job: Job | None = None, repeats: int = 1,
    concurrency: int = 8, max_cost: float | Purse | None = None, progress: Callable[[Progress], None] | None = None,
    then: Callable[[Outcome], Steps[None]] | None = None,
) -> list[Outcome]:  # fmt: skip
    """Run `target` on every row, `repeats` times; outcomes in the order of rows, then repeats.

    `then` is what follows each outcome, that of an earlier run too (its scores), in the place of the row that ran: after
    it the outcome's trace is let go, so that memory does not grow with the rows. A `Purse` is shared with what it pays.

    Blocks, also inside a notebook's running loop. With a `job`, finished rows are kept as they finish and not run again
    by the next call with that job. `max_cost` (USD) starts no new row once it is reached: what is left is an outcome
    with `world` set. Ctrl-C keeps what is finished and raises KeyboardInterrupt saying so.
    """
    if repeats < 1 or concurrency < 1:
        raise BadInput(f"repeats and concurrency are at least 1; given {repeats} and {concurrency}.")
    if len({row.id for row in rows}) < len(rows):
        raise BadInput("Two rows have the same id. Give each row an id of its own, or none.")
    found = target_of(target)
    inputs = {row.id: row.bind(found.parameters) for row in rows}  # every row is checked before anything is paid
    purse = max_cost if isinstance(max_cost, Purse) else Purse(max_cost)
    ledger = _Ledger(rows, repeats, session=session, job=job, purse=purse, progress=progress)
    waiting = deque(
        (row, repeat)
        for repeat in range(1, repeats + 1)
        for row in rows
        if then is not None or (row.id, repeat) not in ledger.done
    )
    run = _Run(found, inputs, waiting, ledger, session, then)
    workers = min(concurrency, len(waiting))
    if workers:
        (_in_loop if found.is_async else _in_threads)(run, workers, ledger)
    return ledger.outcomes()


@dataclass
class _Run:
    """The rows that wait, and how one is run."""

    target: Target
    inputs: Mapping[str, dict[str, Json]]
    waiting: deque[tuple[Row, int]]
    ledger: _Ledger
    session: Session
    then: Callable[[Outcome], Steps[None]] | None

    def next(self) -> tuple[Row, int] | None:
        """The next row to run; None when there is none, or no more is to be started."""
        if self.ledger.stopped:
            return None
        try:
            return self.waiting.popleft()
        except IndexError:
            return None

    def row(self, row: Row, repeat: int) -> Steps[None]:
        """One row to its outcome, and what follows it."""
        outcome = self.ledger.done.get((row.id, repeat))
        if outcome is None:
            outcome = yield from self._outcome(row, repeat)
        if self.then is not None:
            yield from self.then(outcome)
            self.ledger.let_go(outcome)

    def _outcome(self, row: Row, repeat: int) -> Steps[Outcome]:
        """Only errors of the world are tried again; finished calls then come from the cache."""
        outcome, error, paid = yield from self._attempt(row, repeat)
        for _ in range(_ATTEMPTS - 1):
            if error is None or not outcome.world or not _may_pass(error):
                break
            yield _Pause(_PAUSE)
            outcome, error, cost = yield from self._attempt(row, repeat)
            paid += cost
        self.ledger.add(outcome, paid)
        return outcome

    def _attempt(self, row: Row, repeat: int) -> Steps[tuple[Outcome, BaseException | None, float]]:
        memory = Memory(self.session.cache, repeat)
        output: Json = None
        error: BaseException | None = None
        collected = Collected(self.session.project)
        with entered(apart(collected)), remembering(memory):
            begun = time.perf_counter()
            try:
                output = as_json((yield _Invoke(self.target, self.inputs[row.id])))
            except (Exception, SystemExit) as problem:
                error = problem
            seconds = time.perf_counter() - begun
        traces = collected.traces
        trace = min(traces.values(), key=lambda one: one.root.start) if traces else None
        paid = 0.0
        if trace is not None:
            paid = totals([span for span in trace.spans if CACHED not in span.attributes]).cost or 0.0
        outcome = Outcome(
            row, repeat, output, None if error is None else failure(error), error is not None and is_world(error), trace,
            trace.trace_id if trace else None, None if memory.served else seconds, trace.totals.cost if trace else None,
        )  # fmt: skip
        return outcome, error, paid


class _Ledger:
    """What is finished: in memory, in the job, and told to whoever watches. Written by one thread, a few times a second."""

    def __init__(
        self, rows: Sequence[Row], repeats: int, *, session: Session, job: Job | None, purse: Purse,
        progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self._rows, self._repeats, self._job, self._purse = rows, repeats, job, purse
        self._progress = progress
        self._lock = threading.Lock()
        self._fresh: list[Outcome] = []
        self.done: dict[tuple[str, int], Outcome] = {}
        self._errors = 0
        self._begun = time.monotonic()
        self._halted = self.interrupted = False
        self.problem: BaseException | None = None
        for outcome in _kept(rows, repeats, session, job):
            self.done[outcome.row.id, outcome.repeat] = outcome
            self._errors += outcome.error is not None
        self._resumed = len(self.done)

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

    def let_go(self, outcome: Outcome) -> None:
        """Keep no trace of an outcome in memory."""
        self.done[outcome.row.id, outcome.repeat] = replace(outcome, trace=None)

    @property
    def stopped(self) -> bool:
        """Whether no more rows are to be started."""
        return self._halted or self._purse.empty

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
        why = f"not run: max_cost of {self._purse.limit} USD was reached ({self._purse.paid:.4f} USD paid); resume to go on"
        return [
            self.done.get((row.id, repeat)) or Outcome(row, repeat, error=why, world=True)
            for row in self._rows
            for repeat in range(1, self._repeats + 1)
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
        return Progress(done, self.total, self._purse.paid, left, self._errors, _busy())


def _in_threads(run: _Run, count: int, ledger: _Ledger) -> None:
    """Sync targets: one thread a row that runs, each in a copy of the caller's context."""

    def work() -> None:
        try:
            while (item := run.next()) is not None:
                drive(run.row(*item))
        except BaseException as problem:  # not of the user's code, which `row` catches
            ledger.halt(problem)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), name=f"afere-row-{i}", daemon=True)
        for i in range(count)
    ]
    for thread in threads:
        thread.start()

    def finished(seconds: float) -> bool:
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    ledger.watch(finished)


def _in_loop(run: _Run, count: int, ledger: _Ledger) -> None:
    """Async targets: tasks on a loop in the background, since the caller's may be running (a notebook)."""

    async def work() -> None:
        while (item := run.next()) is not None:
            await adrive(run.row(*item))

    async def everything() -> None:
        try:
            await asyncio.gather(*(work() for _ in range(count)))
        except Exception as problem:  # not of the user's code, which `row` catches
            ledger.halt(problem)

    future = asyncio.run_coroutine_threadsafe(everything(), background())

    def finished(seconds: float) -> bool:
        if ledger.interrupted:
            future.cancel()
        concurrent.futures.wait([future], seconds)
        return future.done()

    ledger.watch(finished)


def each(items: Iterable[T], work: Callable[[T], Steps[None]], *, concurrency: int) -> None:
    """Drive `work(item)` for every item, so many at a time, on a loop in the background. Blocks; Ctrl-C ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await adrive(work(item))

    async def everything() -> None:
        await asyncio.gather(*(worker() for _ in range(concurrency)))

    future = asyncio.run_coroutine_threadsafe(everything(), background())
    try:
        future.result()
    except BaseException:
        future.cancel()
        raise


@dataclass(frozen=True, slots=True)
class _Invoke(Effect):
    target: Target
    inputs: Mapping[str, Json]

    def run(self) -> Any:
        return self.target.call(self.inputs)

    async def arun(self) -> Any:
        return await self.target.call(self.inputs)


@dataclass(frozen=True, slots=True)
class _Pause(Effect):
    seconds: float

    def run(self) -> None:
        time.sleep(self.seconds)

    async def arun(self) -> None:
        await asyncio.sleep(self.seconds)


def _may_pass(error: BaseException) -> bool:
    """A missing key or an unknown model stays so; all else of the world may be better in a moment."""
    return not isinstance(error, ModelUnreachable) or isinstance(error.__cause__, HostFailed)


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
