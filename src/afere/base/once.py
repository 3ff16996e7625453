"""Once: what a pure function says of a value that comes again and again, such as the schema of every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
R = TypeVar("R")

_MOST = 64  # values that are remembered


class Once(Generic[V, R]):
    """`function`, computed once for each value. A value is known by being the same object, so it must not be changed."""

    def __init__(self, function: Callable[[V], R]) -> None:
        self._function = function
        self._known: dict[int, tuple[V, R]] = {}  # holding the value keeps its id its own

    def __call__(self, value: V) -> R:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        found = self._function(value)
        if len(self._known) >= _MOST:
            self._known = {}
        self._known[id(value)] = (value, found)
        return found
