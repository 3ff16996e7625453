"""Calls that are told twice. The Anthropic SDK (2.x) makes a span of its own beside the one of an instrumentor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SDK = "com.anthropic.sdk.python"  # its scope
NAMES = "anthropic."  # how its spans' names begin


class Call(NamedTuple):
    """Where and when a span of kind llm ran; ids in hex, times in nanoseconds. `own`: the SDK made it."""

    trace: str
    span: str
    parent: str | None
    start: int
    end: int | None
    own: bool


def inner(calls: Iterable[Call]) -> dict[tuple[str, str], str]:
    """The SDK's spans, (trace, span), that stand beside the span of an instrumentor for the same call, which is above them.

    Where one is above the other as it came, nothing is to be done: of spans that report tokens the innermost counts.
    """
    free: dict[tuple[str, str | None], list[Call]] = {}
    own: list[Call] = []
    for call in sorted(calls, key=lambda call: call.start):
        if call.own:
            own.append(call)
        else:
            free.setdefault((call.trace, call.parent), []).append(call)
    found: dict[tuple[str, str], str] = {}
    for call in own:
        beside = free.get((call.trace, call.parent), [])
        around = [one for one in beside if one.start <= call.start and (one.end is None or call.start <= one.end)]
        if around:
            beside.remove(around[-1])  # the one that began last before it: it is of that call alone
            found[call.trace, call.span] = around[-1].span
    return found
