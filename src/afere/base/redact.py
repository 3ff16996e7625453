"""What afere.yaml says must not rest (`redact:`), and how a text, a key or a scope is held to it. Pure.

An entry is a kind of `base.detect` (`email`), a pattern of one's own (`{pattern: 'ACME-\\d+', as: order}`), keys whose values
go (`{key: "*.password"}`), or a scope of which only the structure rests (`{scope: my.library, content: none}`). Patterns are
matched by RE2 (extra `redact`), which no pattern and no text can make worse than linear for one match.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any, cast

from afere.base import detect
from afere.base.canonical import Json
from afere.base.errors import BadInput, MissingExtra

Redactor = Callable[[str], str]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_FORMS = '"email", {pattern: "ACME-[0-9]+", as: order}, {key: "*.password"} or {scope: my.library, content: none}'
_WORK = 2.0  # seconds of one thread for one pattern in one text
_FIELDS = "user.id session.id"  # keys of which the values are in fields of a span, whatever they were called
_QUOTED = re.compile(r'"([^"\\]{1,200})"\s{0,20}:')
# What means the ends of a text or of a word, so that a text must be searched on its own: other bytes may stand beside it.
_ANCHORS = re.compile(r"[\^$]|\\[AzZbB]")

ENTRY_SCHEMA: dict[str, Json] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["pattern"],
            "additionalProperties": False,
            "properties": {"pattern": {"type": "string", "minLength": 1}, "as": {"type": "string"}},
        },
        {
            "type": "object",
            "required": ["key"],
            "additionalProperties": False,
            "properties": {"key": {"type": "string", "minLength": 1}, "as": {"type": "string"}},
        },
        {
            "type": "object",
            "required": ["scope", "content"],
            "additionalProperties": False,
            "properties": {"scope": {"type": "string", "minLength": 1}, "content": {"enum": ["none"]}},
        },
    ]
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern of the user's own; `found` searches it, `placeholder` is what its matches become."""

    found: Any  # a compiled pattern of RE2
    placeholder: str
    anchored: bool

    def possible(self, whole: bytes, texts: Sequence[str]) -> bool:
        """Whether any of the texts, or all of them in one, may have it."""
        if self.anchored:
            return any(self.found.search(text.encode("utf-8", "surrogatepass")) for text in texts)
        return self.found.search(whole) is not None

    def replace(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        until = time.thread_time() + _WORK
        pieces: list[bytes] = []
        end = 0
        for match in self.found.finditer(data):
            if match.start() == match.end():
                continue
            pieces += (data[end : match.start()], self.placeholder.encode())
            end = match.end()
            if time.thread_time() > until:  # what was not looked at must not rest
                return b"".join([*pieces, b"[not searched]"]).decode("utf-8", "surrogatepass")
        return b"".join([*pieces, data[end:]]).decode("utf-8", "surrogatepass") if pieces else text


@dataclass(frozen=True, slots=True)
class _Key:
    """Keys of a form. `literal` is in the folded text (`_folded`) of all that has such a key; empty where that cannot be said."""

    matches: Callable[[str], object]
    placeholder: str
    literal: str


class Redaction:
    """The rules of one project, and functions of a program. Secrets are always among them."""

    def __init__(self, entries: Sequence[object] = ()) -> None:
        kinds: list[str] = []
        patterns: list[_Pattern] = []
        keys: list[_Key] = []
        scopes: list[Callable[[str], object]] = []
        functions: list[Redactor] = []
        for entry in entries:
            if isinstance(entry, str):
                detect.check_kinds([entry])
                kinds.append(entry)
            elif callable(entry):
                functions.append(cast("Redactor", entry))
            elif isinstance(entry, dict):
                said = cast("dict[str, Any]", entry)
                match sorted(said.keys() - {"as"}):
                    case ["pattern"]:
                        patterns.append(_pattern(str(said["pattern"]), _placeholder(said, "redacted")))
                    case ["key"]:
                        keys.append(
                            _Key(_glob(str(said["key"])), _placeholder(said, "redacted"), _literal(str(said["key"])))
                        )
                    case ["content", "scope"] if said["content"] == "none" and "as" not in said:
                        scopes.append(_glob(str(said["scope"])))
                    case _:
                        raise _no_entry(said)
            else:
                raise _no_entry(entry)
        self.kinds = tuple(dict.fromkeys([*kinds, "secret"]))
        self._patterns, self._keys, self._scopes, self._functions = patterns, keys, scopes, functions

    @property
    def keys(self) -> bool:
        """Whether there are keys whose values go."""
        return bool(self._keys)

    @property
    def asked(self) -> bool:
        """Whether there is any rule but that for secrets."""
        return bool(self._keys or self._patterns or self._functions) or len(self.kinds) > 1

    @property
    def lettered(self) -> bool:
        """Whether a rule may ask for letters beyond ASCII; kinds and keys have none, but case makes a few the same as i, s and k."""
        return bool(self._patterns or self._functions)

    def for_keys(self, texts: Sequence[str]) -> Redaction | None:
        """The rules for keys that may be among these texts, and no others; None if none can be."""
        folded = _folded("\0".join(texts))
        keys = [one for one in self._keys if one.literal in folded]
        if not keys:
            return None
        rules = copy(self)
        rules.kinds, rules._patterns, rules._functions, rules._keys = (), [], [], keys
        return rules

    def spares(self, whole: str) -> bool:
        """Whether no rule can find anything in a text in which all others stand: never wrongly True."""
        alone = self._functions or self._keys or any(one.anchored for one in self._patterns)
        if alone or detect.possible(whole, self.kinds):
            return False
        data = whole.encode("utf-8", "surrogatepass") if self._patterns else b""
        return not any(one.possible(data, ()) for one in self._patterns)

    def passes(self, whole: str) -> bool:
        """As `spares`, also of keys: whether none of them can be in the text."""
        if not self._keys:
            return self.spares(whole)
        if self._names_a_key(whole):
            return False
        rules = copy(self)
        rules._keys = []
        return rules.spares(whole)

    def _names_a_key(self, whole: str) -> bool:
        if any(one.literal in _FIELDS for one in self._keys):
            return True
        if not whole.isascii():
            whole = _folded(whole)
        return detect.has("|".join(f"(?i:{_as_pattern(one.literal)})" for one in self._keys), whole)

    def narrowed(self, texts: Sequence[str]) -> Redaction | None:
        """The rules that may find something in any of these texts, keys among them; None if none can.

        Quick, over all of them together, and never wrongly None.
        """
        if self.asked:
            try:
                texts = [*texts, *_inside(texts)]
            except RecursionError:  # what is nested that deeply is looked at part by part
                return self
        whole = "\0".join(texts)  # neither a kind nor a pattern without anchors can hide where two texts meet
        kinds = tuple(kind for kind in self.kinds if detect.possible(whole, (kind,)))
        data = whole.encode("utf-8", "surrogatepass") if self._patterns else b""
        patterns = [one for one in self._patterns if one.possible(data, texts)]
        folded = _folded(whole) if self._keys else ""
        keys = [one for one in self._keys if one.literal in folded]
        if not (kinds or patterns or keys or self._functions):
            return None
        rules = copy(self)
        rules.kinds, rules._patterns, rules._keys = kinds, patterns, keys
        return rules

    def text(self, text: str, path: str = "") -> str:
        """The text with a placeholder, such as `[email]`, for each thing that must not rest.

        A text that is JSON is held to the rules as what it says, however that is written (`Jo\\u00e3o`): found at `path`, to
        those for keys too.
        """
        if (("\\" in text) or (self._keys and path)) and is_json(text):
            text = self._inside(text, path)
        return self._plain(text)

    def _plain(self, text: str) -> str:
        clean = detect.redact(text, self.kinds)
        for pattern in self._patterns:
            clean = pattern.replace(clean)
        for function in self._functions:
            try:
                clean = str(function(clean))
            except Exception:  # a text that could not be checked must not rest
                clean = "[redaction failed]"
        return clean

    def key(self, name: str, path: str) -> str | None:
        """What the value under a key becomes; None where it may rest. `path` is the key below those above it, with dots."""
        for key in self._keys:
            if key.matches(name) or key.matches(path):
                return key.placeholder
        return None

    def structure_only(self, scope: str) -> bool:
        """Whether of spans of this instrumentation scope only the structure rests."""
        return any(matches(scope) for matches in self._scopes)

    def value(self, value: Json, path: str) -> Json:
        """A value found at `path`: its texts and keys without what must not rest."""
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, list):
            return [self.value(item, path) for item in value]
        if isinstance(value, dict):
            made: dict[str, Json] = {}
            for name, item in value.items():
                below = f"{path}.{name}"
                hidden = self.key(name, below) if self._keys else None
                made[self.text(name)] = self.value(item, below) if hidden is None else hidden
            return made
        return value

    def _inside(self, text: str, path: str) -> str:
        try:
            value: Json = json.loads(text)
        except (ValueError, RecursionError):  # cut, or only like JSON
            for name in _QUOTED.findall(text) if path else ():
                hidden = self.key(name, f"{path}.{name}")
                if hidden is not None:
                    return hidden
            return text
        try:
            clean = self._hidden(value, path)
        except RecursionError:  # what was not looked at must not rest
            return "[not searched]"
        return text if clean == value else _dumped(clean)

    def _hidden(self, value: Json, path: str) -> Json:
        if isinstance(value, list):
            return [self._hidden(item, path) for item in value]
        if isinstance(value, dict):
            made: dict[str, Json] = {}
            for name, item in value.items():
                below = f"{path}.{name}"
                as_ = self.key(name, below) if path else None
                made[self._plain(name)] = self._hidden(item, below if path else "") if as_ is None else as_
            return made
        if not isinstance(value, str):
            return value
        return self._plain(self._inside(value, path) if is_json(value) else value)


