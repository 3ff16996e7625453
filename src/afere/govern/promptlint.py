"""What is wrong with prompt files, with file and line, before anything is sent. And who wrote which line of a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import AfereError, BadInput, NotFound
from afere.base.project import Project
from afere.chains.prompt import Example, Prompt, load_prompt, stored_prompt
from afere.chains.promptfiles import ENDINGS, ending, prompt_files
from afere.govern.debt.facts import Case, read_cases
from afere.govern.prompts import PromptText, PromptVersion, prompt_file, read_prompt, read_prompts

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_WORDS = 3  # an input of fewer words is no sign that an example was taken from an evaluation


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, at `place` (`prompts/answer.md:4`). Errors stop a call or spoil an evaluation; warnings do not."""

    rule: Literal["broken", "example", "contamination", "unused-input", "unowned"]
    severity: Literal["error", "warning"]
    place: str
    why: str

    def to_json(self) -> dict[str, Json]:
        return {"rule": self.rule, "severity": self.severity, "place": self.place, "why": self.why}


@dataclass(frozen=True, slots=True)
class Blamed:
    """A line of a prompt, and the version that brought it; None: only the file has it so far."""

    line: int
    text: str
    version: PromptVersion | None

    def to_json(self) -> dict[str, Json]:
        made = self.version
        return {
            "line": self.line, "text": self.text, "version": made.number if made else None, "at": made.at if made else None,
            "by": made.by if made else None, "why": made.why if made else None,
        }  # fmt: skip


def lint(session: Session, project: Project, files: Sequence[Path] = ()) -> tuple[list[Problem], int]:
    """The problems of these files (or names of prompts), or of every prompt file of the project; and how many files were read."""
    paths = [prompt_file(path, project) for path in files] or prompt_files(project)
    parts: set[Path] = set()
    found: dict[Path, list[Problem]] = {}
    cases = _by_text(read_cases(session, project, []))
    for path in paths:
        shown = _shown(path, project)
        try:
            prompt = load_prompt(path, project)
        except AfereError as problem:
            found[path] = [_broken(str(problem), shown, project)]
            continue
        parts |= {part.resolve() for part, _ in prompt.files[1:]}
        found[path] = list(_problems(prompt, read_prompt(path, shown), cases, project))
    kept = {path: problems for path, problems in found.items() if path.resolve() not in parts or files}
    return [problem for problems in kept.values() for problem in problems], len(kept)


def lint_version(session: Session, project: Project, version: Artifact) -> list[Problem]:
    """The problems of a version in the registry; places are its reference and the line of its template.

    Rows of the project's suites are looked at where the store is that project's.
    """
    text = PromptText(version.name, str(cast("dict[str, Json]", version.content).get("template") or ""), None)
    try:
        prompt = stored_prompt(version)
    except AfereError as problem:
        return [Problem("broken", "error", version.ref, str(problem))]
    text = replace(text, inputs=tuple(prompt.inputs) if prompt.inputs is not None else None)
    cases = read_cases(session, project, []) if project.name == session.project else ()
    found = _problems(prompt, text, _by_text(cases), project)
    return [replace(one, place=version.ref) for one in found if one.rule != "unowned"]


def blame(session: Session, project: Project, name: str) -> list[Blamed]:
    """The lines of a prompt as its file says them, else as its newest version does, each with the version that brought it.

    `name` is the prompt's, or its file.
    """
    if ending(Path(name)):
        file = prompt_file(Path(name), project)
        name = read_prompt(file, _shown(file, project)).name
    name = name.removeprefix("prompt:")
    prompts, problems = read_prompts(session, project)
    found = next((one for one in prompts if one.name == name), None)
    if found is None:
        broken = next((problem for problem in problems if any(f"{name}{end}" in problem for end in ENDINGS)), None)
        if broken:
            raise BadInput(broken)
        known = ", ".join(sorted(one.name for one in prompts)) or "none"
        raise NotFound(f"No prompt is called {name!r}, in prompts/ or in the registry. There are: {known}.")
    states: list[tuple[PromptVersion | None, str]] = [(version, version.text) for version in found.versions]
    if found.file is not None and (not states or found.text.strip("\n") != states[-1][1].strip("\n")):
        states.append((None, found.text))
    lines: list[tuple[str, PromptVersion | None]] = []
    for version, text in states:
        new = text.strip("\n").split("\n")
        matched = SequenceMatcher(None, [line for line, _ in lines], new, autojunk=False).get_opcodes()
        lines = [
            one
            for tag, a0, a1, b0, b1 in matched
            for one in (lines[a0:a1] if tag == "equal" else [(line, version) for line in new[b0:b1]])
        ]
    return [Blamed(number, line, version) for number, (line, version) in enumerate(lines, start=1)]


def _by_text(cases: Iterable[Case]) -> dict[str, Case]:
    """The evaluation rows by what they ask."""
    return {_plain(case.text): case for case in cases if len(case.text.split()) >= _WORDS}


def _problems(prompt: Prompt, text: PromptText, cases: Mapping[str, Case], project: Project) -> Iterator[Problem]:
    for name in text.inputs or ():
        if name not in prompt.variables:
            why = f"the input {name!r} is declared, and the template never uses it. Take it out of inputs:, or use it."
            yield Problem("unused-input", "warning", text.at("inputs", name), why)
    if prompt.owner is None and text.takes_owner:
        yield Problem(
            "unowned", "warning", text.at("owner"), "nobody looks after it. Write owner: in the front matter."
        )
    place = text.at("examples")
    try:
        _ = prompt.shots
    except AfereError as problem:
        yield Problem("example", "error", place, _without_place(str(problem), text.file or "", project))
    for number, example in enumerate(prompt.examples, start=1):
        if prompt.output is not None and (wrong := schema_problem(example.output, prompt.output)):
            why = f"example {number}: its output does not fit output: {wrong}."
            yield Problem("example", "error", place, why)
    for number, example in enumerate(prompt.examples, start=1):
        if (case := next((cases[said] for said in _said(example) if said in cases), None)) is not None:
            why = (
                f"example {number} is also the evaluation row {case.place}: the model is shown what it is asked, so that "
                "row measures nothing. Take it out of one of the two."
            )
            yield Problem("contamination", "error", place, why)


def _said(example: Example) -> Iterator[str]:
    """The texts that an example would share with an evaluation row: its input, whole or by value."""
    if isinstance(example.input, str):
        yield _plain(example.input)
        return
    texts = [value for value in example.input.values() if isinstance(value, str)]
    yield from (_plain(text) for text in ("\n".join(texts), *texts))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _broken(said: str, shown: str, project: Project) -> Problem:
    """A file that cannot be loaded: the place its error names, and the rest of it."""
    text = _relative(said, project)
    found = re.match(r"(?P<place>[^\s:]+:\d+): (?P<why>.*)", text, re.DOTALL)
    return Problem("broken", "error", found["place"], found["why"]) if found else Problem(
        "broken", "error", f"{shown}:1", _without_place(said, shown, project)
    )  # fmt: skip


def _without_place(said: str, shown: str, project: Project) -> str:
    return _relative(said, project).removeprefix(f"{shown}: ")


def _relative(said: str, project: Project) -> str:
    return said.replace(f"{project.root}/", "")


def _shown(path: Path, project: Project) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
