"""Langfuse's exports as JSON or JSON lines: observations, traces, scores, prompts, items of datasets.

In the shapes of its API, or as it exports them to a bucket, where names have underscores and traces stand in files of their own.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, Said, body_of, from_mustache, hex_id, role_of
from afere.exchange.jsonfile import records
from afere.tracing.otlp.batch import Sent, Source, span

_WHO = {"ANNOTATION": "person", "EVAL": "judge", "API": "service"}
_EXPECTED = "an observation, a trace, a score, a prompt, a comment or an item of a dataset is expected"
# field of an observation -> the attribute by which Langfuse's own SDK sends it
_FIELDS = {
    "input": "langfuse.observation.input", "output": "langfuse.observation.output",
    "metadata": "langfuse.observation.metadata", "level": "langfuse.observation.level",
    "statusMessage": "langfuse.observation.status_message", "version": "langfuse.version",
    "model": "langfuse.observation.model.name", "modelParameters": "langfuse.observation.model.parameters",
    "usageDetails": "langfuse.observation.usage_details", "costDetails": "langfuse.observation.cost_details",
    "completionStartTime": "langfuse.observation.completion_start_time", "environment": "langfuse.environment",
    "promptName": "langfuse.observation.prompt.name", "promptVersion": "langfuse.observation.prompt.version",
    "userId": "user.id", "sessionId": "session.id", "release": "langfuse.release", "tags": "langfuse.trace.tags",
    "traceName": "langfuse.trace.name",
}  # fmt: skip
_UNDERSCORED = frozenset({"trace_id", "start_time", "user_id", "session_id", "project_id", "dataset_name"})
_PLACED = frozenset({"id", "traceId", "parentObservationId", "name", "type", "startTime", "endTime"})
_OF_SERVICE = frozenset({  # what Langfuse adds, and what follows from what is kept
    "projectId", "isRootObservation", "bookmarked", "public", "createdAt", "updatedAt", "latency", "timeToFirstToken",
    "internalModelId", "modelId", "inputPrice", "outputPrice", "totalPrice", "usagePricingTierName", "promptId", "usage",
    "unit", "calculatedInputCost", "calculatedOutputCost", "calculatedTotalCost", "totalCost", "promptTokens",
    "completionTokens", "totalTokens",
})  # fmt: skip


def bring(place: str, into: Bringing) -> None:
    """`place`: a file with one record a line, a list, or an answer of the API (`data`); or a folder of such files."""
    prompts: list[tuple[str, Said]] = []
    apart: set[str] = set()  # traces that stand apart from their observations
    quiet = Bringing(into.session, into.source)  # the second reading names what cannot be read
    for where, said in _all(place, quiet):
        if _is_prompt(said):
            prompts.append((where, said))
        elif _is_trace(said) and not said.get("observations"):
            apart.add(str(said["id"]))
    # before the spans that used them, in the order of their versions, whatever the order of the lines
    for where, said in sorted(prompts, key=lambda one: (str(one[1].get("name")), str(one[1]["version"]).zfill(9))):
        into.attempt(where, _EXPECTED, _prompt, said)
    rows: dict[str, list[Said]] = defaultdict(list)
    for where, said in _all(place, into):
        if "datasetName" in said and "expectedOutput" in said:
            rows[str(said["datasetName"])].append(said)
        elif not _is_prompt(said):
            if "startTime" in said and not said.get("parentObservationId") and str(said.get("traceId")) in apart:
                said["parentObservationId"] = f"trace {said['traceId']}"
            into.attempt(where, _EXPECTED, _record, said)
    for name, found in rows.items():
        _dataset(name, found, into)


def _all(place: str, into: Bringing) -> Iterator[tuple[str, Said]]:
    for where, said in records(place, into, inside=("data",)):
        yield where, _as_api(said) if _UNDERSCORED & said.keys() else said


def _as_api(said: Said) -> Said:
    """A record of an export to a bucket, with its fields called as the API does."""
    named = {"provided_model_name": "model", "prompt_id": "promptId"}
    return {
        named.get(key) or re.sub(r"_([a-z])", lambda found: found[1].upper(), key): value for key, value in said.items()
    }  # fmt: skip


def _is_prompt(said: Said) -> bool:
    return "prompt" in said and "version" in said and "labels" in said


def _is_trace(said: Said) -> bool:
    return "id" in said and "timestamp" in said and not {"startTime", "value", "stringValue"} & said.keys()


def _record(said: Said, into: Bringing) -> None:
    if "startTime" in said:
        _observation(said, into)
    elif "value" in said or "stringValue" in said:
        _score(said, into)
    elif "objectType" in said:
        _comment(said, into)
    else:
        _trace(said, into)


def _trace(said: Said, into: Bringing) -> None:
    """A trace with its observations and scores inside; those that have no parent hang below a span of its own."""
    id_, begun = str(said["id"]), str(said["timestamp"])
    given = cast("list[Any]", said.get("observations") or [])
    observations = [cast("Said", one) for one in given if isinstance(one, dict)]
    ends = [str(one["endTime"]) for one in observations if one.get("endTime")]
    about = {
        key: said[key] for key in ("userId", "sessionId", "release", "tags", "environment", "version") if said.get(key)
    }
    root: Said = {
        **about, "id": f"trace {id_}", "traceId": id_, "type": "SPAN", "name": said.get("name") or "trace", "startTime": begun,
        "endTime": max(ends, key=from_rfc3339, default=begun), "input": said.get("input"), "output": said.get("output"),
        "metadata": said.get("metadata"),
    }  # fmt: skip
    _observation(root, into)
    into.changed("trace", "as the span above its observations")
    for one in observations:
        parent = one.get("parentObservationId") or root["id"]
        whole = {**about, **one, "traceId": id_, "parentObservationId": parent}
        into.attempt(f"trace {id_}", _EXPECTED, _observation, whole)
    for one in cast("list[Any]", said.get("scores") or []):
        if isinstance(one, dict):
            into.attempt(f"trace {id_}", _EXPECTED, _score, {**cast("Said", one), "traceId": id_})
    if len(observations) < len(given):
        into.lost(
            "observation that is only an id", "list the observations too, or get the trace alone with all it holds"
        )


def _observation(said: Said, into: Bringing) -> None:
    attributes: dict[str, Json] = {"langfuse.observation.type": str(said["type"]).lower()}
    said = {**said, **_older(said)}
    for name, attribute in _FIELDS.items():
        value = said.get(name)
        if value not in (None, {}, []):
            plain = isinstance(value, str | int | float | bool) or name == "tags"
            attributes[attribute] = value if plain else json.dumps(value, ensure_ascii=False)
    parent = said.get("parentObservationId")
    sent = Sent(
        _trace_id(said), hex_id(str(said["id"]), 16), hex_id(str(parent), 16) if parent else "",
        str(said.get("name") or "span"), 1, from_rfc3339(said["startTime"]),
        from_rfc3339(said["endTime"]) if said.get("endTime") else 0, failed=said.get("level") == "ERROR",
        message=str(said.get("statusMessage") or ""), attributes=attributes,
    )  # fmt: skip
    used = [(str(said["promptName"]), str(said.get("promptVersion")))] if said.get("promptName") else []
    into.span(span(sent, Source().scope("langfuse", "", {})), prompts=used)
    into.kept("observation: name, type, times, parent, level, input, output, metadata, model, parameters, tokens, cost")
    for name in said.keys() - _FIELDS.keys() - _PLACED - _OF_SERVICE:
        if said[name] not in (None, {}, []):
            into.lost(f"observation field {name}", "spans here have no such field")


def _older(said: Said) -> Said:
    """Tokens and cost as earlier versions of Langfuse say them, where newer fields are not there."""
    usage, cost = cast("Said", said.get("usage") or {}), said.get("totalCost") or said.get("calculatedTotalCost")
    counts = {
        "input": usage.get("input") or said.get("promptTokens"), "output": usage.get("output") or said.get("completionTokens"),
    }  # fmt: skip
    found: Said = {}
    if not said.get("usageDetails") and any(counts.values()):
        found["usageDetails"] = {key: count for key, count in counts.items() if count}
    if not said.get("costDetails") and cost:
        found["costDetails"] = {"total": cost}
    return found


def _comment(said: Said, into: Bringing) -> None:
    if said["objectType"] != "TRACE":
        into.lost(
            f"comment of {str(said['objectType']).lower()}", "it does not say the trace; those of traces are kept"
        )
        return
    at = rfc3339(from_rfc3339(str(said.get("updatedAt") or said["createdAt"])))
    into.score(
        hex_id(str(said["objectId"]), 32), "comment", str(said["content"]),
        f"person:{said.get('authorUserId') or 'unknown'}", key=f"comment {said['id']} {at}", at=at,
    )  # fmt: skip
    into.kept("comment")


def _dataset(name: str, items: list[Said], into: Bringing) -> None:
    rows: list[Said] = []
    for one in items:
        if one.get("status") == "ARCHIVED":
            into.lost("archived item of a dataset", "it is not in use there either")
            continue
        given = one["input"]
        row: dict[str, Any] = {
            "id": str(one["id"]), "input": given if isinstance(given, dict) else {"input": given},
            "expected": one["expectedOutput"], "metadata": one.get("metadata"),
        }  # fmt: skip
        rows.append({key: value for key, value in row.items() if value not in (None, {}, [])})
        if one.get("mediaReferences"):
            into.lost("media of an item", "its bytes stay with Langfuse; the row has its reference")
        if one.get("sourceTraceId"):
            into.lost("source of an item", "rows here do not name the trace they came from")
    if rows and into.dataset(name, rows) is not None:
        into.kept("items of datasets, as rows", len(rows))
        into.changed("versions of a dataset", "the export has the newest alone")


def _score(said: Said, into: Bringing) -> None:
    if not said.get("traceId"):
        into.lost("score of a session or a run of a dataset", "scores here are of spans and traces")
        return
    trace, of = _trace_id(said), said.get("observationId")
    value = said.get("stringValue") if said.get("stringValue") is not None else said.get("value")
    if said.get("dataType") == "BOOLEAN":
        value = bool(said["value"])
    at, data = str(said.get("updatedAt") or said["timestamp"]), said.get("metadata")
    into.score(
        f"{trace}/{hex_id(str(of), 16)}" if of else trace, str(said["name"]), value,
        f"{_WHO.get(str(said.get('source')), 'service')}:{said.get('authorUserId') or 'unknown'}",
        key=f"{said['id']} {at}", at=rfc3339(from_rfc3339(at)), why=str(said.get("comment") or ""),
        data={"metadata": data} if data else {},
    )  # fmt: skip
    into.kept("score")


def _prompt(said: Said, into: Bringing) -> None:
    name, version, text = str(said["name"]), said["version"], said["prompt"]
    pairs = [("user", text)] if isinstance(text, str) else [_message(one) for one in cast("list[Said]", text)]
    made: Artifact | None = into.prompt(
        name, body_of((role, from_mustache(part)) for role, part in pairs), at=said.get("createdAt"),
        why=str(said.get("commitMessage") or f"Langfuse version {version}"), label=f"{name} version {version}", version=version,
    )  # fmt: skip
    if made is None:
        return
    into.kept("prompt text and commit message")
    for label in cast("list[str]", said["labels"]):
        if label != "latest":  # Langfuse's word for the newest
            into.alias(made, label, tool="Langfuse")
            into.changed("label of a prompt", "an alias, whose history begins with the import")
    if said.get("config"):
        into.lost("config of a prompt", "a model and its parameters belong to the component that uses the prompt")
    if said.get("tags"):
        into.lost("tags of a prompt", "versions of prompts have no tags")


def _message(said: Said) -> tuple[str, str]:
    if said.get("type") == "placeholder":
        raise BadInput(f"it has a placeholder for messages, {said.get('name')!r}, which templates here do not have")
    return role_of(said["role"]), str(said["content"])


def _trace_id(said: Said) -> str:
    return hex_id(str(said["traceId"]), 32)
