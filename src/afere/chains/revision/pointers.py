"""Names in texts: what a reached part points at without naming it in code.

Data files, `pkg.mod:name`, modules imported by name, and the places where code is made of text or looked up by a
computed name: those count as a whole, or are noted, openly.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from afere.chains.revision.modules import Defined, Module
from afere.chains.revision.uses import Import, Name

if TYPE_CHECKING:
    from afere.chains.revision.reach import Part, Reach

_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_PATH = re.compile(r"[\w.~@ -]+(?:/[\w.~@ -]+)*/?")

_NOTES = {
    "open": "opens a file by a computed name; only what runs is seen",
    "getattr": "takes an attribute by a computed name; only what runs is seen",
    "entry_points": "loads plug-ins by entry point; of those only the version of their distribution counts",
}


class Pointers:
    """Follows the texts of one part after the other."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._modules = reach.modules

    def follow(self, part: Part) -> None:
        """Reach what the texts of a part name."""
        uses = part.piece.uses
        for text in sorted(uses.strings):
            self._text(text, part)
        for pattern in sorted(uses.dynamic):
            self._import(pattern, part)
        for mark in sorted(uses.marks):
            self._mark(mark, part)
        if uses.computed and "getattr" not in uses.marks and not self._all_modules(part):
            self._reach.note(part, _NOTES["getattr"])
        self._reach.reached.strings |= uses.strings

    def package(self, package: Module, part: Part) -> None:
        """Reach every module of a package."""
        for module in self._modules.below(package):
            self._reach.whole(module, part, f"can be imported through {package.label}")

    def _all_modules(self, part: Part) -> bool:
        """Whether all that `getattr(x, computed)` looks into are modules: they count as a whole already."""
        targets = [end for name in part.piece.uses.computed for end in self._modules.resolve(part.module, name)[0]]
        return bool(targets) and not any(isinstance(target, Defined) for target in targets)

    def _text(self, text: str, part: Part) -> None:
        if _PLACE.fullmatch(text):
            self._place(text, part)
        elif _PATH.fullmatch(text) and ("." in text or "/" in text or "folder" in part.piece.uses.marks):
            self._path(text, part)

    def _place(self, text: str, part: Part) -> None:
        module_name, _, attribute = text.partition(":")
        module = self._modules.find(module_name)
        if module is None:
            return
        targets, _ = self._modules.resolve(module, Name(attribute, Import(module_name, attribute.partition(".")[0])))
        part.names[text] = " or ".join(sorted(self._reach.meaning(target) for target in targets))
        for target in targets:
            self._reach.follow(target, part)

    def _path(self, text: str, part: Part) -> None:
        """An existing data file, from the project's folder or beside the module."""
        beside = (part.module.file or "").rpartition("/")[0]
        files = self._modules.files
        for folder in dict.fromkeys((self._modules.project, beside)):
            first, *rest = [piece for piece in text.split("/") if piece not in ("", ".")] or [""]
            if not folder or first not in files.listing(folder):
                continue
            path = "/".join((folder, first, *rest))
            if ".." in rest or not files.stamp(path):
                continue
            if Path(path).is_file():
                self._reach.file(self._modules.label(path), path, part)
            elif "folder" in part.piece.uses.marks:
                self._folder(path, part)
            return

    def _folder(self, path: str, part: Part) -> None:
        """All files of a folder that is listed by code."""
        for entry in sorted(self._modules.files.listing(path)):
            inner = f"{path}/{entry}"
            if entry.startswith(".") or entry == "__pycache__":
                continue
            if Path(inner).is_file():
                self._reach.file(self._modules.label(inner), inner, part)
            elif Path(inner).is_dir():
                self._folder(inner, part)

    def _import(self, pattern: str, part: Part) -> None:
        """A module imported by name; by a partly computed name, each module that fits."""
        package = part.module.name if part.module.folders else part.module.name.rpartition(".")[0]
        full = pattern.replace("{package}", package)
        if full.startswith("."):
            full = f"{package}.{full.lstrip('.')}"
        if "*" not in full:
            module = self._modules.find(full)
            if module is not None:
                self._reach.whole(module, part, "is imported by name")
            return
        parent = self._modules.find(full.partition("*")[0].rpartition(".")[0])
        if parent is None:
            self._reach.note(part, "imports a module by a computed name; only what runs is seen")
            return
        for module in self._modules.below(parent):
            if fnmatchcase(module.name, full):
                self._reach.whole(module, part, f"can be imported as {full}")

    def _mark(self, mark: str, part: Part) -> None:
        if mark in ("eval", "exec", "globals"):
            self._reach.whole(part.module, part, f"is open to {mark}")
        elif mark == "prose":
            self._reach.reads_prose = True
        elif mark == "subclasses":
            self._reach.reads_subclasses = True
        elif mark in _NOTES:
            self._reach.note(part, _NOTES[mark])
