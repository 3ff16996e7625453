"""The quick way from a request to what the store writes: a span that nothing need be taken out of rests as it came.

Only what columns and indexes need is read of it. A span that this is not enough for goes the long way, as all of JSON do:
`read_span`, `span`, the dialects, the policy. Programs send spans of few shapes, so what there is to look for is found once a shape.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, TypeAlias

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from afere.base.canonical import Json
from afere.base.clock import now_ns
from afere.base.span import Span
from afere.store.spans.chunks import Part
from afere.store.spans.rows import AT, COLUMNS, Entry, rows
from afere.store.spans.texts import INDEXED
from afere.store.spans.ties import keys
from afere.tracing.dialects.glance import Shape
from afere.tracing.dialects.own import PREFIX
from afere.tracing.dialects.plan import planned
from afere.tracing.otlp import lean, protobuf
from afere.tracing.otlp.batch import LATEST, REMOTE, BadSpan, Batch, Malformed, Source, TooMuch, event, gather, span
from afere.tracing.otlp.kept import loaded, texts_of
from afere.tracing.otlp.lean import LeanSpan
from afere.tracing.otlp.ours import entry as ours
from afere.tracing.otlp.ours import is_ours
from afere.tracing.otlp.wire import SMALL, SPAN, check_weight
from afere.tracing.policy import Policy

_log = logging.getLogger("afere.server")

_LONGEST = 100_000  # bytes of a span; longer ones are no common case
_SOURCES = 1_000  # that are remembered, with the shapes of each
_SHAPES = 1_000
_FEW = 8  # spans in which something is looked for, where one of more has it
_LONG = 10_000  # bytes of a source, or characters of the names of a shape, that are not remembered
_Form: TypeAlias = (
    "tuple[Shape | None, bytes]"  # None: a glance is not enough; and the attributes that hold what was said, as JSON
)
_JSON = ("{", "[", '"')
# JSON that may hold several parts of one message, which are one text when they are read: several objects with a text, or several
# texts; and names of such parts. Each pattern begins with one letter, which is looked for much sooner than one of two.
_OBJECTS, _TEXT = re.compile(r'\}\s*,\s*\{\s*\\*"(?!role)'), re.compile(r't\\*"')
_TEXTS = re.compile(r'\[\s*\\*"')
_NUMBERED_PARTS = re.compile(r"\.(?:contents?|parts)\.[1-9]")
_NONE = (b"", bytes(8))  # how no parent is written
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


@dataclass(slots=True)
class _Known:
    """A source of spans: a resource and a scope that were seen before."""

    source: Source
    scope: str
    passes: bool  # whether nothing of what it says must be hidden
    ours: bool = False  # whether its spans are of afere's own client
    shapes: dict[tuple[str, ...], _Form] = field(default_factory=dict[tuple[str, ...], "_Form"])


class Quick:
    """Reads requests in protobuf; for one thread at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sources: dict[tuple[bytes, bytes], _Known | BadSpan] = {}

    def traces(self, body: bytes) -> Batch[Span | Entry]:
        """As `otlp.traces`, but what can rest as it came is an entry already."""
        batch, at = Batch[Span | Entry](), now_ns()
        groups: dict[tuple[int, tuple[str, ...]], _Spans] = {}
        waiting: list[tuple[list[Span | Entry], int, _Spans, int]] = []  # for what is read with others of its shape

        def add(known: _Known, part: tuple[Any, Any]) -> None:
            data, wire = part
            if wire is None or len(data) >= SMALL:
                data = bytes(data)
                wire = _decoded(data)
            spans = batch.spans.setdefault(known.source.project, [])
            if known.ours:
                if wire is None:
                    raise protobuf.undecodable()
                spans.append(ours(wire, self._policy))
                batch.ours = True
                return
            group = self._group(groups, known, wire, at) if wire is not None and len(data) <= _LONGEST else None
            if group is None:
                spans.append(_whole(data, known.source, at))
            else:
                waiting.append((spans, len(spans), group, len(group.wires)))
                group.parts.append(data)
                group.wires.append(wire)
                spans.append(_PLACE)

        gather(batch, self._by_source(body), add)
        read = {id(group): self._read(group) for group in groups.values()}
        bad = False
        for spans, place, group, number in waiting:
            found = read[id(group)][number]
            if isinstance(found, BadSpan):
                batch.refuse(found)
                bad = True
            else:
                spans[place] = found
        for spans in batch.spans.values() if bad else ():
            spans[:] = [one for one in spans if one is not _PLACE]
        return batch

    def _by_source(self, body: bytes) -> Iterator[tuple[_Known | BadSpan, Iterable[tuple[bytes | memoryview, Any]]]]:
        for part in lean.parts(body):
            if isinstance(part, BadSpan):
                yield part, [(b"", None)]
                continue
            resource, scope, spans, read = part
            yield self._known(resource, scope), zip(spans, repeat(None) if read is None else read, strict=False)

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
            source = Source.of(protobuf.read_resource(resource)).scope(name, version, said)
        except BadSpan as error:
            return error
        whole = "\0".join((*source.said, *map(str, source.said.values())))
        passes = "\\" not in whole and self._policy.passes(whole, name or None)
        return _Known(source, name, passes, is_ours(name, said))

    def _group(
        self, groups: dict[tuple[int, tuple[str, ...]], _Spans], known: _Known, wire: Any, at: int
    ) -> _Spans | None:
        """The spans it is read with; None where a glance is not enough."""
        if not known.passes:
            return None
        names = tuple(wire.attributes)
        group = groups.get((id(known), names))
        if group is None:
            shape, said = known.shapes.get(names) or _form(known, names)
            if shape is None:
                return None
            group = groups[id(known), names] = _Spans(known, shape, said, at)
        return group

    def _read(self, group: _Spans) -> list[Span | Entry | BadSpan]:
        """All of them; one by one where one of them is of a form that no map foresaw, which goes the long way."""
        try:
            return self._entries(group)
        except Exception as error:
            if len(group.wires) == 1:
                if not isinstance(error, DecodeError | UnicodeDecodeError):
                    _log.exception("OTLP: a span could not be read at a glance")
                return [group.whole(0)]
        alone = (_Spans(group.known, group.shape, group.said, group.at) for _ in group.wires)
        found: list[Span | Entry | BadSpan] = []
        for one, data, wire in zip(alone, group.parts, group.wires, strict=True):
            one.add(data, wire)
            found += self._read(one)
        return found

    def _entries(self, group: _Spans) -> list[Span | Entry | BadSpan]:
        group.glance()
        hiding, found = self._hiding(group), list[Span | Entry | BadSpan]()
        common = (orjson.dumps({"form": "otlp", "said": group.known.source.said, "at": group.at}, str), group.said)
        for place, (data, row, texts, documents, wire) in enumerate(
            zip(group.parts, group.rows, group.texts, group.documents, group.wires, strict=True)
        ):
            if place in hiding or place in group.odd or group.statuses[place] == "paused":
                found.append(group.whole(place))
                continue
            found.append(
                Entry(
                    row, Part(data, common), texts, keys((), documents) if documents else (), group.attributes[place],
                    begins=wire.flags & REMOTE == REMOTE or wire.kind in (2, 5),
                    again=partial(_whole, data, group.known.source, group.at),
                )
            )  # fmt: skip
        return found

    def _hiding(self, group: _Spans) -> set[int]:
        """Which of them something may have to be taken out of: looked for in all together, then in a few, then in each."""
        rules, parts = self._policy.redaction, group.parts
        also = {place: group.otherwise(place) for place, data in enumerate(parts) if b"\\" in data}
        found = set[int]()
        if rules.asked:  # JSON may write a letter otherwise, which these rules do not see
            found = {place for place in also if b"\\u" in parts[place] or b"\\/" in parts[place]}
        for place, texts in group.joined.items():
            also.setdefault(place, []).extend(texts)

        def passes(places: Sequence[int]) -> bool:
            said = (also.get(place, ()) for place in places)
            whole = _in_one([parts[place] for place in places], said, exactly=rules.lettered)
            return self._policy.passes(whole, group.known.scope or None)

        every = [place for place in range(len(parts)) if place not in found]
        if passes(every):
            return found
        for first in range(0, len(every), _FEW):
            few = every[first : first + _FEW]
            if not passes(few):
                found.update(place for place in few if not passes((place,)))
        return found


