"""What a prompt shows from data: examples and knowledge snippets, as rows of a dataset file or of a kept version.

One mechanism for both. A row may say where it stands in its life: `status` (draft, active or approved, retired), `expires`
and `review` (a day), `owner`. Only rows in use are shown. What they say is copied into the prompt's content, of which its
hash is made; an edge to the dataset's version says where it was copied from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Use
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, now_ns, today
from afere.base.errors import AfereError, BadPrompt, NotFound
from afere.base.project import Project
from afere.chains.template import nearest, stamp
from afere.data.datasets import Dataset, checked_rows, keep, name_of
from afere.data.place import session_of, shown
from afere.data.reading import read_file
from afere.data.rows import Row, RowProblem, read_row, short

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

EXAMPLES = "examples"
_SNIPPET = "snippet "
_STATUSES = ("draft", "active", "approved", "retired")
_DAYS = ("expires", "review")


@dataclass(frozen=True, slots=True)
class Unused:
    """A row that is not shown, and why: draft, retired, or expired on a day."""

    row: str
    why: str
    owner: str | None = None

    def __str__(self) -> str:
        return f"{self.row} ({self.why}{f', owner {self.owner}' if self.owner else ''})"


@dataclass(frozen=True)
class Source:
    """The rows of a dataset that a prompt takes: `role` is `examples`, or `snippet NAME`.

    `said` is what the prompt's file says at `place` (`file:line`), `label` how people call the dataset. It is a `file`, read
    when it had that `stamp`, or a version that is `kept`. `values` are what the rows in use on that `day` say.
    """

    role: str
    said: str
    place: str
    label: str
    rows: tuple[Row, ...]
    day: str
    values: tuple[Json, ...]
    file: Path | None = None
    stamp: tuple[int, int] = (0, 0)
    kept: Artifact | None = None

    @property
    def field(self) -> str:
        """As the prompt's file and content call it: `examples`, `snippets.terms`."""
        return field_of(self.role)

    @property
    def dataset(self) -> str:
        """The name under which the rows are kept."""
        return self.kept.name if self.kept else name_of(cast("Path", self.file), self.label)

    @cached_property
    def used(self) -> tuple[Row, ...]:
        """The rows in use."""
        return tuple(row for row in self.rows if why_unused(row, self.day) is None)

    @cached_property
    def unused(self) -> tuple[Unused, ...]:
        """The others, with the reason."""
        found = ((row, why_unused(row, self.day)) for row in self.rows)
        return tuple(Unused(row.id, why, said_of(row, "owner")) for row, why in found if why is not None)

    @property
    def until(self) -> float | None:
        """When the first of the rows in use expires, in seconds since 1970."""
        days = [day for row in self.used if (day := said_of(row, "expires"))]
        return from_rfc3339(min(days)) / 1e9 if days else None

    @property
    def named(self) -> list[Json]:
        """The values, each saying which row it is (`dataset:shots@3/e-1`, `data/shots.jsonl/e-1`), where not all are shown."""
        pairs = cast("tuple[dict[str, Json], ...]", self.values)
        source = self.kept.ref if self.kept else self.said
        return [{**pair, "row": f"{source}/{row.id}"} for pair, row in zip(pairs, self.used, strict=True)]

    @property
    def overdue(self) -> tuple[Row, ...]:
        """The rows in use whose day to be looked at again has come."""
        return tuple(row for row in self.used if (day := said_of(row, "review")) and day <= self.day)

    def use(self, session: Session) -> Use | None:
        """The edge to the version of the dataset, which is made where there is none; None for a version not known there."""
        if self.kept is None:
            placed = ((self.label, short(row)) for row in self.rows)
            made = keep(placed, session, self.dataset, self.label, shape="afere").artifact
        else:
            try:
                made = session.get(self.kept.hash)
            except NotFound:
                return None
        return Use(self.role, made.ref, made.hash)


def read_source(role: str, said: str, place: str, prompt: Path, project: Project) -> Source:
    """The rows of a dataset file (from the project's root, or beside the prompt) or reference. BadPrompt begins with `place`."""
    day, field = today(now_ns()), field_of(role)
    try:
        if (file := _file(said, prompt.parent, project)) is not None:
            seen, label = stamp(file), shown(file, project.root)
            rows, places = checked_rows(read_file(file, label), label)
            values = _values(rows, role, day, places)
            return Source(role, said, place, label, rows, day, values, file, seen)
        return kept_source(role, said, place, session_of(project))
    except AfereError as problem:
        raise _placed(problem, f"{place}: {field}: ") from None


def kept_source(role: str, said: str, place: str, session: Session) -> Source:
    """As `read_source`, of a version in the store: no file is read."""
    day, field = today(now_ns()), field_of(role)
    try:
        kept = Dataset(session.get(said, kind="dataset"), session)
        values = _values(kept.rows, role, day, {row.id: f"{kept.ref}: row {row.id}" for row in kept.rows})
    except AfereError as problem:
        raise _placed(problem, f"{place}: {field}: ") from None
    return Source(role, said, place, kept.ref, kept.rows, day, values, kept=kept.artifact)


