"""`capture`: from the live chain to its revision.

The static part (all that is read from disk) is remembered by the starts it began with, for as long as no file or folder
that was looked at changes; so a second capture looks at stamps, at the values bound into the chain, and at whether the
loaded functions are still those of the files.
"""

from __future__ import annotations

import functools
import gc
import logging
import sys
import time
import types
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import slug
from afere.base.canonical import Json, digest_of
from afere.base.project import Project, find_project
from afere.chains.revision.cache import Files, is_racy, stamp_of
from afere.chains.revision.live import Live
from afere.chains.revision.modules import Defined, Modules, Whole, installed, roots_of
from afere.chains.revision.named import NamedUses, named_uses
from afere.chains.revision.packages import packages_of, setting_of
from afere.chains.revision.reach import Reach, Reached
from afere.chains.revision.record import Source
from afere.chains.revision.revision import Revision
from afere.chains.revision.stale import Differences, differences
from afere.chains.revision.tools import follow_tools

_log = logging.getLogger("afere")
_SLOW = 1.0  # seconds after which a capture says why it took so long


def capture(chain: Any, *, project: Project | None = None) -> Revision:
    """What a chain is made of now, found from its source without running anything.

    `chain` is a `Chain`, or any other callable: a scorer, a tool, a class, a function of a notebook. The project is that
    of the function's file, unless given.
    """
    begun = time.perf_counter()
    function = _function_of(chain)
    project = project or _project_of(function)
    modules = Modules(project.root, roots_of(project.root, _package_root(function)), Files())
    live = Live(modules)
    entry = live.begin(chain)
    static = _static(project, modules, live)
    differing = differences(static.reached, static.modules)
    if differing.patched:
        static, differing = _with_patches(project, modules, live, differing)
    revision = static.revision(_name_of(chain), entry, live, differing)
    seconds = time.perf_counter() - begun
    if seconds > _SLOW:
        _log.info("capturing %s took %.1f s: source files are read once per machine", revision.name, seconds)
    return revision


def _with_patches(
    project: Project, modules: Modules, live: Live, differing: Differences
) -> tuple[_Static, Differences]:
    """What replaces functions of the files can lead further."""
    for key, value in differing.patched.items():
        live.replace(key, value)
    static = _static(project, modules, live)
    return static, differences(static.reached, static.modules)


# -- the static part


@dataclass(slots=True)
class _Static:
    """What was read from disk, and the stamps under which it holds."""

    modules: Modules
    reached: Reached
    named: NamedUses
    read_at: int
    parts: dict[str, Json]
    sources: dict[str, Source]
    project: Project
    made: dict[str, Revision] = field(default_factory=dict[str, Revision])

    def holds(self) -> bool:
        return all(
            stamp_of(path) == stamp and not is_racy(stamp, self.read_at)
            for path, stamp in self.modules.files.stamps.items()
        )

    def revision(self, name: str, entry: str, live: Live, differing: Differences) -> Revision:
        """The revision with what only the live object and process know. The same things give the same object."""
        own: dict[str, Json] = {key: {"value": text} for key, text in live.values.items()}
        own |= {key: cast("Json", cell.leaf()) for key, cell in live.cells.items()}
        for key, text in differing.loaded.items():
            own[key] = {**cast("dict[str, Json]", self.parts.get(key) or {}), "code": text}
        notes = {f"{key}: not what its file says; restart to run what is on disk" for key in differing.loaded}
        notes |= live.notes | self.reached.notes | self.named.notes
        facts: list[Json] = [name, entry, own, *sorted(notes), *(str(id(one)) for one in live.components)]
        key = digest_of(facts)
        if key not in self.made:
            self.made[key] = self._make(name, entry, live, own, notes)
        return self.made[key]

    def _make(self, name: str, entry: str, live: Live, own: dict[str, Json], notes: set[str]) -> Revision:
        named = named_uses(Reached(), live.components, self.modules, self.project)
        cells = {key: Source(text=cell.source) for key, cell in live.cells.items() if cell.source}
        return Revision(
            name=name,
            entry=entry,
            parts={**self.parts, **own},
            uses={**self.named.uses, **named.uses},
            packages=packages_of(self.reached.outside | live.outside),
            notes=tuple(sorted(notes | named.notes)),
            setting=setting_of(self.project.root, self.reached.environment),
            rules=self.project.section("revision"),
            sources={**self.sources, **cells},
            leads=_leads(self.reached, own),
        )


_KNOWN: dict[str, _Static] = {}


