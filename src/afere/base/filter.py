"""The one language that finds spans: `model:gpt* status:error latency>2s -user:42 "refund policy"`.

filter = { [ "-" ] ( field ( ":" | ">" | "<" | ">=" | "<=" ) value | word | quoted ) }

All terms must hold. A word or quoted text alone is searched in inputs and outputs. `*` stands for any text, unless quoted.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from afere.base.clock import from_rfc3339
from afere.base.errors import BadRule
from afere.base.span import SPAN_KINDS

Type = Literal["text", "seconds", "money", "count", "time"]
Op = Literal[":", ">", "<", ">=", "<="]

# What can be asked of spans.
FIELDS: dict[str, Type] = {
    "trace": "text", "name": "text", "kind": "text", "status": "text", "model": "text", "provider": "text",
    "user": "text", "session": "text", "error": "text", "latency": "seconds", "cost": "money", "tokens": "count",
    "input_tokens": "count", "output_tokens": "count", "environment": "text", "since": "time", "before": "time",
    "text": "text", "chain": "text", "component": "text", "version": "text", "prompt": "text",
}  # fmt: skip
_CHOICES: dict[str, tuple[str, ...]] = {"status": ("ok", "error", "running", "paused"), "kind": SPAN_KINDS}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"(?P<dollar>\$?)(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[a-z]*)")
_TERM = re.compile(r"(?P<field>attr\.[^\s:<>=\"]+|[A-Za-z_][A-Za-z0-9_.]*)(?P<op>:|>=|<=|>|<)")
# What other languages of filters have.
_NO_WORDS = {
    "AND": "there is no AND: all terms must hold, so leave it out.",
    "OR": "there is no OR: ask twice, or put * for what differs, such as model:gpt*.",
    "NOT": "there is no NOT: write - before the term, such as -status:error.",
}
_EXAMPLE = {
    "seconds": "2s, 300ms or 1h", "money": "0.01 or $0.01", "count": "1000", "time": "24h, 7d or 2026-11-22T14:00:00Z",
    "text": "gpt* or \"two words\"",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `number` is `value` in seconds, dollars or a count; for a relative time, how many seconds ago."""

    field: str
    op: Op
    value: str
    quoted: bool = False
    negated: bool = False
    number: float | None = None
    place: int = dataclasses.field(default=0, compare=False)  # of its first character

    @property
    def glob(self) -> bool:
        """Whether `*` in the value stands for any text."""
        return "*" in self.value and not self.quoted

    def __str__(self) -> str:
        sign = "-" if self.negated else ""
        value = _quote(self.value) if self.quoted else self.value
        return f"{sign}{self.field}{self.op}{value}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold; none holds for everything."""

    terms: tuple[Term, ...] = ()
    text: str = dataclasses.field(default="", compare=False)  # as it was written

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)


def parse_filter(text: str, *, fields: Mapping[str, Type] = FIELDS) -> Filter:
    """Read a filter. BadRule points at the character and suggests the nearest field.

    `fields`: what may be asked, and what kind of value each takes; `attr.KEY` may always be asked.
    """
    return Filter(tuple(_Reader(text, fields).terms()), text)


