"""MLflow's server (3.x) over its REST API, as the tables that its SQLite file has. Only asked, never written to."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from afere import net
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing
from afere.exchange.mlflow_file import Traced
from afere.exchange.sqlitefile import Record

_PAGE = 100  # of one answer of a search
_SPANS = 20  # traces whose spans are asked for at once
_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
_TIMEOUT = 60.0  # seconds


class Served:
    """The same as `mlflow_file.Kept`, asked for over HTTP.

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
        self._known, self._gone = False, ""  # whether it has answered; why it does so no more
        self._asked: dict[str, list[Record]] = {}  # what is needed more than once

    def require(self) -> None:
        """BadInput where the address is not an MLflow server's, or it does not let us in."""
        self._ask("POST", "2.0/mlflow/experiments/search", {"max_results": 1})
        self._known = True

    def rows(self, table: str, order: str = "rowid") -> Iterator[Record]:
        """All of a table's rows; an answer that fails ends it, and is named."""
        del order  # they come in the order in which they are read
        tables = {
            "model_versions": self._versions, "model_version_tags": self._version_tags,
            "registered_model_aliases": self._aliases, "registered_model_tags": self._tags,
            "evaluation_datasets": self._datasets, "evaluation_dataset_records": self._records,
        }  # fmt: skip
        if table not in tables:
            return
        yield from self._each(f"table {table}", tables[table]())

    def traces(self) -> Iterator[Traced]:
        """Every trace of all experiments, newest first, with its spans; an answer that fails costs what it should have held."""
        names = {
            str(one["experiment_id"]): str(one.get("name") or "")
            for one in self._each("experiments", self._experiments())
        }
        places: list[Json] = [
            {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one}} for one in names
        ]
        found = self._each("traces", self._pages("POST", "3.0/mlflow/traces/search", "traces", {"locations": places}))
        while some := list(islice(found, _SPANS)):
            spans = self._spans([str(one["trace_id"]) for one in some])
            for one in some:
                request, place = str(one["trace_id"]), cast("Record", one.get("trace_location") or {})
                experiment = cast("Record", place.get("mlflow_experiment") or {}).get("experiment_id")
                about = {
                    **cast("dict[str, str]", one.get("trace_metadata") or {}),
                    **cast("dict[str, str]", one.get("tags") or {}),
                }
                if one.get("client_request_id"):
                    about["mlflow.clientRequestId"] = str(one["client_request_id"])
                if request not in spans:
                    self._into.problem(f"trace {request}", "the server gave no spans of it")
                yield Traced(
                    request, names.get(str(experiment), ""), about, spans.get(request, []),
                    list(self._each(f"assessments of {request}", self._assessments(one))),
                )  # fmt: skip

    def _each(self, what: str, found: Iterator[Record]) -> Iterator[Record]:
        """What comes of an answer; one that fails ends it, and is named."""
        try:
            yield from found
        except (BadInput, AttributeError, KeyError, TypeError, ValueError) as problem:
            self._into.problem(what, f"{problem}; the rest of it is left out")

    # tables, as SQLite has them

    def _experiments(self) -> Iterator[Record]:
        return self._once("experiments", self._pages("POST", "2.0/mlflow/experiments/search", "experiments", {}))

    def _once(self, what: str, found: Iterator[Record]) -> Iterator[Record]:
        if what not in self._asked:
            self._asked[what] = list(found)
        yield from self._asked[what]

    def _spans(self, requests: list[str]) -> dict[str, list[Json]]:
        """The spans of these traces, as MLflow's own tables keep them."""
        asked = urlencode({"trace_ids": requests}, doseq=True)
        try:
            traces: list[Record] = self._ask("GET", f"3.0/mlflow/traces/batchGet?{asked}").get("traces") or []
            return {
                str(one["trace_info"]["trace_id"]): [_as_kept(span) for span in cast("list[Record]", one.get("spans") or [])] for one in traces
            }  # fmt: skip
        except (BadInput, AttributeError, KeyError, TypeError, ValueError) as problem:
            self._into.problem(f"spans of {len(requests)} traces", str(problem))
            return {}

    def _assessments(self, trace: Record) -> Iterator[Record]:
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
        found = self._pages("GET", "2.0/mlflow/registered-models/search", "registered_models", {"filter": _PROMPTS})
        return self._once("prompts", found)

    def _versions(self) -> Iterator[Record]:
        return self._once("versions", self._all_versions())

    def _all_versions(self) -> Iterator[Record]:
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

    def _tags(self) -> Iterator[Record]:
        for prompt in self._prompts():
            for one in prompt.get("tags", []):
                yield {"name": prompt["name"], **one}

    def _datasets(self) -> Iterator[Record]:
        ids = [one["experiment_id"] for one in self._experiments()]
        found = self._pages("POST", "3.0/mlflow/datasets/search", "datasets", {"experiment_ids": ids})
        return self._once("datasets", found)

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
        if self._gone:
            raise BadInput(self._gone)
        try:
            answer = net.send(net.Call(method, url, self._headers, data, _TIMEOUT, _TIMEOUT))
        except net.HostFailed as problem:
            if not self._known:
                raise
            self._gone = str(problem)  # what is asked after this would only wait as long again
            raise BadInput(self._gone) from None
        if answer.status in (401, 403):
            raise BadInput(
                f"{self._root} answered {answer.status}: set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        if 300 <= answer.status < 400:
            to = answer.headers.get("location", "another address")
            raise BadInput(
                f"{method} {url.split('?', 1)[0]} leads to {to}: give the address where MLflow itself answers."
            )
        if answer.status >= 400:
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
