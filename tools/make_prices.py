"""Write `src/afere/base/data/prices.json` from the installed genai-prices package (MIT).

Run after `pip install -U genai-prices`: .venv/bin/python tools/make_prices.py

Kept: prices of text tokens and context sizes. Left without a price (so the cost is unknown, never wrong): models
that charge by the time of day or for each request. Prices that have ended before the snapshot are dropped; announced
ones are kept with the day they start.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from genai_prices import data_snapshot

DATA = Path(__file__).parents[1] / "src" / "afere" / "base" / "data"
FIELDS = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
SIGNS = {
    "ClauseEquals": ("=", "equals"),
    "ClauseStartsWith": ("^", "starts_with"),
    "ClauseEndsWith": ("$", "ends_with"),
    "ClauseContains": ("*", "contains"),
    "ClauseRegex": ("/", "regex"),
}


def clause(value: Any) -> Any:
    """`=same`, `^start`, `$end`, `*within`, `/regular expression`, or a list: one of them, with "&" first: all."""
    kind = type(value).__name__
    if kind == "ClauseOr":
        return [clause(part) for part in value.or_]
    if kind == "ClauseAnd":
        return ["&", *(clause(part) for part in value.and_)]
    sign, field = SIGNS[kind]
    return sign + getattr(value, field)


def number(value: Any) -> Any:
    """A price, or `[[from input tokens, price], ...]` where it depends on the size of the input."""
    if hasattr(value, "tiers"):
        return [[0, float(value.base)], *([tier.start, float(tier.price)] for tier in value.tiers)]
    return float(value)


def tokens(prices: Any) -> dict[str, Any]:
    return {
        name: number(value) for name, field in FIELDS.items() if (value := getattr(prices, field, None)) is not None
    }


def dated(model: Any, today: str) -> list[list[Any]]:
    """`[["", prices], ["2027-01-01", prices]]`: those in force and those announced; nothing if they are no simple ones."""
    steps = model.prices if isinstance(model.prices, list) else None
    if steps is None:
        found = [("", model.prices)]
    elif any(type(step.constraint).__name__ == "TimeOfDateConstraint" for step in steps):
        return []
    else:
        found = sorted(
            (step.constraint.start_date.isoformat() if step.constraint else "", step.prices) for step in steps
        )
    if any(getattr(prices, "requests_kcount", None) is not None for _, prices in found):
        return []
    past = [item for item in found if item[0] <= today]
    kept = [[start, tokens(prices)] for start, prices in [*past[-1:], *found[len(past) :]]]
    return [step for step in kept if step[1]]


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def written(provider: dict[str, Any]) -> str:
    """One model a line, so that a new table shows in a diff what changed."""
    head = dump({**provider, "models": []}).removesuffix("]}")
    return head + "\n" + ",\n".join(dump(model) for model in provider["models"]) + "]}"


def main() -> None:
    package = distribution("genai-prices")
    snapshot = data_snapshot.get_snapshot()
    today = snapshot.timestamp.date().isoformat()
    providers = []
    for provider in snapshot.providers:
        models = []
        for model in provider.models:
            steps = dated(model, today)
            if steps or model.context_window:
                models.append([clause(model.match), steps, model.context_window])
        match = clause(provider.model_match) if provider.model_match else None
        also = provider.fallback_model_providers or []
        providers.append(
            {"id": provider.id, "api": provider.api_pattern, "match": match, "also": also, "models": models}
        )
    DATA.mkdir(exist_ok=True)
    text = f'{{"source": {dump("genai-prices " + package.version + " (MIT)")}, "date": {dump(today)}, "providers": [\n'
    text += ",\n".join(written(provider) for provider in providers) + "\n]}\n"
    (DATA / "prices.json").write_text(text, encoding="utf-8")
    licences = [file for file in package.files or () if file.name == "LICENSE"]
    shutil.copyfile(str(licences[0].locate()), DATA / "LICENSE")
    print(
        f"{sum(len(p['models']) for p in providers)} models of {len(providers)} providers, {today}, {len(text) // 1024} KB"
    )


if __name__ == "__main__":
    main()
