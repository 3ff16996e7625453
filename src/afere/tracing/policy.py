"""What must not rest: secrets always, personal data where asked, all content where only structure is kept."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, cast

import orjson

from afere.base.canonical import Json
from afere.base.errors import BadInput, BadProject
from afere.base.project import FILE, Project
from afere.base.redact import Redaction, is_json, redaction
from afere.base.span import Span

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
_ALSO = ("attributes", "events", "error", "name", "user", "session", "environment", "model", "response_model")
_CONTENT_OF = attrgetter(*_CONTENT)
_ALSO_OF = attrgetter(*(name for name in _ALSO if name not in ("attributes", "name")))
_COLUMNS_OF = attrgetter(*(name for name in _ALSO if name not in ("attributes", "events")))
_TYPE = re.compile(r"[\w.$]{1,200}")
_OWN = "afere"  # the scope of spans that no other library made
# What a key is called where it is a field of the span.
_FIELDS = {"user": ("user.id", "user"), "session": ("session.id", "session")}


class Policy:
    """Applied to each span before it rests; the span itself is left as it is."""

    def __init__(self, content: bool = True, redact: Sequence[object] = (), declared: Iterable[str] = ()) -> None:
        self.content = content
        self._declared = frozenset(declared)  # attributes that name something, whatever else is hidden
        self.redaction = Redaction(redact)

    @classmethod
    def of(cls, project: Project, *, content: bool, redact: Sequence[Any]) -> Policy:
        """The project's own rules (`redact:`, `content:`) together with those of `configure`."""
        return cls(
            content and project.config.get("content") != "none", [*written(project), *redact], _declared(project)
        )

    def hidden(self, span: Span) -> Span:
        """The span without the values of keys that must not rest: before anything is read from its attributes."""
        if not self.redaction.keys:
            return span
        texts: list[str] = []
        _gather(span.attributes, texts)
        _gather(span.events, texts)
        rules = self.redaction.for_keys(texts)
        if rules is None:
            return span
        reading = _Reading(rules, content=True)
        return reading.done(span, {name: reading.keyed(getattr(span, name), name) for name in ("attributes", "events")})

    def apply(self, span: Span, *, derived: bool = False) -> Span:
        """The span as it may rest, marked "redacted" or "cut" where something was taken out.

        derived: what it says was read from its attributes and events, and is nowhere else.
        """
        said = span.attributes.get("scope.name", _OWN)
        content = self.content and not self.redaction.structure_only(said if isinstance(said, str) else _OWN)
        rules = self._needed(span, derived=derived)
        if content and rules is None:
            return span
        if not content:
            from afere.tracing import dialects

            span = dialects.without_content(span, self._declared)
        reading = _Reading(rules or self.redaction, content=content)
        changed: dict[str, Any] = {}
        for name in (*_CONTENT, *_ALSO):
            value: Json = getattr(span, name)
            if not value and value not in (0, False):
                continue
            if name in _CONTENT and not content:
                changed[name] = reading.structure(value, _CONTENT[name])
            elif name == "error" and not content:
                changed[name] = _type_of(str(value))
            else:
                changed[name] = reading.keyed(value, name)
        for name, keys in _FIELDS.items():
            hidden = rules.key(keys[0], keys[0]) if rules else None
            if hidden is not None and name in changed:  # by whatever name a dialect has it
                changed["attributes"] = _swapped(changed.get("attributes", {}), getattr(span, name), hidden)
        return reading.done(span, changed)

    def spares(self, span: Span, details: bytes) -> bool:
        """Whether the span may rest as it is, whose contents, attributes and events stand in `details` as JSON: never wrongly True."""
        said = span.attributes.get("scope.name", _OWN)
        if not self.content or self.redaction.structure_only(said if isinstance(said, str) else _OWN):
            return False
        try:
            whole = _unwritten("\n".join([details.decode(), *filter(None, _COLUMNS_OF(span))]))
        except UnicodeDecodeError:
            return False
        return whole is not None and self.redaction.spares(whole)

    def event(self, event: dict[str, Json], scope: str) -> dict[str, Json]:
        """An event as it may rest apart from its span; `scope` is who said it."""
        if not self.content or self.redaction.structure_only(scope):
            from afere.tracing import dialects

            whole = Span("", "", "", 0, events=[event])
            return cast("dict[str, Json]", dialects.without_content(whole).events[0])
        return cast("dict[str, Json]", _Reading(self.redaction, content=True).keyed(event, "events"))

    def passes(self, whole: str, scope: str | None) -> bool:
        """Whether a span may rest as it is, all of whose texts stand in `whole`: never wrongly True. `scope` made it."""
        return self.content and not self.redaction.structure_only(scope or _OWN) and self.redaction.passes(whole)

    def _needed(self, span: Span, *, derived: bool) -> Redaction | None:
        """The rules that each text has to be held to: found in one look at all of them together."""
        whole = _at_a_glance(span, derived=derived)
        if whole is not None and self.redaction.spares(whole):
            return None
        texts: list[str] = [*_FIELDS]
        for name in (*_CONTENT, *_ALSO):
            value = getattr(span, name)
            if value:
                _gather(value, texts)
        if sum(map(len, texts)) > LONGEST:
            return self.redaction
        return self.redaction.narrowed(texts)


