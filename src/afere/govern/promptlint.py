"""What is wrong with prompt files, with file and line, before anything is sent. And who wrote which line of a prompt."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import AfereError, BadInput, NotFound
from afere.base.project import Project, find_project
from afere.chains.prompt import Prompt, load_prompt, stored_prompt
from afere.chains.promptfiles import ENDINGS, ending, file_of, load_prompts, prompt_files
from afere.chains.shots import said_of
from afere.data.checks import ASKED, Shown, contamination
from afere.data.rows import Row
from afere.govern.promptdrift import Drift, drifts
from afere.govern.prompts import PromptText, PromptVersion, kept_version, prompt_file, read_prompt, read_prompts
from afere.govern.rowchecks import shown_by
from afere.models import embedder

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.chains.shots import Source
    from afere.govern.promptsync import Standing
    from afere.store import Session

_log = logging.getLogger("afere")
_NAMED = 5  # rows that are named


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, at `place` (`prompts/answer.md:4`). Errors stop a call or spoil an evaluation; warnings do not, and notes
    only tell what is so."""

    rule: Literal["broken", "example", "contamination", "unused-input", "unused-snippet", "row", "drift", "unowned"]
    severity: Literal["error", "warning", "note"]
    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.why} [{self.rule}]"

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
    prompts, problems = load_prompts(paths, project)
    found = {path: [_broken(str(problem), _shown(path, project), project)] for path, problem in problems.items()}
    read: dict[Path, tuple[Prompt, PromptText]] = {}
    for path, prompt in prompts.items():
        try:
            read[path] = prompt, read_prompt(path, _shown(path, project))
        except AfereError as problem:
            found[path] = [_broken(str(problem), _shown(path, project), project)]
    spoilt = _contamination(list(read.values()), lambda: _rows(session, project))
    for path, (prompt, text) in read.items():
        of_data = spoilt.get(text.place(), [])
        found[path] = [*_problems(prompt, text, project), *_drifted(session, prompt, text), *of_data]
    return [problem for path in paths for problem in found.get(path, [])], len(found)


def look(session: Session, version: Artifact) -> None:
    """Log what is wrong with a version that was just made: one line, and how to see all. Called beside who made it."""
    if said := brief(lint_version(session, find_project(session.folder), version)):
        _log.warning("%s was made, and lint finds %s All: afere prompt lint %s", version.ref, said, version.name)


def brief(problems: Sequence[Problem]) -> str:
    """`1 error and 2 warnings: the first of them [rule]`; empty where there are only notes."""
    found = sorted((one for one in problems if one.severity != "note"), key=lambda one: one.severity)
    counts = [(how, sum(one.severity == how for one in found)) for how in ("error", "warning")]
    said = " and ".join(f"{count} {how}{'s' * (count > 1)}" for how, count in counts if count)
    return f"{said}: {found[0].why} [{found[0].rule}]" if found else ""


def lint_standing(session: Session, project: Project, found: Sequence[Standing]) -> dict[str, list[Problem]]:
    """The problems of prompts by name: of their files, and where there is none of their newest versions.

    What became of the rows that they show is left out: it stands in `Standing.drift`.
    """
    files = [one.file for one in found if one.prompt is not None]
    problems = lint(session, project, files)[0] if files else []
    told: dict[str, list[Problem]] = {}
    for one in found:
        mine = [each for each in problems if each.place.rpartition(":")[0] == one.shown]
        if one.prompt is None and one.newest is not None and one.state == "missing":
            mine = lint_version(session, project, one.newest)
        told[one.name] = [each for each in mine if each.rule != "drift"]
    return told


def lint_version(
    session: Session, project: Project, version: Artifact, *, prompt: Prompt | None = None, most: int | None = None
) -> list[Problem]:
    """The problems of a version in the registry, or of one that is not kept yet, as the `prompt` that it was read as.

    Places are its reference. `most`: where the suites have more rows than that, they are left to `afere prompt lint`.

    Rows of the project's suites, and what its file says now, are looked at where the store is that project's.
    """
    try:
        prompt = prompt or stored_prompt(version)
    except AfereError as problem:
        return [Problem("broken", "error", version.ref, str(problem))]
    inputs = tuple(prompt.inputs) if prompt.inputs is not None else None
    text = PromptText(version.name, prompt.body, None, inputs=inputs)
    ours = project.name == session.project
    try:
        spoilt = _contamination([(prompt, text)], lambda: _rows(session, project, most)) if ours else {}
    except _TooMany as problem:
        spoilt = {text.place(): [Problem("contamination", "note", version.ref, str(problem))]}
    drifted = [
        _drift_problem(one, version.ref)
        for one in drifts(session, version, written(version, project) if ours else None)
    ]
    found = [*_problems(prompt, text, project), *spoilt.get(text.place(), []), *drifted]
    return [replace(one, place=version.ref) for one in found if one.rule != "unowned"]


def written(version: Artifact, project: Project) -> Prompt | None:
    """The prompt as its file says it now; None without a file that can be read."""
    with suppress(AfereError):
        file = file_of(version.name, project)
        return load_prompt(file, project) if file is not None else None
    return None


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
    return _blamed(states)


def blame_version(session: Session, version: Artifact) -> list[Blamed]:
    """The lines of one version's template, each with the version until then that brought it."""
    known: list[PromptVersion] = []
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="prompt", name=version.name, limit=200, cursor=cursor)
        known += [kept_version(one) for one in page.items if one.version <= version.version]
        if (cursor := page.next) is None:
            break
    return _blamed([(one, one.text) for one in sorted(known, key=lambda one: one.number)])


