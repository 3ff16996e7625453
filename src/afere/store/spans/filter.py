"""The filter language as SQL over `spans`, with parameters only: no text of the user becomes SQL."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from afere.base.clock import from_rfc3339
from afere.base.errors import BadInput
from afere.base.filter import Term
from afere.store.spans import docs as span_docs
from afere.store.spans import labels as span_labels
from afere.store.spans.docs import Docs
from afere.store.spans.rollup import HOUR, MANY, SAID, names_are_whole
from afere.store.spans.rows import CIRCLE
from afere.store.spans.texts import tokens

# In a list of traces these are asked of the first span, the sums of the whole trace, all others of any of its spans.
_OF_ROOT = frozenset({"trace", "latency", "status", "user", "session", "environment", "chain", "since", "before"})
_SUMS = frozenset({"cost", "tokens", "input_tokens", "output_tokens"})
_NUMBERS = {
    "latency": "{0}.seconds", "cost": "{0}.cost", "input_tokens": "{0}.input_tokens", "output_tokens": "{0}.output_tokens",
    "tokens": "(coalesce({0}.input_tokens, 0) + coalesce({0}.output_tokens, 0))",
}  # fmt: skip

_FEW = 2_000  # rows that are quicker to find first than to look for under each trace
_CELLS, _HOURS = 500, 24  # of the counts, within which rare spans are looked for rather than under each trace
_FEW_DOCS = 150  # the same of documents, which are looked up one by one
_PAGE_DOCS = 65  # beyond them the newest alone, where they may lead, are the quicker way to a page
_LEADING = frozenset({"text", "since", "before", "kind", "status", "model", "name", "provider", "environment"})


class Where:
    """Conditions on row `s`, a span of one project (with roots=True: the first of a trace), and their values.

    `lead`: documents that the list should be looked for along, newest first, since too many hold what is asked.
    `model`: one of which each trace must have a span, where most traces may have none.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        project: str,
        *,
        roots: bool,
        leading: Sequence[Term] = (),
        newest: bool = True,
    ) -> None:
        """`leading`: all terms of a list in order of start, which documents may then lead. `newest`: whether no more than a page
        of the newest is wanted, so that what many have need not be found first."""
        self.lead: Docs | None = None
        self.model: str | None = None
        self._newest = newest
        self._may_lead = bool(leading) and all(_leads(term) for term in leading)
        self._connection = connection
        self.project = project
        self._roots = roots
        self._now = time.time_ns()
        self.source = "spans s"  # with a hint where few rows are known, which SQLite cannot guess
        self._parts = ["s.project = ?"]
        self.values: list[Any] = [project]
        if roots:
            self.add("s.root > 0")
            self.add(f"(s.root IN (1, {CIRCLE}) OR NOT EXISTS ({_SAME_TRACE} AND t.span_id = s.parent_id))")
            # Of spans whose parent is not here, only the first stands for the trace, and only if nothing else does.
            before = "(t.root < 3 OR (t.start, t.id) < (s.start, s.id))"
            self.add(f"(s.root < 3 OR NOT EXISTS ({_SAME_TRACE} AND t.root > 0 AND t.id <> s.id AND {before}))")

    def add(self, sql: str, *values: Any) -> None:
        """One more condition."""
        self._parts.append(sql)
        self.values.extend(values)

    @property
    def sql(self) -> str:
        """All of them."""
        return " AND ".join(self._parts)

    def ask(self, term: Term) -> None:
        """What the term asks."""
        if term.field == "text":
            sql, values = self._texts(term)
        elif term.field.startswith("attr.") and self._has_labels(term):
            sql, values = self._labelled(term)
        elif self._roots and term.field in _SUMS:
            sql, values = f"{_SUM.format(term.field)} {_comparison(term)} ?", [term.number]
        elif self._roots and term.field not in _OF_ROOT:
            sql, values = self._any(term)
        else:
            sql, values = row_condition(term, "s", self._now)
        self.add(f"NOT coalesce({sql}, 0)" if term.negated else sql, *values)

    def _any(self, term: Term) -> tuple[str, list[Any]]:
        """What is asked of any span of the trace: few traces are found first, many are looked through one by one."""
        sql, values = row_condition(term, "t", self._now)
        if term.field == "model" and not term.glob:
            values = [self.project, *values]
            if not self._newest or self._few("spans t", f"t.project = ? AND {sql}", values):
                self._begin_with("INDEXED BY spans_identity", term)
                return f"s.trace_id IN (SELECT t.trace_id FROM spans t WHERE t.project = ? AND {sql})", values  # noqa: S608  all text of users is in parameters
            values, hours = values[1:], None  # as many as there are, the counts know them too
            self.model = self.model if term.negated else term.value
        else:
            hours = self._hours(term)
        if hours is None:
            return f"EXISTS ({_SAME_TRACE} AND {sql})", values
        self._begin_with("INDEXED BY spans_identity", term)
        there = (
            "FROM json_each(?) h CROSS JOIN spans t INDEXED BY spans_start"
            f" ON t.project = ? AND t.start >= h.value * {HOUR} AND t.start < (h.value + 1) * {HOUR}"
        )
        return f"s.trace_id IN (SELECT t.trace_id {there} WHERE {sql})", [json.dumps(hours), self.project, *values]

    def _hours(self, term: Term) -> list[int] | None:
        """The hours in which spans began that the term holds for, as the counts know it; None if these are too many, or not known."""
        if term.field not in SAID or (term.field in MANY and not names_are_whole(self._connection, self.project)):
            return None
        sql, values = row_condition(term, "c")
        rows = self._connection.execute(
            f"SELECT r.hour, r.count FROM series c CROSS JOIN rollup r ON r.series = c.id WHERE c.project = ? AND {sql} LIMIT {_CELLS}",  # noqa: S608  as above
            (self.project, *values),
        ).fetchall()
        hours = {row["hour"] for row in rows}
        rare = len(rows) < _CELLS and len(hours) <= _HOURS and sum(row["count"] for row in rows) < _FEW
        return sorted(hours) if rare else None

    def _has_labels(self, term: Term) -> bool:
        """Whether the index of filterable attributes can answer. Long texts are not in it, so patterns could miss some."""
        key = term.field.removeprefix("attr.")
        exact = term.op == ":" and not term.glob and len(term.value) <= span_labels.VALUE
        return (exact or (term.op != ":" and term.number is not None)) and (
            span_labels.declared(self._connection, self.project).get(key) == 0
        )

    def _found(self, term: Term, docs: Docs) -> tuple[str, list[Any]]:
        """What is asked of documents: few are looked up first; of more, the newest lead the list, or, of many, each trace is asked."""
        leads = self._may_lead and self.lead is None and not term.negated
        few = docs.few(_PAGE_DOCS if leads else _FEW_DOCS)
        if few is None and leads:
            self.lead = docs
            return ("1", []) if self._roots else self._says(term)
        said, values = ("1", list[Any]()) if self._roots else self._says(term)
        if few is None:
            return self._among(docs, said, values)
        self._begin_with("INDEXED BY spans_identity" if self._roots else "NOT INDEXED", term)
        rows = json.dumps([span_docs.rows_of(doc)[0] for doc in few])
        if self._roots:
            return f"s.trace_id IN (SELECT {span_docs.trace_of('d.value')} FROM json_each(?) d)", [self.project, rows]  # noqa: S608  as above
        there = f"FROM json_each(?) d CROSS JOIN spans t NOT INDEXED ON {span_docs.holds('t', 'd.value')}"
        return f"(s.id IN (SELECT t.id {there}) AND {said})", [rows, *values]

    def _among(self, docs: Docs, said: str, values: list[Any]) -> tuple[str, list[Any]]:
        sql, given = docs.sql
        if self._roots:
            there = f"SELECT 1 FROM spans t INDEXED BY spans_identity JOIN chunks c ON c.id = t.chunk WHERE {_SAME} AND c.doc IN ({sql})"  # noqa: S608  as above
            return f"EXISTS ({there})", given
        return f"((SELECT doc FROM chunks WHERE id = s.chunk) IN ({sql}) AND {said})", [*given, *values]  # noqa: S608  as above

    def _says(self, term: Term) -> tuple[str, list[Any]]:
        """The same asked of one span: a document says what any of its spans does."""
        if term.field != "text":
            return _attribute(term, "s")
        return "says(s.chunk, s.line, ?, ?)", [" ".join(tokens(term.value)), _is_prefix(term)]

    def _labelled(self, term: Term) -> tuple[str, list[Any]]:
        key, value = term.field.removeprefix("attr."), term.value
        if term.op != ":":
            kinds = "typeof(value) IN ('integer', 'real')"
            return self._found(
                term, Docs.labelled(self._connection, self.project, key, f"{term.op} ? AND {kinds}", [term.number])
            )
        either = [value] if term.number is None or term.quoted else [value, term.number]
        return self._found(term, Docs.labelled(self._connection, self.project, key, "= ?", either))

    def _texts(self, term: Term) -> tuple[str, list[Any]]:
        match = _match(term)
        if match is None:  # nothing but punctuation: no word to look for
            return "0", []
        return self._found(term, Docs.saying(self._connection, match))

    def _begin_with(self, hint: str, term: Term) -> None:
        if not term.negated:
            self.source = f"spans s {hint}"

    def _few(self, table: str, sql: str, values: list[Any]) -> bool:
        last = f"SELECT 1 FROM {table} WHERE {sql} LIMIT 1 OFFSET {_FEW - 1}"  # noqa: S608  as above
        return self._connection.execute(last, values).fetchone() is None


