"""What a bake-off or sweep tries, what its models must be, and by which rule one of them is recommended: `sweep:` of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from afere.base.canonical import Json
from afere.models import Facts

Prefer = Literal["cost", "latency"]

_TEXTS: Json = {"type": "array", "minItems": 1, "items": {"type": "string"}}
_WORDS: dict[str, Json] = {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}

SWEEP_SCHEMA: dict[str, Json] = {
    "type": "object",
    "description": "of afere bakeoff and afere sweep: what is tried, what models must be, and by which rule one is recommended",
    "additionalProperties": False,
    "properties": {
        "models": {**cast("dict[str, Json]", _TEXTS), "description": "names of afere.yaml, or provider:model"},
        "set": {
            "type": "object",
            "additionalProperties": {"type": "array", "minItems": 1},
            "description": "values of parameters, such as {temperature: [0, 0.7]}; null leaves a parameter out",
        },
        "prompts": {
            "type": "object",
            "additionalProperties": _TEXTS,
            "description": "prompt files by component, such as {answer: [prompts/short.md, prompts/long.md]}",
        },
        "examples": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "integer", "minimum": 0, "maximum": 100},
            "description": "how many examples are chosen at each call, of prompts that choose them (examples: {data: ..., nearest: 3})",
        },
        "targets": {**cast("dict[str, Json]", _TEXTS), "description": "other chains or prompt files to run in the target's place"},
        "component": {"type": "string", "description": "the component that is varied, where the target has several models"},
        "require": {
            "type": "object",
            "additionalProperties": False,
            "description": "what a model must be, by what afere.yaml says of it; one that is not, or not known to be, is left out",
            "properties": {
                "licence": {**_WORDS, "description": "one of these"},
                "residency": {**_WORDS, "description": "only in these places"},
                "hosting": {"enum": ["hosted", "self-run"]},
                "compliance": {**_WORDS, "description": "all of these"},
                "cost": {"type": "number", "exclusiveMinimum": 0, "description": "at most so many USD per 1,000 requests"},
            },
        },
        "quality": {"type": "string", "description": "the measure that decides; the first that has numbers, unless said"},
        "prefer": {"enum": ["cost", "latency"], "description": "what decides where quality is not worse by margin"},
        "margin": {"type": "number", "exclusiveMinimum": 0, "description": "how much worse quality may be for what is preferred"},
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Require:
    """What a model must be. None: anything, also unknown."""

    licence: tuple[str, ...] | None = None
    residency: tuple[str, ...] | None = None
    hosting: str | None = None
    compliance: tuple[str, ...] | None = None
    cost: float | None = None  # USD per 1,000 requests, at most

    def problem(self, facts: Facts) -> str | None:
        """Why a model with these facts is left out; None if it is not."""
        if self.licence is not None and facts.licence not in self.licence:
            return _lacks("licence", facts.licence, f"one of {', '.join(self.licence)}")
        if self.residency is not None and (not facts.residency or not set(facts.residency) <= set(self.residency)):
            return _lacks("residency", facts.residency, f"only {', '.join(self.residency)}")
        if self.hosting is not None and facts.hosting != self.hosting:
            return _lacks("hosting", facts.hosting, self.hosting)
        if self.compliance is not None and not set(self.compliance) <= set(facts.compliance or ()):
            return _lacks("compliance", facts.compliance, f"all of {', '.join(self.compliance)}")
        if self.cost is not None and not facts.priced:
            return f"its price is not known, and at most {self.cost:g} USD per 1,000 requests is asked for; write prices: of it in afere.yaml"
        return None

    def to_json(self) -> dict[str, Json]:
        said = {
            "licence": self.licence,
            "residency": self.residency,
            "hosting": self.hosting,
            "compliance": self.compliance,
        }
        return {
            **{name: list(value) if isinstance(value, tuple) else value for name, value in said.items() if value is not None},
            **({} if self.cost is None else {"cost": self.cost}),
        }  # fmt: skip


def _lacks(what: str, has: str | Sequence[str] | None, wanted: str) -> str:
    if not has:
        return f"its {what} is not known, and {wanted} is asked for; write {what}: of it under models: in afere.yaml"
    return f"its {what} is {has if isinstance(has, str) else ', '.join(has)}, and {wanted} is asked for"


@dataclass(frozen=True)
class Sweep:
    """What is tried in the place of the target's own, every combination of it; and the rule of recommending.

    `quality` names the measure that decides. With `prefer`, a variant whose quality is proven not worse by `margin` is
    recommended for being cheaper or faster; without it only for being better.
    """

    models: tuple[str, ...] = ()
    parameters: Mapping[str, tuple[Json, ...]] = field(default_factory=dict[str, "tuple[Json, ...]"])
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    examples: tuple[int, ...] = ()
    targets: tuple[str, ...] = ()
    component: str | None = None
    require: Require = field(default_factory=Require)
    quality: str | None = None
    prefer: Prefer | None = None
    margin: float | None = None

    def to_json(self) -> dict[str, Json]:
        """As a suite writes it."""
        said: dict[str, Json] = {
            "models": list(self.models), "set": {name: list(values) for name, values in self.parameters.items()},
            "prompts": {name: list[Json](files) for name, files in self.prompts.items()}, "examples": list(self.examples), "targets": list(self.targets),
            "component": self.component, "require": self.require.to_json(), "quality": self.quality, "prefer": self.prefer,
            "margin": self.margin,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value not in (None, [], {})}


def sweep_from(said: Mapping[str, Json]) -> Sweep:
    """Read what `SWEEP_SCHEMA` has checked."""
    asked = cast("Mapping[str, Json]", said.get("require") or {})
    require = Require(
        _words(asked.get("licence")), _words(asked.get("residency")), cast("str | None", asked.get("hosting")),
        _words(asked.get("compliance")), cast("float | None", asked.get("cost")),
    )  # fmt: skip
    parameters = cast("Mapping[str, list[Json]]", said.get("set") or {})
    prompts = cast("Mapping[str, list[str]]", said.get("prompts") or {})
    return Sweep(
        tuple(cast("list[str]", said.get("models") or [])),
        {name: tuple(values) for name, values in parameters.items()},
        {name: tuple(files) for name, files in prompts.items()},
        tuple(cast("list[int]", said.get("examples") or [])),
        tuple(cast("list[str]", said.get("targets") or [])),
        cast("str | None", said.get("component")), require, cast("str | None", said.get("quality")),
        cast("Prefer | None", said.get("prefer")), cast("float | None", said.get("margin")),
    )  # fmt: skip


def _words(value: Json) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(cast("list[str]", value))
