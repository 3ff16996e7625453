"""What one row gave, how far a run is, and what it may cost."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.span import Trace
from afere.data import Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one row gave in one repeat.

    `error` with `world`: the model, the network or the disk failed, or the row was not run; never a score. `error`
    without it: the user's code raised; with `unfit`, nothing ran, since the row does not fit the target. `seconds` is None where an answer came from the cache. `cost` is in USD.
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
    unfit: bool = False

    @property
    def bare(self) -> Outcome:
        """The same without its output and its spans."""
        return Outcome(
            self.row, self.repeat, None, self.error, self.world, None, self.trace_id, self.seconds, self.cost, self.unfit,
        )  # fmt: skip

    def to_json(self) -> dict[str, Json]:
        """What a job keeps of it."""
        return {
            "output": self.output, "error": self.error, "trace_id": self.trace_id, "seconds": self.seconds,
            "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `cost`: USD paid so far; `seconds_left` None until a row is done; `busy`: other programs hold
    the processors, so that times are upper bounds. `at_once`: calls of a model at once, where its server asked for fewer;
    `waiting`: the model that is down and waited for.
    """

    done: int
    total: int
    cost: float
    seconds_left: float | None
    errors: int
    busy: bool
    at_once: int | None = None
    waiting: str = ""


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