def _leads(term: Term) -> bool:
    """Whether it leaves so much that documents in order of time find a page of it soon."""
    return term.field in _LEADING or (term.field.startswith("attr.") and term.op == ":" and not term.glob)


# Without the hint SQLite may prefer an index over a whole project.
_SAME = "t.project = s.project AND t.trace_id = s.trace_id"
_TRACE = f"FROM spans t INDEXED BY spans_identity WHERE {_SAME}"
_SAME_TRACE = f"SELECT 1 {_TRACE}"
_SUM = f"(SELECT trace_sum('{{}}', t.span_id, t.parent_id, t.input_tokens, t.output_tokens, t.cost) {_TRACE})"


def sorting(name: str, *, roots: bool) -> str:
    """The SQL of what a list is sorted by: a whole number, as its cursor takes, 0 where it is unknown."""
    cost = _SUM.format("cost") if roots else "s.cost"
    tokens = (
        _SUM.format("tokens")
        if roots
        else "coalesce(s.input_tokens + s.output_tokens, s.input_tokens, s.output_tokens)"
    )
    known = {
        "start": "s.start",
        "latency": 'max(coalesce(s."end" - s.start, -1), -1) + 1',
        "cost": f"CAST(min(max(coalesce({cost} * 1e9, -1), -1), 9e18) AS INTEGER) + 1",
        "tokens": f"max(coalesce({tokens}, -1), -1) + 1",
    }
    if name not in known:
        raise BadInput(f"Lists cannot be sorted by {name!r}. By: {', '.join(known)}.")
    return known[name]


