"""Phoenix's SQLite file: traces with their spans, annotations, prompts with tags, every version of its datasets."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, body_of, escaped, from_f_string, from_mustache
from afere.exchange.sqlitefile import Record, Tables, opened, plain
from afere.tracing.otlp.batch import Sent, Source, span

# Phoenix keeps what senders wrote as JSON text as mappings; the dialect reads the text.
_TEXTS = ("document.metadata", "llm.prompt_template.variables", "metadata", "tool.parameters")
_WHO = {"HUMAN": "person", "LLM": "judge", "CODE": "scorer"}
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
    """`place`: phoenix.db, the file in the folder that PHOENIX_WORKING_DIR names, ~/.phoenix unless it is set."""
    if "://" in place:
        raise BadInput(f"{place}: give Phoenix's SQLite file, phoenix.db in PHOENIX_WORKING_DIR; its API is not read.")
    with opened(place, into, "Phoenix") as tables:
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
        self._each("spans", "id", self._span)
        self._each("span_annotations", "id", self._annotation)
        self._each("trace_annotations", "id", self._annotation)
        self._each("document_annotations", "id", self._annotation)
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
        status, attributes = str(row.get("status_code")), plain(row.get("attributes"))
        if not isinstance(attributes, dict):
            raise BadInput("its attributes are not a JSON mapping")
        sent = Sent(
            trace, str(row["span_id"]), str(row.get("parent_id") or ""), str(row["name"]), 1, _ns(row["start_time"]),
            _ns(row["end_time"]), failed=status == "ERROR", message=str(row.get("status_message") or ""),
            attributes=dict(_flat("", attributes)), events=[_event(one) for one in _list(row.get("events"))],
        )  # fmt: skip
        sent.attributes.setdefault("openinference.span.kind", str(row.get("span_kind") or "UNKNOWN"))
        resource: dict[str, Json] = {"service.name": project} if project else {}
        self.into.span(span(sent, Source.of(resource).scope("phoenix", "", {})))
        self.spans[row["id"]] = f"{trace}/{row['span_id']}"
        self.into.kept("span")
        if project:
            self.into.changed("project of a trace", "as service.name of its resource")

    def _annotation(self, row: Record) -> None:
        target = self.spans[row["span_rowid"]] if "span_rowid" in row else self.traces[row["trace_rowid"]][0]
        name, at, label = str(row["name"]), rfc3339(_ns(row["updated_at"])), row.get("label")
        value = row["score"] if row["score"] is not None else label
        data: dict[str, Json] = {}
        if metadata := plain(row.get("metadata")):
            data["metadata"] = metadata
        if label is not None and row["score"] is not None:
            data["label"] = str(label)
            self.into.changed("label of an annotation", "beside the score, in its data")
        if (position := row.get("document_position")) is not None:
            data["document"] = position
            self.into.changed("annotation of a document", "a score of its span, whose data has the document's position")
        self.into.score(
            target, name, value, f"{_WHO.get(str(row['annotator_kind']), 'service')}:{row.get('identifier') or 'unknown'}",
            key=f"{target} {name} {row.get('identifier')} {row.get('user_id')} {position} {at}", at=at,
            why=str(row.get("explanation") or ""), data=data,
        )  # fmt: skip
        self.into.kept("annotation")

    def _prompts(self) -> None:
        names = {row["id"]: str(row["name"]) for row in self.tables.rows("prompts")}
        made: dict[Any, Artifact] = {}

        def version(row: Record) -> None:
            artifact = self._version(row, names[row["prompt_id"]])
            if artifact is not None:
                made[row["id"]] = artifact

        def tag(row: Record) -> None:
            if row["prompt_version_id"] in made:
                self.into.alias(made[row["prompt_version_id"]], str(row["name"]), why="as in Phoenix")
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
            name, body_of((role, written(text)) for role, text in pairs), at=rfc3339(_ns(row["created_at"])),
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
                    rows[one["dataset_example_id"]] = _row(one)
            if rows and self.into.dataset(name, rows.values()):
                self.into.kept("rows of datasets, version by version", len(rows))
                self.into.changed("date of a dataset", "a version here is as old as the import")

        self._each("dataset_versions", "id", version)


def _row(row: Record) -> dict[str, Any]:
    said: dict[str, Any] = {"id": f"example-{row['dataset_example_id']}", "input": plain(row["input"])}
    if output := plain(row["output"]):
        said["expected"] = output
    if metadata := plain(row.get("metadata")):
        said["metadata"] = metadata
    return said


def _flat(prefix: str, value: Json) -> Iterator[tuple[str, Json]]:
    """Attributes by dotted names, as they were sent."""
    if prefix.endswith(_TEXTS) and isinstance(value, dict):
        yield prefix, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, one)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for position, one in enumerate(value):
            yield from _flat(f"{prefix}.{position}", one)
    else:
        yield prefix, value


def _event(said: dict[str, Any]) -> dict[str, Json]:
    return {"name": said.get("name", ""), "at": rfc3339(_ns(said["timestamp"])), **(said.get("attributes") or {})}


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


def _ns(text: object) -> int:
    """Nanoseconds of a time as SQLite keeps it, in UTC unless it says otherwise."""
    moment = str(text).replace(" ", "T", 1)
    return from_rfc3339(moment if moment.endswith("Z") or "+" in moment else f"{moment}Z")
