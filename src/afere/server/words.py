"""How values read on a page: numbers, durations, money, times. What there is none of is the word `none`, money that is not known `unknown`; neither is 0."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import cast

from afere.base.canonical import Json
from afere.base.clock import rfc3339

NONE = "none"


def count(value: float | None) -> str:
    """`18,412`."""
    return NONE if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """`189 ms`, `2.41 s`, `6 min 41 s`, `2 h 05 min`."""
    if value is None:
        return NONE
    if value < 0.0995:
        return f"{value * 1000:.3g} ms" if value >= 0.00095 or value == 0 else f"{value * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def money(value: float | None) -> str:
    """`$23.22`, `$0.0141`, `$0.00126`, `$0.0000923`: three digits that say something, and no power of ten; `unknown`."""
    if value is None:
        return "unknown"
    size = abs(value)
    if size == 0 or size >= 1:
        return f"${value:,.2f}"
    if size < 1e-6:
        return "<$0.000001"
    return f"${value:.4f}" if size >= 0.01 else f"${value:.5f}" if size >= 0.0001 else f"${value:.7f}".rstrip("0")


def number(value: Json) -> str:
    """A score's value as people read it: `0.880`, `true`, `down`, `none`."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return ("\N{MINUS SIGN}" if value < 0 else "") + _decimal(abs(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decimal(size: float) -> str:
    if isinstance(size, int) or size >= 1000:
        return f"{size:,.0f}"
    if size.is_integer():
        return f"{size:.1f}"
    return f"{size:.1f}" if size >= 100 else f"{size:.3f}" if size >= 0.001 else f"{size:.3g}"


def signed(value: float | None) -> str:
    """`+0.020`, or with a real minus sign."""
    if value is None:
        return NONE
    text = number(abs(value))
    return ("\N{MINUS SIGN}" if value < 0 else "+") + text


def measured(value: float | None, name: str) -> str:
    """The value of a measure in its own unit, by the measure's name."""
    unit = _UNITS.get(name.partition(".")[0])
    if value is None or unit is None:
        return number(value)
    return _with_sign("\N{MINUS SIGN}" if value < 0 else "", unit(abs(value)))


def changed(value: float | None, name: str) -> str:
    """A difference of a measure, with its sign, in its own unit."""
    unit = _UNITS.get(name.partition(".")[0])
    if value is None or unit is None:
        return signed(value)
    return _with_sign("\N{MINUS SIGN}" if value < 0 else "+", unit(abs(value)))


def _with_sign(sign: str, text: str) -> str:
    """The sign before the sum; of one too small to write, the mark before both, turned round below zero."""
    if not text.startswith("<"):
        return sign + text
    return (">" if sign == "\N{MINUS SIGN}" else "<") + sign + text[1:]


def percent(value: float | None) -> str:
    """`0.4%`."""
    return NONE if value is None else f"{value * 100:.1f}%"


_UNITS: dict[str, Callable[[float], str]] = {
    "seconds": seconds, "first_token_seconds": seconds, "cost": money, "errors": percent,
}  # fmt: skip


def moment(at: str | int | None) -> datetime | None:
    """A time as the person at this machine reads it (local time zone), from RFC 3339 or nanoseconds."""
    if at is None or at == "":
        return None
    try:
        return datetime.fromisoformat(rfc3339(at) if isinstance(at, int) else at).astimezone()
    except ValueError:
        return None


def when(at: str | int | None) -> str:
    """`14:32:07` today, `22 Nov 14:32` this year, `22 Nov 2025` before."""
    there = moment(at)
    if there is None:
        return NONE
    now = datetime.now().astimezone()
    if there.date() == now.date():
        return there.strftime("%H:%M:%S")
    day = f"{there.day} {there.strftime('%b')}"
    return f"{day} {there.strftime('%H:%M')}" if there.year == now.year else f"{day} {there.year}"


def stamp(at: str | int | None) -> str:
    """RFC 3339, for machines and for whoever hovers."""
    return rfc3339(at) if isinstance(at, int) else at or ""


def said(value: Json) -> str:
    """A value as text: text stays, `{"question": "..."}` with one text in it is that text, the rest is JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        only = next(iter(value.values()))
        if isinstance(only, str):
            return only
    return json.dumps(value, ensure_ascii=False)


def spoken(value: Json) -> str:
    """What a person wrote where a form may have made a verdict of `yes` or `no`."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else said(value)


_MAIN = ("question", "query", "answer", "prompt", "input", "output", "message", "content", "text", "response", "result")
_FIRST_TEXT = re.compile(r'\{"[^"\\]{1,60}": "(?:[^"\\]|\\.)*')


def glance(value: Json) -> str:
    """A preview as text: of several fields the one that is usually the question or the answer.

    What a list keeps of a long value is the beginning of its JSON: then its first text.
    """
    if not (isinstance(value, str) and value.startswith('{"')):
        return said(_main(value))
    cut = _FIRST_TEXT.match(value)
    for text in (value, f'{cut[0]}"}}' if cut else ""):
        try:
            return said(_main(cast("Json", json.loads(text))))
        except ValueError:
            continue
    return value


def _main(value: Json) -> Json:
    fields = value if isinstance(value, dict) else {}
    return next((text for name in _MAIN if isinstance(text := fields.get(name), str) and text), value)


def pretty(value: Json) -> str:
    """JSON over several lines."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def many(n: int, one: str, more: str | None = None) -> str:
    """`1 case`, `12 cases`."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"
