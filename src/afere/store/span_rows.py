"""A span as a row of columns and a line of a chunk, and back. A damaged line costs its details, never a list."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.span import Span

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PREVIEW = 300  # characters
_INDEXED = 100_000  # characters of one text that can be searched

# Columns of `spans` after its id, with their declarations.
COLUMNS: dict[str, str] = {
    "project": "TEXT NOT NULL", "trace_id": "BLOB NOT NULL", "span_id": "BLOB NOT NULL", "parent_id": "BLOB",
    "root": "INTEGER NOT NULL", "name": "TEXT NOT NULL", "kind": "TEXT NOT NULL", "start": "INTEGER NOT NULL",
    '"end"': "INTEGER", "seconds": "REAL", "status": "TEXT NOT NULL", "error": "TEXT", "model": "TEXT",
    "response_model": "TEXT", "provider": "TEXT", "user": "TEXT", "session": "TEXT", "environment": "TEXT", "chain": "TEXT",
    "input_tokens": "INTEGER", "output_tokens": "INTEGER", "cached_input_tokens": "INTEGER", "reasoning_tokens": "INTEGER",
    "cost": "REAL", "input": "TEXT", "output": "TEXT", "chunk": "INTEGER NOT NULL", "line": "INTEGER NOT NULL",
}  # fmt: skip

_TEXTS = ("error", "model", "response_model", "provider", "user", "session", "environment")
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_DETAILS = (
    "input", "output", "input_messages", "output_messages", "tool", "documents", "attributes", "events", "artifacts",
    "marks", "finish_reason", "first_token_seconds",
)  # fmt: skip
_SAID = ("input", "output", "first_token_seconds")


def detail(span: Span) -> dict[str, Json]:
    """What is not in columns; empty fields are left out."""
    found = {name: getattr(span, name) for name in _DETAILS}
    # An output of [] is an answer; no events are no news.
    return {name: value for name, value in found.items() if value or (name in _SAID and value is not None)}


def cells(span: Span, *, project: str, root: int, chunk: int | None, line: int) -> list[Any]:
    """The values of `COLUMNS`, in their order."""
    parent = span.parent_id
    said = [_text(getattr(span, name)) for name in _TEXTS]
    counts = [_count(getattr(span, name)) for name in _COUNTS]
    return [
        project, bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id), bytes.fromhex(parent) if parent else None,
        root, _text(span.name), _text(span.kind), span.start, span.end, span.seconds, span.status, *said, _chain(span),
        *counts, span.cost, _text(_glance(span.input, span.input_messages)), _text(_glance(span.output, span.output_messages)),
        chunk, line,
    ]  # fmt: skip


def read_row(row: sqlite3.Row, details: Mapping[str, Any]) -> Span:
    """The whole span; fields of `details` that do not have their type are left out."""
    span = Span(
        bytes(row["trace_id"]).hex(),
        bytes(row["span_id"]).hex(),
        row["name"],
        row["start"],
        bytes(row["parent_id"]).hex() if row["parent_id"] is not None else None,
        row["kind"],
        row["end"],
        row["status"],
        cost=row["cost"],
        **{name: row[name] for name in (*_TEXTS, *_COUNTS)},
    )
    for name in _DETAILS:
        value = details.get(name)
        present = getattr(span, name)
        if value is not None and (present is None or isinstance(value, type(present))):
            setattr(span, name, value)
    uses = cast("list[Any]", span.artifacts)
    span.artifacts = [(str(use[0]), str(use[1])) for use in uses if isinstance(use, list | tuple) and len(use) == 2]  # pyright: ignore[reportUnknownArgumentType]
    return span


def preview(row: sqlite3.Row, details: Mapping[str, Any]) -> Span:
    """The span as lists show it: input and output as short text, no messages, documents or events."""
    light = {name: details[name] for name in ("attributes", "artifacts", "marks", "finish_reason") if name in details}
    span = read_row(row, light)
    span.input, span.output = row["input"], row["output"]
    return span


def encode(details: Sequence[Mapping[str, Json]]) -> bytes:
    """A chunk: one line of JSON for each span, compressed."""
    lines = [json.dumps(detail, ensure_ascii=False, separators=(",", ":"), default=str) for detail in details]
    return zstd.compress("\n".join(lines).encode("utf-8", "surrogatepass"))


class Chunks:
    """Details of spans, reading each chunk once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: tuple[int, list[str]] = (-1, [])

    def detail(self, chunk: int, line: int) -> dict[str, Any]:
        """What `detail` made of that span; empty where it is damaged."""
        if self._last[0] != chunk:
            row = self._connection.execute("SELECT data FROM chunks WHERE id = ?", (chunk,)).fetchone()
            self._last = (chunk, lines_of(row["data"]) if row is not None else [])
        lines = self._last[1]
        try:
            value = json.loads(lines[line])
        except (IndexError, ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    def attributes(self, chunk: int, line: int) -> dict[str, Any]:
        """The attributes of that span."""
        value = self.detail(chunk, line).get("attributes")
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def lines_of(data: bytes) -> list[str]:
    """The lines of a chunk; none where it is damaged."""
    try:
        return zstd.decompress(data).decode("utf-8", "surrogatepass").split("\n")
    except (zstd.ZstdError, UnicodeDecodeError, TypeError):
        return []


def texts(details: Mapping[str, Any]) -> tuple[str, str]:
    """What can be searched: the words of the input, and of the output."""
    given = details.get("input", details.get("input_messages"))
    made = details.get("output", details.get("output_messages", details.get("documents")))
    return _words(given), _words(made)


def forget_texts(connection: sqlite3.Connection, row: sqlite3.Row, chunks: Chunks) -> None:
    """Take a span's texts out of the full-text index."""
    if row["status"] == "running":
        return
    said = texts(chunks.detail(row["chunk"], row["line"]))
    if any(said):  # a contentless index must be told again what to forget
        connection.execute(
            "INSERT INTO texts (texts, rowid, input, output) VALUES ('delete', ?, ?, ?)", (row["id"], *said)
        )


def _words(value: Any) -> str:
    found: list[str] = []
    room = _INDEXED
    stack = [value]
    while stack and room > 0:
        item = stack.pop()
        if isinstance(item, str):
            found.append(item[:room])
            room -= len(item)
        elif isinstance(item, dict):
            stack.extend(reversed(list(cast("dict[str, Any]", item).values())))
        elif isinstance(item, list):
            stack.extend(reversed(cast("list[Any]", item)))
    return _text("\n".join(found)) or ""


def _glance(value: Json, messages: list[Json]) -> str | None:
    if value is None and messages:
        last = messages[-1]
        value = last.get("text") if isinstance(last, dict) else last
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"


def _chain(span: Span) -> str | None:
    for ref, _ in span.artifacts:
        if ref.startswith("chain:"):
            return _text(ref.removeprefix("chain:"))
    return _text(span.name) if span.kind == "chain" else None


def _text(value: str | None) -> str | None:
    # Half of a surrogate pair is not text for SQLite.
    return value if value is None or value.isascii() else value.encode("utf-8", "replace").decode()


def _count(value: int | None) -> int | None:
    # Beyond is nonsense that some program reported; sums of what is kept must fit into SQLite's 64 bits.
    return value if value is None or -(2**48) <= value < 2**48 else None
