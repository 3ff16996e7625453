"""What a run, or one component of it, took: read from its trace. With `of:` these are of that component alone."""

from __future__ import annotations

import math

from afere.base.score import Score
from afere.base.span import Trace
from afere.chains.calls import CACHED
from afere.evals.scorers.declare import scorer


@scorer(better="lower", within=(0, math.inf))
def latency(trace: Trace) -> Score:
    """Seconds that the run took, or with `of:` the component; unknown where an answer came from the cache.

    >>> score({"name": "search_latency", "kind": "latency", "of": "search"}, "x", trace=trace).value
    0.25
    """
    if any(CACHED in span.attributes for span in trace.spans):
        return _unknown("latency", "answered from the cache")
    seconds = trace.root.seconds
    return _unknown("latency", "it has not ended") if seconds is None else _said("latency", seconds)


@scorer(better="lower", within=(0, math.inf))
def first_token(trace: Trace) -> Score:
    """Seconds until the first token of the last answer that streamed; unknown where none did.

    >>> score("first_token", "x", trace=trace).value
    0.12
    """
    known = [span.first_token_seconds for span in trace.spans if span.first_token_seconds is not None]
    return _said("first_token", known[-1]) if known else _unknown("first_token", "no model streamed")


@scorer(better="lower", within=(0, math.inf))
def spent(trace: Trace) -> Score:
    """USD that models cost, in the run or in one component. (For the whole run there is `cost` without a scorer.)

    >>> score({"name": "answer_cost", "kind": "spent", "of": "llm"}, "x", trace=trace).value
    0.002
    """
    cost = trace.totals.cost
    return _unknown("spent", "no model said its price") if cost is None else _said("spent", cost)


@scorer(better="lower", within=(0, math.inf))
def tokens(trace: Trace) -> Score:
    """Tokens, in and out, of all calls to models in the run or component.

    >>> score("tokens", "x", trace=trace).value
    120
    """
    totals = trace.totals
    if totals.input_tokens is None and totals.output_tokens is None:
        return _unknown("tokens", "no model said how many")
    return _said("tokens", (totals.input_tokens or 0) + (totals.output_tokens or 0))


@scorer(better="lower", within=(0, math.inf))
def steps(trace: Trace) -> int:
    """How many calls to models and tools the run, or the component, made.

    >>> score("steps", "x", trace=trace).value
    3
    """
    return len(trace.of_kind("llm")) + len(trace.of_kind("tool"))


def _said(name: str, value: float) -> Score:
    return Score("case", name, value, "scorer:" + name)


def _unknown(name: str, why: str) -> Score:
    return Score("case", name, None, "scorer:" + name, why)
