"""Microsoft's `.prompty`: front matter and a Jinja template with role lines (`system:`). Version 2 of its schema, and the first.

Values such as `${env:KEY}` and `${file:x}` are not followed: what a prompt file says is in the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import slug
from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadPrompt
from afere.base.message import Role
from afere.chains.shapes.handlebars import from_handlebars
from afere.chains.shapes.pieces import from_plain, to_plain
from afere.chains.shapes.shaped import Notes, Shaped, owner_in, without_owner
from afere.chains.template import Section, Template

_BOUNDARY = re.compile(r"\s*#?\s*(system|user|assistant|developer)(\[[^\]\n]*\])?\s*:\s*", re.IGNORECASE)
_OPTIONS = {
    "temperature": "temperature", "topP": "top_p", "topK": "top_k", "maxOutputTokens": "max_tokens", "seed": "seed",
    "stopSequences": "stop", "frequencyPenalty": "frequency_penalty", "presencePenalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort", "allowMultipleToolCalls": "parallel_tool_calls",
}  # fmt: skip
_KINDS = {
    "string": "string", "integer": "integer", "float": "number", "number": "number", "boolean": "boolean", "array": "array",
    "object": "object",
}  # fmt: skip
_RICH = ("thread", "image", "file", "audio")
_TOP = ("name", "description", "model", "inputs", "outputs", "tools", "template", "sample")


def read_prompty(text: str, path: Path) -> Shaped:
    """A `.prompty` file. BadPrompt names file, line and what cannot be taken over."""
    head, body, line = _split(text, path)
    document = read_yaml(head, file=str(path), first_line=2, error=BadPrompt)
    said = document.value or {}
    if not isinstance(said, dict):
        raise BadPrompt(f"{path}:2: the front matter is a mapping, such as name: answer.")
    notes = Notes()
    name = str(said.get("name") or path.name.partition(".")[0])
    if slug(name) != name:
        notes.changed("name", f"{name!r} is written {slug(name)!r}")
    inputs = _inputs(said, notes, str(path))
    model, parameters = _model(said.get("model"), notes, document.at(("model",)))
    fields: dict[str, Json] = {
        "name": slug(name), "owner": owner_in(said), "description": said.get("description"), "model": model, "parameters": parameters,
        "inputs": inputs or None, "output": _outputs(said.get("outputs"), notes), "tools": _tools(said.get("tools"), notes),
    }  # fmt: skip
    notes.rest(without_owner(said), _TOP)
    kind = _format(said.get("template"), document.at(("template",)))
    sections = tuple(_sections(body, line, kind, path, set(inputs), notes))
    if inputs:
        for name in Template(sections, {}, str(path)).names:
            if name not in inputs:
                notes.lost(f"inputs.{name}", "the template uses it, and the file does not declare it: declare it")
    return Shaped(fields, sections, tuple(notes.told), str(path))


def write_prompty(prompt: Shaped, notes: Notes) -> str:
    """The prompt as a `.prompty` file of version 2."""
    import yaml

    fields = prompt.fields
    head: dict[str, Any] = {"name": prompt.name}
    if fields.get("description"):
        head["description"] = fields["description"]
    if fields.get("model") or fields.get("parameters"):
        head["model"] = _model_written(fields, notes)
    if inputs := cast("dict[str, Any]", fields.get("inputs") or {}):
        head["inputs"] = [_property(name, schema, notes, f"inputs.{name}", own=True) for name, schema in inputs.items()]
    if fields.get("output") is not None:
        head["outputs"] = _outputs_written(cast("dict[str, Any]", fields["output"]), prompt.file)
    if tools := cast("list[str]", fields.get("tools") or []):
        head["tools"] = [{"name": name, "kind": "function", "parameters": []} for name in tools]
        notes.changed("tools", "by name; what they take stays in your code")
    if fields.get("owner"):
        head["metadata"] = {"owner": fields["owner"]}
        notes.changed("owner", "written as metadata.owner")
    head["template"] = {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}}
    parts = [f"{one.role}:\n{_plain_text(one, prompt.file)}" for one in prompt.sections]
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000)
    if "---" in front:
        raise BadPrompt(f"{prompt.file}: '---' in the front matter would end it there. Take it out of a copy.")
    return f"---\n{front}---\n" + "\n\n".join(parts) + "\n"


def _plain_text(section: Section, file: str) -> str:
    if section.role == "tool":
        raise BadPrompt(f"{file}: a '# tool' message has no equal in .prompty.")
    for line in section.text.split("\n"):
        if _BOUNDARY.fullmatch(line):
            raise BadPrompt(
                f"{file}: the line {line.strip()!r} would begin a message in .prompty. Change it in a copy."
            )
    return to_plain(section.text, file)


def _split(text: str, path: Path) -> tuple[str, str, int]:
    lines = text.split("\n")
    if lines[0].strip() != "---":
        return "", text, 1
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if end is None:
        raise BadPrompt(f"{path}:1: the front matter is never closed. End it with a line ---.")
    return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2


def _sections(body: str, first: int, kind: str, path: Path, inputs: set[str], notes: Notes) -> list[Section]:
    found: list[tuple[str, list[str], int]] = []
    role, lines, begun = "system", list[str](), first
    for number, line in enumerate(body.split("\n"), start=first):
        if (mark := _BOUNDARY.fullmatch(line)) is None:
            lines.append(line)
            continue
        found.append((role, lines, begun))
        role, lines, begun = mark[1].lower(), [], number + 1
        if mark[2]:
            notes.lost(f"{role}{mark[2]}", "a message has no attributes here")
        if role == "developer":
            notes.changed("developer", "a system message")
            role = "system"
    found.append((role, lines, begun))
    sections: list[Section] = []
    for role, lines, start in found:
        said = "\n".join(lines)
        if not said.strip():
            continue
        line, text = start + len(said) - len(said.lstrip("\n")), said.strip("\n").rstrip()
        if kind == "jinja2":
            text = from_plain(text, str(path))
        else:
            (one,) = from_handlebars(text, str(path), line, inputs, notes, mustache=True)
            text = one.text
        sections.append(Section(cast("Role", role), text, line))
    return sections


def _format(template: Json, place: str) -> str:
    """`jinja2` or `mustache`."""
    said = template if isinstance(template, dict) else {"format": template}
    form = said.get("format")
    kind = form.get("kind") if isinstance(form, dict) else form
    if kind not in (None, "jinja2", "mustache"):
        raise BadPrompt(f"{place}: templates in {kind!r} cannot be read; jinja2 and mustache can.")
    return str(kind or "jinja2")


def _inputs(said: Mapping[str, Json], notes: Notes, file: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, given in _named(said.get("inputs")).items():
        if given.get("kind", given.get("type")) in _RICH:
            notes.lost(f"inputs.{name}", f"a {given.get('kind')} cannot be filled into text here", spoils=True)
            continue
        found[name] = _schema(given, notes, f"inputs.{name}", own=True)
    if isinstance(sample := said.get("sample"), dict):
        for name, value in sample.items():
            schema = cast("dict[str, Json]", found.setdefault(name, {}))
            if not _refers(value):
                found[name] = {**schema, "examples": [value]}
    elif sample is not None:
        notes.lost("sample", "a reference to another file is not followed")
    return found


def _named(value: Json) -> dict[str, dict[str, Any]]:
    """Properties by name; they are written as a list, or as a mapping with or without details."""
    if isinstance(value, list):
        return {str(one["name"]): dict(one) for one in value if isinstance(one, dict) and "name" in one}
    found: dict[str, dict[str, Any]] = {}
    for name, given in (value if isinstance(value, dict) else {}).items():
        found[name] = dict(given) if isinstance(given, dict) else {"example": given, "kind": _kind_of(given)}
    return found


def _kind_of(value: Json) -> str:
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "string")


def _schema(given: Mapping[str, Any], notes: Notes, where: str, *, own: bool = False) -> dict[str, Json]:
    """A property as a JSON Schema; `own`: of an input, which may have a default and be left out."""
    kind = given.get("kind", given.get("type"))
    schema: dict[str, Any] = {"type": _KINDS[kind]} if kind in _KINDS else {}
    if kind not in _KINDS and kind not in (None, "any"):
        notes.changed(where, f"the kind {kind!r} is not known here: any value fits")
    if given.get("description"):
        schema["description"] = given["description"]
    if given.get("enumValues"):
        schema["enum"] = given["enumValues"]
    if kind == "array" and isinstance(given.get("items"), dict):
        schema["items"] = _schema(given["items"], notes, f"{where}[]")
    if kind == "object" and given.get("properties"):
        schema |= _object(_named(given["properties"]), notes, where)
    if given.get("nullable") and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    example = given.get("example", given.get("sample"))
    if example is not None and not _refers(example):
        schema["examples"] = [example]
    if own and given.get("default") is not None:
        schema["default"] = given["default"]
    elif own and given.get("required") is False:
        schema["default"] = "" if kind == "string" else None
        if kind != "string" and "type" in schema:
            schema["type"] = [schema["type"], "null"]
        notes.changed(where, f"left out, it is {'empty' if kind == 'string' else 'null'}")
    elif own and "required" not in given:
        notes.changed(where, "must be given; there, what is left out stays empty")
    return schema


def _object(named: Mapping[str, Mapping[str, Any]], notes: Notes, where: str) -> dict[str, Json]:
    required: list[Json] = [name for name, one in named.items() if one.get("required") is not False]
    properties: dict[str, Json] = {name: _schema(one, notes, f"{where}.{name}") for name, one in named.items()}
    return {"properties": properties, **({"required": required} if required else {})}


def _refers(value: Json) -> bool:
    return isinstance(value, str) and value.startswith("${") and value.endswith("}")


def _outputs(value: Json, notes: Notes) -> dict[str, Json] | None:
    named = _named(value)
    return {"type": "object", **_object(named, notes, "outputs"), "additionalProperties": False} if named else None


def _tools(value: Json, notes: Notes) -> list[Json]:
    names: list[Json] = []
    for number, one in enumerate(value if isinstance(value, list) else []):
        if isinstance(one, dict) and one.get("kind", one.get("type")) == "function" and one.get("name"):
            names.append(str(one["name"]))
            notes.changed(f"tools.{one['name']}", "by name; what it takes and does is the tool in your code")
        else:
            notes.lost(f"tools.{number}", "only functions can be asked for here", spoils=True)
    if value is not None and not isinstance(value, list):
        notes.lost("tools", "a reference to another file is not followed", spoils=True)
    return names


def _model(value: Json, notes: Notes, place: str) -> tuple[str | None, dict[str, Json]]:
    """The model's name and its parameters, of both generations."""
    if isinstance(value, str):
        return (None if _refers(value) else value), {}
    said = value if isinstance(value, dict) else {}
    if (api := said.get("apiType", said.get("api", "chat"))) not in ("chat", "responses"):
        raise BadPrompt(f"{place}: a prompt for the API {api!r} is none that is answered in text.")
    old = said.get("configuration")
    old = old if isinstance(old, dict) else {}
    name = said.get("id") or old.get("azure_deployment") or old.get("model") or old.get("name")
    provider = said.get("provider") or old.get("type")
    if _refers(name):
        notes.lost("model.id", "a reference is not followed; name the model here")
        name = None
    elif name and provider:
        name = f"{provider}:{name}"
    for key in ("connection", "configuration", "response"):
        if said.get(key):
            notes.lost(f"model.{key}", "addresses and keys belong under models: of afere.yaml")
    options = said.get("options", said.get("parameters"))
    parameters: dict[str, Json] = {}
    for key, given in options.items() if isinstance(options, dict) else ():
        if key == "additionalProperties" and isinstance(given, dict):
            parameters |= given
        elif _refers(given) or key in ("response_format", "tools"):
            notes.lost(f"model.options.{key}", "not read; write output: or tools: here", spoils=not _refers(given))
        else:
            parameters[_OPTIONS.get(key, key)] = given
    return (str(name) if name else None), parameters


