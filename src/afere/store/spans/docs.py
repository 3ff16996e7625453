"""What can be searched, found by document: the words of a chunk, that is of what one batch said of one trace.

A text that several spans of a chunk repeat is in the index once. The number of a document is the second in which its trace
began, then the row of the chunk's first span: the newest document has the highest number, and all of a trace share a second.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from afere.store.database import insert_rows
from afere.store.spans.chunks import Chunks
from afere.store.spans.texts import joined

CHUNK_SPANS = 128  # at most in one chunk, so that one span of a huge trace is read without all of it
_SHIFT = 31
ROW = 2**_SHIFT - 1  # the bits of a number that say the row
_LAST_SECOND = 2**32 - 1

LAYOUT = (
    "CREATE VIRTUAL TABLE words USING fts5 (said, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2')",
)

# Spans of a document; its parts as parameters (see `rows_of`).
ROWS = "id BETWEEN ? AND ? AND id - line = ?"


def number(second: int, row: int) -> int:
    """The number of the document whose first span is in this row."""
    return min(max(second, 0), _LAST_SECOND) << _SHIFT | row & ROW


def second_of(doc: int) -> int:
    """When its trace began."""
    return doc >> _SHIFT


def rows_of(doc: int) -> tuple[int, int, int]:
    """The parameters of `ROWS`."""
    row = doc & ROW
    return row, row + CHUNK_SPANS - 1, row


def holds(span: str, row: str) -> str:
    """SQL: that the span is of the document whose first span is in this row."""
    return f"{span}.id BETWEEN {row} AND {row} + {CHUNK_SPANS - 1} AND {span}.id - {span}.line = {row}"


def trace_of(row: str) -> str:
    """SQL: the trace of the document whose first span is, or was, in this row, if it is of a project (a parameter)."""
    return f"(SELECT w.trace_id FROM spans w NOT INDEXED WHERE {holds('w', row)} AND w.project = ? LIMIT 1)"  # noqa: S608  our own words


def above(doc: int) -> tuple[int, int]:
    """Numbers of the documents of the same second that come before it in a list."""
    return doc + 1, (second_of(doc) + 1) << _SHIFT


def forget(connection: sqlite3.Connection, chunk: int, chunks: Chunks) -> int | None:
    """Take a chunk's document out of the index while its spans are still there; returns its number."""
    row = connection.execute("SELECT doc FROM chunks WHERE id = ?", (chunk,)).fetchone()
    if row is None or row["doc"] is None:
        return None
    doc = cast("int", row["doc"])
    text = joined(_texts(connection, doc, chunk, chunks))
    if text:  # a contentless index must be told again what to forget
        connection.execute("INSERT INTO words (words, rowid, said) VALUES ('delete', ?, CAST(? AS TEXT))", (doc, text))
    for table in ("labels", "ties"):
        connection.execute(f"DELETE FROM {table} WHERE doc = ?", (doc,))  # noqa: S608  our own tables
    return doc


def insert(connection: sqlite3.Connection, docs: Iterable[tuple[int, bytes]]) -> None:
    """Index documents, (number, text in UTF-8)."""
    # In order: the index writes out what it has gathered whenever a lower number comes.
    rows = sorted(doc for doc in docs if doc[1])
    insert_rows(connection, "INSERT INTO words (rowid, said)", rows, marks="(?, CAST(? AS TEXT))")


def again(connection: sqlite3.Connection, doc: int, chunk: int, chunks: Chunks) -> None:
    """Index what is left of a document that was forgotten."""
    insert(connection, [(doc, joined(_texts(connection, doc, chunk, chunks)))])


def index_all(connection: sqlite3.Connection) -> None:
    """Give every chunk its document, for a file that has none yet."""
    chunks = Chunks(connection)
    rows = connection.execute("SELECT chunk, min(id - line) AS row, min(start) AS start FROM spans GROUP BY chunk")
    for row in rows.fetchall():
        doc = number(row["start"] // 10**9, row["row"])
        connection.execute("UPDATE chunks SET doc = ? WHERE id = ?", (doc, row["chunk"]))
        again(connection, doc, row["chunk"], chunks)


def _texts(connection: sqlite3.Connection, doc: int, chunk: int, chunks: Chunks) -> Iterator[list[str]]:
    rows = connection.execute(
        f"SELECT line FROM spans WHERE {ROWS} AND chunk = ? AND status <> 'running' ORDER BY line",  # noqa: S608  our own words
        (*rows_of(doc), chunk),
    ).fetchall()
    for row in rows:
        yield chunks.texts(chunk, row["line"])


@dataclass(frozen=True, slots=True)
class Docs:
    """Documents that hold what is asked: those for which the condition holds with any of the values."""

    connection: sqlite3.Connection
    table: str
    number: str  # its column
    condition: str
    values: tuple[tuple[Any, ...], ...]

    @classmethod
    def saying(cls, connection: sqlite3.Connection, match: str) -> Docs:
        """That have these words, as the index is asked for them."""
        return cls(connection, "words", "rowid", "words MATCH ?", ((match,),))

    @classmethod
    def labelled(
        cls, connection: sqlite3.Connection, project: str, key: str, condition: str, values: Iterable[Any]
    ) -> Docs:
        """In which a span has such an attribute: a condition on its value."""
        asked = tuple((project, key, value) for value in values)
        return cls(connection, "labels", "doc", f"project = ? AND key = ? AND value {condition}", asked)

    @property
    def sql(self) -> tuple[str, list[Any]]:
        """All of them, as SQL with its parameters."""
        one = f"SELECT {self.number} FROM {self.table} WHERE {self.condition}"  # noqa: S608  our own words; all text of users is in parameters
        return " UNION ALL ".join([one] * len(self.values)), [value for values in self.values for value in values]

    def few(self, most: int) -> list[int] | None:
        """Their numbers if they are fewer than that."""
        sql, values = self.sql
        found = {row[0] for row in self.connection.execute(f"SELECT * FROM ({sql}) LIMIT {most}", values)}  # noqa: S608  as above
        return sorted(found) if len(found) < most else None

    def downwards(self, low: int, high: int) -> Iterator[int]:
        """Their numbers below `high` and not below `low`, the newest first."""
        sql = (
            f"SELECT {self.number} FROM {self.table} WHERE {self.condition} AND {self.number} >= ? AND {self.number} < ?"  # noqa: S608  as above
            f" ORDER BY {self.number} DESC"
        )
        runs = [self.connection.execute(sql, (*values, low, high)) for values in self.values]
        return heapq.merge(*((row[0] for row in run) for run in runs), reverse=True)
