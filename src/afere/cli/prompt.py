"""`afere prompt`: prompt files and the registry in step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from afere.base.errors import Exit
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.govern.promptsync import Done, Standing


@click.group()
def prompt() -> None:
    """Prompt files and the registry: in step both ways."""


@prompt.command()
@click.argument("names", nargs=-1)
@placed
def status(place: Place, names: tuple[str, ...]) -> int:
    """How prompt files and the registry stand; status 1 if they are not in step.

    A conflict is a prompt that changed on both sides since their last common version; its difference is shown.
    """
    from afere.govern.promptsync import STATES, standings

    project = place.here()
    with place.session() as session:
        found = standings(session, project, names)

    def draw(console: Console) -> None:
        if not found:
            console.print("No prompts: none below prompts/, none in the registry.")
        for one in found:
            version = f"@{one.newest.version}" if one.newest else ""
            console.print(
                f"{one.state:<9}{one.name}{version}  {one.shown}  {one.problem or STATES[one.state]}", markup=False
            )
        for one in found:
            if one.state == "conflict":
                _draw_conflict(console, one)

    place.show([_conflict_json(one) if one.state == "conflict" else one.to_json() for one in found], draw)
    return Exit.DONE if all(one.state == "same" for one in found) else Exit.RULE_FAILED


def _deciding(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, what in (("theirs", "registry's version"), ("ours", "file")):
        function = click.option(
            f"--{name}", multiple=True, metavar="NAME", help=f"In a conflict about NAME, the {what} wins."
        )(function)
    return click.argument("names", nargs=-1)(function)


@prompt.command()
@_deciding
@placed
def pull(place: Place, names: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """Write newer versions of the registry into the prompt files; of all prompts, or of those named.

    A file that was edited too is left alone and shown, with status 1. Comments and fields that no version holds stay.
    """
    from afere.govern.promptsync import pull as step

    project = place.here()
    with place.session() as session:
        done = step(session, project, names, ours=set(ours), theirs=set(theirs))
    return _told(place, done)


@prompt.command()
@_deciding
@click.option("--why", default="", help="The reason; it stays with the versions that are made.")
@placed
def push(place: Place, names: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...], why: str) -> int:
    """Make a version in the registry of each prompt file that is newer; of all prompts, or of those named.

    No alias moves. A prompt that the registry changed too is left alone and shown, with status 1.
    """
    from afere.govern.promptsync import push as step

    project = place.here()
    with place.session() as session:
        done = step(session, project, names, ours=set(ours), theirs=set(theirs), why=why)
    return _told(place, done)


def _told(place: Place, done: Done) -> int:
    def draw(console: Console) -> None:
        for line in done.did.values():
            console.print(line, markup=False)
        for name, problem in done.problems.items():
            console.print(f"{name}: {problem}", style="red", markup=False)
        for one in done.conflicts:
            _draw_conflict(console, one)
        if not (done.did or done.problems or done.conflicts):
            console.print("Nothing to do.")

    conflicts = [_conflict_json(one) for one in done.conflicts]
    place.show({"did": done.did, "conflicts": conflicts, "problems": done.problems}, draw)
    return Exit.RULE_FAILED if done.conflicts or done.problems else Exit.DONE


def _conflict_json(one: Standing) -> dict[str, Any]:
    from afere.cli.structure import changes

    return one.to_json() | {"changes": changes(one.newest, one.as_written) if one.newest else []}


def _draw_conflict(console: Console, one: Standing) -> None:
    from rich.text import Text

    from afere.cli.drawing import draw_places
    from afere.cli.structure import changes

    if one.newest is None:
        return
    base = f"since @{one.base}" if one.base else "and have no version in common"
    console.print()
    console.print(Text(f"{one.newest.ref} and {one.shown} both changed {base}:", "bold"))
    draw_places(console, changes(one.newest, one.as_written))
    console.print(
        f"The file wins: afere prompt push --ours {one.name}. The registry wins: afere prompt pull --theirs {one.name}",
        markup=False,
    )
