"""What a promptfoo file refers to: `file://NAME`, `file://NAME.py:function`, patterns; rows and lists in other files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadInput
from afere.chains.template import read_text
from afere.evals.promptfoo.programs import Code, language_of, node

FILE = "file://"
_DATA = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a promptfoo file: what others say of files is read from there."""

    path: Path

    def split(self, said: str) -> tuple[Path, str]:
        """The file of `file://x.py:fn`, and the function."""
        name, _, function = said.removeprefix(FILE).partition(":")
        return self.path / name, function

    def file(self, said: str, place: str) -> Path:
        found, _ = self.split(said)
        if not found.is_file():
            raise BadInput(f"{place}: there is no file {found}.")
        return found

    def files(self, said: str, place: str) -> list[Path]:
        """Those that a name or a pattern means, in order."""
        name = said.removeprefix(FILE)
        if not any(mark in name for mark in "*?["):
            return [self.file(said, place)]
        found = sorted(one for one in self.path.glob(name) if one.is_file())
        if not found:
            raise BadInput(f"{place}: no file fits {name}.")
        return found

    def code(self, said: str, place: str, *default: str) -> Code | None:
        """The program that `file://x.py:fn` names, if it is one. `default`: the functions to look for where none is named."""
        path, function = self.split(said)
        language = language_of(path)
        if language is None:
            return None
        self.file(said, place)
        if language == "javascript" and node() is None:
            raise BadInput(
                f"{place}: {path.name} is JavaScript, and node is not installed. Install node, or leave it out."
            )
        return Code(language, file=path, names=(function,) if function else () if language == "javascript" else default)

    def value(self, said: Json, place: str) -> Json:
        """A value as it stands, or what is in the file that it names: data from JSON and YAML, else text."""
        if not isinstance(said, str) or not said.startswith(FILE):
            return said
        path = self.file(said, place)
        return data(path) if path.suffix in _DATA else read_text(path)


def data(path: Path) -> Json:
    """What a JSON or YAML file holds."""
    return read_yaml(read_text(path), file=path.name).value


def records(path: Path, place: str) -> list[dict[str, Json]]:
    """The mappings in a CSV, JSON lines, JSON or YAML file."""
    text = read_text(path)
    if path.suffix == ".csv":
        return [{key: one[key] or "" for key in one if key} for one in csv.DictReader(io.StringIO(text))]
    try:
        found: Any = (
            [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else data(path)
        )
    except ValueError as problem:
        raise BadInput(f"{place}: {path.name} is not JSON: {problem}.") from None
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list) or any(not isinstance(one, dict) for one in cast("list[Json]", found)):
        raise BadInput(f"{place}: {path.name} must hold a list of mappings.")
    return cast("list[dict[str, Json]]", found)