def at_most(name: str) -> str | None:
    """The SQL of a sum over the spans of a trace that is no less than what a list of traces is sorted by; None where none is known."""
    return {
        "cost": "CAST(min(sum(max(coalesce(t.cost, 0), 0)) * 1e9, 9e18) AS INTEGER) + 2",
        "tokens": "sum(max(coalesce(t.input_tokens, 0), 0) + max(coalesce(t.output_tokens, 0), 0)) + 1",
    }.get(name)


def row_condition(term: Term, row: str, now: int = 0) -> tuple[str, list[Any]]:
    """What the term asks of one row."""
    if term.field.startswith("attr."):
        return _attribute(term, row)
    if term.field in ("since", "before"):
        return _time(term, row, now)
    if term.field in _NUMBERS:
        return f"{_NUMBERS[term.field].format(row)} {_comparison(term)} ?", [term.number]
    return _SPECIAL.get(term.field, _plain)(term, row)


def _time(term: Term, row: str, now: int) -> tuple[str, list[Any]]:
    return f"{row}.start {'>=' if term.field == 'since' else '<'} ?", [time_of(term, now)]


def time_of(term: Term, now: int) -> int:
    """The nanoseconds since 1970 that a term of `since` or `before` means."""
    at = from_rfc3339(term.value) if term.number is None else now - int(term.number * 1e9)
    return max(min(at, 2**63 - 1), -(2**63))


