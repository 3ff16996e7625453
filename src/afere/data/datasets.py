"""Dataset: immutable versions of rows, and what changed between two of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact, Use, check_name, parse_ref, slug
from afere.base.canonical import Json, canonical
from afere.base.document import schema_problem
from afere.base.errors import BadData, BadReference, NotFound
from afere.data.place import calling_project, session_of, shown
from afere.data.reading import Placed, from_python, read_file
from afere.data.rows import Row, RowProblem, encode, from_line, line, read_row
from afere.data.schema import infer, written
from afere.data.shapes import Reading, Told, shaped

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

_log = logging.getLogger("afere")
_SHOWN = 5  # how many bad rows an error lists; all are counted


@dataclass(frozen=True, slots=True)
class Changed:
    """A row in two versions. `fields` names what differs; the ids differ too if the content gave them."""

    before: Row
    after: Row
    fields: tuple[str, ...]

    def to_json(self) -> Json:
        return {"before": self.before.to_json(), "after": self.after.to_json(), "fields": list(self.fields)}


@dataclass(frozen=True, slots=True)
class Difference:
    """What happened to the rows between two versions."""

    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    changed: tuple[Changed, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def to_json(self) -> Json:
        return {
            "added": [row.to_json() for row in self.added],
            "removed": [row.to_json() for row in self.removed],
            "changed": [change.to_json() for change in self.changed],
        }


@dataclass(slots=True)
class Unusable:
    """Rows that cannot be used: how many, and what is wrong with the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list[str])

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(text)

    def __str__(self) -> str:
        more = f"\n... and {self.count - _SHOWN} more" if self.count > _SHOWN else ""
        return "\n".join(self.first) + more


class Dataset:
    """One version of a dataset. Its rows are read from the store when first asked for."""

    def __init__(
        self, artifact: Artifact, session: Session, rows: tuple[Row, ...] | None = None, reading: Reading | None = None,
        places: Mapping[str, str] | None = None, unusable: Unusable | None = None,
    ) -> None:  # fmt: skip
        self.artifact = artifact
        self.unusable = unusable or Unusable()  # rows that were left out when these were read, just now: see `usable`
        self.reading = (
            reading  # how rows of another tool were read, just now; None for rows of ours, and for kept versions
        )
        self.places = places or {}  # of rows that were read just now: where each was written, by id
        self._session = session
        if rows is not None:
            self.__dict__["rows"] = rows

    @property
    def name(self) -> str:
        return self.artifact.name

    @property
    def ref(self) -> str:
        """`dataset:qa@7`"""
        return self.artifact.ref

    @property
    def hash(self) -> str:
        return self.artifact.hash

    @property
    def schema(self) -> dict[str, Json]:
        """The JSON Schema that all rows fit, as inferred from them."""
        return cast("dict[str, Json]", self._content["schema"])

    @property
    def splits(self) -> dict[str, int]:
        """How many rows each split has."""
        return cast("dict[str, int]", self._content["splits"])

    @property
    def tags(self) -> dict[str, int]:
        """How many rows carry each tag."""
        return cast("dict[str, int]", self._content["tags"])

    @property
    def _content(self) -> dict[str, Json]:
        return cast("dict[str, Json]", self.artifact.content)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        data = self._session.blob(cast("str", self.artifact.blob))
        return tuple(from_line(text) for text in data.splitlines())

    def __len__(self) -> int:
        return cast("int", self._content["count"])

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<{self.ref}: {len(self)} rows>"

    def diff(self, other: Dataset) -> Difference:
        """What changes from this version to `other`.

        Rows are matched by id; of the rest, rows with the same input are one row that changed (an id that content
        gave moves with the content).
        """
        mine, theirs = {row.id: row for row in self.rows}, {row.id: row for row in other.rows}
        pairs = [(row, theirs[row.id]) for row in self.rows if row.id in theirs]
        added = {row.id: row for row in other.rows if row.id not in mine}
        by_input: dict[bytes, list[Row]] = {}
        for row in added.values():
            by_input.setdefault(_input(row), []).append(row)
        removed: list[Row] = []
        for row in self.rows:
            if row.id in theirs:
                continue
            same = by_input.get(_input(row)) if row.input else None
            if same:
                pairs.append((row, added.pop(same.pop(0).id)))
            else:
                removed.append(row)
        changes = [Changed(a, b, _differing(a, b)) for a, b in pairs if a != b]
        return Difference(tuple(added.values()), tuple(removed), tuple(changes))

    def to_json(self) -> Json:
        return self.artifact.to_json()


