"""Print how a recorded program is read: python tools/record_dialects/look.py NAME [--raw]"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from afere.base.span import Trace
from afere.tracing import dialects, otlp

KEPT = Path(__file__).parents[2] / "tests" / "otlp" / "recorded"


def look(name: str, raw: bool) -> None:
    """Every span with its fields, and with its attributes."""
    batch = otlp.traces((KEPT / f"{name}.traces.pb").read_bytes(), "protobuf")
    spans = sorted((span for found in batch.spans.values() for span in found), key=lambda span: span.start)
    logs = KEPT / f"{name}.logs.pb"
    for event in otlp.logs(logs.read_bytes(), "protobuf").events.get(None, ()) if logs.exists() else ():
        for span in spans:
            if span.span_id == event.span_id:
                span.events.append(event.event)
    names = {span.span_id: span.name for span in spans}
    for span in spans:
        before = dict(span.attributes)
        dialects.read(span)
        print(f"\n=== {span.name}   under {names.get(span.parent_id or '')}   trace {span.trace_id[:4]}")
        fields = span.to_json()
        for field in ("attributes", "events", "trace_id", "span_id", "parent_id", "start", "name", "artifacts"):
            fields.pop(field)
        print("   ", {k: v for k, v in fields.items() if v not in (None, [], {})})
        if raw:
            for key, value in before.items():
                if not key.startswith("resource."):
                    print("       ", key, "=", json.dumps(value, ensure_ascii=False)[:700])
            for event in span.events:
                print("        event", json.dumps(event, ensure_ascii=False)[:500])
    for trace_id in dict.fromkeys(span.trace_id for span in spans):
        print(trace_id[:4], Trace(trace_id, tuple(s for s in spans if s.trace_id == trace_id)).totals)


if __name__ == "__main__":
    look(sys.argv[1], "--raw" in sys.argv)
