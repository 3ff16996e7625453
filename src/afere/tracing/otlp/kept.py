"""A span at rest as it came over OTLP: its bytes, and what its source said. What it means is read when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, cast

import orjson

from afere.base.canonical import Json
from afere.base.span import Span
from afere.store.spans.rows import detail
from afere.store.spans.texts import INDEXED
from afere.tracing import dialects
from afere.tracing.dialects import shapes
from afere.tracing.otlp.batch import BadSpan, Source, span
from afere.tracing.otlp.protobuf import read_span

_log = logging.getLogger("afere.server")

_JSON = ("{", "[", '"')
_NESTED = 4  # levels of JSON in JSON
_SHOWN = (".content", ".text")  # attributes that are the text of one message
_DEEP = 100  # levels of lists and objects


class Kept:
    """See `store.spans.chunks`."""

    def __init__(self, data: bytes, source: Any, said: Any) -> None:
        self._data, self._said = data, said
        self._source = Source(None, source["said"], source["at"])

    @cached_property
    def _came(self) -> Span | None:
        try:
            return span(read_span(self._data, weighed=True), self._source)
        except BadSpan:  # damaged
            return None

    def details(self) -> dict[str, Any]:
        return self._read(read)

    def light(self) -> dict[str, Any]:
        return self._read(dialects.read_lightly)

    def _read(self, how: Callable[[Span], None]) -> dict[str, Any]:
        if self._came is None:
            return {}
        how(self._came)
        return cast("dict[str, Any]", detail(self._came))

    def texts(self) -> list[str]:
        attributes = self._came.attributes if self._came is not None else {}
        return texts_of((name, loaded(attributes.get(name))) for name in self._said)


def read(made: Span) -> None:
    """Read what a span means; whatever it holds, it stays."""
    try:
        dialects.read(made)
    except Exception:  # a form that no map foresaw: the span is kept as it came
        _log.exception("OTLP: what span %s/%s means could not be read", made.trace_id, made.span_id)


def texts_of(said: Iterable[tuple[str, Json]]) -> list[str]:
    """The texts that can be searched in attributes, (name, value loaded); of JSON, those in it.

    JSON that is the text of a message, such as an answer in a schema, is shown as it is: the names in it are found too.
    """
    found: list[str] = []
    for name, value in said:
        if type(value) is str and not value.startswith(_JSON):
            found.append(value[:INDEXED])
        else:
            _gather((value,), found, 0, 1 if name.endswith(_SHOWN) else 0)
    return found


def _gather(values: Iterable[Any], found: list[str], depth: int, nested: int) -> None:
    for one in values:
        if type(one) is str:
            inside = loaded(one) if nested < _NESTED and one.startswith(_JSON) else one
            if type(inside) is str:
                found.append(inside[:INDEXED])
            else:
                _gather((inside,), found, depth, nested + 1)
        elif depth >= _DEEP:
            continue
        elif type(one) is dict:
            inner = cast("dict[str, Any]", one)
            found += inner if nested else ()
            _gather(inner.values(), found, depth + 1, nested)
        elif type(one) is list:
            _gather(cast("list[Any]", one), found, depth + 1, nested)


def loaded(value: Json) -> Json:
    """What a text that is JSON holds, as `shapes.loaded`, sooner."""
    if type(value) is not str or not value.startswith(_JSON):
        return value
    try:
        return orjson.loads(value)
    except ValueError:  # what is no number in JSON, and half of a surrogate pair, are read nevertheless
        return shapes.loaded(value)
