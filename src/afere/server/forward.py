"""Requests that were kept, sent on as they came to other collectors (`forward:` of afere.yaml), in the background.

Nothing that comes is written to disk for it, since what must not rest is still in it: a queue in memory, bounded in bytes,
waits for a target that is slow or away. Beyond it the oldest are lost, and so is what waits when the server ends: counted,
and told by `afere doctor` and `/metrics`. Taking in is never slowed.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, BadProject, Refused
from afere.base.project import FILE, Project
from afere.store.forwarding import STATE, Forwarded
from afere.tracing.otlp.collector import Collector, NotNow, NotTaken

_log = logging.getLogger("afere.server")

BYTES = 64 * 2**20  # waiting for one target at most
TOGETHER = 4  # requests to one target at a time
LAST = 5.0  # seconds for what waits when the server ends
HOPS = "afere-forwarded"  # who has sent it on, so that a circle ends
_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)  # seconds, each half by chance
_LONGEST = 300.0  # seconds that a target may ask to be left alone
_HOPS = 8  # servers that one request goes through
_WRITE = 1.0  # seconds between two notes of the state


@dataclass(frozen=True, slots=True)
class Item:
    """One request as it came. `count` is how many spans and events of it were kept."""

    body: bytes
    headers: Mapping[str, str]
    logs: bool
    count: int


class Target:
    """One collector, its queue, and the threads that empty it."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.state = Forwarded(collector.url)
        self._lock = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._bytes = 0
        self._not_before = 0.0
        self._failures = 0
        self._deadline: float | None = None
        self._threads = [threading.Thread(target=self._run, name="afere-forward", daemon=True) for _ in range(TOGETHER)]
        for thread in self._threads:
            thread.start()

    def put(self, item: Item) -> None:
        """Take it; the oldest go where there is no room."""
        with self._lock:
            self._waiting.append(item)
            self._bytes += len(item.body)
            self.state.waiting += item.count
            while self._bytes > BYTES and self._waiting:
                gone = self._waiting.popleft()
                self._bytes -= len(gone.body)
                self._settled(gone, "the queue was full: the target is slow or away", gone.count)
            self._lock.notify()

    def end(self) -> None:
        """Send what waits, for a few seconds; the rest is lost."""
        with self._lock:
            self._deadline = time.monotonic() + LAST
            self._not_before = 0.0
            self._lock.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        with self._lock:
            for item in self._waiting:
                self._settled(item, "the server ended before they were sent", item.count)
            self._waiting.clear()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                refused, why = self._collector.post(item.body, item.headers, logs=item.logs)
            except NotNow as error:
                self._again(item, error)
            except (NotTaken, Refused) as error:
                self._done(item, str(error), item.count)
            except Exception as error:  # the others go on
                self._done(item, f"it could not be sent ({type(error).__name__})", item.count)
            else:
                self._done(item, f"the target refused them: {why}", min(refused, item.count))

    def _next(self) -> Item | None:
        """The oldest that waits, once the target may be asked; None when the server ends."""
        with self._lock:
            while True:
                left = self._not_before - time.monotonic()
                if self._deadline is not None and (not self._waiting or time.monotonic() > self._deadline):
                    return None
                if self._waiting and left <= 0:
                    item = self._waiting.popleft()
                    self._bytes -= len(item.body)
                    return item
                self._lock.wait(self._pause(left))

    def _pause(self, left: float) -> float | None:
        """How long there is nothing to do; None until something comes. The lock is held."""
        if self._deadline is not None:
            return max(min(left, self._deadline - time.monotonic()), 0.01)
        return max(left, 0.01) if self._waiting else None

    def _again(self, item: Item, error: NotNow) -> None:
        with self._lock:
            if self._deadline is not None and time.monotonic() > self._deadline:
                return self._settled(item, "the server ended before they were sent", item.count)
            pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311  no secret
            wait = pause if error.wait is None else min(error.wait, _LONGEST)
            if time.monotonic() >= self._not_before:  # the others in work failed for the same reason
                self._failures += 1
                self._not_before = time.monotonic() + wait
            self.state.problem, self.state.problem_at = str(error)[:300], rfc3339(now_ns())
            self._waiting.appendleft(item)
            self._bytes += len(item.body)
            return None

    def _done(self, item: Item, why: str, lost: int) -> None:
        with self._lock:
            self._failures = 0
            self._settled(item, why, lost)

    def _settled(self, item: Item, why: str, lost: int) -> None:
        """The lock is held."""
        self.state.waiting -= item.count
        self.state.sent += item.count - lost
        if lost:
            if not self.state.lost:
                _log.warning("%d spans were not forwarded to %s: %s", lost, self.state.target, why)
            self.state.lost += lost
            self.state.problem, self.state.problem_at = why[:300], rfc3339(now_ns())


class Forward:
    """All targets of a server."""

    def __init__(self, collectors: Sequence[Collector], folder: Path) -> None:
        self._id = secrets.token_hex(4)
        self._file = folder / STATE
        before = Forwarded.read(folder)
        self.targets = [Target(collector) for collector in collectors]
        for target in self.targets:
            for known in before:
                if known.target == target.state.target:  # what waited when it was killed is nowhere now
                    target.state.sent, target.state.lost = known.sent, known.lost + known.waiting
                    if known.waiting:
                        known.problem = f"{known.waiting} waited when the server died"
                    target.state.problem, target.state.problem_at = known.problem, known.problem_at
        self._stopped = threading.Event()
        self._written = ""
        if self.targets:
            threading.Thread(target=self._note, name="afere-forward-state", daemon=True).start()

    @classmethod
    def of(cls, project: Project, folder: Path) -> Forward:
        """The targets under `forward:`. BadProject for one that cannot be."""
        said = cast("list[dict[str, Any]]", project.config.get("forward") or [])
        try:
            collectors = [
                Collector.of(str(one["url"]), one.get("headers") or {}, where=f"forward[{place}]")
                for place, one in enumerate(said)
            ]
        except (BadInput, Refused) as problem:
            raise BadProject(f"{project.root / FILE}: {problem}") from None
        return cls(collectors, folder)

    def put(self, body: bytes, headers: Mapping[str, str], count: int, *, logs: bool, hops: str = "") -> None:
        """Send a request on that was kept. One that has been here before is not."""
        before = hops.split(",") if hops else []
        if not self.targets or not count or self._id in before or len(before) >= _HOPS:
            return
        item = Item(body, {**headers, HOPS: ",".join([*before, self._id])}, logs, count)
        for target in self.targets:
            target.put(item)

    def end(self) -> None:
        """Send what waits, for a few seconds, and note what is lost."""
        enders = [threading.Thread(target=target.end) for target in self.targets]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self._stopped.set()
        self._write()

    def _note(self) -> None:
        while not self._stopped.wait(_WRITE):
            self._write()

    def _write(self) -> None:
        if not self.targets:
            return
        text = json.dumps([asdict(target.state) for target in self.targets], indent=1)
        if text == self._written:
            return
        try:
            beside = self._file.with_name(f".new-{self._file.name}")
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._file)
            self._written = text
        except OSError as error:
            _log.warning("What was forwarded could not be noted in %s: %s", self._file, error)
