"""What must not rest: secrets always, personal data where asked, all content where only structure is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

from afere.base import detect
from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.project import Project
from afere.base.span import Span

Redactor = Callable[[str], str]

LONGEST = 2**20  # characters of one text at rest

# Fields that hold what was said, with the keys whose text says what a value is rather than what was said.
_CONTENT: dict[str, frozenset[str]] = {
    "input": frozenset(),
    "output": frozenset(),
    "input_messages": frozenset({"role", "type", "id", "name", "media_type"}),
    "output_messages": frozenset({"role", "type", "id", "name", "media_type"}),
    "tool": frozenset({"name"}),
    "documents": frozenset({"id"}),
}
_SAID = frozenset({"arguments", "result", "response", "metadata"})  # below these all is content
_ALSO = ("attributes", "events", "error")


class Policy:
    """Applied to each span before it rests; the span itself is left as it is."""

    def __init__(self, content: bool = True, redact: Sequence[str | Redactor] = ()) -> None:
        kinds = [item for item in redact if isinstance(item, str)]
        detect.check_kinds(kinds)
        wrong = [item for item in redact if not isinstance(item, str) and not callable(item)]
        if wrong:
            raise BadInput(
                f"redact: {wrong[0]!r} is neither a kind ({', '.join(detect.KINDS)}) nor a function of a text."
            )
        self.content = content
        self.kinds = tuple(dict.fromkeys([*kinds, "secret"]))
        self.functions = [item for item in redact if not isinstance(item, str)]

    @classmethod
    def of(cls, project: Project, *, content: bool, redact: Sequence[Any]) -> Policy:
        """The project's own rules (`redact:`, `content:`) together with those of `configure`."""
        said = project.config.get("redact")
        written = cast("list[str]", said) if isinstance(said, list) else []
        return cls(content and project.config.get("content") != "none", [*written, *redact])

    def apply(self, span: Span) -> Span:
        """The span as it may rest, marked "redacted" or "cut" where something was taken out."""
        if self.content and not self.functions and not self._suspect(span):
            return span
        reading = _Reading(self)
        changed: dict[str, Any] = {}
        for name in (*_CONTENT, *_ALSO):
            value: Json = getattr(span, name)
            if not value and value not in (0, False):
                continue
            if name in _CONTENT and not self.content:
                changed[name] = reading.structure(value, _CONTENT[name])
            elif name == "error" and not self.content:
                changed[name] = str(value).partition(":")[0]  # the type; the message may repeat what was said
            else:
                changed[name] = reading.clean(value)
        if not reading.marks:
            return span
        return dataclasses.replace(span, marks=list(dict.fromkeys([*span.marks, *reading.marks])), **changed)

    def _suspect(self, span: Span) -> bool:
        """Whether any text has to be looked at closely; one search of all of them together."""
        texts: list[str] = []
        for name in (*_CONTENT, *_ALSO):
            _gather(getattr(span, name), texts)
        whole = "\0".join(texts)  # no hint has this character, so none can arise where two texts meet
        return len(whole) > LONGEST or detect.possible(whole, self.kinds)


def _gather(value: Json, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            _gather(item, texts)
    elif isinstance(value, dict):
        texts.extend(value)
        for item in value.values():
            _gather(item, texts)


class _Reading:
    """One span gone through: `marks` says what was done to it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.marks: list[str] = [] if policy.content else ["redacted"]

    def clean(self, value: Json) -> Json:
        """The value without what must not rest."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        if isinstance(value, dict):
            return {self._text(key): self.clean(item) for key, item in value.items()}
        return value

    def structure(self, value: Json, kept: frozenset[str], key: str = "") -> Json:
        """The value's shape: keys, kinds and sizes."""
        if isinstance(value, list):
            return [self.structure(item, kept) for item in value]
        if isinstance(value, dict):
            below = {name: frozenset[str]() if name in _SAID else kept for name in value}
            return {self._text(name): self.structure(item, below[name], name) for name, item in value.items()}
        if isinstance(value, str):
            return self._text(value) if key in kept else f"[text of {len(value)} characters]"
        return value if value is None or isinstance(value, bool) else "[number]"

    def _text(self, text: str) -> str:
        clean = detect.redact(text, self._policy.kinds)
        for function in self._policy.functions:
            try:
                clean = str(function(clean))
            except Exception:  # a text that could not be checked must not rest
                clean = "[redaction failed]"
        if clean != text:
            self.marks.append("redacted")
        if len(clean) > LONGEST:
            self.marks.append("cut")
            return f"{clean[:LONGEST]}… (cut: {len(clean)} characters in all)"
        return clean
