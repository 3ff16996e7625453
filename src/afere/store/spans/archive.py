"""Closed days as Parquet: `archive/PROJECT/2026-11-22.parquet` beside `spans.db`, one row a span, in order of trace.

A file holds the traces that began that day, whole. It is replaced at once or not at all, and spans leave `spans.db` only once
they are in it, so that a crash between the two leaves them in both; the next run then puts that right.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from afere.base.clock import today
from afere.base.errors import MissingExtra, StoreFailed
from afere.base.span import Span
from afere.store.files import TEMPORARY, sync_folder

if TYPE_CHECKING:
    from afere.base.canonical import Json

FOLDER = "archive"
PATH = r"archive/[a-z][a-z0-9._-]{0,99}/\d{4}-\d\d-\d\d\.parquet"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_GROUP = 2_000  # rows that are read together
_WHOLE = ("start", "end", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_REAL = ("cost", "first_token_seconds")
_JSON = (
    "input", "output", "input_messages", "output_messages", "tool", "documents", "attributes", "events", "artifacts", "marks",
)  # fmt: skip
_COLUMNS = tuple(field.name for field in fields(Span))
_Row = dict[str, Any]


class Archive:
    """The closed days of one project. Whoever reads or changes it needs the extra `parquet`."""

    def __init__(self, store: Path, project: str) -> None:
        self.folder = store / FOLDER / project

    def days(self) -> list[Path]:
        """Its files, the newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((one for one in self.folder.glob("*.parquet") if _DAY.fullmatch(one.stem)), reverse=True)

    def add(self, day: str, spans: Iterable[Span], traces: Collection[str]) -> None:
        """Put spans, in order of trace id, into the file of a day; what it held of the same traces is replaced."""
        file = self.folder / f"{day}.parquet"
        kept = (row for row in _rows(file) if row["trace_id"] not in traces) if file.exists() else iter(())
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(file, heapq.merge(kept, map(_row, spans), key=_trace))

    def trace(self, low: str, high: str) -> dict[str, list[Span]]:
        """The traces whose ids lie between two, at most a few, with all their spans."""
        found: dict[str, list[Span]] = {}
        for file in self.days():
            for row in _rows(file, [("trace_id", ">=", low), ("trace_id", "<=", high)]):
                found.setdefault(row["trace_id"], []).append(_span(row))
            if len(found) > 5:
                break
        return found

    def spans(self) -> Iterator[Span]:
        """All of them; of each only what it is counted as."""
        columns = ["trace_id", "span_id", "name", "kind", "start", "model", "environment", "attributes", "artifacts"]
        return (_span(row) for file in self.days() for row in _rows(file, None, columns))

    def traces_of(self, column: str, value: str) -> set[str]:
        """The ids of the traces in which any span has this user, session or trace id."""
        return {row["trace_id"] for file in self.days() for row in _rows(file, [(column, "=", value)], ["trace_id"])}

    def count(self, traces: Collection[str]) -> int:
        """How many spans these traces have."""
        return sum(row["trace_id"] in traces for file in self.days() for row in _rows(file, None, ["trace_id"]))

    def erase(self, traces: Collection[str]) -> int:
        """Rewrite every file that holds any of these traces without them; returns how many spans went."""
        gone = 0
        for unfinished in self.folder.glob(f"{TEMPORARY}*") if self.folder.is_dir() else ():
            unfinished.unlink(missing_ok=True)
        for file in self.days():
            here = sum(row["trace_id"] in traces for row in _rows(file, None, ["trace_id"]))
            if here:
                gone += here
                _write(file, (row for row in _rows(file) if row["trace_id"] not in traces))
        return gone

    def forget(self, before: int) -> int:
        """Remove the days that ended before a moment (ns); returns how many spans went."""
        gone = 0
        for file in self.days():
            if file.stem < today(before):
                gone += _parquet().read_metadata(str(file)).num_rows
                file.unlink()
        return gone

    def digests(self, traces: Collection[str] | None = None) -> set[str]:
        """The digests (`sha256:...`) that spans mention: of these traces, or all."""
        found: set[str] = set()
        for file in self.days():
            for row in _rows(file, None, ["trace_id", *_JSON]):
                if traces is None or row["trace_id"] in traces:
                    found.update(*(_DIGEST.findall(row[name]) for name in _JSON if row[name]))
        return found


def projects(store: Path) -> list[str]:
    """Those that have an archive."""
    folder = store / FOLDER
    return sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _trace(row: _Row) -> str:
    return row["trace_id"]


def _row(span: Span) -> _Row:
    row: _Row = {name: getattr(span, name) for name in _COLUMNS}
    for name, value in row.items():
        if name in _JSON:
            row[name] = None if value is None or value in ([], {}) else json.dumps(value, default=str)
        elif isinstance(value, str):  # half of a surrogate pair is not text for Parquet
            row[name] = value.encode("utf-8", "replace").decode()
    for name in ("input", "output"):  # an answer may be an empty list
        row[name] = None if (value := getattr(span, name)) is None else json.dumps(value, default=str)
    return row


def _span(row: _Row) -> Span:
    said: _Row = {name: row[name] for name in _COLUMNS if name in row and row[name] is not None}
    for name in _JSON:
        if name in said:
            said[name] = json.loads(said[name])
    uses = cast("list[Sequence[Json]]", said.get("artifacts", []))
    said["artifacts"] = [(str(use[0]), str(use[1])) for use in uses]
    return Span(**said)


def _parquet() -> Any:
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]  of an extra
    except ImportError:
        raise MissingExtra("parquet", "The archive of closed days") from None
    return cast("Any", parquet)


def _schema() -> Any:
    import pyarrow as arrow  # pyright: ignore[reportMissingImports]  of an extra

    made = cast("Any", arrow)
    kinds = {**dict.fromkeys(_WHOLE, made.int64()), **dict.fromkeys(_REAL, made.float64())}
    return made.schema([(name, kinds.get(name, made.string())) for name in _COLUMNS])


def _rows(
    file: Path, asked: list[tuple[str, str, str]] | None = None, columns: list[str] | None = None
) -> Iterator[_Row]:
    parquet = _parquet()
    try:
        with parquet.ParquetFile(str(file)) as opened:
            if asked is None:
                for batch in opened.iter_batches(_GROUP, columns=columns):
                    yield from batch.to_pylist()
                return
        yield from parquet.read_table(str(file), filters=asked, columns=columns).to_pylist()
    except (OSError, ValueError) as error:  # of pyarrow too
        if not file.exists():  # it went meanwhile
            return
        raise StoreFailed(f"{file} cannot be read: {str(error).splitlines()[0]} Take it from a backup.") from None


def _write(file: Path, rows: Iterable[_Row]) -> None:
    """Replace the file by these rows; it goes where there are none."""
    parquet, schema = _parquet(), _schema()
    import pyarrow as arrow  # pyright: ignore[reportMissingImports]  of an extra

    new, count = file.with_name(f"{TEMPORARY}{file.name}"), 0
    try:
        with parquet.ParquetWriter(str(new), schema, compression="zstd") as writer:
            for _, group in groupby(enumerate(rows), key=lambda one: one[0] // _GROUP):
                some = [row for _, row in group]
                count += len(some)
                writer.write_table(cast("Any", arrow).Table.from_pylist(some, schema=schema))
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.replace(file) if count else file.unlink(missing_ok=True)
        sync_folder(file.parent)
    except OSError as error:
        raise StoreFailed(
            f"{file} could not be written: {error.strerror or error}. It is as it was. Free some space, then try again."
        ) from None
    finally:
        new.unlink(missing_ok=True)
