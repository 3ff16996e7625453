"""MLflow's server (3.x) over its REST API, as the tables that its SQLite file has. Only asked, never written to."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from afere import net
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing
from afere.exchange.sqlitefile import Record

_PAGE = 100  # of one answer of a search
_SPANS = 20  # traces whose spans are asked for at once
_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
_TIMEOUT = 60.0  # seconds


class Served:
    """The same tables as `sqlitefile.Tables`, asked for over HTTP.

    Who asks is said by MLflow's own variables: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD.
    """

    def __init__(self, place: str, into: Bringing) -> None:
        parts = urlsplit(place)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{place}: give the address of an MLflow server, http://HOST:PORT, or its SQLite file.")
        if parts.username or parts.password:
            raise BadInput(
                "Leave the password out of the address: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        self._root, self._into = place.split("?", 1)[0].rstrip("/") + "/api/", into
        self._headers = {"content-type": "application/json", "accept": "application/json", **_who()}
        self._infos: list[Record] | None = None

    def require(self, *tables: str) -> None:
        """BadInput where the address is not an MLflow server's, or it does not let us in."""
        del tables
        self._ask("POST", "2.0/mlflow/experiments/search", {"max_results": 1})

    def rows(self, table: str, order: str = "rowid") -> Iterator[Record]:
        """All of a table's rows; an answer that fails ends it, and is named."""
        del order  # they come in the order in which they are read
        tables = {
            "experiments": self._experiments, "trace_info": self._trace_info, "trace_tags": self._trace_tags,
            "trace_request_metadata": self._trace_metadata, "spans": self._spans, "assessments": self._assessments,
            "model_versions": self._versions, "model_version_tags": self._version_tags,
            "registered_model_aliases": self._aliases, "evaluation_datasets": self._datasets,
            "evaluation_dataset_records": self._records,
        }  # fmt: skip
        if table not in tables:
            return
        try:
            yield from tables[table]()
        except (BadInput, AttributeError, KeyError, TypeError, ValueError) as problem:
            self._into.problem(f"table {table}", f"{problem}; the rest of it is left out")

    # tables, as SQLite has them

    def _experiments(self) -> Iterator[Record]:
        return self._pages("POST", "2.0/mlflow/experiments/search", "experiments", {})

    def _traces(self) -> list[Record]:
        """Of all experiments, newest first; asked for once."""
        if self._infos is None:
            places: list[Json] = [
                {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one["experiment_id"]}}
                for one in self._experiments()
            ]
            self._infos = list(self._pages("POST", "3.0/mlflow/traces/search", "traces", {"locations": places}))
        return self._infos

    def _trace_info(self) -> Iterator[Record]:
        for one in self._traces():
            place: Any = one.get("trace_location", {})
            yield {
                "request_id": one["trace_id"], "experiment_id": place.get("mlflow_experiment", {}).get("experiment_id"),
            }  # fmt: skip

    def _trace_tags(self) -> Iterator[Record]:
        return self._said_of_traces("tags")

    def _trace_metadata(self) -> Iterator[Record]:
        return self._said_of_traces("trace_metadata")

    def _said_of_traces(self, name: str) -> Iterator[Record]:
        for one in self._traces():
            for key, value in cast("dict[str, str]", one.get(name) or {}).items():
                yield {"request_id": one["trace_id"], "key": key, "value": value}

    def _spans(self) -> Iterator[Record]:
        ids = [str(one["trace_id"]) for one in self._traces()]
        for first in range(0, len(ids), _SPANS):
            asked = urlencode({"trace_ids": ids[first : first + _SPANS]}, doseq=True)
            for trace in self._ask("GET", f"3.0/mlflow/traces/batchGet?{asked}").get("traces", []):
                for span in trace.get("spans", []):
                    yield {
                        "trace_id": trace["trace_info"]["trace_id"], "parent_span_id": span.get("parent_span_id") or None,
                        "content": json.dumps(_as_kept(span)),
                    }  # fmt: skip

    def _assessments(self) -> Iterator[Record]:
        for trace in self._traces():
            for one in cast("list[Record]", trace.get("assessments") or []):
                kind = "expectation" if "expectation" in one else "feedback"
                said, source = cast("Record", one.get(kind) or {}), cast("Record", one.get("source") or {})
                failed, value = cast("Record", said.get("error") or {}), said.get("value")
                if value is None and "serialized_value" in said:
                    value = json.loads(said["serialized_value"]["value"])
                yield {
                    "assessment_id": one["assessment_id"], "trace_id": one["trace_id"], "span_id": one.get("span_id"),
                    "name": one["assessment_name"], "assessment_type": kind, "value": json.dumps(value),
                    "valid": one.get("valid"), "error": failed.get("error_message") or failed.get("error_code"),
                    "source_type": source.get("source_type"), "source_id": source.get("source_id"),
                    "rationale": one.get("rationale"), "assessment_metadata": json.dumps(one["metadata"]) if one.get("metadata") else None,
                    "created_timestamp": from_rfc3339(one["create_time"]) // 10**6,
                }  # fmt: skip

    def _prompts(self) -> Iterator[Record]:
        return self._pages("GET", "2.0/mlflow/registered-models/search", "registered_models", {"filter": _PROMPTS})

    def _versions(self) -> Iterator[Record]:
        for prompt in self._prompts():
            name = str(prompt["name"]).replace("'", "")  # a quote would end the filter's text
            asked = {"filter": f"name = '{name}' AND {_PROMPTS}"}
            found = self._pages("GET", "2.0/mlflow/model-versions/search", "model_versions", asked)
            for one in sorted(found, key=lambda one: int(one["version"])):
                yield {**one, "version": int(one["version"]), "creation_time": one["creation_timestamp"]}

    def _version_tags(self) -> Iterator[Record]:
        for one in self._versions():
            for tag in one.get("tags", []):
                yield {"name": one["name"], "version": one["version"], **tag}

    def _aliases(self) -> Iterator[Record]:
        for prompt in self._prompts():
            for one in prompt.get("aliases", []):
                yield {"name": prompt["name"], "alias": one["alias"], "version": int(one["version"])}

    def _datasets(self) -> Iterator[Record]:
        ids = [one["experiment_id"] for one in self._experiments()]
        return self._pages("POST", "3.0/mlflow/datasets/search", "datasets", {"experiment_ids": ids})

    def _records(self) -> Iterator[Record]:
        for one in self._datasets():
            path = f"3.0/mlflow/datasets/{quote(str(one['dataset_id']), safe='')}/records"
            token: str | None = None
            while True:
                said = self._ask("GET", f"{path}?{urlencode({'page_token': token})}" if token else path)
                for record in json.loads(said.get("records") or "[]"):
                    yield {
                        **record,
                        **{
                            name: json.dumps(record.get(name)) for name in ("inputs", "expectations", "tags", "outputs")
                        },
                    }
                token = said.get("next_page_token")
                if not token:
                    break

    # asking

    def _pages(self, method: str, path: str, key: str, asked: Mapping[str, Json]) -> Iterator[Record]:
        token: str | None = None
        while True:
            question = {**asked, "max_results": _PAGE, **({"page_token": token} if token else {})}
            said = (
                self._ask(method, path, question)
                if method == "POST"
                else self._ask("GET", f"{path}?{urlencode(question)}")
            )
            yield from cast("list[Record]", said.get(key) or [])
            last, token = token, said.get("next_page_token")
            if not token or token == last:
                return

    def _ask(self, method: str, path: str, body: Json = None) -> dict[str, Any]:
        url = self._root + path
        data = None if body is None else json.dumps(body).encode()
        answer = net.send(net.Call(method, url, self._headers, data, _TIMEOUT, _TIMEOUT))
        if answer.status in (401, 403):
            raise BadInput(
                f"{self._root} answered {answer.status}: set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        if answer.status >= 300:
            raise BadInput(
                f"{method} {url.split('?', 1)[0]} answered {answer.status}; MLflow 3.5 or newer is expected there."
            )
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise BadInput(f"{method} {url.split('?', 1)[0]} answered no JSON: is this an MLflow server?")
        return cast("dict[str, Any]", said)


def _who() -> dict[str, str]:
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"authorization": f"Bearer {token}"}
    name, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if name and password:
        return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
    return {}


def _as_kept(span: Record) -> Record:
    """A span as MLflow's own tables keep it, each attribute a text of JSON, so that a span from a file and from a server is one."""
    attributes = {key: json.dumps(value, ensure_ascii=False) for key, value in _plain(span.get("attributes")).items()}
    events: list[Record] = span.get("events") or []
    return {
        **span, "attributes": attributes,
        "events": [{**event, "attributes": _plain(event.get("attributes"))} for event in events],
    }  # fmt: skip


def _plain(attributes: Any) -> dict[str, Json]:
    """OTLP's attributes, a list of keys with typed values, as a mapping."""
    if isinstance(attributes, dict):
        return cast("dict[str, Json]", attributes)
    return {str(one["key"]): _value(one.get("value") or {}) for one in cast("list[Record]", attributes or [])}


def _value(said: Record) -> Json:
    for kind, value in said.items():
        if isinstance(value, dict):
            inside: list[Record] = cast("Record", value).get("values") or []
            return _plain(inside) if kind == "kvlist_value" else [_value(one) for one in inside]
        return int(value) if kind == "int_value" else value
    return None
