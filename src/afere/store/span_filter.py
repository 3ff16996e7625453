"""The filter language as SQL over `spans`, with parameters only: no text of the user becomes SQL."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, cast

from afere.base.clock import from_rfc3339
from afere.base.errors import BadInput
from afere.base.filter import Term
from afere.base.span import Span, totals
from afere.store.span_rows import Chunks

# In a list of traces these are asked of the first span, the sums of the whole trace, all others of any of its spans.
_OF_ROOT = frozenset({"trace", "latency", "status", "user", "session", "environment", "chain", "since", "before"})
_SUMS = {
    "cost": "cost", "tokens": "tokens", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
}  # fmt: skip
_NUMBERS = {
    "latency": "seconds", "cost": "cost", "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    "tokens": "(coalesce({0}.input_tokens, 0) + coalesce({0}.output_tokens, 0))",
}  # fmt: skip

_GROUPS: dict[str, str] = {
    **{name: f"s.{name}" for name in (
        "model", "response_model", "name", "kind", "status", "provider", "user", "session", "environment", "chain",
    )},
    "hour": "strftime('%Y-%m-%dT%H:00:00Z', s.start / 1000000000, 'unixepoch')",
    "day": "strftime('%Y-%m-%d', s.start / 1000000000, 'unixepoch')",
}  # fmt: skip


class Where:
    """Conditions that must all hold, and their values."""

    def __init__(self, sql: str, *values: Any) -> None:
        self._parts = [sql]
        self.values: list[Any] = list(values)

    def add(self, sql: str, *values: Any) -> None:
        self._parts.append(sql)
        self.values.extend(values)

    @property
    def sql(self) -> str:
        return " AND ".join(self._parts)


def condition(where: Where, term: Term, *, roots: bool, now: int) -> None:
    """Add what the term asks of row `s`; `now` in nanoseconds."""
    negation = "NOT " if term.negated else ""
    if roots and term.field in _SUMS:
        sql = (
            f"(SELECT trace_sum('{_SUMS[term.field]}', t.span_id, t.parent_id, t.input_tokens, t.output_tokens, t.cost)"
            f" FROM spans t WHERE t.trace_id = s.trace_id AND t.project = s.project) {_comparison(term)} ?"
        )
        where.add(f"{negation}coalesce({sql}, 0)", term.number)
        return
    if term.field == "text":
        _texts(where, term, negation, roots=roots)
        return
    any_span = roots and term.field not in _OF_ROOT
    sql, values = _row(term, "t" if any_span else "s", now)
    if any_span:
        sql = f"EXISTS (SELECT 1 FROM spans t WHERE t.trace_id = s.trace_id AND t.project = s.project AND {sql})"
    where.add(f"{negation}coalesce({sql}, 0)" if term.negated else sql, *values)


def _row(term: Term, row: str, now: int) -> tuple[str, list[Any]]:
    """What the term asks of one row."""
    name = term.field
    if name.startswith("attr."):
        return _attribute(term, row)
    if name in ("since", "before"):
        at = from_rfc3339(term.value) if term.number is None else now - int(term.number * 1e9)
        return f"{row}.start {'>=' if name == 'since' else '<'} ?", [max(min(at, 2**63 - 1), -(2**63))]
    if name in _NUMBERS:
        column = _NUMBERS[name]
        column = column.format(row) if "{" in column else f"{row}.{column}"
        return f"{column} {_comparison(term)} ?", [term.number]
    if name == "trace":
        digits = term.value.lower()
        return f"{row}.trace_id BETWEEN ? AND ?", [bytes.fromhex(digits.ljust(32, filler)) for filler in "0f"]
    if name == "error":
        return f"{row}.error GLOB ?", [f"*{_glob(term)}*"]
    if name == "chain":
        value = term.value.removeprefix("chain:")
        return f"({row}.chain = ? OR {row}.chain GLOB ?)", [value, f"{_glob(term).removeprefix('chain:')}~*"]
    if name == "status" and term.value == "error":
        return f"{row}.status = 'error'", []  # as a literal, so that the index of errors serves it
    return f"{row}.{name} {'GLOB' if term.glob else '='} ?", [_glob(term) if term.glob else term.value]


def _attribute(term: Term, row: str) -> tuple[str, list[Any]]:
    found = f"attribute({row}.chunk, {row}.line, ?)"
    key = term.field.removeprefix("attr.")
    if term.op != ":":
        value: Any = term.value if term.number is None else term.number
        kind = "'text'" if term.number is None else "'integer', 'real'"
        return f"(typeof({found}) IN ({kind}) AND {found} {term.op} ?)", [key, key, value]
    if term.glob:
        return f"CAST({found} AS TEXT) GLOB ?", [key, _glob(term)]
    if term.number is not None and not term.quoted:
        return f"({found} = ? OR {found} = ?)", [key, term.value, key, term.number]
    return f"{found} = ?", [key, term.value]


def _texts(where: Where, term: Term, negation: str, *, roots: bool) -> None:
    match = _match(term)
    if match is None:  # nothing but punctuation: no word to look for
        where.add("1" if term.negated else "0")
    elif roots:
        where.add(
            f"s.trace_id {negation}IN (SELECT t.trace_id FROM texts JOIN spans t ON t.id = texts.rowid"
            " WHERE texts MATCH ? AND t.project = s.project)",
            match,
        )
    else:
        where.add(f"s.id {negation}IN (SELECT rowid FROM texts WHERE texts MATCH ?)", match)


def _match(term: Term) -> str | None:
    """An FTS5 query for exactly these words in this order; a trailing `*` (not quoted) finds words that begin so."""
    prefix = term.glob and term.value.endswith("*")
    words = term.value.replace("*", " ") if term.glob else term.value
    words = words.replace("\0", " ").replace('"', '""')
    if re.search(r"[^\W_]", words) is None:
        return None
    return f'"{words.strip()}"' + ("*" if prefix else "")


def _comparison(term: Term) -> str:
    return "=" if term.op == ":" else term.op


def _glob(term: Term) -> str:
    """SQLite's GLOB pattern in which only our `*` is special."""
    text = re.sub(r"[\[?]", lambda m: f"[{m.group()}]", term.value)
    return text if not term.quoted else text.replace("*", "[*]")


