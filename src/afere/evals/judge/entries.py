"""Judges as a suite writes them: `{name: polite, kind: judge, rubric: ..., model: ..., scale: [...]}` and its kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from afere.base.artifact import check_name
from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import BadInput
from afere.data.place import calling_project
from afere.evals.judge.pairwise import Pairwise
from afere.evals.judge.several import Cascade, Panel
from afere.evals.judge.single import SEES, Judge, rubric_of, scale_of
from afere.evals.scorers.text import as_text

_COMMON: dict[str, Json] = {
    "name": {"type": "string", "minLength": 1},
    "rubric": {"type": "string", "minLength": 1},
    "scale": {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
    "points": {"type": "array", "items": {"type": "number"}},
    "of": {"type": "string"},
    "sees": {"type": "array", "items": {"enum": list(SEES)}},
}
_MODEL: dict[str, Json] = {"model": {"type": "string"}}
_MODELS: dict[str, Json] = {"models": {"type": "array", "minItems": 2, "items": {"type": "string"}}}


@dataclass(frozen=True)
class Kind:
    """A kind of judge that a suite configures."""

    entry: Callable[[Mapping[str, Json]], Judge]


def judge_entry(options: Mapping[str, Json]) -> Judge:
    """`{name: polite, kind: judge, rubric: TEXT or FILE, model: MODEL, scale: [fail, pass], points: [...], sees: [...], of: ...}`"""
    return Judge(**_read("judge", options, _MODEL))


def panel_entry(options: Mapping[str, Json]) -> Panel:
    """`{name: polite, kind: panel, rubric: ..., models: [a, b, c], take: majority}`; `take: mean` for numbers."""
    made = Panel(**_read("panel", options, {**_MODELS, "take": {"enum": ["majority", "mean"]}}, needs=("models",)))
    if made.take == "mean" and isinstance(made.value_of(made.scale[0]), str):
        raise BadInput(f"panel {made.name!r}: words have no mean. Give them points: [0, 0.5, 1], or take: majority.")
    return made


def cascade_entry(options: Mapping[str, Json]) -> Cascade:
    """`{name: polite, kind: cascade, rubric: ..., models: [cheap, dear]}`"""
    return Cascade(**_read("cascade", options, _MODELS, needs=("models",)))


def pairwise_entry(options: Mapping[str, Json]) -> Pairwise:
    """`{name: better, kind: pairwise, rubric: ..., to: experiment:12}`"""
    if "scale" in options or "points" in options:
        raise BadInput(f"pairwise {options.get('name')!r} has no scale: its verdicts are first, second and tie.")
    return Pairwise(**_read("pairwise", options, {**_MODEL, "to": {"type": "string"}}))


def _read(kind: str, options: Mapping[str, Json], more: dict[str, Json], needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options, checked, as the arguments of the class."""
    known, name = {**_COMMON, **more}, options.get("name")
    for option in options:
        if option not in known:
            near = get_close_matches(option, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"{kind} {name!r} has no option {option!r}.{hint} Its options: {', '.join(known)}.")
    missing = [each for each in ("name", "rubric", *needs) if not options.get(each)]
    if missing:
        raise BadInput(
            f"A {kind} needs a name and a rubric{' and ' + needs[0] if needs else ''}; {missing[0]} is missing: "
            f"{{name: polite, kind: {kind}, rubric: evals/polite.md{', models: [a, b]' if needs else ''}}}."
        )
    problem = schema_problem(dict(options), {"type": "object", "properties": known})
    if problem is not None:
        raise BadInput(f"{kind} {name!r}: {problem}.")
    return _values(kind, dict(options))


def _values(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    project, name = calling_project(), check_name(str(options["name"]), "judge")
    found: dict[str, Any] = {**options, "project": project, "rubric": rubric_of(options["rubric"], name, project)}
    if "scale" in found:
        found["scale"] = scale_of([as_text(cast("Json", word)) for word in found["scale"]], name)
    for option in ("points", "sees", "models"):
        if option in found:
            found[option] = tuple(found[option])
    scale = found.get("scale", ("fail", "pass"))
    if found.get("points") and len(found["points"]) != len(scale):
        raise BadInput(
            f"{kind} {name!r}: {len(found['points'])} points for {len(scale)} words of the scale: give one for each."
        )
    return found


JUDGE, PANEL, CASCADE, PAIRWISE = Kind(judge_entry), Kind(panel_entry), Kind(cascade_entry), Kind(pairwise_entry)
