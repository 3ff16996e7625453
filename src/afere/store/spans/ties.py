"""What traces ran and read, found from the other end: from an artifact's hash, a document or a row that was shown.

Ties are of documents (see `docs`), so they come and go with the words and labels of a chunk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.span import EXAMPLES
from afere.store.database import insert_rows
from afere.store.spans import docs as span_docs
from afere.store.spans.chunks import Chunks

DOCUMENT = "document:"  # before a document's id; an artifact's key is its hash
ROW = "row:"  # before the name of a row that was shown as an example
_LONGEST = 300  # characters of a key; longer ones are not found from this end
_MANY = 2000  # keys from which reading all that are kept is quicker than looking each up
_MASK = 2**31 - 1
_REST = span_docs.CHUNK_SPANS - 1

LAYOUT = (
    "CREATE TABLE tied (id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, key TEXT NOT NULL, UNIQUE (project, key))",
    "CREATE TABLE ties (tied INTEGER NOT NULL, doc INTEGER NOT NULL, PRIMARY KEY (tied, doc)) WITHOUT ROWID",
    "CREATE INDEX ties_doc ON ties (doc)",
)


@dataclass(frozen=True, slots=True)
class Tied:
    """A trace that ran or read one of what was asked for: which of these (`key`), and when it began (ns)."""

    trace_id: str
    start: int
    key: str


@dataclass(frozen=True, slots=True)
class Ran:
    """The newest traces tied to any of some keys, and how many there are in all."""

    count: int = 0
    traces: tuple[Tied, ...] = ()


def keys(artifacts: Iterable[Sequence[str]], documents: Iterable[Json], examples: Json = None) -> set[str]:
    """What a span is found by. `examples`: what its attribute of that name says."""
    found = {use[1] for use in artifacts}
    for one in documents:
        name = one.get("id") if isinstance(one, dict) else None
        if isinstance(name, str | int) and name != "":
            found.add(f"{DOCUMENT}{name}")
    for one in examples if isinstance(examples, list) else ():
        if isinstance(one, dict) and isinstance(row := one.get("row"), str) and row:
            found.add(f"{ROW}{row}")
    return {key for key in found if len(key) <= _LONGEST}


def insert(connection: sqlite3.Connection, project: str, found: Iterable[tuple[int, str]]) -> None:
    """Keep ties, (document, key)."""
    ties = {(doc, key if key.isascii() else key.encode("utf-8", "replace").decode()) for doc, key in found}
    if not ties:
        return
    wanted = list({key for _, key in ties})
    ids = _known(connection, project, wanted)
    fresh = [(project, key) for key in wanted if key not in ids]
    if fresh:
        insert_rows(connection, "INSERT OR IGNORE INTO tied (project, key)", fresh)
        ids |= _known(connection, project, [key for _, key in fresh])
    insert_rows(connection, "INSERT OR IGNORE INTO ties", sorted((ids[key], doc) for doc, key in ties))


def _known(connection: sqlite3.Connection, project: str, wanted: Sequence[str]) -> dict[str, int]:
    """The ids of those keys that are kept."""
    found: dict[str, int] = dict(connection.execute(_KNOWN, (json.dumps(wanted), project)).fetchall())
    for key in wanted:
        if "\0" in key and key not in found:  # at which SQLite's JSON ends
            row = connection.execute("SELECT id FROM tied WHERE project = ? AND key = ?", (project, key)).fetchone()
            found |= {} if row is None else {key: row["id"]}
    return found


_KNOWN = "SELECT t.key, t.id FROM json_each(?) AS j CROSS JOIN tied AS t ON t.project = ? AND t.key = j.value"


def of_lines(details: Iterable[Mapping[str, Any]]) -> set[str]:
    """What the spans with these details are found by."""
    found: set[str] = set()
    for one in details:
        uses, documents, said = one.get("artifacts"), one.get("documents"), one.get("attributes")
        pairs = cast("list[Any]", uses) if isinstance(uses, list) else []
        whole = [cast("list[Any]", use) for use in pairs if isinstance(use, list)]
        found |= keys(
            [(str(use[0]), str(use[1])) for use in whole if len(use) == 2],
            cast("list[Json]", documents) if isinstance(documents, list) else [],
            cast("dict[str, Json]", said).get(EXAMPLES) if isinstance(said, dict) else None,
        )
    return found


def index_all(connection: sqlite3.Connection) -> None:
    """Tie every chunk that is there, for a file that has no ties yet."""
    chunks = Chunks(connection)
    rows = connection.execute(
        "SELECT c.id, c.doc, s.project, group_concat(s.line) AS lines FROM chunks c JOIN spans s ON s.chunk = c.id"
        " WHERE c.doc IS NOT NULL GROUP BY c.id"
    ).fetchall()
    for row in rows:
        found = of_lines(chunks.detail(row["id"], int(line)) for line in row["lines"].split(","))
        insert(connection, row["project"], [(row["doc"], key) for key in found])


def drop_unused(connection: sqlite3.Connection, project: str) -> None:
    """Forget keys that no trace has any more: a document's name may say something."""
    connection.execute(
        "DELETE FROM tied WHERE project = ? AND NOT EXISTS (SELECT 1 FROM ties WHERE ties.tied = tied.id)", (project,)
    )


