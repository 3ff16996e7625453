"""What surrounds the running code, kept in the OpenTelemetry context: the live span, the user and session, collectors, playback.

Only `opentelemetry-api` is used and nothing global is set, so this works beside any OpenTelemetry SDK: a user's own spans
nest under ours and ours under theirs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from opentelemetry import baggage
from opentelemetry import context as otel
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from afere.base.canonical import Json

P = ParamSpec("P")
R = TypeVar("R")

LIVE = otel.create_key("afere-live-span")
ABOUT = otel.create_key("afere-about")
COLLECTORS = otel.create_key("afere-collectors")
TARGET = otel.create_key("afere-target")  # where traces that begin here rest, where that is known
PLAYBACK = otel.create_key("afere-playback")

USER, SESSION = "user.id", "session.id"  # the names in W3C baggage, as OpenTelemetry's conventions call them
_TRACEPARENT, _BAGGAGE = TraceContextTextMapPropagator(), W3CBaggagePropagator()


@dataclass(frozen=True, slots=True)
class About:
    """Whom and what the spans started here are about."""

    user: str | None = None
    session: str | None = None
    environment: str | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict[str, "Json"])


NOTHING = About()


def about(context: Context | None = None) -> About:
    """What was said by `context(...)` or came in with `remote(...)`."""
    found = otel.get_value(ABOUT, context)
    return found if isinstance(found, About) else NOTHING


class Placed(Protocol):
    """Something that made a context current: the context it made, and the one before."""

    context: Context
    before: Context


def leave(own: Context, before: Context) -> None:
    """Make `before` current again if `own` is, or a span that was begun inside `own` and never ended.

    Resetting by token fails where a span ends in another task, thread or callback than it began in; setting does not.
    """
    here = otel.get_current()
    while here is not own:
        live = cast("Placed | None", here.get(LIVE))
        if live is None or live.context is not here:
            return
        here = live.before
    otel.attach(before)


class entered:
    """`with entered(context):` runs the block in an OpenTelemetry context."""

    __slots__ = ("_before", "_context")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._before = otel.get_current()
        otel.attach(self._context)

    def __exit__(self, *_: object) -> None:
        leave(self._context, self._before)


def holding(key: str, value: object) -> entered:
    """Run the block with one more value in the context, that of here and now."""
    return entered(otel.set_value(key, value))


def carry(fn: Callable[P, R]) -> Callable[P, R]:
    """`fn`, to run elsewhere (a thread, an executor, a callback) in the context of here and now.

    executor.submit(carry(work), 1)
    """
    context = otel.get_current()

    @functools.wraps(fn)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        with entered(context):
            return fn(*args, **kwargs)

    return carried


def headers() -> dict[str, str]:
    """The W3C headers (traceparent, tracestate, baggage) that let another process join this trace."""
    context, known = otel.get_current(), about()
    for name, value in ((USER, known.user), (SESSION, known.session)):
        if value is not None:
            context = baggage.set_baggage(name, value, context)
    carrier: dict[str, str] = {}
    _TRACEPARENT.inject(carrier, context)
    _BAGGAGE.inject(carrier, context)
    return carrier


@contextmanager
def remote(headers: Mapping[str, str]) -> Generator[None]:
    """Join the trace, and take the user and session, that another process sent in its headers; malformed ones are ignored."""
    carrier = {str(name).lower(): value for name, value in headers.items()}
    context: Context = _TRACEPARENT.extract(carrier, otel.get_current())
    context = _BAGGAGE.extract(carrier, context)
    known = about(context)
    user, session = _said(context, USER) or known.user, _said(context, SESSION) or known.session
    context = otel.set_value(ABOUT, About(user, session, known.environment, known.attributes), context)
    with entered(context):
        yield


def _said(context: Context, name: str) -> str | None:
    value: Any = baggage.get_baggage(name, context)
    return str(value) if value else None
