"""Stored traces as OTLP to a collector: a few hundred spans a request, again while it asks for patience."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import BadInput, WorldFailed
from afere.cli.export import whole_traces
from afere.tracing.otlp import encode
from afere.tracing.otlp.collector import Collector, NotNow

if TYPE_CHECKING:
    from afere.base.span import Span, Trace
    from afere.store import Session

_SPANS = 500  # of one request; what most collectors take in bytes holds more
_PATIENCE = 120.0  # seconds that one request is sent again and again
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
_EVERY = 5.0  # seconds between two words about progress


@dataclass(slots=True)
class Sent:
    """What went: traces, spans, those that the collector refused with its reason, and those that still run."""

    to: str
    traces: int = 0
    spans: int = 0
    refused: int = 0
    why: str = ""
    running: int = 0

    def to_json(self) -> Json:
        return {
            "to": self.to, "traces": self.traces, "spans": self.spans, "refused": self.refused,
            "why": self.why or None, "running": self.running,
        }  # fmt: skip

    @property
    def said(self) -> str:
        """In a sentence."""
        text = f"{self.traces:,} traces, {self.spans:,} spans sent to {self.to}"
        if self.refused:
            text += f"; {self.refused:,} of them refused: {self.why or 'without a reason'}"
        return text + (f"; {self.running:,} that still run are left out" if self.running else "")


def send(
    session: Session, filter: str, url: str, headers: Sequence[str], *, told: Callable[[str], None] | None
) -> Sent:
    """Send all traces that match. WorldFailed, with what has gone, where the collector is away or takes nothing."""
    variables: dict[str, str] = {}
    for one in headers:
        name, equals, variable = one.partition("=")
        if not equals or not name or not variable:
            raise BadInput(f"--header {one!r}: write NAME=VARIABLE, such as authorization=OTEL_KEY.")
        variables[name] = variable
    collector = Collector.of(url, variables, where="--to")
    sent = Sent(collector.url)
    word = time.monotonic() + _EVERY
    for spans in _batches(whole_traces(session, filter), sent):
        refused, why = _posted(collector, zlib.compress(encode(spans, session.project), 1, 31), sent)
        sent.spans += len(spans)
        sent.refused += refused
        sent.why = why or sent.why
        if told is not None and time.monotonic() > word:
            told(sent.said)
            word = time.monotonic() + _EVERY
    return sent


def _batches(traces: Iterable[Trace], sent: Sent) -> Iterator[list[Span]]:
    """Spans together; a trace that is larger than a request takes several."""
    batch: list[Span] = []
    for trace in traces:
        ended = [span for span in trace.spans if span.status != "running"]
        sent.running += len(trace.spans) - len(ended)
        sent.traces += bool(ended)
        for span in ended:
            batch.append(span)
            if len(batch) >= _SPANS:
                yield batch
                batch = []
    if batch:
        yield batch


def _posted(collector: Collector, body: bytes, sent: Sent) -> tuple[int, str]:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    until = time.monotonic() + _PATIENCE
    tries = 0
    while True:
        try:
            return collector.post(body, headers)
        except NotNow as error:
            wait = _PAUSES[min(tries, len(_PAUSES) - 1)] if error.wait is None else error.wait
            tries += 1
            if time.monotonic() + wait > until or (tries > len(_PAUSES) and not sent.spans and error.wait is None):
                raise WorldFailed(_gone(str(error), sent)) from None
        except WorldFailed as error:
            raise WorldFailed(_gone(str(error), sent)) from None
        time.sleep(wait)


def _gone(why: str, sent: Sent) -> str:
    return f"{why}. {sent.spans:,} spans had been sent. Run the same again when it answers: what is there is known by its ids."
