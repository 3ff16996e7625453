"""The text of a live value: of what is bound into this chain object and can be read nowhere else.

By type and value, never by `repr` (it holds addresses) and never by pickle (it is not deterministic). Functions,
classes, prompts and modules found inside a value are handed to a `Follow`, which reaches them in turn.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import pathlib
import re
import types
import uuid
from collections.abc import Mapping
from typing import Any, Protocol, cast

from afere.chains.revision.canonical_form import is_secret, keyed, literal

_LONG = 200
_TOO_LONG = 2000
_PLAIN = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID, range)
_STATELESS = frozenset({"_thread.lock", "_thread.RLock", "logging.Logger", "threading.Condition", "threading.Event"})


class Follow(Protocol):
    """What to do with things inside a value that are defined somewhere."""

    def function(self, value: types.FunctionType) -> str: ...
    def type_(self, value: type) -> str: ...
    def module(self, value: types.ModuleType) -> str: ...
    def special(self, value: object, name: str) -> str | None: ...  # objects of afere; None: not one
    def path(self, value: str) -> str: ...
    def ours(self, value: type) -> bool: ...  # whether a type is of the project
    def note(self, text: str) -> None: ...


def value_text(value: object, name: str, follow: Follow) -> str:
    """The canonical text of a value. `name` is what holds it; under a name such as `api_key`, text is a secret."""
    return _Describer(follow).text(value, name)


def shortened(text: str) -> str:
    """A long text of a value by its beginning and digest."""
    if len(text) <= _TOO_LONG:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_LONG]}... {len(text)} characters sha256:{digest}"


class _Describer:
    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._around: list[int] = []  # ids of the objects we are inside of

    def text(self, value: object, name: str) -> str:
        if isinstance(value, str) and not isinstance(value, enum.Enum):
            return _of_text(str(value), name)
        if value is None or type(value) in (bool, int, float, complex, bytes) or value is ...:
            return literal(value)
        if id(value) in self._around:
            return "itself"
        self._around.append(id(value))
        try:
            return self._compound(value, name)
        finally:
            self._around.pop()

    def _compound(self, value: object, name: str) -> str:
        for kinds, describe in self._DESCRIBERS:
            if isinstance(value, kinds):
                return describe(self, value, name)
        special = self._follow.special(value, name)
        return special if special is not None else self._object(value, name)

    def _mapping(self, value: Mapping[object, object], _: str) -> str:
        held = list(value.items())  # others may change it meanwhile
        items = [f"{self.text(key, '')}: {self.text(one, str(key))}" for key, one in held]
        return "{" + ", ".join(items) + "}"

    def _list(self, value: list[object], name: str) -> str:
        return "[" + ", ".join(self.text(item, name) for item in value) + "]"

    def _tuple(self, value: tuple[object, ...], name: str) -> str:
        return "(" + "".join(self.text(item, name) + ", " for item in value) + ")"

    def _set(self, value: frozenset[object], name: str) -> str:
        return "{" + ", ".join(sorted(self.text(item, name) for item in value)) + "}"

    def _enum(self, value: enum.Enum, _: str) -> str:
        return f"{self.text(type(value), '')}.{value.name}"

    def _path(self, value: pathlib.PurePath, _: str) -> str:
        return f"path {self._follow.path(str(value))}"

    def _pattern(self, value: re.Pattern[Any], _: str) -> str:
        return f"pattern {literal(value.pattern)} flags {int(value.flags)}"

    def _simple(self, value: object, _: str) -> str:
        return f"{type(value).__name__}({value})"

    def _partial(self, value: functools.partial[Any], _: str) -> str:
        words = ", ".join(f"{key}={self.text(held, key)}" for key, held in sorted(value.keywords.items()))
        return f"partial({self.text(value.func, '')}, {self._tuple(value.args, '')}, {words})"

    def _method(self, value: types.MethodType, _: str) -> str:
        return f"method {value.__name__} of {self.text(value.__self__, '')}"

    def _builtin(self, value: types.BuiltinFunctionType, _: str) -> str:
        return f"{value.__module__ or 'builtins'}.{value.__qualname__}"

    def _function(self, value: types.FunctionType, _: str) -> str:
        return self._follow.function(value)

    def _class(self, value: type, _: str) -> str:
        return self._follow.type_(value)

    def _module(self, value: types.ModuleType, _: str) -> str:
        return self._follow.module(value)

    def _object(self, value: object, name: str) -> str:
        kind = type(value)
        known = f"{kind.__module__}.{kind.__qualname__}"
        if self._follow.ours(kind) or dataclasses.is_dataclass(kind):
            fields = _fields(value)
            inside = ", ".join(f"{key}={self.text(held, key)}" for key, held in sorted(fields.items()))
            return f"{self.text(kind, '')}({inside})"
        digest = _buffer_digest(value)
        if digest is not None:
            return f"{known} {digest}"
        wrapped = getattr(value, "__wrapped__", None)
        if callable(wrapped):
            return f"{known}({self.text(wrapped, name)})"
        if known not in _STATELESS:
            self._follow.note(f"{name or 'a value'} is a {known}; of it only the type counts")
        return known

    _DESCRIBERS: tuple[tuple[Any, Any], ...] = (
        (enum.Enum, _enum),
        (types.FunctionType, _function),
        (types.MethodType, _method),
        ((types.BuiltinFunctionType, types.MethodDescriptorType), _builtin),
        (type, _class),
        (types.ModuleType, _module),
        (functools.partial, _partial),
        (Mapping, _mapping),
        (list, _list),
        (tuple, _tuple),
        ((set, frozenset), _set),
        (pathlib.PurePath, _path),
        (re.Pattern, _pattern),
        (_PLAIN, _simple),
    )


def _of_text(text: str, name: str) -> str:
    if is_secret(name, text):
        return f"secret {keyed(text)}"
    if len(text) <= _LONG:
        return literal(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"text of {len(text)} characters sha256:{digest}"


def _fields(value: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for kind in type(value).__mro__:
        slots = cast("tuple[str, ...] | str", kind.__dict__.get("__slots__", ()))
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                found[slot] = getattr(value, slot)
    found.update(getattr(value, "__dict__", {}))
    return found


def _buffer_digest(value: object) -> str | None:
    """Type, shape and digest of an array's memory."""
    if isinstance(value, bytes | bytearray):
        return "sha256:" + hashlib.sha256(value).hexdigest()
    try:
        view = memoryview(cast("Any", value))
    except TypeError:
        return None
    return f"{view.format} {view.shape} sha256:{hashlib.sha256(view.tobytes()).hexdigest()}"
