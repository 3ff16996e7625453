"""Statistics of spans in groups: how many, how many failed, how long they took, what they cost. As `afere stats` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, BadRule
from afere.base.filter import FIELDS, parse_filter
from afere.evals.stats import wilson
from afere.server.pages.asked import Asked
from afere.server.pages.traces import Period, chip, periods

if TYPE_CHECKING:
    from afere.store import Session

BY = (
    "model",
    "chain",
    "component",
    "version",
    "prompt",
    "kind",
    "user",
    "environment",
    "hour",
    "day",
)  # offered; others may be asked
_SHOWN = 200  # groups on a page; JSON has all


@dataclass(frozen=True, slots=True)
class Group:
    """One row of the spans that match `query`, in groups by these fields."""

    value: dict[str, Json]
    by: tuple[str, ...]
    query: str

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Its values of `by`, each with a filter that finds its traces, or nothing where none can."""
        return tuple(self._name(name, self.value[name]) for name in self.by)

    def _name(self, name: str, value: Json) -> tuple[str, str]:
        if value is None:
            return "none", ""
        return str(value), f"{self.query} {chip(name, str(value))}".strip() if name in FIELDS else ""

    @property
    def errors(self) -> float:
        """The share that failed."""
        return cast("int", self.value["errors"]) / max(cast("int", self.value["count"]), 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Of that share, 90%."""
        return wilson(cast("int", self.value["errors"]), max(cast("int", self.value["count"]), 1))


@dataclass(frozen=True, slots=True)
class StatsPage:
    query: str
    by: str
    groups: tuple[Group, ...] = ()
    periods: tuple[Period, ...] = ()
    problem: str = ""
    status: int = 200
    offered: tuple[str, ...] = BY

    @property
    def shown(self) -> tuple[Group, ...]:
        """What a page holds of them."""
        return self.groups[:_SHOWN]

    @property
    def count(self) -> int:
        """Spans in all."""
        return sum(cast("int", one.value["count"]) for one in self.groups)

    def to_json(self) -> Json:
        return {"items": [one.value for one in self.groups], "next": None}


def page(session: Session, asked: Asked) -> StatsPage:
    """Spans that match `?q=` in groups by `?by=`, one field or several with commas; a day by model unless told."""
    query, by = asked.get("q", "since:24h").strip(), asked.get("by", "model")
    names = [name.strip() for name in by.split(",") if name.strip()]
    try:
        rows = session.spans.stats(query, by=names)
    except (BadRule, BadInput) as problem:
        return StatsPage(query, by, problem=str(problem), status=400)
    found = tuple(Group(row, tuple(names), query) for row in rows if row["count"])
    return StatsPage(query, by, found, periods(parse_filter(query).terms))
