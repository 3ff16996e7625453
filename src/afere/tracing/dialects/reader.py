"""Follows the maps: from attributes and events to the fields of a span. What is there already stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, today
from afere.base.message import Usage
from afere.base.prices import price
from afere.base.span import Span
from afere.tracing.dialects import own, shapes
from afere.tracing.dialects.maps import MAPS
from afere.tracing.dialects.plan import Values, planned, whole

NAMES = ("model", "response_model", "provider", "environment")
_WHO = ("session", "user")
PROMPT = {"prompt_name": "gen_ai.prompt.name", "prompt_version": "gen_ai.prompt.version"}
ORIGIN = {"version": "service.version", "revision": "vcs.ref.head.revision"}
NUMBERS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cost")
_EVENTS = {
    "gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}  # fmt: skip
_FIRST_TOKEN = ("First Token Stream Event", "ai.stream.firstChunk")
_CHOICE, _DETAILS = "gen_ai.choice", "gen_ai.client.inference.operation.details"
# Names in the provider's place that are none; and how the table of prices calls some that are.
_NO_PROVIDER = frozenset({"strands-agents", "gcp.vertex.agent", "langchain", "langgraph", "llama_index", "_other"})
_PRICED_AS = {
    "gcp.gemini": "google", "gcp.vertex_ai": "google", "gcp.gen_ai": "google", "vertexai": "google", "gemini": "google",
    "aws.bedrock": "aws", "bedrock": "aws", "az.ai.openai": "azure", "azure.ai.openai": "azure", "azure.ai.inference": "azure",
    "mistral_ai": "mistral", "mistralai": "mistral", "x_ai": "x-ai", "xai": "x-ai",
}  # fmt: skip
OUTER = tuple(end for dialect in MAPS for end in dialect.outer)
_SHORT = 200  # characters of a text that is a name rather than content


def read(span: Span) -> None:
    """Fill the fields that the span's attributes and events speak of. Never raises for what they hold; repeating it is harmless."""
    plan = planned(tuple(span.attributes))
    if plan.own:
        own.read(span, plan.own)
    reading = Reading(span, plan)
    if plan.rich or any(str(_name(event)).startswith("gen_ai.") for event in span.events):
        reading.everything()
    else:
        reading.common()
    reading.named(ORIGIN)
    reading.outcome()
    if plan.own:
        own.read(span, plan.own)  # its word goes before what was read from others


def read_lightly(span: Span) -> None:
    """Fill what a list shows of a span beside its columns."""
    plan = planned(tuple(span.attributes))
    reading = Reading(span, plan)
    reading.known_as(rich=plan.rich)
    if "finish_reason" in plan.rules:
        span.finish_reason = reading.finished()


