"""One row of a dataset as a form, or the form for new rows: what a person may write, and what of it was wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.data import Dataset, Row
from afere.data.reading import parse_json
from afere.data.rows import FIELDS, RowProblem
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.store import Session

JSON = ":json"  # the ending of a control whose text is JSON
_HINTS = {
    "expected": "the right answer; leave it empty where it is not known",
    "tags": "separated by commas, such as essential, edge",
    "split": "such as test",
    "group": "rows that belong together, such as one session",
    "weight": "how much it counts, from 0 up",
    "relevant": "ids of passages that a good search finds, one a line",
    "metadata": "anything else, as a JSON object",
    "output": "an answer given elsewhere, to be scored as it is",
}


@dataclass(frozen=True, slots=True)
class Control:
    """A field of the form: its name there (`input.question`, `expected:json`), what stands in it, and what is wrong with it."""

    name: str
    text: str
    problem: str = ""

    @property
    def field(self) -> str:
        """The field of the row: `input.question`."""
        return self.name.removesuffix(JSON)

    @property
    def label(self) -> str:
        """What people call it: a key of a row without input by its own name, as it was written."""
        outer, _, own = self.field.partition(".")
        return own if outer == "metadata" and own and own not in FIELDS else self.field

    @property
    def is_json(self) -> bool:
        return self.name.endswith(JSON)

    @property
    def hint(self) -> str:
        return _HINTS.get(self.field, "") or ("JSON" if self.is_json else "")

    @property
    def lines(self) -> int:
        """How many lines it is drawn with; 1: a line that cannot be broken."""
        if self.field in ("tags", "split", "group", "weight"):
            return 1
        return max(2, min(14, self.text.count("\n") + len(self.text) // 90 + 1))


@dataclass(frozen=True, slots=True)
class RowPage:
    """`row` None: a new one. `problem` is what is wrong with the whole, `status` the answer's."""

    name: str
    base: int
    row: Row | None
    controls: tuple[Control, ...]
    newest: int
    before: str | None = None
    after: str | None = None
    why: str = ""
    problem: str = ""
    lines: str = ""
    opened: str = ""  # which of the forms was sent: row, lines or file
    status: int = 200

    @property
    def title(self) -> str:
        return f"Row {self.row.id}" if self.row else f"Add rows to {self.name}"

    def to_json(self) -> Json:
        return {
            "dataset": self.name, "version": self.base, "newest": self.newest, "row": self.row.to_json() if self.row else None,
            "before": self.before, "after": self.after, "fields": [one.field for one in self.controls],
        }  # fmt: skip


def page(session: Session, asked: Asked) -> RowPage:
    """A row of a version, with the ones beside it."""
    name, version = str(asked.path["name"]), str(asked.path["version"])
    data = Dataset(session.get(f"dataset:{name}@{version}"), session)
    ids = [row.id for row in data.rows]
    wanted = str(asked.path["id"])
    if wanted not in ids:
        raise NotFound(f"{data.ref} has no row {wanted!r}.")
    at = ids.index(wanted)
    row = data.rows[at]
    return RowPage(
        name, data.artifact.version, row, controls_of(row), session.get(f"dataset:{name}").version,
        ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None,
    )  # fmt: skip


def new_page(session: Session, asked: Asked) -> RowPage:
    """The forms for new rows: one by its fields, several as JSON lines, a file."""
    name = str(asked.path["name"])
    try:
        data = Dataset(session.get(f"dataset:{name}"), session)
    except NotFound:
        return RowPage(name, 0, None, _blank({}), 0)
    version = data.artifact.version
    return RowPage(name, version, None, _blank(data.schema), version)


def controls_of(row: Row) -> tuple[Control, ...]:
    """A row as controls: text as it is, anything else as JSON. Without input, the row's own keys are what a target gets."""
    made = [_control(f"input.{key}", value) for key, value in row.input.items()]
    own = {} if row.input else row.metadata
    made += [_control(f"metadata.{key}", value) for key, value in own.items()]
    made.append(_control("expected", row.expected))
    if row.output is not None:
        made.append(_control("output", row.output))
    made += [
        Control("tags", ", ".join(row.tags)), Control("split", row.split or ""), Control("group", row.group or ""),
        Control("weight", f"{row.weight:g}"), Control("relevant", "\n".join(row.relevant)),
    ]  # fmt: skip
    if not own:
        made.append(Control("metadata" + JSON, _written(row.metadata) if row.metadata else ""))
    return tuple(made)


