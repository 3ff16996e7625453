"""What one request held: spans and events of spans by project, and what was refused, with the reasons."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput
from afere.base.span import Span
from afere.store.spans.rows import ENTRY

SPANS = 100_000  # in one request
DEEPEST = 64  # levels of lists and mappings in one value
TOO_DEEP = "(cut: nested too deeply)"
PROJECT = "afere.project"  # the resource attribute that names the project
_HEX = re.compile("[0-9a-fA-F]+")
_PROJECT = re.compile(r"[a-z][a-z0-9._-]{0,99}")
LATEST = 2**63  # nanoseconds; SQLite keeps no larger number
_AHEAD = 600 * 10**9  # nanoseconds that a sender's clock may be ahead
_LATE = 3600 * 10**9  # nanoseconds between a span's end and its arrival
KINDS = ("", "internal", "server", "client", "producer", "consumer")
REMOTE = 0x300  # flags of a span: it is known whether its parent is in another process, and it is


class Malformed(BadInput):
    """The request does not decode."""


class TooMuch(BadInput):
    """The request, or what it unpacks to, is larger than we take."""


class BadSpan(BadInput):
    """One span, or one event, cannot be kept; the others of its request can."""

    def __init__(self, why: str, *, undecodable: bool = False) -> None:
        super().__init__(why)
        self.undecodable = undecodable


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A log record that belongs to a span, as an event of it."""

    trace_id: str
    span_id: str
    event: dict[str, Json]
    scope: str = ""  # the instrumentation that said it


T = TypeVar("T")  # what becomes of a span


@dataclass(slots=True)
class Batch(Generic[T]):
    """Decoded, not yet kept. The project None is the one that the server takes when none is named."""

    spans: dict[str | None, list[T]] = field(default_factory=dict[str | None, list[T]])
    events: dict[str | None, list[LogEvent]] = field(default_factory=dict[str | None, list[LogEvent]])
    rejected: Counter[str] = field(default_factory=Counter[str])
    undecodable: bool = False  # whether something was refused because its bytes do not decode
    ours: bool = False  # whether a program sends to its store: nobody else is to have it

    @property
    def accepted(self) -> int:
        """How many spans and events."""
        return sum(map(len, self.spans.values())) + sum(map(len, self.events.values()))

    def reject(self, why: str, count: int = 1) -> None:
        """Note that something is not kept."""
        self.rejected[why] += count

    def refuse(self, bad: BadSpan) -> None:
        """Note that one is not kept."""
        self.reject(str(bad))
        self.undecodable = self.undecodable or bad.undecodable

    @property
    def why(self) -> str:
        """The reasons, with their counts."""
        return "; ".join(f"{count} x {why}" for why, count in self.rejected.most_common(5))


S = TypeVar("S")  # what a group of items has in common
Raw = TypeVar("Raw")  # a span or a log record, not yet read


def gather(
    batch: Batch[Any], groups: Iterable[tuple[S | BadSpan, Iterable[Raw]]], add: Callable[[S, Raw], None]
) -> None:
    """Add each item; what cannot be kept, or is of a group that cannot, is counted with its reason. TooMuch for too many."""
    count = 0
    for common, items in groups:
        for item in items:
            count += 1
            if count > SPANS:
                raise TooMuch(f"The request holds more than {SPANS:,} items. Send smaller batches.")
            try:
                if isinstance(common, BadSpan):
                    raise common
                add(common, item)
            except BadSpan as error:
                batch.refuse(error)


@dataclass(slots=True)
class Source:
    """What a group of spans has in common: the resource and the scope, flattened, and the project they name."""

    project: str | None = None
    said: dict[str, Json] = field(default_factory=dict[str, Json])
    at: int = field(default_factory=now_ns)  # when the request came

    @classmethod
    def of(cls, resource: Mapping[str, Json]) -> Source:
        """BadSpan where the resource names a project that cannot be one."""
        named = resource.get(PROJECT)
        if named is not None:
            check_project(named, f"resource attribute {PROJECT}")
        return cls(
            named if isinstance(named, str) else None, {f"resource.{key}": value for key, value in resource.items()}
        )

    def scope(self, name: str, version: str, attributes: Mapping[str, Json]) -> Source:
        """The same, for spans of this instrumentation scope."""
        said = dict(self.said)
        if name:
            said["scope.name"] = name
        if version:
            said["scope.version"] = version
        said.update((f"scope.{key}", value) for key, value in attributes.items())
        return Source(self.project, said, self.at)


