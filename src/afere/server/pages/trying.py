"""The tab of a prompt where models are tried side by side: what may be chosen, what was written, what came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, Refused
from afere.chains.prompt import Prompt, stored_prompt
from afere.data import Dataset, Row
from afere.evals.trying import CAP, MODELS, ROWS, Cell, Plan, chosen, models_of, project_of
from afere.server.pages.asked import as_json

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_DATASETS = 100
_FIRST = 3  # rows of a dataset, unless told
TYPED = "typed"  # the id of the row that is written by hand


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. `inputs` are texts of a form's fields, or values of a program; `ids` empty: the `first` rows."""

    models: tuple[str, ...] = ()
    inputs: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    dataset: str = ""
    ids: tuple[str, ...] = ()
    first: int = _FIRST
    cap: Json = None
    run: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the prompt as a form shows it."""

    name: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Trying:
    """The form with what was written, and what it led to. `why_not`: nothing can be tried here."""

    models: tuple[str, ...]
    fields: tuple[Field, ...]
    datasets: tuple[str, ...]
    wanted: Wanted
    why_not: str = ""
    problem: str = ""
    plan: Plan | None = None
    most_models: int = MODELS
    most_rows: int = ROWS

    @property
    def cap(self) -> str:
        """As the form shows it."""
        return f"{CAP:.2f}" if self.wanted.cap is None else str(self.wanted.cap)

    @property
    def ran(self) -> bool:
        return self.plan is not None and any(one.cells for one in self.plan.columns)

    @property
    def lines(self) -> tuple[tuple[Row, tuple[Cell | None, ...]], ...]:
        """Each row with the cells of all models; None where a model could not be asked at all."""
        if self.plan is None:
            return ()
        return tuple(
            (row, tuple(one.cells[nth] if one.cells else None for one in self.plan.columns))
            for nth, row in enumerate(self.plan.rows)
        )

    def to_json(self) -> Json:
        told: dict[str, Json] = {
            "models": list(self.models), "inputs": [one.name for one in self.fields], "datasets": list(self.datasets),
            "why_not": self.why_not or None,
        }  # fmt: skip
        if self.plan is not None:
            told["rows"] = [{"id": row.id, "input": row.input or row.metadata} for row in self.plan.rows]
            told["estimate"] = {
                "calls": self.plan.calls, "cost": self.plan.cost.to_json(), "unpriced": list(self.plan.unpriced),
            }  # fmt: skip
            told["columns"] = as_json(self.plan.columns)
        return told


def trying(session: Session, artifact: Artifact, wanted: Wanted, problem: str = "", plan: Plan | None = None) -> Trying:
    """The tab, with what was written before and what came of it."""
    prompt = stored_prompt(artifact)
    try:
        models, why_not = models_of(project_of(session), artifact.name), ""
    except Refused as error:
        models, why_not = (), str(error)
    if not wanted.models and models:
        wanted = replace(wanted, models=models[:1])
    datasets = session.find("artifacts", kind="dataset", latest=True, limit=_DATASETS).items
    fields = tuple(_field(prompt, name, wanted.inputs.get(name, "")) for name in prompt.input_names)
    return Trying(models, fields, tuple(one.name for one in datasets), wanted, why_not, problem, plan)


def rows_of(session: Session, artifact: Artifact, wanted: Wanted) -> tuple[Row, ...]:
    """The rows that are wanted: of a dataset, or the one that was written. BadInput and BadPrompt name the input that does not fit."""
    if wanted.dataset:
        data = Dataset(session.get(f"dataset:{wanted.dataset}"), session)
        if len(wanted.ids) > ROWS:
            raise BadInput(f"At most {ROWS} rows; {len(wanted.ids)} were named.")
        return chosen(data.rows, wanted.ids, wanted.first)
    prompt = stored_prompt(artifact)
    prompt.values(wanted.inputs)
    return (Row(TYPED, dict(wanted.inputs)),)


def read_inputs(artifact: Artifact, texts: Mapping[str, str]) -> dict[str, Json]:
    """The values of a form's texts: JSON where an input is declared as something else than text. BadInput names the field."""
    prompt, values = stored_prompt(artifact), dict[str, Json]()
    for name, text in texts.items():
        schema = (prompt.inputs or {}).get(name, {})
        if not text and "default" in schema:
            continue
        if _is_text(schema):
            values[name] = text
            continue
        try:
            values[name] = cast("Json", json.loads(text))
        except (ValueError, RecursionError):
            raise BadInput(f"{name}: {text[:60]!r} is not JSON. It is declared as {schema.get('type')}.") from None
    return values


def _field(prompt: Prompt, name: str, given: Json) -> Field:
    schema = (prompt.inputs or {}).get(name, {})
    hint = "" if _is_text(schema) else f"JSON: {schema.get('type', 'of its schema')}"
    if "default" in schema:
        hint = f"{hint}{'; ' if hint else ''}empty: {json.dumps(schema['default'], ensure_ascii=False)[:80]}"
    return Field(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False), hint)


def _is_text(schema: Mapping[str, Json]) -> bool:
    return schema.get("type", "string") == "string"
