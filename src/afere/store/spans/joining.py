"""A trace of spans that came one by one: what is orphaned, what goes round in a circle, and what died."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import replace

from afere.base.span import Span
from afere.store.spans.rows import ENTRY, UNDER

PROCESS, HOST = "process.pid", "host.name"  # who runs a root, so that a crash can be told from a long run


def died(span: Span) -> bool:
    """Whether a span says "running" though the process that ran it, on this host, is no more."""
    pid = span.attributes.get(PROCESS)
    if span.status != "running" or not isinstance(pid, int) or span.attributes.get(HOST) != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def joined(spans: list[Span]) -> tuple[Span, ...]:
    """Spans of one trace, marked where nothing is above them that should be, or where they go round in a circle."""
    known: Mapping[str, Span] = {span.span_id: span for span in spans}
    found: list[Span] = []
    circling = _circling(known)
    for span in spans:
        if span.span_id in circling and "orphan" not in span.marks:
            span = replace(span, marks=[*span.marks, "orphan"])  # noqa: PLW2901
        if span.parent_id is not None and span.parent_id not in known and span.attributes.get(ENTRY) is not True:
            above = span.attributes.get(UNDER)
            if isinstance(above, str) and above in known:
                span = replace(span, parent_id=above)  # noqa: PLW2901
            elif "orphan" not in span.marks:
                span = replace(span, marks=[*span.marks, "orphan"])  # noqa: PLW2901
        found.append(span)
    return tuple(found)


def _circling(spans: Mapping[str, Span]) -> set[str]:
    """Of each circle of spans that are below each other, the first."""
    order = {span_id: place for place, span_id in enumerate(spans)}
    walks: dict[str, str] = {}  # span -> where the walk began that came by
    found = set[str]()
    for first in spans:
        at: str | None = first
        while at is not None and at in spans and at not in walks:
            walks[at] = first
            at = spans[at].parent_id
        if at is not None and walks.get(at) == first:
            circle = [at]
            while (above := spans[circle[-1]].parent_id) is not None and above != at:
                circle.append(above)
            found.add(min(circle, key=order.__getitem__))
    return found
