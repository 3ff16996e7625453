"""Ask a model: the whole answer, or a stream of it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import cast

from afere.base.errors import ModelFailed
from afere.base.message import Message, Part, ToolCall, Usage
from afere.base.once import Once
from afere.base.prices import price
from afere.base.steps import Steps, adrive, drive
from afere.models.pace import Paces
from afere.models.request import AtOnce, Called, Done, Event, Model, Reasoning, Reply, Request, Text
from afere.models.retry import retrying

ABANDONED = "abandoned"  # the finish of a stream that was left before its end


def ask(
    model: Model, request: Request, *, on_event: Callable[[Event], None] | None = None, paces: Paces | None = None
) -> Steps[Reply]:
    """The model's whole answer. `on_event` sees each event as it comes; once it has seen one, nothing is retried.
    `paces` are those of a run, which makes fewer calls at once where a server asks for it, and waits for one that is down.

    Drive it with `base.steps.drive` or `adrive`. Raises ModelFailed or one of its kinds after the last attempt.
    """
    request = with_defaults(model, request)
    answer = Collected(model, timed=request.timed or on_event is not None)

    def attempt(number: int) -> _Whole:
        return _Whole(model, request, answer.begin(number), on_event)

    where = place(model)
    yield from retrying(
        where, model.settings, attempt, again=lambda: on_event is None or answer.first_seconds is None,
        pace=None if paces is None else paces.of(where, model.settings.retries),
    )  # fmt: skip
    return answer.reply()


class Stream:
    """An answer as it comes: `for piece in stream` or `async for piece in stream` gives pieces of text.

    Afterwards `reply` is the whole answer. Failures before the first event are retried, later ones are raised.
    `on_done(reply)` and `on_error(error)` are called once, at the end; a stream that is left early is done, with
    finish "abandoned". It can be iterated once.
    """

    def __init__(
        self,
        model: Model,
        request: Request,
        *,
        on_done: Callable[[Reply], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._model = model
        self._request = with_defaults(model, request)
        self._on_done = on_done
        self._on_error = on_error
        self._begun = False
        self._reply: Reply | None = None

    @property
    def reply(self) -> Reply:
        """The whole answer; what has not been iterated yet is read now (not while `async for` runs)."""
        if self._reply is None and not self._begun:
            for _ in self:
                pass
        if self._reply is None:
            raise ModelFailed(f"{self._model.name}: the stream has no reply: it is still running, or it failed.")
        return self._reply

    def __iter__(self) -> Iterator[str]:
        answer = self._begin()
        with self._ending(answer):
            opened: _Opened = drive(self._opening(answer))
            events = cast("Iterator[Event]", opened.events)
            with _closed(events):
                event: Event | None = opened.first
                while event is not None:
                    answer.add(event)
                    if isinstance(event, Text):
                        yield event.text
                    event = next(events, None)
            answer.check()

    async def __aiter__(self) -> AsyncIterator[str]:
        answer = self._begin()
        with self._ending(answer):
            opened: _Opened = await adrive(self._opening(answer))
            events = cast("AsyncIterator[Event]", opened.events)
            async with _aclosed(events):
                event: Event | None = opened.first
                while event is not None:
                    answer.add(event)
                    if isinstance(event, Text):
                        yield event.text
                    event = await anext(events, None)
            answer.check()

    def _begin(self) -> Collected:
        if self._begun:
            raise ModelFailed(f"{self._model.name}: this stream was already read. Its answer is in .reply.")
        self._begun = True
        return Collected(self._model)

    def _opening(self, answer: Collected) -> Steps[_Opened]:
        model = self._model
        return retrying(place(model), model.settings, lambda number: _Open(model, self._request, answer.begin(number)))

    @contextmanager
    def _ending(self, answer: Collected) -> Generator[None]:
        """What is told at the end, however it comes."""
        try:
            yield
        except GeneratorExit:
            self._finish(answer)
            raise
        except BaseException as error:
            if self._on_error is not None:
                self._on_error(error)
            raise
        self._finish(answer)

    def _finish(self, answer: Collected) -> None:
        self._reply = answer.reply()
        if self._on_done is not None:
            self._on_done(self._reply)


class Collected:
    """The events of an attempt, put together."""

    def __init__(self, model: Model, *, timed: bool = True) -> None:
        self._model = model
        self._timed = timed
        self.begin(1)

    def begin(self, attempt: int) -> Collected:
        """Forget what an earlier attempt gave."""
        self.attempt = attempt
        self.started = time.monotonic()
        self.first_seconds: float | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCall] = []
        self._done: Done | None = None
        return self

    def begun(self) -> None:
        """The first of the answer is there."""
        if self.first_seconds is None:
            self.first_seconds = time.monotonic() - self.started

    def add(self, event: Event) -> None:
        self.begun()
        if isinstance(event, Text):
            self._text.append(event.text)
        elif isinstance(event, Reasoning):
            self._reasoning.append(event.text)
        elif isinstance(event, Called):
            self._calls.append(event.call)
        else:
            self._done = event

    def check(self) -> None:
        """A provider's stream that did not say Done is a failed attempt."""
        if self._done is None:
            raise ModelFailed(f"{self._model.provider} {self._model.name}: the stream ended early. Try again.")

    def reply(self) -> Reply:
        model = self._model
        done = self._done or Done(ABANDONED, Usage(), model.name)
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        parts = (Part("reasoning", reasoning),) if reasoning else ()
        parts += (Part("text", text),) if text else ()
        cost = price(f"{model.provider}:{done.model}", done.usage, model.settings.prices)
        if cost is None and done.model != model.name:
            cost = price(f"{model.provider}:{model.name}", done.usage, model.settings.prices)
        return Reply(
            text=text,
            messages=(Message("assistant", parts, tuple(self._calls)),),
            calls=tuple(self._calls),
            usage=done.usage,
            cost=cost,
            finish=done.finish,
            model=done.model,
            first_token_seconds=self.first_seconds if self._timed else None,
            attempts=self.attempt,
            logprobs=done.logprobs,
        )


