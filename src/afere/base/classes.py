"""`dataclass` as Python has it, for a program that starts often: what an object needs is made when it is first needed.

Python writes and compiles six functions for each class as it is imported, a millisecond for each; a run imports 160 of them and makes
objects of a third. Here `__init__` is compiled by the first object, and the others are the same functions for all classes.
Fields, `replace`, `fields`, pickling, `match` and signatures are those of Python; a class below another dataclass is made by Python.
"""

from __future__ import annotations

import dataclasses
import sys
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True):
        """`dataclasses.dataclass`, with those of its words that are used here."""
        return _made(cls, frozen, slots, eq) if cls is not None else lambda cls: _made(cls, frozen, slots, eq)


def _made(cls: type[Any], frozen: bool, slots: bool, eq: bool) -> type[Any]:
    if any(map(dataclasses.is_dataclass, cls.__mro__[1:])):
        return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq)(cls)
    own = cls.__dict__
    said: dict[str, Any] = {"__init__": _Init(cls), "__repr__": _repr}
    if eq and "__eq__" not in own:
        said |= {"__eq__": _eq, "__hash__": own.get("__hash__") or (_hash if frozen else None)}
    if frozen:
        said |= {"__setattr__": _frozen, "__delattr__": _frozen}
        if slots:
            said |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, value in said.items():
        if name == "__hash__" or name not in own:
            setattr(cls, name, value)
    silent = cls.__doc__ is None
    if silent:
        cls.__doc__ = cls.__name__  # else Python asks for the signature, to say it
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    if silent:
        made.__doc__ = None
    made.__dataclass_params__.frozen = frozen
    return made


class _Init:
    """Stands for `__init__` until somebody asks for it."""

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    def __set_name__(self, cls: type[Any], _name: str) -> None:  # of the class with slots, which is another
        self._cls = cls

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        made = self._cls.__init__ = _init(self._cls)
        return made.__get__(instance, owner)


class _Factory:
    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()  # the default of a field whose value is made for each object


def _init(cls: Any) -> Callable[..., None]:
    """The function that Python would have made."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_FACTORY": _FACTORY}
    positional, named, body = ["self"], list[str](), list[str]()
    for one in cls.__dataclass_fields__.values():
        name, default, make = one.name, one.default, one.default_factory
        if one._field_type is not dataclasses._FIELD:  # pyright: ignore - a ClassVar
            continue
        value, asked = name, name
        if make is not dataclasses.MISSING:
            known[f"_make_{name}"] = make
            asked = f"{name}=_FACTORY"
            value = f"_make_{name}() if {name} is _FACTORY else {name}" if one.init else f"_make_{name}()"
        elif default is not dataclasses.MISSING:
            known[f"_default_{name}"] = default
            asked = f"{name}=_default_{name}"
            value = name if one.init else f"_default_{name}"
        elif not one.init:
            continue
        if one.init:
            (named if one.kw_only else positional).append(asked)
        body.append(f"_set(self, {name!r}, {value})" if cls.__dataclass_params__.frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    asked = ", ".join([*positional, *(["*", *named] if named else [])])
    text = (
        f"def make({', '.join(known)}):\n def __init__({asked}):\n  "
        + "\n  ".join(body or ["pass"])
        + "\n return __init__"
    )
    exec(text, scope := dict[str, Any](vars(sys.modules[cls.__module__])))  # noqa: S102  our own words, and names of fields
    init = scope["make"](**known)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    fields = [one for one in dataclasses.fields(cls) if one.init]
    init.__annotations__ = {**{one.name: one.type for one in fields}, "return": None}
    return init


@cache
def _key(cls: Any) -> Callable[[Any], tuple[Any, ...]]:
    """What two objects of the class are compared by."""
    names = [one.name for one in dataclasses.fields(cls) if one.compare]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _eq(self: Any, other: object) -> Any:
    cls = self.__class__
    if other.__class__ is not cls:
        return NotImplemented
    key = _key(cls)
    return key(self) == key(other)


def _hash(self: Any) -> int:
    return hash(_key(self.__class__)(self))


@recursive_repr()
def _repr(self: Any) -> str:
    said = [f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr]
    return f"{self.__class__.__qualname__}({', '.join(said)})"


def _frozen(self: Any, name: str, *value: object) -> None:
    """`__setattr__` and `__delattr__`; a class below may have attributes of its own."""
    if name in self.__dataclass_fields__ or "__setattr__" in self.__class__.__dict__:
        raise dataclasses.FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")
    if value:
        object.__setattr__(self, name, *value)
    else:
        object.__delattr__(self, name)


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
