"""The provider for every server that speaks the OpenAI protocol, at any address."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from afere.base.canonical import Json, compact
from afere.base.errors import ModelFailed, ModelTimedOut, ModelUnreachable
from afere.base.message import Usage
from afere.base.prices import provider_of
from afere.models.request import Event, Request, Settings
from afere.models.wire import openai as wire
from afere.net import Answer, Call, HostFailed, HostTimedOut, HostUnreachable, asend, astream, retry_after, send, stream

OPENAI_URL = "https://api.openai.com/v1"
_NEW_NAMES = re.compile(r"o\d|gpt-5|gpt-6")  # OpenAI's models that take max_completion_tokens, not max_tokens


def openai(name: str, settings: Settings) -> OpenAIModel:
    """The provider `openai`: its address from `base_url`, else OPENAI_BASE_URL; its key from the environment."""
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    return OpenAIModel(name, replace(settings, base_url=base_url), provider_of(base_url) or "openai")


def ollama(name: str, settings: Settings) -> OpenAIModel:
    """The provider `ollama`: a server on this machine (or at OLLAMA_HOST), without a key."""
    host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
    address = host if "://" in host else f"http://{host}"
    return OpenAIModel(name, replace(settings, base_url=settings.base_url or f"{address.rstrip('/')}/v1"), "ollama")


def vllm(name: str, settings: Settings) -> OpenAIModel:
    """The provider `vllm`: a server on this machine at its usual port 8000, without a key."""
    return OpenAIModel(name, replace(settings, base_url=settings.base_url or "http://127.0.0.1:8000/v1"), "vllm")


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model behind the OpenAI protocol. `provider` is the host's name in the price table where it is known."""

    name: str
    settings: Settings
    provider: str = "openai"

    def check(self) -> None:
        """ModelUnreachable where its key is missing, so that no call can succeed. Nothing is called."""
        self._key()

    def stream(self, request: Request) -> Iterator[Event]:
        call = self._chat(request)
        decoder = wire.Decoder(self.name)
        with self._explained(), stream(call) as answer:
            if answer.status != 200 or not _is_stream(answer.headers):
                yield from self._whole(Answer(answer.status, answer.headers, b"".join(answer)))
                return
            for piece in answer:
                yield from decoder.feed(piece)
            yield from decoder.end()

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        call = self._chat(request)
        decoder = wire.Decoder(self.name)
        with self._explained():
            async with astream(call) as answer:
                if answer.status != 200 or not _is_stream(answer.headers):
                    body = b"".join([piece async for piece in answer])
                    for event in self._whole(Answer(answer.status, answer.headers, body)):
                        yield event
                    return
                async for piece in answer:
                    for event in decoder.feed(piece):
                        yield event
                for event in decoder.end():
                    yield event

    def answered(self, request: Request, begun: Callable[[], None]) -> list[Event]:
        """All events of one attempt at once, which costs a fraction of `stream`. `begun`: the first bytes are there."""
        with self._explained():
            return self._events(send(self._chat(request), begun=begun))

    async def aanswered(self, request: Request, begun: Callable[[], None]) -> list[Event]:
        """Like `answered`, for any event loop."""
        with self._explained():
            return self._events(await asend(self._chat(request), begun=begun))

    def _events(self, answer: Answer) -> list[Event]:
        if answer.status != 200 or not _is_stream(answer.headers):
            return self._whole(answer)
        return wire.streamed(answer.body, self.name)

    def embed(self, texts: Sequence[str]) -> tuple[list[list[float]], Usage]:
        """One call of the embeddings of the texts, in order, and what it used. One attempt."""
        body = wire.embeddings_body(texts, self.name)
        with self._explained():
            answer = send(self._call("/embeddings", body))
            if answer.status != 200:
                raise self._problem(answer)
        return wire.embeddings(answer.body, self.name, len(texts))

    def _chat(self, request: Request) -> Call:
        body = wire.body(request, self.name, stream=request.timed)
        if self.provider == "openai" and _NEW_NAMES.match(self.name) and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return self._call("/chat/completions", body, silent=not request.timed)

    def _call(self, path: str, body: Mapping[str, Json], *, silent: bool = False) -> Call:
        """`silent`: no sign of life comes before the whole answer."""
        seconds = self.settings.timeout
        limits = {"timeout": seconds, "first_byte": seconds} if seconds else {"first_byte": 600.0} if silent else {}
        return Call("POST", self._address() + path, _headers(self._key()), compact(body), **limits)

    def _address(self) -> str:
        return (self.settings.base_url or OPENAI_URL).rstrip("/")

    def _key_name(self) -> str | None:
        """The environment variable with the key. OPENAI_API_KEY goes only to OpenAI and to OPENAI_BASE_URL."""
        if self.settings.key:
            return self.settings.key
        address = self._address()
        own = address == OPENAI_URL or address == os.environ.get("OPENAI_BASE_URL", "").rstrip("/")
        return "OPENAI_API_KEY" if own else None

    def _key(self) -> str | None:
        name = self._key_name()
        key = os.environ.get(name, "").strip() if name else ""
        if name and not key and (self.settings.key or self._address() == OPENAI_URL):
            raise ModelUnreachable(
                f"{self.provider}:{self.name} needs a key: set the environment variable {name}. A model under models: in "
                "afere.yaml can name another one (key: NAME) or another server (base_url: http://...); the model "
                "'local' needs none."
            )
        return key or None

    def _whole(self, answer: Answer) -> list[Event]:
        """The events of an answer that is no stream: a server that does not stream, or an error."""
        if answer.status != 200:
            raise self._problem(answer)
        value = wire.json_object(answer.body)
        if value is None:
            raise ModelFailed(
                f"{self.name} at {self._address()} answered with something that is no answer of a model: "
                f"{wire.excerpt(answer.body)!r}. Does base_url end where the API begins, often in /v1?"
            )
        return wire.whole(value, self.name)

    def _problem(self, answer: Answer) -> ModelFailed:
        status, says = answer.status, self._without_key(wire.error_text(answer.body)).rstrip(" .") or "nothing more"
        where = f"{self.name} at {self._address()}"
        if status in (401, 403):
            name = self._key_name()
            remedy = f"Check the key in {name}." if name else "Name the variable with its key: key: NAME under models:."
            return ModelUnreachable(f"{where} refused ({status}): {says}. {remedy}", status=status)
        if status == 404:
            return ModelUnreachable(f"{where} is not there (404): {says}. Check the name and base_url.", status=status)
        if 300 <= status < 400:
            to = answer.headers.get("location", "somewhere else")
            return ModelUnreachable(f"{where} redirects to {to[:200]}. Set base_url to where it is.", status=status)
        return ModelFailed(
            f"{where} answered {status}: {says}.", status=status, retry_after=retry_after(answer.headers)
        )

    def _without_key(self, text: str) -> str:
        name = self._key_name()
        key = os.environ.get(name, "") if name else ""
        return text.replace(key, "***") if key else text

    def _explained(self) -> _Explained:
        return _Explained(self.name)


