"""Counts by hour, so that statistics of a month do not read its spans: kept in the transaction that writes them.

A cell is one hour, series (of name, kind, model, status and what else `SAID` names) and bucket of latency. A bucket spans 4 %, so that a quantile read from it is
within 2 % of the true one; counts, tokens and cost are exact. A running span counts as running, until its end replaces it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import add
from typing import Any, cast

import orjson

QUANTILE_ERROR = 0.02  # at most, of the true value
HOUR = 3_600_000_000_000  # nanoseconds

_GROWTH = (1 + QUANTILE_ERROR) / (1 - QUANTILE_ERROR)
_LOG = math.log(_GROWTH)
_NONE, _ZERO = -10_001, -10_000  # buckets of what has not ended, and of what took no time
_SERIES = 10_000  # of a project; spans of further ones are counted without name, component, version, prompt and chain
_QUANTILES = (0.5, 0.95, 0.99)

LAYOUT = (
    """CREATE INDEX spans_reporting ON spans (project, trace_id, parent_id)
        WHERE parent_id IS NOT NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost IS NOT NULL)""",
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY, project TEXT NOT NULL, name TEXT, kind TEXT NOT NULL, model TEXT, status TEXT NOT NULL)""",
    """CREATE TABLE rollup (
        series INTEGER NOT NULL, hour INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
        inputs INTEGER NOT NULL, input_tokens INTEGER NOT NULL, outputs INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
        costs INTEGER NOT NULL, cost REAL NOT NULL, PRIMARY KEY (series, hour, bucket)) WITHOUT ROWID""",
)

# A span's own tokens and cost, unless one directly below it reports them too.
COUNTED = (
    "CASE WHEN s.{0} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM spans c INDEXED BY spans_reporting"
    " WHERE c.project = s.project AND c.trace_id = s.trace_id AND c.parent_id = s.span_id AND c.parent_id IS NOT NULL"
    " AND (c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL OR c.cost IS NOT NULL)) THEN s.{0} END"
)
_SUMS = ("input_tokens", "output_tokens", "cost")
# Columns of a span that its series has too. What is MANY may have many values, and is left out where there are too many.
SAID = ("kind", "model", "status", "environment", "name", "component", "version", "prompt", "chain")
MANY = frozenset(SAID[4:])
NAMES = frozenset({"model", *SAID[3:]})  # of them, those that hold words of others
_FEW = SAID.index("name")  # of them that every series has
# Columns that came later than the others, and how they are found.
ADDED = ("environment", "component", "version", "prompt", "chain")
KEY = f"CREATE INDEX series_key ON series (project, {', '.join(SAID)})"

# What each span adds, to be followed by conditions on `spans s`.
SHARE = (
    f"SELECT {', '.join(f's.{name}' for name in SAID)}, s.start / {HOUR} AS hour, bucket(s.seconds) AS bucket, "
    + ", ".join(f"{COUNTED.format(name)} AS {name}" for name in _SUMS)
)  # fmt: skip


SUMMARY = (
    # The same for all names of a model together (for spans of none, it is an empty blob). `buckets`: JSON, bucket -> count.
    """CREATE TABLE summary (
        project TEXT NOT NULL, hour INTEGER NOT NULL, model NOT NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL,
        inputs INTEGER NOT NULL, input_tokens INTEGER NOT NULL, outputs INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
        costs INTEGER NOT NULL, cost REAL NOT NULL, buckets TEXT NOT NULL, PRIMARY KEY (project, hour, model)) WITHOUT ROWID""",
)


def bucket(seconds: float | None) -> int:
    """The number of the bucket that holds a latency."""
    if seconds is None:
        return _NONE
    return max(math.floor(math.log(seconds) / _LOG), -9_999) if seconds > 0 else _ZERO


@lru_cache(maxsize=4096)
def seconds_of(number: int) -> float:
    """The value that stands for all of a bucket: none in it is further away than QUANTILE_ERROR of itself."""
    return 0.0 if number == _ZERO else 2 * _GROWTH ** (number + 1) / (_GROWTH + 1)


