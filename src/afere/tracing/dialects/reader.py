"""Follows the maps: from attributes and events to the fields of a span. What is there already stays."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.message import Usage
from afere.base.prices import price
from afere.base.span import Span
from afere.tracing.dialects import own, shapes
from afere.tracing.dialects.maps import MAPS, Rule

_TEXTS = ("model", "response_model", "provider", "session", "user", "environment")
_PROMPT = {"prompt_name": "gen_ai.prompt.name", "prompt_version": "gen_ai.prompt.version"}
_ORIGIN = {"version": "service.version", "revision": "vcs.ref.head.revision"}
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
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
_CONTENT = (*own.CONTENT, *(name for dialect in MAPS for name in dialect.content))
_MESSAGES = {
    "input_messages": "input",
    "output_messages": "output",
    "system": "output",
}  # and what any input or output is in
_OUTER = tuple(end for dialect in MAPS for end in dialect.outer)
_SCRUBBED = "[Scrubbed due to"  # what Logfire writes in the place of values whose names look secret, `session_id` too
_SHORT = 200  # characters of a text that is a name rather than content


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the maps say of all spans whose attributes have the same names: no more than the rules that can find something.

    Programs write spans of few shapes, and asking every map for every field costs ten times as much as reading.
    """

    rich: bool  # whether any dialect of generative AI is spoken
    timed: bool  # whether it says when the first token came
    rules: Mapping[
        str, tuple[tuple[str, Rule], ...]
    ]  # of each field, in order; with the name where no more is to be done
    messages: Mapping[str, tuple[tuple[Rule, bool], ...]]  # the same; whether it is also where any input or output is
    kinds: tuple[
        tuple[str, Mapping[str, str] | str], ...
    ]  # an attribute and its values, or how a name begins and the kind
    numbered: Mapping[str, shapes.Tree]  # prefix -> where each of its kin goes
    own: tuple[str, ...]  # attributes in which another afere says what its fields are


_PLANS: dict[tuple[str, ...], _Plan] = {}
_PLANS_MOST = 1_000
_PLAN_NAMES = 4_000  # characters of all names; longer ones are planned anew each time


def _planned(names: tuple[str, ...]) -> _Plan:
    plan = _PLANS.get(names)
    if plan is None:
        plan = _plan(names)
        if sum(map(len, names)) <= _PLAN_NAMES:
            if len(_PLANS) >= _PLANS_MOST:
                _PLANS.clear()
            _PLANS[names] = plan
    return plan


def _plan(names: tuple[str, ...]) -> _Plan:
    words = {name.partition(".")[0] for name in names}
    spoken = [dialect for dialect in MAPS if not dialect.signs or not dialect.signs.isdisjoint(words)]
    there = set(names)
    numbered: dict[str, shapes.Tree] = {}

    def useful(rule: Rule) -> bool:
        if not rule.numbered:
            return all(name in there for name, _ in rule.terms)
        prefix = rule.terms[0][0]
        if prefix not in numbered:
            numbered[prefix] = shapes.tree(names, prefix)
        return bool(numbered[prefix])

    rules = {
        field: found
        for field in {field for dialect in spoken for field in dialect.rules}
        if (
            found := tuple(
                (rule.terms[0][0] if rule.plain else "", rule)
                for dialect in spoken
                for rule in dialect.rules.get(field, ())
                if useful(rule)
            )
        )
    }
    messages = {
        field: tuple(
            (rule, text in dialect.written.get(other, ()))
            for dialect in spoken
            for rule, text in zip(dialect.rules.get(field, ()), dialect.written.get(field, ()), strict=True)
            if useful(rule)
        )
        for field, other in _MESSAGES.items()
    }
    kinds: list[tuple[str, Mapping[str, str] | str]] = []
    for dialect in spoken:
        kinds += [(name, values) for name, values in dialect.kinds.items() if name in there]
        kinds += dialect.named.items()
    timed = any(field.startswith("first_token_") for field in rules)
    return _Plan(len(spoken) > 1, timed, rules, messages, tuple(kinds), numbered, own.names(names))


def read(span: Span) -> None:
    """Fill the fields that the span's attributes and events speak of. Never raises for what they hold; repeating it is harmless."""
    plan = _planned(tuple(span.attributes))
    if plan.own:
        own.read(span, plan.own)
    reading = _Reading(span, plan)
    if plan.rich or any(str(_name(event)).startswith("gen_ai.") for event in span.events):
        reading.everything()
    else:
        reading.facts(_TEXTS[3:])
    reading.named(_ORIGIN)
    reading.outcome()
    if plan.own:
        own.read(span, plan.own)  # its word goes before what was read from others


