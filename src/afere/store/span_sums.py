"""Tokens and cost of whole traces, remembered as long as the trace stays as it is."""

from __future__ import annotations

import sqlite3
from typing import cast

from afere.base.span import Totals, summed

_MOST = 5_000  # traces
_STATE = "SELECT count(*), max(id) FROM spans INDEXED BY spans_identity WHERE project = ? AND trace_id = ?"
_ROWS = (
    "SELECT span_id, parent_id, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost"
    " FROM spans INDEXED BY spans_identity WHERE project = ? AND trace_id = ?"
)


class Sums:
    """Threads may share it: at worst two work out the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[tuple[int, int | None], Totals]] = {}

    def of(self, connection: sqlite3.Connection, project: str, trace_id: str) -> Totals:
        """The sums of one trace (all 32 digits)."""
        asked = project, bytes.fromhex(trace_id)
        # A span that is written again gets a higher row; one that goes leaves fewer.
        state = cast("tuple[int, int | None]", tuple(connection.execute(_STATE, asked).fetchone()))
        known = self._known.get((project, trace_id))
        if known is not None and known[0] == state:
            return known[1]
        cursor = connection.cursor()
        cursor.row_factory = None
        sums = summed(cursor.execute(_ROWS, asked).fetchall())
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[project, trace_id] = state, sums
        return sums