class _Reader:
    def __init__(self, text: str, fields: Mapping[str, Type]) -> None:
        self._text = text
        self._fields = fields

    def terms(self) -> list[Term]:
        found: list[Term] = []
        at = self._skip(0)
        while at < len(self._text):
            term, at = self._term(at)
            found.append(term)
            at = self._skip(at)
        return found

    def _skip(self, at: int) -> int:
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        return at

    def _term(self, start: int) -> tuple[Term, int]:
        negated = self._text[start] == "-"
        at = start + negated
        match = _TERM.match(self._text, at)
        if match is None:
            value, quoted, end = self._value(at, "a word, a quoted text or field:value")
            if value in _NO_WORDS and not quoted:
                raise self._problem(at, f'{_NO_WORDS[value]} To search for the word, write "{value}".')
            return Term("text", ":", value, quoted, negated, None, start), end
        name, op = match["field"], match["op"]
        asked = self._type(name, at)
        value, quoted, end = self._value(match.end(), f"a value after {name}{op}, such as {_EXAMPLE[asked]}")
        if asked == "text":
            self._check_text(name, op, value, quoted, match)
            number = _plain_number(value) if name.startswith("attr.") else None
        elif asked == "time":
            number = self._time(name, op, value, match)
        else:
            number = self._number(name, asked, value, match.end())
        return Term(name, _op(op), value, quoted, negated, number, start), end

    def _type(self, name: str, at: int) -> Type:
        if name.startswith("attr.") and name != "attr.":
            return "text"
        if name not in self._fields:
            near = get_close_matches(name.lower(), [*self._fields, "attr.KEY"], n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise self._problem(
                at,
                f"there is no field {name!r}.{hint} Fields: {', '.join(self._fields)}, attr.KEY. "
                'To search for these words, put them in "quotes".',
            )
        return self._fields[name]

    def _value(self, at: int, wanted: str) -> tuple[str, bool, int]:
        if at >= len(self._text) or self._text[at].isspace():
            raise self._problem(at, f"here should be {wanted}.")
        if self._text[at] == '"':
            return self._quoted(at)
        end = at
        while end < len(self._text) and not self._text[end].isspace():
            end += 1
        return self._text[at:end], False, end

    def _quoted(self, start: int) -> tuple[str, bool, int]:
        value: list[str] = []
        at = start + 1
        while at < len(self._text):
            char = self._text[at]
            if char == '"':
                if at + 1 < len(self._text) and not self._text[at + 1].isspace():
                    raise self._problem(at + 1, "after the closing quote should be a space.")
                return "".join(value), True, at + 1
            if char == "\\" and self._text[at + 1 : at + 2] in ('"', "\\"):
                at += 1
                char = self._text[at]
            value.append(char)
            at += 1
        raise self._problem(start, 'this quote is not closed. Write "two words", with \\" for a quote inside.')

    def _check_text(self, name: str, op: str, value: str, quoted: bool, match: re.Match[str]) -> None:
        if op != ":" and not name.startswith("attr."):
            raise self._problem(match.start("op"), f"{name} is text: write {name}:{value}.")
        choices = _CHOICES.get(name)
        if choices and name in FIELDS and value not in choices and (quoted or "*" not in value):
            near = get_close_matches(value, choices, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise self._problem(match.end(), f"{value!r} is not a {name}.{hint} One of: {', '.join(choices)}.")
        if name == "trace" and re.fullmatch(r"[0-9a-fA-F]{6,32}", value) is None:
            raise self._problem(match.end(), f"{value!r} is not a trace id: 6 to 32 hex digits.")

    def _number(self, name: str, asked: Type, value: str, at: int) -> float:
        match = _NUMBER.fullmatch(value)
        units = _SECONDS if asked == "seconds" else {}
        if match is None or (match["unit"] and match["unit"] not in units) or (match["dollar"] and asked != "money"):
            raise self._problem(at, f"{value!r} is not a value of {name}: write {_EXAMPLE[asked]}.")
        return float(match["number"]) * units.get(match["unit"], 1.0)

    def _time(self, name: str, op: str, value: str, match: re.Match[str]) -> float | None:
        if op != ":":
            raise self._problem(match.start("op"), f"write {name}:{value}.")
        relative = _NUMBER.fullmatch(value)
        if relative is not None and relative["unit"] in _SECONDS and not relative["dollar"]:
            return float(relative["number"]) * _SECONDS[relative["unit"]]
        try:
            from_rfc3339(value)
        except (ValueError, OverflowError):
            raise self._problem(match.end(), f"{value!r} is not a time: write {_EXAMPLE['time']}.") from None
        return None

    def _problem(self, at: int, problem: str) -> BadRule:
        line = " ".join(self._text.splitlines()) if "\n" in self._text or "\r" in self._text else self._text
        low = max(at - 60, 0)
        shown = line[low : at + 40]
        return BadRule(f"Filter, character {at + 1}: {problem}\n  {shown}\n  {' ' * (at - low)}^")


def _op(text: str) -> Op:
    ops: tuple[Op, ...] = (":", ">", "<", ">=", "<=")
    return next(op for op in ops if op == text)


def _plain_number(value: str) -> float | None:
    match = re.fullmatch(r"-?[0-9]{1,300}(?:\.[0-9]+)?", value)
    return float(value) if match else None


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
