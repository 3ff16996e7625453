"""`afere traces` and `afere score`: find what ran, and say what somebody thinks of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.canonical import Json
from afere.base.score import Score, Value
from afere.base.span import Span, Totals
from afere.cli.common import Place, dollars, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.store import Session


_LONGEST = 60  # characters of a value that is counted


# `-user:42` is a term of the filter: this command has no short options, not even -h, so that it is never read as one.
@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("filter", nargs=-1, type=click.UNPROCESSED)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many at most.")
@click.option(
    "--sort", default="start", show_default=True, type=click.Choice(["start", "latency", "cost", "tokens"]), help="The largest first."
)  # fmt: skip
@click.option(
    "--view", metavar="NAME", help="A saved view: its filter, and its sort unless --sort is given; FILTER narrows it."
)
@click.option(
    "--save", metavar="NAME", help="Keep FILTER and sort as a view of that name, for everybody in the project."
)
@click.option(
    "--facets", is_flag=True, help="Instead of the list: how many by status, chain, user, version, model and more."
)
@click.option("--cursor", metavar="NEXT", help="Go on from `next` of the page before.")
@click.option(
    "--export", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write all that match, whole, to FILE.jsonl (a trace a line) or FILE.parquet (a span a row; extra parquet).",
)  # fmt: skip
@placed
def traces(
    place: Place, filter: tuple[str, ...], limit: int, cursor: str | None, *, sort: str, file: Path | None, view: str | None,
    save: str | None, facets: bool,
) -> None:  # fmt: skip
    """List traces, newest first, or sorted.

    FILTER narrows the list; all terms must hold, and words alone are searched in inputs and outputs:

    \b
      afere traces 'model:gpt* status:error latency>2s'
      afere traces user:42 since:24h
      afere traces '"refund policy" -name:rewrite'

    Put > and < in quotes, or the shell takes them. Fields: trace, name, kind, status, model, provider, user, session,
    error, latency, cost, tokens, input_tokens, output_tokens, environment, since, before, text, chain,
    component, version, prompt, attr.KEY.
    """
    with place.session() as session:
        query = " ".join(filter)
        if view is not None:
            query, sort = _viewed(session, view, query, sort)
        if save is not None:
            _save(place, session, save, query, sort)
        elif file is not None:
            _export(place, session, query, file)
        elif facets:
            _facets(place, session, query)
        else:
            words = [*filter, *(["--view", view] if view else [])]
            _list(place, session, query, sort, limit, cursor, words)


def _list(
    place: Place, session: Session, query: str, sort: str, limit: int, cursor: str | None, words: Sequence[str]
) -> None:
    """The list itself; `words` are those of the command that say which, for the line that leads to more."""
    from afere.server.pages.traces import told_archived

    page = session.spans.find(query, limit=limit, cursor=cursor, sort=sort, brief=True)
    sums = session.spans.totals(root.trace_id for root in page.items)
    items: list[Json] = [_line(root, sums[root.trace_id], session.project) for root in page.items]
    days = session.spans.archived(query)
    command = ["afere", "traces", *words, *(["--sort", sort] if sort != "start" else [])]
    command += ["--limit", str(limit)] if limit != 20 else []

    def draw(console: Console) -> None:
        if not page.items:
            empty = "No trace matches." if query or days else "No traces yet. Run a chain, or see: afere demo"
            console.print(empty)
        else:
            _table(console, [(root, sums[root.trace_id]) for root in page.items])
        if page.next:
            more = shlex.join([*command, "--cursor", page.next])
            console.print(f"More: {more}", markup=False, soft_wrap=True)
        elif days:
            console.print(_archived(days), markup=False, soft_wrap=True)

    place.show({"items": items, "next": page.next, **told_archived(days)}, draw)


def _archived(days: Sequence[str]) -> str:
    """How the traces are found that are in no list any more."""
    which = (
        f"{len(days)} closed days ({days[-1]} to {days[0]}) rest"
        if len(days) > 1
        else f"A closed day ({days[0]}) rests"
    )
    return f'{which} in the archive, not in this list. Ask: afere sql --archive "SELECT * FROM traces LIMIT 20", or afere show TRACE'  # noqa: S608  no query


def _save(place: Place, session: Session, name: str, query: str, sort: str) -> None:
    from afere.server.pages.views import save

    kept = save(session, name, query, sort)
    place.show(kept, lambda console: console.print(f"view {kept.name}: {kept.filter or 'all'}", markup=False))


def _viewed(session: Session, view: str, query: str, sort: str) -> tuple[str, str]:
    from afere.server.pages.views import named

    found = named(session, view)
    given = click.get_current_context().get_parameter_source("sort")
    chosen = sort if given is not None and given.name != "DEFAULT" else found.sort
    return f"{found.filter} {query}".strip(), chosen


def _facets(place: Place, session: Session, query: str) -> None:
    from rich.text import Text

    from afere.server.pages.asked import Asked
    from afere.server.pages.over import page

    over = page(session, Asked(query={"q": query}))

    def draw(console: Console) -> None:
        console.print(Text(over.verdict))
        for facet in over.facets:
            console.print(Text(facet.field, "bold"))
            for one in facet.values:
                console.print(Text(f"{one.count:>8,}  {one.name[:_LONGEST]}"))

    place.show(over, draw)


def _export(place: Place, session: Session, filter: str, file: Path) -> None:
    from afere.cli.export import export

    count = export(session, filter, file)
    place.show(
        {"traces": count, "file": str(file)}, lambda console: console.print(f"{count:,} traces in {file}", markup=False)
    )


@click.command()
@click.argument("target")
@click.argument("name")
@click.argument("value")
@click.option(
    "--by", required=True, metavar="WHO", help="user:42, person:ana, judge:NAME, scorer:NAME or service:NAME."
)
@click.option("--why", default="", help="The reason, in a sentence.")
@placed
def score(place: Place, target: str, name: str, value: str, *, by: str, why: str) -> None:
    """Record what WHO thinks of TARGET on NAME.

    TARGET is a trace (its first digits will do), TRACE/SPAN, a reference such as prompt:answer@3, or dataset:qa@7/ROW.
    VALUE is true, false, a number, a text, or unknown.

    \b
      afere score 4f2a9c helpful true --by user:42 --why "found it at once"
    """
    from afere.store.scores import check_approval, target_of

    with place.session() as session:
        made = Score(target_of(session, target), name, _value(value), by, why)
        check_approval(session, made)
        session.append(made)
    said = "unknown" if made.value is None else str(made.value).lower() if isinstance(made.value, bool) else made.value
    place.show(made, lambda console: console.print(f"{made.target}  {name} = {said}  by {by}", markup=False))


def _value(text: str) -> Value:
    words: dict[str, Value] = {"true": True, "yes": True, "false": False, "no": False, "unknown": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]+\.[0-9]+", text) else text


def _line(root: Span, sums: Totals, project: str) -> Json:
    span = root.to_json()
    kept = ("trace_id", "name", "kind", "start", "seconds", "status", "error", "input", "output", "session", "user")
    return {
        "project": project,
        **{name: span[name] for name in kept},
        "status": _status(root),
        "error": root.error or ("the process that ran it is gone" if _status(root) == "died" else None),
        "environment": root.environment,
        "totals": sums.to_json(),
    }


def _status(root: Span) -> str:
    from afere.store.spans.joining import died

    return "died" if died(root) else root.status


def _table(console: Console, rows: list[tuple[Span, Totals]]) -> None:
    from rich.table import Table
    from rich.text import Text

    titles = ("when", "trace", "name", "status", "took", "tokens", "cost", "input")
    cells = [_cells(root, sums) for root, sums in rows]
    shown = [at for at in range(len(titles)) if any(row[at] for row in cells)]
    widths = {at: min(max(len(titles[at]), *(len(row[at]) for row in cells)), 24) for at in shown}
    last, name = len(titles) - 1, titles.index("name")
    room = console.width - sum(width + 2 for at, width in widths.items() if at not in (last, name))
    # Ids and numbers are of use whole only: the name gives way, then the input.
    if last in widths and room < 20:
        shown.remove(last)
        del widths[last]
    if last in widths:
        widths[name] = max(min(widths[name], room - 2 - 16), 8)
        widths[last] = max(room - 2 - widths[name] - 2, 4)
    else:
        widths[name] = max(min(widths[name], room - 2), 8)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for at in shown:
        right = titles[at] in ("took", "tokens", "cost")
        table.add_column(titles[at], width=widths[at], no_wrap=True, justify="right" if right else "left")
    colours = {"ok": "green", "error": "red", "died": "red"}
    for row in cells:
        style = colours.get(row[3], "yellow")
        texts = [Text(row[at], style=style if at == 3 else "", overflow="ellipsis") for at in shown]
        table.add_row(*texts)
    console.print(table)


def _cells(root: Span, sums: Totals) -> tuple[str, ...]:
    when = datetime.fromtimestamp(root.start / 1e9, UTC).astimezone().strftime("%m-%d %H:%M:%S")
    counts = [count for count in (sums.input_tokens, sums.output_tokens) if count is not None]
    said = root.error or (root.input if isinstance(root.input, str) else "")
    return (
        when, root.trace_id[:8], root.name, _status(root), took(root.seconds),
        str(sum(counts)) if counts else "", "" if sums.cost is None else dollars(sums.cost), " ".join(said.split()),
    )  # fmt: skip


def took(seconds: float | None) -> str:
    """A duration as people read it; nothing for one that is unknown."""
    if seconds is None:
        return ""
    return (
        f"{seconds * 1e6:.0f} µs"
        if 0 < seconds < 0.00095
        else f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
        if seconds < 100
        else f"{seconds / 60:.1f} min"
    )
