"""Prompts as they are written: read without judging, so that a broken one can be looked at too. And their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadInput, NotFound
from afere.chains.prompt import FOREIGN
from afere.chains.promptfiles import prompt_files, stem
from afere.chains.shapes import read_shape
from afere.chains.template import nearest

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.base.project import Project
    from afere.store import Session

MOST = 1_000_000  # bytes of one prompt file
_ROLE = re.compile(r"# (system|user|assistant|tool)[ \t]*")


@dataclass(frozen=True)
class PromptVersion:
    """One version of a prompt in the registry: its number, when and by whom it was made, and its template."""

    number: int
    at: str
    by: str
    text: str
    ref: str
    why: str = ""


@dataclass(frozen=True)
class PromptText:
    """A prompt as it stands: its template, and at which line of which file it begins.

    `file` is None for a prompt that rests in the registry alone; places are then its reference. `lines` are (line number,
    role, text) of the template.
    """

    name: str
    text: str
    file: str | None
    first_line: int = 1
    owner: str | None = None
    model: str | None = None
    inputs: tuple[str, ...] | None = None
    lines_of: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])  # (field, one below)
    fields: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    versions: tuple[PromptVersion, ...] = ()
    numbers: tuple[int, ...] = ()  # of another tool's file: the line of the file for each line of the template
    takes_owner: bool = True  # whether its file has a place for one
    seen: bool = False  # known from traces alone; `ref` of its versions is the trace that first sent it

    def place(self, line: int | None = None) -> str:
        """`prompts/answer.md:12`; a prompt without a file is its reference."""
        if self.seen:
            return f"system prompt of {self.name}" + (f", line {line}" if line is not None else "")
        if self.file is None:
            return self.versions[-1].ref if self.versions else f"prompt:{self.name}"
        if line is not None and self.numbers:
            line = self.numbers[min(max(line - self.first_line, 0), len(self.numbers) - 1)]
        return f"{self.file}:{line}" if line is not None else self.file

    def at(self, name: str, inner: str = "") -> str:
        """Where its file says a field of the front matter (or one below it), else where it begins."""
        if self.file is None:
            return self.place()
        return f"{self.file}:{self.lines_of.get((name, inner)) or self.lines_of.get((name, '')) or 1}"

    def before(self, moment: str) -> PromptText | None:
        """As it stood at a time (RFC 3339): the newest version until then. None where there was none yet.

        A prompt that the registry does not know is taken as it stands.
        """
        known = tuple(version for version in self.versions if version.at <= moment)
        if len(known) == len(self.versions):
            return self
        return replace(self, text=known[-1].text, versions=known) if known else None

    @property
    def lines(self) -> Iterator[tuple[int, str, str]]:
        role = "system" if self.seen else "user"
        for number, line in enumerate(self.text.split("\n"), start=self.first_line):
            found = _ROLE.fullmatch(line)
            if found:
                role = found[1]
            else:
                yield number, role, line


def read_prompts(session: Session, project: Project, *, until: str | None = None) -> tuple[list[PromptText], list[str]]:
    """Every prompt of the project: those under `prompts/`, with their versions, and those of the registry alone.

    `until` (RFC 3339) leaves out later versions; where the registry knows a later one than that, the text is the version
    that stood then. Returns what could not be read in words, too.
    """
    problems: list[str] = []
    versions = _versions(session, until)
    found: dict[str, PromptText] = {}
    for path in prompt_files(project):
        shown = path.relative_to(project.root).as_posix()
        try:
            one = read_prompt(path, shown)
        except BadInput as problem:
            problems.append(str(problem))
            continue
        known, later = versions.pop(one.name, ([], False))
        if later and known:
            one = replace(one, text=known[-1].text)
        found[one.name] = replace(one, versions=tuple(known))
    for name, (known, _) in versions.items():
        if known and name not in found:
            found[name] = PromptText(name, known[-1].text, None, versions=tuple(known))
    return list(found.values()), problems


def read_prompt(path: Path, shown: str) -> PromptText:
    """One prompt file, leniently: unknown fields and undeclared variables are for others to judge."""
    try:
        if path.stat().st_size > MOST:
            raise BadInput(f"{shown}: a prompt of more than {MOST:,} bytes is not read. Split it.")
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadInput(f"{shown}: not UTF-8 text, so it is no prompt.") from None
    except OSError as problem:
        raise BadInput(f"{shown}: cannot be read: {problem.strerror}.") from None
    if path.name.endswith(FOREIGN):
        return _of_another_tool(path, shown, text)
    lines = text.split("\n")
    fields: Mapping[str, Json] = {}
    places: dict[tuple[str, str], int] = {}
    first = 1
    if lines[0].rstrip() == "---":
        end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
        if end is None:
            raise BadInput(f"{shown}:1: the front matter is never closed. End it with a line ---.")
        document = read_yaml("\n".join(lines[1:end]), file=shown, first_line=2)
        fields = document.value if isinstance(document.value, dict) else {}
        places = {
            (str(said[0]), str(said[1]) if len(said) == 2 else ""): line
            for said, line in document.lines.items()
            if len(said) in (1, 2)
        }
        first, text = end + 2, "\n".join(lines[end + 1 :])
    inputs = fields.get("inputs")
    name = fields.get("name")
    return PromptText(
        str(name) if isinstance(name, str) else stem(path), text, shown, first,
        _word(fields.get("owner")), _word(fields.get("model")), tuple(inputs) if isinstance(inputs, dict) else None,
        places, fields,
    )  # fmt: skip


def _of_another_tool(path: Path, shown: str, text: str) -> PromptText:
    """A prompt of another tool as our template says the same, each line with its place in the file."""
    found = read_shape(Path(shown), text)
    body, numbers = found.body, list[int]()
    for section in found.sections:
        lines = section.text.strip("\n").split("\n")
        numbers += [max(1, section.line - 1), *range(section.line, section.line + len(lines))]
    inputs = found.fields.get("inputs")
    fields = {name: value for name, value in found.fields.items() if value not in (None, {}, [])}
    return PromptText(
        found.name, body, shown, 1, _word(found.fields.get("owner")), _word(found.fields.get("model")),
        tuple(inputs) if isinstance(inputs, dict) and inputs else None, {}, fields, numbers=tuple(numbers),
        takes_owner=path.suffix not in (".yml", ".yaml"),
    )  # fmt: skip


def prompt_file(said: Path, project: Project) -> Path:
    """The file that a path names, from here or from the project's folder; else the one below `prompts/` of a prompt so named."""
    for found in (said, project.path(said)):
        if found.is_file():
            return found.absolute()
    known: dict[str, Path] = {}
    for path in prompt_files(project):
        try:
            known.setdefault(read_prompt(path, path.name).name, path)
        except BadInput:
            known.setdefault(stem(path), path)
    name = str(said).removeprefix("prompt:")
    if name not in known:
        raise NotFound(
            f"There is no file {str(said)!r}, here or in {project.root}, and below prompts/ no prompt of that name."
            f"{nearest(name, known)}"
        )
    return known[name]


def _versions(session: Session, until: str | None) -> dict[str, tuple[list[PromptVersion], bool]]:
    """By name: the versions up to a time, oldest first, and whether there are later ones."""
    found: dict[str, tuple[list[PromptVersion], bool]] = {}
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="prompt", limit=200, cursor=cursor)
        for artifact in page.items:
            known, later = found.get(artifact.name, ([], False))
            if until is not None and artifact.at > until:
                found[artifact.name] = known, True
            else:
                found[artifact.name] = [kept_version(artifact), *known], later
        if (cursor := page.next) is None:
            return found


def kept_version(artifact: Artifact) -> PromptVersion:
    """A version as the registry keeps it."""
    content = cast("dict[str, Json]", artifact.content) if isinstance(artifact.content, dict) else {}
    return PromptVersion(
        artifact.version, artifact.at, artifact.by, str(content.get("template") or ""), artifact.ref, artifact.why
    )


def _word(value: Json) -> str | None:
    return str(value) if value not in (None, "") else None