class Reading(Values):
    """One span, read."""

    def everything(self) -> None:
        """All that says something of generative AI."""
        self.names()
        self.facts(_WHO)
        self.numbers(NUMBERS)
        self.corrected()
        self._first_token()
        self._messages()
        self._said()
        self.named(PROMPT)

    def names(self) -> None:
        """Its kind, and what the model and others are called."""
        span = self._span
        self._kind()
        self.facts(NAMES)
        if span.provider is not None:
            span.provider = _provider(span.provider)

    def common(self) -> None:
        """Who and where, which other spans say too."""
        self.facts((*_WHO, "environment"))

    def facts(self, names: Sequence[str]) -> None:
        """Texts that are known from one attribute."""
        for name in filter(self._plan.rules.__contains__, names):
            if getattr(self._span, name) is None:
                setattr(self._span, name, self._text(name))

    def known_as(self, *, rich: bool) -> None:
        """All facts that have no field; rich: of generative AI too."""
        self.named(ORIGIN)
        if rich:
            self.named(PROMPT)

    def named(self, fields: Mapping[str, str]) -> None:
        """Facts that have no field of a span, under the one name that everybody looks for."""
        for field in filter(self._plan.rules.__contains__, fields):
            name = fields[field]
            if name not in self._span.attributes and (value := self._text(field)) is not None:
                self._span.attributes[name] = value

    def outcome(self) -> None:
        """Whether it failed, and how."""
        span = self._span
        kind = span.attributes.get("error.type")
        if span.attributes.get("langfuse.observation.level") == "ERROR" or (isinstance(kind, str) and kind):
            span.status = "error" if span.status == "ok" else span.status
        raised = [_said(event) for event in span.events if _name(event) == "exception"]
        if any(map(_waits, raised)):  # LangGraph waits for a person
            if span.status in ("ok", "error"):
                span.status, span.error = "paused", None
            return
        if raised and span.status == "ok" and "langsmith.span.kind" in span.attributes:  # it sets no status
            span.status = "error"
        if span.status != "error" or span.error is not None:
            return
        if raised:
            parts = (raised[-1].get("exception.type"), raised[-1].get("exception.message"))
            span.error = ": ".join(str(part) for part in parts if part)[:2000] or None
        span.error = span.error or self._text("error") or (str(kind) if kind else None)

    def _kind(self) -> None:
        """The first that says more than "step"."""
        span = self._span
        if span.kind != "step":
            return
        for name, kinds in self._plan.kinds:
            if isinstance(kinds, str):
                found = kinds if span.name.startswith(name) else None
            else:
                found = kinds.get(str(self._json(name)))
            if found not in (None, "step"):
                span.kind = "chain" if found == "llm" and span.name.endswith(OUTER) else found
                return

    def numbers(self, fields: Sequence[str]) -> None:
        """Counts and the cost."""
        for name in filter(self._plan.rules.__contains__, fields):
            if getattr(self._span, name) is None:
                read = _amount if name == "cost" else whole
                setattr(self._span, name, next(filter(_known, map(read, self._found(name))), None))

    def corrected(self) -> None:
        """What numbers mean together; a cost that nobody said is told from the prices."""
        span = self._span
        # Some leave out of the input what the cache answered.
        if span.cached_input_tokens and span.input_tokens is not None and span.cached_input_tokens > span.input_tokens:
            span.input_tokens += span.cached_input_tokens
        if span.cost == 0:
            span.cost = None  # said of a call that failed, and of models that the sender's own table of prices lacks
        if span.cost is None and span.kind in ("llm", "embedding"):
            span.cost = _cost(span)

    def _first_token(self) -> None:
        span = self._span
        if span.first_token_seconds is None and (span.events or self._plan.timed):
            seconds = [_amount(value) for value in self._values("first_token_seconds")]
            seconds += [ms / 1000 for value in self._values("first_token_ms") if (ms := _amount(value)) is not None]
            seconds += [_since(span.start, shapes.loaded(value)) for value in self._values("first_token_at")]
            seconds += [_since(span.start, _at(event)) for event in span.events if _name(event) in _FIRST_TOKEN]
            span.first_token_seconds = next((value for value in seconds if value is not None), None)

    def _messages(self) -> None:
        span = self._span
        if span.kind in ("tool", "retrieval"):
            return
        given, made = self._spoken_of("input_messages", "user"), self._spoken_of("output_messages", "assistant")
        if not made and span.kind == "llm":
            made = self._answered()
        system = self._spoken_of("system", "system") if given else []
        if system and not any(_role(message) == "system" for message in given):
            given = [*system, *given]
        heard, answered, finish = _from_events(span.events) if span.events else ([], [], None)
        span.input_messages = given or heard or span.input_messages
        span.output_messages = made or answered or span.output_messages
        if span.finish_reason is None:
            if finish is not None or "finish_reason" in self._plan.rules:
                span.finish_reason = self.finished(finish)
            if span.finish_reason is None and span.kind == "llm":
                span.finish_reason = self._last_finish()

    def _answered(self) -> list[Json]:
        """The answer, where its text and the calls in it stand apart."""
        text, calls = self._first("output_text"), shapes.loaded(self._first("output_calls"))
        said: dict[str, Json] = {"role": "assistant", "content": text, "tool_calls": calls}
        return shapes.messages(said, "assistant") if text or calls else []

    def finished(self, *also: Json) -> str | None:
        """The finish reason that an attribute says."""
        return next(filter(_known, map(_finish, [*self._values("finish_reason"), *also])), None)

    def _last_finish(self) -> str | None:
        """The finish reason that a whole answer holds."""
        for field in ("output_messages", "output"):
            for value in map(shapes.loaded, self._values(field)):
                reason = _finish(value) if isinstance(value, dict | list) else None
                if reason is not None:
                    return reason
        return None

    def _spoken_of(self, field: str, role: str) -> list[Json]:
        """Messages; an attribute that holds any input or output is read as such for a call of a model only."""
        for rule, shared in self._plan.messages[field]:
            value = self._value(rule) if self._span.kind == "llm" or not shared else None
            found = shapes.messages(value, role) if value is not None else []
            if found:
                return found
        return []

    def _said(self) -> None:
        span = self._span
        if span.kind == "tool" and span.tool is None:
            asked, answered = _tool_events(span.events)
            arguments = shapes.tool_arguments(self._first("tool_arguments") or asked)
            result = shapes.tool_result(self._first("tool_result") or answered)
            span.tool = {"name": self._text("tool_name") or span.name, "arguments": arguments, "result": result}
            span.input, span.output = arguments, result
        if span.kind == "retrieval" and not span.documents:
            read = [shapes.documents(value) for value in self._values("documents")]
            span.documents = next((found for found in read if found), span.documents)
        if span.input is None and not span.input_messages:
            span.input = (
                embedded(self._first("input")) if span.kind == "embedding" else shapes.loaded(self._first("input"))
            )
        if span.output is None and not (span.output_messages or span.documents or span.kind == "embedding"):
            span.output = shapes.loaded(self._first("output"))


