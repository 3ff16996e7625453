"""What every command shares: `--json`, `--store`, `--project`, and one way to show a value."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afere.base.errors import StoreFailed
from afere.base.project import Project, find_project

if TYPE_CHECKING:
    from rich.console import Console

    from afere.store import Session


@dataclass(frozen=True)
class Place:
    """Which store and project a command works on, and whether a script reads the answer."""

    store: str | None
    project: str | None
    json: bool

    def here(self) -> Project:
        """The user's project, with the command line's wishes made known to everything that resolves names."""
        if self.store:
            os.environ["AFERE_STORE"] = self.store
        if self.project:
            os.environ["AFERE_PROJECT"] = self.project
        project = find_project()
        root = str(project.root)
        if root not in sys.path:  # so that `chains: {qa: "app:qa"}` imports as it does for the user's own script
            sys.path.insert(0, root)
        return project

    def session(self) -> Session:
        """The store, open."""
        import afere.store

        project = self.here()
        if "://" in project.store:
            _tell_of_waiting()
        return afere.store.open(project.store, project=project.name)

    def show(self, value: Any, draw: Callable[[Console], None]) -> None:
        """Print `value` as JSON for scripts, or let `draw` print it for people."""
        if self.json:
            value = value.to_json() if hasattr(value, "to_json") else value
            click.echo(json.dumps(value, ensure_ascii=False, indent=2))
        else:
            draw(console())


def dollars(cost: float, digits: int = 4) -> str:
    """`$0.0123`. Single calls are told to a millionth (`digits=6`), without zeros that say nothing."""
    said = f"${cost:,.{digits}f}"
    return said if digits <= 4 else said.rstrip("0").rstrip(".")


def many(count: int, one: str) -> str:
    """`1 trace`, `12 traces`."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}{'es' if one.endswith('s') else 's'}"


@functools.cache
def _tell_of_waiting() -> None:
    """Say on stderr when a server lets the command wait."""
    log = logging.getLogger("afere.waiting")
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    log.propagate = False


def printable(text: str) -> str:
    """A text that others wrote, such as a span's name, without codes for the terminal."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def write_report(file: Path, text: str) -> None:
    """Write a report. The step summary of GitHub Actions is added to, since other steps write there too."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        added = str(file) == os.environ.get("GITHUB_STEP_SUMMARY")
        with file.open("a" if added else "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as problem:
        raise StoreFailed(f"{file}: cannot be written: {problem.strerror}. Name another file.") from None


@functools.cache
def console() -> Console:
    """Where people read; no colour when piped or when NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def placed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`, `--store` and `--project`, handed over as its first argument, a `Place`."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
    @click.option(
        "--store", metavar="FOLDER|URL", help="Where records rest (default: AFERE_STORE, or .afere in the project)."
    )
    @click.option("--project", metavar="NAME", help="Project within the store (default: that of afere.yaml).")
    @functools.wraps(function)
    def with_place(*args: Any, as_json: bool, store: str | None, project: str | None, **options: Any) -> Any:
        return function(Place(store, project, as_json), *args, **options)

    return with_place
