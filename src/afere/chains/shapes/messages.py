"""GitHub Models' `.prompt.yml`, and the prompt JSON of MLflow and of Langfuse: messages that fill in `{{name}}` and nothing else.

Where that is all a template uses, it means the same there and here; any other construct is refused by name, in both directions.
A model's name is taken over as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import slug
from afere.base.canonical import Json
from afere.base.document import Document, read_yaml
from afere.base.errors import BadPrompt
from afere.base.message import Role
from afere.chains.shapes.shaped import Notes, Shaped
from afere.chains.template import Section

_ROLES = ("system", "user", "assistant")
_CONSTRUCT = re.compile(r"\{\{.*?\}\}\}?|\{%.*?%\}|\{#.*?#\}|\{\{|\}\}|\{%|\{#", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_BLOCK = re.compile(r"content:\s*[|>][-+0-9]*\s*$")
_ROLE_LINE = re.compile(r"^# (system|user|assistant|tool)[ \t]*$", re.MULTILINE)


def read_messages(text: str, path: Path) -> Shaped:
    """`*.prompt.yml`, or JSON as MLflow or Langfuse give it. BadPrompt names what does not fit."""
    document = read_yaml(text, file=str(path), error=BadPrompt)  # JSON is YAML too
    said = document.value
    if not isinstance(said, dict):
        raise BadPrompt(f"{path}:1: a prompt is a mapping, with messages:, prompt: or template:.")
    key = next((key for key in ("messages", "prompt", "template") if key in said), None)
    if key is None:
        raise BadPrompt(f"{path}:1: it has none of messages (GitHub), prompt (Langfuse), template (MLflow).")
    github = key == "messages"
    config = said.get("modelParameters" if github else "config") or {}
    if not isinstance(config, dict):
        raise BadPrompt(f"{path}: the parameters are not a mapping.")
    model = said.get("model") if github else config.get("model")
    notes, known = (
        Notes(),
        {"name", key, *(("model", "modelParameters", "description") if github else ("type", "config"))},
    )
    notes.rest((name for name in said if said[name] not in (None, [], {})), known)
    fields: dict[str, Json] = {
        "name": slug(str(said.get("name") or path.name.partition(".")[0])), "model": str(model) if model else None,
        "description": said.get("description") if github else None,
        "parameters": {name: value for name, value in config.items() if name != "model"},
    }  # fmt: skip
    begun = _begun(document, key, text.split("\n"))
    return Shaped(fields, _messages(said[key], key, str(path), begun), tuple(notes.told), str(path))


def write_messages(prompt: Shaped, shape: str, notes: Notes) -> str:
    """The prompt as `github` (YAML), `langfuse` or `mlflow` (JSON). BadPrompt names what has no equal there."""
    fields = prompt.fields
    for name in ("output", "tools"):
        if fields.get(name):
            raise BadPrompt(
                f"{prompt.file}: {name}: has no equal in the other shape. Take it out of a copy, and convert that."
            )
    places = {"inputs": "it takes what its template names", "owner": "no place there"}
    if shape != "github":
        places["description"] = "no place there"
    if shape == "mlflow":
        places |= {"model": "name it where the prompt is used", "parameters": "name them where the prompt is used"}
    for name, why in places.items():
        if fields.get(name):
            notes.lost(name, why)
    _messages([{"role": one.role, "content": one.text} for one in prompt.sections], "template", prompt.file)
    messages: list[Json] = [{"role": one.role, "content": one.text} for one in prompt.sections]
    model, parameters = fields.get("model"), cast("dict[str, Json]", fields.get("parameters") or {})
    config = dict(parameters) | ({"model": model} if model else {})
    if shape == "github":
        import yaml

        value: dict[str, Any] = {
            "name": prompt.name, "description": fields.get("description"), "model": model, "modelParameters": parameters,
        }  # fmt: skip
        value = {key: one for key, one in value.items() if one} | {"messages": messages}
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
    if shape == "langfuse":
        told: Json = {"name": prompt.name, "type": "chat", "prompt": messages, "config": config}
    else:
        told = {"name": prompt.name, "template": messages}
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def _begun(document: Document, key: str, lines: Sequence[str]) -> Mapping[int, int]:
    """The line at which the text of each message begins: below `content: |`, else beside its key."""
    found: dict[int, int] = {}
    for place, line in document.lines.items():
        if place == (key,) or (len(place) == 3 and place[0] == key and place[2] == "content"):
            number = place[1] if len(place) == 3 and isinstance(place[1], int) else 0
            found[number] = line + bool(_BLOCK.search(lines[line - 1]))
    return found


def _messages(value: Json, key: str, file: str, begun: Mapping[int, int] | None = None) -> tuple[Section, ...]:
    begun = begun or {}
    if isinstance(value, str):
        return (Section("user", _checked(value, file), begun.get(0, 1)),)
    found: list[Section] = []
    for number, one in enumerate(value if isinstance(value, list) else [None], start=1):
        said = cast("dict[str, Json]", one) if isinstance(one, dict) else {}
        role, text = said.get("role"), said.get("content")
        if role not in _ROLES or not isinstance(text, str):
            raise BadPrompt(f"{file}: {key}: message {number} needs a role ({', '.join(_ROLES)}) and content as text.")
        if _ROLE_LINE.search(text):
            raise BadPrompt(
                f"{file}: {key}: message {number} holds a line such as '# user', which begins a message here."
            )
        found.append(Section(cast("Role", role), _checked(text, file), begun.get(number - 1, 1)))
    return tuple(found)


def _checked(text: str, file: str) -> str:
    """The template, if all that it fills in are plain names."""
    for found in _CONSTRUCT.finditer(text):
        if not _VARIABLE.fullmatch(found[0]):
            raise BadPrompt(
                f"{file}: {found[0]!r} has no equal in the other shape; only {{{{name}}}} means the same in both."
            )
    return text