def _model_written(fields: Mapping[str, Json], notes: Notes) -> dict[str, Any]:
    there = {ours: theirs for theirs, ours in _OPTIONS.items()}
    options: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for key, given in cast("dict[str, Json]", fields.get("parameters") or {}).items():
        (options if key in there else more)[there.get(key, key)] = given
    if more:
        options["additionalProperties"] = more
    provider, _, name = str(fields.get("model") or "").partition(":")
    model = {"id": name, "provider": provider} if name else {"id": provider}
    if not model["id"]:
        notes.changed("model", "no model is named: give one where it runs")
        model = {}
    return model | {"apiType": "chat"} | ({"options": options} if options else {})


def _property(name: str, schema: Mapping[str, Any], notes: Notes, where: str, *, own: bool = False) -> dict[str, Any]:
    """A JSON Schema as a property of version 2; what has no place there is told."""
    kinds = schema.get("type")
    several = cast("list[str | None]", kinds if isinstance(kinds, list) else [kinds])
    kind = next((one for one in several if one != "null"), None)
    said: dict[str, Any] = {"name": name} if name else {}
    said["kind"] = "float" if kind == "number" else kind or "any"
    if schema.get("description"):
        said["description"] = schema["description"]
    if "null" in several:
        said["nullable"] = True
    if own:
        said["required"] = "default" not in schema
    if schema.get("default") is not None:
        said["default"] = schema["default"]
    if schema.get("examples"):
        said["example"] = schema["examples"][0]
    if schema.get("enum"):
        said["enumValues"] = schema["enum"]
    if kind == "array":
        said["items"] = _property("", schema.get("items") or {"type": "string"}, notes, f"{where}[]")
    if kind == "object":
        wanted = cast("list[str]", schema.get("required") or [])
        said["properties"] = [
            _property(key, one, notes, f"{where}.{key}") | {"required": key in wanted}
            for key, one in cast("dict[str, dict[str, Any]]", schema.get("properties") or {}).items()
        ]
    taken = (
        "type",
        "description",
        "default",
        "examples",
        "enum",
        "items",
        "properties",
        "required",
        "additionalProperties",
    )
    notes.rest(schema, taken, below=f"{where}.")
    return said


def _outputs_written(schema: dict[str, Any], file: str) -> list[dict[str, Any]]:
    if schema.get("type") != "object" or not schema.get("properties"):
        said = json.dumps(schema, ensure_ascii=False)
        raise BadPrompt(f"{file}: output: {said[:80]} has no equal in .prompty, whose outputs are properties by name.")
    wanted = cast("list[str]", schema.get("required") or [])
    notes = Notes()
    found = [
        _property(name, one, notes, f"output.{name}") | ({} if name in wanted else {"required": False})
        for name, one in schema["properties"].items()
    ]
    if notes.told:
        raise BadPrompt(f"{file}: {notes.told[0].field}: has no equal in .prompty. Take it out of a copy.")
    return found
