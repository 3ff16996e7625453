"""Which installed distributions provide what the code names, and the setting: where it all ran."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from afere.base.canonical import Json
from afere.chains.revision.canonical_form import keyed, secret_name

_SUFFIXES = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution, and the folder that describes it."""

    name: str
    version: str
    folder: Path

    def tops(self) -> set[str]:
        """The top-level modules that it installs."""
        listed = _read(self.folder / "RECORD") or _read(self.folder / "SOURCES.txt")
        paths = {line.partition(",")[0] for line in listed.splitlines()}
        found = {path.partition("/")[0] for path in paths if path.endswith((".py", ".so", ".pyd"))}
        return {top.partition(".")[0] for top in found} | set(_read(self.folder / "top_level.txt").split())


@lru_cache(maxsize=4)
def _distributions(path: tuple[str, ...]) -> tuple[Distribution, ...]:
    """What is installed on a path, the first of a name. Read from its files: `importlib.metadata` takes ten times longer."""
    found: dict[str, Distribution] = {}
    for folder in path:
        place = Path(folder or ".")
        entries = sorted(place.iterdir()) if place.is_dir() else []
        for entry in entries:
            if entry.suffix in _SUFFIXES and (one := _distribution(entry)) is not None:
                found.setdefault(one.name.lower(), one)
    return tuple(found.values())


def _distribution(folder: Path) -> Distribution | None:
    if not folder.is_dir():
        return None
    said = _read(folder / "METADATA") or _read(folder / "PKG-INFO")
    heads = dict(line.split(": ", 1) for line in said.partition("\n\n")[0].splitlines() if ": " in line)
    name = heads.get("Name")
    return Distribution(name, heads.get("Version", "unknown"), folder) if name else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _by_top(path: tuple[str, ...]) -> dict[str, list[Distribution]]:
    found: dict[str, list[Distribution]] = {}
    for one in _distributions(path):
        for top in one.tops():
            found.setdefault(top, []).append(one)
    return found


def providers(top: str) -> list[Distribution]:
    """The distributions that provide a top-level module. Several may; all of them count."""
    return _by_top(tuple(sys.path)).get(top, [])


def packages_of(names: set[str]) -> dict[str, str]:
    """`name: version` of the distributions behind dotted names; the standard library and afere are not among them."""
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"afere"}
    return {one.name: one.version for top in sorted(tops) for one in providers(top)}


def setting_of(root: Path, environment: Iterable[str]) -> dict[str, Json]:
    """Where the chain runs: interpreter, platform, all distributions, the commit, environment variables that code reads.

    A variable's value is a keyed digest; of one that looks like a secret it only says whether it is set.
    """
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "distributions": {one.name: one.version for one in _distributions(tuple(sys.path))},
        "commit": _commit(root),
        "environment": {name: _variable(name) for name in sorted(environment)},
    }


def _variable(name: str) -> str | None:
    value = os.environ.get(name)
    if value is None:
        return None
    return "set" if secret_name(name) else f"keyed {keyed(value)}"


def _commit(root: Path) -> str | None:
    """The commit of the project's repository, with `dirty` where files differ; None without git."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head} dirty" if changed else head


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603 (fixed words)
