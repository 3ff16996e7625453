"""Which installed distributions provide what the code names, and the setting: where it all ran."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from afere.base.canonical import Json
from afere.chains.revision.canonical_form import keyed, secret_name


@lru_cache(maxsize=4)
def _providers(_path: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}


def providers(top: str) -> list[str]:
    """The distributions that provide a top-level module. Several may; all of them count."""
    return _providers(tuple(sys.path)).get(top, [])


@lru_cache(maxsize=4096)
def version_of(distribution: str) -> str:
    """The installed version of a distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def packages_of(names: set[str]) -> dict[str, str]:
    """`name: version` of the distributions behind dotted names; the standard library and afere are not among them."""
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"afere"}
    return {name: version_of(name) for top in sorted(tops) for name in providers(top)}


@lru_cache(maxsize=4)
def _installed(_path: tuple[str, ...]) -> dict[str, str]:
    return {found.name: found.version for found in metadata.distributions() if found.name}


def setting_of(root: Path, environment: Iterable[str]) -> dict[str, Json]:
    """Where the chain runs: interpreter, platform, all distributions, the commit, environment variables that code reads.

    A variable's value is a keyed digest; of one that looks like a secret it only says whether it is set.
    """
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "afere": version_of("afere"),
        "distributions": dict[str, Json](sorted(_installed(tuple(sys.path)).items())),
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