def _type_of(error: str) -> str:
    """The type that an error begins with; its message may repeat what was said."""
    kind = error.partition(":")[0]
    return kind if _TYPE.fullmatch(kind) else f"[text of {len(error)} characters]"


def _swapped(value: Json, gone: str, placeholder: str) -> Json:
    """The value with the placeholder wherever this text stands alone, in JSON too."""
    if isinstance(value, dict):
        return {name: _swapped(item, gone, placeholder) for name, item in value.items()}
    if isinstance(value, list):
        return [_swapped(item, gone, placeholder) for item in value]
    if value == gone:
        return placeholder
    if isinstance(value, str) and gone in value and is_json(value):
        with suppress(ValueError, RecursionError):
            read: Json = json.loads(value)
            swapped = _swapped(read, gone, placeholder)
            return value if swapped == read else json.dumps(swapped)
    return value


def written(project: Project) -> list[Json]:
    """The entries of `redact:` in afere.yaml. BadProject, with the file, for one that cannot be."""
    said = project.config.get("redact")
    entries = said if isinstance(said, list) else []
    try:
        redaction(entries)
    except BadInput as problem:
        raise BadProject(f"{project.root / FILE}: {problem}") from None
    return entries


def _declared(project: Project) -> list[str]:
    said = project.config.get("spans")
    filterable = said.get("filterable") if isinstance(said, dict) else None
    return [one for one in filterable if isinstance(one, str)] if isinstance(filterable, list) else []


def _at_a_glance(span: Span, *, derived: bool) -> str | None:
    """All texts of the span in one, made without walking through it; None where that could hide something, or is long."""
    said: list[Any] = [span.name, span.attributes, *_ALSO_OF(span)]
    if not derived:
        said += _CONTENT_OF(span)
    else:  # what was read from the attributes is part of them, but several parts of a message are one text
        said += [one for one in (*span.input_messages, *span.output_messages) if not _is_one_text(one)]
        said.append(span.tool)
    try:
        whole = orjson.dumps(said, str).decode()
    except (TypeError, RecursionError):  # what has no plain form in JSON
        return None
    return _unwritten(whole)


def _unwritten(whole: str) -> str | None:
    """JSON with all texts as they are; None where that cannot be said, or is long."""
    if "\\" in whole:  # JSON writes some signs with one
        if "\\\\" in whole:
            return None
        whole = whole.replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
    return whole if "\\" not in whole and len(whole) <= LONGEST else None


def _is_one_text(message: Json) -> bool:
    said = cast("dict[str, Json]", message) if isinstance(message, dict) else {}
    parts = said.get("parts")
    return isinstance(parts, list) and len(parts) == 1 and not said.get("tool_calls")


def _gather(value: Json, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            _gather(item, texts)
    elif isinstance(value, dict):
        texts.extend(value)
        for item in value.values():
            if isinstance(item, str):
                texts.append(item)
            else:
                _gather(item, texts)


class _Reading:
    """One span gone through: `marks` says what was done to it."""

    def __init__(self, rules: Redaction, *, content: bool) -> None:
        self._rules = rules
        self.marks: list[str] = [] if content else ["redacted"]

    def done(self, span: Span, changed: dict[str, Any]) -> Span:
        """The span with what changed, and its marks."""
        if not self.marks:
            return span
        return dataclasses.replace(span, marks=list(dict.fromkeys([*span.marks, *self.marks])), **changed)

    def keyed(self, value: Json, field: str) -> Json:
        """A field of the span without what must not rest."""
        for name in _FIELDS.get(field, ()):
            hidden = self._rules.key(name, name)
            if hidden is not None:
                self._redacted()
                return hidden
        clean = self._rules.value(value, field)
        if clean != value:
            self._redacted()
        return self._cut(clean)

    def _cut(self, value: Json) -> Json:
        if isinstance(value, str) and len(value) > LONGEST:
            self.marks.append("cut")
            return f"{value[:LONGEST]}… (cut: {len(value)} characters in all)"
        if isinstance(value, list):
            return [self._cut(item) for item in value]
        if isinstance(value, dict):
            return {key: self._cut(item) for key, item in value.items()}
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
        return cast("str", self.keyed(text, ""))

    def _redacted(self) -> None:
        self.marks.append("redacted")
