"""`afere backup` and `afere restore`: the whole store in one file, and back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import Exit, Refused
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.store.backup import Manifest

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("to", metavar="FILE|FOLDER", type=_FILE)
@click.option("--keep", type=int, metavar="N", help="Of the dated backups in FOLDER, keep the N newest.")
@placed
def backup(place: Place, to: Path, keep: int | None) -> int:
    """Put all of the store into one archive, FILE.tar or a dated one in FOLDER; servers and programs go on meanwhile.

    It holds all that was acknowledged before: artifacts, aliases, scores, audit log, traces, blobs, hashes of keys and
    passwords. Keep it as safe as the store. Exit status 4 if a blob of the store is damaged (all else is in the backup).
    """
    from afere.store.backup import back_up

    with _shown(place) as told:
        made = back_up(_folder(place), to, keep=keep, told=told)

    def draw(console: Console) -> None:
        console.print(f"{made.file}: {_size(made.file.stat().st_size)}. {_counts(made.manifest)}", markup=False)
        for old in made.removed:
            console.print(f"Removed {old}", markup=False)
        for digest in made.manifest.damaged:
            console.print(
                f"The blob {digest} is damaged in the store, and so in the backup: afere doctor", markup=False
            )

    place.show(made, draw)
    return Exit.WORLD_FAILED if made.manifest.damaged else Exit.DONE


@click.command()
@click.argument("archive", metavar="FILE", type=_FILE)
@click.option("--replace", is_flag=True, help="Put aside the store that is there. Stop servers and programs first.")
@click.option("--check", "only_check", is_flag=True, help="Only see that FILE is whole; nothing is written.")
@placed
def restore(place: Place, archive: Path, replace: bool, only_check: bool) -> None:
    """Make the store from a backup, where there is none yet. Every hash is checked first; what is not whole changes nothing.

    Keys and log-ins are then as they were when the backup was made: revoke again what was revoked since.
    """
    from afere.store.restore import check, checked_json
    from afere.store.restore import restore as put_back

    if only_check:
        with _shown(place) as told:
            manifest = check(archive, told=told)
        place.show(
            checked_json(manifest),
            lambda console: console.print(f"{archive} is whole. {_counts(manifest)}", markup=False),
        )
        return
    with _shown(place) as told:
        done = put_back(archive, _folder(place), replace=replace, told=told)

    def draw(console: Console) -> None:
        console.print(
            f"{done.folder} is as it was at {done.manifest.made[:19]}Z. {_counts(done.manifest)}", markup=False
        )
        if done.before is not None:
            console.print(f"What was there is now {done.before}. Delete it once you miss nothing.", markup=False)
        console.print("Look through it with: afere doctor --verify", markup=False)

    place.show(done, draw)


def _folder(place: Place) -> Path:
    store = place.here().store
    if "://" in store:
        raise Refused(
            f"This is done on the machine of the server {store}, where its folder is. Name the folder with --store."
        )
    return Path(store).expanduser().absolute()


def _counts(manifest: Manifest) -> str:
    blobs = sum(one.path.startswith("blobs/") for one in manifest.files)
    counts = {name: count for name, count in {**manifest.counts, "blobs": blobs}.items() if name != "moves"}
    return (
        ", ".join(f"{count:,} {_WORDS.get(name, name)}" for name, count in counts.items())
        + f"; head {manifest.head[1]}"
    )


_WORDS = {"audit": "audit lines"}


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


@contextmanager
def _shown(place: Place) -> Generator[Callable[[str, int], None]]:
    """What is done, on a terminal's error stream; nothing for scripts."""
    from rich.console import Console

    console = Console(stderr=True)
    if place.json or not console.is_terminal:
        yield lambda _what, _bytes: None
        return
    done: dict[str, int] = {}
    with console.status("begins") as status:

        def told(what: str, count: int) -> None:
            done[what] = done.get(what, 0) + count
            status.update(f"{what}: {_size(done[what])}")

        yield told
