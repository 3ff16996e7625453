"""Promptfoo's results: promptfoo.db (in ~/.promptfoo), or files that `promptfoo eval -o FILE.json` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import AfereError
from afere.base.span import Span
from afere.exchange.bringing import ROLES, Bringing, Said, body_of, hex_id, legal, model_call
from afere.exchange.jsonfile import records
from afere.exchange.sqlitefile import opened, plain

_DATABASE = "promptfoo.db"
_JUDGES = (
    "llm-rubric",
    "model-graded",
    "g-eval",
    "factuality",
    "answer-relevance",
    "context-",
    "similar",
    "select-best",
)
_EXPECTED = "a file of results is expected, as `promptfoo eval -o FILE.json` writes them"
_ERROR = 2  # ResultFailureReason: an error, not an assertion that failed


def bring(place: str, into: Bringing) -> None:
    """`place`: promptfoo.db, a folder that holds it, a file of results, or a folder of them."""
    root = Path(place)
    file = root / _DATABASE if root.is_dir() and (root / _DATABASE).is_file() else root
    if file.is_file() and file.suffix != ".json":
        with opened(str(file), into, "promptfoo") as tables:
            tables.require("evals", "eval_results")
            _database(list(tables.rows("evals", "created_at")), tables.rows("eval_results", "created_at, rowid"), into)
        return
    for where, said in records(place, into):
        into.attempt(where, _EXPECTED, _file, said)


def _file(said: Said, into: Bringing) -> None:
    results, config = cast("Said", said["results"]), cast("Said", said.get("config") or {})
    at = from_rfc3339(str(results["timestamp"]))
    title = str(config.get("description") or "promptfoo")
    _prompts(title, cast("list[Said]", results.get("prompts") or []), at, into)
    found = cast("list[Said]", results["results"])
    for one in found:
        into.attempt(
            f"result {one.get('id')}", "a result of promptfoo is expected", partial(_result, title=title, at=at), one
        )
    _rows(title, found, into)


def _database(evals: list[dict[str, Any]], results: Iterator[dict[str, Any]], into: Bringing) -> None:
    of: dict[str, list[Said]] = {}
    for row in results:
        said: Said = {
            "id": row["id"], "testIdx": row["test_idx"], "latencyMs": row.get("latency_ms"), "cost": row.get("cost"),
            "error": row.get("error"), "success": bool(row["success"]), "failureReason": row.get("failure_reason"),
            "at": _moment(row["created_at"]),
            **{
                name: plain(row.get(column)) for name, column in (
                    ("prompt", "prompt"), ("provider", "provider"), ("response", "response"), ("testCase", "test_case"),
                    ("gradingResult", "grading_result"), ("metadata", "metadata"),
                )
            },
        }  # fmt: skip
        of.setdefault(str(row["eval_id"]), []).append(said)
    for row in evals:
        title, at = str(row.get("description") or "promptfoo"), _moment(row["created_at"])
        found = of.get(str(row["id"]), [])
        prompts = plain(row.get("prompts"))
        _prompts(title, cast("list[Said]", prompts) if isinstance(prompts, list) else [], at, into)
        for one in found:
            into.attempt(
                f"result {one.get('id')}",
                "a result of promptfoo is expected",
                partial(_result, title=title, at=int(one["at"])),
                one,
            )
        _rows(title, found, into)


def _prompts(title: str, prompts: list[Said], at: int, into: Bringing) -> None:
    """Each prompt once, however many providers answered it. Its Nunjucks is read as our templates, which are alike."""
    seen: set[str] = set()
    for number, one in enumerate(prompts, 1):
        raw, label = str(one["raw"]), str(one.get("label") or "")
        if raw in seen:
            continue
        seen.add(raw)
        name = label if label and label != raw and len(label) <= 60 else f"{title}-{number}"
        with suppress(ValueError):
            parsed = json.loads(raw)
            if isinstance(parsed, list):
                raw = _chat(cast("list[Any]", parsed)) or raw
        if into.prompt(name, raw, at=rfc3339(at), why=f"promptfoo: {title}", label=name) is not None:
            into.kept("prompt text and date")


def _chat(said: list[Any]) -> str | None:
    pairs: list[tuple[str, str]] = []
    for one in cast("list[Said]", said):
        role, text = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)  # pyright: ignore[reportUnnecessaryIsInstance]
        if role not in ROLES or not isinstance(text, str):
            return None
        pairs.append((str(role), text))
    return body_of(pairs)


def _result(said: Said, into: Bringing, *, title: str, at: int) -> None:
    """One answer of one prompt by one provider in one test: a trace of one span, with its scores."""
    response, provider = _part(said, "response"), _part(said, "provider")
    tokens = _part(response, "tokenUsage")
    model = str(provider.get("label") or provider.get("id"))
    id_ = str(said["id"])
    span = Span(
        hex_id(id_, 32), hex_id(f"result {id_}", 16), title, at, None, "llm", at + int(float(said.get("latencyMs") or 0) * 1e6),
    )  # fmt: skip
    span.model, span.environment = model, "evaluation"
    span.input, span.output = _read(said["prompt"]["raw"]), response.get("output")
    span.input_tokens, span.output_tokens, span.cost = (
        tokens.get("prompt"),
        tokens.get("completion"),
        said.get("cost"),
    )
    span.attributes = {
        "scope.name": "promptfoo",
        "promptfoo.vars": cast("Json", _part(said, "testCase").get("vars")),
    }
    if said.get("failureReason") == _ERROR:
        span.status, span.error = "error", str(said.get("error") or "")
    into.span(model_call(span), read=False)
    into.kept("result: prompt, output, provider, tokens, cost, latency")
    _scores(said, span, into)


def _scores(said: Said, span: Span, into: Bringing) -> None:
    if span.status == "error":
        into.lost("verdict of a result that failed", "an error is no score")
        return
    at = rfc3339(span.end or span.start)
    into.score(span.trace_id, "passed", bool(said["success"]), "scorer:promptfoo", key=f"{said['id']} passed", at=at)
    into.kept("verdict")
    for number, one in enumerate(cast("list[Said]", _part(said, "gradingResult").get("componentResults") or [])):
        assertion = _part(one, "assertion")
        kind = str(assertion.get("type") or "assertion")
        judged = any(word in kind for word in _JUDGES)
        into.score(
            span.trace_id, str(assertion.get("metric") or kind), float(one["score"]),
            f"{'judge' if judged else 'scorer'}:promptfoo", key=f"{said['id']} {number}", at=at, why=str(one.get("reason") or ""),
        )  # fmt: skip
        into.kept("score of an assertion")


def _rows(title: str, results: list[Said], into: Bringing) -> None:
    """The tests as rows of a dataset: their vars, and what `equals` wants."""
    tests: dict[int, Said] = {}
    for one in results:
        if isinstance(one.get("testCase"), dict):
            tests.setdefault(int(one.get("testIdx") or 0), cast("Said", one["testCase"]))
    rows: list[dict[str, Any]] = []
    for number, test in sorted(tests.items()):
        asserted = cast("list[Said]", test.get("assert") or [])
        expected = [one.get("value") for one in asserted if one.get("type") == "equals"]
        row: dict[str, Any] = {"id": f"test-{number}", "input": test.get("vars") or {}}
        if len(expected) == 1:
            row["expected"] = expected[0]
            into.changed("assertion equals", "as what is expected of its row")
        if test.get("metadata"):
            row["metadata"] = test["metadata"]
        if len(asserted) > len(expected):
            into.lost(
                "assertion of a test",
                "its scores are kept; to run it: afere eval promptfooconfig.yaml",
                len(asserted) - len(expected),
            )
        rows.append(row)
    if not rows:
        return
    with suppress(AfereError):
        if into.dataset(legal(title), rows) is not None:
            into.kept("vars of tests, as rows of a dataset", len(rows))


def _moment(value: object) -> int:
    """Nanoseconds: the file has milliseconds in some rows, and SQLite's own text in others."""
    text = str(value)
    return int(text) * 10**6 if text.isdecimal() else from_rfc3339(text)


def _part(said: Said, name: str) -> Said:
    value = said.get(name)
    return cast("Said", value) if isinstance(value, dict) else {}


def _read(raw: object) -> Json:
    """A prompt that was sent as JSON messages, read; a text as it is."""
    if isinstance(raw, str) and raw.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(raw)
    return cast("Json", raw)
