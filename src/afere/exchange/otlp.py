"""OTLP from files: requests as protobuf or JSON, one a file, or one a line as the collector's file exporter writes."""

from __future__ import annotations

from pathlib import Path

from afere.base.errors import AfereError, BadInput
from afere.base.span import Span
from afere.exchange.bringing import Bringing
from afere.exchange.otlpfile import requests
from afere.tracing import otlp
from afere.tracing.otlp import Batch, Form

_OTHERS = frozenset(
    {".md", ".txt", ".rst", ".html", ".yaml", ".yml", ".toml", ".py", ".sh", ".csv", ".png", ".jpg", ".svg", ".pdf"}
)


def bring(place: str, into: Bringing) -> None:
    """`place`: a file, or a folder whose files are read one after another."""
    root = Path(place)
    if "://" in place:
        raise BadInput(f"{place}: OTLP is read from files. A program that sends OTLP sends it to the server: afere ui")
    files = sorted(file for file in root.rglob("*") if file.is_file()) if root.is_dir() else [root]
    for file in files:
        try:
            for body, form, label in requests(file):
                _keep(body, form, label, into)
        except (AfereError, OSError, EOFError, UnicodeDecodeError) as problem:
            into.problem(str(file), str(problem))


def _keep(body: bytes, form: Form, label: str, into: Bringing) -> None:
    try:
        logs = b'"resourceLogs"' in body[:4096] or b'"resource_logs"' in body[:4096]
        batch = otlp.logs(body, form) if form == "json" and logs else otlp.traces(body, form)
        if form == "protobuf" and not batch.accepted:  # both kinds of request look alike from outside
            said = otlp.logs(body, form)
            batch = said if said.accepted else batch
    except AfereError as problem:
        if Path(label).suffix.lower() in _OTHERS:  # what lies beside an export, and was not meant
            into.lost(f"file {Path(label).name}", "it is no OTLP")
        else:
            into.problem(label, str(problem))
        return
    _take(batch, label, into)


def _take(batch: Batch[Span], label: str, into: Bringing) -> None:
    for project, spans in batch.spans.items():
        if project not in (None, into.session.project):
            into.changed("afere.project", "kept in the project that the import was made for", len(spans))
        for span in spans:
            if "late" in span.marks:  # of a file all are
                span.marks.remove("late")
            into.span(span)
            for name in ("attributes", "events", "status"):
                into.kept(name)
            if span.attributes.get("links"):
                into.changed("links", "as an attribute of the span")
    events = sum(map(len, batch.events.values()))
    if events:
        into.session.spans.say((one.trace_id, one.span_id, one.event) for said in batch.events.values() for one in said)
        into.kept("log events of spans", events)
    for why, count in batch.rejected.items():
        into.lost("span", why, count)
        into.problem(label, f"{count} x {why}")
