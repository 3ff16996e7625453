"""From the program to the store: a queue bounded by count and bytes, and one writer thread with group commit.

A span that was put here is on disk some 50 ms later (a root that only began: after half a second, or with the first that ended
under it), or after `flush()`, or at exit; a killed process loses at most what was still waiting. While a server that is the store cannot be asked, spans wait for it in the queue. Whatever is lost is
counted and said once through `logging`, never raised into the program.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from afere.base.errors import AfereError, BadInput, StoreFailed
from afere.base.span import Span
from afere.tracing import targets
from afere.tracing.capture import failure
from afere.tracing.targets import Target

_log = logging.getLogger("afere")

SPANS = 20_000  # waiting at most
BYTES = 64 * 2**20  # waiting at most, estimated
BATCH = 1_000  # spans of one transaction
LINGER = 0.05  # seconds: how long spans gather before they are written together
HERE = 0.04  # the same where a busy loop writes them itself: no longer, since calls wait meanwhile
LET = 1.0  # seconds for which the writer leaves it to a thread that has said that it writes itself
BUSY, LONGER = 100, 0.2  # so many spans at once, and they gather longer: a transaction costs as much as many spans
BEGUN = 0.5  # seconds before a root that runs is written as "running": most have ended by then, and are written once
LONG = 10.0  # the same while thousands of roots begin and end: writing one twice costs three times as much
LAST = 5.0  # seconds that a program which ends waits for a server that does not answer
AGAIN = 5.0  # seconds until a server that could not be asked is asked again
EACH = 600  # bytes of a span without its content, roughly


@dataclass(frozen=True, slots=True)
class Flushed:
    """Spans of this process so far: durable in the store, still waiting, and lost (full queue, disk or store that failed)."""

    written: int
    waiting: int
    lost: int


class _Item(NamedTuple):
    target: Target | None
    span: Span
    size: int  # about how many bytes
    ended: int  # 1, or 0 for a span that has only begun
    queued: int = 1  # 0 for a root that is written beside the queue, so that `flush` does not count it for another


class Sink:
    """The queue and its writer. One for a process; a forked child gets a new one."""

    def __init__(self) -> None:
        self._waiting: deque[_Item] = deque()
        # Roots that run, by ids: since when (inf: it waits in the queue too, and here for what ended under it).
        self._begun: dict[tuple[str, str], tuple[float, _Item]] = {}
        self._bytes = 0
        self._lock = threading.Lock()  # guards the queue and the counts; never held while writing
        self._writing = threading.Lock()  # one batch at a time
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._progress = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._taken = self._settled = 0  # records, those of beginnings too
        self._ended = self._written = self._lost = 0  # finished spans
        self._said: set[str] = set()
        self._unreported = 0
        self._exiting = False
        self._helped = 0  # so many write in their own threads
        self._again = 0.0  # when to ask a server again that could not be asked
        self._gone: dict[Target, str] = {}  # at exit: which stores could not be written, and why

    def put(self, item: _Item) -> None:
        """Take a record; when the queue is full it is lost and counted. Never waits for the disk."""
        with self._lock:
            full = len(self._waiting) + len(self._begun) >= SPANS or self._bytes + item.size > BYTES
            self._ended += item.ended
            known = (item.span.trace_id, item.span.span_id)
            if self._begun and item.ended and known in self._begun:
                if full or len(self._waiting) < BATCH:
                    self._bytes -= self._begun.pop(known)[1].size
                else:  # its end may be written after what ended under it, which then still needs its beginning
                    self._begun[known] = (math.inf, self._begun[known][1])
            if full or item.target is None:
                self._lost += item.ended
                self._unreported += item.ended
            elif item.ended:
                self._taken += 1
                self._waiting.append(item)
                self._bytes += item.size
            else:
                self._begun[known] = (time.monotonic(), item)
                self._bytes += item.size
        if full:
            self._say(f"more than {SPANS} spans or {BYTES >> 20} MiB are waiting for the store")
        if self._exiting:
            self._drain()
        elif not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._start()

    def flush(self, timeout: float, *, begun: bool = True, hurry: bool = True) -> Flushed:
        """Wait until all that was put before is written or lost, at most `timeout` seconds; `begun`: roots that run too;
        `hurry`: what gathers is written at once."""
        deadline = time.monotonic() + timeout
        with self._progress:
            if begun:
                for ids, (since, item) in self._begun.items():
                    if since < math.inf:
                        self._taken += 1
                        self._waiting.append(item)
                        self._bytes += item.size
                        self._begun[ids] = (math.inf, item)
            goal = self._taken
            while self._settled < goal and (left := deadline - time.monotonic()) > 0:
                if hurry:
                    self._hurry.set()
                self._wake.set()
                self._progress.wait(left)
            return Flushed(self._written, self._ended - self._written - self._lost, self._lost)

    def help(self, more: int) -> None:
        """From now on one more, or one less, calls `write_here` now and then."""
        with self._lock:
            self._helped += more

    def write_here(self) -> None:
        """Write what waits, in this thread, unless the writer does so now."""
        if self._waiting and self._writing.acquire(blocking=False):
            try:
                self._write_all()
            finally:
                self._writing.release()

    def exit(self) -> None:
        """Write what waits, in this thread; spans that end later are written at once."""
        self._exiting = True
        away = next((one for one in targets.found() if one.away), None)
        if away is not None:
            from afere.store.remote import hurry

            hurry()
            if not self._writing.acquire(timeout=LAST):  # the server took spans, and does not answer
                self._leave(away)
                return
            self._writing.release()
        self._drain()

    def _leave(self, target: Target) -> None:
        """Count what is not known to be written as lost."""
        with self._lock:
            left = self._ended - self._written - self._lost
            self._lost += left
            self._waiting.clear()
        if left:
            target.note(left, "the program ended while the server did not answer")

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="afere-spans", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or no more threads: write here and now
            self._exiting = True
            self._drain()
        finalize = getattr(sys.modules.get("multiprocessing.util"), "Finalize", None)  # not yet, while it is imported
        if finalize is not None:  # such processes end without atexit
            finalize(None, self.exit, exitpriority=0)

    def _run(self) -> None:
        linger = LINGER
        while True:
            if self._wake.wait(self._due()):
                self._hurry.wait(LET if self._helped else linger)
            if (pause := self._again - time.monotonic()) > 0:
                self._hurry.wait(pause)
            self._hurry.clear()
            self._wake.clear()
            linger = LONGER if self._drain() > BUSY else LINGER

    def _due(self) -> float | None:
        """Seconds until a root that runs is to be written; None if none waits for that."""
        with self._lock:
            oldest = min((since for since, _ in self._begun.values()), default=math.inf)
        return None if oldest == math.inf else max(0.0, oldest + self._patience - time.monotonic())

    @property
    def _patience(self) -> float:
        """Seconds until a root that runs is written."""
        return LONG if self._helped else BEGUN

    def _drain(self) -> int:
        """Write all that waits; returns how many records that were."""
        with self._writing:
            return self._write_all()

    def _write_all(self) -> int:
        count, self._again = 0, 0.0
        most = len(self._waiting) if self._helped else math.inf  # what comes meanwhile is for the next round
        while not self._again and count <= most and (batch := self._take()):
            grouped: dict[Target, list[_Item]] = {}
            for item in batch:
                if item.target is not None:
                    grouped.setdefault(item.target, []).append(item)
            for target, items in grouped.items():
                self._write(target, items)
            count += len(batch)
        return count

    def _take(self) -> list[_Item]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            if self._begun:
                batch += self._begun_for({item.span.trace_id for item in batch})
            self._bytes -= sum(item.size for item in batch)
        return batch

    def _begun_for(self, traces: set[str]) -> list[_Item]:
        """Roots that have run long enough to be written as running, or that something in `traces` ended under.

        Without its root, what ended would look like a root itself. The lock is held.
        """
        until = time.monotonic() - (0.0 if self._exiting else self._patience)
        found = [ids for ids, (since, _) in self._begun.items() if since <= until or ids[0] in traces]
        return [self._begun.pop(ids)[1]._replace(queued=0) for ids in found]

    def _write(self, target: Target, items: list[_Item]) -> None:
        if target in self._gone:
            self._settle(items, self._gone[target])
            return
        try:
            target.write([_now(item) for item in items])
        except StoreFailed as error:
            if target.away and not self._exiting:
                self._put_back(items)
                return
            if self._exiting:
                self._gone[target] = str(error)
            self._settle(items, str(error))
        except BadInput as error:  # only the span that cannot be kept is lost
            self._apart(target, items, str(error))
        except AfereError as error:
            self._settle(items, str(error))
        except Exception as error:  # the program goes on whatever one of its values does to us
            self._apart(target, items, f"span {items[0].span.name!r}: {failure(error)}")
        else:
            self._settle(items, None)
        self._report(target)

    def _apart(self, target: Target, items: list[_Item], problem: str) -> None:
        """Write each half for itself, down to the item that has the problem."""
        if len(items) == 1:
            self._settle(items, problem)
            return
        for half in (items[: len(items) // 2], items[len(items) // 2 :]):
            self._write(target, half)

    def _put_back(self, items: list[_Item]) -> None:
        """Keep them waiting until the server can be asked."""
        with self._lock:
            self._waiting.extend(items)
            self._bytes += sum(item.size for item in items)
            self._again = time.monotonic() + AGAIN
        self._wake.set()

    def _settle(self, items: list[_Item], problem: str | None) -> None:
        ended = sum(item.ended for item in items)
        with self._progress:
            self._settled += sum(item.queued for item in items)
            if problem is None:
                self._written += ended
            else:
                self._lost += ended
                self._unreported += ended
            self._progress.notify_all()
        if problem is not None:
            self._say(problem)

    def _report(self, target: Target) -> None:
        """Note in the store what was lost, as soon as it can be."""
        with self._lock:
            count, self._unreported = self._unreported, 0
        if not count:
            return
        try:
            target.lost(count, "; ".join(sorted(self._said)) or "the project could not be read")
        except Exception:  # it is noted with the next
            with self._lock:
                self._unreported += count

    def _say(self, why: str) -> None:
        if why not in self._said and len(self._said) < 20:
            self._said.add(why)
            _log.warning(
                "afere is losing spans of process %d: %s. The program goes on; afere.flush() counts what is lost.",
                os.getpid(),
                why.rstrip("."),
            )


_sink = Sink()


def put(target: Target | None, span: Span, size: int) -> None:
    """Hand a finished span over."""
    _sink.put(_Item(target, span, size + EACH, 1))


def put_start(target: Target | None, span: Span, size: int) -> None:
    """Hand over a span that begins. It is copied when it is written: most have ended by then, and are written once."""
    _sink.put(_Item(target, span, size + EACH, 0))


def _now(item: _Item) -> Span:
    """The span as it is to be written. What runs is a copy, since the program goes on with the original."""
    span = item.span
    if item.ended or span.end is not None:
        return span
    return dataclasses.replace(
        span, status="running", attributes=dict(span.attributes), events=list(span.events),
        artifacts=list(span.artifacts), marks=list(span.marks),
    )  # fmt: skip


def flush(timeout: float = 5.0) -> Flushed:
    """Wait until the spans that ended so far are durable, at most `timeout` seconds; says what was written, waits, and is lost."""
    return _sink.flush(timeout)


def settle(timeout: float = 5.0) -> Flushed:
    """Like `flush`, for spans that have ended alone, and without hurry: cheaper while many run."""
    return _sink.flush(timeout, begun=False, hurry=False)


@asynccontextmanager
async def writing_here() -> AsyncGenerator[None]:
    """Inside, the running event loop writes the spans that end, every 0.04 s, rather than the writer's thread: for a loop that is
    busy all the time. Python runs one thread at a time, and two that are busy hand over to each other at every call of the
    system, which costs more than what they do. Left to the thread where a server is the store.
    """
    found, sink = targets.target(), _sink
    if found is None or found.away:
        yield
        return
    import asyncio

    async def write() -> None:
        while True:
            await asyncio.sleep(HERE)
            sink.write_here()

    sink.help(1)
    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        sink.help(-1)
        sink.write_here()


def _after_fork() -> None:
    # The parent writes what waits there; the child must not write it again, nor use the parent's connections and locks.
    global _sink  # noqa: PLW0603  one sink for a process is the point
    _sink = Sink()
    targets.forget()


def _at_exit() -> None:
    _sink.exit()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
