"""`afere dataset`: check the rows of a dataset, add past traces to it, and write a version to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import BadInput, Exit
from afere.cli.common import Place, many, placed, printable

if TYPE_CHECKING:
    from rich.console import Console

    from afere.data import Dataset
    from afere.data.checks import Item
    from afere.govern.rowchecks import Checked

_SHOWN = 5  # items of one check
_MARKS = {
    "pass": ("ok", "green"),
    "note": ("note", "cyan"),
    "warning": ("warning", "yellow"),
    "error": ("error", "red"),
}


@click.group()
def dataset() -> None:
    """Check the rows of a dataset, add past traces to it, write a version to a file."""


@dataset.command()
@click.argument("what", metavar="NAME|FILE")
@click.option("--strict", is_flag=True, help="A warning fails too, not only an error.")
@click.option("--shape", help="How the rows of a file are written: ragas, afere, or expected=answer,input=q.")
@placed
def check(place: Place, what: str, *, strict: bool, shape: str | None) -> int:
    """What is wrong with the rows of a dataset: NAME, a reference such as qa@7, or a FILE of rows.

    Rows twice or nearly, in two splits, in the examples of prompts or word for word in an index; answers that contradict;
    personal data and secrets; what is empty; messages without a role; languages and lengths unlike the others.

    Exit status: 0 nothing above a note (or, without --strict, a warning), 1 an error was found.
    """
    from afere.data import dataset as dataset_of
    from afere.data.shapes import told_in
    from afere.govern.rowchecks import checked

    project, session = place.here(), place.session()
    data = dataset_of(what, shape=told_in(shape))
    found = checked(data, session, project)
    assert found is not None  # without a limit it always is
    place.show(found, lambda console: _draw(console, found, data))
    return Exit.RULE_FAILED if found.of("error") or (strict and found.of("warning")) else Exit.DONE


def _draw(console: Console, found: Checked, data: Dataset) -> None:
    from rich.text import Text

    took = "" if found.seconds is None else f", checked in {found.seconds:.1f} s"
    console.print(f"{found.ref}: {found.rows:,} rows{took}", markup=False)
    if data.reading is not None:
        console.print(Text(printable(str(data.reading)), "dim"))
    for one in found.checks:
        word, style = _MARKS.get(one.state, ("-", "dim"))
        console.print(
            Text(f"{word:8}", style), Text(printable(f"{one.title}: {one.says}"), "dim" if one.state == "none" else "")
        )
        for item in one.items[:_SHOWN]:
            console.print(Text(f"         {_said(item, data)}"))
        if one.count > _SHOWN:
            console.print(f"         ... and {one.count - _SHOWN:,} more; all of them with --json", markup=False)
        if one.action and one.state != "pass":
            console.print(Text(f"         next: {one.action}", "dim"))


def _said(item: Item, data: Dataset) -> str:
    rows = [f"{id_} ({data.places[id_]})" if id_ in data.places else id_ for id_ in item.rows[:4]]
    more = f" and {len(item.rows) - 4} more" if len(item.rows) > 4 else ""
    return printable(f"{', '.join(rows)}{more}: {item.says}")


@dataset.command()
@click.argument("name")
@click.option(
    "--trace",
    "traces",
    multiple=True,
    metavar="ID",
    help="This trace, by the first digits of its id; several times for more.",
)
@click.option(
    "--traces",
    "filter_",
    metavar="FILTER",
    help="The traces of a filter, such as 'chain:qa score.helpful:false since:7d'.",
)
@click.option("--most", type=click.IntRange(1), metavar="N", help="Of --traces: the newest so many; 200 unless said.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Of --traces: so many at random (a fixed seed).")
@click.option("--right", is_flag=True, help="You vouch for the answers: they are the expected ones.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag for the rows, such as edge.")
@click.option("--split", metavar="NAME", help="The split they go to.")
@click.option("--why", metavar="TEXT", help="The reason; it stays with the version.")
@placed
def add(
    place: Place, name: str, *, traces: tuple[str, ...], filter_: str | None, most: int | None, sample: int | None, right: bool,
    tags: tuple[str, ...], split: str | None, why: str | None,
) -> None:  # fmt: skip
    """Add past traces to dataset NAME as rows, with where they come from; it is made if there is none.

    Without --right a row has no expected answer and the tag `unreviewed`, until somebody says what is right. A trace that is
    there already is left out.
    """
    from afere.evals.harvest import Harvest, harvest
    from afere.evals.past import Wanted

    if not traces and filter_ is None:
        raise BadInput("Say which traces: --trace ID, or --traces FILTER.")
    if filter_ is None and (most or sample):
        raise BadInput("--most and --sample are of --traces: give a filter, such as --traces 'chain:qa since:7d'.")
    wanted = Wanted(filter_, most, sample) if filter_ is not None else None
    reason = why or f"from traces {filter_ if filter_ is not None else ', '.join(traces)}"
    with place.session() as session:
        done = harvest(session, name, Harvest(traces, wanted, tags, split, right), why=reason)

    def draw(console: Console) -> None:
        left = f"; left out: {', '.join(f'{n} {why}' for why, n in done.left_out.items())}" if done.left_out else ""
        made = f"{done.data.ref}: {many(done.added, 'row')} added" if done.data else f"nothing new for dataset:{name}"
        console.print(printable(made + left), markup=False)
        if done.data:
            console.print(f"next: afere dataset check {done.data.ref}", style="dim", markup=False)

    place.show(done, draw)


@dataset.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@placed
def export(place: Place, name: str, file: Path) -> None:
    """Write the rows of NAME (its newest version, or one such as qa@7) to FILE, one JSON object a line.

    Reading the file gives the same rows again; those without `input` are written short, as they came.
    """
    from afere.base.canonical import canonical
    from afere.data import Dataset
    from afere.data.rows import short
    from afere.store.files import write_file

    if file.suffix.lower() not in (".jsonl", ".ndjson"):
        raise BadInput(f"{file}: rows are written as JSON lines. Name the file {file.with_suffix('.jsonl')}.")
    with place.session() as session:
        data = Dataset(session.get(name, kind="dataset"), session)
        write_file(file, b"".join(canonical(short(row)) + b"\n" for row in data.rows))
    said = {"ref": data.ref, "file": str(file), "rows": len(data)}
    place.show(said, lambda console: console.print(f"{len(data):,} rows of {data.ref} in {file}", markup=False))
