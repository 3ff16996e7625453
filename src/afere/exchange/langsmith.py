"""LangSmith's records as JSON lines, as its client lists them: Run, Feedback, Dataset and Example, one a line."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, Said, hex_id
from afere.exchange.jsonfile import records
from afere.tracing.otlp.batch import Sent, Source, span

_WHO = {"api": "person", "app": "person", "model": "judge", "auto_eval": "judge"}
_READ = frozenset({
    "id", "trace_id", "parent_run_id", "name", "run_type", "start_time", "end_time", "inputs", "outputs", "error", "extra",
    "tags", "events", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost", "first_token_time", "status",
    "session_id", "session_name", "dotted_order", "parent_run_ids", "child_run_ids", "child_runs", "metadata",
    "prompt_token_details", "completion_token_details",
})  # fmt: skip
_OF_SERVICE = frozenset({  # what LangSmith adds, and what follows from what is kept
    "feedback_stats", "app_path", "manifest_id", "in_dataset", "prompt_cost", "completion_cost", "prompt_cost_details",
    "completion_cost_details", "last_queued_at", "share_token", "ttl_seconds", "trace_tier",
})  # fmt: skip
_CALLED = ("invocation_params", "options")  # of a run's extra: what the model was called with
_EXPECTED = "a run, feedback, a dataset or one of its examples is expected"


def bring(place: str, into: Bringing) -> None:
    """`place`: a file of runs, feedback, datasets and examples, one a line, or a folder of such files."""
    traces: dict[str, str] = {}  # the trace of each run
    feedback: list[tuple[str, Said]] = []
    names: dict[str, str] = {}  # of datasets, by their ids
    rows: dict[tuple[str, str], list[Said]] = defaultdict(list)  # (dataset id, file) -> its examples
    for where, said in records(place, into, inside=("runs",)):
        if "key" in said and "run_id" in said:
            feedback.append((where, said))
        elif "run_type" in said:
            _guarded(where, said, into, traces)
        elif "dataset_id" in said and "inputs" in said:
            rows[str(said["dataset_id"]), where.rpartition(":")[0]].append(said)
        elif "data_type" in said and "name" in said:
            names[str(said["id"])] = str(said["name"])
        else:
            into.problem(where, f"it is none of what is known; {_EXPECTED}")
    for where, said in feedback:
        try:
            _feedback(said, traces, into)
        except (KeyError, TypeError, ValueError) as problem:
            into.problem(where, f"feedback cannot be read: {problem}")
    for (id_, file), found in rows.items():
        if id_ not in names:
            into.changed("name of a dataset", "that of its file: examples know its id only")
        _dataset(names.get(id_) or Path(file).stem, found, into)


def _guarded(where: str, said: Said, into: Bringing, traces: dict[str, str]) -> None:
    try:
        _run(said, into, traces)
    except KeyError as problem:
        into.problem(where, f"a run has no {problem}; is this a file of runs?")
        return
    except (AttributeError, BadInput, TypeError, ValueError) as problem:
        into.problem(where, f"a run cannot be read: {problem}")
        return
    for child in cast("list[Said]", said.get("child_runs") or []):
        _guarded(where, child, into, traces)


def _run(said: Said, into: Bringing, traces: dict[str, str]) -> None:
    id_, kind = str(said["id"]), str(said["run_type"])
    trace = str(said.get("trace_id") or id_)
    attributes: dict[str, Any] = {"langsmith.span.kind": kind}
    outputs: Any = said.get("outputs")
    if kind == "retriever" and isinstance(outputs, dict) and set(cast("Said", outputs)) == {"output"}:
        outputs = {"documents": cast("Said", outputs)["output"]}  # as LangSmith itself sends a retriever's
    told: dict[str, Any] = {"gen_ai.prompt": said.get("inputs"), "gen_ai.completion": outputs}
    for field, value in told.items():
        if value is not None:
            attributes[field] = json.dumps(value, ensure_ascii=False)
    extra = cast("Said", said.get("extra") or {})
    metadata = cast("Said", extra.get("metadata") or {})
    for key, value in metadata.items():
        attributes[f"langsmith.metadata.{key}"] = json.dumps(value) if isinstance(value, dict | list) else value
    for name in _CALLED:
        if extra.get(name):
            attributes[f"langsmith.{name}"] = json.dumps(extra[name], ensure_ascii=False)
    for name in extra.keys() - {"metadata", *_CALLED}:
        into.lost(f"{name} of a run's extra", "it says what the program ran on")
    called = cast("Said", extra.get("invocation_params") or {})
    attributes.update({
        name: value for name, value in {
            "gen_ai.request.model": metadata.get("ls_model_name") or called.get("model"), "gen_ai.system": metadata.get("ls_provider"),
            "gen_ai.usage.input_tokens": said.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": said.get("completion_tokens"),
            "gen_ai.tool.name": said["name"] if kind == "tool" else None,
            "langsmith.span.tags": ", ".join(cast("list[str]", said.get("tags") or [])) or None,
            "langsmith.trace.session_name": said.get("session_name"), **(_spent(said) if kind == "llm" else {}),
        }.items() if value is not None
    })  # fmt: skip
    parent = said.get("parent_run_id")
    sent = Sent(
        hex_id(trace, 32), _span_id(id_), _span_id(str(parent)) if parent else "", str(said["name"]), 1,
        from_rfc3339(said["start_time"]), from_rfc3339(said["end_time"]) if said.get("end_time") else 0,
        failed=bool(said.get("error")), message=_last_line(said.get("error")), attributes=attributes,
        events=[_event(one) for one in cast("list[Said]", said.get("events") or [])],
    )  # fmt: skip
    if said.get("error"):
        into.changed("error of a run", "its message; the stack trace as its event")
        sent.events.append({"name": "exception", "at": rfc3339(sent.end), "exception.stacktrace": str(said["error"])})
    into.span(span(sent, Source().scope("langsmith", "", {})))
    traces[id_] = hex_id(trace, 32)
    into.kept("run: name, type, times, inputs, outputs, metadata, tags, tokens, cost, first token")
    into.changed("id of a run", "16 hex digits made of its UUID")
    for name in said.keys() - _READ - _OF_SERVICE:
        if said[name] not in (None, {}, []):
            into.lost(f"run field {name}", "spans here have no such field")


def _spent(said: Said) -> Said:
    """What a call to a model took, which runs above it only sum up."""
    begun, first = said["start_time"], said.get("first_token_time")
    return {
        "gen_ai.usage.cache_read.input_tokens": cast("Said", said.get("prompt_token_details") or {}).get("cache_read"),
        "gen_ai.usage.reasoning.output_tokens": cast("Said", said.get("completion_token_details") or {}).get("reasoning"),
        "gen_ai.usage.cost": float(said["total_cost"]) if said.get("total_cost") is not None else None,
        "gen_ai.response.time_to_first_chunk": (from_rfc3339(first) - from_rfc3339(begun)) / 1e9 if first else None,
    }  # fmt: skip


def _dataset(name: str, examples: list[Said], into: Bringing) -> None:
    rows: list[dict[str, Any]] = []
    for one in examples:
        metadata = dict(cast("Said", one.get("metadata") or {}))
        splits: list[Any] = cast("list[Any]", metadata.pop("dataset_split", None) or [])
        splits = splits if isinstance(splits, list) else [splits]  # pyright: ignore[reportUnnecessaryIsInstance]
        row = {
            "id": str(one.get("id")), "input": one["inputs"], "expected": one.get("outputs"), "metadata": metadata,
            "split": splits[0] if len(splits) == 1 else None, "tags": splits if len(splits) > 1 else None,
        }  # fmt: skip
        rows.append({key: value for key, value in row.items() if value not in (None, {}, [])})
        if one.get("attachments"):
            into.lost("attachment of an example", "rows are JSON", len(cast("Said", one["attachments"])))
    if into.dataset(name, rows) is not None:
        into.kept("rows of datasets", len(rows))
        into.changed("versions of a dataset", "the export has the newest alone")


def _feedback(said: Said, traces: Mapping[str, str], into: Bringing) -> None:
    run = str(said["run_id"])
    trace = traces.get(run) or (hex_id(str(said["trace_id"]), 32) if said.get("trace_id") else None)
    if trace is None:
        raise ValueError(f"its run {run} is not among the runs, so its trace is not known")
    value = said.get("score") if said.get("score") is not None else said.get("value")
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
        into.changed("value of feedback", "lists and mappings as JSON text")
    source = cast("Said", said.get("feedback_source") or {})
    data: dict[str, Json] = {"correction": said["correction"]} if said.get("correction") is not None else {}
    if said.get("score") is not None and said.get("value") is not None:
        data["value"] = said["value"]
    into.score(
        f"{trace}/{_span_id(run)}", str(said["key"]), value,
        f"{_WHO.get(str(source.get('type')), 'service')}:{source.get('user_name') or source.get('user_id') or 'unknown'}",
        key=f"{said['id']} {said.get('modified_at')}",
        at=rfc3339(from_rfc3339(str(said.get("modified_at") or said["created_at"]))), why=str(said.get("comment") or ""),
        data=data,
    )  # fmt: skip
    into.kept("feedback")


def _span_id(run: str) -> str:
    return hex_id(f"langsmith run {run}", 16)


def _last_line(error: object) -> str:
    """LangSmith writes repr(exception), an empty line, and the stack trace."""
    return str(error or "").split("\n\n", 1)[0].split("Traceback (most recent call last)", 1)[0].strip()


def _event(said: Mapping[str, Any]) -> dict[str, Json]:
    return {**said, "name": str(said.get("name", "")), "at": str(said.get("time", ""))}
