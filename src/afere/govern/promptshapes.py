"""Prompts in the shapes of other tools: GitHub Models' `.prompt.yml`, and the prompt JSON of MLflow and of Langfuse.

These tools fill in `{{name}}` and nothing else. Where that is all a template uses, it means the same there and here; any other
construct is refused by name, in both directions. A model's name is taken over as it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadPrompt
from afere.base.project import Project
from afere.chains.prompt import load_prompt

SHAPES = ("afere", "github", "langfuse", "mlflow")
_ROLES = ("system", "user", "assistant")
_CONSTRUCT = re.compile(r"\{\{.*?\}\}\}?|\{%.*?%\}|\{#.*?#\}|\{\{|\}\}|\{%|\{#", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}")
_ROLE_LINE = re.compile(r"^# (system|user|assistant|tool)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Shaped:
    """What the shapes have in common. `lost`: fields that the other shape has no place for."""

    name: str
    messages: tuple[tuple[str, str], ...]
    model: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    lost: tuple[str, ...] = ()


def read_shaped(path: Path, project: Project) -> Shaped:
    """A prompt file of ours (`.md`), `*.prompt.yml`, or JSON as MLflow or Langfuse give it. BadPrompt names what does not fit."""
    if path.suffix not in (".yml", ".yaml", ".json"):
        return _ours(path, project)
    try:
        document = read_yaml(path.read_text(encoding="utf-8"), file=str(path), error=BadPrompt)  # JSON is YAML too
    except (OSError, UnicodeDecodeError) as problem:
        raise BadPrompt(f"{path}: cannot be read as UTF-8 text: {problem}.") from None
    said = document.value
    if not isinstance(said, dict):
        raise BadPrompt(f"{path}:1: a prompt is a mapping, with messages:, prompt: or template:.")
    key = next((key for key in ("messages", "prompt", "template") if key in said), None)
    if key is None:
        raise BadPrompt(f"{path}:1: it has none of messages (GitHub), prompt (Langfuse), template (MLflow).")
    config = said.get("modelParameters" if key == "messages" else "config") or {}
    if not isinstance(config, dict):
        raise BadPrompt(f"{path}: the parameters are not a mapping.")
    model = said.get("model") if key == "messages" else config.get("model")
    known = {
        "name",
        key,
        "model" if key == "messages" else "type",
        "modelParameters" if key == "messages" else "config",
    }
    name = str(said.get("name") or path.name.partition(".")[0])
    return Shaped(
        re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-."), _messages(said[key], key, str(path)),
        str(model) if model else None, {name: value for name, value in config.items() if name != "model"},
        tuple(name for name in said if name not in known and said[name] not in (None, [], {})),
    )  # fmt: skip


def write_shaped(prompt: Shaped, shape: str) -> str:
    """The prompt's text in one of SHAPES."""
    messages: list[Json] = [{"role": role, "content": text} for role, text in prompt.messages]
    config = dict(prompt.parameters) | ({"model": prompt.model} if prompt.model else {})
    if shape == "afere":
        return _as_ours(prompt)
    if shape == "github":
        import yaml

        value: dict[str, Any] = {"name": prompt.name, "model": prompt.model, "modelParameters": dict(prompt.parameters)}
        value = {key: one for key, one in value.items() if one} | {"messages": messages}
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)
    if shape == "langfuse":
        told: Json = {"name": prompt.name, "type": "chat", "prompt": messages, "config": config}
    else:
        if config:
            raise BadPrompt("MLflow's prompts have no model and parameters: take them out of the front matter first.")
        told = {"name": prompt.name, "template": messages}
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def _messages(value: Json, key: str, file: str) -> tuple[tuple[str, str], ...]:
    if isinstance(value, str):
        return (("user", _checked(value, file)),)
    found: list[tuple[str, str]] = []
    for number, one in enumerate(value if isinstance(value, list) else [None], start=1):
        said = cast("dict[str, Json]", one) if isinstance(one, dict) else {}
        role, text = said.get("role"), said.get("content")
        if role not in _ROLES or not isinstance(text, str):
            raise BadPrompt(f"{file}: {key}: message {number} needs a role ({', '.join(_ROLES)}) and content as text.")
        if _ROLE_LINE.search(text):
            raise BadPrompt(
                f"{file}: {key}: message {number} holds a line such as '# user', which begins a message here."
            )
        found.append((str(role), _checked(text, file)))
    return tuple(found)


def _checked(text: str, file: str) -> str:
    """The template, if all that it fills in are plain names."""
    for found in _CONSTRUCT.finditer(text):
        if not _VARIABLE.fullmatch(found[0]):
            raise BadPrompt(
                f"{file}: {found[0]!r} has no equal in the other shape; only {{{{name}}}} means the same in both."
            )
    return text


def _ours(path: Path, project: Project) -> Shaped:
    prompt = load_prompt(path, project)
    for name, value in (("output", prompt.output), ("examples", prompt.examples), ("tools", prompt.tools)):
        if value:
            raise BadPrompt(
                f"{path}: {name}: has no equal in the other shape. Take it out of a copy, and convert that."
            )
    messages = [{"role": section.role, "content": section.text} for section in prompt.template.sections]
    lost = tuple(name for name, value in (("inputs", prompt.inputs), ("owner", prompt.owner)) if value)
    return Shaped(
        prompt.name, _messages(cast("Json", messages), "template", str(path)), prompt.model, prompt.parameters, lost
    )


def _as_ours(prompt: Shaped) -> str:
    head: dict[str, Json] = {"name": prompt.name}
    head |= {"model": prompt.model} if prompt.model else {}
    head |= {"parameters": dict(prompt.parameters)} if prompt.parameters else {}
    fields = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in head.items())
    return f"---\n{fields}---\n" + "".join(f"# {role}\n{text.strip(chr(10))}\n" for role, text in prompt.messages)
