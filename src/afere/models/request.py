"""What is asked of a model and what comes back: one request in, a stream of events out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

from afere.base.canonical import Json
from afere.base.message import Message, ToolCall, ToolSpec, Usage


@dataclass(frozen=True)
class Request:
    """One question to a model. `output` is a JSON Schema that the answer's text must fit, where the model can.

    `parameters` go to the provider under the names it knows (`temperature`, `max_tokens`, `seed`, `stop`, ...). `timed` is
    no part of the question: False where nobody asks when the first of the answer came, so that it need not be streamed.
    """

    messages: tuple[Message, ...]
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tools: tuple[ToolSpec, ...] = ()
    output: Mapping[str, Json] | None = None
    timed: bool = True

    @cached_property
    def said(self) -> list[Json]:
        """The messages as JSON, made once: not to be changed."""
        return [message.to_json() for message in self.messages]

    @property
    def key(self) -> list[Json]:
        """What makes it this question."""
        tools: list[Json] = [tool.to_json() for tool in self.tools]
        return [self.said, dict(self.parameters), tools, dict(self.output or {})]


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The next piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """The model asks for a tool."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Done:
    """The end of the answer, always last. `finish` is the provider's word: stop, length, tool_calls, ... `logprobs`: of each
    token of the answer, natural, where they were asked for (parameter `logprobs`) and given."""

    finish: str
    usage: Usage
    model: str
    logprobs: tuple[float, ...] = ()


Event: TypeAlias = Text | Reasoning | Called | Done


@dataclass(frozen=True, slots=True)
class Settings:
    """What `models:` of afere.yaml says beside the model's name; the defaults where it says nothing.

    `timeout` is seconds for one attempt. Without it an attempt may take 600 s, of which 120 s in silence.
    `retries` is how many times a failed attempt is repeated. `prices` are USD per million tokens. The last four are notes that
    requirements are held against: see `models.facts_of`.
    """

    base_url: str | None = None
    key: str | None = None  # the name of the environment variable, never the key
    timeout: float | None = None
    retries: int = 3
    requests_per_minute: float | None = None
    prices: Mapping[str, Json] | None = None
    context: int | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    licence: str | None = None
    residency: str | Sequence[str] | None = None
    hosting: str | None = None
    compliance: str | Sequence[str] | None = None


class Model(Protocol):
    """Something that answers. A provider is a callable `(name, settings) -> Model`.

    `stream` makes one attempt: it yields events and ends with Done, or raises ModelFailed. Closing the iterator
    ends the call.
    """

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    def stream(self, request: Request) -> Iterator[Event]: ...
    def astream(self, request: Request) -> AsyncIterator[Event]: ...


class AtOnce(Protocol):
    """What a model may also offer where nobody watches the events: one attempt, read whole.

    `begun` is called once, when the first of the answer is there.
    """

    def answered(self, request: Request, begun: Callable[[], None]) -> list[Event]: ...
    async def aanswered(self, request: Request, begun: Callable[[], None]) -> list[Event]: ...


class Checked(Protocol):
    """What a model may also offer: to say before any call is paid, by ModelUnreachable, that no call can succeed."""

    def check(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `value` is set by who checks the text against `Request.output`; cost in USD, None if unknown.

    `messages` is the assistant's turn, ready to be appended to a conversation. `attempts` counts the calls made. `logprobs` is
    as in `Done`.
    """

    text: str
    messages: tuple[Message, ...]
    calls: tuple[ToolCall, ...]
    usage: Usage
    cost: float | None
    finish: str
    model: str  # as the provider names it
    value: Json = None
    first_token_seconds: float | None = None
    attempts: int = 1
    logprobs: tuple[float, ...] = ()

    def holding(self, value: Json) -> Reply:
        """The same with its value."""
        return Reply(
            self.text, self.messages, self.calls, self.usage, self.cost, self.finish, self.model, value,
            self.first_token_seconds, self.attempts, self.logprobs,
        )  # fmt: skip
