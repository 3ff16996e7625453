"""Phoenix's SQLite file: traces with their spans, annotations, prompts with tags, every version of its datasets; or its exports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, body_of, escaped, from_f_string, from_mustache
from afere.exchange.phoenix_export import bring_export
from afere.exchange.phoenix_records import keep_annotation, keep_span, ns, row_of
from afere.exchange.sqlitefile import Record, Tables, opened, plain

_ROLES = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "ai": "assistant",
    "model": "assistant", "tool": "tool",
}  # fmt: skip
_FORMATS: dict[str, Callable[[str], str]] = {"MUSTACHE": from_mustache, "F_STRING": from_f_string, "NONE": escaped}
_ELSEWHERE = (
    ("experiment_runs", "experiments with their runs", "afere keeps experiments of its own: evaluate again to have them"),
    ("project_session_annotations", "annotations of sessions", "scores here are of spans and traces"),
)  # fmt: skip


def bring(place: str, into: Bringing) -> None:
    """`place`: phoenix.db, the file in the folder that PHOENIX_WORKING_DIR names, ~/.phoenix unless it is set; that folder; or
    a file or folder of what its client gave, as JSON, JSON lines or Parquet."""
    if "://" in place:
        raise BadInput(f"{place}: give Phoenix's SQLite file, phoenix.db in PHOENIX_WORKING_DIR; its API is not read.")
    root = Path(place)
    file = root / "phoenix.db" if (root / "phoenix.db").is_file() else root
    if file.is_dir() or file.suffix in (".json", ".jsonl", ".parquet"):
        bring_export(place, into)
        return
    with opened(str(file), into, "Phoenix") as tables:
        tables.require("traces", "spans")
        _Reading(tables, into).all()


class _Reading:
    def __init__(self, tables: Tables, into: Bringing) -> None:
        self.tables, self.into = tables, into
        projects = {row["id"]: str(row["name"]) for row in tables.rows("projects")}
        self.traces: dict[Any, tuple[str, str]] = {
            row["id"]: (str(row["trace_id"]), projects.get(row.get("project_rowid"), "")) for row in tables.rows("traces")
        }  # fmt: skip
        self.spans: dict[Any, str] = {}  # TRACE/SPAN by row

    def all(self) -> None:
        self._each("spans", "rowid", self._span)
        self._each("span_annotations", "rowid", self._annotation)
        self._each("trace_annotations", "rowid", self._annotation)
        self._each("document_annotations", "rowid", self._annotation)
        self._prompts()
        self._datasets()
        for table, what, why in _ELSEWHERE:
            count = sum(1 for _ in self.tables.rows(table))
            if count:
                self.into.lost(what, why, count)

    def _each(self, table: str, order: str, take: Callable[[Record], None]) -> None:
        """A row that cannot be read, also for the columns of another version, is named and left out."""
        for row in self.tables.rows(table, order):
            try:
                take(row)
            except KeyError as problem:
                self.into.problem(f"{table} {row.get('id')}", f"there is no {problem} of it; is this another version?")
            except (AttributeError, BadInput, TypeError, ValueError) as problem:
                self.into.problem(f"{table} {row.get('id')}", str(problem))

    def _span(self, row: Record) -> None:
        trace, project = self.traces[row["trace_rowid"]]
        attributes = plain(row.get("attributes"))
        if not isinstance(attributes, dict):
            raise BadInput("its attributes are not a JSON mapping")
        costs = [one.get("total_cost") for one in self.tables.of("span_costs", "span_rowid", row["id"])]
        keep_span(
            trace, project, row, attributes, _list(row.get("events")), self.into, cost=costs[0] if costs else None
        )
        self.spans[row["id"]] = f"{trace}/{row['span_id']}"

    def _annotation(self, row: Record) -> None:
        target = self.spans[row["span_rowid"]] if "span_rowid" in row else self.traces[row["trace_rowid"]][0]
        keep_annotation(target, row, self.into)

    def _prompts(self) -> None:
        names = {row["id"]: str(row["name"]) for row in self.tables.rows("prompts")}
        made: dict[Any, Artifact] = {}

        def version(row: Record) -> None:
            artifact = self._version(row, names[row["prompt_id"]])
            if artifact is not None:
                made[row["id"]] = artifact

        def tag(row: Record) -> None:
            if row["prompt_version_id"] in made:
                self.into.alias(made[row["prompt_version_id"]], str(row["name"]), tool="Phoenix")
                self.into.changed("tag of a prompt", "an alias, whose history begins with the import")

        self._each("prompt_versions", "prompt_id, id", version)
        self._each("prompt_version_tags", "id", tag)

    def _version(self, row: Record, name: str) -> Artifact | None:
        written = _FORMATS.get(str(row["template_format"]))
        if written is None:
            raise BadInput(f"its template format {row['template_format']!r} is not known; known: {', '.join(_FORMATS)}")
        template = cast("dict[str, Any]", plain(row["template"]))
        pairs = [("user", str(template["template"]))] if "template" in template else list(self._messages(template))
        schema = _schema(plain(row.get("response_format")))
        tools: list[str] = [
            one["function"]["name"] for one in _list(_inner(row.get("tools"), "tools")) if "function" in one
        ]
        artifact = self.into.prompt(
            name, body_of((role, written(text)) for role, text in pairs), at=rfc3339(ns(row["created_at"])),
            why=str(row.get("description") or f"Phoenix version {row['id']}"), label=f"{name} version {row['id']}",
            output=schema, tools=cast("Json", tools or None),
        )  # fmt: skip
        if artifact is None:
            return None
        self.into.kept("prompt text, date and description of its version")
        if tools:
            self.into.changed("tools of a prompt", "their names; their schemas come with code or an MCP server")
        if row.get("model_name"):
            self.into.lost("model of a prompt and its parameters", "they belong to the component that uses the prompt")
        return artifact

    def _messages(self, template: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for one in template["messages"]:
            content, role = one["content"], str(one["role"]).lower()
            parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
            for part in parts:
                if part.get("type") != "text":
                    self.into.lost(f"{part.get('type')} part of a prompt", "templates are text")
            if role not in _ROLES:
                raise BadInput(f"the role {role!r} of a message is not known; known: {', '.join(_ROLES)}")
            yield _ROLES[role], "\n".join(str(part["text"]) for part in parts if part.get("type") == "text")

    def _datasets(self) -> None:
        names = {row["id"]: str(row["name"]) for row in self.tables.rows("datasets")}
        changes: dict[Any, list[Record]] = defaultdict(list)

        def change(row: Record) -> None:
            changes[row["dataset_version_id"]].append(row)

        self._each("dataset_example_revisions", "id", change)
        now: dict[Any, dict[Any, dict[str, Any]]] = defaultdict(dict)

        def version(row: Record) -> None:
            rows, name = now[row["dataset_id"]], names[row["dataset_id"]]
            for one in changes[row["id"]]:
                if one["revision_kind"] == "DELETE":
                    rows.pop(one["dataset_example_id"], None)
                else:
                    rows[one["dataset_example_id"]] = row_of(one, f"example-{one['dataset_example_id']}")
            if rows and self.into.dataset(name, rows.values()):
                self.into.kept("rows of datasets, version by version", len(rows))
                self.into.changed("date of a dataset", "a version here is as old as the import")

        self._each("dataset_versions", "id", version)


def _schema(said: Json) -> dict[str, Json] | None:
    inner: Any = said.get("json_schema") if isinstance(said, dict) else None
    schema: Any = cast("dict[str, Any]", inner).get("schema") if isinstance(inner, dict) else None
    return cast("dict[str, Json]", schema) if isinstance(schema, dict) else None


def _inner(column: object, key: str) -> Json:
    said = plain(column)
    return said.get(key) if isinstance(said, dict) else None


def _list(said: object) -> list[Any]:
    value = plain(said) if isinstance(said, str | bytes) else said
    return cast("list[Any]", value) if isinstance(value, list) else []
