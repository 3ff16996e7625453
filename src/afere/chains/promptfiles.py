"""Where the prompts of a project are: the files below `prompts/` that are named like one, ours and other tools'."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from afere.base.artifact import slug
from afere.base.errors import AfereError
from afere.chains.prompt import FOREIGN, load_prompt

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.chains.prompt import Prompt

ENDINGS = (".md", *FOREIGN)  # of files that hold a prompt
_MOST = 2_000


def prompt_files(project: Project) -> list[Path]:
    """The files below the project's `prompts/` that are named like a prompt, in order of their names."""
    folder = project.root / "prompts"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if ending(path) and path.is_file())[:_MOST]


def load_prompts(paths: Iterable[Path], project: Project) -> tuple[dict[Path, Prompt], dict[Path, AfereError]]:
    """The prompts of these files, and why the others are none. What another of them includes is no prompt of its own."""
    prompts: dict[Path, Prompt] = {}
    problems: dict[Path, AfereError] = {}
    for path in paths:
        try:
            prompts[path] = load_prompt(path, project)
        except AfereError as problem:
            problems[path] = problem
    parts = {part.resolve() for prompt in prompts.values() for part, _ in prompt.files[1:]}
    return (
        {path: prompt for path, prompt in prompts.items() if path.resolve() not in parts},
        {path: problem for path, problem in problems.items() if path.resolve() not in parts},
    )


def ending(path: Path) -> str:
    """How a prompt's file ends: `.md`, `.prompt.yml` and others; empty for a file that is named otherwise."""
    return next((one for one in ENDINGS if path.name.endswith(one) and path.name != one), "")


def stem(path: Path) -> str:
    """The name that a prompt's file gives it: `prompts/Answer Well.md` -> `answer-well`."""
    return slug(path.name.removesuffix(ending(path)))


def file_of(name: str, project: Project) -> Path | None:
    """The file below `prompts/` of the prompt with this name: the one called like it, else the one that says so itself."""
    every = prompt_files(project)
    every.sort(key=lambda path: stem(path) != name)
    for path in every:
        try:
            if load_prompt(path, project).name == name:
                return path
        except AfereError:  # told where it is loaded, if it is the one that is meant
            if stem(path) == name:
                return path
    return None
