"""The baseline file: what an accepted experiment found, small and in git, so that a fresh machine can gate against it.

`evals/qa.baseline.json` has one line a case, sorted, so that a diff of it reads well. It holds scores, and the hashes of
what they were made with; no inputs and no outputs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import BadInput
from afere.base.rule import BUILTIN
from afere.base.score import Value
from afere.evals.results import Result, Results
from afere.store.files import whole_file

_HASH: Json = {"type": "string"}
SCHEMA: dict[str, Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "afere baseline",
    "type": "object",
    "required": ["baseline", "dataset", "scorers", "cases"],
    "properties": {
        "baseline": {"type": "string", "description": "the suite"},
        "experiment": {"type": "string"},
        "at": {"type": "string"},
        "target": {"anyOf": [{"type": "null"}, {"type": "array", "items": _HASH, "minItems": 2, "maxItems": 2}]},
        "dataset": {"type": "array", "items": _HASH, "minItems": 2, "maxItems": 2},
        "scorers": {"type": "object", "additionalProperties": _HASH},
        "gate": {"type": "array", "items": {"type": "string"}},
        "known": {
            "type": "array",
            "description": "accepted failures: no rule looks at these cases until the day named",
            "items": {
                "type": "object",
                "required": ["case", "why", "until"],
                "additionalProperties": False,
                "properties": {
                    "case": {"type": "string"},
                    "why": {"type": "string", "minLength": 1},
                    "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                    "by": {"type": "string"},
                    "at": {"type": "string"},
                },
            },
        },
        "cases": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["digest", "scores"],
                "properties": {
                    "digest": {"type": "string"},
                    "counts": {
                        "type": "array",
                        "items": {"type": "object"},
                        "description": "of measures of all cases together",
                    },
                    "scores": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "array",
                            "items": {"type": ["null", "boolean", "number", "string"]},
                        },
                    },
                },
            },
        },
    },
}


def text_of(
    results: Results, suite: str, gate: Iterable[str], compared: Collection[str], known: Sequence[Json] = ()
) -> str:
    """The file's text. Of the built-in measures only those in `compared` are kept: the others change with the machine."""
    names = [name for name in results.names if name not in BUILTIN or name in compared]
    cases: dict[str, dict[str, Any]] = {}
    for run in sorted(results.runs, key=lambda run: (run.row, run.repeat)):
        case = cases.setdefault(run.row, {"digest": run.digest, "scores": {}})
        scores = cast("dict[str, list[Json]]", case["scores"])
        for name in names:
            if name in run.scores:
                scores.setdefault(name, []).append(_rounded(run.scores[name][0]))
        if run.counts:
            case.setdefault("counts", []).append({name: [pool, dict(n)] for name, (pool, n) in run.counts.items()})
    head: dict[str, Json] = {
        "baseline": suite, "experiment": results.ref, "at": results.at,
        "target": list(results.target) if results.target else None, "dataset": list(results.dataset),
        "scorers": {name: results.scorers[name] for name in sorted(results.scorers) if name in names},
        "gate": list(gate), **({"known": list(known)} if known else {}),
    }  # fmt: skip
    return _formatted(head, cases)


def _formatted(head: Mapping[str, Json], cases: Mapping[str, dict[str, Json]]) -> str:
    """One line a field, an accepted failure and a case: a diff of it reads well."""
    fields = {key: _one_line(value) for key, value in head.items()}
    if known := head.get("known"):
        fields["known"] = "[\n" + ",\n".join(f"    {_one_line(one)}" for one in cast("list[Json]", known)) + "\n  ]"
    written = [f"  {json.dumps(key)}: {value}" for key, value in fields.items()]
    rows = [f"    {json.dumps(row, ensure_ascii=False)}: {_one_line(case)}" for row, case in sorted(cases.items())]
    body = "{\n" + ",\n".join(rows) + "\n  }" if rows else "{}"
    return "{\n" + ",\n".join([*written, f'  "cases": {body}']) + "\n}\n"


def with_known(file: Path, shown: str, known: Sequence[Json]) -> str:
    """The text of a baseline file with these accepted failures, and all else as it is. BadInput if it is damaged."""
    said = _read(file, shown)
    head = {key: value for key, value in said.items() if key not in ("cases", "known")} | {"known": list(known)}
    return _formatted(head, cast("dict[str, dict[str, Json]]", said["cases"]))


def known_in(file: Path, shown: str) -> list[dict[str, str]]:
    """The accepted failures that a baseline file lists; none where there is no file."""
    if not file.exists():
        return []
    return cast("list[dict[str, str]]", _read(file, shown).get("known") or [])


def _one_line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _rounded(value: Value) -> Value:
    """Nine digits: no noise of the last bits in a file that people read."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def write(file: Path, text: str) -> None:
    """Replace the file whole or not at all."""
    with whole_file(file, mode=0o644) as stream:
        stream.write(text.encode())


def _read(file: Path, shown: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        problem = schema_problem(said, SCHEMA)
    except (ValueError, OSError) as wrong:
        problem = str(wrong)
    if problem:
        raise BadInput(
            f"{shown}: this is no baseline file: {problem}. Restore it from git, or: afere accept EXPERIMENT"
        )
    return said


def read(file: Path, shown: str) -> tuple[Results, tuple[str, ...]] | None:
    """The results and rules in a baseline file, named `shown` in messages; None if there is none. BadInput if it is damaged."""
    if not file.exists():
        return None
    said = _read(file, shown)
    runs: list[Result] = []
    for row, case in cast("dict[str, dict[str, Json]]", said["cases"]).items():
        scores = cast("dict[str, list[Value]]", case["scores"])
        for i in range(max((len(values) for values in scores.values()), default=0)):
            found = {name: (values[i], "") for name, values in scores.items() if i < len(values)}
            counts = cast("list[dict[str, Any]]", case.get("counts") or [])
            runs.append(Result(row, str(case["digest"]), i + 1, found, counts=counts[i] if i < len(counts) else {}))
    target = cast("list[str] | None", said.get("target"))
    results = Results(
        shown, str(said.get("at", "")), (target[0], target[1]) if target else None, tuple(said["dataset"]),
        {name: str(hash_) for name, hash_ in said["scorers"].items()}, runs=tuple(runs),
    )  # fmt: skip
    return results, tuple(str(rule) for rule in said.get("gate", ()))