def with_defaults(model: Model, request: Request) -> Request:
    """The request with the parameters of `models:` in afere.yaml where it does not set them itself."""
    if not model.settings.parameters:
        return request
    return replace(request, parameters={**model.settings.parameters, **request.parameters})


def _place(model: Model) -> str:
    return " ".join(filter(None, (model.provider, model.settings.base_url, model.name)))


place = Once(_place)  # what shares one limit of requests per minute


@dataclass(frozen=True, slots=True)
class _Whole:
    """One attempt, read to its end."""

    model: Model
    request: Request
    answer: Collected
    on_event: Callable[[Event], None] | None

    def run(self) -> None:
        if (model := self._at_once()) is not None:
            self._all(model.answered(self.request, self.answer.begun))
            return
        events = self.model.stream(self.request)
        with _closed(events):
            for event in events:
                self._add(event)
        self.answer.check()

    async def arun(self) -> None:
        if (model := self._at_once()) is not None:
            self._all(await model.aanswered(self.request, self.answer.begun))
            return
        events = self.model.astream(self.request)
        async with _aclosed(events):
            async for event in events:
                self._add(event)
        self.answer.check()

    def _at_once(self) -> AtOnce | None:
        """The model, where nobody watches and it can answer so. (`isinstance` of a protocol takes as long as the call.)"""
        if self.on_event is None and hasattr(self.model, "aanswered"):
            return cast("AtOnce", self.model)
        return None

    def _all(self, events: list[Event]) -> None:
        for event in events:
            self.answer.add(event)
        self.answer.check()

    def _add(self, event: Event) -> None:
        self.answer.add(event)
        if self.on_event is not None:
            self.on_event(event)


@dataclass(frozen=True, slots=True)
class _Opened:
    first: Event | None
    events: Iterator[Event] | AsyncIterator[Event]


@dataclass(frozen=True, slots=True)
class _Open:
    """One attempt, read to its first event."""

    model: Model
    request: Request
    answer: Collected  # begun: its clock runs

    def run(self) -> _Opened:
        events = self.model.stream(self.request)
        return _Opened(next(events, None), events)

    async def arun(self) -> _Opened:
        events = self.model.astream(self.request)
        return _Opened(await anext(events, None), events)


@contextmanager
def _closed(events: Iterator[Event]) -> Generator[None]:
    """Ends the call when the block is left; an iterator that cannot be closed is left to itself."""
    try:
        yield
    finally:
        if isinstance(events, Generator):
            events.close()


@asynccontextmanager
async def _aclosed(events: AsyncIterator[Event]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
