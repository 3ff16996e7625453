"""`afere exec` beside the tracers of Sentry, Datadog and OpenTelemetry in one process: each sees its own, we see no flood."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import afere.store
from afere.cli.main import cli

INSTRUMENTOR = """
class Instrumentor:
    tracer = None
    is_instrumented_by_opentelemetry = False
    def instrument(self, *, tracer_provider):
        Instrumentor.tracer = tracer_provider.get_tracer("toy")
        Instrumentor.is_instrumented_by_opentelemetry = True
"""
OTHERS = {
    "sentry": """
import sentry_sdk
class Kept(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_transaction_event()
        if event:
            seen.extend([event["transaction"], *(span["op"] for span in event["spans"])])
sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", traces_sample_rate=1.0, transport=Kept)
outer = sentry_sdk.start_transaction(name="web")
""",
    "datadog": """
import ddtrace
ddtrace.patch(httplib=True)
class Kept(ddtrace.trace.TraceFilter):
    def process_trace(self, trace):
        seen.extend(str(said) for span in trace for said in (span.name, span.resource))
ddtrace.tracer.configure(trace_processors=[Kept()])
outer = ddtrace.tracer.trace("web")
""",
    "datadog for opentelemetry": """
import os
os.environ["DD_TRACE_OTEL_ENABLED"] = "true"
import ddtrace
from ddtrace.opentelemetry import TracerProvider
ddtrace.patch(httplib=True)
class Kept(ddtrace.trace.TraceFilter):
    def process_trace(self, trace):
        seen.extend(str(said) for span in trace for said in (span.name, span.resource))
ddtrace.tracer.configure(trace_processors=[Kept()])
from opentelemetry import trace
trace.set_tracer_provider(TracerProvider())
outer = trace.get_tracer("web").start_as_current_span("web")
""",
    "opentelemetry": """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
class Kept(SpanExporter):
    def export(self, spans):
        seen.extend(span.name for span in spans)
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(Kept()))
trace.set_tracer_provider(theirs)
outer = trace.get_tracer("web").start_as_current_span("web")
""",
}
PROGRAM = """
import http.client, json, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
seen = []
{other}
from opentelemetry import trace as otel
from toy_instrumentor import Instrumentor
import afere

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204); self.end_headers()
    def log_message(self, *_): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

@afere.chain
def qa(question):
    with otel.get_tracer("cache").start_as_current_span("redis get"):
        pass
    with Instrumentor.tracer.start_as_current_span("chat", attributes={{"gen_ai.operation.name": "chat"}}):
        connection = http.client.HTTPConnection(*server.server_address)
        connection.request("GET", "/")
        return str(connection.getresponse().status)

with outer:
    print(qa("?"))
if "ddtrace" in sys.modules:
    sys.modules["ddtrace"].tracer.flush()
elif "sentry_sdk" in sys.modules:
    sys.modules["sentry_sdk"].flush(5)
json.dump(seen, open("seen.json", "w"))
"""


@pytest.mark.parametrize(("other", "module"), [
    ("sentry", "sentry_sdk"), ("datadog", "ddtrace"), ("datadog for opentelemetry", "ddtrace"),
    ("opentelemetry", "opentelemetry.sdk"),
])  # fmt: skip
def test_each_tracer_sees_its_own(project: Path, monkeypatch: pytest.MonkeyPatch, other: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    info = project / "site" / "opentelemetry_instrumentation_genai_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-genai-toy\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text("[opentelemetry_instrumentor]\ntoy = toy_instrumentor:Instrumentor\n")
    (project / "site" / "toy_instrumentor.py").write_text(INSTRUMENTOR)
    (project / "program.py").write_text(PROGRAM.format(other=OTHERS[other]))
    path = [str(project / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")
    monkeypatch.setenv("DD_TRACE_AGENT_URL", "http://127.0.0.1:1")
    done = CliRunner().invoke(cli, ["exec", "--", sys.executable, "program.py"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with afere.store.open(project / ".afere", project="handbook") as session:
        spans = session.spans.find(roots=False, limit=100).items
        roots = [one.name for one in session.spans.find(limit=100).items]
    ours = {one.name: one for one in spans}
    assert sorted(ours) == ["chat", Path(sys.executable).name, "qa"] and len(spans) == 3
    assert ours["chat"].parent_id == ours["qa"].span_id or "afere.under" in ours["chat"].attributes
    assert ours["chat"].trace_id == ours["qa"].trace_id and "qa" in roots and "chat" not in roots
    theirs = json.loads((project / "seen.json").read_text())
    assert "web" in theirs and "chat" not in theirs and "qa" not in theirs, theirs
    assert any("http" in name or "redis" in name for name in theirs), theirs