_PLACE: Any = None  # where a span will be, or one was bad
_IDS = ("trace_id", "span_id", "parent_span_id")
_texts_in = itemgetter(*(place for name, place in AT.items() if COLUMNS.get(name, "").startswith("TEXT")))
_GOOD = (b"", b"\x18\x01")  # how a status is written that tells of no error
_NO_EVENTS: Sequence[Json] = ()
_Event = WireSpan.Event


def _decoded(data: bytes) -> Any:
    """The span; None where the library refuses it, and the long way may mend it."""
    try:
        check_weight(data, SPAN)
        return LeanSpan.FromString(data)
    except TooMuch as error:
        raise BadSpan(str(error)) from None
    except Malformed:
        raise protobuf.undecodable() from None
    except DecodeError:
        return None


def _is_plain(trace: bytes, span_id: bytes, parent: bytes, start: int, end: int) -> bool:
    """Whether its ids and times are as they should be."""
    return (
        len(trace) == 16
        and len(span_id) == 8
        and trace != _NO_TRACE
        and span_id != _NO_SPAN
        and (parent in _NONE or (len(parent) == 8 and parent != span_id))
        and 0 < start <= end < LATEST
    )


def _whole(data: bytes, source: Source, at: int) -> Span:
    """The span as `otlp.traces` has it, not yet understood."""
    return span(protobuf.read_span(data, weighed=True), Source(source.project, source.said, at))


