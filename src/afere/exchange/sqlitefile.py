"""Other tools' SQLite files: opened to be read only, some rows at a time, whatever version wrote them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing

Record = dict[str, Any]
_ROWS = 200  # read at once: between, the tool that is still running may write


class Tables:
    """A file's tables. A table or column that a version does not have is empty, and said once to be missing."""

    def __init__(self, connection: sqlite3.Connection, into: Bringing, tool: str) -> None:
        self._connection, self._into, self._tool = connection, into, tool
        self.names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, table: str, order: str = "rowid") -> Iterator[Record]:
        """All of a table's rows; what is damaged ends it, and is named. In another order than their own, they are read at once."""
        if table not in self.names:
            return
        if order != "rowid":
            yield from self._some(table, f'SELECT * FROM "{table}" ORDER BY {order}')  # noqa: S608  names of ours
            return
        last, question = -(2**63), f'SELECT rowid AS at, * FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT {_ROWS}'  # noqa: S608
        while found := self._some(table, question, last):
            last = found[-1]["at"]
            yield from found
            if len(found) < _ROWS:
                return

    def of(self, table: str, column: str, value: object) -> list[Record]:
        """The rows of a table with this value, in their own order; what is damaged is named."""
        question = f'SELECT * FROM "{table}" WHERE "{column}" = ? ORDER BY rowid'  # noqa: S608  names of ours
        return self._some(f"{table} of {value}", question, value) if table in self.names else []

    def count(self, table: str) -> int:
        """How many rows a table has; 0 where there is none."""
        found = self._some(table, f'SELECT count(*) AS found FROM "{table}"') if table in self.names else []  # noqa: S608
        return int(found[0]["found"]) if found else 0

    def _some(self, what: str, question: str, *values: object) -> list[Record]:
        """What can be read of it; where that ends before its time, it is named."""
        found: list[Record] = []
        try:
            found.extend(dict(row) for row in self._connection.execute(question, values))
        except sqlite3.Error as problem:
            self._into.problem(f"table {what}", f"{problem}; the rest of it is left out")
        return found

    def require(self, *tables: str) -> None:
        """BadInput where the file is not this tool's."""
        missing = [name for name in tables if name not in self.names]
        if missing:
            found = ", ".join(sorted(self.names)[:8]) or "no tables"
            raise BadInput(f"This is no file of {self._tool}: it has no table {missing[0]} (it has {found}).")


@contextmanager
def opened(place: str, into: Bringing, tool: str) -> Generator[Tables]:
    """The tables of a SQLite file. BadInput where it is none; it is never written to."""
    file = Path(place)
    if file.is_dir():
        raise BadInput(f"{place} is a folder; give the SQLite file in it.")
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = _text
            yield Tables(connection, into, tool)
    except sqlite3.DatabaseError as problem:
        raise BadInput(f"{place} is no SQLite file that can be read: {problem}.") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def plain(text: object) -> Json:
    """A column that holds JSON, read; a text that is none as it is."""
    if not isinstance(text, str | bytes):
        return None if text is None else text if isinstance(text, int | float | bool) else str(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text if isinstance(text, str) else text.decode("utf-8", "replace")