def _inside(texts: Sequence[str]) -> list[str]:
    """The texts in those that are JSON and write some letters otherwise."""
    found: list[str] = []
    waiting = [text for text in texts if "\\" in text and is_json(text)]
    while waiting:
        inner: list[str] = []
        with suppress(ValueError):
            _gather(json.loads(waiting.pop()), inner)
        found += inner
        waiting += [text for text in inner if "\\" in text and is_json(text)]
    return found


def _gather(value: Json, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list | dict):
        texts.extend(value if isinstance(value, dict) else ())
        for item in value.values() if isinstance(value, dict) else value:
            _gather(item, texts)


def _dumped(value: Json) -> str:
    made = json.dumps(value, ensure_ascii=False)
    try:
        made.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value)
    return made


def is_json(text: str) -> bool:
    """Whether a text may be JSON that holds others."""
    return text.lstrip()[:1] in ("{", "[", '"')


def redaction(entries: Json) -> Redaction:
    """The rules that `redact:` of afere.yaml writes; made once for the same entries."""
    return _made(json.dumps(entries if isinstance(entries, list) else []))


@lru_cache(maxsize=16)
def _made(entries: str) -> Redaction:
    return Redaction(json.loads(entries))


@lru_cache(maxsize=64)
def _glob(text: str) -> Callable[[str], object]:
    if text.count("*") > 5:
        raise BadInput(f"redact: {text!r} has more than five '*'. Write several entries.")
    return re.compile(translate(text.lower()), re.IGNORECASE | re.DOTALL).match