def _form(known: _Known, names: tuple[str, ...]) -> _Form:
    plain = not any(name.startswith(PREFIX) or _NUMBERED_PARTS.search(name) for name in names)
    every = (*known.source.said, *names)
    shape = Shape(planned(every), every, known.source.said) if plain else None
    made = (shape, orjson.dumps(shape.said if shape is not None else ()))
    if sum(map(len, names)) <= _LONG:
        if len(known.shapes) >= _SHAPES:
            known.shapes.clear()
        known.shapes[names] = made
    return made


# A character of several bytes as one that no rule asks for, which takes half the time of decoding, and later a tenth. Those that
# begin with three bytes may be what case makes an i, an s or a k.
_LIKE = {0xC4: ord("i"), 0xC5: ord("s"), 0xE2: ord("k")}
_REST = bytes(range(0x80, 0xC0))
_NO_ASCII = bytes.maketrans(bytes(range(0x80, 0x100)), bytes(_LIKE.get(sign, 0x7F) for sign in range(0x80, 0x100)))


def _in_one(parts: Iterable[bytes], texts: Iterable[Iterable[str]], *, exactly: bool) -> str:
    """All texts of spans, in one."""
    whole = b"\0".join(parts)
    said = whole.decode("utf-8", "replace") if exactly else whole.translate(_NO_ASCII, _REST).decode("ascii")
    return "\0".join((said, *chain.from_iterable(texts)))


