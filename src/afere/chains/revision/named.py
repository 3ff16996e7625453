"""What a chain uses that is an artifact of its own: prompts with their models, indexes, datasets.

Found in the literal names that reached code gives to afere (`prompt("prompts/answer.md")`, `search("handbook", ...)`),
in texts that name an index of `afere.yaml`, and in the live values of the chain. They become edges of the revision when
it is put, since only the store knows versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import Artifact, parse_ref
from afere.base.canonical import Json
from afere.base.errors import AfereError, NoSuchArtifact
from afere.base.project import Project
from afere.chains.revision.modules import Defined, Module, Modules
from afere.chains.revision.reach import Reached
from afere.chains.revision.uses import Call, Name
from afere.store import Session


@dataclass(frozen=True, slots=True)
class Named:
    """Something a chain uses: `role` is `component answer` or `index handbook`. `put` finds or makes its version."""

    role: str
    put: Callable[[Session], Artifact | None]


@dataclass(slots=True)
class NamedUses:
    """What was found, the files that are used through it (and so are no data files), what went wrong, and tools by name."""

    uses: dict[str, Named]
    files: set[str]
    notes: set[str]
    tools: set[str] = field(default_factory=set[str])


def named_uses(reached: Reached, components: Iterable[Any], modules: Modules, project: Project) -> NamedUses:
    """All artifacts that reached code and live values name."""
    found = NamedUses({}, set(), set())
    for component in components:
        _add_component(found, component)
    for what, module, call in reached.calls:
        if what == "prompt":
            _add_prompt(found, modules, project, module, call)
        elif what in ("search", "index"):
            name = _text(_argument(call, 0, "index" if what == "search" else "name"))
            if name:
                _add_index(found, name)
        elif what == "dataset":
            _add_dataset(found, _text(_argument(call, 0, "source")))
        elif what == "agent":
            found.tools |= (
                reached.strings
            )  # `tools=["lookup"]`, alone or among others; those that are no tool's name do not matter
    for name in project.section("indexes"):
        if name in reached.strings:
            _add_index(found, name)
    return found


def _add_component(found: NamedUses, component: Any) -> None:
    try:
        component.ready()
        found.uses[f"component {component.prompt.name}"] = Named(f"component {component.prompt.name}", component.put)
        found.tools.update(component.prompt.tools)
    except AfereError as problem:
        found.notes.add(f"{component!r} cannot be read: {problem}")


def _add_prompt(found: NamedUses, modules: Modules, project: Project, module: Module, call: Call) -> None:
    """A component as the call makes it: its arguments as far as they are written out, here or as constants."""
    from afere.chains.component import Component

    source = _text(_value(modules, module, _argument(call, 0, "source")))
    if not source:
        return
    words = {name: _value(modules, module, value) for name, value in call.keywords.items() if name != "source"}
    known = {name: cast("Json", value[1]) for name, value in words.items() if value and value[0] == "="}
    model = known.pop("model", None)
    place = project.path(source)
    try:
        found_at = place if place.is_file() else parse_ref(source, kind="prompt")
        component = Component(found_at, project, model=str(model) if model else None, parameters=known)
    except AfereError as problem:
        found.notes.add(f"prompt {source!r} in {module.label}: {problem}")
        return
    if isinstance(found_at, Path):
        found.files.add(modules.label(found_at.resolve().as_posix()))
    _add_component(found, component)


def _add_index(found: NamedUses, name: str) -> None:
    found.uses[f"index {name}"] = Named(f"index {name}", _newest(f"index:{name}"))


def _add_dataset(found: NamedUses, source: str) -> None:
    """A dataset by reference; one that is a file counts as that file."""
    if source.startswith("dataset:"):
        found.uses[f"dataset {source[8:]}"] = Named(f"dataset {source[8:]}", _newest(source))


def _newest(ref: str) -> Callable[[Session], Artifact | None]:
    def get(session: Session) -> Artifact | None:
        try:
            return session.get(ref)
        except NoSuchArtifact:
            return None  # not built yet: the revision changes when it is

    return get


def _argument(call: Call, position: int, name: str) -> list[object] | None:
    return call.keywords.get(name) or (call.args[position] if position < len(call.args) else None)


def _value(modules: Modules, module: Module, argument: list[object] | None) -> list[object] | None:
    """An argument that names a constant of the project, read from its literal."""
    if argument is None or argument[0] == "=":
        return argument
    for target in modules.resolve(module, Name(str(argument[1])))[0]:
        piece = modules.index(target.module).pieces[target.name] if isinstance(target, Defined) else None
        if piece is not None and piece.value is not None:
            return ["=", _read(piece.value)]
    return None


def _read(text: str) -> object:
    import ast

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _text(argument: list[object] | None) -> str:
    return argument[1] if argument and argument[0] == "=" and isinstance(argument[1], str) else ""
