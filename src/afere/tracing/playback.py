"""Answer components, tools, searches and the clock from a record, instead of running them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, cast

from opentelemetry import context as otel

from afere.base.canonical import Json
from afere.tracing.live import current
from afere.tracing.scope import PLAYBACK, holding


@dataclass(frozen=True, slots=True)
class Played:
    """What the record answered: an output, or the error it ended with."""

    output: Json = None
    error: str | None = None


class Playback(Protocol):
    """A record that answers; None means that this step is not recorded and should run."""

    def answer(self, kind: str, name: str, arguments: Json) -> Played | None: ...


def playing(playback: Playback) -> AbstractContextManager[None]:
    """Let `playback` answer for what runs inside."""
    return holding(PLAYBACK, playback)


def played(kind: str, name: str, arguments: Json, context: otel.Context | None = None) -> Played | None:
    """What the playback around here answers, or None when there is none or it has no answer. `context` is that of here, where it
    is known."""
    playback = cast("Playback | None", otel.get_value(PLAYBACK, context))
    return None if playback is None else playback.answer(kind, name, arguments)


def now() -> float:
    """Seconds since 1970, as `time.time()`; recorded on the current span, so that a replay sees the same time."""
    answer = played("now", "now", {})
    at = time.time()
    if answer is not None and isinstance(answer.output, int | float):
        at = float(answer.output)
    live = current()
    if live is not None:
        live.event("afere.now", value=at)
    return at
