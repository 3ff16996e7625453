"""Run coroutines for code that is not async, on event loops that live as long as the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import TypeVar

from afere.net.loops import home, lasting

T = TypeVar("T")

_LEVEL = "afere-async-"


def background() -> asyncio.AbstractEventLoop:
    """A loop that runs in a thread of its own. From such a thread it is another one, so that waiting for it ends."""
    here = threading.current_thread().name if home() is not None else ""
    level = int(here.removeprefix(_LEVEL)) + 1 if here.startswith(_LEVEL) else 0
    return lasting(f"{_LEVEL}{level}")


def waited(awaitable: Awaitable[T]) -> T:
    """The result of an awaitable, in the caller's context; also where a loop already runs in this thread (a notebook)."""

    async def wait() -> T:
        return await awaitable

    if threading.current_thread() is threading.main_thread():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(wait())
    future = asyncio.run_coroutine_threadsafe(wait(), background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
