"""A promptfoo file, read: each prompt with each provider is one plan over the tests as rows. What is not read is named."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json, digest_of
from afere.base.document import Document, read_yaml
from afere.base.errors import BadInput
from afere.base.project import Project
from afere.chains.template import Section, Template, read_text
from afere.data import Row
from afere.evals.promptfoo.checks import scorers_of, why_skipped
from afere.evals.promptfoo.providers import Target, provider_of
from afere.evals.subject import Subject
from afere.evals.work import Plan

_TOP = ("description", "prompts", "providers", "targets", "defaultTest", "tests", "$schema")
_TEST = ("description", "vars", "assert", "threshold")
_MAX_ROWS = 100_000
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Config:
    """What runs (`plans`), and what is told before anything is spent (`lines`)."""

    plans: tuple[Plan, ...]
    lines: tuple[str, ...]


def is_promptfoo(file: Path) -> bool:
    """Whether a file has promptfoo's keys at its top and is no suite."""
    if file.suffix not in (".yaml", ".yml") or not file.is_file():
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    keys = set(re.findall(r"^(\w+)[ \t]*:", text, re.MULTILINE))
    return "prompts" in keys and bool(keys & {"providers", "targets"}) and "scorers" not in keys


def read_config(file: Path, project: Project) -> Config:
    """Read a promptfoo file. BadInput names file and line; keys and assertions that are not read are in `lines`."""
    document = read_yaml(read_text(file), file=file.name)
    return _Reader(document, file.parent, project).config(file.stem)


class _Reader:
    def __init__(self, document: Document, folder: Path, project: Project) -> None:
        self.document, self.folder, self.project = document, folder, project
        self.said = cast("dict[str, Json]", document.value)
        self.skipped, self.unread = Counter[str](), list[str]()
        self.kept = 0

    def config(self, stem: str) -> Config:
        self.unread += [f"{self.document.at((key,))}: {key}" for key in self.said if key not in _TOP]
        prompts = [self._prompt(one, i) for i, one in enumerate(self._list("prompts"))]
        key = "providers" if "providers" in self.said else "targets"
        providers = [
            provider_of(one, self.folder, self.project, self.document.at((key, i)))
            for i, one in enumerate(self._list(key))
        ]
        self.unread += [word for one in providers for word in one.unread]
        rows = self._rows()
        scorers = scorers_of(cast("list[list[dict[str, Json]]]", [row.metadata["assert"] for row in rows]))
        plans: list[Plan] = []
        for (i, template), provider in itertools.product(enumerate(prompts, start=1), providers):
            made = Target(template, provider)
            mark = digest_of([[s.role + s.text for s in template.sections], provider.content])[-8:]
            name = f"{_slug(stem)}-{i}-{_slug(provider.label)}-{mark}"
            plans.append(Plan(name, Subject(name, made), rows, scorers, self.folder / f"{name}.baseline.json"))
        return Config(tuple(plans), self._lines())

    def _lines(self) -> tuple[str, ...]:
        lost = sum(self.skipped.values())
        why = "; ".join(f"{n} {reason}" for reason, n in sorted(self.skipped.items()))
        head = f"{self.kept} of {self.kept + lost} assertions run" + (f", {lost} skipped: {why}" if lost else "")
        return (head, *(f"not read: {one}" for one in dict.fromkeys(self.unread)))

    def _list(self, key: str) -> list[Json]:
        found = self.said.get(key)
        if isinstance(found, str):
            return [found]
        if not isinstance(found, list) or not found:
            raise BadInput(f"{self.document.at((key,))}: {key} must be a list with at least one entry.")
        return found

    def _prompt(self, said: Json, i: int) -> Template:
        place = self.document.at(("prompts", i))
        if isinstance(said, dict):
            said = said.get("raw") or said.get("id")
        if not isinstance(said, str):
            raise BadInput(f"{place}: a prompt is text, file://NAME, or {{raw: TEXT}}.")
        text, file = said, place
        if said.startswith("file://"):
            path = self._path(said, place)
            if path.suffix in (".py", ".js", ".ts", ".mjs", ".cjs"):
                raise BadInput(f"{place}: prompts made by a program ({path.name}) are not read. Write its text here.")
            text, file = read_text(path), path.name
        if text.lstrip().startswith("["):
            return Template(_chat(text, file), {}, file)
        return Template((Section("user", text, 1),), {}, file)

    def _path(self, said: str, place: str) -> Path:
        path = self.folder / said.removeprefix("file://")
        if not path.is_file():
            raise BadInput(f"{place}: there is no file {path}.")
        return path

    def _rows(self) -> list[Row]:
        default = self.said.get("defaultTest") or {}
        if not isinstance(default, dict):
            raise BadInput(f"{self.document.at(('defaultTest',))}: defaultTest must be a mapping.")
        self._unknown(default, self.document.at(("defaultTest",)), "defaultTest")
        rows: list[Row] = []
        for test, place in self._tests():
            self._unknown(test, place, "a test")
            asserts = [*_asserts(default, place), *_asserts(test, place)]
            ready = [one for one in asserts if self._keeps(one)]
            for values in self._grid({**_vars(default, place), **_vars(test, place)}, place):
                held: dict[str, Json] = {"assert": cast("Json", ready)}
                held["threshold"] = test.get("threshold", default.get("threshold"))
                rows.append(Row(f"t-{len(rows) + 1}", input=values, metadata=held))
                if len(rows) > _MAX_ROWS:
                    raise BadInput(f"{place}: the lists under vars make more than {_MAX_ROWS:,} tests.")
        return rows

    def _keeps(self, one: dict[str, Json]) -> bool:
        reason = why_skipped(one)
        if reason:
            self.skipped[reason] += 1
        else:
            self.kept += 1
        return not reason

    def _unknown(self, test: dict[str, Json], place: str, what: str) -> None:
        self.unread += [f"{place}: {key} of {what}" for key in test if key not in _TEST]

    def _tests(self) -> list[tuple[dict[str, Json], str]]:
        found: list[tuple[dict[str, Json], str]] = []
        for i, one in enumerate(self._list("tests")):
            place = self.document.at(("tests", i))
            if isinstance(one, str):
                path = self._path(one, place)
                found += [(test, f"{path.name}: test {n}") for n, test in enumerate(_file_tests(path, place), start=1)]
            elif isinstance(one, dict):
                found.append((one, place))
            else:
                raise BadInput(f"{place}: a test is a mapping with vars and assert, or file://NAME.")
        return found

    def _grid(self, values: dict[str, Json], place: str) -> list[dict[str, Json]]:
        """One mapping for each combination of the lists among the values."""
        choices: list[list[Json]] = []
        for value in values.values():
            many = value if isinstance(value, list) else [value]
            choices.append([self._value(one, place) for one in many])
        return [dict(zip(values, one, strict=True)) for one in itertools.product(*choices)]

    def _value(self, value: Json, place: str) -> Json:
        if isinstance(value, str) and value.startswith("file://"):
            return read_text(self._path(value, place))
        return value


