"""The quick way from a request to what the store writes: a span that nothing need be taken out of rests as it came.

Only what columns and indexes need is read of it. A span that this is not enough for goes the long way, as all of JSON do:
`read_span`, `span`, the dialects, the policy. Programs send spans of few shapes, so what there is to look for is found once a shape.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import orjson
from google.protobuf.message import DecodeError

from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.span import EXAMPLES, Span
from afere.store.span_chunks import Part
from afere.store.span_rows import Entry, row_of
from afere.store.span_ties import keys
from afere.tracing.dialects.glance import Glimpse, Shape
from afere.tracing.dialects.own import PREFIX
from afere.tracing.dialects.plan import planned
from afere.tracing.otlp import protobuf
from afere.tracing.otlp.batch import LATEST, REMOTE, BadSpan, Batch, Malformed, Source, TooMuch, event, gather, span
from afere.tracing.otlp.kept import loaded, texts_of
from afere.tracing.otlp.lean import LeanSpan
from afere.tracing.otlp.wire import SPAN, check_weight
from afere.tracing.policy import Policy

_log = logging.getLogger("afere.server")

_LONGEST = 100_000  # bytes of a span; longer ones are no common case
_SOURCES = 1_000  # that are remembered, with the shapes of each
_SHAPES = 1_000
_LONG = 10_000  # bytes of a source, or characters of the names of a shape, that are not remembered
_Form: TypeAlias = (
    "tuple[Shape | None, bytes]"  # None: a glance is not enough; and the attributes that hold what was said, as JSON
)
_NONE = (b"", bytes(8))  # how no parent is written
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


@dataclass(slots=True)
class _Known:
    """A source of spans: a resource and a scope that were seen before."""

    source: Source
    scope: str
    passes: bool  # whether nothing of what it says must be hidden
    shapes: dict[tuple[str, ...], _Form] = field(default_factory=dict[tuple[str, ...], "_Form"])
    common: tuple[int, bytes] = (0, b"")  # of a request, by when it came


class Quick:
    """Reads requests in protobuf; for one thread at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sources: dict[tuple[bytes, bytes], _Known | BadSpan] = {}

    def traces(self, body: bytes) -> Batch[Span | Entry]:
        """As `otlp.traces`, but what can rest as it came is an entry already."""
        batch, at = Batch[Span | Entry](), now_ns()

        def add(known: _Known, part: bytes | memoryview) -> None:
            batch.spans.setdefault(known.source.project, []).append(self._one(bytes(part), known, at))

        gather(batch, self._by_source(body), add)
        return batch

    def _by_source(self, body: bytes) -> Iterator[tuple[_Known | BadSpan, Iterator[bytes | memoryview]]]:
        for resource, scopes in protobuf.groups(body):
            for group in scopes:
                scope, parts = protobuf.scope_parts(group)
                yield self._known(resource, scope), parts

    def _known(self, resource: bytes, scope: bytes) -> _Known | BadSpan:
        known = self._sources.get((resource, scope))
        if known is None:
            known = self._learnt(resource, scope)
            if len(resource) + len(scope) <= _LONG:
                if len(self._sources) >= _SOURCES:
                    self._sources.clear()
                self._sources[resource, scope] = known
        return known

    def _learnt(self, resource: bytes, scope: bytes) -> _Known | BadSpan:
        try:
            name, version, said = protobuf.read_scope(scope)
            source = Source.of(protobuf.pairs(resource, 1)).scope(name, version, said)
        except BadSpan as error:
            return error
        whole = "\0".join((*source.said, *map(str, source.said.values())))
        return _Known(source, name, "\\" not in whole and self._policy.passes(whole, name or None))

    def _one(self, data: bytes, known: _Known, at: int) -> Span | Entry:
        try:
            check_weight(data, SPAN)
            wire = LeanSpan.FromString(data)
        except TooMuch as error:
            raise BadSpan(str(error)) from None
        except (DecodeError, Malformed):
            raise protobuf.undecodable() from None
        entry = None
        if known.passes and len(data) <= _LONGEST:
            try:
                entry = self._entry(data, wire, known, at)
            except Exception:  # a form that no map foresaw: the long way keeps it, and the others of its request
                _log.exception("OTLP: a span could not be read at a glance")
        return entry or _whole(data, known.source, at)

    def _entry(self, data: bytes, wire: Any, known: _Known, at: int) -> Entry | None:
        """The span as it came with what is known of it at a glance; None where that is not enough."""
        trace, span_id, parent, start, end = (
            wire.trace_id, wire.span_id, wire.parent_span_id, wire.start_time_unix_nano, wire.end_time_unix_nano,
        )  # fmt: skip
        if parent in _NONE:
            parent = None
        elif len(parent) != 8 or parent == span_id:
            return None
        if (
            len(trace) != 16
            or len(span_id) != 8
            or trace == _NO_TRACE
            or span_id == _NO_SPAN
            or not 0 < start <= end < LATEST
        ):
            return None
        names = tuple(wire.attributes)
        shape, said = known.shapes.get(names) or _form(known, names)
        seen = Glimpse(wire.name, start, end, _Attributes(wire.attributes, known.source.said))
        if shape is None or (wire.events and not _plain_events(seen, wire)):
            return None
        if wire.status.code == 2:
            seen.status, seen.error = "error", wire.status.message[:2000] or None
        shape.glance(seen)
        row, texts = (
            row_of(trace, span_id, parent, seen),
            texts_of((name, seen.attributes.loaded(name)) for name in shape.said),
        )
        whole = data.decode("utf-8", "replace")
        if "\\u" in whole and self._policy.redaction.keys:  # JSON may write a letter of a key otherwise
            return None
        if "\\" in whole:  # the same of what was said
            whole = "\0".join((whole, *texts, *(value for value in row if isinstance(value, str))))
        if seen.status == "paused" or not self._policy.passes(whole, known.scope or None):
            return None
        if known.common[0] != at:
            known.common = (at, orjson.dumps({"form": "otlp", "said": known.source.said, "at": at}, str))
        return Entry(
            row, Part(data, (known.common[1], said)), texts, keys((), seen.documents, seen.attributes.get(EXAMPLES)), seen.attributes,
            begins=wire.flags & REMOTE == REMOTE or wire.kind in (2, 5),
            again=partial(_whole, data, known.source, at),
        )  # fmt: skip


