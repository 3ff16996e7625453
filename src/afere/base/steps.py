"""Write logic once, as a generator of effects; let two thin drivers make it sync and async.

def _steps(self) -> Steps[Reply]:
    reply = yield Ask(self.model, request)
    return reply

drive(self._steps())            # in the caller's thread
await adrive(self._steps())     # on the caller's event loop
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


class Effect(Protocol):
    """Something that blocks: it knows how to run in a thread and on an event loop."""

    def run(self) -> Any: ...
    async def arun(self) -> Any: ...


Steps: TypeAlias = Generator[Effect, Any, T]


def drive(steps: Steps[T]) -> T:
    """Run the steps here and return their value. An effect's exception is thrown into the generator."""
    try:
        effect = next(steps)
        while True:
            try:
                value = effect.run()
            except BaseException as error:  # the generator decides
                effect = steps.throw(error)
            else:
                effect = steps.send(value)
    except StopIteration as stop:
        return stop.value


async def adrive(steps: Steps[T]) -> T:
    """Like `drive`, on the running event loop."""
    try:
        effect = next(steps)
        while True:
            try:
                value = await effect.arun()
            except BaseException as error:  # the generator decides
                effect = steps.throw(error)
            else:
                effect = steps.send(value)
    except StopIteration as stop:
        return stop.value
