"""Opik's exports, as `opik export` writes them: a folder of JSON files, one a trace, a dataset, a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadInput
from afere.base.span import Span
from afere.exchange.bringing import Bringing, Said, body_of, from_jinja, from_mustache, hex_id, model_call, role_of
from afere.exchange.jsonfile import records

_KINDS = {"general": "step", "tool": "tool", "llm": "llm", "guardrail": "guard"}
_WHO = {"ui": "person", "online_scoring": "judge"}
# what providers call tokens that a cache answered, and those of reasoning, in the order they are looked for
_CACHED = (
    "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens", "cache_read_input_tokens", "cacheReadInputTokens",
    "cached_content_token_count",
)  # fmt: skip
_REASONING = (
    "completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens", "thoughts_token_count",
)  # fmt: skip
_READ = frozenset({
    "id", "trace_id", "parent_span_id", "name", "type", "start_time", "end_time", "input", "output", "metadata", "model",
    "provider", "tags", "usage", "error_info", "feedback_scores", "comments", "total_estimated_cost", "thread_id",
    "environment", "ttft",
})  # fmt: skip
_OF_SERVICE = frozenset({  # what Opik adds, and what follows from what is kept
    "project_id", "project_name", "created_at", "created_by", "last_updated_at", "last_updated_by", "duration", "span_count",
    "llm_span_count", "has_tool_spans", "providers", "span_feedback_scores", "total_estimated_cost_version", "source",
    "visibility_mode", "annotation_queues",
})  # fmt: skip
_EXPECTED = "a file of `opik export` is expected: of a trace, a dataset, a prompt or an experiment"


def bring(place: str, into: Bringing) -> None:
    """`place`: the folder that `opik export` wrote, or one of its JSON files."""
    for where, said in records(place, into):
        into.attempt(where, _EXPECTED, _record, said)


def _record(said: Said, into: Bringing) -> None:
    if "trace" in said and "spans" in said:
        _trace(said, into)
    elif "current_version" in said:
        _prompt(said, into)
    elif "experiment" in said and "items" in said:
        into.lost("experiment", "afere keeps experiments of its own; the traces and their scores are brought")
    elif "items" in said:
        _dataset(said, into)
    elif said.keys() != {"id", "name"}:  # what names a project's folder
        raise BadInput(f"it is none of what is known; {_EXPECTED}")


def _trace(said: Said, into: Bringing) -> None:
    """The trace is a span of its own, above those that have no parent."""
    trace = cast("Said", said["trace"])
    id_ = hex_id(str(trace["id"]), 32)
    top = hex_id(f"trace {trace['id']}", 16)
    project = {"resource.service.name": str(said["project_name"])} if said.get("project_name") else {}
    _keep({**trace, "usage": None, "total_estimated_cost": None}, Span(
        id_, top, str(trace.get("name") or "trace"), from_rfc3339(trace["start_time"]), None, "chain",
    ), project, into)  # fmt: skip
    into.changed("trace", "as the span above its spans")
    for one in cast("list[Said]", said["spans"]):
        try:
            parent = one.get("parent_span_id")
            _keep(one, Span(
                id_, hex_id(str(one["id"]), 16), str(one.get("name") or "span"), from_rfc3339(one["start_time"]),
                hex_id(str(parent), 16) if parent else top, _KINDS.get(str(one.get("type")), "step"),
            ), project, into)  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            into.problem(f"trace {trace['id']}", f"a span cannot be read: {problem}")


def _keep(said: Said, span: Span, project: Mapping[str, Json], into: Bringing) -> None:
    usage, failed = cast("Said", said.get("usage") or {}), cast("Said", said.get("error_info") or {})
    if end := said.get("end_time"):
        span.end = from_rfc3339(end)
    elif said.get("duration") is not None:
        span.end = span.start + int(float(said["duration"]) * 1e6)
    span.input, span.output = said.get("input"), said.get("output")
    span.model, span.provider = said.get("model"), said.get("provider")
    span.cost, span.session, span.environment = (
        said.get("total_estimated_cost"), said.get("thread_id"), said.get("environment"),
    )  # fmt: skip
    span.input_tokens, span.output_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    span.cached_input_tokens, span.reasoning_tokens = _first(usage, _CACHED), _first(usage, _REASONING)
    if said.get("ttft") is not None:
        span.first_token_seconds = float(said["ttft"]) / 1000
    span.attributes = {**project, "scope.name": "opik"}
    for name in ("metadata", "tags"):
        if said.get(name):
            span.attributes[f"opik.{name}"] = said[name]
    if failed:
        span.status, span.error = "error", f"{failed.get('exception_type')}: {failed.get('message') or ''}".strip(": ")
        if failed.get("traceback"):
            span.events.append({
                "name": "exception", "at": rfc3339(span.end or span.start), "exception.stacktrace": str(failed["traceback"]),
            })  # fmt: skip
    into.span(model_call(span), read=False, prompts=_used(said.get("metadata")))
    into.kept("span: name, type, times, input, output, metadata, tags, model, tokens, cost")
    target = span.trace_id if span.kind == "chain" and not span.parent_id else f"{span.trace_id}/{span.span_id}"
    for one in cast("list[Said]", said.get("feedback_scores") or []):
        _scores(one, target, into)
    for one in cast("list[Said]", said.get("comments") or []):
        at = rfc3339(from_rfc3339(one.get("last_updated_at") or one["created_at"]))
        into.score(
            target, "comment", str(one["text"]), f"person:{one.get('created_by') or 'unknown'}",
            key=f"comment {one.get('id') or at}", at=at,
        )  # fmt: skip
        into.kept("comment")
    for name in said.keys() - _READ - _OF_SERVICE:
        if said[name] not in (None, {}, []):
            into.lost(f"span field {name}", "spans here have no such field")


def _first(usage: Said, names: tuple[str, ...]) -> int | None:
    return next(
        (usage[name] for name in (f"original_usage.{one}" for one in names) if usage.get(name) is not None), None
    )


def _used(metadata: Any) -> list[tuple[str, str]]:
    """Name and commit of the prompts that Opik's SDK notes of a span."""
    noted: Any = cast("Said", metadata).get("opik_prompts") if isinstance(metadata, dict) else None
    prompts = [cast("Said", one) for one in cast("list[Any]", noted or []) if isinstance(one, dict)]
    versions = [(one, cast("Said", one.get("version") or {})) for one in prompts]
    return [(str(one.get("name")), str(said.get("commit") or one.get("commit"))) for one, said in versions]


