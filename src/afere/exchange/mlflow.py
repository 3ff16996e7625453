"""MLflow's SQLite file or server (3.x): traces with their spans, assessments, prompts with aliases, evaluation datasets."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, body_of, from_jinja, from_mustache
from afere.exchange.mlflow_file import Kept
from afere.exchange.mlflow_rest import Served
from afere.exchange.sqlitefile import Record, opened, plain
from afere.tracing.otlp.batch import Sent, Source, span

_PROMPT = "mlflow.prompt.is_prompt"
_WHO = {"HUMAN": "person", "LLM_JUDGE": "judge", "CODE": "scorer"}
_OF_PROMPT = frozenset({
    _PROMPT, "mlflow.prompt.text", "_mlflow_prompt_type", "_mlflow_prompt_response_format", "_mlflow_prompt_model_config",
})  # fmt: skip
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
        kept = Kept(tables, into)
        _all(kept, into)
        kept.left()


def _all(source: Kept | Served, into: Bringing) -> None:
    source.require()
    _prompts(source, into)  # first, since spans say which they used
    for trace in source.traces():
        for said in trace.spans:
            root = isinstance(said, dict) and not (said.get("parent_span_id") or said.get("parent_id"))
            _span(trace.request, said, trace.about if root else {}, trace.experiment, into)
        for row in trace.assessments:
            into.attempt(f"assessment of {trace.request}", "an assessment is expected", _assessment, row)
    _datasets(source, into)


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
            attributes=attributes, events=[_event(one) for one in events],
        )  # fmt: skip
        into.span(span(sent, Source.of(resource).scope("mlflow", "", {})), prompts=_linked(attributes))
    except (BadInput, KeyError, TypeError, ValueError) as problem:
        into.problem(f"trace {request}", f"a span cannot be read: {problem}")
        return
    into.kept("span: name, type, times, parent, status, events and attributes, which hold what went in and came out")
    if attachments := json.dumps(attributes).count("mlflow-attachment://"):
        into.lost("attachment", "its bytes stay in MLflow's artifact folder; the span has its address", attachments)
    if value.get("links"):
        into.lost("links of spans", "spans here know their parent only", len(value["links"]))
    if about:
        into.kept("tags and metadata of traces", len(about))
    if experiment and about:
        into.changed("experiment of a trace", "as service.name of its resource")


def _linked(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and version of the prompts that a span, or the trace of a root, used."""
    said: Any = plain(attributes.get("mlflow.linkedPrompts"))
    said = plain(said) if isinstance(said, str) else said
    found = cast("list[Record]", said) if isinstance(said, list) else []
    return [(str(one["name"]), str(one["version"])) for one in found if "name" in one and "version" in one]


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


def _assessment(row: Record, into: Bringing) -> None:
    key, value = str(row["assessment_id"]), plain(row["value"])
    if row.get("valid") in (0, False):
        into.lost("assessment", "a later one of the same person overrides it")
        return
    trace = str(row["trace_id"]).removeprefix("tr-")
    target = f"{trace}/{row['span_id']}" if row.get("span_id") else trace
    metadata = plain(row.get("assessment_metadata"))
    name = str(row["name"])
    if row["assessment_type"] == "expectation":
        name = f"expected.{name}"
        into.changed("expectation", "a score named expected.NAME, whose value is what was expected")
    else:
        into.kept("feedback: name, value, who, when, rationale, metadata")
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
        into.changed("value of an assessment", "lists and mappings as JSON text")
    if row.get("error"):
        value = None
        into.changed("error of an assessment", "as the reason of a score without a value")
    source = _WHO.get(str(row["source_type"]), "service")
    why = str(row.get("rationale") or row.get("error") or "")
    into.score(
        target, name, value, f"{source}:{row['source_id'] or 'unknown'}", key=key,
        at=rfc3339(int(row["created_timestamp"]) * 10**6), why=why, data={"metadata": metadata} if metadata else {},
    )  # fmt: skip


def _prompts(source: Kept | Served, into: Bringing) -> None:
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for row in source.rows("model_version_tags"):
        tags[row["name"], row["version"]][row["key"]] = row["value"]
    made: dict[tuple[str, int], Artifact] = {}
    for row in source.rows("model_versions", "name, version"):
        said = tags[row["name"], row["version"]]
        if _PROMPT not in said:
            into.lost("registered model", "models are not artifacts here; name them in afere.yaml")
        elif artifact := _prompt(row, said, into):
            made[row["name"], row["version"]] = artifact
    for row in source.rows("registered_model_aliases"):
        if (row["name"], row["version"]) in made:
            into.alias(made[row["name"], row["version"]], str(row["alias"]), tool="MLflow")
            into.changed("alias of a prompt", "its history begins with the import")
    named = {name for name, _ in made}
    for row in source.rows("registered_model_tags"):
        if row["name"] in named and not str(row["key"]).startswith(("mlflow.", "_mlflow")):
            into.lost(
                f"tag {row['key']} of a prompt", "prompts have no tags; who looks after one is owner: of its file"
            )


def _prompt(row: Record, said: Mapping[str, str], into: Bringing) -> Artifact | None:
    text, output = plain(said.get("mlflow.prompt.text")), plain(said.get("_mlflow_prompt_response_format"))
    chat = said.get("_mlflow_prompt_type") == "chat" and isinstance(text, list)
    pairs = (
        [(str(one["role"]), str(one["content"])) for one in cast("list[Any]", text)]
        if chat
        else [("user", str(said.get("mlflow.prompt.text", "")))]
    )
    jinja = any("{%" in part and "%}" in part for _, part in pairs)  # as MLflow itself tells them apart
    convert = from_jinja if jinja else from_mustache
    artifact = into.prompt(
        row["name"], body_of((role, convert(part)) for role, part in pairs), at=rfc3339(int(row["creation_time"]) * 10**6),
        why=str(row.get("description") or f"MLflow version {row['version']}"), label=f"{row['name']} version {row['version']}",
        output=output if isinstance(output, dict) else None, version=row["version"],
    )  # fmt: skip
    if artifact is None:
        return None
    into.kept("prompt text, date and commit message")
    if said.get("_mlflow_prompt_model_config"):
        into.lost(
            "model configuration of a prompt", "a model and its parameters belong to the component that uses the prompt"
        )
    for key in said.keys() - _OF_PROMPT:
        into.lost(f"tag {key} of a version of a prompt", "versions of prompts have no tags")
    return artifact


def _datasets(source: Kept | Served, into: Bringing) -> None:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in source.rows("evaluation_dataset_records", "created_time, dataset_record_id"):
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
    for row in source.rows("evaluation_datasets"):
        found = rows.get(str(row["dataset_id"]), [])
        if not found:
            into.problem(f"dataset {row['name']}", "it has no records")
            continue
        into.dataset(str(row["name"]), found)
        into.kept("rows of datasets", len(found))
        into.changed("date of a dataset", "a version here is as old as the import")