def _static(project: Project, modules: Modules, live: Live) -> _Static:
    starts = sorted(
        f"{start.module.label} {start.name if isinstance(start, Defined) else '*'}" for start in live.starts
    )
    roots: list[Json] = [*modules.roots, *starts]
    key = digest_of([str(project.root), dict(project.config), roots])
    known = _KNOWN.get(key)
    if known is None or not known.holds():
        with _without_collector():
            known = _KNOWN[key] = _read(project, modules, live)
    return known


def _read(project: Project, modules: Modules, live: Live) -> _Static:
    read_at = time.time_ns()
    rules = project.section("revision")
    reach = Reach(modules, _patterns(rules.get("ignore")))
    starts: list[Defined | Whole] = list(live.starts)
    for pattern in _patterns(rules.get("include")):
        starts += _included(modules, reach, pattern)
    reached = reach.run(starts)
    named = named_uses(reached, (), modules, project)
    while follow_tools(reach, named.tools, project):
        reached = reach.run(())
        named = named_uses(reached, (), modules, project)
    parts: dict[str, Json] = {key: cast("Json", part.leaf()) for key, part in reached.parts.items()}
    sources = {key: Source(part.module.file or "", tuple(part.piece.lines)) for key, part in reached.parts.items()}
    for label, path in reached.files.items():
        if label not in named.files:
            parts[f"file {label}"] = {"bytes": modules.files.digest(path)}
    return _Static(modules, reached, named, read_at, parts, sources, project)


def _patterns(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [value] if isinstance(value, str) else []


def _included(modules: Modules, reach: Reach, pattern: str) -> list[Defined | Whole]:
    """What `revision: include:` of `afere.yaml` names: `pkg.mod:name`, a module, or a data file."""
    name, _, attribute = pattern.partition(":")
    module = modules.find(name)
    if module is not None:
        return [Defined(module, attribute)] if attribute in modules.index(module).pieces else [Whole(module)]
    path = f"{modules.project}/{pattern}"
    if modules.files.stamp(path):
        reach.file(pattern, path, None)
    return []


def _leads(reached: Reached, own: dict[str, Json]) -> dict[str, list[str]]:
    leads = {key: sorted(part.leads) for key, part in reached.parts.items()}
    for label, keys in reached.file_leads.items():
        for key in keys:
            leads[key] = [*leads.get(key, []), f"file {label}"]
    for key in own:
        leads.setdefault(key, [])
    return leads


@contextmanager
def _without_collector() -> Generator[None]:
    """Syntax trees are many small objects that all stay: collecting among them costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# -- where the chain is from


def _function_of(chain: Any) -> types.FunctionType | None:
    """The function at the bottom of a callable, to find its file; None if it has none."""
    target: Any = chain
    for _ in range(50):
        if isinstance(target, types.FunctionType) and not hasattr(target, "__wrapped__"):
            return target
        if isinstance(target, functools.partial):
            target = cast("functools.partial[Any]", target).func
            continue
        inner = next(
            (getattr(target, name, None) for name in ("fn", "__wrapped__", "__func__") if hasattr(target, name)), None
        )
        if inner is None:
            kind = cast("type", target) if isinstance(target, type) else type(target)
            inner = next((one for one in kind.__dict__.values() if isinstance(one, types.FunctionType)), None)
        if inner is None:
            return None
        target = inner
    return None


def _project_of(function: types.FunctionType | None) -> Project:
    """The declared project of the function's file, else that of the working directory."""
    file = Path(function.__code__.co_filename) if function else None
    found = find_project(file) if file is not None and file.is_file() else None
    return found if found is not None and found.declared else find_project()


def _package_root(function: types.FunctionType | None) -> str | None:
    """The folder from which the function's module is imported."""
    if function is None or installed(function.__code__.co_filename):
        return None
    file = Path(function.__code__.co_filename)
    if file.suffix != ".py" or not file.is_file():
        return None
    name = function.__module__ or ""
    if name == "__main__":
        name = getattr(getattr(sys.modules.get(name), "__spec__", None), "name", None) or file.stem
    depth = name.count(".") + (file.stem == "__init__")
    return file.resolve().parents[depth].as_posix()


def _name_of(chain: Any) -> str:
    """A name that an artifact can have: the chain's own, else that of the function, else of the class."""
    own: object = getattr(chain, "name", None) if type(chain).__module__.partition(".")[0] == "afere" else None
    target = chain
    while isinstance(target, functools.partial):
        target = cast("functools.partial[Any]", target).func
    named = own if isinstance(own, str) else getattr(target, "__name__", None)
    name = named if isinstance(named, str) else type(target).__name__
    plain = slug(name)
    return plain if plain[:1].isalpha() else f"f-{plain}".rstrip("-")
