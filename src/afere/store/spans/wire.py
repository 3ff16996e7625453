"""Our own spans as OTLP, on their way to a server that is a program's store: nothing is lost, and little is left to be done there.

A span of the protocol carries its ids and times; its columns and its details, as they will rest, are JSON in two attributes.
The scope says that its spans are of this form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, cast

import orjson

from afere.base.errors import BadInput
from afere.base.protowire import field
from afere.base.span import EXAMPLES, Span
from afere.store.spans.chunks import Ours, Part, part
from afere.store.spans.rows import AT, ENTRY, UNDER, Entry, detail, glanced, read_row, row_of
from afere.store.spans.texts import strings
from afere.store.spans.ties import keys
from afere.store.spans.write import check_ids, entry_of

SCOPE, FORM, VERSION = "afere", "afere.form", 1
_COLUMNS, _DETAILS = "afere.columns", "afere.details"
_STATES = ("ok", "error", "running", "paused")
_SETS = frozenset({"id", "project", "root", "chunk", "line"})  # columns that the store fills in
_SHOWN = (("input", "input_messages"), ("output", "output_messages"))  # columns that are found in details again
_IDS = ("trace_id", "span_id", "parent_id")
_SAID = tuple(name for name in AT if name not in _SETS and name not in _IDS and name not in dict(_SHOWN))
_NUMBERS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("seconds", "cost"), (float, int)),
    **dict.fromkeys(
        ("start", "end", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"), (int,)
    ),
}
# Of what is sent: its place in a row, and the types that it may have.
_HOLDS = {name: (AT[name], _NUMBERS.get(name, (str,))) for name in _SAID}
_PLACES = tuple((name, AT[name]) for name in _SAID)
_NEEDED = ("name", "kind", "start", "status")
_64 = 2**64 - 1


def written(span: Span) -> bytes:
    """A span of OTLP; BadInput for one that cannot be kept."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

    check_ids(span)
    trace, span_id, parent = (bytes.fromhex(one or "") for one in (span.trace_id, span.span_id, span.parent_id))
    row = row_of(trace, span_id, parent, span)
    columns = {name: row[place] for name, place in _PLACES if row[place] is not None}
    made = WireSpan(
        trace_id=trace, span_id=span_id, parent_span_id=parent, name=row[AT["name"]], kind=cast("Any", 1),
        start_time_unix_nano=max(span.start, 0) & _64, end_time_unix_nano=max(span.end or 0, 0) & _64,
    )  # fmt: skip
    for name, value in ((_COLUMNS, orjson.dumps(columns)), (_DETAILS, part(detail(span)).data)):
        made.attributes.add(key=name).value.bytes_value = value
    if span.status == "error":
        made.status.code = cast("Any", 2)
    return made.SerializeToString()


def request(spans: Sequence[bytes]) -> bytes:
    """A request of written spans."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    head = ScopeSpans()
    head.scope.name = SCOPE
    head.scope.attributes.add(key=FORM).value.int_value = VERSION
    group = head.SerializeToString() + b"".join(field(2, one) for one in spans)
    return field(1, field(2, group))


class Arrived:
    """A span that was written so, read no further than the store needs. `said`: the bytes in its attributes."""

    def __init__(self, wire: Any, said: Mapping[str, bytes]) -> None:
        """BadInput where it is none."""
        if _COLUMNS not in said or _DETAILS not in said or len(wire.trace_id) != 16 or len(wire.span_id) != 8:
            raise BadInput("it is no span of afere's own client")
        self.data: bytes = said[_DETAILS]
        self.row = _row(said[_COLUMNS], wire)
        details = self._details = Ours(self.data).soon()
        for name, messages in _SHOWN:
            self.row[AT[name]] = glanced(details.get(name), details.get(messages) or ())

    def texts(self) -> list[str]:
        """All that is written in it, keys too."""
        found = [value for value in self.row if type(value) is str]
        stack: list[Any] = [self._details]
        while stack:
            value = stack.pop()
            if type(value) is str:
                found.append(value)
            elif type(value) is dict:
                found += value
                stack += value.values()
            elif type(value) is list:
                stack += value
        return found

    @property
    def scope(self) -> str | None:
        """The library that made it, where it was not afere."""
        said = self._attributes.get("scope.name")
        return said if isinstance(said, str) else None

    @property
    def _attributes(self) -> dict[str, Any]:
        said = self._details.get("attributes")
        return cast("dict[str, Any]", said) if isinstance(said, dict) else {}

    def span(self) -> Span:
        """All of it."""
        return _whole(self.row, self.data)

    def entry(self) -> Entry:
        """It as it came."""
        row, details, said = self.row, self._details, self._attributes
        found = () if row[_STATUS] == "running" else strings(details)
        uses, documents = details.get("artifacts"), details.get("documents")
        ties = keys(
            _pairs(uses), cast("list[Any]", documents) if isinstance(documents, list) else (), said.get(EXAMPLES)
        )
        again = partial(_whole, list(row), self.data)
        return Entry(
            row, Part(self.data), found, ties, said, said.get(UNDER), said.get(ENTRY) is True, again, meant=True
        )


def entry_again(span: Span) -> Entry:
    """A span from which something was taken, after it arrived."""
    made = entry_of(span)
    made.again, made.meant = lambda: span, True
    return made


def _whole(row: Sequence[Any], data: bytes) -> Span:
    return read_row(cast("Any", {name: row[place] for name, place in AT.items()}), Ours(data).details())


def _row(data: bytes, wire: Any) -> list[Any]:
    try:
        columns: Any = orjson.loads(data)
    except ValueError:
        raise BadInput("its columns are no JSON") from None
    if not isinstance(columns, dict):
        raise BadInput("its columns are no JSON object")
    parent = wire.parent_span_id
    row: list[Any] = [0, "", wire.trace_id, wire.span_id, parent if len(parent) == 8 else None, 0, *_NOTHING]
    row[_CHUNK] = row[_LINE] = 0
    for name, value in cast("dict[str, Any]", columns).items():
        place, kinds = _HOLDS.get(name, _UNKNOWN)
        if place and value is not None:
            if type(value) not in kinds or (type(value) is int and not -(2**63) <= value < 2**63):
                raise BadInput(f"its {name} is of another type than the store keeps")
            row[place] = value
    if None in _needed(row) or row[_STATUS] not in _STATES:
        raise BadInput("it lacks a name, kind, start or status that this server knows")
    return row


_NOTHING = (None,) * (len(AT) - 6)
_UNKNOWN: tuple[int, tuple[type, ...]] = (0, ())  # a column of a newer client
_STATUS, _CHUNK, _LINE = AT["status"], AT["chunk"], AT["line"]
_needed = itemgetter(*(AT[name] for name in _NEEDED))


def _pairs(uses: Any) -> list[tuple[str, str]]:
    found = cast("list[Any]", uses) if isinstance(uses, list) else []
    pairs = [cast("list[Any]", use) for use in found if isinstance(use, list)]
    return [(str(use[0]), str(use[1])) for use in pairs if len(use) == 2]