def _input(row: Row) -> bytes:
    return canonical(row.input)


def _differing(a: Row, b: Row) -> tuple[str, ...]:
    one, two = a.to_json(), b.to_json()
    return tuple(name for name in one if one[name] != two[name])


def dataset(
    source: Dataset | str | Path | Iterable[Mapping[str, object] | Row], *, name: str | None = None,
    schema: Mapping[str, Json] | None = None, shape: Told = None,
) -> Dataset:  # fmt: skip
    """Read rows from a file (.jsonl, .json, .csv, .tsv, .parquet) or from Python, and keep them as a version.

    Rows of other tools are known by their keys (MLflow, Langfuse, LangSmith, Braintrust, DeepEval, Ragas, Inspect, OpenAI chat);
    `shape` says it instead: a name such as `ragas`, `afere` for rows of ours, or a map `{"expected": "answer"}`.

    The same rows again are the same version. A reference such as `dataset:qa@7` gives a version that is kept already.
    `name` is the file's stem unless given. `schema` is a JSON Schema that every row must fit, such as the `schema` of an
    earlier version. BadData lists what is wrong with which row; nothing is kept then.
    """
    return _read_in(source, name, schema, shape)


def usable(source: Dataset | str | Path | Iterable[Mapping[str, object] | Row], *, shape: Told = None) -> Dataset:
    """As `dataset`, for an evaluation: rows that cannot be used are left out and told in `unusable`. BadData where none can."""
    return _read_in(source, None, None, shape, partly=True)


def _read_in(
    source: Dataset | str | Path | Iterable[Mapping[str, object] | Row], name: str | None,
    schema: Mapping[str, Json] | None, shape: Told, *, partly: bool = False,
) -> Dataset:  # fmt: skip
    if isinstance(source, Dataset):
        return source
    project = calling_project()
    session = session_of(project)
    if isinstance(source, str | Path):
        file = project.path(source)
        if isinstance(source, str) and not file.is_file() and (kept := _kept(source, session, project)):
            return kept
        label = shown(file, project.root)
        placed, name = read_file(file, label), name or name_of(file, label)
    else:
        label, placed, name = "the rows given", from_python(source), name or "rows"
    return keep(placed, session, name, label, schema=schema, shape=shape, partly=partly)


def keep(
    placed: Iterable[Placed], session: Session, name: str, label: str, *, schema: Mapping[str, Json] | None = None,
    shape: Told = None, why: str = "", before: Artifact | None = None, after: int | None = None, partly: bool = False,
) -> Dataset:  # fmt: skip
    """Keep rows, with the places they stand at, as a version in a store. BadData as `dataset` raises it.

    `before` is the version that this one was made of by hand, `after` the newest one until now: see `Session.put`.
    `partly`: keep what can be used, see `usable`.
    """
    check_name(name, "dataset")
    placed, reading = shaped(placed, label, shape)
    rows, blob, places, unusable = _checked(placed, label, schema, partly=partly)
    if reading is not None:
        _log.info("%s: %s", label, reading)
    content: dict[str, Json] = {
        "count": len(rows),
        "schema": infer(rows),
        "splits": dict(sorted(Counter(row.split for row in rows if row.split).items())),
        "tags": dict(sorted(Counter(tag for row in rows for tag in row.tags).items())),
    }
    artifact = session.put(
        "dataset", name, content, blob=blob, why=why or f"read from {label}{_as_read(reading)}", after=after,
        uses=[Use("before", before.ref, before.hash)] if before else (),
    )  # fmt: skip
    return Dataset(artifact, session, rows, reading, places, unusable)