def _chat(text: str, file: str) -> tuple[Section, ...]:
    """A list of chat messages in JSON, each one's text a template of its own: a value can open no message."""
    try:
        said = json.loads(text)
        found = tuple(Section(one["role"], str(one["content"]), 1) for one in said)
    except (ValueError, TypeError, KeyError):
        return (Section("user", text, 1),)
    if wrong := [one.role for one in found if one.role not in _ROLES]:
        raise BadInput(f"{file}: a message has the role {wrong[0]!r}; it must be one of {', '.join(_ROLES)}.")
    return found


def _asserts(test: dict[str, Json], place: str) -> list[dict[str, Json]]:
    found = test.get("assert") or []
    if not isinstance(found, list) or any(not isinstance(one, dict) or "type" not in one for one in found):
        raise BadInput(
            f"{place}: assert must be a list of mappings with a type, such as {{type: equals, value: Paris}}."
        )
    return cast("list[dict[str, Json]]", found)


def _vars(test: dict[str, Json], place: str) -> dict[str, Json]:
    found = test.get("vars") or {}
    if not isinstance(found, dict):
        raise BadInput(f"{place}: vars must be a mapping of names to values.")
    return found


def _file_tests(path: Path, place: str) -> list[dict[str, Json]]:
    """Tests from CSV (columns are vars, `__expected` an assertion), JSON, JSONL or YAML."""
    text = read_text(path)
    if path.suffix == ".csv":
        return [_csv_test(row) for row in csv.DictReader(io.StringIO(text))]
    try:
        found: Any = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if path.suffix == ".jsonl"
            else read_yaml(text, file=path.name).value
        )
    except ValueError as problem:
        raise BadInput(f"{place}: {path.name} is not JSON: {problem}.") from None
    if not isinstance(found, list) or any(not isinstance(one, dict) for one in cast("list[Json]", found)):
        raise BadInput(f"{place}: {path.name} must hold a list of tests.")
    return cast("list[dict[str, Json]]", found)


def _csv_test(row: dict[str, Any]) -> dict[str, Json]:
    values: dict[str, Json] = {key: row[key] for key in row if key and not key.startswith("__")}
    asserts: list[Json] = []
    for key, cell in row.items():
        said = str(cell or "").strip()
        if key and key.startswith("__expected") and said:
            kind, colon, value = said.partition(":")
            known = bool(colon) and re.fullmatch(r"[a-z][a-z-]*", kind) is not None
            kind, value = (kind, value.strip()) if known else ("equals", said)
            many = kind.endswith(("-any", "-all"))
            asserts.append({"type": kind, "value": [one.strip() for one in value.split(",")] if many else value})
    others: dict[str, Json] = {
        key: row[key] for key in row if key and key.startswith("__") and not key.startswith("__expected")
    }
    return {"vars": values, "assert": asserts, **others}


def _slug(text: str) -> str:
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return made if made[:1].isalpha() else f"p-{made}"