def _blank(schema: Mapping[str, Json]) -> tuple[Control, ...]:
    properties = cast("dict[str, Any]", schema.get("properties") or {})
    inputs = _blank_keys(properties, "input")
    own = [] if inputs else _blank_keys(properties, "metadata")
    expected = properties.get("expected", {}).get("type", "string") == "string"
    return (
        *(inputs or own or [Control("input" + JSON, "")]), Control("expected" + ("" if expected else JSON), ""),
        *(Control(name, "") for name in ("tags", "split", "group", "relevant")),
        *([] if own else [Control("metadata" + JSON, "")]),
    )  # fmt: skip


def _blank_keys(properties: Mapping[str, Any], outer: str) -> list[Control]:
    fields = cast("dict[str, dict[str, Json]]", properties.get(outer, {}).get("properties") or {})
    return [
        Control(f"{outer}.{key}", "")
        if said.get("type") == "string"
        else Control(f"{outer}.{key}{JSON}", "null" if "null" in str(said.get("type")) else "")
        for key, said in fields.items()
    ]


def _control(name: str, value: Json) -> Control:
    text = isinstance(value, str) or (
        value is None and name in _HINTS
    )  # null stays null: as text it would become empty
    return Control(name if text else name + JSON, value if isinstance(value, str) else _written(value))


def _written(value: Json) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=1)


def row_of(given: Mapping[str, str]) -> tuple[dict[str, Json], dict[str, str]]:
    """What a form says of a row, and what is wrong with its fields, by the control's name.

    Without an `id` the row is new: keys of its own that were left empty are absent, so that one that all rows have is missed,
    and so is an input in which nothing was written.
    """
    row: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    is_new = not given.get("id")
    for name, written in given.items():
        field = name.removesuffix(JSON)
        outer, _, inner = field.partition(".")
        if outer not in (*_HINTS, "input") or (is_new and outer == "metadata" and not written.strip()):
            continue
        try:
            value = _value(field, written.replace("\r\n", "\n"), is_json=name.endswith(JSON))
        except RowProblem as problem:
            wrong[name] = str(problem)
            continue
        if outer == "input" and inner:
            row.setdefault("input", {})[inner] = value
        elif outer == "metadata" and inner:  # written as the short row that it is, where no field of ours has that name
            (row.setdefault("metadata", {}) if inner in FIELDS else row)[inner] = value
        elif value is not None:
            row[field] = value
    said = row.get("input")
    if is_new and isinstance(said, dict) and not any(map(_is_said, cast("dict[str, Json]", said).values())):
        del row["input"]
    return row, wrong


def _is_said(value: Json) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _value(field: str, text: str, *, is_json: bool) -> Json:
    if field == "tags":
        return [one.strip() for one in text.split(",") if one.strip()]
    if field == "relevant":
        return [one.strip() for one in text.split("\n") if one.strip()]
    if field == "weight":
        try:
            weight = float(text) if text.strip() else None
        except ValueError:
            weight = math.nan
        if weight is not None and not math.isfinite(weight):
            raise RowProblem(f"{text[:20]!r} is no number; write one from 0 up")
        return weight
    if is_json:
        return parse_json(text) if text.strip() else None
    return text if text.strip() or field.startswith(("input.", "metadata.")) else None


def with_problems(
    shown: RowPage, given: Mapping[str, str], wrong: Mapping[str, str], error: str, status: int
) -> RowPage:
    """The page again, with what was written and what is wrong with it."""
    sent = {name.removesuffix(JSON): (name, text) for name, text in given.items()}
    controls = tuple(
        replace(one, name=name, text=text, problem=wrong.get(name, ""))
        for one in shown.controls
        for name, text in [sent.get(one.field, (one.name, one.text))]
    )
    return replace(
        shown, controls=controls, problem=error, status=status, why=given.get("why", ""), lines=given.get("lines", ""),
        opened=given.get("do", ""),
    )  # fmt: skip


def place_of(problem: str, names: Mapping[str, str]) -> str | None:
    """The control that a problem of a row is about, by the field that it begins with."""
    field = problem.partition(":")[0].strip()
    found = [name for name in names if name.removesuffix(JSON) == field]
    below = [name for name in names if field.startswith(name.removesuffix(JSON) + ".")]
    return next(iter([*found, *below]), None)


def version_in(text: str) -> int:
    """The version that a form was made of."""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise BadInput(f"base={text!r}: the number of the version that was looked at; 0 for a new dataset.")
    return int(text)
