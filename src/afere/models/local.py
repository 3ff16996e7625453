"""The local model (extra `local`): llama.cpp in this process, on the processor.

Measured on two cores: two servers of one thread each do twice the work of one server with two threads, and keep doing
it beside a busy core; so that is what runs here, with polling off. A server belongs to one thread of a small pool, and
requests wait in line for it. llama.cpp opens an HTTP port for each server: it listens on loopback, wants a random key,
and tells browsers to stay away.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import queue
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, MissingExtra, ModelFailed, ModelTimedOut, ModelUnreachable
from afere.models.request import Event, Request, Settings
from afere.models.weights import NAME, weights
from afere.models.wire import openai as wire
from afere.net import Call, HostFailed, send

CONTEXT = 1536  # tokens
_SLOTS = 2  # of each server


def local(name: str, settings: Settings) -> LocalModel:
    """The provider `local`: the bundled model, or the GGUF file that `name` is the path of (`local:models/mine.gguf`)."""
    if find_spec("xllamacpp") is None or find_spec("numpy") is None:
        raise MissingExtra("local", "The local model")
    if not name:
        own = os.environ.get("AFERE_LOCAL_MODEL")
        return LocalModel(Path(own).stem if own else NAME, settings, None)
    if not Path(name).is_file():
        raise ModelUnreachable(f"local:{name}: there is no such file. Write local for the bundled model.")
    return LocalModel(Path(name).stem, settings, Path(name))


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A GGUF model in this process. Without `file` it is the bundled one, whose weights are fetched on first use."""

    name: str
    settings: Settings
    file: Path | None
    provider: str = "local"

    def stream(self, request: Request) -> Iterator[Event]:
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        job = self._job(request, answers.put)
        decoder = wire.Decoder(self.name)
        try:
            self._submit(job)
            while (chunk := answers.get()) is not _END:
                yield from self._events(decoder, chunk)
            yield from decoder.end()
        finally:
            job.stopped = True

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        loop, answers = asyncio.get_running_loop(), asyncio.Queue[object]()

        def tell(chunk: object) -> None:
            loop.call_soon_threadsafe(answers.put_nowait, chunk)

        job = self._job(request, tell)
        decoder = wire.Decoder(self.name)
        try:
            await asyncio.to_thread(self._submit, job)
            while (chunk := await answers.get()) is not _END:
                for event in self._events(decoder, chunk):
                    yield event
            for event in decoder.end():
                yield event
        finally:
            job.stopped = True

    def _job(self, request: Request, tell: Callable[[object], None]) -> _Job:
        body = wire.body(request, self.name)
        if request.output is not None:
            del body["response_format"]
            body["grammar"] = _grammar(request.output)
        return _Job(body, tell, self.settings.timeout)

    def _submit(self, job: _Job) -> None:
        _pool(self.file or weights(), self.settings.context or CONTEXT).put(job)

    def _events(self, decoder: wire.Decoder, chunk: object) -> list[Event]:
        if isinstance(chunk, BaseException):
            raise chunk
        found = cast("dict[str, Any]", chunk)
        error = found.get("error")
        if isinstance(error, dict) and "n_prompt_tokens" in error:
            sizes = cast("dict[str, object]", error)
            raise ModelFailed(
                f"{self.name}: the prompt has {sizes['n_prompt_tokens']} tokens and the model is set to take "
                f"{sizes.get('n_ctx')} with the answer. Shorten it, or raise context: of the model in afere.yaml.",
                status=400,
            )
        return decoder.chunk({**found, "model": self.name})


def count_tokens(text: str) -> int | None:
    """How many tokens the local model makes of a text, if one is loaded already; else None."""
    for pool in list(_pools.values()):
        if (count := pool.count_tokens(text)) is not None:
            return count
    return None


def _grammar(schema: Mapping[str, Json]) -> str:
    """A grammar of the schema's JSON without white space, which small models otherwise spend their tokens on."""
    compact = {**schema, "x-guidance": {"whitespace_flexible": False}}
    return "%llguidance {}\nstart: %json " + json.dumps(compact)


class _End: ...


_END = _End()


