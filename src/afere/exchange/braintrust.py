"""Braintrust's events as JSON or JSON lines, as its API and its SQL list them: spans of logs and experiments, rows, prompts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadInput
from afere.base.span import Span
from afere.exchange.bringing import Bringing, Said, body_of, from_mustache, hex_id, model_call, role_of
from afere.exchange.jsonfile import records

_KINDS = {
    "llm": "llm", "tool": "tool", "eval": "chain", "task": "chain", "score": "judge", "classifier": "judge",
    "preprocessor": "step", "function": "step",
}  # fmt: skip
_READ = frozenset({
    "id", "span_id", "root_span_id", "span_parents", "span_attributes", "input", "output", "expected", "error", "scores",
    "metadata", "tags", "metrics", "created", "is_root", "comments", "context",
})  # fmt: skip
_OF_SERVICE = frozenset({  # what Braintrust adds, and what only means something there
    "_xact_id", "_pagination_key", "_async_scoring_state", "org_id", "project_id", "experiment_id", "log_id", "audit_data",
    "_is_merge", "_object_delete", "_parent_id", "dataset_record_id",
})  # fmt: skip
_CODE = {
    "caller_functionname": "code.function.name", "caller_filename": "code.file.path", "caller_lineno": "code.line.number",
}  # fmt: skip
_METRICS = frozenset({
    "start", "end", "prompt_tokens", "completion_tokens", "tokens", "prompt_cached_tokens", "completion_reasoning_tokens",
    "time_to_first_token", "estimated_cost",
})  # fmt: skip
_EXPECTED = "an event of a log or an experiment, a row or a prompt is expected"


def bring(place: str, into: Bringing) -> None:
    """`place`: a file with one event a line, a list, or an answer of the API (`events`, `data`, `objects`); or a folder of them."""
    rows: dict[tuple[str, str], list[Said]] = defaultdict(list)  # (dataset id, file) -> its rows
    prompts: list[tuple[str, Said]] = []
    inside = ("events", "data", "objects")
    for where, said in records(
        place, Bringing(into.session, into.source), inside=inside
    ):  # the second reading names problems
        if "prompt_data" in said:
            prompts.append((where, said))
    # before the events that used them, in the order of their versions
    for where, said in sorted(prompts, key=lambda one: str(one[1].get("_xact_id") or one[1].get("created"))):
        into.attempt(where, _EXPECTED, _prompt, said)
    slugs = {str(said.get("id")): _slug(said) for _, said in prompts}
    for where, said in records(place, into, inside=inside):
        if "prompt_data" in said:
            continue
        if said.get("dataset_id") and "span_attributes" not in said:
            rows[str(said["dataset_id"]), where.rpartition(":")[0]].append(said)
        else:
            into.attempt(where, _EXPECTED, partial(_event, slugs=slugs), said)
    for (_, file), found in rows.items():
        _dataset(Path(file).stem, found, into)


def _event(said: Said, into: Bringing, *, slugs: Mapping[str, str]) -> None:
    about, metrics = cast("Said", said.get("span_attributes") or {}), cast("Said", said.get("metrics") or {})
    metadata = cast("Said", said.get("metadata") or {})
    parents = cast("list[str]", said.get("span_parents") or [])
    begun = metrics.get("start")
    start = int(float(begun) * 1e9) if begun is not None else from_rfc3339(said["created"])
    kind = str(about.get("type"))
    span = Span(
        hex_id(str(said["root_span_id"]), 32), hex_id(str(said["span_id"]), 16), str(about.get("name") or kind), start,
        hex_id(parents[0], 16) if parents else None, _KINDS.get(kind, "step" if parents else "chain"),
        int(float(metrics["end"]) * 1e9) if metrics.get("end") is not None else None,
    )  # fmt: skip
    span.input, span.output = said.get("input"), said.get("output")
    if span.kind == "llm":
        span.model, span.provider = _text(metadata.get("model")), _text(metadata.get("provider"))
        span.input_tokens, span.output_tokens = _count(metrics, "prompt_tokens"), _count(metrics, "completion_tokens")
        span.cached_input_tokens = _count(metrics, "prompt_cached_tokens")
        span.reasoning_tokens = _count(metrics, "completion_reasoning_tokens")
        span.cost, span.first_token_seconds = metrics.get("estimated_cost"), metrics.get("time_to_first_token")
    span.user, span.session = _text(metadata.get("user_id")), _text(metadata.get("session_id"))
    span.attributes = {"scope.name": "braintrust"}
    for name, value in (("metadata", metadata), ("tags", said.get("tags"))):
        if value:
            span.attributes[f"braintrust.{name}"] = value
    context = cast("Said", said.get("context") or {})
    span.attributes.update((name, context[key]) for key, name in _CODE.items() if context.get(key) is not None)
    if said.get("error"):
        _fail(span, said["error"])
    used: Any = metadata.get("prompt")
    noted = [cast("Said", used)] if isinstance(used, dict) else []
    prompts = [(slugs.get(str(one.get("id")), ""), str(one.get("version"))) for one in noted]
    into.span(model_call(span), read=False, prompts=prompts)
    into.kept("event: name, type, times, input, output, metadata, tags, tokens, cost")
    if len(parents) > 1:
        into.lost("further parents of a span", "spans here know one parent", len(parents) - 1)
    _scores(said, span, into)
    for name in metrics.keys() - _METRICS:
        into.lost(f"metric {name}", "spans here have no such field")
    for name in said.keys() - _READ - _OF_SERVICE:
        if said[name] not in (None, {}, []):
            into.lost(f"event field {name}", "spans here have no such field")


def _scores(said: Said, span: Span, into: Bringing) -> None:
    target = f"{span.trace_id}/{span.span_id}" if span.parent_id else span.trace_id
    at = rfc3339(from_rfc3339(str(said["created"]))) if said.get("created") else rfc3339(span.end or span.start)
    scores = cast("Said", said.get("scores") or {})
    if span.kind == "judge":  # the scorer's own span repeats what stands on the one it scored
        into.changed("scores on a scorer's span", "kept once, on the span that was scored", len(scores))
        scores = {}
    for name, value in scores.items():
        if value is not None:
            into.score(target, name, value, "service:braintrust", key=f"{said['id']} {name} {value}", at=at)
            into.kept("score")
    if said.get("expected") is not None:
        value = said["expected"]
        plain = value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)
        into.score(target, "expected", plain, "service:braintrust", key=f"{said['id']} expected {plain}", at=at)
        into.changed("expected", "a score named expected, whose value is what was expected")
    for one in cast("list[Said]", said.get("comments") or []):
        text = cast("Said", one.get("comment") or {}).get("text")
        if text:
            when = rfc3339(from_rfc3339(str(one["created"]))) if one.get("created") else at
            into.score(target, "comment", str(text), "person:unknown", key=f"comment {one.get('id') or text}", at=when)
            into.kept("comment")


def _dataset(name: str, found: list[Said], into: Bringing) -> None:
    rows: list[dict[str, Json]] = []
    for one in found:
        row: dict[str, Json] = {"id": str(one.get("id")), "input": one.get("input"), "expected": one.get("expected")}
        if one.get("tags"):
            row["tags"] = one["tags"]
        if one.get("metadata"):
            row["metadata"] = one["metadata"]
        rows.append({key: value for key, value in row.items() if value is not None})
    if into.dataset(name, rows) is not None:
        into.kept("rows of datasets", len(rows))
        into.changed("name of a dataset", "that of its file: events know its id only")


def _prompt(said: Said, into: Bringing) -> None:
    data = cast("Said", said["prompt_data"])
    prompt, slug = cast("Said", data["prompt"]), _slug(said)
    if prompt["type"] == "chat":
        pairs = [_message(one) for one in cast("list[Said]", prompt["messages"])]
    else:
        pairs = [("user", from_mustache(str(prompt["content"])))]
    made = into.prompt(
        slug, body_of(pairs), at=rfc3339(from_rfc3339(said["created"])) if said.get("created") else None,
        why=str(said.get("description") or f"Braintrust version {said.get('_xact_id')}"), label=slug,
        version=said.get("_xact_id"),
    )  # fmt: skip
    if made is None:
        return
    into.kept("prompt text and date")
    if data.get("options"):
        into.lost("options of a prompt", "a model and its parameters belong to the component that uses the prompt")
    if prompt.get("tools"):
        into.lost("tools of a prompt", "an agent's tools are functions of its program")
    for name in ("tags", "metadata"):
        if said.get(name):
            into.lost(f"{name} of a prompt", "versions of prompts have none")


def _slug(said: Said) -> str:
    return str(said.get("slug") or said["name"])


def _message(said: Said) -> tuple[str, str]:
    role, content = role_of(said["role"]), said.get("content")
    if isinstance(content, list):
        parts = cast("list[Said]", content)
        if any(one.get("type") != "text" for one in parts):
            raise BadInput("a message has a part that is no text")
        content = "".join(str(one["text"]) for one in parts)
    return role, from_mustache(str(content or ""))


def _count(metrics: Said, name: str) -> int | None:
    return int(metrics[name]) if metrics.get(name) is not None else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _fail(span: Span, error: Any) -> None:
    """Braintrust's SDK writes the exception with its stack trace, in either order."""
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    span.status = "error"
    if "Traceback (most recent call last)" not in text:
        span.error = text.strip()
        return
    before = text.split("Traceback (most recent call last)", 1)[0].strip()
    span.error = before or text.strip().rpartition("\n")[2]
    span.events.append({
        "name": "exception", "at": rfc3339(span.end or span.start), "exception.stacktrace": text,
    })  # fmt: skip
