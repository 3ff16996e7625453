"""Measures that every run has without a scorer: time, money, tokens, errors. For all of them lower is better."""

from __future__ import annotations

from functools import lru_cache

from afere.base.score import Value
from afere.chains.runner import Outcome


def measured(outcome: Outcome) -> dict[str, tuple[Value, str]]:
    """The built-in measures of one run, each with the reason where it is unknown. A crash of the user's code is an error, and its
    time and cost do not count; a run that the world broke, or whose row did not fit, is nothing at all.
    """
    names = ("seconds", "cost", "input_tokens", "output_tokens", "first_token_seconds")
    if outcome.error is not None:
        unknown: dict[str, tuple[Value, str]] = dict.fromkeys(names, (None, outcome.error))
        return {**unknown, "errors": (None if outcome.world or outcome.unfit else True, outcome.error)}
    trace = outcome.trace
    totals = trace.totals if trace else None
    first = [s.first_token_seconds for s in trace.spans if s.first_token_seconds is not None] if trace else []
    silent = "no model said" if trace else "nothing ran"
    found: dict[str, tuple[Value, str]] = {
        "seconds": (outcome.seconds, "answered from the cache" if trace else silent),
        "cost": (outcome.cost, silent),
        "input_tokens": (totals.input_tokens if totals else None, silent),
        "output_tokens": (totals.output_tokens if totals else None, silent),
        "first_token_seconds": (first[-1] if first else None, silent),
        "errors": (False, ""),
    }
    return {name: _pair(value, why if value is None else "") for name, (value, why) in found.items()}


@lru_cache(maxsize=4096, typed=True)
def _pair(value: Value, why: str) -> tuple[Value, str]:
    """One object for all runs that say the same, as most do of tokens, cost and errors: there may be a hundred thousand."""
    return value, why
