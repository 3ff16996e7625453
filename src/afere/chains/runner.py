"""Map a target over rows: limits, retries, one trace a row, and what is finished kept as it finishes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from afere.base.canonical import Json
from afere.base.errors import BadData, BadInput, ModelUnreachable
from afere.base.span import totals
from afere.base.steps import Effect, Steps, adrive, drive
from afere.chains.calls import CACHED, Memory, with_memory
from afere.chains.chain import apart
from afere.chains.ledger import Ledger
from afere.chains.outcome import Outcome, Progress, Purse
from afere.chains.standing import still
from afere.chains.target import Target, as_json, is_world, target_of
from afere.chains.waiting import background
from afere.data import Row
from afere.models import Paces
from afere.net import HostFailed
from afere.store import Job, Session
from afere.tracing import Collected
from afere.tracing.capture import failure
from afere.tracing.live import resting_here
from afere.tracing.scope import entered
from afere.tracing.sink import writing_here

T = TypeVar("T")


_ATTEMPTS = 2  # of a row whose model, network or disk failed (each call has its own retries before that)
_PAUSE, _LONGEST_PAUSE = 1.0, 15.0  # seconds before the second, doubled each time; more are made while all rows fail


def run_rows(
    target: Callable[..., Any] | str, rows: Sequence[Row], *, session: Session, job: Job | None = None, repeats: int = 1,
    concurrency: int = 8, max_cost: float | Purse | None = None, progress: Callable[[Progress], None] | None = None,
    then: Callable[[Outcome], Steps[None]] | None = None, stop: Callable[[Outcome], bool] | None = None,
    seed: int | None = None, paces: Paces | None = None, fits: Callable[[Row], None] | None = None,
) -> list[Outcome]:  # fmt: skip
    """Run `target` on every row, `repeats` times; outcomes in the order of rows, then repeats.

    `stop` is told every outcome, after `then`, in the order in which rows were begun: one that ended before an earlier one
    waits for it, so that quick rows do not count before slow ones. Once it answers True no more rows are begun; what runs
    goes on to its end, and what was not begun is in no outcome. A row that does not fit the target is an outcome that says so
    (`unfit`), unless none fits: BadData then; `fits` may raise BadData for one too. With a `seed` rows are begun in random order, the repeats of
    a row one after the other.

    `then` is what follows each outcome, that of an earlier run too (its scores), in the place of the row that ran: after
    it the outcome's output and trace are let go, so that memory does not grow with what was answered. A `Purse` is shared with what it pays,
    `paces` with the models that it asks.

    Blocks, also inside a notebook's running loop. With a `job`, finished rows are kept as they finish and not run again
    by the next call with that job. `max_cost` (USD) starts no new row once it is reached: what is left is an outcome
    with `world` set. Ctrl-C keeps what is finished and raises KeyboardInterrupt saying so.
    """
    if repeats < 1 or concurrency < 1:
        raise BadInput(f"repeats and concurrency are at least 1; given {repeats} and {concurrency}.")
    if len({row.id for row in rows}) < len(rows):
        raise BadInput("Two rows have the same id. Give each row an id of its own, or none.")
    found = target_of(target)
    unfit = _unfit(rows, found, fits)  # before anything is paid
    purse = max_cost if isinstance(max_cost, Purse) else Purse(max_cost)
    paces = paces or Paces()
    ledger = Ledger(rows, repeats, session=session, job=job, purse=purse, paces=paces, progress=progress)
    waiting = deque(
        one for one in _order(rows, repeats, seed) if then or stop or (one[0].id, one[1]) not in ledger.done
    )
    run = _Run(
        found,
        unfit,
        waiting,
        ledger,
        session,
        then,
        paces,
        _Told(stop, ledger, list(waiting)) if stop else None,
    )
    workers = min(concurrency, len(waiting))
    if workers:
        with still(), resting_here(), session.cache.gathering():
            (_in_loop if found.is_async else _in_threads)(run, workers, ledger)
    return ledger.outcomes()


def _unfit(rows: Sequence[Row], target: Target, fits: Callable[[Row], None] | None) -> dict[str, str]:
    """What is wrong with the rows that do not fit the target. BadData if none fits."""
    unfit: dict[str, str] = {}
    for row in rows:
        try:
            row.bind(target.parameters)
            if fits is not None:
                fits(row)
        except BadData as problem:
            if len(unfit) == len(rows) - 1:
                raise BadData(next(iter(unfit.values()), str(problem))) from None
            unfit[row.id] = str(problem)
    return unfit


def _order(rows: Sequence[Row], repeats: int, seed: int | None) -> list[tuple[Row, int]]:
    """In which order rows are begun."""
    numbers = range(1, repeats + 1)
    if seed is None:
        return [(row, repeat) for repeat in numbers for row in rows]
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - not a secret
    return [(row, repeat) for row in shuffled for repeat in numbers]


class _Told:
    """Tells `stop` the outcomes in the order in which their rows were begun."""

    def __init__(self, stop: Callable[[Outcome], bool], ledger: Ledger, order: list[tuple[Row, int]]) -> None:
        self._stop, self._ledger = stop, ledger
        self._order = deque(order)
        self._ended: dict[tuple[str, int], Outcome] = {}
        self._lock = threading.Lock()

    def ended(self, outcome: Outcome) -> None:
        """A row has its outcome, and all that follows it is done."""
        with self._lock:
            self._ended[outcome.row.id, outcome.repeat] = outcome
            while self._order and (key := (self._order[0][0].id, self._order[0][1])) in self._ended:
                self._order.popleft()
                if self._stop(self._ended.pop(key)):
                    self._ledger.enough()
                    self._order.clear()


@dataclass
class _Run:
    """The rows that wait, and how one is run."""

    target: Target
    unfit: Mapping[str, str]
    waiting: deque[tuple[Row, int]]
    ledger: Ledger
    session: Session
    then: Callable[[Outcome], Steps[None]] | None
    paces: Paces
    told: _Told | None

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
        if row.id in self.unfit:
            outcome = Outcome(row, repeat, error=self.unfit[row.id], unfit=True)
            self.ledger.pass_over(outcome)
        if outcome is None:
            outcome = yield from self._outcome(row, repeat)
        if self.then is not None:
            yield from self.then(outcome)
        if self.told is not None:
            self.told.ended(outcome)
        if self.then is not None:
            self.ledger.let_go(outcome)

    def _outcome(self, row: Row, repeat: int) -> Steps[Outcome]:
        """Only errors of the world are tried again; finished calls then come from the cache."""
        pace, paid, number = self.paces.of(self.target.name), 0.0, 1
        while True:
            begun = time.monotonic()
            outcome, error, cost = yield from self._attempt(row, repeat)
            paid += cost
            if error is None or not outcome.world or not _may_pass(error):
                pace.worked(begun)
                break
            pace.failed(None, begun, first=number == 1)
            if self.paces.gone or (number >= _ATTEMPTS and not pace.may_come_back):
                break
            yield _Pause(min(_PAUSE * 2 ** min(number - 1, 16), _LONGEST_PAUSE))
            number += 1
        self.ledger.add(outcome, paid)
        return outcome

    def _attempt(self, row: Row, repeat: int) -> Steps[tuple[Outcome, BaseException | None, float]]:
        memory = Memory(self.session.cache, repeat, self.paces)
        output: Json = None
        error: BaseException | None = None
        collected = Collected(self.session.project)
        with entered(with_memory(apart(collected), memory)):
            begun = time.perf_counter()
            try:
                output = as_json((yield _Invoke(self.target, row.bind(self.target.parameters))))
            except (Exception, SystemExit) as problem:
                error = problem
            seconds = time.perf_counter() - begun
        trace = collected.first
        cost = paid = None
        if trace is not None:
            cost = paid = trace.totals.cost
            if memory.served:
                paid = totals([span for span in trace.spans if CACHED not in span.attributes]).cost
        outcome = Outcome(
            row, repeat, output, None if error is None else failure(error), error is not None and is_world(error), trace,
            trace.trace_id if trace else None, None if memory.served else seconds, cost,
        )  # fmt: skip
        return outcome, error, paid or 0.0


def _in_threads(run: _Run, count: int, ledger: Ledger) -> None:
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


def _in_loop(run: _Run, count: int, ledger: Ledger) -> None:
    """Async targets: tasks on a loop in the background, since the caller's may be running (a notebook)."""

    async def work() -> None:
        while (item := run.next()) is not None:
            await adrive(run.row(*item))

    async def everything() -> None:
        try:
            async with writing_here():
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
