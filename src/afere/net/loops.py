"""Event loops in threads that live as long as the process, for code that is not asynchronous: it hands its calls to the
loop of `lasting("afere net")`, at the price of two thread switches.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading

_here = threading.local()  # .home: (process, loop) that this thread runs
_loops: dict[str, asyncio.AbstractEventLoop] = {}
_lock = threading.Lock()


def lasting(name: str) -> asyncio.AbstractEventLoop:
    """The loop of that name; made, with its thread, when first asked for."""
    with _lock:
        if name not in _loops:
            loop = _loops[name] = asyncio.new_event_loop()

            def run() -> None:
                _here.home = os.getpid(), loop
                asyncio.set_event_loop(loop)
                loop.run_forever()

            contextvars.Context().run(threading.Thread(target=run, name=name, daemon=True).start)
        return _loops[name]


def home() -> asyncio.AbstractEventLoop | None:
    """The lasting loop that runs in this thread; None in all other threads."""
    process, loop = getattr(_here, "home", (0, None))
    return loop if process == os.getpid() else None


def _after_fork() -> None:
    """A forked child has none of its parent's threads, and must not wait for a lock that one of them held."""
    global _lock  # noqa: PLW0603  the lock of this process
    _lock = threading.Lock()
    _loops.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
