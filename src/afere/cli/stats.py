"""`afere stats`: how often, how fast, how much, by model, hour or another property of spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import click

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.cli.common import Place, dollars, placed
from afere.cli.traces import took

if TYPE_CHECKING:
    from rich.console import Console

    from afere.server.pages.against import AgainstPage


# As for `afere traces`: no short options, so that `-user:42` is a term of the filter.
@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("filter", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--by", default="", metavar="FIELD,...",
    help="model, response_model, name, kind, status, provider, user, session, environment, chain, component, version, prompt, hour, day.",
)  # fmt: skip
@click.option(
    "--against", metavar="WHAT",
    help="Compare traces: `previous` for the time before since:, or a filter whose terms replace those of FILTER.",
)  # fmt: skip
@placed
def stats(place: Place, filter: tuple[str, ...], by: str, against: str | None) -> None:
    """Count spans, with errors, latency, tokens and cost.

    FILTER is that of `afere traces`, asked of each span:

    \b
      afere stats since:7d --by model,hour
      afere stats 'kind:llm user:42' --by model
      afere stats since:24h --against previous
      afere stats chain:qa~1f2e3d --against chain:qa~8c21f4

    Tokens go in and out. Tokens and cost count once where an outer span repeats the sums of its calls. Asked for no more than name, kind, model,
    status and time, the answer comes from counts by hour: latencies are then within 2 %.
    """
    if against is not None:
        _compare(place, " ".join(filter), against, by)
        return
    groups = [name.strip() for name in by.split(",") if name.strip()]
    with place.session() as session:
        rows = session.spans.stats(" ".join(filter), by=groups)
    items = cast("Json", rows)

    def draw(console: Console) -> None:
        if not any(row["count"] for row in rows):
            console.print("No span matches." if filter else "No spans yet. Run a chain, or see: afere demo")
        else:
            _table(console, groups, rows)

    place.show({"items": items, "next": None}, draw)


def _compare(place: Place, filter: str, against: str, by: str) -> None:
    from afere.server.pages.against import compared

    if by:
        raise BadInput("--by and --against: one at a time. Narrow both sides with FILTER instead.")
    with place.session() as session:
        page = compared(session, filter, against)
    place.show(page, lambda console: _differences(console, page))


def _differences(console: Console, page: AgainstPage) -> None:
    from rich.table import Table
    from rich.text import Text

    for name, side in (("before", page.before), ("after", page.after)):
        newest = "newest " if side.more else ""
        console.print(Text(f"{name:7} {newest}{side.count:,} traces, {side.failed:,} failed  {side.query or 'all'}"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "before", "after", "change", "90% interval", ""):
        table.add_column(name, no_wrap=True, justify="left" if not name else "right")
    for one in page.measures:
        cells = (
            one.name, one.said(one.before.value), one.said(one.after.value), one.moved(one.change.value), one.interval,
            f"proven {one.answer}" if one.answer else "not proven",
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    if page.measures:
        console.print(table)
    tests = [f"p of {one.name} {one.p:.3g}" for one in page.measures if one.p is not None]
    console.print(Text(" ".join([page.verdict, *(f"{test}." for test in tests)])))


def _table(console: Console, groups: Sequence[str], rows: Sequence[dict[str, Json]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in groups:
        table.add_column(name, overflow="fold", no_wrap=name == "hour", min_width=len(name))
    for name in ("count", "errors", "p50", "p95", "p99", "in", "out", "cost"):
        table.add_column(name, no_wrap=True, justify="right")
    for row in rows:
        table.add_row(*(Text(_said(name, row[name])) for name in groups), *_figures(row))
    console.print(table)


def _said(name: str, value: Json) -> str:
    if value is None:
        return "-"
    return str(value)[5:16].replace("T", " ") + "Z" if name == "hour" else str(value)


def _figures(row: dict[str, Json]) -> list[str]:
    seconds = [cast("float | None", row[f"{name}_seconds"]) for name in ("p50", "p95", "p99")]
    tokens = [cast("int | None", row[f"{name}_tokens"]) for name in ("input", "output")]
    cost = cast("float | None", row["cost"])
    return [
        f"{row['count']:,}", f"{row['errors']:,}", *map(took, seconds),
        *("" if count is None else f"{count:,}" for count in tokens), "" if cost is None else dollars(cost),
    ]  # fmt: skip
