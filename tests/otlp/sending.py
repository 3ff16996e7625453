"""Requests in OTLP, and how a client sends them."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afere.base.clock import new_span_id, new_trace_id
from afere.net import Answer, Call, send
from afere.store import Session

PROTOBUF, JSON = {"content-type": "application/x-protobuf"}, {"content-type": "application/json"}


class Door:
    """The running server, and how a client speaks to it."""

    def __init__(self, url: str, session: Session) -> None:
        self.url, self.session = url, session

    def post(
        self, body: bytes, headers: dict[str, str] = PROTOBUF, path: str = "/v1/traces", method: str = "POST"
    ) -> Answer:
        return send(Call(method, self.url + path, headers, body, 60.0, 60.0))

    def partial(self, answer: Answer) -> tuple[int, str]:
        assert answer.status == 200, answer
        said = ExportTraceServiceResponse.FromString(answer.body).partial_success
        return said.rejected_spans, said.error_message

    def span(self, sent: Span, project: str | None = None) -> Any:
        store = self.session.spans if project is None else self.session.spans.of(project)
        trace = store.trace(sent.trace_id.hex())
        return next((one for one in trace.spans if one.span_id == sent.span_id.hex()), None) if trace else None


def value(given: Any) -> AnyValue:
    made = AnyValue()
    if isinstance(given, bool):
        made.bool_value = given
    elif isinstance(given, int):
        made.int_value = given
    elif isinstance(given, float):
        made.double_value = given
    elif isinstance(given, str):
        made.string_value = given
    elif isinstance(given, list):
        made.array_value.values.extend(map(value, given))
    else:
        made.kvlist_value.values.extend(KeyValue(key=k, value=value(v)) for k, v in given.items())
    return made


def span(name: str = "op", *, trace: bytes | None = None, parent: bytes = b"", **fields: Any) -> Span:
    now = time.time_ns()
    attributes = [KeyValue(key=k, value=value(v)) for k, v in fields.pop("attributes", {}).items()]
    known = {
        "trace_id": trace if trace is not None else bytes.fromhex(new_trace_id()), "span_id": bytes.fromhex(new_span_id()),
        "parent_span_id": parent, "start_time_unix_nano": now - 10**7, "end_time_unix_nano": now, "kind": 1,
    }  # fmt: skip
    return Span(**{**known, **fields}, name=name, attributes=attributes)


def request(*spans: Span, **resource: str) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.extend(
        KeyValue(key=k.replace("_", "."), value=value(v)) for k, v in {"service_name": "shop", **resource}.items()
    )
    group.scope_spans.add().spans.extend(spans)
    return made


def body(*spans: Span, **resource: str) -> bytes:
    return request(*spans, **resource).SerializeToString()
