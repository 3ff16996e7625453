"""Taking traces away: by age, or all of a subject. Counts, full text, labels and chunks go with their spans."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Sequence

from afere.base.clock import today
from afere.base.span import Span
from afere.store.spans import docs as span_docs
from afere.store.spans.chunks import Chunks
from afere.store.spans.dictionary import renew, unpacked
from afere.store.spans.rollup import NAMES, Shares, forget_names
from afere.store.spans.rows import AT, row_of

_DAY = 86_400 * 10**9  # nanoseconds
_STEP = 500  # spans looked at in one transaction, so that writers never wait long
ERASED = "(erased)"  # what the counts of a name are called when only erased spans had it
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")

Place = tuple[int, int]  # start and row of a span


def remove_old(connection: sqlite3.Connection, project: str, cut: int, after: Place) -> tuple[int, Place | None]:
    """Remove traces that have no span since `cut`, looking at some spans after a place.

    Returns how many spans went, and where to go on; None at the end.
    """
    rows = connection.execute(
        "SELECT start, id, trace_id FROM spans WHERE project = ? AND start < ? AND (start, id) > (?, ?)"
        " ORDER BY start, id LIMIT ?",
        (project, cut, *after, _STEP),
    ).fetchall()
    if not rows:
        return 0, None
    traces = [
        trace
        for trace in dict.fromkeys(bytes(row["trace_id"]) for row in rows)
        if connection.execute(
            "SELECT max(start) FROM spans INDEXED BY spans_identity WHERE project = ? AND trace_id = ?",
            (project, trace),
        ).fetchone()[0]
        < cut
    ]
    shares = Shares(connection, project)
    for trace in traces:
        shares.take("s.project = ? AND s.trace_id = ?", (project, trace))
    gone = sum(remove(connection, project, trace) for trace in traces)
    shares.write()
    return gone, (rows[-1]["start"], rows[-1]["id"])


def remove(connection: sqlite3.Connection, project: str, trace_id: bytes) -> int:
    """Take the spans of a trace away, but not from the counts; returns how many there were."""
    rows = connection.execute(
        "SELECT chunk FROM spans WHERE project = ? AND trace_id = ?", (project, trace_id)
    ).fetchall()
    chunks = Chunks(connection)
    for chunk in {row["chunk"]: None for row in rows}:
        span_docs.forget(connection, chunk, chunks)
        connection.execute("DELETE FROM chunks WHERE id = ?", (chunk,))
    for table in ("spans", "said"):
        connection.execute(f"DELETE FROM {table} WHERE project = ? AND trace_id = ?", (project, trace_id))  # noqa: S608  our own tables
    return len(rows)


State = tuple[int, int]  # of a trace: how many spans, and the newest row


def closed_days(connection: sqlite3.Connection, project: str, cut: int) -> dict[str, dict[bytes, State]]:
    """The traces that have no span since the day of `cut` began, by the day on which they began, in order of their ids."""
    cut -= cut % _DAY
    days: dict[str, dict[bytes, State]] = {}
    for row in connection.execute(
        "SELECT trace_id, count(*) AS count, max(id) AS newest, min(start) AS start FROM spans INDEXED BY spans_identity"
        " WHERE project = ? AND trace_id IN (SELECT trace_id FROM spans WHERE project = ? AND start < ?)"
        " GROUP BY trace_id HAVING max(start) < ? ORDER BY trace_id",
        (project, project, cut, cut),
    ):
        days.setdefault(today(row["start"]), {})[bytes(row["trace_id"])] = (row["count"], row["newest"])
    return days


def remove_as_it_was(connection: sqlite3.Connection, project: str, trace: bytes, state: State) -> int:
    """Take a trace away, not from the counts, unless something was written to it; returns how many spans went."""
    now = connection.execute(
        "SELECT count(*), max(id) FROM spans WHERE project = ? AND trace_id = ?", (project, trace)
    ).fetchone()
    return remove(connection, project, trace) if tuple(now) == state else 0


def traces_of(connection: sqlite3.Connection, project: str, column: str, value: str) -> list[bytes]:
    """The traces in which any span has this user or session, or that one trace."""
    given = bytes.fromhex(value) if column == "trace_id" else value
    rows = connection.execute(
        f"SELECT DISTINCT trace_id FROM spans WHERE project = ? AND {column} = ?",  # noqa: S608  a column of ours
        (project, given),
    )
    return [bytes(row["trace_id"]) for row in rows]


Names = dict[str, set[str]]  # by column


def names_of(connection: sqlite3.Connection, project: str, traces: Iterable[bytes]) -> Names:
    """What spans of these traces are counted as."""
    names: Names = {column: set() for column in NAMES}
    for trace in traces:
        for row in connection.execute(
            f"SELECT DISTINCT {', '.join(names)} FROM spans WHERE project = ? AND trace_id = ?",  # noqa: S608  our own columns
            (project, trace),
        ):
            for column, values in names.items():
                if row[column] is not None:
                    values.add(row[column])
    return names


def names_in(archived: Iterable[Span], traces: Collection[str]) -> tuple[Names, Names]:
    """The same of spans in closed days: of these traces, and of all others."""
    of_these: Names = {column: set() for column in NAMES}
    of_others: Names = {column: set() for column in NAMES}
    for span in archived:
        row = row_of(b"", b"", None, span)
        for column, values in (of_these if span.trace_id in traces else of_others).items():
            if row[AT[column]] is not None:
                values.add(row[AT[column]])
    return of_these, of_others


def erase(connection: sqlite3.Connection, project: str, traces: Sequence[bytes], archived: tuple[Names, Names]) -> int:
    """Remove these traces; the counts stay, without names that only they had. `archived`: what `names_in` found."""
    names = names_of(connection, project, traces)
    gone = sum(remove(connection, project, trace) for trace in traces)
    alone = {column: (values | archived[0][column]) - archived[1][column] for column, values in names.items()}
    forget_names(connection, project, alone, ERASED)
    going = renew(connection, project)
    while going is not None:
        going = renew(connection, project, going)
    return gone


def digests_in(connection: sqlite3.Connection, project: str, traces: Iterable[bytes]) -> set[str]:
    """The digests (`sha256:...`) that spans of these traces mention."""
    found: set[str] = set()
    for trace in traces:
        for (data,) in connection.execute(
            "SELECT data FROM chunks WHERE id IN (SELECT chunk FROM spans WHERE project = ? AND trace_id = ?)",
            (project, trace),
        ):
            found |= _digests(data, connection)
    return found


def still_mentioned(connection: sqlite3.Connection, digests: set[str]) -> set[str]:
    """Which of these any span here mentions; looks through all of them."""
    found: set[str] = set()
    if digests:
        for (data,) in connection.execute("SELECT data FROM chunks"):
            found |= digests & _digests(data, connection)
    return found


def _digests(data: bytes, connection: sqlite3.Connection) -> set[str]:
    return {digest.decode() for digest in _DIGEST.findall(unpacked(data, connection))}
