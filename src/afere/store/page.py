"""A page of a list, and the cursor that leads to the next one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from afere.base.canonical import Json
from afere.base.errors import BadInput


class Shown(Protocol):
    """What has a form in JSON, as all that is kept does."""

    def to_json(self) -> Json: ...


T = TypeVar("T", bound=Shown)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, newest first. `next` is the cursor of the following page; None at the end."""

    items: tuple[T, ...]
    next: str | None = None

    def to_json(self) -> Json:
        return {"items": [item.to_json() for item in self.items], "next": self.next}


def read_cursor(cursor: str | None, parts: int) -> tuple[int, ...] | None:
    """The numbers of a cursor that `write_cursor` made."""
    if cursor is None:
        return None
    numbers = cursor.split("-")
    if len(numbers) != parts or not all(number.isdecimal() and len(number) < 20 for number in numbers):
        raise BadInput(f"{cursor!r} is not a cursor. Use `next` of the page before, or leave it out to start again.")
    return tuple(map(int, numbers))


def write_cursor(*numbers: int) -> str:
    """The place of the last item of a page: its sort key, so that new items never shift the next page."""
    return "-".join(map(str, numbers))


def check_limit(limit: int) -> int:
    if limit < 1:
        raise BadInput(f"limit={limit}: ask for at least one item.")
    return limit


def check_keys(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a filter that this list does not have, rather than ignore it."""
    known = sorted(known)
    for key in given:
        if key not in known:
            raise BadInput(f"find({what!r}) cannot be narrowed by {key!r}; only by {', '.join(known)}.")
