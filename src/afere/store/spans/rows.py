"""A span as a row of columns and the details that a chunk keeps, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter
from typing import Any, Protocol, cast

from afere.base.canonical import Json
from afere.base.span import Span
from afere.store.spans.chunks import DAMAGED, Chunks, Part

PREVIEW = 300  # characters of an input or output that columns keep
PREVIEW_BELOW = 120  # of a span below another

# Attributes that say how a span hangs together where its parent is not one of ours.
ENTRY = "afere.entry"  # true: its parent lives in another process or belongs to other tracing; it begins what we see
UNDER = "afere.under"  # the nearest span of ours above it, when a foreign span stands between

CIRCLE = 4  # `root` of a span that is below itself: the one of its circle that begins what we see

# Columns of `spans` after its id, with their declarations.
COLUMNS: dict[str, str] = {
    "project": "TEXT NOT NULL", "trace_id": "BLOB NOT NULL", "span_id": "BLOB NOT NULL", "parent_id": "BLOB",
    "root": "INTEGER NOT NULL", "name": "TEXT NOT NULL", "kind": "TEXT NOT NULL", "start": "INTEGER NOT NULL",
    '"end"': "INTEGER", "seconds": "REAL", "status": "TEXT NOT NULL", "error": "TEXT", "model": "TEXT",
    "response_model": "TEXT", "provider": "TEXT", "user": "TEXT", "session": "TEXT", "environment": "TEXT", "chain": "TEXT",
    "input_tokens": "INTEGER", "output_tokens": "INTEGER", "cached_input_tokens": "INTEGER", "reasoning_tokens": "INTEGER",
    "cost": "REAL", "input": "TEXT", "output": "TEXT", "chunk": "INTEGER NOT NULL", "line": "INTEGER NOT NULL", "component": "TEXT", "version": "TEXT",
    "prompt": "TEXT",
}  # fmt: skip

_TEXTS = ("error", "model", "response_model", "provider", "user", "session", "environment")
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_DETAILS = (
    "input", "output", "input_messages", "output_messages", "tool", "documents", "attributes", "events", "artifacts",
    "marks", "finish_reason", "first_token_seconds",
)  # fmt: skip
_SAID = ("input", "output", "first_token_seconds")
_details_of, _texts_of, _counts_of = attrgetter(*_DETAILS), attrgetter(*_TEXTS), attrgetter(*_COUNTS)


class Asked(Protocol):
    """Attributes that are asked for by name."""

    def get(self, name: str, /) -> Any: ...


# Of a row, as it is written: its id, then its columns.
AT: Mapping[str, int] = {name.strip('"'): place for place, name in enumerate(("id", *COLUMNS))}


@dataclass(slots=True)
class Entry:
    """A span on its way into the file. `row`: the values of its columns after an id; the store fills in the first two, `root`,
    `chunk` and `line`. `texts` can be searched, `keys` are its ties (see `ties`).
    """

    row: list[Any]
    part: Part
    texts: Sequence[str] = ()
    keys: Collection[str] = ()
    attributes: Asked = field(default_factory=dict[str, Any])  # asked for those that are filterable
    under: str | None = None  # what the attribute of that name says
    begins: bool = False  # the same of ENTRY
    again: Callable[[], Span] | None = None  # the whole span, of one that stays as it came
    meant: bool = False  # whether that has been understood, and may rest


def detail(span: Span) -> dict[str, Json]:
    """What is not in columns; empty fields are left out."""
    # An output of [] is an answer; no events are no news.
    found = zip(_DETAILS, _details_of(span), strict=True)
    return {name: value for name, value in found if value or (value is not None and name in _SAID)}


def row_of(trace: bytes, span_id: bytes, parent: bytes | None, span: Span) -> list[Any]:
    """The row of a span, as an Entry has it."""
    said = [value if value is None or value.isascii() else writable(value) for value in _texts_of(span)]
    counts = [value if value is None else bounded(value) for value in _counts_of(span)]
    return [
        0, "", trace, span_id, parent, 0, writable(span.name), writable(span.kind), span.start, span.end, span.seconds, span.status,
        *said, _chain(span), *counts, span.cost, glanced(span.input, span.input_messages),
        glanced(span.output, span.output_messages), 0, 0, *ran(span.artifacts, span.attributes),
    ]  # fmt: skip


_EMPTY = {
    name: repeat(0 if name in ("id", "root", "chunk", "line") else "" if name == "project" else None) for name in AT
}


def rows(columns: Mapping[str, Iterable[Any]]) -> list[list[Any]]:
    """The same of many spans of which columns are known, by name; the others are empty."""
    return [list(row) for row in zip(*(columns.get(name, empty) for name, empty in _EMPTY.items()), strict=False)]


def ran(artifacts: Iterable[Sequence[str]], attributes: Asked) -> tuple[str | None, str | None, str | None]:
    """The component (without its revision), the version of the program, and the prompt that a span says it ran."""
    component = chain = prompt = None
    for ref, _ in artifacts:
        kind, _, name = ref.partition(":")
        if kind == "component":
            component = component or name.partition("@")[0].partition("~")[0]
        elif kind == "chain":
            chain = chain or name
        elif kind == "prompt":
            prompt = prompt or name
    version = chain
    for name in VERSIONS:
        if said := attributes.get(name):
            version = str(said)
            break
    if prompt is None and (named := attributes.get("gen_ai.prompt.name")) is not None:
        number = attributes.get("gen_ai.prompt.version")
        prompt = str(named) if number is None else f"{named}@{number}"
    return _short_text(component), _short_text(version), _short_text(prompt)


def ran_of(details: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The same of the details of a span at rest."""
    uses, said = details.get("artifacts"), details.get("attributes")
    pairs = (
        [cast("list[Any]", use) for use in cast("list[Any]", uses) if isinstance(use, list)]
        if isinstance(uses, list)
        else []
    )
    known = [(str(use[0]), str(use[1])) for use in pairs if len(use) == 2]
    return ran(known, cast("dict[str, Any]", said) if isinstance(said, dict) else {})


