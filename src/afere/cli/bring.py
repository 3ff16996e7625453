"""`afere import`: what other tools have, brought in, with a report of what was not kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from afere.base.errors import BadInput
from afere.cli.common import Place, many, placed
from afere.exchange import SOURCES

if TYPE_CHECKING:
    from rich.console import Console

    from afere.exchange import Report

_ONE = {"aliases": "alias"}
_SOURCES = "\n".join(f"  {name:<12} {text}" for name, (_, text) in SOURCES.items())


@click.command("import", help=f"""Bring in what another tool has: traces, prompts, datasets, scores.

Again is harmless: nothing is doubled. At the end a report says field by field what was kept, what was changed, and what was
not kept and why. The other tool's files are only read.

\b
  afere import mlflow mlflow.db
  afere import otlp traces/
  afere debt

\b
Sources:
{_SOURCES}
""")  # fmt: skip
@click.argument("source", metavar="SOURCE", type=click.Choice(list(SOURCES)))
@click.argument("path", metavar="PATH|URL")
@placed
def import_(place: Place, source: str, path: str) -> None:
    from afere.exchange import bring

    with place.session() as session, _watching(quiet=place.json) as watch:
        report = bring(source, path, session, watch=watch)
    place.show(report, lambda console: _draw(console, report))
    if not report.counts:
        raise BadInput(f"{path}: nothing of {source} was found there. What it reads: {SOURCES[source][1]}.")


@contextmanager
def _watching(*, quiet: bool) -> Generator[Callable[[Mapping[str, int]], None] | None]:
    """How far it is, while somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda counts: status.update(f"reading: {_counted(counts)}")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(many(count, _ONE.get(name, name.removesuffix("s"))) for name, count in counts.items())


def _draw(console: Console, report: Report) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(
        f"brought from {report.source}: {_counted(report.counts) or 'nothing'}{f' ({report.there:,} were here already)' if report.there else ''}"
    )
    if report.lines:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("field", "", "times", "why"):
            table.add_column(title, justify="right" if title == "times" else "left")
        colours = {"kept": "green", "changed": "yellow", "not kept": "red"}
        for line in report.lines:
            table.add_row(
                escape(line.field), f"[{colours[line.how]}]{line.how}[/]", f"{line.count:,}", escape(line.why)
            )
        console.print(table)
    for problem in report.problems:
        console.print(f"[red]left out[/] {escape(problem)}")
    if report.more:
        console.print(f"[red]and {report.more:,} more are left out[/]")
    if report.counts:
        console.print("[dim]next:[/] afere debt, or look at it: afere ui")
