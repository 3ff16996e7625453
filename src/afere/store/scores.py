"""Scores: records that somebody judged something. Kept once per id; those of people are audited."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import orjson

from afere.base.artifact import parse_ref
from afere.base.canonical import Json, digest_of, plain
from afere.base.clock import from_rfc3339
from afere.base.errors import BadInput, BadReference, NotFound, Refused
from afere.base.score import Score
from afere.store.audit import Fact, Stamp, announce, record
from afere.store.database import insert_rows, inserted
from afere.store.page import Page, check_keys, read_cursor, write_cursor

if TYPE_CHECKING:
    from afere.store.session import Session

_MACHINES = ("scorer", "judge", "service")


_COLUMNS = ("project", "id", "target", "name", "value", "by", "why", "at", "time", "data")
_INSERT = f"INSERT INTO scores ({', '.join(_COLUMNS)})"
_ID, _VALUE, _BY = (_COLUMNS.index(name) for name in ("id", "value", "by"))
_BOOLS = {True: "true", False: "false"}
_SOME = 200  # ids looked for at once
_KNOWN = f"SELECT id, target, name, by, value FROM scores WHERE project=? AND id IN ({', '.join('?' * _SOME)})"  # noqa: S608 - question marks only


def target_of(session: Session, text: str) -> str:
    """What people write as a score's target, in full: traces by their first digits, artifacts by the version meant now.

    NotFound for what is not here, BadReference for what can be no target. A whole trace id may arrive before its trace.
    """
    trace, slash, span = text.partition("/")
    if re.fullmatch("[0-9a-f]{6,32}", trace):
        found = session.spans.trace(trace)
        if found is None and len(trace) == 32:
            return text  # a score's id, or a trace that has not arrived yet
        if found is None or (slash and not any(one.span_id == span for one in found.spans)):
            raise NotFound(f"There is no {'span' if found else 'trace'} {text!r} here. List traces with: afere traces")
        return f"{found.trace_id}{slash}{span}"
    if slash and trace.startswith("dataset:"):
        return f"{session.get(trace).ref}/{span}"
    try:
        ref = parse_ref(text)
    except BadReference:
        raise BadReference(
            f"{text!r} cannot be scored: give a trace (its first 6 digits or more), TRACE/SPAN, "
            "a reference such as prompt:answer@3, or dataset:qa@7/ROW."
        ) from None
    return session.get(ref).ref


APPROVAL = "approval"  # the name of a score by which a person lets a version become what an alias points to


def check_approval(session: Session, score: Score) -> None:
    """Refused where a person would approve what they made themselves; asked by the doors through which people speak.

    A record of such an approval, brought in from elsewhere, is kept, and counts for nothing.
    """
    if score.name == APPROVAL and score.value is True and ":" in score.target and "/" not in score.target:
        made = session.get(score.target)
        if made.by == score.by:
            raise Refused(f"{score.by} made {made.ref}: an approval is for somebody else to give.")


def append(connection: sqlite3.Connection, stamp: Stamp, scores: Sequence[Score]) -> None:
    """Keep the scores. One whose id is known is the same score sent again, and changes nothing."""
    rows = _rows(stamp, scores)
    if not all(row[_BY].partition(":")[0] in _MACHINES for row in rows) or not _all_new(connection, rows):
        rows = _one_by_one(connection, stamp, scores, rows)
    announce(connection, stamp, "score", *(row[_ID] for row in rows))


_Row = tuple[Any, ...]


def _rows(stamp: Stamp, scores: Sequence[Score]) -> list[_Row]:
    rows: list[_Row] = []
    last, data = None, ""  # the scores of one case have the same object
    for score in scores:
        value = _BOOLS.get(score.value) if type(score.value) is bool else None
        if score.data is not last:
            last, data = score.data, _text(plain(score.data, where=f"data of score {score.name!r}"))
        rows.append(
            (
                stamp.project, score.id, score.target, score.name, value or json.dumps(score.value), score.by, score.why,
                score.at, _time(score), data,
            )
        )  # fmt: skip
    return rows


def _all_new(connection: sqlite3.Connection, rows: Sequence[_Row]) -> bool:
    """Keep them all if none of them is known, without looking for each."""
    connection.execute("SAVEPOINT scores")
    try:
        insert_rows(connection, _INSERT, rows)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO scores")
        known = True
    else:
        known = False
    connection.execute("RELEASE scores")
    return not known


def _one_by_one(
    connection: sqlite3.Connection, stamp: Stamp, scores: Sequence[Score], rows: Sequence[_Row]
) -> list[_Row]:
    """Keep those that are not known; those of people are audited. Returns what machines gave anew."""
    fresh: dict[str, _Row] = {}
    here = _here(connection, stamp.project, [score.id for score in scores])
    for score, row in zip(scores, rows, strict=True):
        known = here.get(score.id)
        if known is not None or score.id in fresh:
            _check_same(known or dict(zip(_COLUMNS, fresh[score.id], strict=True)), score, row[_VALUE])
            continue
        if score.by.partition(":")[0] in _MACHINES:
            fresh[score.id] = row
            continue
        written = here[score.id] = inserted(connection, "scores", dict(zip(_COLUMNS, row, strict=True)))
        record(connection, stamp, "score", score.id, {"row": _row_digest(written)})
        announce(connection, stamp, "score", score.id)
    insert_rows(connection, _INSERT, list(fresh.values()))
    return list(fresh.values())


def _here(connection: sqlite3.Connection, project: str, ids: Sequence[str]) -> dict[str, sqlite3.Row]:
    """Those that are here already, by id."""
    found: dict[str, sqlite3.Row] = {}
    for first in range(0, len(ids), _SOME):
        some = [*ids[first : first + _SOME], *[""] * _SOME][:_SOME]  # always as many: the same statement
        found.update((row["id"], row) for row in connection.execute(_KNOWN, (project, *some)))
    return found


def _check_same(row: sqlite3.Row | Mapping[str, Any], score: Score, value: str) -> None:
    kept = (row["target"], row["name"], row["by"], row["value"])
    if kept != (score.target, score.name, score.by, value):
        raise BadInput(
            f"There is another score with the id {score.id!r}: {row['name']} = {row['value']} on {row['target']} by {row['by']}. "
            "Scores are never overwritten: give the new one an id of its own."
        )


def _text(data: Json) -> str:
    try:
        return orjson.dumps(data).decode()
    except TypeError:  # numbers beyond 64 bits, halves of surrogate pairs
        return json.dumps(data)


def _time(score: Score) -> int:
    try:
        return _moment(score.at)
    except ValueError:
        raise BadInput(f"Score {score.name!r}: at={score.at!r} is not a time such as 2026-11-22T14:32:07Z.") from None


_moment = lru_cache(maxsize=64)(from_rfc3339)  # the scores of an evaluation are all of one


def find(
    connection: sqlite3.Connection, project: str, limit: int, cursor: str | None, where: Mapping[str, object]
) -> Page[Score]:
    """Scores, newest first. `target_prefix` is for a trace and its spans, or the rows of a dataset; `who` for all `person`s,
    `judge`s and so on.
    """
    check_keys("scores", where, ("target", "name", "by", "target_prefix", "who"))
    query, values = "SELECT * FROM scores WHERE project=?", cast("list[object]", [project])
    for key in ("target", "name", "by"):
        if where.get(key) is not None:
            query, values = f"{query} AND {key}=?", [*values, where[key]]
    if where.get("target_prefix") is not None:
        prefix = str(where["target_prefix"])
        query, values = f"{query} AND target>=? AND target<?", [*values, prefix, prefix + _AFTER]
    if where.get("who") is not None:
        query, values = f"{query} AND by>=? AND by<?", [*values, f"{where['who']}:", f"{where['who']};"]
    before = read_cursor(cursor, 2)
    if before:
        query, values = f"{query} AND (time, seq) < (?, ?)", [*values, *before]
    rows = connection.execute(f"{query} ORDER BY time DESC, seq DESC LIMIT ?", [*values, limit + 1]).fetchall()
    items = tuple(_score(row) for row in rows[:limit])
    end = rows[limit - 1] if len(rows) > limit else None
    return Page(items, write_cursor(end["time"], end["seq"]) if end else None)


def of_traces(
    connection: sqlite3.Connection, project: str, trace_ids: Sequence[str], most: int
) -> dict[str, list[Score]]:
    """The newest `most` scores of each of these traces (all 32 digits) and its spans, newest first; none for a trace without."""
    found: dict[str, list[Score]] = {}
    for row in connection.execute(_OF_TRACES, (json.dumps(list(dict.fromkeys(trace_ids))), project, _AFTER, most)):
        found.setdefault(row["trace"], []).append(_score(row))
    return found


_AFTER = "\U0010ffff"  # sorts after all that goes on from a prefix
_OF_TRACES = (
    "SELECT j.value AS trace, s.* FROM json_each(?) AS j CROSS JOIN scores AS s ON s.seq IN (SELECT seq FROM scores"
    " WHERE project = ? AND target >= j.value AND target < j.value || ? ORDER BY time DESC, seq DESC LIMIT ?)"
    " ORDER BY s.time DESC, s.seq DESC"
)


def _score(row: sqlite3.Row) -> Score:
    return Score(
        row["target"], row["name"], json.loads(row["value"]), row["by"], row["why"], row["at"], row["id"],
        json.loads(row["data"]),
    )  # fmt: skip


def _row_digest(row: sqlite3.Row) -> str:
    names = ("project", "id", "target", "name", "value", "by", "why", "at", "data")
    return digest_of({name: row[name] for name in names})


def facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    """What the audit log must have recorded: every score that no machine gave."""
    for row in connection.execute("SELECT * FROM scores"):
        if row["by"].partition(":")[0] not in _MACHINES:
            yield row["project"], "score", row["id"], _row_digest(row)
