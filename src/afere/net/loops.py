"""Event loops in threads that live as long as the process: the only threads that touch the native client, since
pyreqwest 0.15 crashes when threads that used it come and go.

Code that runs on such a loop calls right there; code anywhere else hands its call to the loop of `lasting("afere net")`,
at the price of two thread switches.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading

_here = threading.local()  # .home: (process, loop) that this thread runs
_loops: dict[tuple[int, str], asyncio.AbstractEventLoop] = {}  # a forked child has none of its parent's threads
_lock = threading.Lock()


def lasting(name: str) -> asyncio.AbstractEventLoop:
    """The loop of that name; made, with its thread, when first asked for."""
    key = os.getpid(), name
    with _lock:
        if key not in _loops:
            loop = _loops[key] = asyncio.new_event_loop()

            def run() -> None:
                _here.home = os.getpid(), loop
                asyncio.set_event_loop(loop)
                loop.run_forever()

            contextvars.Context().run(threading.Thread(target=run, name=name, daemon=True).start)
        return _loops[key]


def home() -> asyncio.AbstractEventLoop | None:
    """The lasting loop that runs in this thread; None in all other threads."""
    process, loop = getattr(_here, "home", (0, None))
    return loop if process == os.getpid() else None


def of_process(process: int) -> list[asyncio.AbstractEventLoop]:
    """All that a process has begun."""
    return [loop for (owner, _), loop in list(_loops.items()) if owner == process]
