"""promptfoo's assertions about tool calls and the spans of a run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

from afere.base.canonical import Json
from afere.base.span import Span, Trace
from afere.evals.promptfoo.held import Held, held, unknown

NO_TRACE = "nothing is traced of this run"


def tool_call_f1(value: Json, limit: float | None, output: Json) -> Held:
    """F1 of the names of tools that the output calls, as sets, against those expected (a list, or a text with commas)."""
    wanted = {str(one).strip() for one in (value.split(",") if isinstance(value, str) else cast("list[Json]", value))}
    called = _names(output)
    score = 2 * len(wanted & called) / (len(wanted) + len(called)) if called else 0.0
    return held(score >= (1.0 if limit is None else limit), score, f"called: {', '.join(sorted(called)) or 'none'}")


def _names(said: Json) -> set[str]:
    """The tools that an output names, as OpenAI, Anthropic and Google write calls; of a text, of each line that is JSON."""
    if isinstance(said, str):
        return {name for one in _parsed(said) for name in _names(one)}
    if isinstance(said, list):
        return {name for one in said for name in _names(one)}
    if not isinstance(said, dict):
        return set()
    for key in ("tool_calls", "content"):
        if isinstance(said.get(key), list):
            return _names(said[key])
    calls = said.get("toolCall")
    if isinstance(calls, dict):
        return _names(calls.get("functionCalls"))
    inner = said.get("function") or said.get("functionCall") or said
    name = inner.get("name") if isinstance(inner, dict) else None
    return {name} if isinstance(name, str) else set()


def _parsed(text: str) -> list[Json]:
    for parts in ([text], text.split("\n")):
        found: list[Json] = []
        for part in parts:
            try:
                found += [json.loads(part)] if part.strip().startswith(("{", "[")) else []
            except ValueError:
                continue
        if found:
            return found
    return []


def span_count(value: Json, trace: Trace | None) -> Held:
    """How many spans have a name of that pattern: `{pattern, min, max}`."""
    said = value if isinstance(value, dict) else {}
    if trace is None or not isinstance(said.get("pattern"), str):
        return unknown(NO_TRACE if trace is None else "its value must be {pattern: ..., min: ..., max: ...}")
    count = len(_matching(trace.spans, said))
    right = _number(said, "min", 0) <= count <= _number(said, "max", math.inf)
    return held(right, why=f"{count} spans are called {said['pattern']}")


def span_duration(value: Json, trace: Trace | None) -> Held:
    """Whether spans of that pattern took at most `max` ms: each, or that percentile of them."""
    said = value if isinstance(value, dict) else {}
    if trace is None or "max" not in said:
        return unknown(
            NO_TRACE if trace is None else "its value must be {max: MILLISECONDS, pattern: ..., percentile: ...}"
        )
    took = sorted(1000 * one.seconds for one in _matching(trace.spans, said) if one.seconds is not None)
    if not took:
        return held(True)
    longest = took[max(0, math.ceil(_number(said, "percentile", 100) / 100 * len(took)) - 1)]
    return held(longest <= _number(said, "max", 0), why=f"{longest:.0f} ms")


def error_spans(value: Json, trace: Trace | None) -> Held:
    """Whether at most so many spans failed: a number, or `{pattern, max_count, max_percentage}`."""
    if trace is None:
        return unknown(NO_TRACE)
    said = value if isinstance(value, dict) else {} if value is None else {"max_count": value}
    spans = _matching(trace.spans, said)
    failed = [one.name for one in spans if one.status == "error"]
    most = math.inf if "max_percentage" in said and "max_count" not in said else _number(said, "max_count", 0)
    share = 100 * len(failed) / len(spans) if spans else 0.0
    right = len(failed) <= most and share <= _number(said, "max_percentage", math.inf)
    return held(right, why=f"failed: {', '.join(failed[:3]) or 'none'}")


def _matching(spans: Sequence[Span], said: Mapping[str, Json]) -> list[Span]:
    pattern = re.escape(str(said.get("pattern") or "*")).replace(r"\*", ".*").replace(r"\?", ".")
    return [one for one in spans if re.fullmatch(pattern, one.name, re.IGNORECASE)]


def _number(said: Mapping[str, Json], key: str, default: float) -> float:
    found = said.get(key, default)
    return float(found) if isinstance(found, int | float) else default