class _Reading:
    def __init__(self, span: Span, plan: _Plan) -> None:
        self._span = span
        self._plan = plan
        self._parsed: dict[str, Json] = {}

    def everything(self) -> None:
        """All that says something of generative AI."""
        span = self._span
        self._kind()
        self.facts(_TEXTS)
        if span.provider is not None:
            span.provider = _provider(span.provider)
        self._numbers()
        self._messages()
        self._said()
        self.named(_PROMPT)
        if span.cost is None and span.kind in ("llm", "embedding"):
            span.cost = _cost(span)

    def facts(self, names: Sequence[str]) -> None:
        """Texts that are known from one attribute."""
        for name in filter(self._plan.rules.__contains__, names):
            if getattr(self._span, name) is None:
                setattr(self._span, name, self._text(name))

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
                span.kind = "chain" if found == "llm" and span.name.endswith(_OUTER) else found
                return

    def _numbers(self) -> None:
        span = self._span
        for name in filter(self._plan.rules.__contains__, _COUNTS):
            if getattr(span, name) is None:
                setattr(span, name, next(filter(_known, map(_count, self._found(name))), None))
        # Some leave out of the input what the cache answered.
        if span.cached_input_tokens and span.input_tokens is not None and span.cached_input_tokens > span.input_tokens:
            span.input_tokens += span.cached_input_tokens
        if span.cost is None and "cost" in self._plan.rules:
            span.cost = next(filter(_known, map(_amount, self._found("cost"))), None)
        if span.cost == 0:
            span.cost = None  # said of a call that failed, and of models that the sender's own table of prices lacks
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
        text, calls = self._first("output_text"), shapes.loaded(self._first("output_calls"))
        if not made and span.kind == "llm" and (text or calls):
            made = shapes.messages({"role": "assistant", "content": text, "tool_calls": calls}, "assistant")
        system = self._spoken_of("system", "system") if given else []
        if system and not any(_role(message) == "system" for message in given):
            given = [*system, *given]
        heard, answered, finish = _from_events(span.events) if span.events else ([], [], None)
        span.input_messages = given or heard or span.input_messages
        span.output_messages = made or answered or span.output_messages
        if span.finish_reason is None:
            if finish is not None or "finish_reason" in self._plan.rules:
                reasons = map(_finish, [*self._values("finish_reason"), finish])
                span.finish_reason = next(filter(_known, reasons), None)
            if span.finish_reason is None and span.kind == "llm":
                span.finish_reason = self._last_finish()

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
                _embedded(self._first("input")) if span.kind == "embedding" else shapes.loaded(self._first("input"))
            )
        if span.output is None and not (span.output_messages or span.documents or span.kind == "embedding"):
            span.output = shapes.loaded(self._first("output"))

    # values

    def _values(self, field: str) -> list[Json]:
        return list(self._found(field))

    def _found(self, field: str) -> Iterator[Json]:
        for name, rule in self._plan.rules.get(field, ()):
            value = self._span.attributes[name] if name else self._value(rule)
            if value is not None:
                yield value

    def _first(self, field: str) -> Json:
        for name, rule in self._plan.rules.get(field, ()):
            value = self._span.attributes[name] if name else self._value(rule)
            if value is not None and value != "":
                return value
        return None

    def _text(self, field: str) -> str | None:
        attributes = self._span.attributes
        for name, rule in self._plan.rules.get(field, ()):
            plain = shapes.loaded(attributes[name] if name else self._value(rule))  # MLflow writes texts as JSON
            said = plain if isinstance(plain, str) else str(plain) if type(plain) is int else ""
            if said and not said.startswith(_SCRUBBED):
                return said[:1000]
        return None

    def _value(self, rule: Rule) -> Json:
        if rule.numbered:
            return self._numbered(rule.terms[0][0])
        if len(rule.terms) == 1:
            return self._at(*rule.terms[0])
        counts = [_count(self._at(name, path)) for name, path in rule.terms]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def _at(self, name: str, path: Sequence[str]) -> Json:
        value = self._span.attributes.get(name)
        if not path or value is None:
            return value
        value = self._json(name)
        for word in path:
            if isinstance(value, list):
                value = value[int(word)] if word.isdecimal() and int(word) < len(value) else None
            else:
                value = value.get(word) if isinstance(value, dict) else None
        return value

    def _numbered(self, prefix: str) -> Json:
        if f"{prefix}.*" not in self._parsed:
            self._parsed[f"{prefix}.*"] = shapes.grown(self._plan.numbered[prefix], self._span.attributes) or None
        return self._parsed[f"{prefix}.*"]

    def _json(self, name: str) -> Json:
        if name not in self._parsed:
            self._parsed[name] = shapes.loaded(self._span.attributes.get(name))
        return self._parsed[name]


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


def _embedded(value: Json) -> Json:
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


def _count(value: Json) -> int | None:
    if type(value) is int:
        return value if 0 <= value < 2**53 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    whole = (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 and value == int(value)
    )
    return int(cast("float", value)) if whole else None


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
        amount = price(f"{named}:{model}" if named else model, usage, day=rfc3339(span.start)[:10])
        if amount is not None:
            return amount
    return None


def is_content(name: str) -> bool:
    """Whether an attribute of that name holds what was said, in any dialect."""
    return name.startswith(_CONTENT)


def without_content(span: Span) -> Span:
    """The span with names, numbers and versions in its attributes and events only: what `content: none` lets rest."""
    kept: dict[str, Json] = {}
    for name, value in span.attributes.items():
        plain = (
            value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _SHORT)
        )
        if plain and not is_content(name):
            kept[name] = value
    events: list[Json] = [
        _without(cast("Mapping[str, Any]", event)) for event in span.events if isinstance(event, dict)
    ]
    marks = list(dict.fromkeys([*span.marks, "redacted"]))
    return dataclasses.replace(span, attributes=kept, events=events, marks=marks)


def _without(event: Mapping[str, Any]) -> Json:
    kind = _said(cast("Json", event)).get("exception.type")
    return {"name": event.get("name"), "at": event.get("at"), "attributes": {"exception.type": kind} if kind else {}}
