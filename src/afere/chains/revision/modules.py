"""Step 4: from names to definitions. Finds the project's modules on disk and says what a name in one of them means.

Modules are looked for in the project's roots only (the folder that holds the chain's package, the project folder, its
`src/`, and folders on `sys.path` outside the installation, such as editable installs). Everything else is outside: the
standard library or a distribution. Nothing is imported. Each folder and file is looked at once per capture, and what
was looked at is kept in `stamps`: as long as they stay, so does the answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from afere.chains.revision.cache import Files
from afere.chains.revision.file_index import FileIndex
from afere.chains.revision.uses import Import, Name

_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the project. `file` is None for a namespace package; `label` is its path as people see it."""

    name: str
    label: str
    file: str | None
    folders: tuple[str, ...] = ()  # of a package

    @property
    def binary(self) -> bool:
        return self.file is not None and not self.file.endswith(".py")


@dataclass(frozen=True, slots=True)
class Defined:
    """A definition of the project."""

    module: Module
    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A module of the project, as a value."""

    module: Module


@dataclass(frozen=True, slots=True)
class Outside:
    """Something of the standard library or a distribution, by its dotted name."""

    name: str

    @property
    def distributed(self) -> bool:
        """Whether it is not of the standard library."""
        return self.name.partition(".")[0] not in sys.stdlib_module_names


Target = Defined | Whole | Outside


@lru_cache(maxsize=4096)
def installed(path: str) -> bool:
    """Whether a file belongs to the Python installation or an installed distribution."""
    parts = Path(path).parts
    return any(name in parts for name in _INSTALLED) or path.startswith(
        (Path(os.__file__).parent.as_posix(), "<frozen")
    )


def roots_of(project: Path, entry: str | None) -> tuple[str, ...]:
    """Where modules of the project are looked for, in order. `entry` is the folder that holds the chain's package."""
    own = [*([entry] if entry else []), project.as_posix(), (project / "src").as_posix()]
    return tuple(dict.fromkeys((*own, *_paths(tuple(sys.path), Path.cwd().as_posix()))))


@lru_cache(maxsize=16)
def _paths(path: tuple[str, ...], here: str) -> tuple[str, ...]:
    """Folders on `sys.path` outside the installation."""
    found = [Path(here, place).resolve() for place in path]
    return tuple(
        folder.as_posix()
        for folder in found
        if folder.is_dir()
        and not installed(f"{folder.as_posix()}/")
        and not (folder / "afere" / "__init__.py").exists()
    )


