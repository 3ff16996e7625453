"""What Phoenix's client gives, as JSON, JSON lines or Parquet: spans, annotations of spans, examples of a dataset.

As lists of its API (`get_spans`, `get_span_annotations`, `Dataset.to_dict`), or as its data frames (`get_spans_dataframe`,
`get_span_annotations_dataframe`, `Dataset.to_dataframe`), whose columns have dotted names.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.data.reading import parquet_rows
from afere.exchange.bringing import Bringing, Said
from afere.exchange.jsonfile import records
from afere.exchange.phoenix_records import keep_annotation, keep_span, row_of

_EXPECTED = "a span, an annotation of a span, a dataset or one of its examples is expected"


def bring_export(place: str, into: Bringing) -> None:
    """`place`: a file of one kind, or a folder of such files."""
    traces: dict[str, str] = {}  # the trace of each span
    annotations: list[tuple[str, Said]] = []
    rows: dict[str, list[Said]] = defaultdict(list)  # of the data frame of a dataset, by its file

    def take(said: Said, into: Bringing) -> None:
        if "examples" in said:
            _dataset(str(said["name"]), cast("list[Said]", said["examples"]), into)
        else:
            span = _span(said)
            keep_span(span["trace_id"], "", span, span["attributes"], span["events"], into)
            traces[str(span["span_id"])] = str(span["trace_id"])

    for where, said in _all(place, into):
        if "annotator_kind" in said:
            annotations.append((where, said))
        elif "example_id" in said and "input" in said:
            rows[where.rpartition(":")[0]].append({**said, "id": said["example_id"]})
        else:
            into.attempt(where, _EXPECTED, take, said)
    for where, said in annotations:  # they do not say their trace
        into.attempt(where, _EXPECTED, lambda said, into: _annotation(said, traces, into), said)
    for file, found in rows.items():
        _dataset(Path(file).stem, found, into)
        into.changed("name of a dataset", "that of its file: its data frame does not say it")


def _all(place: str, into: Bringing) -> Iterator[tuple[str, Said]]:
    root = Path(place)
    tables = sorted(root.rglob("*.parquet")) if root.is_dir() else [root] if root.suffix == ".parquet" else []
    for file in tables:
        try:
            for number, said in enumerate(parquet_rows(file, file.name), 1):
                yield f"{file}:{number}", said
        except (BadInput, OSError) as problem:
            into.problem(str(file), str(problem))
    if root.is_dir() and tables and not any(root.rglob("*.json*")):
        return
    if root.is_dir() or not tables:
        yield from records(place, into, inside=("data",))


def _span(said: Said) -> Said:
    """A span's fields as the columns of Phoenix's own table are called."""
    context = cast("Said", said.get("context") or {})
    attributes = dict(cast("dict[str, Json]", said.get("attributes") or {}))
    for column, value in said.items():
        if column.startswith("attributes.") and value is not None:
            attributes[column.removeprefix("attributes.")] = value
    return {
        **said, "trace_id": context["trace_id"] if context else said["context.trace_id"],
        "span_id": context["span_id"] if context else said["context.span_id"], "attributes": attributes,
        "events": [one for one in cast("list[Any]", said.get("events") or []) if isinstance(one, dict)],
    }  # fmt: skip


def _annotation(said: Said, traces: dict[str, str], into: Bringing) -> None:
    span = str(said["span_id"])
    if span not in traces:
        raise BadInput(f"its span {span} is not among the spans, so its trace is not known: export the spans too")
    result = cast("Said", said.get("result") or {})
    told = {name: said.get(f"result.{name}", result.get(name)) for name in ("label", "score", "explanation")}
    row = {**said, **told, "name": said.get("name") or said["annotation_name"]}
    keep_annotation(f"{traces[span]}/{span}", row, into)


def _dataset(name: str, examples: list[Said], into: Bringing) -> None:
    if into.dataset(name, [row_of(one, _example(str(one["id"]))) for one in examples]):
        into.kept("rows of datasets", len(examples))
        into.changed("versions of a dataset", "the export has the newest alone")


def _example(id_: str) -> str:
    """Its API writes an example's number as base64 of DatasetExample:7; rows from its file are called example-7."""
    try:
        kind, _, number = base64.b64decode(id_, validate=True).decode().partition(":")
    except ValueError:
        return id_
    return f"example-{number}" if kind == "DatasetExample" else id_