def _placed(problem: AfereError, place: str) -> BadPrompt:
    return BadPrompt(f"{place}{str(problem).removeprefix(place)}")


def field_of(role: str) -> str:
    """As the prompt's file and content call it: `examples`, `snippets.terms`."""
    return f"snippets.{role.removeprefix(_SNIPPET)}" if role.startswith(_SNIPPET) else role


def snippet(name: str) -> str:
    """The role of the rows of a snippet."""
    return f"{_SNIPPET}{name}"


def held(content: Json, role: str) -> list[Json]:
    """What a prompt's content shows in a role."""
    said: Json = content
    for key in field_of(role).split("."):
        said = said.get(key) if isinstance(said, dict) else None
    if role == EXAMPLES:
        pairs = said.get("data") if isinstance(said, dict) else said
        return [without_row(pair) for pair in pairs] if isinstance(pairs, list) else []
    return said if isinstance(said, list) else []


def without_row(pair: Json) -> Json:
    """A pair without the name of the row that it is."""
    return {name: value for name, value in pair.items() if name != "row"} if isinstance(pair, dict) else pair


def rows_held(content: Json, role: str, rows: Iterable[Row]) -> list[Row]:
    """Those of the rows that a prompt's content shows in a role."""
    values, found = held(content, role), list[Row]()
    for row in rows:
        try:
            if value_of(row, role) in values:
                found.append(row)
        except RowProblem:
            continue
    return found


def value_of(row: Row, role: str) -> Json:
    """What a row says as an example (a pair of input and output) or as a snippet (a text). RowProblem if it says nothing."""
    if role.startswith(_SNIPPET):
        text = row.metadata.get("text", row.input.get("text"))
        if text is None and len(row.input) == 1:
            (text,) = row.input.values()
        if not isinstance(text, str) or not text.strip():
            raise RowProblem('a snippet needs a text: {"id": "t-1", "text": "..."}')
        return text
    output = row.output if row.output is not None else row.expected
    if not row.input or output is None:
        raise RowProblem("an example needs an input and an output (or expected)")
    text = row.input.get("input")
    return {"input": text if list(row.input) == ["input"] and isinstance(text, str) else row.input, "output": output}


def why_unused(row: Row, day: str) -> str | None:
    """Why a row is not shown on a day (`2026-11-22`); None for one in use. RowProblem for a status or day that is none."""
    status = row.metadata.get("status")
    if status is not None and status not in _STATUSES:
        hint = nearest(str(status), _STATUSES)
        raise RowProblem(f"status: {str(status)[:40]!r} is none of {', '.join(_STATUSES)}.{hint}".removesuffix("."))
    for name in _DAYS:
        said_of(row, name)
    if status in ("draft", "retired"):
        return str(status)
    expires = said_of(row, "expires")
    return f"expired on {expires}" if expires and expires <= day else None


def said_of(row: Row, name: str) -> str | None:
    """What a row says of its life under a name: its owner, or a day as `2026-11-22`. RowProblem for a day that is none."""
    said = row.metadata.get(name)
    if said is None or said == "":
        return None
    if name not in _DAYS:
        return str(said)
    try:
        return date.fromisoformat(str(said)[:10]).isoformat()
    except ValueError:
        raise RowProblem(f"{name}: {str(said)[:40]!r} is not a day such as 2026-12-31") from None


def read_rows(source: str, place: str, beside: Path, project: Project) -> list[tuple[str, Row]]:
    """The rows of a dataset file (from the project's root, or from the folder `beside`) or reference, each with the words
    that name it in an error. BadPrompt begins with `place`."""
    if (file := _file(source, beside, project)) is not None:
        return [(f"{file}: row {number}", row) for number, row in enumerate(_rows(file), start=1)]
    try:
        kept = _kept(source, project)
    except AfereError as problem:
        raise BadPrompt(f"{place}: {problem}") from None
    return [(f"{kept.ref}: row {row.id}", row) for row in kept.rows]


def _file(source: str, beside: Path, project: Project) -> Path | None:
    for file in (project.path(source), beside / source):
        if file.is_file():
            return file
    if "/" in source or (Path(source).suffix and "@" not in source):
        raise BadPrompt(f"there is no file {source!r} in {project.root} or {beside}.")
    return None


def _kept(source: str, project: Project) -> Dataset:
    session = session_of(project)
    return Dataset(session.get(source, kind="dataset"), session)


def _values(rows: Iterable[Row], role: str, day: str, places: Mapping[str, str]) -> tuple[Json, ...]:
    found: list[Json] = []
    for row in rows:
        try:
            if why_unused(row, day) is None:
                found.append(value_of(row, role))
        except RowProblem as problem:
            end = "" if str(problem).endswith("?") else "."  # did you mean ...?
            raise BadPrompt(f"{places[row.id]}: {problem}{end}") from None
    return tuple(found)


def _rows(file: Path) -> list[Row]:
    rows: list[Row] = []
    for where, value in read_file(file, str(file)):
        try:
            if isinstance(value, RowProblem):
                raise value
            rows.append(read_row(value))
        except RowProblem as problem:
            raise BadPrompt(f"{where}: {problem}.") from None
    return rows
