"""Prompts in the shapes of other tools: GitHub Models' `.prompt.yml`, Microsoft's `.prompty`, Google's dotprompt (`.prompt`), and
the prompt JSON of MLflow and of Langfuse.

A construct that means the same there and here is taken over; any other is refused by name and line, or told as lost.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from afere.base.canonical import Json
from afere.base.errors import BadPrompt
from afere.base.project import Project
from afere.chains.prompt import FOREIGN, Prompt, load_prompt
from afere.chains.promptschema import SNIPPETS
from afere.chains.shapes.dotprompt import read_dotprompt, write_dotprompt
from afere.chains.shapes.messages import read_messages, write_messages
from afere.chains.shapes.messages_kept import with_messages
from afere.chains.shapes.prompty import read_prompty, write_prompty
from afere.chains.shapes.shaped import ORDER, Notes, Shaped, Told
from afere.chains.template import Section, read_text

__all__ = ["Shaped", "Told", "ours", "read_shape", "shape_of", "shaped", "with_messages", "write_shape"]

_MESSAGES = (".yml", ".yaml", ".json")
_SNIPPET = re.compile(rf"\{{\{{-?\s*{SNIPPETS}\.(\w+)\s*-?\}}\}}")


def read_shape(path: Path, text: str) -> Shaped:
    """A prompt of another tool, by its file's name. BadPrompt names file, line and what does not fit."""
    if path.suffix == ".prompty":
        return read_prompty(text, path)
    if path.suffix == ".prompt":
        return read_dotprompt(text, path)
    if path.suffix in _MESSAGES:
        return read_messages(text, path)
    raise BadPrompt(f"{path}: not named like a prompt: {', '.join(('.md', *FOREIGN, '.json'))}.")


def shape_of(path: Path) -> str:
    """The shape that a file of another tool has, as `write_shape` calls it."""
    return {".prompty": "prompty", ".prompt": "dotprompt"}.get(path.suffix, "github")


def shaped(path: Path, project: Project) -> Shaped:
    """Any prompt file, ours or another tool's, as a value that `write_shape` writes."""
    if path.name.endswith(FOREIGN) or path.suffix in _MESSAGES:
        return read_shape(path, read_text(path))
    return ours(load_prompt(path, project))


def write_shape(prompt: Shaped, shape: str) -> tuple[str, tuple[Told, ...]]:
    """The prompt's text as afere, github, langfuse, mlflow, prompty or dotprompt, and what became of each field on both ways."""
    notes = Notes(list(prompt.told))
    if shape == "afere":
        text = prompt.text
    elif shape == "prompty":
        text = write_prompty(prompt, notes)
    elif shape == "dotprompt":
        text = write_dotprompt(prompt, notes)
    else:
        text = write_messages(prompt, shape, notes)
    if prompt.ours:
        notes.rest([name for name in ORDER if prompt.fields.get(name) not in (None, {}, [])], ORDER)
    return text, tuple(notes.told)


def ours(prompt: Prompt) -> Shaped:
    """A prompt of ours; its examples are written out as the messages they become."""
    fields: dict[str, Json] = {
        "name": prompt.name, "owner": prompt.owner, "description": prompt.description, "model": prompt.model,
        "parameters": dict(prompt.parameters), "inputs": {key: dict(one) for key, one in (prompt.inputs or {}).items()},
        "output": dict(prompt.output) if prompt.output is not None else None, "tools": list(prompt.tools),
    }  # fmt: skip
    notes = Notes()
    sections = list(prompt.template.sections)
    if prompt.template.includes:
        raise BadPrompt(
            f"{prompt.file}: {{% include %}} has no equal in the other shape. Write the text out in a copy."
        )
    if prompt.nearest is not None:
        raise BadPrompt(
            f"{prompt.file}: examples that are chosen at each call have no equal in the other shape. Give a list in a copy."
        )
    if prompt.snippets:
        sections = [replace(one, text=_written_out(one.text, prompt)) for one in sections]
        notes.changed("snippets", "written out")
    if prompt.examples:
        users = [number for number, one in enumerate(sections) if one.role == "user"]
        place = users[-1] if users else len(sections)
        shots = [Section(one.role, _as_template(one.text, prompt.file), 1) for one in prompt.shots]
        sections[place:place] = shots
        notes.changed("examples", "written out as messages")
    return Shaped(fields, tuple(sections), tuple(notes.told), prompt.file, ours=True)


def _written_out(text: str, prompt: Prompt) -> str:
    """A template with the texts of its snippets in their places. BadPrompt where it does more with them than that."""

    def texts(found: re.Match[str]) -> str:
        return _as_template("\n".join(prompt.snippets[found[1]]), prompt.file)

    written = _SNIPPET.sub(texts, text)
    if re.search(rf"\{{[{{%][^}}]*\b{SNIPPETS}\b", written):
        raise BadPrompt(
            f"{prompt.file}: what the template does with snippets has no equal in the other shape; only {{{{ snippets.NAME }}}} is "
            "written out. Write them out in a copy."
        )
    return written


def _as_template(text: str, file: str) -> str:
    if any(sign in text for sign in ("{{", "{%", "{#")):
        raise BadPrompt(
            f"{file}: an example or snippet holds '{{{{', which the other shape would fill in. Take it out of a copy."
        )
    return text