def ran(
    connection: sqlite3.Connection, project: str, wanted: Iterable[str], *, limit: int, since: int | None = None
) -> Ran:
    """The newest `limit` traces with any of the keys, and the count of all that began at `since` (ns) or later."""
    ids = _ids(connection, project, list(dict.fromkeys(wanted)))
    if not ids:
        return Ran()
    low = 0 if since is None else span_docs.number(since // 10**9, 0)
    docs = "SELECT DISTINCT ties.doc AS doc FROM json_each(?) AS j CROSS JOIN ties ON ties.tied = j.value AND ties.doc >= ?"
    given = (json.dumps(list(ids)), low)
    # A document's number ends in the row of its first span, which may have been written anew elsewhere since.
    one = f"(SELECT id FROM spans WHERE id BETWEEN doc & {_MASK} AND (doc & {_MASK}) + {_REST} AND id - line = doc & {_MASK} LIMIT 1)"  # noqa: S608  our own words
    rows = connection.execute(
        f"SELECT d.doc, s.trace_id, s.start FROM ({docs}) AS d CROSS JOIN spans AS s ON s.id = {one} ORDER BY d.doc DESC",  # noqa: S608  as above
        given,
    )
    rows.row_factory = None  # plain tuples: there may be many
    seen: set[bytes] = set()
    newest: list[Tied] = []
    for doc, trace, start in rows.fetchall():
        if trace not in seen:
            seen.add(trace)
            if len(newest) < limit:
                newest.append(Tied(trace.hex(), start, _which(connection, doc, ids)))
    return Ran(len(seen), tuple(newest))


def _which(connection: sqlite3.Connection, doc: int, ids: Mapping[int, str]) -> str:
    rows = connection.execute("SELECT tied FROM ties WHERE doc = ?", (doc,))
    return next(ids[row["tied"]] for row in rows if row["tied"] in ids)


def _ids(connection: sqlite3.Connection, project: str, wanted: Sequence[str]) -> dict[int, str]:
    """The keys that any trace has, by their row; of many, all that are kept are read in one go."""
    cursor = connection.cursor()
    cursor.row_factory = None
    if len(wanted) > _MANY:
        asked = set(wanted)
        found = cursor.execute("SELECT id, key FROM tied WHERE project = ?", (project,))
        return {id_: key for id_, key in found if key in asked}
    return dict(
        cursor.execute(
            "SELECT t.id, t.key FROM json_each(?) AS j CROSS JOIN tied AS t ON t.project = ? AND t.key = j.value",
            (json.dumps(wanted), project),
        )
    )
