"""Which scorer a name, or an entry of a suite, means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.extension import load
from afere.evals.scorers.declare import Judging, Scorer

SCORERS: dict[str, str] = {
    "exact": "afere.evals.scorers.text:exact",
    "contains": "afere.evals.scorers.text:contains",
    "regex": "afere.evals.scorers.text:regex",
    "json_schema": "afere.evals.scorers.text:json_schema",
    "json-schema": "afere.evals.scorers.text:json_schema",
    "f1": "afere.evals.scorers.text:f1",
    "similarity": "afere.evals.scorers.text:similarity",
    "recall": "afere.evals.scorers.retrieval:recall",
    "hit": "afere.evals.scorers.retrieval:hit",
    "mrr": "afere.evals.scorers.retrieval:mrr",
    "ndcg": "afere.evals.scorers.retrieval:ndcg",
    "judge": "afere.evals.judge:judge",
    "faithful": "afere.evals.judge:FAITHFUL",
    "correct": "afere.evals.judge:CORRECT",
    "helpful": "afere.evals.judge:HELPFUL",
    "human": "afere.evals.scorers.people:human",
}


def named(entry: object) -> Judging:
    """A scorer from its name (`exact`, `app:cites`), an entry of a suite (`{name: found, kind: recall, k: 4, of: search}`),
    a function, or itself. NotFound names the nearest; BadInput says which option does not fit.
    """
    if isinstance(entry, str):
        return _made(load("scorer", entry, builtin=SCORERS), {}, entry)
    if isinstance(entry, Mapping):
        options = dict(cast("Mapping[str, Json]", entry))
        kind = options.pop("kind", None) or options.get("name")
        if not isinstance(kind, str):
            raise BadInput(
                f"A scorer entry needs a kind, such as {{name: close, kind: similarity}}; this is {entry!r}."
            )
        return _made(load("scorer", kind, builtin=SCORERS), options, kind)
    return _made(entry, {}, repr(entry))


def _made(found: object, options: dict[str, Json], said: str) -> Judging:
    if found is _judge_function():
        return _judge(options)
    if isinstance(found, Scorer):
        if not options:
            return found
        name, of = options.pop("name", None), options.pop("of", None)
        return found.configured(name=str(name) if name else None, of=str(of) if of else None, options=options)
    if hasattr(found, "score") and hasattr(found, "content"):
        judge = cast("Any", found)
        return cast("Judging", judge.configured(options) if options else judge)
    if callable(found):
        return _made(Scorer(cast("Callable[..., Any]", found)), options, said)
    raise BadInput(f"{said} is a {type(found).__name__}, not a scorer: give a function, a name or afere.judge(...).")


def _judge_function() -> object:
    from afere.evals.judge import judge

    return judge


def _judge(options: dict[str, Json]) -> Judging:
    from afere.evals.judge import judge_entry

    return judge_entry(options)
