"""uvicorn with something beside it on its event loop: gRPC, which begins once HTTP answers and ends before it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import uvicorn


class Beside(uvicorn.Server):
    """A server of HTTP that also starts and stops another."""

    def __init__(
        self, config: uvicorn.Config, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._start, self._stop = start, stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        await self._start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stop()
        await super().shutdown(sockets=sockets)