@dataclass(slots=True)
class _Job:
    """One request in line. `tell` gets the chunks as they come, an exception if it fails, and _END, in any case."""

    body: dict[str, Json]
    tell: Callable[[object], None]
    timeout: float | None
    stopped: bool = False


class _Pool:
    """Workers that share one line of jobs, so that the first to come is the first served."""

    def __init__(self, file: Path, context: int) -> None:
        self._file = file
        self._context = context
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closing = False
        self._key = secrets.token_urlsafe(24)
        self._address: str | None = None  # of the first server

    def put(self, job: _Job) -> None:
        with self._lock:
            if self._closing:
                raise ModelFailed("The local model is closed: the program is ending.")
            if not self._idle.acquire(blocking=False) and len(self._workers) < _size():
                # A daemon, so that an exit does not wait for a whole answer: `close` stops and joins it.
                worker = threading.Thread(target=self._work, name="afere local model", daemon=True)
                worker.start()
                self._workers.append(worker)
            self._jobs.put(job)

    def close(self) -> None:
        """Stop what runs and join the workers: the process must not end while llama.cpp computes."""
        with self._lock:
            self._closing = True
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join()

    def count_tokens(self, text: str) -> int | None:
        if self._address is None:
            return None
        body = json.dumps({"content": text}).encode("utf-8", "replace")
        with suppress(HostFailed):
            answer = send(Call("POST", f"{self._address}/tokenize", {"authorization": f"Bearer {self._key}"}, body))
            tokens = (wire.json_object(answer.body) or {}).get("tokens")
            return len(cast("list[int]", tokens)) if isinstance(tokens, list) else None
        return None

    def _work(self) -> None:
        server: Any = None
        while (job := self._jobs.get()) is not None:
            # The loop of an asynchronous caller may be closed by now.
            with suppress(RuntimeError):
                try:
                    if not (self._closing or job.stopped):
                        server = server or self._load()
                        self._answer(server, job)
                except Exception as error:  # whatever llama.cpp says, told to the one who asked
                    job.tell(error if isinstance(error, AfereError) else ModelFailed(f"{self._file.stem}: {error}"))
                finally:
                    self._idle.release()
                    job.tell(_END)

    def _answer(self, server: Any, job: _Job) -> None:
        deadline = None if job.timeout is None else time.monotonic() + job.timeout

        def heard(chunk: object) -> bool:
            """Told of each chunk; the answer True ends the generation."""
            if deadline is not None and time.monotonic() > deadline:
                job.tell(ModelTimedOut(f"{self._file.stem}: no whole answer within {job.timeout:g} s (timeout:)."))
                return True
            job.tell(chunk)
            return job.stopped or self._closing

        server.handle_chat_completions(job.body, heard)

    def _load(self) -> Any:
        library: Any = import_module("xllamacpp")
        parameters = library.CommonParams()
        parameters.model.path = str(self._file)
        # Each slot keeps the prefix it has read: with two, the steps of a chain that take turns do not read each other's
        # fixed text anew (a fifth of the time of `afere demo`). A server still answers one request at a time.
        parameters.n_parallel, parameters.n_ctx = _SLOTS, self._context * _SLOTS
        for cpu in (parameters.cpuparams, parameters.cpuparams_batch):
            cpu.n_threads, cpu.poll = 1, 0
        parameters.warmup, parameters.ui = False, False
        parameters.cache_ram_mib = 0
        parameters.verbosity = -1
        parameters.api_keys, parameters.cors_origins = [self._key], "http://nowhere.invalid"
        try:
            server = library.Server(parameters)
        except RuntimeError as error:
            raise ModelUnreachable(
                f"{self._file} cannot be loaded ({error}): it is no whole GGUF file, or the memory does not suffice."
            ) from None
        self._address = self._address or str(server.listening_address)
        return server


_pools: dict[tuple[int, Path, int], _Pool] = {}
_lock = threading.Lock()


def _pool(file: Path, context: int) -> _Pool:
    key = (os.getpid(), file, context)  # threads do not survive a fork
    with _lock:
        if key not in _pools:
            _pools[key] = _Pool(file, context)
            atexit.register(_pools[key].close)
        return _pools[key]


def _size() -> int:
    """How many servers: one for each core that this process may use, two at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, cores)
