"""What a page is asked, and how any page's value becomes JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput

MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of the path and the query of a request; `site` is the address that the server was asked at.

    `patience` is for how many seconds the one who asks waits without a sign; programs wait for the whole.
    """

    path: Mapping[str, Any] = field(default_factory=dict[str, Any])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    site: str = ""
    patience: float | None = None

    def get(self, name: str, default: str = "") -> str:
        """A value of the query."""
        return self.query.get(name, default)

    def number(self, name: str, default: int, *, most: int = MAX_LIMIT) -> int:
        """A whole number of the query, from 0 to `most`, or BadInput."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if not (text.isascii() and text.isdigit()):
            raise BadInput(f"{name}={text!r} in the address: write a whole number.")
        return min(int(text[:20]), most)

    @property
    def limit(self) -> int:
        """How many items; 50 unless told, at least 1."""
        return max(1, self.number("limit", 50))

    @property
    def cursor(self) -> str | None:
        """Where the list goes on."""
        return self.query.get("cursor") or None


def as_json(value: Any) -> Json:
    """A page's value as JSON: what has `to_json` says itself, a dataclass gives its fields."""
    if value is None or isinstance(value, str | int | float):
        return value  # most of a large page
    if hasattr(value, "to_json"):
        return cast("Json", value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(below) for key, below in cast("Mapping[object, Any]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(below) for below in cast("list[Any]", value)]
    return cast("Json", value)
