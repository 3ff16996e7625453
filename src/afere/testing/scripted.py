"""A model that says what a test tells it to: deterministic, in process, with the faults of real ones."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from afere.base.canonical import Json
from afere.base.errors import ModelFailed, ModelTimedOut, ModelUnreachable
from afere.base.message import ToolCall, Usage
from afere.models import Called, Done, Event, Reasoning, Request, Settings, Text


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer. `calls` are (tool, arguments) pairs; without `usage` a word counts as a token. `logprobs`: of its
    tokens, told where the request asks for them."""

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Json]]] = ()
    reasoning: str = ""
    usage: Usage | None = None
    finish: str | None = None
    delay: float = 0.0  # seconds before the first event
    pause: float = 0.0  # seconds between two events
    logprobs: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong instead of an answer.

    `status`: an HTTP status, with `retry_after`; `hang`: nothing comes for `seconds`, then a timeout; `half`: `text`
    comes and then the stream ends; `garbage`: something that is no event; `unreachable`: no connection.
    """

    kind: Literal["status", "hang", "half", "garbage", "unreachable"]
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    text: str = "Half an ans"


Said = str | Answer | Fault | Mapping[str, Json]
Script = Mapping[str, Said] | list[Said] | Callable[[Request], Said] | str | Answer | Fault

_scripts: dict[str, ScriptedModel] = {}


class ScriptedModel:
    """A model of the provider `scripted`, known to prompt files and `resolve` as `scripted:NAME`.

    `says` takes an answer for every request; a mapping from a piece of the conversation to its answer (the first that
    occurs, "" for any); a list that is used up in order; or a function of the request. A mapping given as an answer is
    said as JSON text. `requests` keeps what was asked.
    """

    provider = "scripted"

    def __init__(self, name: str = "model", says: Script | None = None, *, settings: Settings | None = None) -> None:
        self.name = name
        self.settings = settings or Settings(retries=0)
        self.requests: list[Request] = []
        self.says(says if says is not None else [])
        _scripts[name] = self

    def says(self, script: Script) -> ScriptedModel:
        """Change what it says from now on."""
        self._say = speaker(script, f"scripted:{self.name}")
        return self

    def stream(self, request: Request) -> Iterator[Event]:
        said = self._next(request)
        time.sleep(_delay(said))
        for event in events(said, request, self.name):
            yield event
            time.sleep(_pause(said))

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        said = self._next(request)
        await asyncio.sleep(_delay(said))
        for event in events(said, request, self.name):
            yield event
            await asyncio.sleep(_pause(said))

    def _next(self, request: Request) -> Answer | Fault:
        self.requests.append(request)
        return answer_of(self._say(request))


def scripted(name: str, settings: Settings) -> ScriptedModel:
    """The provider: the model that the test has made under that name."""
    found = _scripts.get(name)
    if found is None:
        raise ModelUnreachable(
            f"No scripted model is called {name!r}. Make it first: afere.testing.ScriptedModel({name!r}, says=...). "
            f"Known: {', '.join(_scripts) or 'none'}."
        )
    return found


def speaker(script: Script, who: str) -> Callable[[Request], Said]:
    """A script as a function of the request; `who` begins its complaints."""
    if isinstance(script, str | Answer | Fault):
        return lambda _: script
    if callable(script):
        return script
    return _in_order(script, who) if isinstance(script, list) else _by_piece(script, who)


def _in_order(answers: list[Said], who: str) -> Callable[[Request], Said]:
    rest, lock = iter(answers), threading.Lock()

    def say(_: Request) -> Said:
        with lock:
            said = next(rest, None)
        if said is not None:
            return said
        raise ModelFailed(
            f"{who} has said all of its {len(answers)} answers, and is asked again. Give it more: .says(...)."
        )

    return say


def _by_piece(answers: Mapping[str, Said], who: str) -> Callable[[Request], Said]:
    def say(request: Request) -> Said:
        asked = "\n".join(message.text for message in request.messages)
        for piece, said in answers.items():
            if piece in asked:
                return said
        raise ModelFailed(
            f"{who} has no answer for a conversation that ends {asked[-80:]!r}. "
            f"It knows: {', '.join(repr(piece) for piece in answers)}; add '' for any other."
        )

    return say


def answer_of(said: Said) -> Answer | Fault:
    """What was said, in full."""
    if isinstance(said, Answer | Fault):
        return said
    return Answer(said if isinstance(said, str) else json.dumps(dict(said)))


def _delay(said: Answer | Fault) -> float:
    return said.delay if isinstance(said, Answer) else said.seconds


def _pause(said: Answer | Fault) -> float:
    return said.pause if isinstance(said, Answer) else 0.0


def events(said: Answer | Fault, request: Request, model: str) -> Iterator[Event]:
    """The events of an answer, word by word, or the failure that a fault stands for."""
    if isinstance(said, Fault):
        yield from _fails(said, model)
        return
    if said.reasoning:
        yield Reasoning(said.reasoning)
    for piece in re.findall(r"\S+\s*|\s+", said.text):
        yield Text(piece)
    for number, (tool, arguments) in enumerate(said.calls, 1):
        yield Called(ToolCall(f"call_{number}", tool, dict(arguments)))
    asked = sum(len(message.text.split()) for message in request.messages)
    usage = said.usage or Usage(asked, len(said.text.split()))
    logprobs = tuple(said.logprobs) if request.parameters.get("logprobs") else ()
    yield Done(said.finish or ("tool_calls" if said.calls else "stop"), usage, model, logprobs)


def _fails(fault: Fault, model: str) -> Iterator[Event]:
    where = f"scripted:{model}"
    if fault.kind == "status":
        raise ModelFailed(
            f"{where} answered {fault.status}, as scripted.", status=fault.status, retry_after=fault.retry_after
        )
    if fault.kind == "hang":
        raise ModelTimedOut(f"{where} gave no answer within {fault.seconds:g} s, as scripted.")
    if fault.kind == "unreachable":
        raise ModelUnreachable(f"{where} cannot be reached, as scripted.")
    if fault.kind == "garbage":
        raise ModelFailed(f"{where} sent something that is no answer, as scripted: '<html>'.")
    yield Text(fault.text)
