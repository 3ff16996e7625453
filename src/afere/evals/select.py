"""Which rows a filter keeps: `tag:edge`, `split:test`, `group:session-9`, `id:e-*`, words of the input; `-` leaves out."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Set
from fnmatch import fnmatchcase
from typing import TypeVar

from afere.base.canonical import canonical
from afere.base.filter import Term, Type, parse_filter
from afere.data import Row

T = TypeVar("T")
FIELDS: dict[str, Type] = {
    "tag": "text", "split": "text", "group": "text", "id": "text", "text": "text", "weight": "count",
}  # fmt: skip
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, ":": operator.eq,
}  # fmt: skip

KINDS_OF_CASES = ("essential", "average", "edge")  # tags whose rows are always reported apart, in this order


def in_order(slices: Mapping[str, T]) -> dict[str, T]:
    """Slices as they are shown: those of essential, average and edge cases first."""
    first = [text for tag in KINDS_OF_CASES if (text := f'tag:"{tag}"') in slices]
    return {text: slices[text] for text in dict.fromkeys([*first, *slices])}


def rows_where(text: str, rows: Mapping[str, Row]) -> Set[str]:
    """The ids of the rows that a filter keeps. `attr.KEY` asks the row's metadata. BadRule points at what is wrong."""
    terms = parse_filter(text, fields=FIELDS).terms
    return {id_ for id_, row in rows.items() if all(_holds(term, row) != term.negated for term in terms)}


def _holds(term: Term, row: Row) -> bool:
    if term.field == "weight":
        return _COMPARE[term.op](row.weight, term.number or 0.0)
    if term.field == "text":
        said = canonical([row.input, row.metadata]).decode().casefold()
        return term.value.casefold() in said
    if term.field.startswith("attr."):
        value = row.metadata.get(term.field.removeprefix("attr."))
        if term.op != ":":
            number = isinstance(value, int | float) and term.number is not None
            return number and _COMPARE[term.op](float(value), term.number)  # pyright: ignore[reportArgumentType] - checked above
        return value is not None and _fits(term, str(value))
    values = {"tag": row.tags, "split": (row.split,), "group": (row.group,), "id": (row.id,)}[term.field]
    return any(value is not None and _fits(term, value) for value in values)


def _fits(term: Term, value: str) -> bool:
    return fnmatchcase(value, term.value.replace("[", "[[]")) if term.glob else value == term.value