class Modules:
    """The project's modules, as they are on disk during one capture."""

    def __init__(self, project: Path, roots: Iterable[str], files: Files) -> None:
        self.project = project.as_posix()
        self.roots = tuple(roots)
        self.files = files
        self._found: dict[str, Module | None] = {}
        self._resolving: set[tuple[str, str]] = set()

    # -- modules

    def find(self, name: str) -> Module | None:
        """The project's module of that dotted name."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> Module | None:
        parent, _, last = name.rpartition(".")
        if not last or name == "afere":
            return None
        if not parent:
            return self._in_folders(name, last, self.roots, top=True)
        package = self.find(parent)
        return self._in_folders(name, last, package.folders) if package else None

    def _in_folders(self, name: str, last: str, folders: tuple[str, ...], *, top: bool = False) -> Module | None:
        spaces: list[str] = []
        for folder in folders:
            listing = self.files.listing(folder)
            if f"{last}.py" in listing:
                return self._module(name, f"{folder}/{last}.py")
            path = f"{folder}/{last}"
            if last in listing and "__init__.py" in self.files.listing(path):
                return self._module(name, f"{path}/__init__.py", (path,))
            binary = [entry for entry in listing if entry.startswith(f"{last}.") and entry.endswith((".so", ".pyd"))]
            if binary:
                return self._module(name, f"{folder}/{sorted(binary)[0]}")
            if last in listing and self.files.listing(path):
                spaces.append(path)
        if not spaces or (top and _is_distribution(name)):
            return None
        return Module(name, self.label(spaces[0]), None, tuple(spaces))

    def _module(self, name: str, file: str, folders: tuple[str, ...] = ()) -> Module:
        return Module(name, self.label(file), file, folders)

    def by_file(self, file: str) -> Module | None:
        """The module that a source file is, if it lies under one of the roots."""
        for root in sorted(self.roots, key=len, reverse=True):
            if file.startswith(root + "/"):
                parts = Path(file[len(root) + 1 :]).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
                module = self.find(name)
                return module if module and module.file == file else self._module(name, file)
        return None

    def label(self, path: str) -> str:
        """A path as people see it: from the project's folder, else from the root that holds it."""
        for root in (self.project, *sorted(self.roots, key=len, reverse=True)):
            if path.startswith(root + "/"):
                return path[len(root) + 1 :]
        return Path(path).name

    def index(self, module: Module) -> FileIndex:
        """What is in a module; empty for a namespace package and a binary one."""
        return FileIndex() if module.file is None or module.binary else self.files.index(module.file)

    def below(self, module: Module) -> list[Module]:
        """The modules of a package, one level deep."""
        names = {
            entry.partition(".")[0]
            for folder in module.folders
            for entry in self.files.listing(folder)
            if entry.endswith((".py", ".so", ".pyd")) or "." not in entry
        } - {"__init__", "__pycache__"}
        found = [self.find(f"{module.name}.{name}") for name in sorted(names)]
        return [one for one in found if one is not None and one.file is not None]

    # -- names

    def absolute(self, module: Module, origin: Import) -> str:
        """The dotted name of the module that an import in `module` names."""
        if not origin.level:
            return origin.module
        parts = module.name.split(".")
        drop = origin.level - (1 if module.folders else 0)
        base = parts[: len(parts) - drop] if drop else parts
        return ".".join([*base, *([origin.module] if origin.module else [])])

    def entered(self, module: Module, origin: Import) -> list[Module]:
        """The project's modules that this import runs, packages around them included."""
        name = self.absolute(module, origin)
        names = [".".join(name.split(".")[: i + 1]) for i in range(name.count(".") + 1)]
        found = [one for name in names if (one := self.find(name)) is not None]
        if origin.attr and found and found[-1].name == name and not self._bound(found[-1], origin.attr):
            below = self.find(f"{name}.{origin.attr}")
            found += [below] if below else []
        return found

    def _bound(self, module: Module, name: str) -> bool:
        index = self.index(module)
        return name in index.pieces or name in index.imports

    def resolve(self, module: Module, name: Name) -> tuple[list[Target], str]:
        """What a name in a module finally means, and how much of its chain said so. Built-in names mean nothing."""
        first, *rest = name.chain.split(".")
        targets = self._origin(module, name.origin) if name.origin else self._lookup(module, first)
        used = [first]
        for attribute in rest:
            if not any(isinstance(target, Whole | Outside) for target in targets):
                break
            used.append(attribute)
            targets = [end for target in targets for end in self._attribute(target, attribute)]
        return list(dict.fromkeys(targets)), ".".join(used)

    def imported(self, module: Module, name: Name) -> bool:
        """Whether the meaning of a name comes from an import."""
        first = name.chain.partition(".")[0]
        index = self.index(module)
        return name.origin is not None or first in index.imports or (first not in index.pieces and bool(index.stars))

    def _origin(self, module: Module, origin: Import) -> list[Target]:
        name = self.absolute(module, origin)
        found = self.find(name)
        if found is None:
            return [Outside(f"{name}.{origin.attr}" if origin.attr else name)]
        if origin.attr is None:
            return [Whole(found)]
        return self._lookup(found, origin.attr) or [Outside(f"{name}.{origin.attr}")]

    def _attribute(self, target: Target, attribute: str) -> list[Target]:
        if isinstance(target, Outside):
            return [Outside(f"{target.name}.{attribute}")]
        if isinstance(target, Defined):
            return [target]
        if attribute.startswith("__") and attribute.endswith("__"):
            return [target] if attribute in ("__path__", "__dict__") else []
        return self._lookup(target.module, attribute) or [Outside(f"{target.module.name}.{attribute}")]

    def _lookup(self, module: Module, name: str) -> list[Target]:
        """What a name means at the top of a module: its definitions, imports, submodules, stars, `__getattr__`."""
        if (module.name, name) in self._resolving:
            return []
        self._resolving.add((module.name, name))
        try:
            return self._meanings(module, name)
        finally:
            self._resolving.discard((module.name, name))

    def _meanings(self, module: Module, name: str) -> list[Target]:
        index = self.index(module)
        found: list[Target] = [Defined(module, name)] if name in index.pieces else []
        for origin in index.imports.get(name, ()):
            found += self._origin(module, origin)
        if not found and (below := self.find(f"{module.name}.{name}")) is not None and module.folders:
            found.append(Whole(below))
        if not found:
            found = self._from_stars(module, index, name)
        if not found and "__getattr__" in index.pieces and not name.startswith("__"):
            found.append(Defined(module, "__getattr__"))
        return found

    def _from_stars(self, module: Module, index: FileIndex, name: str) -> list[Target]:
        found: list[Target] = []
        for star in index.stars:
            full = self.absolute(module, star)
            source = self.find(full)
            if source is None:
                found += [] if name in _BUILTIN else [Outside(f"{full}.{name}")]
                continue
            exports = self.index(source).exports
            if name in exports if exports is not None else not name.startswith("_"):
                found += self._lookup(source, name)
        return found


def _builtin_names() -> frozenset[str]:
    import builtins

    return frozenset(dir(builtins))


_BUILTIN = _builtin_names()


def _is_distribution(name: str) -> bool:
    from afere.chains.revision.packages import providers

    return name in sys.stdlib_module_names or bool(providers(name))