def _from_events(events: Sequence[Json]) -> tuple[list[Json], list[Json], Json]:
    """Messages in, messages out and the finish reason, as events of the span tell them."""
    given: list[Json] = []
    made: list[Json] = []
    finish: Json = None
    for event in events:
        name, attributes = _name(event), _said(event)
        body = shapes.loaded(attributes.get("body"))
        said: dict[str, Json] = {**attributes, **body} if isinstance(body, dict) else attributes
        if name in _EVENTS:
            given += shapes.messages({"role": _EVENTS[name], **{k: v for k, v in said.items() if k != "role"}}, "user")
        elif name == _CHOICE:
            made += shapes.messages(said.get("message", said.get("content")), "assistant")
            finish = said.get("finish_reason", finish)
        elif name == _DETAILS:
            system = shapes.messages(said.get("gen_ai.system_instructions"), "system")
            given += system + shapes.messages(said.get("gen_ai.input.messages"), "user")
            made += shapes.messages(said.get("gen_ai.output.messages"), "assistant")
            finish = said.get("gen_ai.response.finish_reasons", finish)
    return given, made, finish


def _tool_events(events: Sequence[Json]) -> tuple[Json, Json]:
    """Arguments and result of a tool, where events of its span tell them."""
    arguments = [_said(event).get("content") for event in events if _name(event) == "gen_ai.tool.message"]
    results = [_said(event).get("message") for event in events if _name(event) == _CHOICE]
    return (arguments[0] if arguments else None), (results[-1] if results else None)


def _name(event: Json) -> Json:
    return event.get("name") if isinstance(event, dict) else None


def _at(event: Json) -> Json:
    return event.get("at") if isinstance(event, dict) else None


def _since(start: int, moment: Json) -> float | None:
    """Seconds from the start, in nanoseconds, to a time in RFC 3339."""
    try:
        at = from_rfc3339(moment) if isinstance(moment, str) else start - 1
    except (ValueError, OverflowError):
        return None
    return (at - start) / 1e9 if at >= start else None


def _waits(raised: Mapping[str, Json]) -> bool:
    kind, message = str(raised.get("exception.type")), str(raised.get("exception.message"))
    return kind.endswith("GraphInterrupt") or message.startswith("GraphInterrupt(")  # LangSmith calls all "Exception"


def _said(event: Json) -> dict[str, Json]:
    found = event.get("attributes") if isinstance(event, dict) else None
    return found if isinstance(found, dict) else {}


def _role(message: Json) -> Json:
    return message.get("role") if isinstance(message, dict) else None


def _finish(value: Json) -> str | None:
    for _ in range(6):
        value = shapes.loaded(value)
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, dict):
            inner = value.get("choices") or value.get("candidates")
            value = value.get("finish_reason") or value.get("finishReason") or value.get("stop_reason") or inner
        else:
            break
    return value[:_SHORT] if isinstance(value, str) and value and len(value) <= _SHORT and " " not in value else None


def embedded(value: Json) -> Json:
    """The texts that were embedded, without their vectors."""
    value = shapes.loaded(value)
    if isinstance(value, dict):  # a whole request
        value = value.get("input", value)
    if not isinstance(value, list):
        return value
    texts: list[Json] = []
    for item in value:
        inside = item.get("embedding") if isinstance(item, dict) else shapes.loaded(item)
        texts.append(inside.get("text") if isinstance(inside, dict) else inside)
    return [text for text in texts if text is not None] or None


def _provider(name: str) -> str | None:
    said = name.strip().lower()
    if said in _NO_PROVIDER:
        return None
    family, dot, _ = said.partition(".")
    return (
        family
        if dot and family in ("openai", "anthropic", "google", "mistral", "amazon-bedrock", "azure-openai")
        else said
    )


def _known(value: object) -> bool:
    return value is not None


def _amount(value: Json) -> float | None:
    try:
        amount = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def _cost(span: Span) -> float | None:
    usage = Usage(
        span.input_tokens, 0 if span.kind == "embedding" else span.output_tokens, span.cached_input_tokens, span.reasoning_tokens
    )  # fmt: skip
    named = _PRICED_AS.get(span.provider or "", span.provider)
    for model in dict.fromkeys(name for name in (span.response_model, span.model) if name):
        amount = price(f"{named}:{model}" if named else model, usage, day=today(span.start))
        if amount is not None:
            return amount
    return None
