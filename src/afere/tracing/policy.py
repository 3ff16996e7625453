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

# Fields that hold what was said; the others hold names, numbers and versions.
_CONTENT = ("input", "output", "input_messages", "output_messages", "tool", "documents")
_ALSO = ("attributes", "events", "error")
_STRUCTURE = frozenset({"role", "type", "name", "id", "media_type"})  # keys whose text says what a value is


class Policy:
    """Applied by the writer to each span before it rests; the span itself is left as it is."""

    def __init__(self, content: bool = True, redact: Sequence[str | Redactor] = ()) -> None:
        kinds = [item for item in redact if isinstance(item, str)]
        detect.check_kinds(kinds)
        wrong = [item for item in redact if not isinstance(item, str) and not callable(item)]
        if wrong:
            raise BadInput(
                f"redact: {wrong[0]!r} is neither a kind ({', '.join(detect.KINDS)}) nor a function of a text."
            )
        self._content = content
        self._kinds = tuple(dict.fromkeys([*kinds, "secret"]))
        self._functions = [item for item in redact if not isinstance(item, str)]

    @classmethod
    def of(cls, project: Project, *, content: bool, redact: Sequence[Any]) -> Policy:
        """The project's own rules (`redact:`, `content:`) together with those of `configure`."""
        said = project.config.get("redact")
        written = cast("list[str]", said) if isinstance(said, list) else []
        return cls(content and project.config.get("content") != "none", [*written, *redact])

    def apply(self, span: Span) -> Span:
        """The span as it may rest, marked "redacted" where something was taken out."""
        changed: dict[str, Any] = {}
        for name in (*_CONTENT, *_ALSO):
            value: Json = getattr(span, name)
            if value is None or value in ({}, []):
                continue
            kept = self._structure(value) if name in _CONTENT and not self._content else self._clean(value)
            if kept != value:
                changed[name] = kept
        if span.error is not None and not self._content:
            changed["error"] = span.error.partition(":")[0]
        if not changed:
            return span
        marks = span.marks if "redacted" in span.marks else [*span.marks, "redacted"]
        return dataclasses.replace(span, marks=marks, **changed)

    def _clean(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {self._text(key): self._clean(item) for key, item in value.items()}
        return value

    def _text(self, text: str) -> str:
        text = detect.redact(text, self._kinds)
        for function in self._functions:
            try:
                text = str(function(text))
            except Exception:  # a text that could not be checked must not rest
                return "[redaction failed]"
        return text

    def _structure(self, value: Json, key: str = "") -> Json:
        if isinstance(value, list):
            return [self._structure(item) for item in value]
        if isinstance(value, dict):
            return {name: self._structure(item, name) for name, item in value.items()}
        if isinstance(value, str):
            return value if key in _STRUCTURE else f"[text of {len(value)} characters]"
        return value if value is None or isinstance(value, bool) else "[number]"
