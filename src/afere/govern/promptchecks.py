"""What a template test may say of a filled-in prompt, and what it tells when that does not hold. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, unified_diff
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import Document
from afere.base.errors import BadPrompt
from afere.base.message import Message
from afere.models.tokens import count_tokens

_EXCERPT = 300  # characters of a text that lacks something
_DIFF = 40  # lines of a difference
_ALIKE = 0.5  # a line less alike than this is not the one that was meant

_TEXTS: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
CHECKS: dict[str, Json] = {
    "contains": {**cast("dict[str, Json]", _TEXTS), "description": "a text, or all of a list"},
    "not_contains": {**cast("dict[str, Json]", _TEXTS), "description": "a text, or none of a list"},
    "matches": {**cast("dict[str, Json]", _TEXTS), "description": "a regular expression that is found, or all of a list"},
    "equals": {"type": "string", "description": "the whole text; spaces at its ends do not count"},
    "tokens": {"type": "integer", "minimum": 1, "description": "at most so many, estimated for the prompt's model"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """What does not hold: the check (`system.contains`), why in a sentence, and lines that show it. `row`: of which row."""

    check: str
    why: str
    shown: str = ""
    row: str = ""

    def within(self, row: str) -> Failure:
        return replace(self, row=row)

    def to_json(self) -> dict[str, Json]:
        return {"check": self.check, "why": self.why, "shown": self.shown, "row": self.row or None}


def check_regexes(document: Document, path: tuple[str | int, ...], test: Mapping[str, Any]) -> None:
    """BadPrompt with the line for the first `matches` that is no regular expression."""
    for key, value in test.items():
        if key == "matches":
            for pattern in _list(value):
                try:
                    re.compile(pattern)
                except re.error as problem:
                    raise BadPrompt(
                        f"{document.at((*path, key))}: {pattern!r} is not a regular expression: {problem}."
                    ) from None
        elif isinstance(value, dict) and key != "inputs":
            check_regexes(document, (*path, key), cast("Mapping[str, Any]", value))


def failures_of(test: Mapping[str, Any], messages: Sequence[Message], model: str) -> list[Failure]:
    """What of a test does not hold for these messages; snapshots are compared elsewhere."""
    if "refused" in test:
        return [Failure("refused", f"it was filled in, though an error with {test['refused']!r} was expected.")]
    found: list[Failure] = []
    roles = [one.role for one in messages]
    if "roles" in test and roles != test["roles"]:
        found.append(
            Failure("roles", f"the messages are {', '.join(roles)}; they should be {', '.join(test['roles'])}.")
        )
    whole = "\n\n".join(one.text for one in messages)
    found += _failures(test, whole, written(messages), "", model)
    for role in ("system", "user", "assistant", "tool"):
        if role in test:
            said = [one.text for one in messages if one.role == role]
            if not said:
                found.append(Failure(role, f"there is no {role} message."))
                continue
            text = "\n\n".join(said)
            found += _failures(test[role], text, text, f"{role}.", model)
    return found


def refused(test: Mapping[str, Any], said: str) -> list[Failure]:
    """A prompt that could not be filled in: as the test wants it, or not."""
    if "refused" not in test:
        return [Failure("rendering", said)]
    if test["refused"] in said:
        return []
    return [Failure("refused", f"the error does not say {test['refused']!r}.", said)]


def written(messages: Sequence[Message]) -> str:
    """Messages as a prompt file writes them: with role lines, unless all there is is one user message."""
    if [one.role for one in messages] == ["user"]:
        return messages[0].text
    return "\n".join(f"# {one.role}\n{one.text}" for one in messages)


def difference(expected: str, found: str) -> str:
    """Unified lines, `-` what was expected and `+` what came; at most 40 lines."""
    lines = list(unified_diff(expected.splitlines(), found.splitlines(), "expected", "rendered", lineterm="", n=2))
    more = [f"... and {len(lines) - _DIFF} lines more"] if len(lines) > _DIFF else []
    return "\n".join(lines[:_DIFF] + more)


def _failures(test: Mapping[str, Any], text: str, whole: str, scope: str, model: str) -> list[Failure]:
    found: list[Failure] = []
    for wanted in _list(test.get("contains")):
        if wanted not in text:
            found.append(Failure(f"{scope}contains", f"{wanted!r} is not in it.", _near(wanted, text)))
    for banned in _list(test.get("not_contains")):
        if banned in text:
            line = text[: text.index(banned)].count("\n")
            found.append(Failure(f"{scope}not_contains", f"{banned!r} is in it.", text.split("\n")[line][:_EXCERPT]))
    for pattern in _list(test.get("matches")):
        if not re.search(pattern, text, re.MULTILINE):
            found.append(Failure(f"{scope}matches", f"nothing in it matches {pattern!r}.", _excerpt(text)))
    if "equals" in test and test["equals"].strip() != whole.strip():
        found.append(
            Failure(f"{scope}equals", "it is another text.", difference(test["equals"].strip(), whole.strip()))
        )
    if "tokens" in test and (count := count_tokens(text, model)) > test["tokens"]:
        found.append(
            Failure(f"{scope}tokens", f"it has about {count:,} tokens; at most {test['tokens']:,} are allowed.")
        )
    return found


def _near(wanted: str, text: str) -> str:
    """The line that comes nearest to what is missing, else how the text begins."""
    lines = [line for line in text.split("\n") if line.strip()][:500]
    ranked = [(SequenceMatcher(None, wanted, line[:1000], autojunk=False).ratio(), line) for line in lines]
    likeness, line = max(ranked, default=(0.0, ""))
    return f"nearest line: {line[:_EXCERPT]}" if likeness >= _ALIKE else _excerpt(text)


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]} ... ({len(text):,} characters)"


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
