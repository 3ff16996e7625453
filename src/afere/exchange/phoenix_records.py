"""Spans, annotations and examples of Phoenix, kept: its SQLite file and its exports say the same of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.exchange.bringing import Bringing
from afere.exchange.sqlitefile import Record, plain
from afere.tracing.otlp.batch import Sent, Source, span

# Phoenix keeps what senders wrote as JSON text as mappings; the dialect reads the text.
_TEXTS = ("document.metadata", "llm.prompt_template.variables", "metadata", "tool.parameters")
_WHO = {"HUMAN": "person", "LLM": "judge", "CODE": "scorer"}


def keep_span(
    trace: str, project: str, row: Record, attributes: Mapping[str, Json], events: Sequence[Mapping[str, Any]],
    into: Bringing, *, cost: float | None = None,
) -> None:  # fmt: skip
    """A span with the columns of Phoenix's table. `cost` (USD) is what Phoenix itself worked out."""
    status = str(row.get("status_code"))
    sent = Sent(
        trace, str(row["span_id"]), str(row.get("parent_id") or ""), str(row["name"]), 1, ns(row["start_time"]),
        ns(row["end_time"]) if row.get("end_time") else 0, failed=status == "ERROR",
        message=str(row.get("status_message") or ""), attributes=dict(_flat("", dict(attributes))),
        events=[_event(one) for one in events],
    )  # fmt: skip
    sent.attributes.setdefault("openinference.span.kind", str(row.get("span_kind") or "UNKNOWN"))
    if cost is not None and "llm.cost.total" not in sent.attributes:
        sent.attributes["llm.cost.total"] = cost
        into.kept("cost of a call")
    resource: dict[str, Json] = {"service.name": project} if project else {}
    into.span(span(sent, Source.of(resource).scope("phoenix", "", {})))
    into.kept("span: name, type, times, parent, status, events and attributes, which hold what went in and came out")
    if project:
        into.changed("project of a trace", "as service.name of its resource")


def keep_annotation(target: str, row: Record, into: Bringing) -> None:
    """An annotation with the columns of Phoenix's table; `target` is TRACE or TRACE/SPAN."""
    name, at, label, score = str(row["name"]), rfc3339(ns(row["updated_at"])), row.get("label"), row.get("score")
    data: dict[str, Json] = {}
    if metadata := plain(row.get("metadata")) if isinstance(row.get("metadata"), str) else row.get("metadata"):
        data["metadata"] = metadata
    if label is not None and score is not None:
        data["label"] = str(label)
        into.changed("label of an annotation", "beside the score, in its data")
    if (position := row.get("document_position")) is not None:
        data["document"] = position
        into.changed("annotation of a document", "a score of its span, whose data has the document's position")
    value, why = (score if score is not None else label), str(row.get("explanation") or "")
    if value is None and name == "note":
        value, why = why, ""  # a note is an annotation that has its text as the explanation
    # what its export has twice, as a list and as a data frame, or its file too, is one
    key = f"{target} {name} {row.get('identifier') or ''} {row.get('user_id') or ''} {'' if position is None else position} {at}"
    into.score(
        target, name, value, f"{_WHO.get(str(row['annotator_kind']), 'service')}:{row.get('identifier') or 'unknown'}",
        key=key, at=at, why=why, data=data,
    )  # fmt: skip
    into.kept("annotation")


def row_of(said: Record, id_: str) -> dict[str, Any]:
    """A row of a dataset, of an example with its input, output and metadata."""
    row: dict[str, Any] = {"id": id_, "input": _said(said["input"])}
    if output := _said(said.get("output")):
        row["expected"] = output
    if metadata := _said(said.get("metadata")):
        row["metadata"] = metadata
    return row


def ns(text: object) -> int:
    """Nanoseconds of a time as SQLite keeps it, in UTC unless it says otherwise."""
    return from_rfc3339(str(text).replace(" ", "T", 1))


def _said(value: object) -> Json:
    return plain(value) if isinstance(value, str | bytes) else value  # pyright: ignore[reportReturnType]


def _flat(prefix: str, value: Json) -> Iterator[tuple[str, Json]]:
    """Attributes by dotted names, as they were sent."""
    if value is None or (value == {} and not prefix):
        return  # a column of a data frame that others have, or nothing said at all
    if prefix.endswith(_TEXTS) and isinstance(value, dict):
        yield prefix, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, one)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for position, one in enumerate(value):
            yield from _flat(f"{prefix}.{position}", one)
    elif isinstance(value, float) and ".token_count." in prefix:
        yield prefix, int(value)  # data frames have no whole numbers beside nothing
    else:
        yield prefix, value


def _event(said: Mapping[str, Any]) -> dict[str, Json]:
    return {"name": said.get("name", ""), "at": rfc3339(ns(said["timestamp"])), **(said.get("attributes") or {})}
