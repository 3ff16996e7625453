"""Values of the user's program as plain JSON: copied at once, bounded, and without running code of the values."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid
from collections.abc import Callable, Mapping, Set
from typing import Any, cast

from afere.base.canonical import Json

TEXT = 32_768  # characters of one text
WHOLE = 262_144  # characters of one captured value
ITEMS = 1_000  # entries of one list or mapping
DEPTH = 16

_AS_TEXT = (
    datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, pathlib.PurePath,
)  # fmt: skip


class Capture:
    """One captured value: `.value` is plain JSON, `.cut` whether something was left out, `.size` about how many characters."""

    __slots__ = ("cut", "size", "value")

    def __init__(self, value: object) -> None:
        self.size = 0
        self.cut = False
        self.value = self._copy(value, 0)

    def _copy(self, value: object, depth: int) -> Json:
        scalar = _SCALARS.get(type(value))
        if scalar is not None:
            return scalar(self, value)
        if self.size > WHOLE or depth > DEPTH:
            self.cut = True
            return f"(cut: {describe(value)})"
        try:
            for types, copier in _OTHERS:
                if isinstance(value, types):
                    return copier(self, value, depth)
            fields = _fields(value)
            return describe(value) if fields is None else self._mapping(fields, depth)
        except Exception:  # a value that changes while it is read, or whose own code fails
            return describe(value)

    def _same(self, value: Any) -> Json:
        self.size += 5
        return value

    def _int(self, value: int) -> Json:
        self.size += 8
        # Python refuses to write integers of thousands of digits, and takes long for large ones.
        return value if value.bit_length() < 4096 else f"(integer of {value.bit_length()} bits)"

    def _float(self, value: float) -> Json:
        self.size += 8
        return value if math.isfinite(value) else str(value)

    def _text(self, text: str) -> str:
        room = min(TEXT, max(WHOLE - self.size, 0))
        if len(text) > room:
            self.cut = True
            self.size += room
            return f"{text[:room]}… (cut: {len(text)} characters in all)"
        self.size += len(text) + 2
        return text

    def _mapping(self, value: Mapping[Any, object], depth: int) -> Json:
        copy: dict[str, Json] = {}
        for key, item in value.items():
            if len(copy) >= ITEMS or self.size > WHOLE:
                self.cut = True
                copy["…"] = f"(cut: {len(value)} entries in all)"
                break
            name = key if type(key) is str else str(key) if isinstance(key, str | int | float) else describe(key)
            self.size += len(name) + 4
            copy[name] = self._copy(item, depth + 1)
        return copy

    def _list(self, value: list[object] | tuple[object, ...], depth: int) -> Json:
        copy: list[Json] = []
        for item in value:
            if len(copy) >= ITEMS or self.size > WHOLE:
                self.cut = True
                copy.append(f"(cut: {len(value)} entries in all)")
                break
            self.size += 2
            copy.append(self._copy(item, depth + 1))
        return copy

    def _set(self, value: Set[object], depth: int) -> Json:
        return self._list(list(value), depth)


_SCALARS: dict[type, Callable[[Capture, Any], Json]] = {
    str: Capture._text,
    int: Capture._int,
    float: Capture._float,
    bool: Capture._same,
    type(None): Capture._same,
}
# In this order; of subclasses the plain value is taken by the base type's own code, never by theirs.
_OTHERS: tuple[tuple[type | tuple[type, ...], Callable[[Capture, Any, int], Json]], ...] = (
    (dict, Capture._mapping),
    ((list, tuple), Capture._list),
    (enum.Enum, lambda capture, value, depth: capture._copy(value.value, depth + 1)),
    (str, lambda capture, value, _: capture._text(str.__str__(value))),
    (int, lambda capture, value, _: capture._int(int.__int__(value))),
    (float, lambda capture, value, _: capture._float(float.__float__(value))),
    (_AS_TEXT, lambda capture, value, _: capture._text(str(value))),
    (Set, Capture._set),
)


def _fields(value: object) -> dict[str, object] | None:
    """The fields of a record (dataclass, pydantic model), read without running its code; None for other objects."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind)}
    if hasattr(kind, "__pydantic_fields__") or hasattr(kind, "model_fields"):
        return dict(vars(value))
    return None


def describe(value: object) -> str:
    """What an object is, in a few words; never its own `repr`, which may be slow, fail, or hold secrets."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        if isinstance(value, bytes | bytearray):
            return f"({name}: {len(value)} bytes)"
        if isinstance(value, BaseException):
            return failure(value)
        if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
            named = cast("Any", value)
            return f"({name} {named.__module__}.{named.__qualname__})"
        shape = getattr(value, "shape", None) if "shape" in dir(kind) else None
        if isinstance(shape, tuple):
            sizes = " x ".join(str(int(size)) for size in cast("tuple[int, ...]", shape))
            return f"({name}: {sizes})"
    except Exception:  # whatever the object's own attributes do, it still has a type
        return f"({name})"
    return f"({name})"


def failure(error: BaseException) -> str:
    """`ValueError: the message`, at most 2,000 characters, also where the error's own `__str__` fails."""
    try:
        text = str(error)
    except Exception:  # the error's own code
        text = "(its message could not be read)"
    name = type(error).__qualname__
    return f"{name}: {text[:2000]}" if text else name
