"""What a project's files say by name: words that code quotes, values of configuration, and names put together at run time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from afere.base.canonical import Json

if TYPE_CHECKING:
    from afere.base.project import Project

MOST_FILES = 5_000  # files that are read; where there are more, no name can be called unused
_MOST_BYTES = 1_000_000  # of one file
_PROSE = 3  # words from which a quoted text is prose, of which only what looks like a path or reference counts
_FIXED = 3  # characters that a pattern says itself at least, so that it means something
_CODE = frozenset(
    [
        ".py",
        ".js",
        ".ts",
        ".tsx",
        ".jsx",
        ".mjs",
        ".cjs",
        ".go",
        ".rs",
        ".java",
        ".kt",
        ".rb",
        ".php",
        ".cs",
        ".swift",
        ".scala",
        ".ex",
        ".vue",
        ".svelte",
    ]
)
_VALUES = frozenset(
    [".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".env", ".sh", ".bash", ".ps1", ".tf", ".ipynb", ".j2"]
)
_NAMES = frozenset(["Dockerfile", "Makefile", "Procfile", "justfile"])
# What packs files up or lists what is installed says nothing of who uses them.
_PACKING = frozenset(
    ["pyproject.toml", "setup.cfg", "setup.py", "package.json", "package-lock.json", "Dockerfile", "MANIFEST.in"]
)
_SKIPPED = frozenset(["node_modules", "venv", "__pycache__", "dist", "build", "site-packages"])
_COMMENT = re.compile(r"(?m)^[ \t]*(?:#|//|/\*|\* ).*$")
_REMARK = re.compile(r"(?m)[ \t]#[ \t].*$")
_QUOTED = re.compile(r"(\"\"\"|'''|`)(?P<long>.*?)\1|(\"|')(?P<short>(?:\\.|(?!\3)[^\\\n])*)\3", re.DOTALL)
_BETWEEN = re.compile(r"[\s\\\"'`,;\[\]{}()=<>|]+")
_HOLE = re.compile(r"\$?\{\{[^{}\n]*\}\}|\$\{[^{}\n]*\}|\{\w*\}|\$\w+|%[sd]|\*+")
_CODE_HOLE = re.compile(_HOLE.pattern + r"|\{[^{}\n]*\}")  # an expression in a text of code
_JOINED = re.compile(r"\s*\)?\s*[/,]\s*[\"'`]")


@dataclass
class Mentions:
    """Which names a project's files say, and where: `words` has the files of each, `patterns` are names with holes
    (`prompts/*.md`), `folders` are folders that code names without a file behind."""

    words: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    patterns: set[str] = field(default_factory=set[str])
    folders: set[str] = field(default_factory=set[str])
    files: int = 0

    @property
    def whole(self) -> bool:
        """Whether all files were read."""
        return self.files <= MOST_FILES

    def named(self, spellings: Iterable[str], *, but: str = "") -> bool:
        """Whether any spelling is said, outside the entry or the files that begin with `but`, or fits a name that is put together."""
        asked = set(spellings)
        if any(not f"{where}.".startswith(f"{but}.") for one in asked for where in self.words.get(one, ())):
            return True
        if any(str(Path(one).parent) in self.folders for one in asked if "/" in one):
            return True
        return any(_expression(pattern).fullmatch(one) for pattern in self.patterns for one in asked)

    def say(self, word: str, where: str) -> None:
        """Keep a word, and the ends of a path, without an alias or a version behind."""
        word = word.strip(":.").removeprefix("./").split("@")[0].rstrip("/")
        parts = word.split("/")
        for start in range(len(parts)):
            if tail := "/".join(parts[start:]):
                self.words.setdefault(tail, set()).add(where)
        if ":" in word:
            self.words.setdefault(word.rpartition(":")[2], set()).add(where)


def read_mentions(project: Project) -> Mentions:
    """Read the project's code and configuration once; prose (Markdown, text) is not looked at, but for prompts' heads."""
    if not project.declared:
        return Mentions(files=MOST_FILES + 1)  # any folder: what is below may be somebody's whole disk
    found = Mentions()
    _entries(found, project.config)
    for path in _files(project.root):
        found.files += 1
        if not found.whole:
            break
        try:
            if path.stat().st_size > _MOST_BYTES:
                continue
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # no text that could name anything
        where = path.relative_to(project.root).as_posix()
        if path.suffix in _CODE:
            _code(found, _COMMENT.sub("", text), where)
        elif path.suffix == ".md":
            _values(found, text.split("\n---", 1)[0] if text.startswith("---") else "", where)
        else:
            _values(found, _REMARK.sub("", _COMMENT.sub("", text)), where, packing=path.name in _PACKING)
    return found


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            one for one in folders if one not in _SKIPPED and (not one.startswith(".") or one in (".github", ".gitlab"))
        )
        here = Path(folder)
        prompts = here.relative_to(root).parts[:1] == ("prompts",)
        for name in sorted(names):
            suffix = Path(name).suffix
            if here == root and name == "afere.yaml":
                continue  # by entry, above
            if suffix in _CODE or suffix in _VALUES or name in _NAMES or (prompts and suffix == ".md"):
                yield here / name


def _entries(found: Mentions, config: Mapping[str, Json]) -> None:
    """The values of afere.yaml, each said by its entry (`models.fast`); thresholds of debt name nothing that is used."""
    for section, said in config.items():
        if section == "debt":
            continue
        for name, value in said.items() if isinstance(said, dict) else (("", said),):
            for text in _texts(value):
                _values(found, text, f"{section}.{name}")


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _code(found: Mentions, text: str, where: str) -> None:
    for match in _QUOTED.finditer(text):
        said = match["long"] if match["long"] is not None else match["short"]
        words = said.split()
        if len(words) > _PROSE:
            for word in words:
                if re.search(r"\w[/:]\w|\.md\b", word):
                    found.say(word.strip("\"'`,;()[]."), where)
            continue
        for word in _BETWEEN.split(said):
            found.say(word, where)
        if len(words) == 1:
            _together(found, text, match, said)


def _together(found: Mentions, text: str, match: re.Match[str], said: str) -> None:
    """A name that code puts together: holes in it, something added to it, or a folder whose files are listed."""
    before, behind = text[: match.start()].rstrip()[-1:], text[match.end() : match.end() + 40]
    pattern = _CODE_HOLE.sub("*", said).removeprefix("./")
    pattern = f"*{pattern}" if before == "+" else pattern
    pattern = f"{pattern}*" if behind.lstrip()[:1] == "+" else pattern
    if "*" in pattern:
        _pattern(found, pattern)
    elif not _JOINED.match(behind):
        found.folders.add(said.removeprefix("./").rstrip("/"))


def _values(found: Mentions, text: str, where: str, *, packing: bool = False) -> None:
    for word in _BETWEEN.split(_HOLE.sub("*", text)):
        if "*" not in word:
            found.say(word, where)
        elif not packing:
            _pattern(found, word.removeprefix("./"))


def _pattern(found: Mentions, pattern: str) -> None:
    if len(re.sub(r"[*./\\:-]|md$", "", pattern)) >= _FIXED or pattern.endswith("*.md"):
        found.patterns.add(re.sub(r"\*+", "*", pattern))


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("(?:.*/)?" + ".*".join(re.escape(part) for part in pattern.split("*")))
