"""A server that is a program of its own: started, spoken to over its standard streams, a line a message, and ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import subprocess
import threading
import weakref
from collections.abc import Mapping
from shutil import which
from typing import IO

from afere.base.canonical import canonical
from afere.chains.mcp.channel import Limit, sort_out
from afere.chains.mcp.servers import Server
from afere.chains.mcp.wire import Message, answer_to

# What a program needs to run at all. Everything else, keys above all, it gets only by `env:` of afere.yaml.
_INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ",
    "APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE", "SYSTEMROOT",
    "TEMP", "USERNAME", "USERPROFILE",
)  # fmt: skip
_PIECE = 65_536
_WAITING = 32  # pieces that wait to be read: more, and the server waits
_LAST = 600  # characters of what it says on stderr, for messages
_GRACE = 1.0  # seconds to end by itself, then once more after SIGTERM

_running: weakref.WeakSet[Stdio] = weakref.WeakSet()


class Stdio:
    """A running server. Its threads only carry bytes; they end with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        program = which(server.command) or server.command
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            # A session of its own: Ctrl-C is ours, and the programs that it starts end with it.
            self._process = subprocess.Popen(  # noqa: S603 - the program that the user's own afere.yaml names
                [program, *server.args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=server.root, env={**inherited, **server.env}, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as problem:
            why = getattr(problem, "strerror", None) or "its name or arguments cannot be used"
            raise server.failed(f"it cannot be started: {why}. Look at command: in afere.yaml.") from None
        self._pid = os.getpid()
        self._out: queue.Queue[bytes | None] = queue.Queue()
        self._in: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._line = bytearray()
        self._said = ""
        self._ended = threading.Event()
        for carry, stream in (
            (self._write, self._process.stdin), (self._read, self._process.stdout), (self._listen, self._process.stderr)
        ):  # fmt: skip
            threading.Thread(target=carry, args=(stream,), name="afere-mcp", daemon=True).start()
        _running.add(self)

    def ask(self, message: Message, version: str, limit: Limit, mirrored: Mapping[str, str]) -> Message:
        """Send the request, and read lines until its answer is there."""
        self._out.put(canonical(message) + b"\n")
        while True:
            line = self._next(limit)
            if line.strip():
                found = sort_out(line, message["id"], limit, self._heard)
                if found is not None:
                    return found

    def tell(self, message: Message, version: str, limit: Limit) -> None:
        self._out.put(canonical(message) + b"\n")

    def close(self) -> None:
        """Close its input, wait, then end it and all that it started."""
        if self._ended.is_set() or os.getpid() != self._pid:  # a fork is not its parent
            return
        self._ended.set()
        self._out.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)

    def _heard(self, message: Message) -> None:
        reply = answer_to(message)
        if reply is not None:
            self._out.put(canonical(reply) + b"\n")

    def _next(self, limit: Limit) -> bytes:
        """The next line."""
        while (end := self._line.find(b"\n")) < 0:
            left = limit.seconds
            try:
                piece = self._in.get(timeout=max(0.0, left))
            except queue.Empty:
                raise TimeoutError from None
            if piece is None:
                self._in.put(None)  # for who asks next
                raise self._server.failed(self._died())
            limit.take(len(piece), self._server)
            self._line += piece
        line = bytes(self._line[:end])
        del self._line[: end + 1]
        return line

    def _died(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        status = self._process.returncode
        said = f" It last said: {self._said.strip()!r}." if self._said.strip() else ""
        ended = "it closed its output" if status is None else f"it ended with status {status}"
        return f"{ended} before it answered.{said}"

    def _signal(self, number: int) -> None:
        """To the whole group, which outlives its first process where that left others behind."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.kill()

    def _write(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (data := self._out.get()) is not None:
                stream.write(data)
                stream.flush()
        with contextlib.suppress(OSError, ValueError):
            stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        descriptor = stream.fileno()
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(descriptor, _PIECE):
                self._put(piece)
        self._put(None)
        stream.close()

    def _put(self, piece: bytes | None) -> None:
        """Hand it on; nobody reads any more once the server is being ended."""
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._in.put(piece, timeout=0.2)
                return

    def _listen(self, stream: IO[bytes]) -> None:
        """Its stderr is read, so that it can go on, and only the end is known."""
        descriptor = stream.fileno()
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(descriptor, _PIECE):
                self._said = (self._said + piece.decode("utf-8", "replace"))[-_LAST:]
        stream.close()


@atexit.register
def _end_all() -> None:
    for one in list(_running):
        one.close()
