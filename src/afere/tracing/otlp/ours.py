"""Spans of afere's own client (`store.spans.wire`): they say what they mean, so that only what must not rest is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.store.spans import wire as span_wire
from afere.store.spans.rows import Entry
from afere.tracing.otlp.batch import BadSpan
from afere.tracing.otlp.protobuf import undecodable
from afere.tracing.policy import Policy

_LONG = 100_000  # bytes of details; longer ones may hold what is to be cut


def is_ours(scope: str, said: Mapping[str, Json]) -> bool:
    """Whether the spans of a scope, by its name and attributes, are of that form."""
    return scope == span_wire.SCOPE and said.get(span_wire.FORM) == span_wire.VERSION


def entry(wire: Any, policy: Policy) -> Entry:
    """What the store writes of such a span, or BadSpan."""
    try:
        said = {name: AnyValue.FromString(data).bytes_value for name, data in wire.attributes.items()}
        came = span_wire.Arrived(wire, said)
    except DecodeError:
        raise undecodable() from None
    except BadInput as error:
        raise BadSpan(str(error)) from None
    if len(came.data) <= _LONG:
        whole = "\0".join(came.texts())
        otherwise = "\\u" in whole or "\\/" in whole  # JSON in a text may write a letter so
        if not (otherwise and policy.redaction.asked) and policy.passes(whole, came.scope):
            return came.entry()
    span = came.span()
    kept = policy.apply(span)
    return came.entry() if kept is span else span_wire.entry_again(kept)
