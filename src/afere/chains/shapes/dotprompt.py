"""Google's dotprompt (`.prompt`): front matter, Picoschema, and a Handlebars template with `{{role "system"}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import slug
from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadPrompt
from afere.chains.shapes.handlebars import from_handlebars
from afere.chains.shapes.handlebars_written import to_handlebars
from afere.chains.shapes.picoschema import json_schema
from afere.chains.shapes.shaped import Notes, Shaped, owner_in, without_owner

_FRONT = re.compile(r"\A---[^\S\n]*\n(.*?)\n---[^\S\n]*\n(.*)\Z", re.DOTALL)
_CONFIG = {
    "temperature": "temperature", "topP": "top_p", "topK": "top_k", "maxOutputTokens": "max_tokens", "seed": "seed",
    "stopSequences": "stop", "frequencyPenalty": "frequency_penalty", "presencePenalty": "presence_penalty",
}  # fmt: skip
_TOP = ("name", "description", "model", "config", "input", "output", "tools")
_ROLES = {"assistant": "model"}


def read_dotprompt(text: str, path: Path) -> Shaped:
    """A `.prompt` file. BadPrompt names file, line and construct; what is only left out is told."""
    front = _FRONT.match(text)
    document = read_yaml(front[1] if front else "", file=str(path), first_line=2, error=BadPrompt)
    said = document.value or {}
    if not isinstance(said, dict):
        raise BadPrompt(f"{path}:2: the front matter is a mapping, such as model: googleai/gemini-2.5-flash.")
    notes = Notes()
    name, *variant = str(said.get("name") or path.name.removesuffix(".prompt")).split(".")
    if slug(name) != name:
        notes.changed("name", f"{name!r} is written {slug(name)!r}")
    if variant and "variant" not in said:
        notes.lost("variant", f"{'.'.join(variant)!r}: a prompt has no variants here; give it a name of its own")
    inputs, optional = _inputs(said.get("input"), notes, document.at(("input",)))
    fields: dict[str, Json] = {
        "name": slug(name), "owner": owner_in(said), "description": said.get("description"), "model": said.get("model"),
        "parameters": _config(said.get("config")), "inputs": inputs,
        "output": _output(said.get("output"), notes, document.at(("output",))), "tools": said.get("tools") or [],
    }  # fmt: skip
    notes.rest(without_owner(said), _TOP)
    body = front[2] if front else text
    first = front[1].count("\n") + 4 if front else 1
    sections = tuple(from_handlebars(body, str(path), first, set(inputs or ()), notes, optional=optional))
    return Shaped(fields, sections, tuple(notes.told), str(path))


def write_dotprompt(prompt: Shaped, notes: Notes) -> str:
    """The prompt as a `.prompt` file. BadPrompt names the construct and its line."""
    import yaml

    fields = prompt.fields
    head: dict[str, Any] = {"name": prompt.name}
    for key in ("description", "model"):
        if fields.get(key):
            head[key] = fields[key]
    if parameters := cast("dict[str, Json]", fields.get("parameters") or {}):
        there = {ours: theirs for theirs, ours in _CONFIG.items()}
        head["config"] = {there.get(key, key): value for key, value in parameters.items()}
    if inputs := cast("dict[str, Any]", fields.get("inputs") or {}):
        head["input"] = _input_written(inputs)
    if fields.get("output") is not None:
        head["output"] = {"format": "json", "schema": fields["output"]}
    if fields.get("tools"):
        head["tools"] = fields["tools"]
    if fields.get("owner"):
        head["metadata"] = {"owner": fields["owner"]}
        notes.changed("owner", "written as metadata.owner")
    parts = [
        f'{{{{role "{_ROLES.get(one.role, one.role)}"}}}}\n{to_handlebars(one, prompt.file, set(inputs))}\n'
        for one in prompt.sections
    ]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)}---\n{''.join(parts)}"


def _config(value: Json) -> dict[str, Json]:
    said = value if isinstance(value, dict) else {}
    return {_CONFIG.get(key, key): given for key, given in said.items()}


def _inputs(value: Json, notes: Notes, place: str) -> tuple[dict[str, Json] | None, set[str]]:
    """The inputs, and those of them that may be null; None where the file declares none."""
    said = value if isinstance(value, dict) else {}
    given = said.get("default")
    defaults = given if isinstance(given, dict) else {}
    if said.get("schema") is None:
        if not defaults:
            return None, set()
        notes.changed("input", "no schema: its inputs are those with a default")
        return {name: {"default": one} for name, one in defaults.items()}, set()
    schema = json_schema(said["schema"], f"{place}: input.schema")
    if schema.get("type") != "object":
        raise BadPrompt(f"{place}: input.schema: a prompt takes values by name, so its schema is an object's.")
    if isinstance(schema.get("additionalProperties"), dict):
        notes.lost("input.schema.(*)", "only inputs that are named can be given")
    required = cast("list[str]", schema.get("required") or [])
    inputs: dict[str, Json] = {}
    optional: set[str] = set()
    for name, one in cast("dict[str, dict[str, Json]]", schema.get("properties") or {}).items():
        inputs[name] = dict(one)
        if name in defaults:
            inputs[name] = {**one, "default": defaults[name]}
        elif name not in required:
            empty = one.get("type") in ("string", ["string", "null"])
            inputs[name] = {**one, "default": "" if empty else None}
            optional |= set() if empty else {name}
    for name in defaults:
        inputs.setdefault(name, {"default": defaults[name]})
    return inputs, optional


def _input_written(inputs: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    defaults = {name: one["default"] for name, one in inputs.items() if "default" in one}
    properties = {name: {key: value for key, value in one.items() if key != "default"} for name, one in inputs.items()}
    required = [name for name in inputs if name not in defaults]
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return {"schema": schema, **({"default": defaults} if defaults else {})}


def _output(value: Json, notes: Notes, place: str) -> dict[str, Json] | None:
    said = value if isinstance(value, dict) else {}
    if said.get("schema") is not None:
        return json_schema(said["schema"], f"{place}: output.schema")
    if said.get("format") not in (None, "text"):
        notes.lost("output.format", f"{said['format']!r} without a schema: write output: here", spoils=True)
    return None
