"""Rows added, changed and removed by hand: each change is a new version, made of the one that was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import BadData, BadInput, NotFound, Overtaken
from afere.data.datasets import Dataset, keep
from afere.data.reading import Placed
from afere.data.rows import Row, RowProblem, read_row
from afere.data.schema import written
from afere.data.shapes import Told, shaped
from afere.store import Session

_SHOWN = 5  # wrong rows that an error lists; all are counted
_TRIES = 5  # when others make versions at the same moment


@dataclass(frozen=True)
class Edit:
    """What is to become of a dataset. `base` is the version that was looked at (0: there was none).

    `rows` with an id that is there take the place of that row; others are added. `remove` are ids. `whole`: `rows` are all
    that there is to be. `any_shape`: rows need not fit the schema of those that are there.
    """

    base: int
    why: str
    rows: Sequence[Placed] = ()
    remove: Sequence[str] = ()
    whole: bool = False
    any_shape: bool = False
    shape: Told = "afere"  # None: rows of other tools are known by their keys


def edit(session: Session, name: str, change: Edit) -> Dataset:
    """Make the version. What others changed meanwhile stays: Overtaken only where they changed the same rows.

    BadData says what is wrong with which row; nothing is kept then.
    """
    if not change.why.strip():
        raise BadInput("why: a reason is needed: it is what the next person reads first.")
    for attempt in range(_TRIES):
        newest = _newest(session, name)
        if newest is None and change.base:
            raise NotFound(f"There is no dataset {name!r} any more.")
        given = _given(change, newest)
        rows = given if newest is None else _merged(session, change, newest, given)
        try:
            return keep(
                rows, session, name, f"dataset:{name}", shape="afere", why=change.why.strip(),
                before=newest.artifact if newest else None, after=newest.artifact.version if newest else 0,
            )  # fmt: skip
        except Overtaken:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


def fits(value: object, schema: Mapping[str, Json] | None) -> Row:
    """A row as it is written, checked alone; RowProblem names its field."""
    if isinstance(value, RowProblem):
        raise value
    made = read_row(value)
    # The types of every field hold, and the fields of the input; an answer that all rows have so far may be unknown here.
    if schema is not None and (unfit := schema_problem(written(made), {**schema, "required": ["input"]})):
        raise RowProblem(f"{unfit} (as in all other rows; accept a new shape if it is meant)")
    return made


def _newest(session: Session, name: str) -> Dataset | None:
    try:
        return Dataset(session.get(f"dataset:{name}"), session)
    except NotFound:
        return None


def _given(change: Edit, newest: Dataset | None) -> list[tuple[str, Row]]:
    """The rows that are brought, read and checked; or BadData that shows the first that are wrong."""
    placed, _ = shaped(change.rows, "the rows", change.shape)
    schema = newest.schema if newest is not None and not change.any_shape else None
    found, problems = list[tuple[str, Row]](), list[str]()
    for place, value in placed:
        try:
            found.append((place, fits(value, schema)))
        except RowProblem as problem:
            problems.append(f"{place}: {problem}.")
    if problems:
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BadData(
            f"{len(problems)} of {len(problems) + len(found)} rows cannot be used; nothing was kept.\n"
            + "\n".join(problems[:_SHOWN])
            + more
        )
    if not found and not change.remove:
        raise BadData("There is no row to keep. Write at least one.")
    return found


def _merged(session: Session, change: Edit, newest: Dataset, given: list[tuple[str, Row]]) -> list[tuple[str, Row]]:
    """The rows as they are to be, each with its place."""
    named = {row.id: (place, row) for place, row in given if row.id}
    if both := sorted(named.keys() & set(change.remove)):
        raise BadData(
            f"{named[both[0]][0]}: id: {both[0]!r} is to be removed too. Take it out of remove, or out of the rows."
        )
    _check_untouched(session, change, newest, {*change.remove, *named})
    if change.whole:
        return given
    there = {row.id for row in newest.rows}
    if missing := [id_ for id_ in change.remove if id_ not in there]:
        raise NotFound(f"{newest.ref} has no row {missing[0]!r}.")
    gone = set(change.remove)
    kept = [named.get(row.id, (f"row {row.id}", row)) for row in newest.rows if row.id not in gone]
    return kept + [one for one in given if one[1].id not in there]


def _check_untouched(session: Session, change: Edit, newest: Dataset, touched: set[str]) -> None:
    """Overtaken, where somebody else changed what this changes."""
    version = newest.artifact.version
    if change.base == version:
        return
    who = f"{newest.artifact.by} made {newest.ref} meanwhile ({newest.artifact.why or 'no reason said'})"
    if change.whole or change.base == 0:
        raise Overtaken(f"{who}. Look at it, then replace all rows of that version, or add yours to it.")
    seen = {row.id: row for row in Dataset(session.get(f"dataset:{newest.name}@{change.base}"), session).rows}
    now = {row.id: row for row in newest.rows}
    same = [id_ for id_ in sorted(touched) if seen.get(id_) != now.get(id_)]
    if same:
        what = "changed" if same[0] in now and same[0] in seen else "removed" if same[0] in seen else "added"
        raise Overtaken(
            f"{who} and {what} row {same[0]} there. Nothing was kept of yours: look at theirs, then save yours again if it is still right."
        )