def _blamed(states: Sequence[tuple[PromptVersion | None, str]]) -> list[Blamed]:
    """The lines of the last of these texts, oldest first."""
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


class _TooMany(Exception):
    """More rows than may be looked at while somebody waits."""


def _rows(session: Session, project: Project, most: int | None = None) -> list[Row]:
    """The evaluation rows, each called by its suite and id; those of a word or two are no sign of anything."""
    from afere.govern.debt.facts import read_cases  # of prompts that show something, which few do

    cases = list(islice(read_cases(session, project, []), None if most is None else most + 1))
    if most is not None and len(cases) > most:
        raise _TooMany(
            f"what it shows is not held against the more than {most:,} evaluation rows here: afere prompt lint does that."
        )
    return [
        Row(case.place, dict(case.input), case.expected or None) for case in cases if len(case.text.split()) >= ASKED
    ]


def _contamination(
    prompts: Sequence[tuple[Prompt, PromptText]], rows: Callable[[], Sequence[Row]]
) -> dict[str, list[Problem]]:  # fmt: skip
    """What each prompt shows that an evaluation asks, by the prompt's place: as `afere dataset check` finds it.

    The rows are read only where a prompt shows something.
    """
    shown = {f"{text.place()} {one.place}": (text, one) for prompt, text in prompts for one in shown_by(prompt)}
    found: dict[str, list[Problem]] = {}
    if not shown:
        return found
    for item in contamination(rows(), [Shown(place, one.input) for place, (_, one) in shown.items()]):
        text, one = shown[str(item.place)]
        first, *others = item.rows
        more = f" and {len(others)} more" if others else ""
        same = item.alike == 1.0
        how = "holds" if "word for word" in item.says else "is also" if same else "is nearly"
        why = (
            f"{one.place} {how} the evaluation row {first}{more}{'' if same else f' ({item.alike:.2f} alike)'}: the "
            f"model is shown what it is asked, so that row measures {'nothing' if same else 'little'}. Take it out of one of the two."
        )
        place = text.at(*one.field.split("."))
        found.setdefault(text.place(), []).append(Problem("contamination", "error" if same else "warning", place, why))
    return found


def _problems(prompt: Prompt, text: PromptText, project: Project) -> Iterator[Problem]:
    for name in text.inputs or ():
        if name not in prompt.variables:
            why = f"the input {name!r} is declared, and the template never uses it. Take it out of inputs:, or use it."
            yield Problem("unused-input", "warning", text.at("inputs", name), why)
    for name in prompt.snippets:
        if name not in prompt.template.below("snippets"):
            why = f"the snippet {name!r} is declared, and the template never uses it: write {{{{ snippets.{name} }}}} where it belongs."
            yield Problem("unused-snippet", "warning", text.at("snippets", name), why)
    if prompt.owner is None and text.takes_owner:
        yield Problem(
            "unowned", "warning", text.at("owner"), "nobody looks after it. Write owner: in the front matter."
        )
    for source in prompt.sources:
        yield from _life(source, text.at(*source.field.split(".")))
    place = text.at("examples")
    try:
        _ = prompt.shots
    except AfereError as problem:
        yield Problem("example", "error", place, _without_place(str(problem), text.file or "", project))
    if text.file and prompt.nearest is not None and prompt.nearest.embed != "local":  # which takes long to load
        try:
            embedder(prompt.nearest.embed, project)
        except AfereError as problem:
            yield Problem("example", "error", place, f"embed: {problem}")
    for number, example in enumerate(prompt.examples, start=1):
        if prompt.output is not None and (wrong := schema_problem(example.output, prompt.output)):
            why = f"example {number}: its output does not fit output: {wrong}."
            yield Problem("example", "error", place, why)


def _life(source: Source, place: str) -> Iterator[Problem]:
    """Rows of a dataset that are not shown, and those that somebody was to look at again."""
    many = f"{len(source.unused)} of {len(source.rows)} rows of {source.label}"
    named = f"{', '.join(map(str, source.unused[:_NAMED]))}{', ...' if len(source.unused) > _NAMED else ''}"
    if not source.used:
        why = f"none of the {len(source.rows)} rows of {source.label} is in use: {named}. Approve one (status: active), or take {source.field} out."
        yield Problem("row", "warning", place, why)
    elif any(one.why.startswith("expired") for one in source.unused):
        why = f"{many} are not shown: {named}. Renew what expired (expires:), retire it (status: retired), or take it out."
        yield Problem("row", "warning", place, why)
    elif source.unused:
        yield Problem("row", "note", place, f"{many} are not shown: {named}.")
    for row in source.overdue:
        owner = said_of(row, "owner")
        why = (
            f"{source.label}: row {row.id} was to be looked at again by {said_of(row, 'review')}{f', by {owner}' if owner else ''}. "
            "Look at it, then write the next day under review:"
        )
        yield Problem("row", "warning", place, why)


def _drifted(session: Session, prompt: Prompt, text: PromptText) -> Iterator[Problem]:
    """How far the datasets have gone on from what the newest version shows."""
    for newest in session.find("artifacts", kind="prompt", name=prompt.name, limit=1).items:
        for one in drifts(session, newest, prompt):
            yield _drift_problem(one, text.at(*one.field.split(".")))


def _drift_problem(one: Drift, place: str) -> Problem:
    return Problem("drift", "note" if one.follows else "warning", place, f"{one.says} Next: {one.action}")


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
