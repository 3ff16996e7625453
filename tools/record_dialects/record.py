"""Record what a real library sends over OpenTelemetry, for the tests of dialects:

python tools/record_dialects/record.py NAME INTERPRETER

runs programs/NAME.py (or NAME.mjs) with that interpreter, in whose environment the library is installed, against the
stand-in for the providers beside this file, and writes tests/otlp/recorded/NAME.traces.pb (and NAME.logs.pb) without
stack traces, paths, ports, or anything of the machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from stand_in import StandIn

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "tests" / "otlp" / "recorded"
_OF_THE_MACHINE = re.compile(r"^(host|os|process|telemetry|device|container)\.|^service\.instance\.id$")
_PATHS = re.compile(r"(?:/(?:tmp|root|home|usr|work|opt)/|file:///)[^\s\"',;:)]*")


def record(name: str, interpreter: str) -> None:
    """Run the program, and keep what it sent."""
    program = next(HERE.glob(f"programs/{name}.*"))
    with StandIn() as server:
        environment = {
            **os.environ, "STAND_IN": server.url, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none",
            "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{server.url}/v1", "ANTHROPIC_API_KEY": "none",
            "ANTHROPIC_BASE_URL": server.url, "GOOGLE_API_KEY": "none",
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([interpreter, str(program)], env=environment, cwd=folder, check=False, timeout=300)
        bodies, port = list(server.bodies), server.url.rpartition(":")[2]
    if run.returncode:
        sys.exit(f"{program} ended with status {run.returncode}")
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    for path, body in bodies:
        if path.endswith("/v1/traces"):
            traces.MergeFromString(body)
        elif path.endswith("/v1/logs"):
            logs.MergeFromString(body)
    for request, suffix in ((traces, "traces"), (logs, "logs")):
        target = KEPT / f"{name}.{suffix}.pb"
        if request.ByteSize():
            scrub(request, port)
            target.write_bytes(request.SerializeToString(deterministic=True))
            print(f"wrote {target} ({request.ByteSize()} bytes)")
        else:
            target.unlink(missing_ok=True)


def scrub(request: Any, port: str) -> None:
    """Take out what tells of the machine."""
    for group in [*getattr(request, "resource_spans", ()), *getattr(request, "resource_logs", ())]:
        _drop(group.resource.attributes, _OF_THE_MACHINE)
        for scope in [*getattr(group, "scope_spans", ()), *getattr(group, "scope_logs", ())]:
            for item in [*getattr(scope, "spans", ()), *getattr(scope, "log_records", ())]:
                _drop(item.attributes, re.compile(r"^(thread|code)\.|stacktrace$|^server\.port$"))
                for attribute in item.attributes:
                    _clean(attribute.value, port)
                if hasattr(item, "events"):
                    for event in item.events:
                        _drop(event.attributes, re.compile("stacktrace$"))
                        for attribute in event.attributes:
                            _clean(attribute.value, port)
                    item.status.message = _text(item.status.message, port)
                else:
                    _clean(item.body, port)


def _drop(attributes: Any, names: re.Pattern[str]) -> None:
    kept = [attribute for attribute in attributes if not names.search(attribute.key)]
    del attributes[:]
    attributes.extend(kept)


def _clean(value: AnyValue, port: str) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value = _text(value.string_value, port)
    elif kind == "array_value":
        for item in value.array_value.values:
            _clean(item, port)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            _clean(pair.value, port)


def _text(text: str, port: str) -> str:
    text = re.sub(r"Traceback \(most recent call last\).*", "(stack trace)", text, flags=re.DOTALL)
    return _PATHS.sub("(path)", text).replace(f":{port}", ":4318")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    record(*sys.argv[1:])
