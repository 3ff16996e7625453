"""OTLP as JSON: ids in hex, 64-bit numbers as texts or numbers, enumerations as numbers; unknown fields are ignored."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from afere.base.canonical import Json
from afere.tracing.otlp.batch import DEEPEST, TOO_DEEP, BadSpan, Malformed, Sent, TooMuch, event, number, text

_CONTAINERS = (
    1_500_000  # lists and objects in one body: each costs some 70 bytes of memory, however short it is written
)
Scope = tuple[str, str, dict[str, Json]]  # name, version and attributes
Group = tuple[Scope | BadSpan, Iterable[Any]]  # a scope, and what it says
_STATUS = {"STATUS_CODE_ERROR": 2, "STATUS_CODE_OK": 1}
_KINDS = ("SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER")  # fmt: skip


def parse(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, or Malformed."""
    if body.count(b"{") + body.count(b"[") > _CONTAINERS:
        raise TooMuch(f"The body holds more than {_CONTAINERS:,} objects and lists. Send smaller batches.")
    try:
        value: Any = _loaded(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is no JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Malformed('The body is no JSON object. OTLP as JSON begins with {"resourceSpans": or {"resourceLogs":.')
    return cast("dict[str, Any]", value)


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except UnicodeDecodeError:  # for one wrong byte, no span is lost
        return _loaded(body.decode("utf-8", "replace").encode())
    except RecursionError:  # nor for one value without a bottom
        return json.loads(_shallow(body))


def _shallow(body: bytes) -> bytes:
    """The same without the lists and objects that lie so deep that nothing of them is kept anyway."""
    made, copied, depth = bytearray(), 0, 0
    for token in _TOKEN.finditer(body):
        if (sign := token.group()) in (b"{", b"["):
            depth += 1
            if depth == _DEEPEST:
                made += body[copied : token.start()] + b"null"
                copied = len(body)
        elif sign in (b"}", b"]"):
            if depth == _DEEPEST:
                copied = token.end()
            depth -= 1
    return bytes(made + body[copied:])


_DEEPEST = 400  # levels of JSON: more than DEEPEST levels of values take, as OTLP writes them
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)


def groups(body: bytes, names: tuple[str, str, str]) -> Iterator[tuple[dict[str, Json] | BadSpan, list[Group]]]:
    """Resource attributes and groups of what `names` calls: by resource, by scope, each. A BadSpan stands for what has no such form."""
    outer, inner, each = names
    for group in _items(parse(body), outer):
        try:
            scopes = _items(group, inner, outer)
        except Malformed as error:
            yield BadSpan(str(error).rstrip("."), undecodable=True), [(("", "", {}), [group])]
            continue
        yield (
            Values().attributes(_object(group.get("resource")).get("attributes")),
            [_scope(one, inner, each) for one in scopes],
        )


def _scope(group: Any, inner: str, each: str) -> Group:
    """Name, version and attributes of the scope, and its spans or records."""
    try:
        inside = _items(group, each, inner)
    except Malformed as error:
        return BadSpan(str(error).rstrip("."), undecodable=True), [group]
    scope = _object(group.get("scope"))
    return (text(scope.get("name")), text(scope.get("version")), Values().attributes(scope.get("attributes"))), inside


def _items(holder: object, key: str, where: str = "") -> list[Any]:
    """A list in an object; none where it is missing or null, Malformed where it is something else."""
    if not isinstance(holder, dict):
        raise Malformed(f"an item of {where!r} is no JSON object with {key!r}.")
    value = cast("dict[str, Any]", holder).get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{key!r}{f' of an item of {where!r}' if where else ' in the JSON'} is no list.")
    return cast("list[Any]", value)


