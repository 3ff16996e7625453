"""What columns and indexes need of a span, without reading all of it: the same as `read` finds, sooner.

Programs send spans of few shapes. What is the same for all spans of a shape is found once: where each field is, and for names
(kind, model, provider) what they mean together. What remains for each span is to look up some values, and most of these are plain
texts and numbers; where one is not, the reader of dialects is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from afere.base.canonical import Json
from afere.tracing.dialects import shapes
from afere.tracing.dialects.plan import SCRUBBED, Plan
from afere.tracing.dialects.reader import NAMES, NUMBERS, OUTER, Reading, embedded

# Where what was said comes from.
_CONTENT = (
    "system", "input_messages", "output_messages", "output_text", "output_calls", "input", "output", "tool_arguments",
    "tool_result", "documents",
)  # fmt: skip
_MEANINGS = 1_000  # of one shape that are remembered
_NO_TEXT = (".role", ".score", ".type", ".mime_type")
_JSON = ("{", "[", '"')
# Words of JSON that is something else than it seems: an envelope, or a text.
_ENVELOPES = ('"kwargs"', '"args"', '"input_str"', '"content"', '"data"', '"output"', '"raw_output"', '"text"', "\\u")

Get = Callable[[str], Json]


class Glimpse:
    """The fields of a span of which `Shape.glance` knows the values; of messages only the last is there."""

    kind: str = "step"
    status: str = "ok"
    error: str | None = None
    model: str | None = None
    response_model: str | None = None
    provider: str | None = None
    session: str | None = None
    user: str | None = None
    environment: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None
    input: Json = None
    output: Json = None
    input_messages: Sequence[Json] = ()
    output_messages: Sequence[Json] = ()
    documents: Sequence[Json] = ()
    artifacts: Sequence[tuple[str, str]] = ()
    events: Sequence[Json] = ()

    def __init__(self, name: str, start: int, end: int, attributes: Any) -> None:
        self.name, self.start, self.end, self.attributes = name, start, end, attributes

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / 1e9


class Shape:
    """Spans of one source whose attributes have the same names: `fixed` are those of the source, the same in all of them."""

    def __init__(self, plan: Plan, names: Sequence[str], fixed: Mapping[str, Json]) -> None:
        self._plan = plan
        self.said: Final = tuple(_said_in(plan, names))  # the attributes that hold what was said
        self._named = tuple(name for name in _named_by(plan, frozenset(names)) if name not in fixed)
        self._by_name = any(isinstance(values, str) for _, values in plan.kinds)
        self._meanings: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        self._who = tuple((field, _plainly(plan, field)) for field in ("session", "user") if field in plan.rules)
        self._numbers = tuple((field, _plainly(plan, field)) for field in NUMBERS if field in plan.rules)
        self._ends = _Ends(_end(plan, "input_messages"), _end(plan, "output_messages"), _document_ids(plan))
        self._outcomes = "langfuse.observation.level" in names or "error.type" in names or "error" in plan.rules

    def glance(self, span: Glimpse) -> None:
        """Fill what its attributes and events speak of. No event is one of generative AI, and no attribute one of our own."""
        get = span.attributes.get
        reading = _Glancing(span, self._plan, self._ends)
        for field, name in self._who:
            value = get(name) if name else None
            if type(value) is str and value and len(value) <= 1000 and not value.startswith((*_JSON, SCRUBBED)):
                setattr(span, field, value)
            else:
                reading.facts((field,))
        self._meant(span, reading, get)
        reading.known_as(rich=self._plan.rich)
        if self._plan.rich:
            for field, name in self._numbers:
                value = get(name) if name else None
                if type(value) is int and 0 < value < 2**53 and field != "cost":
                    setattr(span, field, value)
                elif type(value) is float and 0 < value < 2**53 and field == "cost":
                    span.cost = value
                else:
                    reading.numbers((field,))
            reading.corrected()
            reading.contents()
        if span.events or self._outcomes or span.status != "ok":
            reading.outcome()

    def _meant(self, span: Glimpse, reading: _Glancing, get: Get) -> None:
        """Its kind and names, which mean the same wherever their attributes say the same."""
        key = (span.name if self._by_name else span.name.endswith(OUTER), *map(get, self._named))
        try:
            known = self._meanings.get(key)
        except TypeError:  # a list
            known, key = None, ()
        if known is None:
            reading.names()
            known = {field: getattr(span, field) for field in ("kind", *NAMES)}
            if len(self._meanings) >= _MEANINGS:
                self._meanings.clear()
            if key:
                self._meanings[key] = known
        else:
            span.__dict__.update(known)


def _is_message(value: Json) -> bool:
    """Whether it means the same alone as at the end of a list."""
    return isinstance(value, dict) and not shapes.is_part(value)


class _Ends(NamedTuple):
    """Attributes, where they are as plain as most are: role and text of the last message in and out, the ids of documents."""

    input: tuple[str, str] | None
    output: tuple[str, str] | None
    documents: tuple[str, ...] | None


def _plainly(plan: Plan, field: str) -> str:
    """The attribute that the first rule for a field names, if it is the value itself; else an empty text."""
    return plan.rules[field][0][0]


def _named_by(plan: Plan, names: frozenset[str]) -> list[str]:
    """The attributes that say the kind and the names."""
    terms = [name for field in NAMES for _, rule in plan.rules.get(field, ()) for name, _ in rule.terms]
    kinds = [name for name, values in plan.kinds if not isinstance(values, str)]
    return [name for name in dict.fromkeys([*kinds, *terms]) if name in names]


def _said_in(plan: Plan, names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for field in _CONTENT:
        for _, rule in plan.rules.get(field, ()):
            for name, _ in rule.terms:
                below = [one for one in names if one.startswith(f"{name}.")] if rule.numbered else [name]
                found.update(dict.fromkeys(below))
    return [name for name in names if name in found and not name.endswith(_NO_TEXT)]


def _end(plan: Plan, field: str) -> tuple[str, str] | None:
    """Role and text of the last message, where the first rule finds messages in numbered attributes that say no more."""
    rules = plan.messages[field]
    if not rules or not rules[0][0].numbered or rules[0][1]:
        return None
    tree = plan.numbered[rules[0][0].terms[0][0]]
    last = tree[-1] if isinstance(tree, list) and tree else None
    if isinstance(last, dict) and len(last) == 1:
        last = last.get("message", last)
    if not isinstance(last, dict) or last.keys() != {"role", "content"}:
        return None
    role, text = last["role"], last["content"]
    return (role, text) if isinstance(role, str) and isinstance(text, str) else None


def _document_ids(plan: Plan) -> tuple[str, ...] | None:
    rules = plan.rules.get("documents", ())
    tree = plan.numbered[rules[0][1].terms[0][0]] if rules and rules[0][1].numbered else None
    found: list[str] = []
    for one in tree if isinstance(tree, list) else []:
        inside = one.get("document") if isinstance(one, dict) else None
        name = inside.get("id") if isinstance(inside, dict) else None
        if not isinstance(name, str):
            return None
        found.append(name)
    return tuple(found) or None


class _Glancing(Reading):
    def __init__(self, span: Glimpse, plan: Plan, ends: _Ends) -> None:
        super().__init__(span, plan)
        self._ends = ends

    def contents(self) -> None:
        """The last of the messages, input, output, and documents."""
        span, rules = self._span, self._plan.rules
        if span.kind == "tool":
            span.input = self._seen(self._first("tool_arguments"), shapes.tool_arguments)
            span.output = self._seen(self._first("tool_result"), shapes.tool_result)
        elif span.kind == "retrieval":
            span.documents = self._documents() if "documents" in rules else ()
        else:
            span.input_messages = self._last(self._ends.input, "input_messages", "user")
            span.output_messages = self._last(self._ends.output, "output_messages", "assistant")
            if not span.output_messages and span.kind == "llm" and ("output_text" in rules or "output_calls" in rules):
                span.output_messages = self._answered()
        if span.input is None and not span.input_messages and "input" in rules:
            span.input = self._seen(self._first("input"), embedded if span.kind == "embedding" else shapes.loaded)
        told = span.output_messages or span.documents or span.kind == "embedding"
        if span.output is None and "output" in rules and not told:
            span.output = self._seen(self._first("output"), shapes.loaded)

    def _seen(self, value: Json, read: Callable[[Json], Json]) -> Json:
        """A value as lists show it: JSON as it was written, unless it is an envelope."""
        if isinstance(value, str) and value[:1] in ("{", "[") and read is not embedded:
            return read(value) if any(word in value for word in _ENVELOPES) else value
        return read(value)

    def _documents(self) -> Sequence[Json]:
        if self._ends.documents is not None:
            ids = [self._span.attributes.get(name) for name in self._ends.documents]
            if all(type(one) is str for one in ids):
                return [{"id": one} for one in ids]
        read = (shapes.documents(value) for value in self._found("documents"))
        return next(filter(None, read), ())

    def _last(self, end: tuple[str, str] | None, field: str, role: str) -> Sequence[Json]:
        """The last of the messages."""
        attributes = self._span.attributes
        if end is not None:
            text = attributes.get(end[1])
            if type(text) is str and text and not text.startswith(_JSON) and attributes.get(end[0]) in shapes.KNOWN:
                return ({"text": text},)
        for rule, shared in self._plan.messages[field]:
            if shared and self._span.kind != "llm":
                continue
            if rule.numbered:
                tree = self._plan.numbered[rule.terms[0][0]]
                last = shapes.grown(tree[-1], attributes) if isinstance(tree, list) else None
                found = shapes.messages(last, role) if _is_message(last) else []
                if found:
                    return found[-1:]
            value: Json = attributes.loaded(rule.terms[0][0]) if rule.plain else self._value(rule)
            if isinstance(value, list) and value and _is_message(value[-1]):
                value = value[-1]
            found = shapes.messages(value, role) if value is not None else []
            if found:
                return found[-1:]
        return ()
