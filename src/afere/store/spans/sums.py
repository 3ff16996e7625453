"""Tokens and cost of whole traces, remembered as long as the trace stays as it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from afere.base.span import Totals, summed

_MOST = 5_000  # traces


# The spans of several traces, each trace `j.value`: its place in the list, from 0. (SQLite has `unhex` since 3.41 only.)
OF_TRACES = (
    "json_each(?) AS j CROSS JOIN spans AS s INDEXED BY spans_identity"
    " ON s.project = ? AND s.trace_id = substr(?, 16 * j.value + 1, 16)"
)
_STATES = f"SELECT j.value, count(*), max(s.id) FROM {OF_TRACES} GROUP BY j.value"  # noqa: S608  our own words
_OWN = "s.span_id, s.parent_id, s.input_tokens, s.output_tokens, s.cached_input_tokens, s.reasoning_tokens, s.cost"
_ROWS = f"SELECT j.value, {_OWN} FROM {OF_TRACES}"  # noqa: S608  as above


def given(trace_ids: Sequence[str], project: str) -> tuple[str, str, bytes]:
    """The parameters of OF_TRACES, for ids of 32 digits."""
    return json.dumps(list(range(len(trace_ids)))), project, bytes.fromhex("".join(trace_ids))


_State = tuple[int, int]  # of a trace: how many spans, and the newest row


class Sums:
    """Threads may share it: at worst two work out the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[_State, Totals]] = {}

    def of(self, connection: sqlite3.Connection, project: str, trace_ids: Sequence[str]) -> dict[str, Totals]:
        """The sums of each of these traces (all 32 digits)."""
        cursor = connection.cursor()
        cursor.row_factory = None
        # A span that is written again gets a higher row; one that goes leaves fewer.
        asked = list(dict.fromkeys(trace_ids))
        states: dict[str, _State] = {
            asked[place]: (count, newest) for place, count, newest in cursor.execute(_STATES, given(asked, project))
        }
        found: dict[str, Totals] = {}
        unknown: list[str] = []
        for trace_id in asked:
            known = self._known.get((project, trace_id))
            state = states.get(trace_id)
            if state is None:
                found[trace_id] = Totals()
            elif known is not None and known[0] == state:
                found[trace_id] = known[1]
            else:
                unknown.append(trace_id)
        rows: dict[str, list[tuple[Any, ...]]] = {trace_id: [] for trace_id in unknown}
        if unknown:
            for place, *row in cursor.execute(_ROWS, given(unknown, project)):
                rows[unknown[place]].append(tuple(row))
        if len(self._known) + len(rows) > _MOST:
            self._known.clear()
        for trace_id, own in rows.items():
            found[trace_id] = summed(own)
            self._known[project, trace_id] = states[trace_id], found[trace_id]
        return found
