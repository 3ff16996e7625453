"""Attempts: a pause for the rate limit before each, and again after a failure that may pass.

The pause follows "exponential backoff and full jitter" (M. Brooker, AWS Architecture Blog, 2015): drawn evenly between
nothing and a bound that doubles, so that many clients do not come back together.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from afere.base.errors import ModelFailed, ModelUnreachable
from afere.base.steps import Effect, Steps
from afere.models.pace import FULL, Pace, Turn
from afere.models.request import Settings
from afere.net import HostFailed

FIRST_PAUSE = 0.5  # seconds: the bound of the first pause, doubled each time
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 120.0  # a server that asks for more is not waited for
_PASSING = frozenset({408, 409, 425, 429})

T = TypeVar("T")


def retrying(
    place: str, settings: Settings, attempt: Callable[[int], Effect], *, again: Callable[[], bool] = lambda: True,
    pace: Pace | None = None,
) -> Steps[T]:  # fmt: skip
    """The value of the first attempt that works. `attempt(number)` makes the effect, counting from 1.

    `place` names what shares one `requests_per_minute`. `again` can forbid another attempt (something was handed on).
    With a `pace`, no more calls are under way than it lets, and a place that is down is waited for.
    """
    number = 1
    while True:
        wait = _turn(place, settings.requests_per_minute)
        if wait > 0:
            yield _Sleep(wait)
        try:
            return (yield from _paced(attempt(number), number, pace))
        except ModelFailed as error:
            if not _may_pass(error) or not again():
                raise
            if number > _most(settings.retries, error, pace) and not (pace is not None and pace.may_come_back):
                raise
            pause = error.retry_after
            if pause is not None and pause > LONGEST_RETRY_AFTER:
                raise
        if pause is None:
            pause = random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (number - 1)))  # noqa: S311 - not a secret
        yield _Sleep(pause)
        number += 1


def _most(retries: int, error: ModelFailed, pace: Pace | None) -> int:
    """How often an attempt is repeated. In a run that makes fewer calls at once after each refusal, one call may be refused
    several times until they are few enough; and it takes some failures to tell a place that is down from an odd question.
    """
    if pace is None or not retries:
        return retries
    return retries * 3 if error.status in FULL else retries + 2


def _paced(attempt: Effect, number: int, pace: Pace | None) -> Steps[Any]:
    """One attempt, in its turn."""
    if pace is None:
        return (yield attempt)
    if not pace.free():
        yield Turn(pace)
    begun = time.monotonic()
    try:
        value = yield attempt
    except ModelFailed as error:
        if _may_pass(error):
            pace.failed(error.status, begun, first=number == 1)
        raise
    finally:
        pace.leave()
    pace.worked(begun)
    return value


def _may_pass(error: ModelFailed) -> bool:
    """Whether the same request may work later: overload, a broken connection, half an answer; not a wrong key or name."""
    if error.status is not None:
        return error.status >= 500 or error.status in _PASSING
    return not isinstance(error, ModelUnreachable) or isinstance(error.__cause__, HostFailed)


_lock = threading.Lock()
_next_turn: dict[str, float] = {}  # by place: when the next request may start, on the monotonic clock


def _turn(place: str, per_minute: float | None) -> float:
    """Take the next turn; seconds to wait for it. Turns are spread evenly, so a limit is never met in a burst."""
    if per_minute is None:
        return 0.0
    with _lock:
        now = time.monotonic()
        turn = max(now, _next_turn.get(place, now))
        _next_turn[place] = turn + 60 / per_minute
    return turn - now


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float

    def run(self) -> None:
        time.sleep(self.seconds)

    async def arun(self) -> None:
        import asyncio

        await asyncio.sleep(self.seconds)
