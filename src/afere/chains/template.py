"""The text of a prompt as a template: roles, included files, names, and rendering that trusts no value.

Roles are split before anything is filled in, so that a value can never open one. Values are plain JSON, since a template
that is given a Python object can call its methods. Fuel bounds both the steps and the memory of a rendering.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from minijinja import Environment, TemplateError

from afere.base.canonical import Json
from afere.base.errors import BadPrompt
from afere.base.message import Message, Role, message

LIMIT = 1_000_000  # bytes of a prompt file, and of each file it includes
FUEL = 500_000  # about 100,000 turns of a loop, or some ten megabytes of text

_ROLE = re.compile(r"# (system|user|assistant|tool)[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_SILENT = re.compile(r"\{#.*?#\}|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)
_TAG = re.compile(r"\{%-?\s*(include|import|extends|from)\b(.*?)-?%\}", re.DOTALL)
_LITERALS = re.compile(r"""\s*(?:\[\s*)?((?:(["'])[^"']*\2\s*,?\s*)+)\]?""")
_LITERAL = re.compile(r"""(["'])([^"']*)\1""")
_EXPRESSION = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_CAUSE = re.compile(r"^caused by: (?P<what>.*?) \(in (?P<name>.+):(?P<line>\d+)\)$", re.MULTILINE)
_BINDING = re.compile(r"\{%-?\s*(?:for|set|with)\s+([\w\s,()]+?)\s*(?:\bin\b|=)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Section:
    """What one role says, as a template. `line` is the line of the file at which `text` begins."""

    role: Role
    text: str
    line: int


def split_roles(text: str, *, file: str, first_line: int = 1) -> tuple[Section, ...]:
    """Cut a prompt's body at its role lines; role lines inside code fences are text. No role line: one user message."""
    sections: list[Section] = []
    role: Role | None = None
    begun, lines = first_line, list[str]()
    fence, fence_line, swallowed = "", 0, 0

    def close() -> None:
        body = "\n".join(lines)
        if role is None and body.strip() and sections_follow:
            raise BadPrompt(f"{file}:{begun}: text stands before the first role line. Put it under '# system'.")
        if role is not None or not sections_follow:
            lead = len(body) - len(body.lstrip("\n"))
            sections.append(Section(role or "user", body.strip("\n").rstrip(), begun + lead))

    sections_follow = False
    for number, line in enumerate(text.split("\n"), start=first_line):
        found, mark = _ROLE.fullmatch(line), _FENCE.fullmatch(line)
        if fence:
            swallowed = swallowed or (number if found else 0)
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence, swallowed = "", 0
        elif mark:
            fence, fence_line = mark[1], number
        elif found:
            sections_follow = True
            close()
            role, begun, lines = cast("Role", found[1]), number + 1, []
            continue
        lines.append(line)
    if swallowed:
        raise BadPrompt(
            f"{file}:{fence_line}: this code fence is never closed, so the role line in line {swallowed} would be text. "
            f"Close it with a line {fence}"
        )
    close()
    return tuple(sections)


def included(text: str, *, file: str, first_line: int = 1) -> Iterator[tuple[str, int]]:
    """The names a template includes or imports, each with its line. They must be written out, since they are part of the prompt."""
    quiet = _SILENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for tag in _TAG.finditer(quiet):
        line = first_line + quiet.count("\n", 0, tag.start())
        names = _LITERALS.match(tag[2])
        if names is None:
            raise BadPrompt(
                f"{file}:{line}: {tag[1]} {tag[2].strip()}: write the file's name in quotes. "
                "What a prompt includes is part of its version, so it cannot depend on an input."
            )
        for name in _LITERAL.finditer(names[1]):
            yield name[2], line


def gather(sections: Iterable[Section], *, file: str, roots: Iterable[Path]) -> dict[str, tuple[str, Path]]:
    """Every included file by the name it is included under: (text, path). Nothing outside `roots` is read."""
    folders = [root.resolve() for root in roots]
    found: dict[str, tuple[str, Path]] = {}

    def visit(name: str, place: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " includes ".join((*above[above.index(name) :], name))
            raise BadPrompt(f"{place}: files include each other in a circle: {circle}. Take one of these lines out.")
        if name in found:
            return
        path = _inside(name, folders, place)
        text = read_text(path)
        for inner, line in included(text, file=str(path)):
            visit(inner, f"{path}:{line}", (*above, name))
        found[name] = (text, path)

    for section in sections:
        for name, line in included(section.text, file=file, first_line=section.line):
            visit(name, f"{file}:{line}", ())
    return found


def gather_known(sections: Iterable[Section], known: Mapping[str, str], *, file: str) -> dict[str, str]:
    """As `gather`, out of texts that are `known` already: no file is read."""
    found: dict[str, str] = {}
    names = [pair for one in sections for pair in included(one.text, file=file, first_line=one.line)]
    while names:
        name, line = names.pop()
        if name not in known:
            there = f" Here there are: {', '.join(known)}." if known else ""
            raise BadPrompt(
                f"{file}:{line}: {name!r} is not among what this prompt includes.{there} Another file is included where the "
                "prompt's file is."
            )
        if name not in found:
            found[name] = known[name]
            names += [(inner, line) for inner, _ in included(known[name], file=name)]
    return found


def _inside(name: str, folders: list[Path], place: str) -> Path:
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or "\\" in name or any(part.startswith(".") for part in parts):
        raise BadPrompt(f"{place}: cannot include {name!r}: give a plain path below the prompts folder, without '..'.")
    for folder in folders:
        path = (folder / name).resolve()
        if path.is_file():
            if not path.is_relative_to(folder):
                raise BadPrompt(f"{place}: cannot include {name!r}: it is a link that leads out of {folder}.")
            return path
    looked = " and ".join(str(folder) for folder in folders)
    raise BadPrompt(f"{place}: there is no file {name!r} to include. Looked in {looked}.")


def stamp(path: Path) -> tuple[int, int]:
    """(mtime in ns, size) of a file, so that an edit is noticed; zeros where there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, at every call
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def read_text(path: Path) -> str:
    """A prompt file's text with `\\n` line ends, or BadPrompt saying what is wrong with it."""
    try:
        if path.stat().st_size > LIMIT:
            raise BadPrompt(
                f"{path}: {path.stat().st_size:,} bytes; a prompt file holds at most {LIMIT:,}. "
                "Give long material as an input, or put it in an index and search it."
            )
        data = path.read_bytes()
    except OSError as problem:
        raise BadPrompt(f"{path}: cannot be read: {problem.strerror}.") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise BadPrompt(
            f"{path}:{line}: not UTF-8 (byte {data[problem.start]:#04x}). Save the file as UTF-8."
        ) from None
    return plain_text(text, str(path))


def plain_text(text: str, file: str) -> str:
    """A text as prompts have it: no byte order mark, and `\n` line ends. BadPrompt if it is none, or too long."""
    if (size := len(text.encode("utf-8", "replace"))) > LIMIT:
        raise BadPrompt(f"{file}: {size:,} bytes; a prompt holds at most {LIMIT:,}.")
    if "\0" in text:
        raise BadPrompt(f"{file}: holds NUL characters, so it is not a text file. Save it as UTF-8 text.")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class Texts(list[str]):
    """The texts of a snippet: a list to the template, and one text where it is written out."""


@dataclass(frozen=True)
class Template:
    """Sections and the files they include, compiled once."""

    sections: tuple[Section, ...]
    includes: Mapping[str, str]
    file: str

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=self.includes.get, finalizer=_shown, undefined_behavior="strict", fuel=FUEL,
            auto_escape_callback=lambda _: False, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True, debug=False,
        )  # fmt: skip
        environment.remove_global("debug")  # it shows the whole state
        for i, section in enumerate(self.sections):
            try:
                environment.add_template(f"/{i}", section.text)
            except TemplateError as problem:
                raise self._error(problem, section) from None
        return environment

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name the template expects to be given, with the place (`file:line`) where it first stands."""
        environment, names = self._environment, dict[str, str]()
        known = set(environment.globals) | {"loop", "super", "self", "caller"}
        for i, section in enumerate(self.sections):
            for name in sorted(environment.undeclared_variables_in_template(f"/{i}") - known):
                names.setdefault(name, f"{self.file}:{_line_of(name, section.text, section.line)}")
        texts = [section.text for section in self.sections] + list(self.includes.values())
        # An included file sees the loop variables of the place that includes it.
        bound = {word for text in texts for found in _BINDING.finditer(text) for word in re.findall(r"\w+", found[1])}
        for name, text in self.includes.items():
            try:
                free = environment.undeclared_variables_in_template(name)
            except TemplateError as problem:
                raise BadPrompt(f"{name}:{problem.line or 1}: {problem.detail or problem.kind}.") from None
            for word in sorted(free - known - bound):
                names.setdefault(word, f"{name}:{_line_of(word, text, 1)}")
        return names

    def below(self, name: str) -> dict[str, str]:
        """What the template takes from a value by name (`terms` of `snippets.terms`), each with its place."""
        found: dict[str, str] = {}
        for i, section in enumerate(self.sections):
            for said in sorted(self._environment.undeclared_variables_in_template(f"/{i}", nested=True)):
                if said.startswith(f"{name}."):
                    place = f"{self.file}:{_line_of(said, section.text, section.line)}"
                    found.setdefault(said.split(".")[1], place)
        for inner, text in self.includes.items():
            for said in sorted(self._environment.undeclared_variables_in_template(inner, nested=True)):
                if said.startswith(f"{name}."):
                    found.setdefault(said.split(".")[1], f"{inner}:{_line_of(said, text, 1)}")
        return found

    def render(self, values: Mapping[str, Json], *, only: int | None = None) -> list[Message]:
        """The messages for these values; roles whose text comes out empty are left out. `only`: one section's."""
        environment, messages = self._environment, list[Message]()
        for i, section in enumerate(self.sections):
            if only is not None and i != only:
                continue
            try:
                text = environment.render_template(f"/{i}", **cast("dict[str, Any]", values))
            except TemplateError as problem:
                raise self._error(problem, section, values) from None
            if text := text.strip():
                messages.append(message(section.role, text))
        return messages

    def _error(self, problem: TemplateError, section: Section, values: Mapping[str, Json] | None = None) -> BadPrompt:
        inner = list(_CAUSE.finditer(str(problem)))  # what happened inside included files, innermost last
        if inner and inner[-1]["name"] in self.includes:
            what, place, said = inner[-1]["what"], f"{inner[-1]['name']}:{inner[-1]['line']}", ""
        else:
            what, said = problem.detail or problem.kind, _excerpt(problem, section.text)
            place = f"{self.file}:{section.line + (problem.line or 1) - 1}"
        if problem.kind == "OutOfFuel" or "out of fuel" in what:
            return BadPrompt(f"{place}: this template does too much work: its loops or texts are too large to fill in.")
        if problem.kind == "UndefinedError" or what.startswith("undefined value"):
            given = ", ".join(sorted(values or {})) or "nothing"
            return BadPrompt(
                f"{place}: {said or what.removeprefix('undefined value: ')} is not defined. Inputs given: {given}. "
                "Give it, or write {% if ... is defined %}."
            )
        hint = ""
        if problem.kind == "SyntaxError" and "end of" in what:
            hint = " A block such as {% if %} must close within its role."
        return BadPrompt(f"{place}: {what}{f' at {said!r}' if said else ''}.{hint}")


def _excerpt(problem: TemplateError, text: str) -> str:
    span = problem.range
    return text.encode()[span[0] : span[1]].decode(errors="replace") if span else ""


def _shown(value: Any) -> Any:
    """Lists and dicts go into a prompt as JSON, not as Python writes them; snippets as their texts, one below the other."""
    if isinstance(value, Texts):
        return "\n".join(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def _line_of(name: str, text: str, first_line: int) -> int:
    word = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    for tag in _EXPRESSION.finditer(text):
        if found := word.search(text, tag.start(), tag.end()):
            return first_line + text.count("\n", 0, found.start())
    return first_line


def nearest(name: str, known: Iterable[str], write: Callable[[str], str] = repr) -> str:
    """` Did you mean 'question'?`, or nothing when no known name is near."""
    near = get_close_matches(name, list(known), n=1)
    return f" Did you mean {write(near[0])}?" if near else ""
