"""Run coroutines for code that is not async, on event loops that live as long as the process.

Threads with a loop of their own that come and go are avoided: native HTTP clients keep what belongs to a thread, and
pyreqwest 0.15 crashes when a new thread uses it after an earlier one has ended.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_loops: dict[tuple[int, int], asyncio.AbstractEventLoop] = {}
_here = threading.local()  # .level: this thread runs the loop of that level
_lock = threading.Lock()


def background() -> asyncio.AbstractEventLoop:
    """A loop that runs in a thread of its own. From such a thread it is another one, so that waiting for it ends."""
    level = getattr(_here, "level", -1) + 1
    key = os.getpid(), level  # a forked child has none of its parent's threads
    with _lock:
        if key not in _loops:
            loop = _loops[key] = asyncio.new_event_loop()

            def run() -> None:
                _here.level = level
                asyncio.set_event_loop(loop)
                loop.run_forever()

            contextvars.Context().run(threading.Thread(target=run, name=f"afere-async-{level}", daemon=True).start)
        return _loops[key]


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
