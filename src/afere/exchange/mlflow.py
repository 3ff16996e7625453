"""MLflow's SQLite file or server (3.x): traces with their spans, assessments, prompts with aliases, evaluation datasets."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, body_of, from_mustache
from afere.exchange.mlflow_rest import Served
from afere.exchange.sqlitefile import Record, Tables, opened, plain
from afere.tracing.otlp.batch import Sent, Source, span

_PROMPT = "mlflow.prompt.is_prompt"
_WHO = {"HUMAN": "person", "LLM_JUDGE": "judge", "CODE": "scorer"}
_ABOUT = ("mlflow.trace.user", "mlflow.trace.session")  # of a trace, read from its first span here
_OWN = (
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
    "mlflow.trace.sizeBytes",
    "mlflow.trace.sizeStats",
    "mlflow.trace.infoFinalized",
)


def bring(place: str, into: Bringing) -> None:
    """`place`: the file that MLflow's tracking store rests in, often mlflow.db, or the address of its server."""
    if "://" in place:
        _all(Served(place, into), into)
        return
    with opened(place, into, "MLflow") as tables:
        _all(tables, into)
        for table, what in (("runs", "runs with their params and metrics"), ("logged_models", "logged models")):
            count = sum(1 for _ in tables.rows(table))
            if count:
                into.lost(what, "afere keeps experiments of its own: evaluate again to have them", count)


def _all(tables: Tables | Served, into: Bringing) -> None:
    tables.require("trace_info", "experiments")
    _traces(tables, into)
    _assessments(tables, into)
    _prompts(tables, into)
    _datasets(tables, into)


def _traces(tables: Tables | Served, into: Bringing) -> None:
    tags, metadata = (
        _pairs(tables.rows("trace_tags"), "request_id"),
        _pairs(tables.rows("trace_request_metadata"), "request_id"),
    )
    names = {row["experiment_id"]: row["name"] for row in tables.rows("experiments", "experiment_id")}
    with_spans: set[str] = set()
    infos = {row["request_id"]: row for row in tables.rows("trace_info")}
    for row in tables.rows("spans"):
        request = str(row["trace_id"])
        with_spans.add(request)
        said = plain(row.get("content"))
        info = infos.get(request, {})
        about = {**metadata.get(request, {}), **tags.get(request, {})} if row.get("parent_span_id") is None else {}
        if about and info.get("session_id"):
            about["mlflow.trace.session"] = str(info["session_id"])
        _span(request, said, about, names.get(info.get("experiment_id"), ""), into)
    for request in infos:
        if request in with_spans:
            continue
        if isinstance(tables, Served):  # where it says that files lie is its own machine, not this one
            into.problem(f"trace {request}", "the server gave no spans of it")
        else:
            _from_artifacts(request, tags.get(request, {}), metadata.get(request, {}), into)


def _from_artifacts(request: str, tags: Mapping[str, str], metadata: Mapping[str, str], into: Bringing) -> None:
    """Earlier versions keep a trace's spans in a file beside the store."""
    where = str(tags.get("mlflow.artifactLocation", "")).removeprefix("file://")
    file = Path(where) / "traces.json"
    if not where or not file.is_file():
        into.problem(
            f"trace {request}", f"its spans are not in this file, and {where or 'no artifact location'} has none either"
        )
        return
    said = plain(file.read_bytes())
    for one in cast("list[Json]", said.get("spans") or []) if isinstance(said, dict) else []:
        root = isinstance(one, dict) and not (one.get("parent_span_id") or one.get("parent_id"))
        _span(request, one, {**metadata, **tags} if root else {}, "", into)


def _span(request: str, said: Json, about: Mapping[str, str], experiment: str, into: Bringing) -> None:
    if not isinstance(said, dict):
        into.problem(f"trace {request}", "the content of one of its spans is not JSON")
        return
    value = cast("dict[str, Any]", said)
    try:
        attributes = dict(value.get("attributes") or {})
        for key, text in about.items():
            if key not in _OWN:
                attributes.setdefault(key, json.dumps(text) if key in _ABOUT else text)
        resource: dict[str, Json] = {"service.name": experiment} if experiment else {}
        given: Any = value.get("status")
        status: dict[str, Any] = cast("dict[str, Any]", given) if isinstance(given, dict) else {"code": given}
        events: list[dict[str, Any]] = value.get("events") or []
        sent = Sent(
            _hex(value.get("trace_id") or request, 32), _hex(value["span_id"], 16),
            _hex(value.get("parent_span_id") or value.get("parent_id") or "", 16), str(value.get("name") or "span"), 1,
            int(value.get("start_time_unix_nano") or value.get("start_time") or 0),
            int(value.get("end_time_unix_nano") or value.get("end_time") or 0),
            failed="ERROR" in str(status.get("code")),
            message=str(status.get("message") or ""),
            attributes=attributes,
            events=[_event(one) for one in events],
        )  # fmt: skip
        into.span(span(sent, Source.of(resource).scope("mlflow", "", {})))
    except (BadInput, KeyError, TypeError, ValueError) as problem:
        into.problem(f"trace {request}", f"a span cannot be read: {problem}")
        return
    into.kept("span")
    if value.get("links"):
        into.lost("links of spans", "spans here know their parent only", len(value["links"]))
    if about:
        into.kept("tags and metadata of traces", len(about))
    if experiment and about:
        into.changed("experiment of a trace", "as service.name of its resource")