class _Spans:
    """Spans of one shape in one request (see `glance.Spans`), and what is known of them at a glance."""

    names: Sequence[str]
    starts: Sequence[int]
    attributes: Sequence[Any]
    events: list[Sequence[Json]]
    statuses: list[str]
    errors: list[str | None]

    def __init__(self, known: _Known, shape: Shape, said: bytes, at: int) -> None:
        self.known, self.shape, self.said, self.at = known, shape, said, at
        self.parts: list[bytes] = []
        self.wires: list[Any] = []
        self._columns: dict[str, Sequence[Json]] = {}

    def add(self, data: bytes, wire: Any) -> None:
        """One more."""
        self.parts.append(data)
        self.wires.append(wire)

    def whole(self, place: int) -> Span | BadSpan:
        """One of them, as the long way has it."""
        try:
            return _whole(self.parts[place], self.known.source, self.at)
        except BadSpan as error:
            return error

    def encoded(self, name: str) -> Sequence[bytes]:
        """The values of one attribute that all of them have, as they came: the same ones are the same bytes."""
        return [one[name] for one in self._maps]

    def column(self, name: str) -> Sequence[Json]:
        """The values of one attribute."""
        found = self._columns.get(name)
        if found is None:
            if name in self._maps[0]:
                # Most are short texts, and most time goes here.
                found = [
                    one[2:].decode() if one[:1] == b"\n" and one[1] == len(one) - 2 < 0x80 else lean.value(one)
                    for one in self.encoded(name)
                ]
            else:
                found = [one.get(name) for one in self.attributes]
            self._columns[name] = found
        return found

    def otherwise(self, place: int) -> list[str]:
        """What was read of one whose bytes write some letters otherwise."""
        return [*self.texts[place], *(text.removesuffix("…") for text in _texts_in(self.rows[place]) if text)]

    def glance(self) -> None:
        """Find rows, texts and documents of all."""
        wires, said = self.wires, self.known.source.said
        self._maps = [wire.attributes for wire in wires]
        self.names = [wire.name for wire in wires]
        self.starts = [wire.start_time_unix_nano for wire in wires]
        ends = [wire.end_time_unix_nano for wire in wires]
        traces, ids, parents = ([getattr(wire, name) for wire in wires] for name in _IDS)
        told = zip(traces, ids, parents, self.starts, ends, strict=True)
        self.odd = {place for place, one in enumerate(told) if not _is_plain(*one)}
        self.attributes = [lean.Attributes(one, said) for one in self._maps]
        self.statuses, self.errors = ["ok"] * len(wires), list[str | None]([None]) * len(wires)
        self.events = [_NO_EVENTS] * len(wires)
        for place, wire in enumerate(wires):
            if wire.status not in _GOOD:
                self._failed(place, wire.status)
            if wire.events:
                self._happened(place, wire.events)
        seen = self.shape.glance(self)
        kinds, models, answered, providers, environments, components, versions, prompts, _ = zip(
            *seen.meant, strict=True
        )
        self.documents = seen.documents
        self.rows = rows({
            "trace_id": traces, "span_id": ids, "parent_id": [None if parent in _NONE else parent for parent in parents],
            "name": self.names, "kind": kinds, "start": self.starts, "end": ends,
            "seconds": [(end - start) / 1e9 for start, end in zip(self.starts, ends, strict=True)],
            "status": self.statuses, "error": self.errors, "model": models, "response_model": answered, "provider": providers,
            "environment": environments, "component": components, "version": versions, "prompt": prompts,
            "chain": [name if kind == "chain" else None for name, kind in zip(self.names, kinds, strict=True)],
            "input": seen.input, "output": seen.output, **seen.said,
        })  # fmt: skip
        self.joined: dict[int, list[str]] = {}  # what parts of a message say together, where messages may have several
        self.texts = self._texts()

    def _failed(self, place: int, status: bytes) -> None:
        said = Status.FromString(status)
        if said.code == 2:
            self.statuses[place], self.errors[place] = "error", said.message[:2000] or None

    def _happened(self, place: int, events: Iterable[bytes]) -> None:
        """What its events say; it is odd where they tell of generative AI, or are nested too deeply."""
        read = [_Event.FromString(one) for one in events]
        values = protobuf.Values()
        self.events[place] = [event(one.name, one.time_unix_nano, values.attributes(one.attributes)) for one in read]
        if values.cut or any(one.name.startswith("gen_ai.") for one in read):
            self.odd.add(place)

    def _texts(self) -> list[Sequence[str]]:
        said = self.shape.said
        columns = [self.column(name) for name in said]
        if not columns:
            return [()] * len(self.wires)
        texts: list[Sequence[str]] = list(zip(*columns, strict=True))  # pyright: ignore[reportAssignmentType]  the others are
        other = {
            place
            for values in columns
            for place, value in enumerate(values)
            if type(value) is not str or value.startswith(_JSON) or len(value) > INDEXED
        }
        for place in other:
            one = self.attributes[place]
            for name, value in zip(said, texts[place], strict=True):
                if type(value) is not str or (value.startswith(_JSON) and _may_have_parts(value)):
                    _join(one.loaded(name), self.joined.setdefault(place, []))
            texts[place] = texts_of((name, one.loaded(name)) for name in said)
        return texts


def _may_have_parts(text: str) -> bool:
    # An escaped letter may be one of the name of a text.
    objects = _OBJECTS.search(text) is not None and (_TEXT.search(text) is not None or "\\u" in text)
    return objects or _TEXTS.search(text) is not None


def _join(value: Json, found: list[str]) -> None:
    value = loaded(value)
    if isinstance(value, list):
        found.append("".join(map(_piece, value)))
        for one in value:
            _join(one, found)
    elif isinstance(value, dict):
        for one in value.values():
            _join(one, found)


def _piece(part: Json) -> str:
    if isinstance(part, list):
        return "".join(map(_piece, part))
    if isinstance(part, dict):
        return _piece(part.get("message_content") or part.get("text") or part.get("content"))
    return part if isinstance(part, str) else ""
