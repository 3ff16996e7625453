"""`afere keep` and `afere erase`: let go of what is old, and of all that is known of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from afere.base.errors import Refused
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@placed
def keep(place: Place) -> None:
    """Remove traces older than afere.yaml says.

    \b
      keep: {spans: 90d, archive: 14d, projects: {trial: 7d}}

    Whole traces go once none of their spans is younger than `spans`; those of other projects in the same store, than
    `projects` says. Days older than `archive` are moved into Parquet files in the store's folder (extra parquet). A server
    does this when it starts and daily.
    """
    from afere.store import upkeep

    project = place.here()
    with place.session() as session:
        kept = upkeep.keep(session, project)

    def draw(console: Console) -> None:
        if kept.spans is None:
            console.print("All spans are kept. Set an age in afere.yaml, such as  keep: {spans: 30d}", markup=False)
        else:
            console.print(f"Spans are kept for {kept.spans}: {kept.removed:,} older ones removed.", markup=False)
        for name, gone in kept.others.items():
            console.print(f"Of project {name}: {gone:,} older ones removed.", markup=False)
        if kept.archive is not None:
            console.print(
                f"Days older than {kept.archive} rest as Parquet: {kept.archived:,} spans moved.", markup=False
            )

    place.show(kept, draw)


@click.command()
@click.option("--subject", required=True, metavar="user:ID", help="user:ID, session:ID or trace:ID (all 32 digits).")
@click.option("--yes", is_flag=True, help="Do it, without asking.")
@placed
def erase(place: Place, subject: str, yes: bool) -> None:
    """Erase all traces of a user, so that their bytes are in no file of the store.

    With them go scores of these traces and by that user, the cache of answers, and blobs that only they mention. Statistics
    keep their numbers. Datasets and experiments that you made from traces stay: erase those yourself.
    """
    from afere.store.erase import erase as erase_all

    with place.session() as session:
        if not yes:
            found = erase_all(session, subject, try_only=True)
            what = f"{found.traces:,} traces ({found.spans:,} spans) and {found.scores:,} scores of {subject}"
            if place.json:
                raise Refused(f"This would erase {what}. Add --yes to do it.")
            click.confirm(f"Erase {what}, for ever?", abort=True)
        erased = erase_all(session, subject)
    what = f"{erased.traces:,} traces ({erased.spans:,} spans), {erased.scores:,} scores, {erased.blobs:,} blobs"
    place.show(erased, lambda console: console.print(f"Erased of {subject}: {what}.", markup=False))
