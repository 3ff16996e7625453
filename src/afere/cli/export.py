"""`afere export`: traces out, one at a time: into a file (JSON lines, Parquet), or as OTLP to any collector."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from afere.base.canonical import Json
from afere.base.errors import BadInput, MissingExtra, WorldFailed
from afere.cli.common import Place, placed
from afere.cli.drawing import trace_json

if TYPE_CHECKING:
    from afere.base.span import Trace
    from afere.store import Session

_BATCH = 2_000  # spans in one group of rows
_TEXT = (
    "trace_id", "span_id", "parent_id", "name", "kind", "start", "status", "error", "model", "response_model", "provider",
    "finish_reason", "session", "user",
)  # fmt: skip
_REAL = ("seconds", "first_token_seconds", "cost")
_WHOLE = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
_NESTED = (
    "input", "output", "input_messages", "output_messages", "tool", "documents", "attributes", "events", "artifacts", "marks",
)  # fmt: skip


# As for `afere traces`: `-user:42` is a term of the filter.
@click.command("export", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("filter", nargs=-1, type=click.UNPROCESSED)
@click.option("--to", "target", required=True, metavar="URL|FILE", help="A collector, FILE.jsonl or FILE.parquet.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VARIABLE",
    help="A header for the collector, with the value of an environment variable. May be repeated.",
)  # fmt: skip
@placed
def export_(place: Place, filter: tuple[str, ...], target: str, headers: tuple[str, ...]) -> None:
    """Send the traces that match FILTER, whole, to a collector by OTLP, or write them to a file.

    \b
      afere export since:7d --to https://otel.example.org --header authorization=OTEL_KEY
      afere export 'chain:qa status:error' --to errors.jsonl

    What came over OTLP leaves as it came; spans of afere's own speak the GenAI convention, and afere.* beside it. Sending
    again is harmless where a collector knows a span by its ids. Spans that still run are left out.
    """
    words = " ".join(filter)
    with place.session() as session:
        if "://" not in target:
            if headers:
                raise BadInput("--header is for a collector; a file takes none.")
            count = export(session, words, Path(target))
            place.show(
                {"traces": count, "file": target},
                lambda console: console.print(f"{count:,} traces in {target}", markup=False),
            )
            return
        from afere.cli.sending import send

        sent = send(session, words, target, headers, told=None if place.json else _told)
    place.show(sent, lambda console: console.print(sent.said, markup=False))


def _told(text: str) -> None:
    click.echo(text, err=True)


def export(session: Session, filter: str, file: Path) -> int:
    """Write the traces that match, newest first, with all contents; returns how many.

    `.jsonl`: one trace a line. `.parquet`: one row a span, nested values as JSON text (extra `parquet`). The file appears
    whole or not at all.
    """
    writers = {".jsonl": _write_lines, ".parquet": _write_table}
    write = writers.get(file.suffix)
    if write is None:
        raise BadInput(f"{file}: traces are exported to a file that ends in {' or '.join(writers)}.")
    beside = file.with_name(f".new-{file.name}")
    try:
        count = write(_traces(session, filter), beside)
        beside.replace(file)
    except OSError as error:
        raise WorldFailed(
            f"{file} could not be written: {os.strerror(error.errno or 0)}. Name another place."
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return count


def whole_traces(session: Session, filter: str) -> Iterator[Trace]:
    """All that match, newest first, one at a time."""
    cursor: str | None = None
    while True:
        page = session.spans.find(filter, limit=200, cursor=cursor)
        for root in page.items:
            trace = session.spans.trace(root.trace_id)
            if trace is not None:  # else it was removed meanwhile
                yield trace
        if (cursor := page.next) is None:
            return


def _traces(session: Session, filter: str) -> Iterator[dict[str, Json]]:
    for trace in whole_traces(session, filter):
        yield trace_json(trace, session.find("scores", target_prefix=trace.trace_id, limit=1000).items)


def _write_lines(traces: Iterable[dict[str, Json]], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8", errors="replace") as stream:
        for count, trace in enumerate(traces, 1):  # noqa: B007  the last number is the answer
            stream.write(json.dumps(trace, ensure_ascii=False) + "\n")
    return count


def _write_table(traces: Iterable[dict[str, Json]], file: Path) -> int:
    try:
        import pyarrow as arrow  # pyright: ignore[reportMissingImports]  of an extra
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]  of an extra
    except ImportError:
        raise MissingExtra("parquet", "Exporting to Parquet") from None
    any_arrow = cast("Any", arrow)
    kinds = {
        _TEXT: any_arrow.string(),
        _REAL: any_arrow.float64(),
        _WHOLE: any_arrow.int64(),
        _NESTED: any_arrow.string(),
    }
    schema = any_arrow.schema(
        [("project", any_arrow.string()), *((name, k) for names, k in kinds.items() for name in names)]
    )
    count, rows = 0, cast("list[dict[str, Json]]", [])
    with cast("Any", parquet).ParquetWriter(str(file), schema, compression="zstd") as writer:
        for count, trace in enumerate(traces, 1):  # noqa: B007  as above
            rows += [_row(trace["project"], span) for span in cast("list[dict[str, Json]]", trace["spans"])]
            if len(rows) >= _BATCH:
                writer.write_table(_table(any_arrow, rows, schema))
                rows = []
        writer.write_table(_table(any_arrow, rows, schema))
    return count


def _table(arrow: Any, rows: Sequence[dict[str, Json]], schema: Any) -> Any:
    return arrow.Table.from_pylist(rows, schema=schema)


def _row(project: Json, span: dict[str, Json]) -> dict[str, Json]:
    plain = {name: span[name] for name in (*_REAL, *_WHOLE)}
    texts: dict[str, Json] = {name: _text(span[name]) for name in _TEXT}
    nested: dict[str, Json] = {
        name: None if span[name] in (None, [], {}) else _text(json.dumps(span[name], ensure_ascii=False))
        for name in _NESTED
    }
    return {"project": project, **texts, **plain, **nested}


def _text(value: Json) -> str | None:
    # Half of a surrogate pair is not text for Parquet.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
