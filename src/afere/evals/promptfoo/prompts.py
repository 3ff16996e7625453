"""promptfoo's prompts: text, files, chats in JSON, and functions that make one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from afere.base.canonical import Json
from afere.base.document import Document
from afere.base.errors import BadInput
from afere.base.message import Message, Part, Role, message
from afere.chains.template import read_text
from afere.evals.promptfoo.files import FILE, Folder, records
from afere.evals.promptfoo.nunjucks import render, render_all, resolved
from afere.evals.promptfoo.programs import Code, Programs

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_SEVERAL = "\n---\n"  # between the prompts of one text file


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `text` is a template, or `code` makes one of the vars; `label` is what tests and providers call it by."""

    text: str
    label: str
    code: Code | None = None

    @property
    def content(self) -> Json:
        """What makes it this one."""
        return self.text if self.code is None else self.code.content

    def filled(self, values: Mapping[str, Json], programs: Programs) -> str:
        """The text that a provider is given: of a chat, its JSON."""
        known = resolved(values)
        if self.code is not None:
            made = programs.call(self.code, {"vars": dict(known), "provider": {}, "config": {}})
            if isinstance(made, dict) and "prompt" in made:
                made = made["prompt"]
            return self._whole(made if isinstance(made, str) else json.dumps(made), known)
        return self._whole(self.text, known)

    def _whole(self, text: str, known: Mapping[str, Json]) -> str:
        chat = _json(text)
        if chat is None:
            return render(text, known) if self.code is None else text
        return json.dumps(render_all(chat, known), indent=2, ensure_ascii=False)

    def messages(self, filled: str) -> list[Message]:
        """What a model is sent: a chat where the prompt is written as one, so that a value can open no message."""
        written = self.code is not None or self.text.lstrip().startswith("[")
        said = _json(filled) if written else None
        if (
            not isinstance(said, list)
            or not said
            or any(not isinstance(one, dict) or "role" not in one for one in said)
        ):
            return [message("user", filled)]
        return [self._message(cast("dict[str, Json]", one)) for one in said]

    def _message(self, said: dict[str, Json]) -> Message:
        role = _ROLES.get(str(said["role"]))
        if role is None:
            raise BadInput(f"prompt {self.label}: the role {said['role']!r} is none of {', '.join(_ROLES)}.")
        content: Json = said.get("content")
        if isinstance(content, list):
            return Message(cast("Role", role), tuple(_part(one) for one in content))
        return message(cast("Role", role), content if isinstance(content, str) else json.dumps(content))


def _part(said: Json) -> Part:
    url = said.get("image_url") if isinstance(said, dict) else None
    url = url.get("url") if isinstance(url, dict) else url
    if isinstance(url, str):
        return Part("image", url=url)
    text = said.get("text", "") if isinstance(said, dict) else said
    return Part("text", str(text))


def _json(text: str) -> Json:
    """A list or mapping that a text is, else None."""
    try:
        found: Json = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list | dict) else None


def prompts_of(said: list[Json], document: Document, folder: Folder) -> list[Prompt]:
    """The prompts of a file; BadInput names the line of one that cannot be read."""
    found: list[Prompt] = []
    for i, one in enumerate(said):
        found += _read(one, folder, document.at(("prompts", i)))
    return found


def _read(said: Json, folder: Folder, place: str) -> Iterator[Prompt]:
    label = ""
    if isinstance(said, dict):
        label = str(said.get("label") or "")
        said = said.get("raw") or said.get("id")
    if not isinstance(said, str):
        raise BadInput(f"{place}: a prompt is text, file://NAME, or {{raw: TEXT, label: NAME}}.")
    if not said.startswith(FILE) and not ("\n" not in said and "{" not in said and folder.split(said)[0].is_file()):
        yield Prompt(said, label or said)
        return
    if (code := folder.code(said, place, "get_prompt", "prompt", "create_prompt")) is not None:
        yield Prompt("", label or said.removeprefix(FILE), code)
        return
    for path in folder.files(said, place):
        if path.suffix == ".csv":
            texts = [str(one.get("prompt", "")) for one in records(path, place)]
        elif path.suffix == ".jsonl":
            texts = [line for line in read_text(path).splitlines() if line.strip()]
        elif path.suffix in (".yaml", ".yml"):
            texts = [json.dumps(folder.value(f"{FILE}{path}", place), ensure_ascii=False)]
        else:
            texts = (
                [one.strip() for one in read_text(path).split(_SEVERAL)] if path.suffix == ".txt" else [read_text(path)]
            )
        for number, text in enumerate(texts, start=1):
            name = path.name if len(texts) == 1 else f"{path.name} {number}"
            yield Prompt(text, label or name)