def register(connection: sqlite3.Connection) -> None:
    """Teach the connection about buckets."""
    connection.create_function("bucket", 1, bucket, deterministic=True)
    connection.create_aggregate("bucket_quantiles", 2, cast("Any", _BucketQuantiles))
    connection.create_aggregate("summary_quantiles", 1, cast("Any", _SummaryQuantiles))
    connection.create_aggregate("quantiles", 1, cast("Any", _Quantiles))


_Place = tuple[tuple[Any, ...], int, int]  # of a cell: what its spans say, hour, bucket
_Cells = dict[_Place, list[float]]
_FIND = f"SELECT id FROM series WHERE project = ? AND {' AND '.join(f'{name} IS ?' for name in SAID)}"  # noqa: S608  names of our own columns
_NEW = f"INSERT INTO series (project, {', '.join(SAID)}) VALUES ({', '.join('?' * (len(SAID) + 1))})"  # noqa: S608  as above


def _cell(row: Sequence[Any]) -> tuple[tuple[Any, ...], int, int, tuple[Any, ...]]:
    """What `SHARE` found: what the span says, hour, bucket, and its sums."""
    found = tuple(row)
    return found[: len(SAID)], found[len(SAID)], found[len(SAID) + 1], found[len(SAID) + 2 :]


class Shares:
    """What a change of spans adds to and takes from the counts, gathered, then written at once."""

    def __init__(self, connection: sqlite3.Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._cells: _Cells = {}
        self._buckets: dict[float | None, int] = {}  # of latencies: many spans take as long as others
        self._taken = False
        self._full = False

    def add(self, where: str, values: Sequence[Any]) -> None:
        """Count the spans that these conditions on `s` hold for."""
        self._gather(where, values, 1)

    def take(self, where: str, values: Sequence[Any]) -> None:
        """Count them no more; before anything about them or below them changes."""
        self._taken = True
        self._gather(where, values, -1)

    def count(self, spans: Iterable[tuple[tuple[Any, ...], int, float | None, Sequence[float | None]]]) -> None:
        """Count more spans: of each what it says of `SAID`, its start, seconds, and own tokens and cost, None where a span below has them."""
        cells, buckets = self._cells, self._buckets
        for said, start, seconds, (given, made, cost) in spans:
            number = buckets.get(seconds)
            if number is None:
                number = buckets[seconds] = bucket(seconds)
            key = (said, start // HOUR, number)
            sums = cells.get(key)
            if sums is None:
                sums = cells[key] = [0] * 7
            sums[0] += 1
            if given is not None:
                sums[1] += 1
                sums[2] += given
            if made is not None:
                sums[3] += 1
                sums[4] += made
            if cost is not None:
                sums[5] += 1
                sums[6] += cost

    def move(self, said: Sequence[str]) -> None:
        """Count all spans that say something of these columns with it, whom the counts know without."""
        self._taken = True
        known = " OR ".join(f"s.{name} IS NOT NULL" for name in said)
        for row in self._connection.execute(
            f"{SHARE} FROM spans s WHERE s.project = ? AND ({known})", (self._project,)
        ):
            key, hour, number, sums = _cell(row)
            bare = tuple(None if name in said else value for name, value in zip(SAID, key, strict=True))
            self._add((bare, hour, number), sums, -1)
            self._add((key, hour, number), sums, 1)

    def write(self, *, summary: bool = True) -> None:
        """Bring the counts up to date, and their summary where the file has one."""
        if summary:
            _summarise(self._connection, self._project, self._cells)
        kept = {key: sums for key, sums in self._cells.items() if any(sums)}
        series = {said: self._series(said) for said in dict.fromkeys(key[0] for key in kept)}
        cells: dict[tuple[int, int, int], list[float]] = {}
        for (said, hour, number), sums in kept.items():  # of too many series, several are counted as one
            cell = cells.setdefault((series[said], hour, number), [0] * 7)
            cell[:] = map(add, cell, sums)
        rows = [(*place, *map(_bounded, sums)) for place, sums in cells.items()]
        self._connection.executemany(
            """INSERT INTO rollup VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (series, hour, bucket) DO UPDATE SET count = count + excluded.count,
            inputs = inputs + excluded.inputs, input_tokens = input_tokens + excluded.input_tokens,
            outputs = outputs + excluded.outputs, output_tokens = output_tokens + excluded.output_tokens,
            costs = costs + excluded.costs, cost = cost + excluded.cost""",
            rows,
        )
        if self._taken:
            self._connection.executemany(
                "DELETE FROM rollup WHERE series = ? AND hour = ? AND bucket = ? AND count <= 0",
                [row[:3] for row in rows],
            )
        self._cells.clear()

    def _gather(self, where: str, values: Sequence[Any], sign: int) -> None:
        for row in self._connection.execute(f"{SHARE} FROM spans s WHERE {where}", values):
            said, hour, number, sums = _cell(row)
            self._add((said, hour, number), sums, sign)

    def _add(self, key: _Place, values: Sequence[float | None], sign: int) -> None:
        sums = self._cells.get(key)
        if sums is None:
            sums = self._cells[key] = [0] * 7
        sums[0] += sign
        for at, value in enumerate(values):
            if value is not None:
                sums[1 + 2 * at] += sign
                sums[2 + 2 * at] += sign * value

    def _series(self, said: tuple[Any, ...]) -> int:
        for called in (said, (*said[:_FEW], *[None] * len(MANY))):
            known = self._connection.execute(_FIND, (self._project, *called)).fetchone()
            if known is not None:
                return known[0]
            # A series is never deleted: what was counted without its name could not be found again.
            if called[_FEW] is None or not self._is_full():
                return cast("int", self._connection.execute(_NEW, (self._project, *called)).lastrowid)
        raise AssertionError("a series without a name can always be made")

    def _is_full(self) -> bool:
        self._full = self._full or (
            self._connection.execute(
                "SELECT 1 FROM series WHERE project = ? LIMIT 1 OFFSET ?", (self._project, _SERIES)
            ).fetchone()
            is not None
        )
        return self._full


def count_all(connection: sqlite3.Connection) -> None:
    """Count every span there is, for a file that has no counts yet."""
    for (project,) in connection.execute("SELECT DISTINCT project FROM spans").fetchall():
        shares = Shares(connection, project)
        shares.add("s.project = ?", (project,))
        shares.write(summary=False)


def summarise_all(connection: sqlite3.Connection) -> None:
    """Make the summary of all counts, for a file that has none yet."""
    for (project,) in connection.execute("SELECT DISTINCT project FROM series").fetchall():
        _summarise_all_of(connection, project)


def _summarise_all_of(connection: sqlite3.Connection, project: str) -> None:
    cells: _Cells = {
        ((row["kind"], row["model"], row["status"], row["id"]), row["hour"], row["bucket"]): list(tuple(row)[6:])
        for row in connection.execute(
            "SELECT s.id, s.kind, s.model, s.status, r.hour, r.bucket, r.count, r.inputs, r.input_tokens, r.outputs,"
            " r.output_tokens, r.costs, r.cost FROM series s JOIN rollup r ON r.series = s.id WHERE s.project = ?",
            (project,),
        )
    }
    _summarise(connection, project, cells)


_ADDED = ("count", "errors", "inputs", "input_tokens", "outputs", "output_tokens", "costs", "cost")


def _summarise(connection: sqlite3.Connection, project: str, cells: _Cells) -> None:
    """Add cells of the counts to the summary."""
    changed: dict[tuple[int, Any], tuple[list[float], dict[str, int]]] = {}
    for ((_, model, status, *_), hour, number), sums in cells.items():
        known, buckets = changed.setdefault((hour, b"" if model is None else model), ([0] * len(_ADDED), {}))
        for at, value in enumerate((sums[0], sums[0] if status == "error" else 0, *sums[1:])):
            known[at] += value
        buckets[str(number)] = buckets.get(str(number), 0) + int(sums[0])
    rows: list[list[Any]] = []
    for (hour, model), (sums, buckets) in changed.items():
        row = connection.execute(
            f"SELECT {', '.join(_ADDED)}, buckets FROM summary WHERE project = ? AND hour = ? AND model = ?",  # noqa: S608  names of our own columns
            (project, hour, model),
        ).fetchone()
        if row is not None:
            sums = [known + value for known, value in zip(tuple(row), sums, strict=False)]  # noqa: PLW2901
            for number, count in json.loads(row["buckets"]).items():
                buckets[number] = buckets.get(number, 0) + count
        left = {number: count for number, count in buckets.items() if count > 0}
        rows.append([project, hour, model, *map(_bounded, sums), json.dumps(left, separators=(",", ":"))])
    connection.executemany("INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "DELETE FROM summary WHERE project = ? AND hour = ? AND model = ? AND count <= 0", [row[:3] for row in rows]
    )


def names_are_whole(connection: sqlite3.Connection, project: str) -> bool:
    """Whether every span is counted under its own name."""
    return (
        connection.execute("SELECT 1 FROM series WHERE project = ? AND name IS NULL LIMIT 1", (project,)).fetchone()
        is None
    )


def forget_names(connection: sqlite3.Connection, project: str, names: Mapping[str, Iterable[str]], called: str) -> None:
    """Forget values of `NAMES` columns, by column, where no span has one any more: a name or model is called something else."""
    for column, values in names.items():
        for value in values:
            connection.execute(
                f"UPDATE series SET {column} = ? WHERE project = ? AND {column} = ?"  # noqa: S608  names of our own columns
                f" AND NOT EXISTS (SELECT 1 FROM spans s WHERE s.project = series.project AND s.{column} = series.{column})",
                (called if column in ("name", "model") else None, project, value),
            )
    if names.get("model"):
        connection.execute("DELETE FROM summary WHERE project = ?", (project,))
        _summarise_all_of(connection, project)


def _bounded(value: float) -> float:
    # SQLite's integers end at 64 bits; a sum beyond is nonsense that some span reported, and must not stop the others.
    return value if -(2**63) <= value < 2**63 else float(value)


class _BucketQuantiles:
    """p50, p95 and p99 of counts by bucket, as a JSON list; None of none."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def step(self, number: int, count: int) -> None:
        self._counts[number] = self._counts.get(number, 0) + count

    def finalize(self) -> str | None:
        return _quantiles(self._counts)


class _SummaryQuantiles:
    """The same of rows of the summary."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def step(self, buckets: str) -> None:
        counts: dict[str, int] = orjson.loads(buckets)
        if self._counts:
            for number, count in counts.items():
                self._counts[number] = self._counts.get(number, 0) + count
        else:  # of a group by hour and model, there is no other
            self._counts = counts

    def finalize(self) -> str | None:
        return _quantiles(dict(zip(map(int, self._counts), self._counts.values(), strict=True)))


def _quantiles(counts: dict[int, int]) -> str | None:
    counts.pop(_NONE, None)
    numbers = sorted(counts)
    ends = list(accumulate(map(counts.__getitem__, numbers)))  # how many values lie up to the end of each
    if not ends or ends[-1] <= 0:
        return None
    return _written(ends[-1], lambda at: seconds_of(numbers[bisect_right(ends, at)]))


class _Quantiles:
    """p50, p95 and p99, by linear interpolation between the two nearest values, as a JSON list; None of none."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def step(self, value: float | None) -> None:
        if value is not None:
            self._values.append(value)

    def finalize(self) -> str | None:
        ordered = sorted(self._values)
        return _written(len(ordered), ordered.__getitem__) if ordered else None


def _written(total: int, value: Callable[[int], float]) -> str:
    """Quantiles as a JSON list; `value` says which one stands at a place."""
    return orjson.dumps([_between(total, q, value) for q in _QUANTILES]).decode()


def _between(total: int, q: float, value: Callable[[int], float]) -> float:
    at = q * (total - 1)
    low = int(at)
    first = value(low)
    return first if at == low else first + (value(low + 1) - first) * (at - low)