def check_project(name: object, where: str) -> str:
    """The name of a project, or BadSpan."""
    if isinstance(name, str) and _PROJECT.fullmatch(name) and not name.endswith(".json"):
        return name
    raise BadSpan(
        f"{where}={str(name)[:100]!r} cannot name a project: a small letter, then small letters, digits, '.', '_' or '-', at most 100"
    )


@dataclass(slots=True)
class Sent:
    """A span as it came, with plain values; ids in hex."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: int
    end: int
    flags: int = 0
    state: str = ""
    failed: bool = False
    message: str = ""
    attributes: dict[str, Json] = field(default_factory=dict[str, Json])
    events: list[Json] = field(default_factory=list[Json])
    links: list[Json] = field(default_factory=list[Json])
    dropped: int = 0  # attributes, events and links that the sender left out
    cut: bool = False


def span(sent: Sent, source: Source) -> Span:
    """One of our spans, with everything that came in its attributes and events; BadSpan for ids that are none."""
    check_ids(sent.trace_id, sent.span_id)
    made = Span(sent.trace_id, sent.span_id, sent.name, sent.start, attributes={**source.said, **sent.attributes})
    made.events = sent.events
    _place(made, sent)
    _times(made, sent, source.at)
    if sent.failed:
        made.status, made.error = "error", sent.message[:2000] or None
    elif sent.message:
        made.attributes["otel.status_message"] = sent.message
    if 1 < sent.kind < len(KINDS):
        made.attributes["otel.kind"] = KINDS[sent.kind]
    if sent.state:
        made.attributes["otel.trace_state"] = sent.state
    if sent.links:
        made.attributes["otel.links"] = sent.links
    if sent.dropped or sent.cut:
        made.marks.append("cut")
    return made


def check_ids(trace_id: str, span_id: str) -> None:
    """BadSpan for ids that OpenTelemetry calls invalid."""
    for what, value, digits in (("trace id", trace_id, 32), ("span id", span_id, 16)):
        if not _is_id(value, digits):
            said = "is all zeros" if len(value) == digits and not value.strip("0") else f"has not {digits} hex digits"
            raise BadSpan(f"its {what} {said}")


def _is_id(value: str, digits: int) -> bool:
    return len(value) == digits and _HEX.fullmatch(value) is not None and value.count("0") != digits


def _place(made: Span, sent: Sent) -> None:
    if not sent.parent_id.strip("0"):
        return
    if not _is_id(sent.parent_id, 16) or sent.parent_id == sent.span_id:
        made.attributes["otel.parent_span_id"] = sent.parent_id[:100]
        made.marks.append("orphan")
        return
    made.parent_id = sent.parent_id
    if sent.flags & REMOTE == REMOTE or sent.kind in (2, 5):
        made.attributes[ENTRY] = True


def _times(made: Span, sent: Sent, now: int) -> None:
    """A start that cannot be is replaced by the nearest that can, an end is left out; what was sent stays in the attributes."""
    start, end = sent.start, sent.end
    if not 0 < start < LATEST:
        start, end = end if 0 < end < LATEST else now, 0
    made.start, made.end = start, end if start <= end < LATEST else None  # how long it took is not known then
    if (made.start, made.end) != (sent.start, sent.end):
        made.attributes["otel.times"] = [str(sent.start), str(sent.end)]
    if (made.start, made.end) != (sent.start, sent.end) or start > now + _AHEAD:
        made.marks.append("skewed")
    elif end < now - _LATE:
        made.marks.append("late")


def event(name: str, at: int, attributes: dict[str, Json]) -> dict[str, Json]:
    """An event of a span, as all our spans hold them."""
    return {"name": name, "at": rfc3339(min(at, LATEST)), "attributes": attributes}


def number(value: float) -> Json:
    """A float as JSON: OTLP's own words for what JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def blob(value: bytes) -> str:
    """Bytes as OTLP's JSON writes them."""
    return base64.b64encode(value).decode()


def text(value: Any) -> str:
    """A text that can be written as UTF-8."""
    said = value if isinstance(value, str) else ""
    return said if said.isascii() else said.encode("utf-8", "replace").decode()
