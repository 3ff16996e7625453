"""Statistics of spans: from the counts by hour where they know what is asked, else from the spans."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, cast

import orjson

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.filter import Term
from afere.store.spans.filter import Where, row_condition, time_of
from afere.store.spans.rollup import COUNTED, HOUR, MANY, SAID, SHARE, names_are_whole
from afere.store.spans.sql import chunks_of
from afere.store.spans.sums import OF_TRACES, given

_COLUMNS = (
    "model", "response_model", "name", "kind", "status", "provider", "user", "session", "environment", "chain",
    "component", "version", "prompt",
)  # fmt: skip
_TIMES = {"hour": "%Y-%m-%dT%H:00:00Z", "day": "%Y-%m-%d"}
_COUNTED_BY = frozenset(SAID)  # what a series of counts knows
_NAMED = ", ".join(f"s.{name}" for name in SAID)
_SUMS = ("input_tokens", "output_tokens", "cost")
_MOST = 10_000  # groups
_FIRST, _LAST = -(2**63), 2**63 - 1


def statistics(
    connection: sqlite3.Connection, project: str, terms: Sequence[Term], by: Sequence[str]
) -> list[dict[str, Json]]:
    """See `SpanStore.stats`."""
    for name in by:
        _check(name)
    chunks_of(connection)
    asked = {*by, *(term.field for term in terms)}
    counted = asked <= _COUNTED_BY | {"hour", "day", "since", "before"} and (
        not asked & MANY or names_are_whole(connection, project)
    )
    summed = asked <= {"model", "hour", "day", "since", "before"}
    read = _from_summary if summed else _from_counts if counted else _from_spans
    sql, values = read(connection, project, terms, by)
    groups = f"GROUP BY {', '.join(str(at + 1) for at in range(len(by)))}" if by else ""
    order = "1" if by and by[0] in _TIMES else "count DESC"
    rows = connection.execute(f"{sql} {groups} ORDER BY {order} LIMIT {_MOST}", values).fetchall()
    return [_statistics(row, by) for row in rows]


def facets(
    connection: sqlite3.Connection, project: str, terms: Sequence[Term], fields: Sequence[str], top: int
) -> dict[str, list[dict[str, Json]]]:
    """See `SpanStore.facets`."""
    found: dict[str, list[dict[str, Json]]] = {}
    for field in fields:
        rows = statistics(connection, project, terms, [field])
        known = [row for row in rows if row[field] is not None]
        known.sort(key=lambda row: (-cast("int", row["count"]), str(row[field])))
        found[field] = [{"value": row[field], "count": row["count"]} for row in known[:top]]
    return found


_LOOKED = 50_000  # spans that are looked at for what stands among them


def among(
    connection: sqlite3.Connection, project: str, trace_ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, int]]:
    """See `SpanStore.among`."""
    for name in fields:
        _check(name)
    if not fields:
        return {}
    wanted = ", ".join(f"{_group(name, f's.start / {HOUR}', 's')} AS {name}" for name in fields)
    sql = (
        f"SELECT DISTINCT trace, {', '.join(fields)} FROM (SELECT j.value AS trace, {wanted} FROM {OF_TRACES} LIMIT ?)"  # noqa: S608  names of our own columns
    )
    seen: set[tuple[int, str, object]] = set()
    found: dict[str, dict[str, int]] = {name: {} for name in fields}
    for trace, *values in connection.execute(sql, (*given(list(dict.fromkeys(trace_ids)), project), _LOOKED)):
        for name, value in zip(fields, values, strict=True):
            if value is not None and (trace, name, value) not in seen:
                seen.add((trace, name, value))
                found[name][str(value)] = found[name].get(str(value), 0) + 1
    return found


def _from_spans(
    connection: sqlite3.Connection, project: str, terms: Sequence[Term], by: Sequence[str]
) -> tuple[str, list[Any]]:
    where = Where(connection, project, roots=False)
    for term in terms:
        where.ask(term)
    names = [f"{_group(name, f's.start / {HOUR}', 's')} AS {name}" for name in by]
    sums = [f"sum({COUNTED.format(name)}) AS {name}" for name in _SUMS]
    wanted = [*names, "count(*) AS count", "coalesce(sum(s.status = 'error'), 0) AS errors", *sums]
    return (
        f"SELECT {', '.join(wanted)}, quantiles(s.seconds) AS seconds FROM {where.source} WHERE {where.sql}",  # noqa: S608  all text of users is in parameters
        where.values,
    )


def _from_counts(
    _connection: sqlite3.Connection, project: str, terms: Sequence[Term], by: Sequence[str]
) -> tuple[str, list[Any]]:
    """Whole hours from the counts; the spans of the two hours that a period cuts, one by one."""
    since, before = period(terms)
    first, last = -(-since // HOUR), before // HOUR  # whole hours: first <= hour < last
    asked, given = _series_conditions(terms)
    edges, bounds = _edges(since, before, first, last)
    names = [f"{_group(name, 'c.hour', 'c')} AS {name}" for name in by]
    sums = [
        f"CASE WHEN sum({known}) > 0 THEN sum({name}) END AS {name}" for known, name in zip(_KNOWN, _SUMS, strict=True)
    ]
    wanted = [*names, "coalesce(sum(count), 0) AS count", "coalesce(sum(CASE WHEN status = 'error' THEN count END), 0) AS errors", *sums]  # fmt: skip
    each = ", ".join(f"{known}, {name}" for known, name in zip(_KNOWN, _SUMS, strict=True))
    once = ", ".join(f"{name} IS NOT NULL, {name}" for name in _SUMS)
    sql = f"""SELECT {", ".join(wanted)}, bucket_quantiles(bucket, count) AS seconds FROM (
        SELECT {_NAMED}, hour, bucket, count, {each}
        FROM series s CROSS JOIN rollup r ON r.series = s.id WHERE s.project = ? AND r.hour >= ? AND r.hour < ?{asked}"""  # noqa: S608  as above
    values = [project, first, last, *given]
    if edges:
        sql += f""" UNION ALL SELECT {", ".join(SAID)}, hour, bucket, 1, {once}
            FROM ({SHARE} FROM spans s WHERE s.project = ? AND ({edges}){asked})"""  # noqa: S608  as above
        values += [project, *bounds, *given]
    return sql + ") c", values


def _from_summary(
    _connection: sqlite3.Connection, project: str, terms: Sequence[Term], by: Sequence[str]
) -> tuple[str, list[Any]]:
    """As from the counts, but one row for all names of an hour and model."""
    since, before = period(terms)
    first, last = -(-since // HOUR), before // HOUR
    asked, given = _series_conditions(terms)
    edges, bounds = _edges(since, before, first, last)
    names = [f"{_group(name, 'c.hour', 'c')} AS {name}" for name in by]
    sums = [
        f"CASE WHEN sum({known}) > 0 THEN sum({name}) END AS {name}" for known, name in zip(_KNOWN, _SUMS, strict=True)
    ]
    wanted = [*names, "coalesce(sum(count), 0) AS count", "coalesce(sum(errors), 0) AS errors", *sums]
    each = ", ".join(f"{known}, {name}" for known, name in zip(_KNOWN, _SUMS, strict=True))
    once = ", ".join(f"{name} IS NOT NULL, {name}" for name in _SUMS)
    sql = f"""SELECT {", ".join(wanted)}, summary_quantiles(buckets) AS seconds FROM (
        SELECT model, hour, count, errors, {each}, buckets FROM
        (SELECT project, hour, CASE WHEN typeof(model) <> 'blob' THEN model END AS model, count, errors, {each}, buckets
         FROM summary WHERE project = ? AND hour >= ? AND hour < ?) s WHERE 1{asked}"""  # noqa: S608  as above
    values = [project, first, last, *given]
    if edges:
        sql += f""" UNION ALL SELECT model, hour, 1, status = 'error', {once}, '{{"' || bucket || '":1}}'
            FROM ({SHARE} FROM spans s WHERE s.project = ? AND ({edges}){asked})"""  # noqa: S608  as above
        values += [project, *bounds, *given]
    return sql + ") c", values


_KNOWN = ("inputs", "outputs", "costs")


def period(terms: Sequence[Term]) -> tuple[int, int]:
    """Nanoseconds: the first that is asked for, and the first that no longer is."""
    since, before, now = _FIRST, _LAST, time.time_ns()
    for term in terms:
        if term.field in ("since", "before"):
            at = time_of(term, now)
            if (term.field == "since") != term.negated:
                since = max(since, at)
            else:
                before = min(before, at)
    return since, before


def _edges(since: int, before: int, first: int, last: int) -> tuple[str, list[int]]:
    """Conditions for the spans of the period outside its whole hours."""
    if first >= last:
        return "s.start >= ? AND s.start < ?", [since, before]
    parts = [(low, high) for low, high in ((since, first * HOUR), (last * HOUR, before)) if low < high]
    parts = [(low, high) for low, high in parts if low != _FIRST and high != _LAST]
    return " OR ".join(["(s.start >= ? AND s.start < ?)"] * len(parts)), [at for part in parts for at in part]


def _series_conditions(terms: Sequence[Term]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for term in terms:
        if term.field in _COUNTED_BY:
            sql, given = row_condition(term, "s")
            parts.append(f" AND NOT coalesce({sql}, 0)" if term.negated else f" AND {sql}")
            values += given
    return "".join(parts), values


def _group(name: str, hour: str, row: str) -> str:
    if name == "component":  # what is none has its own name
        return f"coalesce({row}.component, {row}.name)"
    return f"strftime('{_TIMES[name]}', {hour} * 3600, 'unixepoch')" if name in _TIMES else f"{row}.{name}"


def _check(name: str) -> None:
    known = (*_COLUMNS, *_TIMES)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadInput(f"Statistics cannot be grouped by {name!r}.{hint} By: {', '.join(known)}.")


def _statistics(row: sqlite3.Row, by: Sequence[str]) -> dict[str, Json]:
    p50, p95, p99 = orjson.loads(row["seconds"]) if row["seconds"] else (None, None, None)
    known: dict[str, Json] = {name: row[name] for name in (*by, "count", "errors")}
    sums: dict[str, Json] = {name: row[name] for name in _SUMS}
    return {**known, "p50_seconds": p50, "p95_seconds": p95, "p99_seconds": p99, **sums}