def _scores(said: Said, target: str, into: Bringing) -> None:
    """A score, once for each who gave it."""
    by_author = cast("dict[str, Said]", said.get("value_by_author") or {})
    for author, one in by_author.items() or [(said.get("last_updated_by") or said.get("created_by"), said)]:
        value = one.get("category_name") if one.get("category_name") is not None else one["value"]
        at = str(one.get("last_updated_at") or said.get("last_updated_at") or said["created_at"])
        into.score(
            target, str(said["name"]), value,
            f"{_WHO.get(str(one.get('source') or said.get('source')), 'service')}:{author or 'unknown'}",
            key=f"{target} {said['name']} {author} {at}", at=rfc3339(from_rfc3339(at)), why=str(one.get("reason") or ""),
        )  # fmt: skip
        into.kept("feedback score")


def _dataset(said: Said, into: Bringing) -> None:
    rows = cast("list[Any]", said["items"])
    if not rows:
        raise BadInput(f"the dataset {said['name']} has no items")
    if into.dataset(str(said["name"]), rows) is not None:
        into.kept("rows of datasets", len(rows))
        into.changed("versions of a dataset", "the export has the newest alone")
        for name in ("description", "tags"):
            if said.get(name):
                into.lost(f"{name} of a dataset", "versions of datasets have none")


def _prompt(said: Said, into: Bringing) -> None:
    """The history is newest first, without dates; the current version is its first."""
    named = cast("Said", said.get("prompt") if isinstance(said.get("prompt"), dict) else said)
    name = str(named["name"])
    made: Artifact | None = None
    for version in _versions(said):
        try:
            made = into.prompt(
                name, body_of(_messages(version)), at=None, why=f"Opik commit {version.get('commit')}", label=f"{name} {version.get('commit')}",
                version=version.get("commit"),
            )  # fmt: skip
        except (BadInput, KeyError, TypeError) as problem:
            into.problem(f"prompt {name} {version.get('commit')}", str(problem))
            continue
        if made is not None:
            into.kept("prompt text")
            into.changed("commit of a prompt", "as the reason of the version")
            for field in ("metadata", "tags"):
                if version.get(field):
                    into.lost(f"{field} of a prompt", "versions of prompts have none")
    into.lost("dates of prompts", "the export has none: versions here are as old as the import")


def _versions(said: Said) -> Iterator[Said]:
    current, history = cast("Said", said["current_version"]), cast("list[Said]", said.get("history") or [])
    yield from reversed(history)
    if all(one.get("commit") != current.get("commit") for one in history):
        yield current


def _messages(version: Said) -> list[tuple[str, str]]:
    convert: Callable[[str], str] = from_mustache if version.get("type") != "JINJA2" else from_jinja
    body = version["prompt"]
    if isinstance(body, str):
        return [("user", convert(body))]
    pairs: list[tuple[str, str]] = []
    for one in cast("list[Said]", body):
        if not isinstance(one["content"], str):
            raise BadInput("a message is no text")
        pairs.append((role_of(one["role"]), convert(one["content"])))
    return pairs
