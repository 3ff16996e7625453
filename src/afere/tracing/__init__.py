"""Observe what runs: spans of the user's functions, their context across threads and processes, and the way to the store."""

from __future__ import annotations

from afere.tracing.collect import Collected, collecting
from afere.tracing.decorate import trace
from afere.tracing.lacking import Lack, Origin, lacks, origin
from afere.tracing.libraries import instrument
from afere.tracing.live import LiveSpan, context, current, span, start
from afere.tracing.playback import Playback, Played, now, played, playing
from afere.tracing.scope import carry, headers, remote
from afere.tracing.scoring import score
from afere.tracing.sink import Flushed, flush
from afere.tracing.targets import configure

Span = LiveSpan  # the name that users know it by

__all__ = [
    "trace",
    "span",
    "start",
    "current",
    "context",
    "score",
    "now",
    "instrument",
    "flush",
    "Flushed",
    "configure",
    "LiveSpan",
    "Span",
    "collecting",
    "Collected",
    "carry",
    "headers",
    "remote",
    "lacks",
    "Lack",
    "origin",
    "Origin",
    "playing",
    "played",
    "Playback",
    "Played",
]
