"""Which scorer a name, or an entry of a suite, means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import BadInput
from afere.base.extension import load
from afere.evals.scorers.case import TURN
from afere.evals.scorers.declare import WANTED, Judging, Scorer

_HERE = "afere.evals.scorers"
_JUDGES = "afere.evals.judge"

# What the field calls them; several names for one are all good, and each is then the measure's name.
SCORERS: dict[str, str] = {
    "exact": f"{_HERE}.text:exact",
    "contains": f"{_HERE}.text:contains",
    "regex": f"{_HERE}.text:regex",
    "json_schema": f"{_HERE}.text:json_schema",
    "json-schema": f"{_HERE}.text:json_schema",
    "f1": f"{_HERE}.text:f1",
    "token_f1": f"{_HERE}.text:f1",
    "similarity": f"{_HERE}.text:similarity",
    "embedding_similarity": f"{_HERE}.text:similarity",
    "fuzzy": f"{_HERE}.nearness:fuzzy",
    "levenshtein": f"{_HERE}.nearness:levenshtein",
    "edit_distance": f"{_HERE}.nearness:levenshtein",
    "numeric": f"{_HERE}.nearness:numeric",
    "valid_json": f"{_HERE}.nearness:valid_json",
    "json_equal": f"{_HERE}.nearness:json_equal",
    "json_fields": f"{_HERE}.nearness:json_fields",
    "bleu": f"{_HERE}.overlap:bleu",
    "chrf": f"{_HERE}.overlap:chrf",
    "rouge1": f"{_HERE}.overlap:rouge1",
    "rouge2": f"{_HERE}.overlap:rouge2",
    "rouge_l": f"{_HERE}.overlap:rouge_l",
    "rougel": f"{_HERE}.overlap:rouge_l",
    "classification": f"{_HERE}.classify:classification",
    "recall": f"{_HERE}.retrieval:recall",
    "recall_at_k": f"{_HERE}.retrieval:recall",
    "precision": f"{_HERE}.retrieval:precision",
    "precision_at_k": f"{_HERE}.retrieval:precision",
    "hit": f"{_HERE}.retrieval:hit",
    "hit_rate": f"{_HERE}.retrieval:hit",
    "mrr": f"{_HERE}.retrieval:mrr",
    "ndcg": f"{_HERE}.retrieval:ndcg",
    "map": f"{_HERE}.retrieval:average_precision",
    "context_precision": f"{_HERE}.retrieval:context_precision",
    "tool_calls": f"{_HERE}.tools:tool_calls",
    "trajectory": f"{_HERE}.tools:trajectory",
    "latency": f"{_HERE}.runs:latency",
    "first_token": f"{_HERE}.runs:first_token",
    "spent": f"{_HERE}.runs:spent",
    "tokens": f"{_HERE}.runs:tokens",
    "steps": f"{_HERE}.runs:steps",
    "length": f"{_HERE}.wording:length",
    "readability": f"{_HERE}.wording:readability",
    "language": f"{_HERE}.wording:language",
    "pii": f"{_HERE}.wording:pii",
    "secrets": f"{_HERE}.wording:secrets",
    "refusal": f"{_HERE}.wording:refusal",
    "judge": f"{_JUDGES}:JUDGE",
    "panel": f"{_JUDGES}:PANEL",
    "cascade": f"{_JUDGES}:CASCADE",
    "pairwise": f"{_JUDGES}:PAIRWISE",
    "faithful": f"{_JUDGES}:FAITHFUL",
    "groundedness": f"{_JUDGES}:FAITHFUL",
    "faithfulness": f"{_JUDGES}:FAITHFUL",
    "correct": f"{_JUDGES}:CORRECT",
    "helpful": f"{_JUDGES}:HELPFUL",
    "relevant": f"{_JUDGES}:RELEVANT",
    "answer_relevance": f"{_JUDGES}:RELEVANT",
    "context_recall": f"{_JUDGES}:CONTEXT_RECALL",
    "concise": f"{_JUDGES}:CONCISE",
    "harmless": f"{_JUDGES}:HARMLESS",
    "human": f"{_HERE}.people:human",
}


def named(entry: object) -> Judging:
    """A scorer from its name (`exact`, `app:cites`), an entry of a suite (`{name: found, kind: recall, k: 4, of: search}`),
    a function, or itself. NotFound names the nearest; BadInput says which option does not fit.
    """
    if isinstance(entry, str):
        options: dict[str, Json] = {"name": entry} if entry in SCORERS else {}
        return _made(load("scorer", entry, builtin=SCORERS), options, entry)
    if isinstance(entry, Mapping):
        options = dict(cast("Mapping[str, Json]", entry))
        kind = options.pop("kind", None) or options.get("name")
        if not isinstance(kind, str):
            raise BadInput(
                f"A scorer entry needs a kind, such as {{name: close, kind: similarity}}; this is {entry!r}."
            )
        if ":" not in kind or "name" in options:
            options["name"] = _turned(str(options.get("name") or kind), options.get("of"))
        return _made(load("scorer", kind, builtin=SCORERS), options, kind)
    return _made(entry, {}, repr(entry))


def _turned(name: str, of: Json) -> str:
    """Scores of the turns of a conversation are called `turn.NAME`."""
    return f"{TURN}.{name}" if of == TURN and not name.startswith(f"{TURN}.") else name


def _made(found: object, options: dict[str, Json], said: str) -> Judging:
    entry = getattr(found, "entry", None)  # a kind of judge is made from what the suite says of it
    if callable(entry):
        return cast("Judging", entry(options))
    if isinstance(found, Scorer):
        name, of = options.pop("name", None), options.pop("of", None)
        if not options and of is None and name in (None, found.name):
            return found
        made = found.configured(name=str(name) if name else None, of=str(of) if of else None, options=options)
        _check(made, options)
        return made
    if hasattr(found, "score") and hasattr(found, "content"):
        judge = cast("Any", found)
        return cast("Judging", judge.configured(options) if options and options != {"name": judge.name} else judge)
    if callable(found):
        return _made(Scorer(cast("Callable[..., Any]", found)), options, said)
    raise BadInput(f"{said} is a {type(found).__name__}, not a scorer: give a function, a name or afere.judge(...).")


def _check(scorer: Scorer, options: Mapping[str, Json]) -> None:
    """BadInput where an option is not of the type that the function says, before anything runs."""
    schemas = schema_of_options(scorer)
    for name, value in options.items():
        if schema_problem(value, schemas.get(name, {})) is not None:
            wanted = in_words(schemas[name])
            raise BadInput(f"scorer {scorer.name!r}: option {name} is {json.dumps(value)}; it must be {wanted}.")


def schema_of_options(scorer: Scorer) -> dict[str, dict[str, Json]]:
    """The JSON Schema of each option, from the function's type hints; of a type that has none: anything."""
    from afere.chains.schema import hints, schema_of

    try:
        known = hints(scorer.function)
    except BadInput:
        return {}
    found: dict[str, dict[str, Json]] = {}
    for name, hint in known.items():
        if name not in WANTED:
            try:
                found[name] = schema_of(hint, name)
            except BadInput:
                found[name] = {}
    return found


_WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip


def in_words(schema: Mapping[str, Any]) -> str:
    """A simple schema as people say it: `a whole number`, `exact or subset`."""
    if "enum" in schema:
        return " or ".join(str(word) for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(in_words(one) for one in schema["anyOf"] if one.get("type") != "null")
    return _WORDS.get(str(schema.get("type")), "any value")
