"""What columns and indexes need of spans, without reading all of them: the same as `read` finds, sooner.

Programs send spans of few shapes. What is the same for all spans of a shape is found once: where each field is, and for names
(kind, model, provider) what they mean together. What remains is looked up for all spans of a request together, column by column,
and most of it is plain text and numbers; where a value is not, the reader of dialects is asked about that span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from afere.base.canonical import Json
from afere.store.spans.rows import VERSIONS, bounded, glanced, ran, shown, writable
from afere.tracing.dialects import shapes
from afere.tracing.dialects.plan import Plan
from afere.tracing.dialects.reader import NAMES, NUMBERS, ORIGIN, OUTER, PROMPT, Reading, embedded
from afere.tracing.dialects.ways import Source, Way, way_of

# Where what was said comes from.
_CONTENT = (
    "system", "input_messages", "output_messages", "output_text", "output_calls", "input", "output", "tool_arguments",
    "tool_result", "documents",
)  # fmt: skip
_MEANINGS = 1_000  # of one shape that are remembered
_LONG = 4_000  # bytes of names that are not
_NO_TEXT = (".role", ".score", ".type", ".mime_type")
_JSON = ("{", "[", '"')
# Words of JSON that is something else than it seems: an envelope, or a text.
_ENVELOPES = ('"kwargs"', '"args"', '"input_str"', '"content"', '"data"', '"output"', '"raw_output"', '"text"', "\\u")


class Spans(Protocol):
    """Spans of one shape, as they came: a list for each thing that is known of them."""

    names: Sequence[str]
    starts: Sequence[int]
    attributes: Sequence[Any]  # of each span, to be asked by name
    events: list[Sequence[Json]]
    statuses: list[str]
    errors: list[str | None]

    def column(self, name: str) -> Sequence[Json]:
        """The values of one attribute."""
        ...

    def encoded(self, name: str) -> Sequence[bytes]:
        """The same as they came, of one that all of them have."""
        ...


class Meaning(NamedTuple):
    """What names mean together; `derived` are attributes that everybody looks for under one name."""

    kind: str
    model: str | None
    response_model: str | None
    provider: str | None
    environment: str | None
    component: str | None
    version: str | None
    prompt: str | None
    derived: Mapping[str, Json]


class Seen:
    """Columns of spans; `said`: by field."""

    def __init__(self, count: int) -> None:
        self.meant: Sequence[Meaning] = ()
        self.said: dict[str, list[Any]] = {field: [None] * count for field in ("session", "user", *NUMBERS)}
        self.input: list[str | None] = [None] * count
        self.output: list[str | None] = [None] * count
        self.documents: list[Sequence[Json]] = [()] * count


class Shape:
    """Spans of one source whose attributes have the same names: `fixed` are those of the source, the same in all of them."""

    def __init__(self, plan: Plan, names: Sequence[str], fixed: Mapping[str, Json]) -> None:
        self._plan = plan
        self.said: Final = tuple(_said_in(plan, names))  # the attributes that hold what was said
        self._named = tuple(name for name in _named_by(plan, frozenset(names)) if name not in fixed)
        self._by_name = any(isinstance(values, str) for _, values in plan.kinds)
        self._meanings: dict[tuple[Any, ...], Meaning] = {}
        self._ways: dict[str, Way] = {}
        self._outcomes = "langfuse.observation.level" in names or "error.type" in names or "error" in plan.rules

    def glance(self, spans: Spans) -> Seen:
        """What their attributes and events speak of; the statuses and errors of `spans` are told too.

        No event is one of generative AI, and no attribute one of our own.
        """
        plan, seen = self._plan, Seen(len(spans.names))
        look = _Look(spans, plan)
        for field in ("session", "user"):
            if field in plan.rules:
                seen.said[field] = look.facts(field)
        seen.meant = self._meant(spans, look)
        if plan.rich:
            for field in NUMBERS:
                if field in plan.rules:
                    kind = float if field == "cost" else int
                    seen.said[field] = [
                        value if type(value) is kind and 0 < value < 2**48 else look.number(place, field)
                        for place, value in enumerate(look.first(field))
                    ]
            self._correct(seen, look)
            self._contents(seen, look)
        for place, (events, status) in enumerate(zip(spans.events, spans.statuses, strict=True)):
            if events or self._outcomes or status != "ok":
                spans.statuses[place], spans.errors[place] = look.outcome(place)
        return seen

    def _meant(self, spans: Spans, look: _Look) -> list[Meaning]:
        """Kinds and names, which mean the same wherever their attributes say the same."""
        calls = spans.names if self._by_name else [name.endswith(OUTER) for name in spans.names]
        found: list[Meaning] = []
        for place, key in enumerate(zip(calls, *map(spans.encoded, self._named), strict=True)):
            known = self._meanings.get(key)
            if known is None:
                known = look.meaning(place)
                if len(self._meanings) >= _MEANINGS:
                    self._meanings.clear()
                if sum(map(len, key[1:])) + len(spans.names[place]) <= _LONG:
                    self._meanings[key] = known
            elif known.derived:
                for name, value in known.derived.items():
                    spans.attributes[place][name] = value
            found.append(known)
        return found

    def _correct(self, seen: Seen, look: _Look) -> None:
        """What numbers mean together."""
        said = seen.said
        for place, (meant, given, cached, cost) in enumerate(
            zip(seen.meant, said["input_tokens"], said["cached_input_tokens"], said["cost"], strict=True)
        ):
            paid = cost or (cost is None and meant.kind not in _PAID)
            if not paid or (cached and given is not None and cached > given):
                given, cost = look.corrected(place, meant, said)  # noqa: PLW2901
                said["input_tokens"][place], said["cost"][place] = given, cost

    def _contents(self, seen: Seen, look: _Look) -> None:
        """Input and output as lists show them, and documents."""
        ways = [self._way(meant.kind) for meant in seen.meant]
        if all(way is ways[0] for way in ways):
            places: Mapping[Way, Sequence[int]] = {ways[0]: range(len(ways))}
        else:
            places = {way: [place for place, one in enumerate(ways) if one == way] for way in ways}
        for way, some in places.items():
            given, made, found = look.plain(way.input), look.plain(way.output), look.ids(way)
            for place in some:
                self._show(seen, look, place, (given[place], made[place], found[place]))

    def _way(self, kind: str) -> Way:
        way = self._ways.get(kind)
        if way is None:
            way = self._ways[kind] = way_of(self._plan, kind)
        return way

    def _show(
        self, seen: Seen, look: _Look, place: int, found: tuple[str | None, str | None, Sequence[Json] | None]
    ) -> None:
        given, made, documents = found
        if given is None or made is None or documents is None:
            seen.input[place], seen.output[place], seen.documents[place] = look.contents(place, seen.meant[place].kind)
            return
        if given:
            seen.input[place] = shown(given)
        if made:
            seen.output[place] = shown(made)
        seen.documents[place] = documents


_PAID = ("llm", "embedding")


def _named_by(plan: Plan, names: frozenset[str]) -> list[str]:
    """The attributes that say the kind and the names."""
    terms = [
        name for field in (*NAMES, *ORIGIN, *PROMPT) for _, rule in plan.rules.get(field, ()) for name, _ in rule.terms
    ]
    kinds = [name for name, values in plan.kinds if not isinstance(values, str)]
    return [name for name in dict.fromkeys([*kinds, *terms, *VERSIONS, *PROMPT.values()]) if name in names]


def _said_in(plan: Plan, names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for field in _CONTENT:
        for _, rule in plan.rules.get(field, ()):
            for name, _ in rule.terms:
                below = [one for one in names if one.startswith(f"{name}.")] if rule.numbered else [name]
                found.update(dict.fromkeys(below))
    return [name for name in names if name in found and not name.endswith(_NO_TEXT)]


def _is_message(value: Json) -> bool:
    """Whether it means the same alone as at the end of a list."""
    return isinstance(value, dict) and not shapes.is_part(value)


class _Look:
    """Values of spans by field, and a reader for each span of which something is not plain."""

    def __init__(self, spans: Spans, plan: Plan) -> None:
        self._spans, self._plan = spans, plan
        self._readings: dict[int, _Glancing] = {}

    def first(self, field: str) -> Sequence[Json]:
        """What the first rule for a field finds, where it names an attribute."""
        name = self._plan.rules[field][0][0]
        return self._spans.column(name) if name else [None] * len(self._spans.names)

    def _reading(self, place: int) -> _Glancing:
        reading = self._readings.get(place)
        if reading is None:
            spans = self._spans
            seen = _Glimpse(spans.names[place], spans.starts[place], spans.attributes[place])
            reading = self._readings[place] = _Glancing(seen, self._plan)
        return reading

    def facts(self, field: str) -> list[str | None]:
        """A text of each."""
        return [
            value if type(value) is str and 0 < len(value) <= 1000 and value[0] not in _JSON else self._fact(place, field)
            for place, value in enumerate(self.first(field))
        ]  # fmt: skip

    def _fact(self, place: int, field: str) -> str | None:
        reading = self._reading(place)
        reading.facts((field,))
        return _writable(getattr(reading.seen, field))

    def number(self, place: int, field: str) -> float | None:
        """A count, or the cost."""
        reading = self._reading(place)
        reading.numbers((field,))
        value = getattr(reading.seen, field)
        return value if value is None or field == "cost" else bounded(value)

    def meaning(self, place: int) -> Meaning:
        """Its kind and names."""
        reading, attributes = self._reading(place), self._spans.attributes[place]
        seen, lacking = reading.seen, [name for name in _DERIVED if name not in attributes]
        reading.names()
        reading.known_as(rich=self._plan.rich)
        derived = {name: value for name in lacking if (value := attributes.get(name)) is not None}
        model, answered, provider, environment = map(
            _writable, (seen.model, seen.response_model, seen.provider, seen.environment)
        )
        return Meaning(seen.kind, model, answered, provider, environment, *ran((), attributes), derived)

    def corrected(
        self, place: int, meant: Meaning, said: Mapping[str, Sequence[Any]]
    ) -> tuple[int | None, float | None]:
        """Input tokens and cost."""
        reading = self._reading(place)
        seen = reading.seen
        seen.kind, seen.model, seen.response_model, seen.provider = meant[:4]
        for field in NUMBERS:
            setattr(seen, field, said[field][place])
        reading.corrected()
        return seen.input_tokens, seen.cost

    def plain(self, source: Source) -> Sequence[str | None]:
        """A text of each, empty where there is none; None where it has to be read."""
        if not source.name:
            return ["" if source.plain else None] * len(self._spans.names)
        if source.inside is not None:
            found = (source.inside(one.loaded(source.name)) for one in self._spans.attributes)
            return [writable(shown(text)) if text else None for text in found]
        values = self._spans.column(source.name)
        if source.role:
            return [
                value if type(value) is str and value and value[0] not in _JSON and role in shapes.KNOWN else None
                for value, role in zip(values, self._roles(source.role), strict=True)
            ]
        return [
            value if type(value) is str and value and (value[0] not in _JSON or _as_written(value, source)) else None
            for value in values
        ]

    def _roles(self, name: str) -> list[str]:
        return [role if type(role) is str else "" for role in self._spans.column(name)]

    def ids(self, way: Way) -> Sequence[Sequence[Json] | None]:
        """Documents with their ids; None where they have to be read."""
        if not way.documents:
            return [way.documents] * len(self._spans.names)
        return [
            [{"id": one} for one in found] if all(type(one) is str for one in found) else None
            for found in zip(*map(self._spans.column, way.documents), strict=True)
        ]

    def contents(self, place: int, kind: str) -> tuple[str | None, str | None, Sequence[Json]]:
        """Input, output and documents, read."""
        reading = self._reading(place)
        seen = reading.seen
        seen.kind = kind
        reading.contents()
        return glanced(seen.input, seen.input_messages), glanced(seen.output, seen.output_messages), seen.documents

    def outcome(self, place: int) -> tuple[str, str | None]:
        """Whether it failed, and how."""
        reading, spans = self._reading(place), self._spans
        seen = reading.seen
        seen.status, seen.error, seen.events = spans.statuses[place], spans.errors[place], spans.events[place]
        reading.outcome()
        return seen.status, _writable(seen.error)


def _as_written(value: str, source: Source) -> bool:
    """Whether JSON is shown as it was written."""
    return value[0] != '"' and source.json and not any(word in value for word in _ENVELOPES)


_DERIVED = (*ORIGIN.values(), *PROMPT.values())


def _writable(value: str | None) -> str | None:
    return None if value is None else writable(value)


class _Glimpse:
    """The fields of a span of which a reader is asked some; of messages only the last is there."""

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
    events: Sequence[Json] = ()

    def __init__(self, name: str, start: int, attributes: Any) -> None:
        self.name, self.start, self.attributes = name, start, attributes


class _Glancing(Reading):
    def __init__(self, seen: _Glimpse, plan: Plan) -> None:
        super().__init__(seen, plan)
        self.seen = seen

    def contents(self) -> None:
        """The last of the messages, input, output, and documents."""
        seen, rules = self.seen, self._plan.rules
        if seen.kind == "tool":
            seen.input = self._shown(self._first("tool_arguments"), shapes.tool_arguments)
            seen.output = self._shown(self._first("tool_result"), shapes.tool_result)
        elif seen.kind == "retrieval":
            seen.documents = self._documents() if "documents" in rules else ()
        else:
            seen.input_messages = self._last("input_messages", "user")
            seen.output_messages = self._last("output_messages", "assistant")
            if not seen.output_messages and seen.kind == "llm" and ("output_text" in rules or "output_calls" in rules):
                seen.output_messages = self._answered()
        if seen.input is None and not seen.input_messages and "input" in rules:
            seen.input = self._shown(self._first("input"), embedded if seen.kind == "embedding" else shapes.loaded)
        told = seen.output_messages or seen.documents or seen.kind == "embedding"
        if seen.output is None and "output" in rules and not told:
            seen.output = self._shown(self._first("output"), shapes.loaded)

    def _shown(self, value: Json, read: Callable[[Json], Json]) -> Json:
        """A value as lists show it: JSON as it was written, unless it is an envelope."""
        if isinstance(value, str) and value[:1] in ("{", "[") and read is not embedded:
            return read(value) if any(word in value for word in _ENVELOPES) else value
        return read(value)

    def _documents(self) -> Sequence[Json]:
        read: Iterator[list[Json]] = (shapes.documents(value) for value in self._found("documents"))
        return next(filter(None, read), ())

    def _last(self, field: str, role: str) -> Sequence[Json]:
        """The last of the messages."""
        attributes = self.seen.attributes
        for rule, shared in self._plan.messages[field]:
            if shared and self.seen.kind != "llm":
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
