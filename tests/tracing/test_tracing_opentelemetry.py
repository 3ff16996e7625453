"""Beside an OpenTelemetry SDK: one trace, whoever's span is outside; and across processes by W3C headers."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import afere
from afere.store.spans.store import SpanStore
from afere.tracing import collecting, flush, headers, remote


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> otel.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("the user's own")


def test_a_users_span_nests_under_ours_and_ours_under_theirs(
    project: Path, tracer: otel.Tracer, exporter: InMemorySpanExporter
) -> None:
    with collecting() as c, tracer.start_as_current_span("http request") as outside:
        with afere.span("answer") as ours, tracer.start_as_current_span("redis get"), afere.span("inner"):
            pass
        assert otel.get_current_span() is outside
    assert len(c.traces) == 1
    theirs = {span.name: span for span in exporter.get_finished_spans()}
    trace = c.traces[f"{outside.get_span_context().trace_id:032x}"]
    assert ours.record.parent_id == f"{outside.get_span_context().span_id:016x}"
    redis = theirs["redis get"]
    assert redis.parent is not None and f"{redis.parent.span_id:016x}" == ours.span_id
    assert f"{redis.context.trace_id:032x}" == trace.trace_id
    assert trace.named("inner")[0].parent_id == f"{redis.context.span_id:016x}"


def test_foreign_spans_that_are_not_kept_leave_no_holes_in_the_tree(project: Path, tracer: otel.Tracer) -> None:
    with (
        tracer.start_as_current_span("http request"),
        afere.span("answer") as ours,
        tracer.start_as_current_span("redis get"),
        afere.span("inner"),
    ):
        pass
    flush()
    store = SpanStore(project / ".afere", "handbook")
    assert [span.name for span in store.find().items] == ["answer"]
    trace = store.trace(ours.trace_id)
    assert trace is not None and trace.root.name == "answer"
    assert trace.named("inner")[0].parent_id == ours.span_id
    assert all("orphan" not in span.marks for span in trace.spans)
    store.close()


def test_nothing_global_is_set(project: Path) -> None:
    with afere.span("x"):
        pass
    assert type(otel.get_tracer_provider()).__name__ == "ProxyTracerProvider"


def test_another_process_joins_by_headers_and_learns_user_and_session(project: Path) -> None:
    with afere.context(user="42", session="s 1"), afere.span("caller") as caller:
        sent = headers()
    assert sent["traceparent"] == f"00-{caller.trace_id}-{caller.span_id}-01"
    received = {name.title(): value for name, value in sent.items()} | {"Tracestate": "vendor=1"}
    with remote(received), afere.span("served") as served:
        assert headers()["tracestate"] == "vendor=1"
    assert (served.trace_id, served.record.parent_id) == (caller.trace_id, caller.span_id)
    assert (served.record.user, served.record.session) == ("42", "s 1")
    assert afere.current() is None
    flush()
    store = SpanStore(project / ".afere", "handbook")
    assert [span.name for span in store.find().items] == ["caller"]  # the entry is not a second root beside it
    store.close()


def test_an_entry_whose_caller_is_unknown_begins_the_trace_that_is_listed(project: Path) -> None:
    with remote({"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-00"}), afere.span("served") as served:
        assert headers()["traceparent"].endswith("-00")  # the caller's wish not to sample is passed on
    flush()
    store = SpanStore(project / ".afere", "handbook")
    assert [span.name for span in store.find().items] == ["served"]
    found = store.trace("aaaaaa")
    assert found is not None and found.root.span_id == served.span_id and found.root.marks == []
    store.close()


@pytest.mark.parametrize("header", ["", "00-xyz", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "é" * 60])
def test_malformed_headers_begin_a_new_trace(project: Path, header: str) -> None:
    with remote({"traceparent": header, "baggage": "=;,;;é"}), afere.span("x") as live:
        assert live.record.parent_id is None
