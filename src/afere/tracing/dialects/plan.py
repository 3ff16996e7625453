"""What the maps say of spans of one shape, and the values that they find. What is common to all readers of dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.tracing.dialects import own, shapes
from afere.tracing.dialects.maps import MAPS, Rule

_MESSAGES = {
    "input_messages": "input",
    "output_messages": "output",
    "system": "output",
}  # and what any input or output is in
SCRUBBED = "[Scrubbed due to"  # what Logfire writes in the place of values whose names look secret, `session_id` too


@dataclass(frozen=True, slots=True)
class Plan:
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


_PLANS: dict[tuple[str, ...], Plan] = {}
_PLANS_MOST = 1_000
_PLAN_NAMES = 4_000  # characters of all names; longer ones are planned anew each time


def planned(names: tuple[str, ...]) -> Plan:
    """The plan for spans whose attributes have these names."""
    plan = _PLANS.get(names)
    if plan is None:
        plan = _plan(names)
        if sum(map(len, names)) <= _PLAN_NAMES:
            if len(_PLANS) >= _PLANS_MOST:
                _PLANS.clear()
            _PLANS[names] = plan
    return plan


def _plan(names: tuple[str, ...]) -> Plan:
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
    return Plan(len(spoken) > 1, timed, rules, messages, tuple(kinds), numbered, own.names(names))


class Values:
    """The values that the rules of a plan find in the attributes of a span."""

    def __init__(self, span: Any, plan: Plan) -> None:
        self._span = span
        self._plan = plan
        self._parsed: dict[str, Json] = {}

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
            if said and not said.startswith(SCRUBBED):
                return said[:1000]
        return None

    def _value(self, rule: Rule) -> Json:
        if rule.numbered:
            return self._numbered(rule.terms[0][0])
        if len(rule.terms) == 1:
            return self._at(*rule.terms[0])
        counts = [whole(self._at(name, path)) for name, path in rule.terms]
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


def whole(value: Json) -> int | None:
    """A count, as a number or as a text."""
    if type(value) is int:
        return value if 0 <= value < 2**53 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 and value == int(value)
    return int(cast("float", value)) if good else None
