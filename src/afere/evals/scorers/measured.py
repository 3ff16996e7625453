"""Measures that every run has without a scorer: time, money, tokens, errors. For all of them lower is better."""

from __future__ import annotations

from afere.base.score import Value
from afere.chains.runner import Outcome


def measured(outcome: Outcome) -> dict[str, Value]:
    """The built-in measures of one run; None where the run does not say. A crash of the user's code is an error, and its
    time and cost do not count; a run that the world broke is nothing at all.
    """
    names = ("seconds", "cost", "input_tokens", "output_tokens", "first_token_seconds")
    if outcome.world:
        return dict.fromkeys([*names, "errors"])
    if outcome.error is not None:
        return {**dict.fromkeys(names), "errors": True}
    trace = outcome.trace
    totals = trace.totals if trace else None
    first = [s.first_token_seconds for s in trace.spans if s.first_token_seconds is not None] if trace else []
    return {
        "seconds": outcome.seconds,
        "cost": outcome.cost,
        "input_tokens": totals.input_tokens if totals else None,
        "output_tokens": totals.output_tokens if totals else None,
        "first_token_seconds": first[-1] if first else None,
        "errors": False,
    }
