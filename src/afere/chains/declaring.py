"""The ways to name a component: a prompt file or a reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from afere.base.artifact import parse_ref
from afere.base.canonical import Json
from afere.base.errors import BadPrompt, BadReference
from afere.base.project import Project
from afere.chains.component import Component
from afere.chains.fetching import REFRESH, packaged
from afere.chains.prompt import FOREIGN
from afere.chains.promptfiles import prompt_files
from afere.chains.template import nearest
from afere.data.place import calling_project

_FILES = (".md", ".txt", ".jinja", ".j2", *FOREIGN)


def prompt(
    source: str | Path, *, model: str | None = None, fallback: str | Path | None = None, refresh: float = REFRESH,
    **parameters: Json,
) -> Component:  # fmt: skip
    """A component from a prompt file (a path in the project of the calling module) or from a reference such as
    `answer@production`. The model is the argument, else that of the file, else the one named like the prompt under
    `models:` of afere.yaml.

    With `fallback`, a packaged prompt file, a reference never fails and never waits long: it is looked up beside the calls,
    again after `refresh` seconds; while the store is away, the version known last is used, else the file.
    """
    return component_of(
        source, calling_project(), model=model, parameters=parameters, fallback=fallback, refresh=refresh
    )


def component_of(
    source: str | Path, project: Project, *, model: str | None = None, parameters: Mapping[str, Json] | None = None,
    fallback: str | Path | None = None, refresh: float = REFRESH,
) -> Component:  # fmt: skip
    """Like `prompt`, in a project that is known."""
    if isinstance(source, Path) or "/" in source or "\\" in source or source.endswith(_FILES):
        if fallback is not None:
            raise BadPrompt(f"fallback= is for a reference such as 'answer@production'; {str(source)!r} is a file.")
        path = project.path(source)
        if not path.is_file():
            raise BadPrompt(_no_file(path, project))
        return Component(path, project, model=model, parameters=parameters)
    try:
        ref = parse_ref(source)
    except BadReference:
        raise BadPrompt(
            f"{source!r} is neither a prompt file (prompts/answer.md) nor a reference (answer@production, component:answer@2)."
        ) from None
    file = packaged(fallback, project) if fallback is not None else None
    return Component(ref, project, model=model, parameters=parameters, fallback=file, refresh=refresh)


def _no_file(path: Path, project: Project) -> str:
    """Where a prompt was looked for, and which there are."""
    here = [file.relative_to(project.root).as_posix() for file in prompt_files(project)][:20]
    wanted = str(path.relative_to(project.root)) if path.is_relative_to(project.root) else str(path)
    return (
        f"There is no prompt file {wanted!r} in project {project.root}.{nearest(wanted, here)} "
        f"Prompt files there: {', '.join(here) or 'none below prompts/'}."
    )
