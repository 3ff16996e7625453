"""Scorers that compare an output with what was expected, without a model (but for `similarity`, which embeds)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from typing import cast

from afere.base.canonical import Json, canonical
from afere.base.document import schema_problem
from afere.base.errors import BadInput
from afere.base.project import find_project
from afere.base.score import Score
from afere.evals.scorers.declare import scorer


def as_text(value: Json) -> str:
    """Text as it is; anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@scorer(within=(0, 1))
def exact(output: Json, expected: Json, *, ignore_case: bool = False) -> bool:
    """Whether the output is the expected value. Space around text does not count; JSON values compare as JSON."""
    if isinstance(output, str) and isinstance(expected, str):
        a, b = output.strip(), expected.strip()
        return a.casefold() == b.casefold() if ignore_case else a == b
    return canonical(output) == canonical(expected)


@scorer(within=(0, 1))
def contains(output: Json, row: object, *, text: str | list[str] | None = None, ignore_case: bool = False) -> object:
    """Whether the output contains `text` (default: the row's expected); of a list, all."""
    wanted = text if text is not None else cast("Json", getattr(row, "expected", None))
    if wanted is None:
        return _unknown("contains", "the row has no expected")
    said = as_text(output)
    pieces = [as_text(piece) for piece in (wanted if isinstance(wanted, list) else [wanted])]
    missing = [p for p in pieces if (p.casefold() not in said.casefold() if ignore_case else p not in said)]
    return _said("contains", not missing, f"missing: {missing[0]}" if missing else "")


@scorer(within=(0, 1))
def regex(output: Json, row: object, *, pattern: str | None = None, ignore_case: bool = False) -> object:
    """Whether the pattern (default: the row's expected) is found somewhere in the output."""
    wanted = pattern if pattern is not None else cast("Json", getattr(row, "expected", None))
    if wanted is None:
        return _unknown("regex", "the row has no expected, and the scorer no pattern")
    return re.search(as_text(wanted), as_text(output), re.IGNORECASE if ignore_case else 0) is not None


@scorer(within=(0, 1))
def json_schema(output: Json, *, schema: dict[str, Json] | str | None = None) -> object:
    """Whether the output is JSON that fits the schema (an object, or a file of the project)."""
    if isinstance(schema, str):
        file = find_project().path(schema)
        try:
            schema = cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))
        except ValueError as problem:
            raise BadInput(f"{file}: not JSON: {problem}") from None
    value = output
    if isinstance(output, str):
        try:
            value = json.loads(output)
        except ValueError as problem:
            return _said("json_schema", False, f"the output is not JSON: {problem}")
    problem = schema_problem(value, schema) if schema is not None else None
    return _said("json_schema", problem is None, problem or "")


@scorer(within=(0, 1))
def f1(output: Json, expected: Json) -> float:
    """Overlap of words between output and expected: the token F1 of SQuAD (Rajpurkar et al. 2016). Of a list, the best."""
    answers = expected if isinstance(expected, list) else [expected]
    return max((_f1(_words(as_text(output)), _words(as_text(answer))) for answer in answers), default=0.0)


def _words(text: str) -> list[str]:
    """Lower case, without punctuation and the English articles, as SQuAD's script does."""
    kept = "".join(c for c in text.casefold() if not unicodedata.category(c).startswith("P"))
    return [word for word in kept.split() if word not in ("a", "an", "the")]


def _f1(said: list[str], wanted: list[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


@scorer(within=(-1, 1))
def similarity(output: Json, row: object, input: Json, *, to: str = "expected", model: str = "local") -> object:
    """Cosine of the embeddings of the output and of `to`: `expected` or `input`. 1 is the same meaning, 0 none in common."""
    if to not in ("expected", "input"):
        raise BadInput(f"similarity to {to!r}: write to: expected, or to: input.")
    other = cast("Json", getattr(row, "expected", None)) if to == "expected" else input
    if other is None:
        return _unknown("similarity", "the row has no expected")
    from afere.models import embedder

    a, b = embedder(model)([as_text(output), as_text(other)])
    return max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True))))  # rounding may lead out of it


def _said(name: str, value: bool, why: str) -> Score:
    return Score("case", name, value, "scorer:" + name, why)


def _unknown(name: str, why: str) -> Score:
    return Score("case", name, None, "scorer:" + name, why)