def _trace(term: Term, row: str) -> tuple[str, list[Any]]:
    digits = term.value.lower()
    return f"{row}.trace_id BETWEEN ? AND ?", [bytes.fromhex(digits.ljust(32, filler)) for filler in "0f"]


def _error(term: Term, row: str) -> tuple[str, list[Any]]:
    return f"{row}.error GLOB ?", [f"*{_glob(term)}*"]


def _chain(term: Term, row: str) -> tuple[str, list[Any]]:
    """A chain by its name, whatever its revision, or by name and hash."""
    pattern = _glob(term).removeprefix("chain:")
    return f"({row}.chain GLOB ? OR {row}.chain GLOB ?)", [pattern, f"{pattern}~*"]


def _status(term: Term, row: str) -> tuple[str, list[Any]]:
    if term.value == "error":  # as a literal, so that the index of errors serves it
        return f"{row}.status = 'error'", []
    return _plain(term, row)


def _plain(term: Term, row: str) -> tuple[str, list[Any]]:
    column = f"{row}.{term.field}"
    return (f"{column} GLOB ?", [_glob(term)]) if term.glob else (f"{column} = ?", [term.value])


def _component(term: Term, row: str) -> tuple[str, list[Any]]:
    """By its name; a span that is none has its own."""
    column = f"coalesce({row}.component, {row}.name)"
    return (f"{column} GLOB ?", [_glob(term)]) if term.glob else (f"{column} = ?", [term.value])


_SPECIAL = {"trace": _trace, "error": _error, "chain": _chain, "status": _status, "component": _component}


def _attribute(term: Term, row: str) -> tuple[str, list[Any]]:
    return _compared(term, f"attribute({row}.chunk, {row}.line, ?)", [term.field.removeprefix("attr.")])


def _compared(term: Term, found: str, given: list[Any]) -> tuple[str, list[Any]]:
    """What the term asks of an attribute; `found` is the SQL of its value, with `given` as parameters."""
    if term.op != ":":
        value: Any = term.value if term.number is None else term.number
        kind = "'text'" if term.number is None else "'integer', 'real'"
        return f"(typeof({found}) IN ({kind}) AND {found} {term.op} ?)", [*given, *given, value]
    if term.glob:
        return f"CAST({found} AS TEXT) GLOB ?", [*given, _glob(term)]
    if term.number is not None and not term.quoted:
        return f"({found} = ? OR {found} = ?)", [*given, term.value, *given, term.number]
    return f"{found} = ?", [*given, term.value]


def _match(term: Term) -> str | None:
    """An FTS5 query for exactly these words in this order; a trailing `*` (not quoted) finds words that begin so."""
    prefix = _is_prefix(term)
    words = term.value.replace("*", " ") if term.glob else term.value
    words = words.replace("\0", " ").replace('"', '""')
    if re.search(r"[^\W_]", words) is None:
        return None
    return f'"{words.strip()}"' + ("*" if prefix else "")


def _is_prefix(term: Term) -> bool:
    return term.glob and term.value.endswith("*")


def _comparison(term: Term) -> str:
    return "=" if term.op == ":" else term.op


def _glob(term: Term) -> str:
    """SQLite's GLOB pattern in which only our `*` is special."""
    text = re.sub(r"[\[?]", lambda m: f"[{m.group()}]", term.value)
    return text if not term.quoted else text.replace("*", "[*]")