VERSIONS = ("service.version", "resource.service.version", "release")  # attributes that say which program ran


def _short_text(value: str | None) -> str | None:
    return writable(value[:PREVIEW]) if value else None


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
    fill(span, details)
    if DAMAGED in span.marks:  # what columns know
        span.input, span.output = row["input"], row["output"]
    return span


def fill(span: Span, details: Mapping[str, Any]) -> None:
    """Give a span its details; those that do not have the type of their field are left out."""
    for name in _DETAILS:
        value = details.get(name)
        present = getattr(span, name)
        if value is not None and (present is None or isinstance(value, type(present))):
            setattr(span, name, value)
    uses = cast("list[Any]", span.artifacts)
    span.artifacts = [(str(use[0]), str(use[1])) for use in uses if isinstance(use, list | tuple) and len(use) == 2]  # pyright: ignore[reportUnknownArgumentType]


def preview(row: sqlite3.Row, chunks: Chunks, *, brief: bool = False) -> Span:
    """The span as lists show it: input and output as short text, no messages, documents or events.

    brief=True: as its columns know it; only of what still runs the chunk is read, which says whose process runs it.
    """
    if brief and row["status"] != "running":
        return _brief(row)
    details = chunks.light(row["chunk"], row["line"])
    span = read_row(row, {name: details[name] for name in _LISTED if name in details})
    span.input, span.output = row["input"], row["output"]
    return span


def _brief(row: sqlite3.Row) -> Span:
    _, _, trace, span, parent, _, name, kind, start, end, _, status, error, model, answered, provider, *rest = row
    user, session, environment, chain, given, made, cached, reasoning, cost, told, said, *_ = rest
    # A span of that kind which names no revision has its own name there.
    ran = [] if chain is None or chain == name else [(f"chain:{chain}", "")]
    return Span(
        trace.hex(), span.hex(), name, start, parent.hex() if parent is not None else None, kind, end, status, error,
        model, answered, provider, given, made, cached, reasoning, cost, input=told, output=said, session=session,
        user=user, environment=environment, artifacts=ran,
    )  # fmt: skip


_LISTED = ("attributes", "artifacts", "marks", "finish_reason")


# What `outlined` takes, in its order: read by place, since an outline is made of tens of thousands of rows.
OUTLINE = (
    "s.start, s.id, s.chunk, s.line, s.parent_id IS NULL OR EXISTS (SELECT 1 FROM spans p INDEXED BY spans_identity"
    " WHERE p.project = s.project AND p.trace_id = s.trace_id AND p.span_id = s.parent_id), s.trace_id, s.span_id, s.parent_id,"
    ' s.root, s.name, s.kind, s."end", s.status, s.error, s.model, s.response_model, s.provider, s.input_tokens, s.output_tokens,'
    " s.cached_input_tokens, s.reasoning_tokens, s.cost, s.input, s.output, s.session, s.user, s.environment"
)


def outlined(row: Sequence[Any], chunks: Chunks) -> Span:
    """The span as its columns know it: input and output as short text, nothing else of its content.

    Where its parent is not here, the attribute that names the nearest span above is looked for.
    """
    start, _, chunk, line, hangs, trace, span, parent, root, name, kind, end, status, error, *rest = row
    model, answered, provider, given, made, cached, reasoning, cost, told, said, session, user, environment = rest
    above = parent.hex() if parent is not None else None
    if not hangs and isinstance(under := chunks.attributes(chunk, line).get(UNDER), str):
        above = under
    return Span(
        trace.hex(), span.hex(), name, start, above, kind, end, status, error, model, answered, provider, given, made,
        cached, reasoning, cost, input=told, output=said, session=session, user=user, environment=environment,
        marks=["orphan"] if root >= 3 else [],
    )  # fmt: skip


def glanced(value: Json, messages: Sequence[Json]) -> str | None:
    """A value, or the last of messages, as columns keep it."""
    if value is None and messages:
        last = messages[-1]
        value = last.get("text") if isinstance(last, dict) else last
    if value is None:
        return None
    text = value if isinstance(value, str) else _WRITTEN(value)
    return writable(shown(text))


def shown(text: str) -> str:
    """A text as columns keep it."""
    return _cut(text, PREVIEW)


_WRITTEN = json.JSONEncoder(ensure_ascii=False, default=str).encode


def shorten(row: list[Any]) -> None:
    """Cut the previews of a span that turns out to be below another."""
    told, said = row[_INPUT], row[_OUTPUT]
    if told is not None and len(told) > PREVIEW_BELOW:
        row[_INPUT] = _cut(told, PREVIEW_BELOW)
    if said is not None and len(said) > PREVIEW_BELOW:
        row[_OUTPUT] = _cut(said, PREVIEW_BELOW)


_INPUT, _OUTPUT = AT["input"], AT["output"]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _chain(span: Span) -> str | None:
    for ref, _ in span.artifacts:
        if ref.startswith("chain:"):
            return writable(ref.removeprefix("chain:"))
    return writable(span.name) if span.kind == "chain" else None


def writable(value: str) -> str:
    """A text that SQLite takes."""
    # Half of a surrogate pair is not text for SQLite.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def bounded(value: int) -> int | None:
    """A count that can be added up."""
    # Beyond is nonsense that some program reported; sums of what is kept must fit into SQLite's 64 bits.
    return value if -(2**48) <= value < 2**48 else None