def read_span(given: Any) -> Sent:
    """A span, or BadSpan."""
    if not isinstance(given, dict):
        raise BadSpan("it is no JSON object", undecodable=True)
    said = cast("dict[str, Any]", given)
    values = Values()
    status = _object(said.get("status"))
    code = status.get("code")
    sent = Sent(
        _id(said.get("traceId")), _id(said.get("spanId")), _id(said.get("parentSpanId")), text(said.get("name")),
        _kind(said.get("kind")), whole(said.get("startTimeUnixNano")), whole(said.get("endTimeUnixNano")),
        whole(said.get("flags")), text(said.get("traceState")), (_STATUS.get(code, 0) if isinstance(code, str) else code) == 2,
        text(status.get("message")), values.attributes(said.get("attributes")),
        dropped=sum(whole(said.get(f"dropped{what}Count")) for what in ("Attributes", "Events", "Links")),
    )  # fmt: skip
    for one in _objects(said.get("events")):
        sent.events.append(
            event(text(one.get("name")), whole(one.get("timeUnixNano")), values.attributes(one.get("attributes")))
        )
    for one in _objects(said.get("links")):
        sent.links.append(
            {"trace_id": _id(one.get("traceId")), "span_id": _id(one.get("spanId")), "attributes": values.attributes(one.get("attributes"))}
        )  # fmt: skip
    sent.cut = values.cut
    return sent


def read_record(given: Any) -> tuple[str, str, dict[str, Json]]:
    """Trace id, span id and event of a log record, or BadSpan."""
    if not isinstance(given, dict):
        raise BadSpan("it is no JSON object", undecodable=True)
    said = cast("dict[str, Any]", given)
    values = Values()
    attributes = values.attributes(said.get("attributes"))
    if said.get("body") is not None:
        attributes["body"] = values.value(said["body"], 0)
    name = text(said.get("eventName")) or str(attributes.get("event.name") or "")
    at = whole(said.get("timeUnixNano")) or whole(said.get("observedTimeUnixNano"))
    return _id(said.get("traceId")), _id(said.get("spanId")), event(name, at, attributes)


def whole(value: Any) -> int:
    """An unsigned 64-bit number, as a number or as text; 0 for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 2**64:
        return int(value)
    return 0


def _id(value: Any) -> str:
    return text(value).strip().lower()[:200]


def _kind(value: Any) -> int:
    if isinstance(value, str):
        return _KINDS.index(value) if value in _KINDS else 0
    return whole(value)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in cast("list[Any]", value) if isinstance(item, dict)] if isinstance(value, list) else []


class Values:
    """Attribute values as plain JSON; `cut` says whether something nested too deeply was left out."""

    def __init__(self) -> None:
        self.cut = False

    def attributes(self, found: Any, depth: int = 0) -> dict[str, Json]:
        """Pairs as a mapping; of the same key twice the last."""
        return {text(pair.get("key")): self.value(pair.get("value"), depth) for pair in _objects(found)}

    def value(self, given: Any, depth: int) -> Json:
        """Any value: `{"stringValue": "a"}` and its kind."""
        kind, inside = next(iter(_object(given).items()), ("", None))
        made: Json = None
        if kind in ("stringValue", "bytesValue"):
            made = text(inside)
        elif kind == "intValue":
            made = _integer(inside)
        elif kind == "boolValue":
            made = inside is True
        elif kind == "doubleValue":
            made = _double(inside)
        elif kind in ("arrayValue", "kvlistValue") and depth >= DEEPEST:
            self.cut = True
            made = TOO_DEEP
        elif kind == "arrayValue":
            below = _object(inside).get("values")
            made = [self.value(item, depth + 1) for item in cast("list[Any]", below)] if isinstance(below, list) else []
        elif kind == "kvlistValue":
            made = self.attributes(_object(inside).get("values"), depth + 1)
        return made


def _integer(value: Any) -> Json:
    try:
        made = int(value) if isinstance(value, str | int) else int(float(value))
    except (ValueError, TypeError, OverflowError):
        return text(value) or None
    return made if -(2**63) <= made < 2**63 else str(made)


def _double(value: Any) -> Json:
    if isinstance(value, str):
        try:
            return number(float(value))
        except ValueError:
            return text(value)
    return (
        number(float(value))
        if (isinstance(value, int | float) and abs(value) < 10**300) or isinstance(value, float)
        else None
    )
