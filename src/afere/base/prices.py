"""What models cost and how much they take in: an offline table, which the user can override.

The table (`data/prices.json`, made by tools/make_prices.py) comes from genai-prices (MIT, Pydantic Services Inc.).
Prices are USD per million tokens: `input`, `cached` (input read from the provider's cache), `output`, `reasoning`.
Not covered, hence unknown: models that charge by the hour of the day or for each request. Not counted: writing to a cache,
pictures, sound and searches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.clock import now_ns, today
from afere.base.errors import BadInput
from afere.base.message import Usage

FIELDS = ("input", "cached", "output", "reasoning")
_INSTEAD = {"cached": "input", "reasoning": "output"}  # what they cost where they have no price of their own
_Price = float | list[list[float]]  # one price, or [[from input tokens, price], ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    prices: tuple[tuple[str, Mapping[str, _Price]], ...]  # (in force from that day, prices), oldest first
    context: int | None


def price(
    model: str, usage: Usage, overrides: Mapping[str, Json] | None = None, *, day: str | None = None
) -> float | None:
    """USD for one call, None if unknown. `model` is `gpt-4.1` or, better, `openai:gpt-4.1`.

    `overrides` are the user's own prices (`prices:` of a model in afere.yaml): at least input and output. `day` is the
    day of the call, `2026-11-24`; by default today.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    prices = _own(overrides) if overrides else _prices(model, day or today(now_ns()))
    if prices is None:
        return None
    cached = min(usage.cached_input_tokens, usage.input_tokens) if usage.cached_input_tokens else 0
    reasoning = min(usage.reasoning_tokens, usage.output_tokens) if usage.reasoning_tokens else 0
    counts = (
        ("input", usage.input_tokens - cached), ("cached", cached),
        ("output", usage.output_tokens - reasoning), ("reasoning", reasoning),
    )  # fmt: skip
    total = 0.0
    for field, count in counts:
        if not count:
            continue
        rate = prices.get(field, prices.get(_INSTEAD.get(field, field)))
        if rate is None:
            return None
        total += count * _rate(rate, usage.input_tokens)
    return total / 1e6


def context_size(model: str) -> int | None:
    """How many tokens a model takes in, None if unknown. `model` as for `price`."""
    entry = _find(model)
    return entry.context if entry else None


@lru_cache(maxsize=256)
def provider_of(url: str) -> str | None:
    """The provider whose address this is, `openai` for https://api.openai.com/v1; None for one the table does not know."""
    for provider in _table():
        if re.match(provider["api"], url):
            return str(provider["id"])
    return None


def _rate(rate: _Price, input_tokens: int) -> float:
    if not isinstance(rate, list):
        return rate
    found = rate[0][1]
    for start, value in rate:
        if input_tokens > start:
            found = value
    return found


def _own(overrides: Mapping[str, Json]) -> Mapping[str, _Price]:
    unknown = set(overrides) - set(FIELDS)
    wrong = [name for name, value in overrides.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if unknown or wrong or not {"input", "output"} <= set(overrides):
        raise BadInput(
            f"prices: {dict(overrides)!r}: write USD per million tokens as numbers, {{input: 0.4, output: 1.6}}, and "
            "cached and reasoning where they differ."
        )
    return cast("Mapping[str, _Price]", overrides)


@lru_cache(maxsize=512)
def _prices(model: str, day: str) -> Mapping[str, _Price] | None:
    entry = _find(model)
    in_force = [prices for start, prices in entry.prices if start <= day] if entry else []
    return in_force[-1] if in_force else None


@lru_cache(maxsize=1)
def _table() -> list[dict[str, Any]]:
    from importlib.resources import files

    text = (files("afere.base") / "data" / "prices.json").read_text(encoding="utf-8")
    return cast("list[dict[str, Any]]", json.loads(text)["providers"])


@lru_cache(maxsize=512)
def _find(model: str) -> _Entry | None:
    """A provider that is named decides alone; without one, the provider whose names these are."""
    model = model.strip().replace(":/", ":")
    named, colon, rest = model.partition(":")
    by_id = {provider["id"]: provider for provider in _table()}
    if colon and named in by_id:
        return _entry(by_id, named, rest.removeprefix(f"{named}/"))
    if colon and named not in by_id:
        return None
    for provider in _table():
        if provider["match"] and _matches(provider["match"], model.lower()):
            found = _entry(by_id, provider["id"], model)
            if found:
                return found
    named, slash, rest = model.partition("/")
    return _entry(by_id, named, rest) if slash and named in by_id else None


def _entry(by_id: Mapping[str, dict[str, Any]], provider: str, model: str) -> _Entry | None:
    for name in (provider, *by_id[provider]["also"]):
        for match, steps, context in by_id[name]["models"]:
            if _matches(match, model.lower()):
                return _Entry(tuple((start, prices) for start, prices in steps), context)
    return None


def _matches(clause: str | list[Any], name: str) -> bool:
    """`=same`, `^start`, `$end`, `*within`, `/regular expression`; a list: one of them, with "&" first: all."""
    if isinstance(clause, list):
        if clause[0] == "&":
            return all(_matches(part, name) for part in clause[1:])
        return any(_matches(part, name) for part in clause)
    sign, text = clause[0], clause[1:]
    if sign == "/":
        return re.search(text, name) is not None
    text = text.lower()
    return {
        "=": name == text, "^": name.startswith(text), "$": name.endswith(text), "*": text in name,
    }[sign]  # fmt: skip
