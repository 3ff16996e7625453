"""What a server lists, read as untrusted text: cleaned of what people cannot see, cut where it is too long, checked.

A server's words are shown to people and told to models. Characters that are invisible, or steer a terminal or the
direction of writing, are taken out; what is taken out or cut away still counts for the version, by a digest of the whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

from afere.base.canonical import Json, canonical, digest, digest_of, plain
from afere.base.document import schema_fault
from afere.base.errors import BadInput
from afere.chains.mcp.wire import NotMcp, mirrors

TOOLS = 1_000  # of one server; no model keeps more apart
DESCRIPTION = 8_000  # characters
SCHEMA = 100_000  # bytes
PROBLEMS = 50  # that are named; the rest is counted
_NAME = 128  # characters, as the protocol advises
_TITLE = 200
_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_SAID = {
    ("readOnlyHint", True): "reads only", ("readOnlyHint", False): "writes", ("destructiveHint", True): "destructive",
    ("destructiveHint", False): "not destructive", ("idempotentHint", True): "idempotent",
    ("openWorldHint", True): "open world", ("openWorldHint", False): "closed world",
}  # fmt: skip
_FIELDS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")  # what makes a version
_JOINERS = "\u200c\u200d"  # between letters of some scripts, and within emoji, they mean something
_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool as a server describes it, cleaned. `hints` are the annotations it gives: claims, not facts.

    `whole` is the digest of the definition as it came, where cleaning changed it; else empty.
    """

    name: str
    title: str = ""
    description: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    output: Mapping[str, Json] | None = None
    hints: Mapping[str, bool] = field(default_factory=dict[str, bool])
    whole: str = ""

    def artifact(self, server: str) -> str:
        """The name of its artifact: those that small letters cannot write are told apart by a digest."""
        plain_name = re.sub(r"[^a-z0-9._-]", "-", self.name.lower())
        if plain_name != self.name or plain_name.endswith(".json"):
            plain_name = f"{plain_name.removesuffix('.json')}-{sha256(self.name.encode()).hexdigest()[:6]}"
        return f"{server}.{plain_name}"

    def content(self, server: str) -> dict[str, Json]:
        """What its artifact holds."""
        held: dict[str, Json] = {
            "server": server, "name": self.name, "title": self.title, "description": self.description,
            "parameters": dict(self.parameters), "hints": dict(self.hints),
        }  # fmt: skip
        if self.output is not None:
            held["output"] = dict(self.output)
        return held | ({"whole": self.whole} if self.whole else {})


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server said: the revision it speaks, its software, its tools by name, and what is wrong with them."""

    server: str
    protocol: str
    software: str
    tools: tuple[Offer, ...]
    problems: tuple[str, ...] = ()
    left_out: int = 0


def hints_in_words(hints: Mapping[str, Json]) -> tuple[str, ...]:
    """The annotations of a tool as its server gives them."""
    return tuple(text for name in _HINTS if (text := _SAID.get((name, hints.get(name) is True))) and name in hints)


def clean(text: str) -> tuple[str, int]:
    """A text without what cannot be seen or steers a terminal, and how many characters that were."""
    if text.isascii() and text.isprintable():
        return text, 0
    kept = [sign for place, sign in enumerate(text) if not _hidden(text, place, sign)]
    return "".join(kept), len(text) - len(kept)


def _hidden(text: str, place: int, sign: str) -> bool:
    if sign in "\n\t":
        return False
    if sign in _JOINERS:
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        return not before or not after or before.isascii() or after.isascii()
    return unicodedata.category(sign) in _CATEGORIES or 0xE0100 <= ord(sign) <= 0xE01EF


class Reading:
    """Takes the pages of a list: tools by name, what is wrong with them, and how many could not be taken."""

    def __init__(self, *, over_http: bool) -> None:
        self._over_http = over_http
        self._names: set[str] = set()
        self._count = 0
        self.offers: list[Offer] = []
        self.problems: list[str] = []
        self.left_out = 0

    def take(self, page: Sequence[object]) -> None:
        """One page; a tool that cannot be taken is named, and the others stand."""
        for one in page:
            self._count += 1
            tool = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
            name = tool.get("name")
            fault = _fault(name, self._names)
            if fault:
                self._leave_out(f"tool {self._count}: {fault}")
                continue
            taken = _Cleaned(str(name))
            try:
                self.offers.append(_offer(taken, tool, self._over_http))
            except NotMcp as problem:
                self._leave_out(f"{name}: {problem}")
                continue
            self._names.add(str(name))
            self.problems += taken.problems

    def _leave_out(self, problem: str) -> None:
        self.left_out += 1
        self.problems.append(f"{problem}: left out")


def _fault(name: object, known: set[str]) -> str:
    if not isinstance(name, str) or not name:
        return "it has no name"
    if len(name) > _NAME or not name.isprintable() or any(sign.isspace() for sign in name) or clean(name)[1]:
        return f"its name {clean(name[:60])[0]!r} has {len(name)} characters, or some that no name has"
    return f"the name {name!r} stands twice" if name in known else ""


def _offer(taken: _Cleaned, tool: Mapping[str, Any], over_http: bool) -> Offer:
    description = taken.text("description", tool.get("description"), DESCRIPTION)
    title = taken.text("title", tool.get("title"), _TITLE)
    schema = taken.schema("inputSchema", tool.get("inputSchema"))
    output = taken.schema("outputSchema", tool.get("outputSchema")) if tool.get("outputSchema") is not None else None
    if over_http:
        mirrors(schema)
    notes: Any = tool.get("annotations")
    given = cast("dict[str, object]", notes) if isinstance(notes, dict) else {}
    hints = {hint: bool(given[hint]) for hint in _HINTS if isinstance(given.get(hint), bool)}
    return Offer(taken.name, title, description, schema, output, hints, _whole(tool) if taken.problems else "")


def _whole(tool: Mapping[str, Any]) -> str:
    """The digest of a definition as it came; of what has no canonical form, by how Python writes it."""
    said = {key: tool[key] for key in _FIELDS if key in tool}
    try:
        return digest_of(plain(said))
    except (BadInput, UnicodeError):
        return digest(repr(said).encode("utf-8", "backslashreplace"))


class _Cleaned:
    """Takes the parts of one definition, and notes what it changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []

    def text(self, what: str, value: object, most: int) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            self._note(f"its {what} is no text: left out")
            return ""
        if len(value) > most:
            self._note(f"its {what} has {len(value):,} characters: cut to {most:,}")
            value = value[:most]
        text, hidden = clean(value)
        if hidden:
            self._note(f"its {what} hides {hidden:,} characters that nobody sees: taken out")
        return text.strip()

    def schema(self, what: str, value: object) -> dict[str, Json]:
        """The schema, its texts cleaned; an empty one where it cannot be used."""
        if not isinstance(value, dict):
            self._note(f"its {what} is no schema: taken as one that says nothing")
            return {}
        try:
            whole = cast("dict[str, Json]", plain(cast("dict[str, object]", value)))
            size = len(canonical(whole))
        except (BadInput, RecursionError, UnicodeError):
            self._note(f"its {what} is no JSON that can be kept: left out")
            return {}
        if size > SCHEMA:
            self._note(f"its {what} has {size:,} bytes, more than {SCHEMA:,}: left out")
            return {}
        hidden = 0

        def walked(at: Json) -> Json:
            nonlocal hidden
            if isinstance(at, str):
                text, count = clean(at)
                hidden += count
                return text
            if isinstance(at, list):
                return [walked(one) for one in at]
            if isinstance(at, dict):
                return {str(walked(key)): walked(one) for key, one in at.items()}
            return at

        schema = cast("dict[str, Json]", walked(whole))
        if hidden:
            self._note(f"its {what} hides {hidden:,} characters that nobody sees: taken out")
        if fault := schema_fault(schema):
            self._note(f"its {what} is no valid JSON Schema ({clean(fault)[0][:120]}): left out")
            return {}
        return schema

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self.name}: {problem}")
