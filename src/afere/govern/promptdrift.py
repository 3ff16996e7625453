"""Drift of what prompts show from data: the rows of a dataset by now, against those that a version of a prompt shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.artifact import Use, copied, parse_ref
from afere.base.canonical import Json
from afere.base.clock import now_ns, today
from afere.base.errors import NotFound
from afere.chains.shots import field_of, held, rows_held, said_of, value_of, why_unused
from afere.data import Dataset
from afere.data.rows import Row, RowProblem

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.chains.prompt import Prompt
    from afere.store import Session

_NAMED = 3  # rows that a sentence names


@dataclass(frozen=True, slots=True)
class Drift:
    """What a version of a prompt shows, and what its dataset says by now: ids of rows that changed, that are gone, that are
    no longer in use (with the reason), and that are new.

    `used` is the version of the dataset that was copied from, `now` the newest one or the file. `follows`: the prompt's file
    has the new rows already, so that a push is all it takes. `since`: when the newest version was made (RFC 3339), or the
    first day on which a row had expired; None where only a file knows.
    """

    prompt: str
    field: str
    used: str
    now: str
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    unused: tuple[str, ...]
    added: tuple[str, ...]
    action: str
    follows: bool
    since: str | None = None

    @property
    def says(self) -> str:
        """In a sentence, with the first rows by name."""
        parts = [
            f"{len(rows)} {what}: {', '.join(rows[:_NAMED])}{', ...' if len(rows) > _NAMED else ''}"
            for rows, what in (
                (self.changed, "changed"), (self.gone, "gone"), (self.unused, "no longer in use"), (self.added, "new"),
            )
            if rows
        ]  # fmt: skip
        return f"{self.prompt} shows rows of {self.used} as {self.field}; by {self.now}, {'; '.join(parts)}."

    def to_json(self) -> dict[str, Json]:
        return {
            "prompt": self.prompt, "field": self.field, "used": self.used, "now": self.now, "changed": list(self.changed),
            "gone": list(self.gone), "unused": list(self.unused), "added": list(self.added), "since": self.since,
            "action": self.action,
        }  # fmt: skip


def drifts(session: Session, version: Artifact, written: Prompt | None = None) -> list[Drift]:
    """How far each dataset that a version of a prompt shows has gone on. `written` is the prompt as its file says it now."""
    found = (_drift(session, version, use, written) for use in version.uses if copied(use.role))
    return [one for one in found if one is not None]


def newest_drifts(session: Session, until: str) -> Iterator[tuple[str, Drift]]:
    """The drift of the newest version of every prompt against the kept datasets, by the prompt's name; of those made until a
    time (RFC 3339)."""
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="prompt", latest=True, limit=500, cursor=cursor)
        for version in page.items:
            if version.at <= until:
                yield from ((version.name, one) for one in drifts(session, version))
        if (cursor := page.next) is None:
            return


def _drift(session: Session, version: Artifact, use: Use, written: Prompt | None) -> Drift | None:
    try:
        old = Dataset(session.get(use.hash), session)
    except NotFound:
        return None
    source = next((one for one in written.sources if one.role == use.role), None) if written else None
    if source is not None and source.file is not None:
        rows, now, made = source.rows, source.label, None
    else:
        newest = Dataset(session.get(f"dataset:{source.dataset if source else old.name}"), session)
        rows, now, made = newest.rows, newest.ref, newest.artifact.at if newest.hash != old.hash else None
    shown = rows_held(version.content, use.role, old.rows)
    changed, gone, unused, since = _lost(shown, {row.id: row for row in rows}, use.role)
    added = _added(rows, {row.id for row in shown}, held(version.content, use.role), use.role)
    if not (changed or gone or unused or added):
        return None
    follows = source is not None and (source.file is not None or not parse_ref(source.said, kind="dataset").selected)
    return Drift(
        version.ref, field_of(use.role), old.ref, now, changed, gone, unused, added,
        _action(version, written, field_of(use.role), now.removeprefix("dataset:"), follows=follows), follows, made or since,
    )  # fmt: skip


def _lost(
    shown: Iterable[Row], rows: Mapping[str, Row], role: str
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str | None]:
    """(changed, gone, no longer in use, the first day on which one had expired) of the rows that are shown."""
    changed, gone, unused, days = list[str](), list[str](), list[str](), list[str]()
    values = [_value(row, role) for row in rows.values()]
    for row in shown:
        other = rows.get(row.id)
        if other is None:
            if _value(row, role) not in values:  # an id that the content gave moves with it
                gone.append(row.id)
            continue
        why = _unused(other)
        if why is not None:
            unused.append(f"{row.id} ({why})")
            days += [day] if why.startswith("expired") and (day := said_of(other, "expires")) else []
        elif _value(other, role) != _value(row, role):
            changed.append(row.id)
    return tuple(changed), tuple(gone), tuple(unused), min(days, default=None)


def _added(rows: Iterable[Row], known: set[str], values: Sequence[Json], role: str) -> tuple[str, ...]:
    return tuple(
        row.id
        for row in rows
        if row.id not in known
        and _unused(row) is None
        and (value := _value(row, role)) is not None
        and value not in values
    )


def _unused(row: Row) -> str | None:
    try:
        return why_unused(row, today(now_ns()))
    except RowProblem as problem:
        return str(problem)


def _value(row: Row, role: str) -> Json:
    try:
        return value_of(row, role)
    except RowProblem:
        return None


def _action(version: Artifact, written: Prompt | None, field: str, now: str, *, follows: bool) -> str:
    name = version.name
    if follows:
        return f"look at it: afere diff {version.ref} prompt:{name}; then: afere prompt push {name}"
    if written is not None:
        return f"write {now} under {field} of its file, run its evaluation, then: afere prompt push {name}"
    return (
        f"afere prompt pull {name} brings its file; write {now} under {field}, evaluate, then: afere prompt push {name}"
    )
