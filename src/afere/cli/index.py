"""`afere index`: build or refresh an index of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from afere.base.errors import NoSuchArtifact
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.data import Index


@click.command()
@click.argument("name")
@click.option("--refresh", is_flag=True, help="Read and embed every file again, even where nothing changed.")
@placed
def index(place: Place, name: str, refresh: bool) -> None:
    """Build or refresh an index of documents.

    NAME is declared in afere.yaml under `indexes:`, or was made before with afere.index(). Files that did not change
    cost nothing; searches use the new version from then on.
    """
    from afere.data.indexes import build, newest
    from afere.data.searching import declared

    project = place.here()
    session = place.session()
    before = newest(session, name)
    recipe = declared(project, name) or (before.recipe if before else None)
    if recipe is None:
        raise NoSuchArtifact(
            f"There is no index called {name!r}. Declare it in afere.yaml, such as: indexes: {{{name}: {{source: docs/}}}}"
        )
    try:
        with _bar(place, name) as bar:
            made = build(project, session, name, recipe, again=refresh, progress=bar)
    except KeyboardInterrupt:
        was = f"{before.ref} stays the newest" if before else f"there is no version of {name} yet"
        raise KeyboardInterrupt(
            f"interrupted; {was}. What was embedded is kept: run the same command again to go on."
        ) from None
    place.show(made, lambda console: _draw(console, made, before))


class _bar:
    """Progress on a terminal's error stream; nothing for scripts."""

    def __init__(self, place: Place, name: str) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=place.json or not console.is_terminal)
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> _bar:
        self._progress.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _draw(console: Console, made: Index, before: Index | None) -> None:
    took = made.refreshed
    same = before is not None and before.hash == made.hash
    embedder = made.embedder
    console.print(
        f"[bold]{made.ref}[/bold]{' (unchanged)' if same else ''}: {len(made)} chunks of {len(made.files)} files"
    )
    console.print(f"source    {made.content['source']}", markup=False)
    console.print(f"embedder  {embedder['version'] if embedder else 'none: search by words alone'}", markup=False)
    if took:
        console.print(
            f"took      {took.seconds:.1f} s; {took.read} files read, {took.reused} as before, {took.gone} gone"
        )
    for path, why in list(made.problems.items())[:10]:
        what = "note    " if path in made.files else "left out"
        console.print(f"{what}  {why if why.startswith(f'{path}:') else f'{path}: {why}'}", markup=False)
    if len(made.problems) > 10:
        console.print(f"          ... and {len(made.problems) - 10} more; all of them with --json")
