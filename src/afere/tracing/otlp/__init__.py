"""OTLP, the protocol in which OpenTelemetry sends: bytes and JSON to spans, and spans to bytes. What a span means is read in `tracing.dialects`."""

from __future__ import annotations

from afere.tracing.otlp.batch import Batch, LogEvent, Malformed, TooMuch
from afere.tracing.otlp.decode import Form, logs, traces
from afere.tracing.otlp.encode import encode
from afere.tracing.otlp.unpack import ENCODINGS, unpack

__all__ = ["Form", "traces", "logs", "Batch", "LogEvent", "Malformed", "TooMuch", "unpack", "ENCODINGS", "encode"]
