"""What rests of attributes and events where only structure is kept (`content: none`): numbers, names and versions, nobody's words.

A text rests if a convention says that its attribute names something, or the user declared the attribute; never because it is short.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Set
from typing import cast

from afere.base.canonical import Json
from afere.base.span import Span
from afere.tracing.dialects import own
from afere.tracing.dialects.maps import MAPS

_CONTENT = (*own.CONTENT, *(name for dialect in MAPS for name in dialect.content))
_FACTS = (
    "model", "response_model", "provider", "finish_reason", "session", "user", "environment", "version", "revision",
    "prompt_name", "prompt_version", "tool_name", "first_token_at",
)  # fmt: skip
# Attributes that are facts of a span, as the maps have them.
_FACT = frozenset(
    rule.terms[0][0] for dialect in MAPS for field in _FACTS for rule in dialect.rules.get(field, ()) if rule.plain
).union(*(dialect.kinds for dialect in MAPS))
_NAMES = (own.PREFIX, *(name for dialect in MAPS for name in dialect.names))
_LONGEST = 200  # characters of a text that is a name rather than content
_WORD = re.compile(r"""[^\s?=&{}<>"'\\]*""")  # no sentence, no query of an address, no JSON


def is_content(name: str) -> bool:
    """Whether an attribute of that name holds what was said, in any dialect."""
    return name.startswith(_CONTENT)


def without_content(span: Span, declared: Set[str] = frozenset()) -> Span:
    """The span with names, numbers and versions in its attributes and events only; `declared` are attributes of the user that name."""
    kept = {
        name: value
        for name, value in span.attributes.items()
        if not is_content(name) and _may_rest(name, value, declared)
    }
    events: list[Json] = [_without(event) for event in span.events if isinstance(event, dict)]
    marks = list(dict.fromkeys([*span.marks, "redacted"]))
    return dataclasses.replace(span, attributes=kept, events=events, marks=marks)


def _may_rest(name: str, value: Json, declared: Set[str]) -> bool:
    if value is None or isinstance(value, bool | int | float):
        return True
    known = name in _FACT or name in declared
    if isinstance(value, str):
        named = known or name.startswith(_NAMES)
        return named and len(value) <= _LONGEST and (name.endswith("name") or _WORD.fullmatch(value) is not None)
    return (known or name.startswith(own.PREFIX)) and _is_of_words(value)


def _is_of_words(value: Json) -> bool:
    if isinstance(value, dict):
        return all(_WORD.fullmatch(key) and _is_of_words(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_of_words, value))
    return not isinstance(value, str) or (len(value) <= _LONGEST and _WORD.fullmatch(value) is not None)


def _without(event: dict[str, Json]) -> Json:
    said = event.get("attributes")
    kind = cast("dict[str, Json]", said).get("exception.type") if isinstance(said, dict) else None
    kept = isinstance(kind, str) and kind and _is_of_words(kind)
    return {"name": event.get("name"), "at": event.get("at"), "attributes": {"exception.type": kind} if kept else {}}
