"""The span that is running, and the ways to begin one by hand."""

from __future__ import annotations

import os
import random
import socket
import traceback
import weakref
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, cast

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from afere.base.artifact import Ref
from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.span import Span
from afere.store.spans.joining import HOST, PROCESS
from afere.store.spans.rows import ENTRY, UNDER
from afere.tracing import sink, targets
from afere.tracing.capture import Capture, failure
from afere.tracing.collect import Collected
from afere.tracing.scope import ABOUT, COLLECTORS, LIVE, NOTHING, TARGET, About, about, entered, holding, leave

(_SPAN,) = set_span_in_context(INVALID_SPAN, Context())  # the key under which OpenTelemetry has its span in a context
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_EVENTS = 1_000  # of one span
_SHORT = 10_000  # characters of a text that is kept as it is
_SMALL = 2**63  # numbers that need no look
_HOST = socket.gethostname()

# Our own, so that a program that seeds the global generator does not repeat ids; a forked child must not either.
_random = random.Random()  # noqa: S311  ids, not secrets
os.register_at_fork(after_in_child=_random.seed)


class LiveSpan:
    """A span that is running. What is said to it after `end` is ignored; nothing here raises into the program.

    `record` is what will be kept; parts of the product that know more (a model call, a search) fill its fields.
    """

    __slots__ = (
        "_collectors",
        "_inside",
        "_left",
        "_own",
        "_parent",
        "_pid",
        "_shown",
        "_size",
        "before",
        "done",
        "ran",
        "record",
        "target",
    )

    def __init__(self, name: str, kind: str, parent: Context) -> None:
        above = cast("LiveSpan | None", parent.get(LIVE))
        known = cast("About", parent.get(ABOUT, NOTHING))
        number = _random.getrandbits(64) or 1
        if above is not None and parent.get(_SPAN) is above._shown:  # nothing stands between
            self._parent, outer, valid = above, above._own, True
            self.target, marks, trace_id, parent_id = above.target, (), outer.trace_id, above.record.span_id
        else:
            outer = get_current_span(parent).get_span_context()
            valid = outer.is_valid
            # The OpenTelemetry context decides: a span of other tracing may stand between, or have left our trace.
            self._parent = above if above is not None and above._own.trace_id == outer.trace_id else None
            trace_id = outer.trace_id if valid else _random.getrandbits(128) or 1
            parent_id = f"{outer.span_id:016x}" if valid else None
            self.target, marks = self._placed(parent, outer if valid else None)
        self.record = Span(
            self._parent.record.trace_id if self._parent is not None else f"{trace_id:032x}",
            f"{number:016x}",
            name,
            0,
            parent_id,
            kind,
            status="running",
            session=known.session,
            user=known.user,
            environment=known.environment,
            attributes={**known.attributes, **dict(marks)} if marks else dict(known.attributes),
        )
        flags = outer.trace_flags if valid else _SAMPLED
        self._own = SpanContext(trace_id, number, is_remote=False, trace_flags=flags, trace_state=outer.trace_state)
        self._shown = NonRecordingSpan(self._own)
        self.before = parent
        self._inside: Context | None = Context({**parent, LIVE: self, _SPAN: self._shown})
        self._collectors = cast("tuple[Collected, ...]", parent.get(COLLECTORS, ()))
        # References and hashes of what ran under the nearest span that gathers them, this one included.
        self.ran: set[tuple[str, str]] | None = self._parent.ran if self._parent is not None else None
        self._pid = os.getpid()
        self._size = 0
        self.done = False
        self.record.start = now_ns()

    def _placed(
        self, parent: Context, outer: SpanContext | None
    ) -> tuple[targets.Target | None, Iterable[tuple[str, Json]]]:
        """Where it rests, and the attributes that say how it hangs together with spans of other tracing."""
        above = self._parent
        if above is None:
            target = cast("targets.Target | None", parent.get(TARGET)) or targets.target()
            return target, () if outer is None else ((ENTRY, True),)
        hangs = outer is not None and above._own.span_id == outer.span_id
        return above.target, () if hangs else ((UNDER, above.record.span_id),)

    @property
    def context(self) -> Context:
        """The context in which this span is the running one; also afterwards, for what goes on under it."""
        return self._inside or self._left() or Context({**self.before, LIVE: self, _SPAN: self._shown})

    @property
    def trace_id(self) -> str:
        """32 hex digits; the same for everything that runs under one root."""
        return self.record.trace_id

    @property
    def span_id(self) -> str:
        """16 hex digits."""
        return self.record.span_id

    @property
    def root(self) -> LiveSpan:
        """The outermost span of ours in this process."""
        span = self
        while span._parent is not None:
            span = span._parent
        return span

    @property
    def running_above(self) -> LiveSpan | None:
        """This span, or the nearest above it that has not ended."""
        span: LiveSpan | None = self
        while span is not None and span.done:
            span = span._parent
        return span

    def set(self, **attributes: Any) -> None:
        """Add attributes, or replace them. Values become plain JSON."""
        if self.done:
            return
        kept = self.record.attributes
        for name, value in attributes.items():
            if (
                type(value) is str and len(value) < _SHORT
            ):  # as `_captured`, without the call: most attributes are short
                self._size += len(value) + 2
                kept[name] = value
            else:
                kept[name] = self._captured(value)

    def event(self, name: str, **attributes: Any) -> None:
        """Note that something happened now."""
        if self.done:
            return
        if len(self.record.events) >= _EVENTS:
            self._mark("cut")
            return
        said: dict[str, Json] = {key: self._captured(value) for key, value in attributes.items()}
        self.record.events.append({"name": name, "at": rfc3339(now_ns()), "attributes": said})

    def use(self, ref: str | Ref, hash: str) -> None:
        """Note that this artifact ran here."""
        used = (str(ref), hash)
        if self.ran is not None:
            self.ran.add(used)
        if not self.done and used not in self.record.artifacts:
            self.record.artifacts.append(used)

    def input(self, value: object) -> None:
        """What went in: copied now, bounded in size."""
        if not self.done:
            self.record.input = self._captured(value)

    def output(self, value: object) -> None:
        """What came out: copied now, bounded in size."""
        if not self.done:
            self.record.output = self._captured(value)

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed. An exception is also kept as an event, with where it was raised."""
        if self.done:
            return
        self.record.status = "error"
        if isinstance(error, str):
            self.record.error = error[:2000]
            return
        self.record.error = failure(error)
        where = "".join(traceback.format_tb(error.__traceback__, limit=-12))
        self.event("exception", type=type(error).__qualname__, message=self.record.error, stacktrace=where)

    def about(self, user: str | None, session: str | None) -> None:
        """Whom this is about, where that was not known when it began; the spans above learn it too."""
        span: LiveSpan | None = self
        while span is not None:
            span.record.user = span.record.user or user
            span.record.session = span.record.session or session
            span = span._parent

    def end(self) -> None:
        """Finish: the span goes to the store's queue. Ending twice, or elsewhere than it began, is harmless."""
        if self.done:
            return
        self.done = True
        self.record.end = max(now_ns(), self.record.start)
        if self.record.status == "running":
            self.record.status = "ok"
        inside = self.context
        leave(inside, self.before)
        # Nothing else would end the circle of span and context but Python's search for circles, through all that they hold.
        self._left = weakref.ref(inside)
        self._inside = None
        if self._pid != os.getpid():  # begun before a fork: the parent process ends it
            return
        for collected in self._collectors:
            collected.add(self.record)
        said = _weight(self.record.input_messages) + _weight(self.record.output_messages)
        sink.put(self.target, self.record, self._size + said)

    def begun(self) -> None:
        """Let a root be seen while it runs, and after a crash: who runs it is in its attributes."""
        if self._parent is None:
            self.record.attributes[PROCESS] = self._pid
            self.record.attributes[HOST] = _HOST
            sink.put_start(self.target, self.record, self._size)

    def first(self) -> None:
        """Note that the first piece of a stream came out now."""
        if not self.done and self.record.first_token_seconds is None:
            self.record.first_token_seconds = (now_ns() - self.record.start) / 1e9

    def active(self) -> AbstractContextManager[None]:
        """Make this span the current one for a while (a step of a generator, a callback)."""
        return entered(self.context)

    def _captured(self, value: object) -> Json:
        if type(value) is str and len(value) < _SHORT:
            self._size += len(value) + 2
            return value
        if (kind := type(value)) is bool or (kind is int and -_SMALL < cast("int", value) < _SMALL):
            self._size += 8
            return cast("int", value)
        captured = Capture(value)
        self._size += captured.size
        if captured.cut:
            self._mark("cut")
        return captured.value

    def _mark(self, mark: str) -> None:
        if mark not in self.record.marks:
            self.record.marks.append(mark)

    def __repr__(self) -> str:
        return f"<span {self.record.name!r} {self.record.trace_id}/{self.record.span_id}>"