def _event(said: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "name": said.get("name", ""),
        "at": rfc3339(int(said.get("time_unix_nano") or said.get("timestamp") or 0)),
        **(said.get("attributes") or {}),
    }


def _hex(text: str, digits: int) -> str:
    """Ids are base64 in newer versions, hex in earlier ones; those of traces may begin with tr-."""
    plain_text = text.removeprefix("tr-").removeprefix("0x")
    if len(plain_text) == digits:
        return plain_text
    return base64.b64decode(plain_text).hex() if plain_text else ""


def _assessments(tables: Tables | Served, into: Bringing) -> None:
    for row in tables.rows("assessments"):
        key, value = str(row["assessment_id"]), plain(row["value"])
        if row.get("valid") in (0, False):
            into.lost("assessment", "a later one of the same person overrides it")
            continue
        trace = str(row["trace_id"]).removeprefix("tr-")
        target = f"{trace}/{row['span_id']}" if row.get("span_id") else trace
        name, data = (
            str(row["name"]),
            {"metadata": plain(row.get("assessment_metadata"))} if row.get("assessment_metadata") else {},
        )
        if row["assessment_type"] == "expectation":
            name = f"expected.{name}"
            into.changed("expectation", "a score named expected.NAME, whose value is what was expected")
        else:
            into.kept("feedback")
        if isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False)
            into.changed("value of an assessment", "lists and mappings as JSON text")
        if row.get("error"):
            value = None
        source = _WHO.get(str(row["source_type"]), "service")
        why = str(row.get("rationale") or row.get("error") or "")
        into.score(
            target, name, value, f"{source}:{row['source_id'] or 'unknown'}", key=key,
            at=rfc3339(int(row["created_timestamp"]) * 10**6), why=why, data=data,
        )  # fmt: skip


def _prompts(tables: Tables | Served, into: Bringing) -> None:
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for row in tables.rows("model_version_tags"):
        tags[row["name"], row["version"]][row["key"]] = row["value"]
    made: dict[tuple[str, int], Artifact] = {}
    for row in tables.rows("model_versions", "name, version"):
        said = tags[row["name"], row["version"]]
        if _PROMPT not in said:
            into.lost("registered model", "models are not artifacts here; name them in afere.yaml")
            continue
        text, output = plain(said.get("mlflow.prompt.text")), plain(said.get("_mlflow_prompt_response_format"))
        chat = said.get("_mlflow_prompt_type") == "chat" and isinstance(text, list)
        pairs = (
            [(str(one["role"]), str(one["content"])) for one in cast("list[Any]", text)]
            if chat
            else [("user", str(said.get("mlflow.prompt.text", "")))]
        )
        artifact = into.prompt(
            row["name"], body_of((role, from_mustache(part)) for role, part in pairs), at=rfc3339(int(row["creation_time"]) * 10**6),
            why=str(row.get("description") or f"MLflow version {row['version']}"), label=f"{row['name']} version {row['version']}",
            output=output if isinstance(output, dict) else None,
        )  # fmt: skip
        if artifact is not None:
            made[row["name"], row["version"]] = artifact
            into.kept("prompt text, date and commit message")
            for key in said.keys() - {
                _PROMPT,
                "mlflow.prompt.text",
                "_mlflow_prompt_type",
                "_mlflow_prompt_response_format",
            }:
                into.lost(f"prompt tag {key}", "versions of prompts have no tags")
    for row in tables.rows("registered_model_aliases"):
        if (row["name"], row["version"]) in made:
            into.alias(made[row["name"], row["version"]], str(row["alias"]), why="as in MLflow")
            into.changed("alias of a prompt", "its history begins with the import")


def _datasets(tables: Tables | Served, into: Bringing) -> None:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in tables.rows("evaluation_dataset_records", "created_time, dataset_record_id"):
        inputs, expected, tags = plain(row["inputs"]), plain(row["expectations"]), plain(row["tags"])
        made: dict[str, Any] = {
            "id": row["dataset_record_id"],
            "input": inputs if isinstance(inputs, dict) else {"input": inputs},
        }
        if isinstance(expected, dict) and expected:
            only = expected.get("expected_response") if set(expected) == {"expected_response"} else None
            made["expected"] = only if only is not None else expected
        outputs = plain(row.get("outputs"))
        if outputs not in (None, {"mlflow_wrapped": {}}, {}):
            made["output"] = (
                outputs["mlflow_wrapped"]
                if isinstance(outputs, dict) and set(outputs) == {"mlflow_wrapped"}
                else outputs
            )
        if isinstance(tags, dict):
            kept = {key: value for key, value in tags.items() if key != "mlflow.user"}
            if isinstance(kept.get("split"), str):
                made["split"] = kept.pop("split")
            if kept:
                made["metadata"] = kept
        rows[str(row["dataset_id"])].append(made)
    for row in tables.rows("evaluation_datasets"):
        found = rows.get(str(row["dataset_id"]), [])
        if not found:
            into.problem(f"dataset {row['name']}", "it has no records")
            continue
        into.dataset(str(row["name"]), found)
        into.kept("rows of datasets", len(found))
        into.changed("date of a dataset", "a version here is as old as the import")


def _pairs(rows: Iterable[Record], of: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        found[str(row[of])][str(row["key"])] = str(row["value"])
    return found
