"""Stability runs: the list, and one with what each harmless change moved, and the cases that moved most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadReference
from afere.evals.records import records
from afere.evals.stability.report import said_of, stability_record
from afere.server import figures, textdiff, words
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class Listed:
    artifact: Artifact
    said: str
    answer: str


@dataclass(frozen=True, slots=True)
class StabilitiesPage:
    items: tuple[Listed, ...]
    next: str | None

    def to_json(self) -> Json:
        items: list[Json] = [
            {"ref": one.artifact.ref, "at": one.artifact.at, **cast("dict[str, Json]", one.artifact.content)}
            for one in self.items
        ]
        return {"items": items, "next": self.next}


_LINE = 200  # characters of an input in the line of its case


@dataclass(frozen=True, slots=True)
class Held:
    """One measure under one kind of change: numbers as text, and the picture of what is beyond the own spread."""

    said: Mapping[str, Any]
    changed: str
    own: str
    beyond: str
    ends: str
    figure: figures.Interval | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A case: both inputs and both answers, with the words that differ marked; `asked` is the input as it is, for its line."""

    said: Mapping[str, Any]
    asked: str
    inputs: tuple[tuple[textdiff.Bit, ...], tuple[textdiff.Bit, ...]]
    outputs: tuple[tuple[textdiff.Bit, ...], tuple[textdiff.Bit, ...]]


@dataclass(frozen=True, slots=True)
class StabilityPage:
    artifact: Artifact
    record: Mapping[str, Any]
    verdict: str
    held: tuple[Held, ...]
    moved: tuple[Moved, ...]

    @property
    def number(self) -> str:
        return self.artifact.name

    def to_json(self) -> Json:
        about: dict[str, Json] = {"ref": self.artifact.ref, "at": self.artifact.at, "by": self.artifact.by}
        return {**about, **cast("dict[str, Json]", self.record)}


def list_page(session: Session, asked: Asked) -> StabilitiesPage:
    """All stability runs, newest first."""
    found = records(session, "stability", limit=asked.limit, cursor=asked.cursor)
    read = [(one, stability_record(one)) for one in found.items]
    return StabilitiesPage(tuple(Listed(one, said_of(r), r["answer"] or "") for one, r in read), found.next)


def page(session: Session, asked: Asked) -> StabilityPage:
    """One, by its number."""
    number = asked.path["number"]
    if not str(number).isdecimal():
        raise BadReference(f"{number!r} is not the number of a stability run. List them at /stability.")
    artifact = session.get(f"report:{number}", kind="report")
    record = stability_record(artifact)
    held, moved = tuple(map(_held, record["held"])), tuple(map(_moved, record["worst"]))
    return StabilityPage(artifact, record, said_of(record), held, moved)


def _held(one: Mapping[str, Any]) -> Held:
    value, low, high = one["beyond"], one["low"], one["high"]
    known = low is not None and high is not None
    figure = None
    if value is not None and known:
        figure = figures.interval(value, low, high, answer="fail" if one["stands"] else "", limit=0.0)
    ends = f"{words.number(low)} to {words.number(high)}" if known else "too few cases"
    return Held(one, words.number(one["changed"]), words.number(one["own"]), words.number(value), ends, figure)


def _moved(one: Mapping[str, Any]) -> Moved:
    before, after = (_text(value) for value in one["inputs"])
    return Moved(
        one, before[:_LINE], textdiff.words(before, after), textdiff.words(*(_text(value) for value in one["outputs"]))
    )


def _text(value: Json) -> str:
    """Of an input with one part, that part."""
    values = list(value.values()) if isinstance(value, dict) else [value]
    return "\n".join(one if isinstance(one, str) else words.number(one) for one in values)