# Letters that `re.IGNORECASE` takes for i, s and k; `str.lower` leaves two of them, and makes two letters of a third.
_SAME = (("\u0130", "i"), ("\u0131", "i"), ("\u017f", "s"), ("\u212a", "k"))


def _folded(text: str) -> str:
    """A text in which case makes no difference to letters of ASCII, as forms of keys are matched."""
    if not text.isascii():
        for letter, same in _SAME:
            text = text.replace(letter, same)
    return text.lower()


def _literal(glob: str) -> str:
    last = max(re.split(r"[*?.]|\[.*?\]", _folded(glob).rpartition(".")[2]), key=len)
    # JSON may write other letters as escapes; and "*" alone, or "attributes.*", says no word of a text.
    return last if last.isascii() else ""


def _as_pattern(literal: str) -> str:
    return "".join(sign if sign.isalnum() else f"\\x{{{ord(sign):x}}}" for sign in literal)


def _pattern(text: str, placeholder: str) -> _Pattern:
    try:
        import re2  # pyright: ignore[reportMissingImports]  of an extra
    except ImportError:
        raise MissingExtra("redact", "A pattern under redact:") from None
    engine = cast("Any", re2)
    options = engine.Options()
    options.log_errors = False
    try:
        found = engine.compile(text, options)
    except engine.error as problem:
        said = problem.args[0] if problem.args else problem
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise BadInput(
            f"redact: the pattern {text!r} cannot be read: {why}. It is written as for RE2: no look-around, no back-references."
        ) from None
    if found.fullmatch(b""):
        raise BadInput(f"redact: the pattern {text!r} matches the empty text. Ask for at least one character.")
    return _Pattern(found, placeholder, _ANCHORS.search(text) is not None)


def _placeholder(entry: dict[str, Any], default: str) -> str:
    name = entry.get("as", default)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise BadInput(
            f"redact: as: {name!r} cannot name what was taken out: a letter, then letters, digits, '.', '_' or '-'."
        )
    return f"[{name}]"


def _no_entry(entry: object) -> BadInput:
    return BadInput(
        f"redact: {entry!r} is no entry. Write {_FORMS}; from Python a function of a text too. Kinds: {', '.join(detect.KINDS)}."
    )