def checked_rows(
    placed: Iterable[Placed], label: str, *, partly: bool = False
) -> tuple[tuple[Row, ...], Mapping[str, str]]:
    """Rows of ours with their ids, and where each was written, by id; nothing is kept. BadData as `dataset` raises it.

    `partly`: without those that cannot be used, see `usable`.
    """
    rows, _, places, _ = _checked(placed, label, None, partly=partly)
    return rows, places


def _as_read(reading: Reading | None) -> str:
    return f", as {reading.shape.title} rows" if reading else ""


def _kept(source: str, session: Session, project: Project) -> Dataset | None:
    """The version a reference names; None if the text is rather a path."""
    try:
        ref = parse_ref(source, kind="dataset")
    except BadReference:
        return None
    if Path(source).suffix and not ref.selected:
        return None
    try:
        return Dataset(session.get(ref, kind="dataset"), session)
    except NotFound as problem:
        if source.startswith("dataset:") or ref.selected:
            raise
        raise BadData(f"{source!r} is neither a file of project {project.root} nor a dataset: {problem}") from None


def name_of(file: Path, label: str) -> str:
    """A file's stem as a dataset's name: small letters, with '-' for what a name cannot hold."""
    stem = file.stem
    name = slug(stem)
    name = name if name[:1].isalpha() else f"rows-{name}".rstrip("-")
    if name.endswith(".json"):
        raise BadData(f"{label}: {stem!r} cannot be a dataset's name. Rename the file, or give name=.")
    return name


def _checked(
    placed: Iterable[Placed], label: str, schema: Mapping[str, Json] | None, *, partly: bool
) -> tuple[tuple[Row, ...], bytes, dict[str, str], Unusable]:
    """All rows with their ids, their canonical lines, where each was written, and those left out; BadData that counts the bad
    rows and shows the first, where not a part is wanted or none is good."""
    unusable, total = Unusable(), 0
    read: list[
        tuple[Row, str, dict[str, bytes], str]
    ] = []  # the row, the id its content gives, its encoded fields, its place
    places: dict[str, str] = {}  # an id that was written -> where
    for place, value in placed:
        total += 1
        try:
            row, content_id, parts = _read(value, schema)
        except RowProblem as problem:
            unusable.add(f"{place}: {str(problem).rstrip('.')}.")
            continue
        if row.id and (first := places.setdefault(row.id, place)) is not place:
            unusable.add(f"{place}: id: {row.id!r} already stands at {first}; ids are unique.")
            continue
        read.append((row, content_id, parts, place))
    if unusable.count and not (partly and read):
        raise BadData(f"{label}: {unusable.count} of {total} rows cannot be used; nothing was kept.\n{unusable}")
    if not read:
        raise BadData(f"{label}: the dataset is empty. Write at least one row.")
    taken, rows, lines = set(places), list[Row](), list[bytes]()
    written_at: dict[str, str] = {}
    for row, content_id, parts, place in read:
        named = row if row.id else replace(row, id=_free(content_id, taken))
        rows.append(named)
        lines.append(line(named.id, parts))
        written_at[named.id] = place
    return tuple(rows), b"\n".join(lines) + b"\n", written_at, unusable


def _read(value: object, schema: Mapping[str, Json] | None) -> tuple[Row, str, dict[str, bytes]]:
    """A row, the id its content gives it, and its encoded fields; RowProblem."""
    if isinstance(value, RowProblem):
        raise value
    row = value if isinstance(value, Row) else read_row(value)  # one that was read already is checked
    if schema is not None and (unfit := schema_problem(written(row), schema)):
        raise RowProblem(f"{unfit} (by the schema)")
    return row, *encode(row)


def _free(content_id: str, taken: set[str]) -> str:
    """The id itself; the nth of identical rows gets `-n`."""
    name, nth = content_id, 1
    while name in taken:
        nth += 1
        name = f"{content_id}-{nth}"
    taken.add(name)
    return name