def grouping(by: Sequence[str]) -> dict[str, str]:
    """The SQL of each thing to group by; BadInput with the nearest name for an unknown one."""
    for name in by:
        if name not in _GROUPS:
            near = get_close_matches(name, _GROUPS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"Statistics cannot be grouped by {name!r}.{hint} By: {', '.join(_GROUPS)}.")
    return {name: _GROUPS[name] for name in by}


def register(connection: sqlite3.Connection) -> Chunks:
    """Teach the connection what SQL does not know: attributes inside chunks, sums of a trace, quantiles."""
    chunks = Chunks(connection)

    def attribute(chunk: int, line: int, key: str) -> str | int | float | None:
        attributes = chunks.detail(chunk, line).get("attributes")
        value = cast("dict[str, object]", attributes).get(key) if isinstance(attributes, dict) else None
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str | int | float) else None

    connection.create_function("attribute", 3, attribute)
    connection.create_aggregate("trace_sum", 6, _TraceSum)
    connection.create_aggregate("quantile", 2, _Quantile)
    return chunks


class _TraceSum:
    """The sum over a trace's calls, by the same rule as `Trace.totals`."""

    def __init__(self) -> None:
        self._field = ""
        self._spans: list[Span] = []

    def step(self, field: str, span_id: bytes, parent: bytes | None, given: int | None, made: int | None, cost: float | None) -> None:  # fmt: skip
        self._field = field
        above = parent.hex() if parent is not None else None
        self._spans.append(Span("", span_id.hex(), "", 0, above, input_tokens=given, output_tokens=made, cost=cost))

    def finalize(self) -> float | None:
        sums = totals(self._spans)
        if self._field == "tokens":
            known = [count for count in (sums.input_tokens, sums.output_tokens) if count is not None]
            return sum(known) if known else None
        return getattr(sums, self._field)


class _Quantile:
    """A quantile by linear interpolation between the two nearest values; None of none."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._q = 0.5

    def step(self, value: float | None, q: float) -> None:
        if value is not None:
            self._q = q
            self._values.append(value)

    def finalize(self) -> float | None:
        if not self._values:
            return None
        ordered = sorted(self._values)
        at = self._q * (len(ordered) - 1)
        low = int(at)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
