"""Template tests: a file beside a prompt says what its text must hold once it is filled in. No model is asked.

# prompts/answer.test.yaml
tests:
  - name: friendly unless told otherwise
    inputs: {question: "May I bring my dog?"}
    system: {contains: friendly}
    tokens: 200
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as Xml

from afere.base.canonical import Json
from afere.base.document import Document, check, read_yaml
from afere.base.errors import AfereError, BadPrompt, NotFound
from afere.base.project import Project
from afere.chains.prompt import Prompt, load_prompt
from afere.chains.promptfiles import ENDINGS as PROMPT_ENDINGS
from afere.chains.promptfiles import ending, load_prompts, prompt_files
from afere.chains.shots import read_rows
from afere.chains.template import read_text
from afere.data.rows import Row
from afere.evals.report import xml_text
from afere.govern.promptchecks import CHECKS, Failure, check_regexes, failures_of, refused, written
from afere.govern.prompts import prompt_file
from afere.govern.promptsnapshots import Snapshots

ENDINGS = (".test.yaml", ".test.yml")
_SHOWN_ROWS = 3  # of the rows of one test that fail

_ROLES = ("system", "user", "assistant", "tool")
TEST_SCHEMA: dict[str, Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Tests of a prompt file",
    "type": "object",
    "required": ["tests"],
    "additionalProperties": False,
    "properties": {
        "prompt": {"type": "string", "description": "the prompt's file, from here; default: the one of the same name"},
        "tests": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "inputs": {"type": "object", "description": "what the prompt is filled in with"},
                    "rows": {"type": "string", "description": "a dataset file or ref: filled in with each of its rows"},
                    **CHECKS,
                    **{role: {"type": "object", "additionalProperties": False, "properties": CHECKS} for role in _ROLES},
                    "roles": {"type": "array", "items": {"enum": list(_ROLES)}, "description": "of its messages, in order"},
                    "refused": {"type": "string", "description": "it cannot be filled in, and the error says this"},
                    "snapshot": {"type": "boolean", "description": "equal to what was kept; afere prompt test --update"},
                },
            },
        },
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one test. `place` is `prompts/answer.test.yaml:4`; `rendered` counts the fillings-in."""

    prompt: str
    name: str
    place: str
    rendered: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures

    def to_json(self) -> dict[str, Json]:
        return {
            "prompt": self.prompt, "name": self.name, "place": self.place, "passed": self.passed,
            "rendered": self.rendered, "failures": [one.to_json() for one in self.failures],
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """All tests that ran. `untested`: prompt files without a test file. `kept`: snapshot files that were written."""

    tests: tuple[Tested, ...] = ()
    untested: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> int:
        return sum(not one.passed for one in self.tests)

    def to_json(self) -> dict[str, Json]:
        return {
            "passed": len(self.tests) - self.failed, "failed": self.failed, "untested": list(self.untested),
            "snapshots_written": list(self.kept), "notes": list(self.notes), "tests": [one.to_json() for one in self.tests],
        }  # fmt: skip


def run_tests(project: Project, files: Sequence[Path] = (), *, update: bool = False) -> Report:
    """Run these test files (a prompt's file or name stands for its tests), or all below `prompts/`.

    `update`: snapshots become what the prompts say now. A file that cannot be read is a failed test; the rest goes on.
    """
    found = [_test_file(path, project) for path in files] or all_test_files(project)
    tests: list[Tested] = []
    kept: list[str] = []
    notes: list[str] = []
    covered: set[Path] = set()
    for file in dict.fromkeys(found):
        shown = _shown(file, project)
        try:
            document, path = read_tests(file, shown)
            covered.add(path.resolve())
            prompt = load_prompt(path, project)
        except AfereError as problem:
            tests.append(_broken(file, str(problem).replace(f"{project.root}/", ""), shown))
            continue
        covered |= {part.resolve() for part, _ in prompt.files}
        snapshots = Snapshots(file, shown, update=update)
        tests += _run(document, prompt, project, snapshots)
        kept += snapshots.write()
        notes += snapshots.notes()
    untested = [] if files else [_shown(path, project) for path in _prompts(project) if path.resolve() not in covered]
    return Report(tuple(tests), tuple(untested), tuple(kept), tuple(notes))


def all_test_files(project: Project) -> list[Path]:
    """The test files below `prompts/`, in order of their names."""
    folder = project.root / "prompts"
    found = folder.rglob("*.test.y*ml") if folder.is_dir() else ()
    return sorted(path for path in found if path.name.endswith(ENDINGS) and path.is_file())


def prompt_beside(file: Path) -> Path | None:
    """The prompt that `answer.test.yaml` tests: `answer.md`, or `answer` with another ending of a prompt file."""
    stem = _stem(file)
    return next((path for end in PROMPT_ENDINGS if (path := file.with_name(f"{stem}{end}")).is_file()), None)


def read_tests(file: Path, shown: str) -> tuple[Document, Path]:
    """What a test file says, checked, and the prompt's file. BadPrompt names file, line and field."""
    document = read_yaml(read_text(file), file=shown, error=BadPrompt)
    check(document, TEST_SCHEMA, error=BadPrompt)
    said = cast("dict[str, Any]", document.value)
    names: set[str] = set()
    for number, test in enumerate(said["tests"]):
        if test["name"] in names:
            raise BadPrompt(f"{document.at(('tests', number, 'name'))}: two tests are called {test['name']!r}.")
        names.add(test["name"])
        if "inputs" in test and "rows" in test:
            raise BadPrompt(f"{document.at(('tests', number, 'rows'))}: give inputs or rows, not both.")
        check_regexes(document, ("tests", number), test)
    if "prompt" in said:
        path = file.parent / said["prompt"]
        if not path.is_file():
            raise BadPrompt(f"{document.at(('prompt',))}: there is no file {said['prompt']!r} in {file.parent}.")
        return document, path
    if (beside := prompt_beside(file)) is None:
        raise BadPrompt(f"{shown}:1: no prompt is beside it: {_stem(file)}.md. Name its file: prompt: ../answer.md")
    return document, beside


def _run(document: Document, prompt: Prompt, project: Project, snapshots: Snapshots) -> list[Tested]:
    tests = cast("dict[str, Any]", document.value)["tests"]
    return [_one(test, document, number, prompt, project, snapshots) for number, test in enumerate(tests)]


def _one(
    test: Mapping[str, Any], document: Document, number: int, prompt: Prompt, project: Project, snapshots: Snapshots
) -> Tested:
    place = document.at(("tests", number, "name"))
    failed: list[Failure] = []
    wrong = rendered = 0
    try:
        fillings = _fillings(test, document.at(("tests", number, "rows")), document, prompt, project)
    except AfereError as problem:
        if test.get("snapshot"):
            snapshots.leave(test["name"])
        return Tested(prompt.name, test["name"], place, 0, (Failure("rows", str(problem)),))
    for label, row in fillings:
        rendered += 1
        found = _fill(test, label, row, prompt, snapshots)
        wrong += bool(found)
        if wrong <= _SHOWN_ROWS:
            failed += found
    if wrong > _SHOWN_ROWS:
        failed.append(Failure("rows", f"{wrong} of {rendered} rows fail; the first {_SHOWN_ROWS} are shown."))
    if not rendered:
        failed.append(Failure("rows", f"{test['rows']} has no rows, so nothing was tested."))
    return Tested(prompt.name, test["name"], place, rendered, tuple(failed))


def _fillings(
    test: Mapping[str, Any], place: str, document: Document, prompt: Prompt, project: Project
) -> list[tuple[str, Row]]:
    """What the prompt is filled in with, each by the name of its row (empty for `inputs`)."""
    if "rows" not in test:
        return [("", Row("", dict(test.get("inputs") or {})))]
    rows = read_rows(str(test["rows"]), place, (project.root / document.file).parent, project)
    return [(row.id or str(number), row) for number, (_, row) in enumerate(rows, start=1)]


def _fill(test: Mapping[str, Any], label: str, row: Row, prompt: Prompt, snapshots: Snapshots) -> list[Failure]:
    try:
        inputs = row.bind(prompt.input_names) if label else row.input
        messages = prompt.render(prompt.values(inputs))
    except AfereError as problem:
        if test.get("snapshot"):
            snapshots.leave(f"{test['name']}: {label}" if label else test["name"])
        return [one.within(label) for one in refused(test, str(problem))]
    found = failures_of(test, messages, prompt.model or "")
    if test.get("snapshot"):
        found += snapshots.compare(f"{test['name']}: {label}" if label else test["name"], written(messages))
    return [one.within(label) for one in found]


def _broken(file: Path, said: str, shown: str) -> Tested:
    place = re.match(r"(?P<place>\S+?:\d+): (?P<why>.*)", said, re.DOTALL)
    where, why = (place["place"], place["why"]) if place else (f"{shown}:1", said)
    return Tested(_stem(file), "it can be read", where, 0, (Failure("broken", why),))


def _prompts(project: Project) -> list[Path]:
    """The prompt files below `prompts/`, without those that are only included by others."""
    prompts, problems = load_prompts(prompt_files(project), project)
    return sorted({*prompts, *problems})


def _test_file(path: Path, project: Project) -> Path:
    """The test file that a path names, itself or by its prompt."""
    found = prompt_file(path, project)
    if found.name.endswith(ENDINGS):
        return found
    stem = found.name.removesuffix(ending(found) or found.suffix)
    beside = next((one for end in ENDINGS if (one := found.with_name(f"{stem}{end}")).is_file()), None)
    if beside is None:
        raise NotFound(f"{path} has no tests. Write {found.with_name(stem + ENDINGS[0]).name} beside it.")
    return beside


def _stem(file: Path) -> str:
    return file.name.removesuffix(ENDINGS[0]).removesuffix(ENDINGS[1])


def _shown(path: Path, project: Project) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)


def junit(report: Report) -> str:
    """JUnit XML: one test case a test, in one suite."""
    suite = Xml.Element(
        "testsuite", name="afere prompt test", tests=str(len(report.tests)), failures=str(report.failed), errors="0"
    )
    for one in report.tests:
        file, _, line = one.place.rpartition(":")
        case = Xml.SubElement(
            suite, "testcase", name=one.name, classname=f"afere.prompt.{one.prompt}", file=file, line=line
        )
        if one.failures:
            first = one.failures[0]
            failure = Xml.SubElement(case, "failure", message=xml_text(f"{first.check}: {first.why}"))
            failure.text = xml_text("\n".join(told(one)))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suite, encoding="unicode") + "\n"


def told(test: Tested) -> list[str]:
    """What failed, line by line, as a terminal or a report shows it."""
    lines: list[str] = []
    for one in test.failures:
        lines.append(f"{f'row {one.row}: ' if one.row else ''}{one.check}: {one.why}")
        lines += [f"    {line}" for line in one.shown.split("\n")] if one.shown else []
    return lines
