"""What makes an answer of what came back: a path into JSON, or the owner's own Python or JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.evals.promptfoo.files import FILE, Folder
from afere.evals.promptfoo.programs import NO_NODE, Code, ProgramFailed, Programs, node

_PATH = re.compile(
    r"(?P<root>json|output|text|JSON\.parse\(output\))(?P<steps>(?:\??\.[A-Za-z_$][\w$]*|\??\.?\[(?:\d+|'[^']*'|\"[^\"]*\")\])*)"
)
_STEP = re.compile(r"\.([A-Za-z_$][\w$]*)|\[(\d+)\]|\[['\"]([^'\"]*)['\"]\]")


@dataclass(frozen=True)
class Transform:
    """From a value (and what is called `text` of it, and a context) to another."""

    said: str
    apply: Callable[[Json, str, Json], Json]
    language: str = ""  # of a program that it runs

    def __call__(self, value: Json, text: str, context: Json) -> Json:
        return self.apply(value, text, context)


def transform_of(said: Json, folder: Folder, programs: Programs, place: str, *names: str) -> Transform:
    """Read one. `names`: the arguments of JavaScript that is written out, first the value; the path's root is its name."""
    if not isinstance(said, str) or not said.strip():
        raise BadInput(f"{place}: a transform is an expression such as json.choices[0].text, or file://NAME.js.")
    whole = said.strip()
    if (path := _PATH.fullmatch(whole)) is not None:
        steps = [a or c or int(b) for a, b, c in _STEP.findall(path["steps"])]
        if path["root"] == "text":
            return Transform(whole, lambda _value, text, _context: text)
        parsed = path["root"].startswith("JSON")
        return Transform(whole, lambda value, _text, _context: _walk(_parsed(value) if parsed else value, steps))
    if whole.startswith(FILE):
        code = folder.code(whole, place, "get_transform")
        if code is None:
            raise BadInput(f"{place}: {whole} is no .py or .js file.")
    elif node() is None:
        raise BadInput(f"{place}: {whole[:60]!r} cannot run: {NO_NODE}. A path such as json.answer.text needs none.")
    else:
        code = Code("javascript", whole, names=names)
    return _by_program(whole, code, programs, text_too=len(names) == 3)


def _by_program(said: str, code: Code, programs: Programs, *, text_too: bool) -> Transform:
    def apply(value: Json, text: str, context: Json) -> Json:
        return programs.call(code, value, text, context) if text_too else programs.call(code, value, context)

    return Transform(said, apply, code.language)


def _parsed(value: Json) -> Json:
    """The JSON that a text is; ProgramFailed where it is none."""
    if not isinstance(value, str):
        return value
    try:
        return cast("Json", json.loads(value))
    except ValueError as problem:
        raise ProgramFailed(f"the output is not JSON: {problem}") from None


def _walk(value: Json, steps: list[str | int]) -> Json:
    if steps and isinstance(value, str):
        return None
    for step in steps:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            return None
    return value