def _weight(messages: list[Json]) -> int:
    """About how many characters messages hold, which a model call puts on the record itself."""
    size = 0
    for message in messages:
        if type(message) is dict:
            for value in message.values():
                if type(value) is str:
                    size += len(value)
    return size


def begin(name: str, kind: str, parent: Context, attributes: dict[str, Any], inputs: object = None) -> LiveSpan:
    """A span under `parent`, not made current. `inputs` are known from the start, so that a crash keeps them."""
    live = LiveSpan(str(name), str(kind), parent)
    if attributes:
        live.set(**attributes)
    if inputs:
        live.input(inputs)
    live.begun()
    return live


def start(name: str, *, kind: str = "step", detached: bool = False, **attributes: Any) -> LiveSpan:
    """Begin a span by hand; end it with `.end()`.

    It becomes the current span unless `detached` (then `with live.active():` makes it so for a while).
    """
    live = begin(name, kind, otel.get_current(), attributes)
    if not detached:
        otel.attach(live.context)
    return live


class span:
    """`with afere.span("rank", kind="retrieval") as live:` records that the block ran, and an exception that leaves it."""

    __slots__ = ("_asked", "_live")

    def __init__(self, name: str, *, kind: str = "step", **attributes: Any) -> None:
        self._asked = (name, kind, attributes)

    def __enter__(self) -> LiveSpan:
        name, kind, attributes = self._asked
        self._live = begin(name, kind, otel.get_current(), attributes)
        otel.attach(self._live.context)
        return self._live

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error is not None:
            self._live.fail(error)
        self._live.end()


def current() -> LiveSpan | None:
    """The span that is running here, or None."""
    live = cast("LiveSpan | None", otel.get_value(LIVE))
    return None if live is None else live.running_above


def resting_here() -> AbstractContextManager[None]:
    """Inside, all traces rest where one that begins now does: not looked up for each."""
    return holding(TARGET, targets.target())


def context(*, user: str | None = None, session: str | None = None, **attributes: Any) -> AbstractContextManager[None]:
    """Say whom and what the spans inside are about; the running trace learns the user and session too.

    `environment=` is a field of its own; other names become attributes of every span inside.
    """
    known, live = about(), current()
    environment = attributes.pop("environment", None) or known.environment
    said: dict[str, Json] = {name: Capture(value).value for name, value in attributes.items()}
    user = known.user if user is None else str(user)
    session = known.session if session is None else str(session)
    if live is not None:
        live.about(user, session)
    return holding(ABOUT, About(user, session, environment, {**known.attributes, **said}))
