"""Datasets: the list, and one version with its rows, its schema and what changed since the version before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.project import find_project
from afere.data import Dataset, Row
from afere.govern.rowchecks import AT_ONCE, Checked, checked
from afere.server import textdiff, words
from afere.server.pages.artifacts import Used, users
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.prompts import Listed, listed

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_CHANGES = 50  # shown; all are counted
_OPTIONAL = ("relevant", "tags", "split", "group")


@dataclass(frozen=True, slots=True)
class DatasetsPage:
    items: tuple[Listed, ...]
    next: str | None


def list_page(session: Session, asked: Asked) -> DatasetsPage:
    """All datasets."""
    return DatasetsPage(*listed(session, "dataset", asked))


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that came, went or changed: sign is +, minus or ~; the bits are its expected answer before and after."""

    sign: str
    row: Row
    fields: tuple[str, ...]
    before: tuple[textdiff.Bit, ...]
    after: tuple[textdiff.Bit, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to the rows since the version before."""

    since: str
    added: int
    removed: int
    changed: int
    first: tuple[ChangedRow, ...]


def _details(row: Row) -> dict[str, Json]:
    """What a row holds besides its columns."""
    found: dict[str, Json] = {}
    if row.output is not None:
        found["output"] = row.output
    if row.weight != 1:
        found["weight"] = row.weight
    return {**found, "metadata": row.metadata} if row.input and row.metadata else found


@dataclass(frozen=True, slots=True)
class DatasetPage:
    artifact: Artifact
    count: int
    splits: dict[str, int]
    tags: dict[str, int]
    schema: dict[str, Json]
    rows: tuple[Row, ...]
    offset: int
    limit: int
    versions: tuple[Artifact, ...]
    changes: Changes | None
    used_by: tuple[Used, ...]
    more_users: int
    expected: int
    columns: frozenset[str]  # of those a row need not have, what any row of the version has
    q: str  # what the rows that are shown contain
    found: int  # how many do
    checked: Checked | None  # None: too many rows to check while a page is drawn

    @property
    def tags_said(self) -> list[tuple[str, int]]:
        """The tags to show first: essential, average and edge cases, then the commonest."""
        first = [(name, self.tags[name]) for name in ("essential", "average", "edge") if name in self.tags]
        return [
            *first,
            *sorted(((k, n) for k, n in self.tags.items() if (k, n) not in first), key=lambda one: -one[1]),
        ][:6]

    @property
    def next(self) -> str | None:
        """The offset of the following page."""
        after = self.offset + self.limit
        return str(after) if after < self.found else None

    @property
    def verdict(self) -> str:
        """What it holds, in a sentence."""
        answers = (
            "all with an expected answer"
            if self.expected == self.count
            else f"{self.expected:,} with an expected answer"
        )
        parts = [f"{words.many(self.count, 'row')}, {answers}"]
        if self.changes:
            new = self.changes
            parts.append(f"since {new.since}: {new.added} added, {new.changed} changed, {new.removed} removed")
        if self.checked and (found := len(self.checked.of("error")) + len(self.checked.of("warning"))):
            parts.append(f"{words.many(found, 'check')} {'finds' if found == 1 else 'find'} something")
        return "; ".join(parts) + "."

    @property
    def shown(self) -> tuple[tuple[Row, dict[str, Json]], ...]:
        """The rows of this page, each with what it holds besides its columns."""
        return tuple((row, _details(row)) for row in self.rows)

    def to_json(self) -> Json:
        return {
            "artifact": self.artifact.to_json(), "count": self.count, "splits": dict(self.splits), "tags": dict(self.tags),
            "schema": self.schema, "q": self.q, "found": self.found, "items": [row.to_json() for row in self.rows], "next": self.next,
            "changes": as_json(self.changes), "used_by": as_json(self.used_by), "checked": as_json(self.checked),
        }  # fmt: skip


def page(session: Session, asked: Asked) -> DatasetPage:
    """The newest version or the one in the path; `?cursor=` is the number of the first row shown."""
    name, version = str(asked.path["name"]), asked.path.get("version")
    artifact = session.get(f"dataset:{name}@{version}" if version else f"dataset:{name}")
    data = Dataset(artifact, session)
    cursor = asked.cursor or "0"
    if not (cursor.isascii() and cursor.isdigit()):
        raise BadInput(f"cursor={cursor!r}: it is the `next` of the page before.")
    offset = int(cursor[:12])
    q = asked.get("q").strip()
    shown = [row for row in data.rows if _has(row, q.casefold())] if q else data.rows
    versions = session.find("artifacts", kind="dataset", name=name, limit=100).items
    used, more = users(session, artifact.ref)
    return DatasetPage(
        artifact, len(data), data.splits, data.tags, data.schema, tuple(shown[offset : offset + asked.limit]), offset, asked.limit,
        versions, _changes(session, artifact, data), used, more, sum(row.expected is not None for row in data.rows),
        frozenset(name for name in _OPTIONAL if any(getattr(row, name) for row in data.rows)),
        q, len(shown), checked(data, session, find_project(session.folder), most=AT_ONCE),
    )  # fmt: skip


def _has(row: Row, text: str) -> bool:
    """Whether a row says this, in any field."""
    return text in json.dumps(row.to_json(), ensure_ascii=False).casefold()


def _changes(session: Session, artifact: Artifact, data: Dataset) -> Changes | None:
    if artifact.version < 2:
        return None
    before = Dataset(session.get(f"dataset:{artifact.name}@{artifact.version - 1}"), session)
    found = before.diff(data)
    rows = [
        *(ChangedRow("+", row, (), (), _bits(row.expected)) for row in found.added[:_CHANGES]),
        *(
            ChangedRow(
                "~",
                one.after,
                one.fields,
                *textdiff.words(words.said(one.before.expected), words.said(one.after.expected)),
            )
            for one in found.changed[:_CHANGES]
        ),
        *(ChangedRow("\N{MINUS SIGN}", row, (), _bits(row.expected), ()) for row in found.removed[:_CHANGES]),
    ]
    return Changes(
        f"@{before.artifact.version}", len(found.added), len(found.removed), len(found.changed), tuple(rows[:_CHANGES])
    )


def _bits(value: Json) -> tuple[textdiff.Bit, ...]:
    return (textdiff.Bit(words.said(value), changed=True),) if value is not None else ()
