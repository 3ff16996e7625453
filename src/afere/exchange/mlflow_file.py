"""MLflow's SQLite file (3.x), one trace after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from afere.base.canonical import Json
from afere.exchange.bringing import Bringing
from afere.exchange.sqlitefile import Record, Tables, plain

_ELSEWHERE = (
    ("runs", "runs with their params and metrics", "afere keeps experiments of its own: evaluate again to have them"),
    ("logged_models", "logged models", "models are not artifacts here; name them in afere.yaml"),
    ("scorer_versions", "registered scorers", "write them as scorers or judges of a suite"),
    ("label_schemas", "label schemas", "the rubric of a suite says what people are asked"),
    ("review_queues", "review queues", "people read traces and experiments on the pages"),
    ("issues", "issues", "findings of the debt audit are made anew from what was brought"),
    ("endpoints", "endpoints of the gateway", "models are named in afere.yaml"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traced:
    """A trace as MLflow has it: tags and metadata as `about`, the contents of its spans, and rows of its assessments."""

    request: str
    experiment: str
    about: dict[str, str]
    spans: list[Json]
    assessments: list[Record]


class Kept:
    """What a file has. Rows of other tables come by `rows`."""

    def __init__(self, tables: Tables, into: Bringing) -> None:
        self._tables, self._into, self.rows = tables, into, tables.rows

    def require(self) -> None:
        """BadInput where the file is not MLflow's."""
        self._tables.require("trace_info", "experiments")

    def traces(self) -> Iterator[Traced]:
        """Every trace, one at a time."""
        of, names = self._tables.of, {row["experiment_id"]: str(row["name"]) for row in self.rows("experiments")}
        for info in self.rows("trace_info"):
            request = str(info["request_id"])
            about = {
                str(row["key"]): str(row["value"])
                for table in ("trace_request_metadata", "trace_tags") for row in of(table, "request_id", request)
            }  # fmt: skip
            for column, key in (
                ("session_id", "mlflow.trace.session"),
                ("client_request_id", "mlflow.clientRequestId"),
            ):
                if info.get(column):
                    about[key] = str(info[column])
            spans = [plain(row.get("content")) for row in of("spans", "trace_id", request)]
            yield Traced(
                request, names.get(info.get("experiment_id"), ""), about, spans or self._beside(request, about),
                [_one_error(row) for row in of("assessments", "trace_id", request)],
            )  # fmt: skip

    def _beside(self, request: str, about: dict[str, str]) -> list[Json]:
        """Earlier versions keep a trace's spans in a file beside the store."""
        where = about.get("mlflow.artifactLocation", "").removeprefix("file://")
        file = Path(where) / "traces.json"
        if where and file.is_file():
            said = plain(file.read_bytes())
            return cast("list[Json]", said.get("spans") or []) if isinstance(said, dict) else []
        why = f"its spans are not in this file, and {where or 'no artifact location'} has none either"
        self._into.problem(f"trace {request}", why)
        return []

    def left(self) -> None:
        """What else is there, and is not brought."""
        for table, what, why in _ELSEWHERE:
            if count := self._tables.count(table):
                self._into.lost(what, why, count)


def _one_error(row: Record) -> Record:
    """An assessment whose error is its message, as the server says it."""
    failed = plain(row.get("error"))
    if isinstance(failed, dict):
        row["error"] = failed.get("error_message") or failed.get("error_code")
    return row
