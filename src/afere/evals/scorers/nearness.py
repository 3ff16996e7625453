"""How near an output is to what was expected, letter by letter and value by value."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable
from typing import Any, Literal, cast

from afere.base.canonical import Json, canonical
from afere.base.errors import BadInput, MissingExtra
from afere.base.score import Score
from afere.evals.scorers.declare import scorer
from afere.evals.scorers.text import as_text

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?%?")


@scorer(within=(0, 1))
def fuzzy(
    output: Json, expected: Json, *, how: Literal["ratio", "partial", "words", "word_set"] = "ratio",
    ignore_case: bool = False,
) -> float:  # fmt: skip
    """How alike two texts are, 0 to 1 (rapidfuzz); of a list of expected texts, the best.

    `ratio` compares whole texts, `partial` the best stretch, `words` without regard to order, `word_set` also to repetition.

    >>> round(score("fuzzy", "the colour", "the color").value, 2)
    0.95
    """
    fuzz = _rapidfuzz("fuzz")
    ways: dict[str, Callable[..., float]] = {
        "ratio": fuzz.ratio, "partial": fuzz.partial_ratio, "words": fuzz.token_sort_ratio, "word_set": fuzz.token_set_ratio,
    }  # fmt: skip
    said, others = _texts(output, expected, ignore_case)
    return max(ways[how](said, other) for other in others) / 100


@scorer(better="lower", within=(0, math.inf))
def levenshtein(output: Json, expected: Json, *, share: bool = False, ignore_case: bool = False) -> float:
    """Edit distance: how many letters to insert, delete or replace (Levenshtein 1966); lower is better.

    `share` divides by the longer text's length, 0 to 1. Of a list of expected texts, the nearest.

    >>> score("levenshtein", "kitten", "sitting").value
    3
    """
    distance = _rapidfuzz("distance").Levenshtein
    measured = distance.normalized_distance if share else distance.distance
    said, others = _texts(output, expected, ignore_case)
    return min(measured(said, other) for other in others)


def _texts(output: Json, expected: Json, ignore_case: bool) -> tuple[str, list[str]]:
    said, others = as_text(output), [as_text(one) for one in (expected if isinstance(expected, list) else [expected])]
    if not others:
        raise BadInput("the list of expected texts is empty")
    return (said.casefold(), [one.casefold() for one in others]) if ignore_case else (said, others)


def _rapidfuzz(part: str) -> Any:
    try:
        return importlib.import_module(f"rapidfuzz.{part}")
    except ImportError:
        raise MissingExtra("metrics", "Fuzzy matching and edit distance") from None


@scorer(within=(0, 1))
def numeric(output: Json, expected: Json, *, absolute: float = 0.0, relative: float = 1e-9) -> Score:
    """Whether the output's number is the expected one, within `absolute` or `relative` (a share of the expected).

    Of a text the last number in it counts: `1,234.5`, `1e3` and `12%` are read.

    >>> score({"name": "near", "kind": "numeric", "absolute": 0.5}, "So it is 12.3 days.", 12).value
    True
    """
    said, wanted = _number(output), _number(expected)
    if wanted is None:
        return Score("case", "numeric", None, "scorer:numeric", "the row's expected holds no number")
    if said is None:
        return Score("case", "numeric", False, "scorer:numeric", "the output holds no number")
    away = abs(said - wanted)
    within = away <= max(absolute, relative * abs(wanted))
    return Score("case", "numeric", within, "scorer:numeric", "" if within else f"{said:g} is {away:g} away")


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    found = [text for text in _NUMBER.findall(value) if any(c.isdigit() for c in text)]
    if not found:
        return None
    number = float(found[-1].rstrip("%").replace(",", ""))
    number = number / 100 if found[-1].endswith("%") else number
    return number if math.isfinite(number) else None


@scorer(within=(0, 1))
def json_fields(
    output: Json, expected: Json, *, fields: list[str] | None = None, ignore_case: bool = False
) -> dict[str, Json]:
    """Of the expected object's fields, the share that the output has right; and whether each is (`NAME.FIELD`).

    `fields` names those that count (default: all expected ones). More fields in the output do not matter.

    >>> found = scores("json_fields", '{"city": "Paris", "year": 1999}', {"city": "Paris", "year": 2000})
    >>> {name: one.value for name, one in found.items()}
    {'json_fields': 0.5, 'json_fields.city': True, 'json_fields.year': False}
    """
    said = _parsed(output)
    if not isinstance(expected, dict):
        raise BadInput("json_fields needs a row whose expected is an object")
    names = fields if fields is not None else list(expected)
    if not names:
        raise BadInput("json_fields has no field to compare")
    held = said if isinstance(said, dict) else {}
    right = {name: name in held and _same(held[name], cast("Json", expected.get(name)), ignore_case) for name in names}
    return {"": sum(right.values()) / len(right), **right}


@scorer(within=(0, 1))
def valid_json(output: Json) -> Score:
    """Whether the output is JSON (a value that is no text already is). See `json_schema` to ask for a shape.

    >>> score("valid_json", '{"a": 1,}').value
    False
    """
    if isinstance(output, str):
        try:
            json.loads(output)
        except ValueError as problem:
            return Score("case", "valid_json", False, "scorer:valid_json", f"the output is not JSON: {problem}")
    return Score("case", "valid_json", True, "scorer:valid_json")


@scorer(within=(0, 1))
def json_equal(output: Json, expected: Json) -> bool:
    """Whether output and expected are the same JSON, whatever the order of keys and the layout.

    >>> score("json_equal", '{"b": [1, 2], "a": 1.0}', {"a": 1, "b": [1, 2]}).value
    True
    """
    return canonical(_parsed(output)) == canonical(_parsed(expected))


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _same(a: Json, b: Json, ignore_case: bool) -> bool:
    if ignore_case and isinstance(a, str) and isinstance(b, str):
        return a.strip().casefold() == b.strip().casefold()
    return canonical(a) == canonical(b)