def _whole(data: bytes, source: Source, at: int) -> Span:
    """The span as `otlp.traces` has it, not yet understood."""
    return span(protobuf.read_span(data), Source(source.project, source.said, at))


def _form(known: _Known, names: tuple[str, ...]) -> _Form:
    plain = not any(name.startswith(PREFIX) for name in names)
    every = (*known.source.said, *names)
    shape = Shape(planned(every), every, known.source.said) if plain else None
    made = (shape, orjson.dumps(shape.said if shape is not None else ()))
    if sum(map(len, names)) <= _LONG:
        if len(known.shapes) >= _SHAPES:
            known.shapes.clear()
        known.shapes[names] = made
    return made


def _plain_events(seen: Glimpse, wire: Any) -> bool:
    """Give it its events; False where they tell of generative AI."""
    if any(one.name.startswith("gen_ai.") for one in wire.events):
        return False
    values = protobuf.Values()
    seen.events = [event(one.name, one.time_unix_nano, values.attributes(one.attributes)) for one in wire.events]
    return not values.cut


class _Attributes:
    """Attributes of a span and of its source, each decoded when it is asked for."""

    __slots__ = ("_known", "_loaded", "_said", "_wire")

    def __init__(self, wire: Any, said: dict[str, Json]) -> None:
        self._wire, self._said = wire, said
        self._known: dict[str, Json] = {}
        self._loaded: dict[str, Json] = {}

    def get(self, name: str, _default: None = None) -> Json:
        known = self._known.get(name)
        if known is not None:
            return known
        if name not in self._wire:
            return self._said.get(name)
        value = self._wire[name]
        made = self._known[name] = value.string_value or protobuf.Values().value(value, 0)
        return made

    def loaded(self, name: str) -> Json:
        """The same, and what it holds where it is JSON."""
        if name in self._loaded:
            return self._loaded[name]
        value = self.get(name)
        made = loaded(value)
        if made is not value:
            self._loaded[name] = made
        return made

    def __setitem__(self, name: str, value: Json) -> None:
        self._known[name] = value

    __getitem__ = get

    def __contains__(self, name: object) -> bool:
        return name in self._wire or name in self._said or name in self._known