class _Explained:
    """Inside, failures of the network become those of a model, with what to set. (A generator costs as much as the call's JSON.)"""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _at: object) -> None:
        if isinstance(error, HostTimedOut):
            raise ModelTimedOut(f"{self._name}: {error} (timeout: under models: in afere.yaml)") from error
        if isinstance(error, HostUnreachable):
            raise ModelUnreachable(
                f"{self._name}: {error} Set base_url under models: in afere.yaml, or choose another model."
            ) from error
        if isinstance(error, HostFailed):
            raise ModelFailed(f"{self._name}: {error}") from error


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server on this machine that speaks the protocol, and the models it has."""

    base_url: str
    models: tuple[str, ...]

    def name(self, model: str | None = None) -> str:
        """The name that `resolve` takes for one of its models, by default the first."""
        return f"{self.base_url}#{model or self.models[0]}"


def find_local_server(ports: Sequence[int] = (11434, 8000, 8080, 1234)) -> LocalServer | None:
    """The first server with a model on 127.0.0.1, at the usual ports of Ollama, vLLM, llama.cpp and LM Studio.

    Takes at most about a quarter of a second.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(ports)) as pool:
        return next((found for found in pool.map(_local_server, ports) if found), None)


def _local_server(port: int) -> LocalServer | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
        base_url = f"http://127.0.0.1:{port}/v1"
        answer = send(Call("GET", f"{base_url}/models", timeout=0.2, first_byte=0.2))
    except (OSError, HostFailed):
        return None
    found = wire.models(answer.body) if answer.status == 200 else ()
    return LocalServer(base_url, found) if found else None


@lru_cache(maxsize=16)
def _headers(key: str | None) -> Mapping[str, str]:
    """Of every call with that key: the same object."""
    said = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
    return {**said, "authorization": f"Bearer {key}"} if key else said


def _is_stream(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "")
    return "json" not in kind and "html" not in kind  # not every server names the kind of its streams
