"""`afere bakeoff` and `afere sweep`: the same cases over several models, parameters and prompts."""

from __future__ import annotations

import functools
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from afere.base.canonical import Json
from afere.base.errors import BadInput, Exit
from afere.cli.common import Place, dollars, many, placed, write_report
from afere.cli.judged import between, progress
from afere.cli.running import Running, run_options

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.artifact import Artifact
    from afere.evals.bakeoff.bakeoff import Bakeoff
    from afere.evals.bakeoff.grid import Cell
    from afere.evals.bakeoff.sweep import Sweep
    from afere.evals.forecast import Forecast
    from afere.evals.work import Watch
    from afere.store import Session

_WIDE = 4  # cells beside one another; more of them are lines
_NEVER = float("inf")  # USD above which Running asks: the whole was asked about already


@dataclass(frozen=True)
class Choice:
    """What the command line says of the runs and of the rule; None where the suite says it."""

    component: str | None
    require: tuple[str, ...]
    quality: str | None
    prefer: str | None
    margin: float | None
    repeats: int | None
    concurrency: int
    max_cost: float | None
    dry_run: bool
    ask_above: float
    yes: bool
    resume: bool
    cached: bool
    markdown: Path | None


_OPTIONS: Sequence[Callable[..., Any]] = (
    click.option("--component", metavar="NAME", help="Vary this component, where the target asks several models."),
    click.option("--require", multiple=True, metavar="WHAT=A,B", help="licence, residency, hosting, compliance or cost (USD per 1,000)."),
    click.option("--quality", metavar="MEASURE", help="The measure that decides; the suite's first that has numbers."),
    click.option("--prefer", type=click.Choice(["cost", "latency"]), help="What decides where quality is not worse by --margin."),
    click.option("--margin", type=click.FloatRange(min=0, min_open=True), metavar="X", help="How much worse quality may be for it."),
    click.option("--repeats", type=click.IntRange(1, 1000), help="Run every row so many times."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--cached", is_flag=True, help="Take answers from the cache too; those have no time and no cost."),
    click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write the record as Markdown."),
)  # fmt: skip


def _chosen(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of both, handed over as `choice`."""
    names = list(Choice.__dataclass_fields__)

    @functools.wraps(function)
    def with_choice(*args: Any, **options: Any) -> int:
        choice = Choice(**{name: options.pop(name) for name in names})
        return function(*args, choice=choice, **options)

    made: Callable[..., int] = run_options()(with_choice)
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


@click.command()
@click.argument("suite")
@click.option(
    "--models", metavar="A,B", help="Names under models: of afere.yaml, or provider:model; those of the suite's sweep:."
)
@_chosen
@placed
def bakeoff(place: Place, suite: str, *, models: str | None, choice: Choice) -> int:
    """Run the cases of SUITE over several models beside its own: quality, latency, cost, and which to take.

    Every model is compared with the suite's own, not with the best of the same data. 0 done, 4 something is unfinished (go
    on with --resume).
    """
    return _run(place, suite, choice, {"models": _split(models)}, only_models=True)


@click.command()
@click.argument("suite")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=A,B", help="Values of a parameter, such as temperature=0,0.7."
)
@click.option("--models", metavar="A,B", help="Models, as of afere bakeoff.")
@click.option("--prompt", "prompts", multiple=True, metavar="COMPONENT=F,G", help="Prompt files for a component.")
@click.option("--examples", metavar="N,M", help="How many examples are chosen at each call, such as 0,3.")
@click.option("--target", "targets", metavar="A,B", help="Other chains or prompt files in the target's place.")
@_chosen
@placed
def sweep(
    place: Place, suite: str, *, parameters: tuple[str, ...], models: str | None, prompts: tuple[str, ...], examples: str | None,
    targets: str | None, choice: Choice,
) -> int:  # fmt: skip
    """Run the cases of SUITE over every combination of parameters, models, prompts, numbers of examples and targets, beside what it is now.

    Without options, what its sweep: says. Differences are to the target as it is.
    """
    given: dict[str, Any] = {
        "models": _split(models), "targets": _split(targets),
        "parameters": {name: tuple(map(_value, values)) for name, values in _pairs(parameters, "--set")},
        "prompts": {name: tuple(values) for name, values in _pairs(prompts, "--prompt")},
        "examples": tuple(map(_counted, _split(examples))),
    }  # fmt: skip
    return _run(place, suite, choice, given, only_models=False)


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip()) if text else ()


def _pairs(given: Sequence[str], option: str) -> list[tuple[str, list[str]]]:
    """`temperature=0,0.7` as a name with its values."""
    found: list[tuple[str, list[str]]] = []
    for one in given:
        name, sign, values = one.partition("=")
        if not sign or not name.strip() or not _split(values):
            raise BadInput(f"{option} {one!r}: write NAME=A,B.")
        found.append((name.strip(), list(_split(values))))
    return found


def _counted(text: str) -> int:
    if not text.isdecimal() or int(text) > 100:
        raise BadInput(f"--examples {text}: whole numbers from 0 to 100, such as 0,3.")
    return int(text)


def _value(text: str) -> Json:
    """A number, true, false or null where it reads as one; else the text."""
    try:
        return cast("Json", json.loads(text))
    except ValueError:
        return text


def _asked(said: Sweep, choice: Choice, given: Mapping[str, Any], *, only_models: bool) -> Sweep:
    """What the suite says, and what the command line says otherwise: if it names anything to try, only that is tried."""
    from afere.evals.bakeoff.sweep import sweep_from

    tried: dict[str, Any] = {"models": (), "parameters": {}, "prompts": {}, "examples": (), "targets": ()}
    if any(given.values()):
        said = replace(said, **{**tried, **given})
    elif only_models:
        said = replace(said, **{**tried, "models": said.models})
    own = {name: getattr(choice, name) for name in ("component", "quality", "prefer", "margin")}
    said = replace(said, **{name: value for name, value in own.items() if value is not None})
    if not choice.require:
        return said
    wanted: dict[str, Json] = {name: list[Json](values) for name, values in _pairs(choice.require, "--require")}
    known = ("licence", "residency", "hosting", "compliance", "cost")
    if strange := [name for name in wanted if name not in known]:
        raise BadInput(f"--require {strange[0]}: one of {', '.join(known)}.")
    for name in ("hosting", "cost"):
        if name in wanted:
            wanted[name] = _only(name, cast("list[str]", wanted[name]))
    return replace(said, require=sweep_from({"require": {**said.require.to_json(), **wanted}}).require)


def _only(name: str, values: list[str]) -> Json:
    value = _value(values[0]) if len(values) == 1 else None
    if name == "cost" and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return value
    if name == "hosting" and value in ("hosted", "self-run"):
        return value
    raise BadInput(
        f"--require {name}={','.join(values)}: {'hosted or self-run' if name == 'hosting' else 'one number above 0'}."
    )


def _run(place: Place, suite: str, choice: Choice, given: Mapping[str, Any], *, only_models: bool) -> int:
    from afere.evals import find_suite, read_suite
    from afere.evals.bakeoff.bakeoff import Bakeoff, bakeoff_record
    from afere.evals.bakeoff.text import markdown

    project = place.here()
    said = read_suite(find_suite(suite, project), project)
    wanted = _asked(said.sweep, choice, given, only_models=only_models)
    made = Bakeoff.of(said, wanted, project, repeats=choice.repeats)
    how = Running(place, project, choice.concurrency, choice.max_cost, _NEVER, True)
    found = made.forecasts(lambda plan: how.forecast([plan])[0])
    if choice.dry_run:
        place.show(_forecast_json(made, found), lambda console: _draw_forecast(console, made, found))
        return Exit.DONE
    if not place.json:
        from rich.console import Console

        _draw_forecast(Console(stderr=True, highlight=False, soft_wrap=True), made, found)
    _ask(made, choice, found)

    def begins(cell: Cell) -> None:
        if not place.json:
            click.echo(f"{made.running.index(cell) + 1} of {len(made.running)}: {cell.label}", err=True)

    def reads() -> AbstractContextManager[Watch | None]:
        if not place.json:
            click.echo(f"reading them in pairs: {', '.join(one.name for one in made.judges)}", err=True)
        return progress(quiet=place.json)

    artifact = made.run(
        lambda plan, spent: how.perform(plan, spent=spent), concurrency=choice.concurrency, resume=choice.resume,
        cached=choice.cached, max_cost=choice.max_cost, begins=begins, reads=reads,
    )  # fmt: skip
    record = bakeoff_record(artifact)
    if choice.markdown:
        write_report(choice.markdown, markdown(record, artifact.ref))
    command = shlex.join(["afere", "bakeoff" if only_models else "sweep", *sys.argv[2:]])

    def draw(console: Console) -> None:
        draw_record(console, artifact, made.session)
        following = f"{command} --resume" if not record["complete"] and "--resume" not in command else "afere ui"
        console.print(f"\nNext: {following}   the page: /bakeoffs/{artifact.name}", style="dim", markup=False)

    place.show({"ref": artifact.ref, **record}, draw)
    return Exit.DONE if record["complete"] else Exit.WORLD_FAILED


def _ask(made: Bakeoff, choice: Choice, found: Sequence[tuple[Cell, Forecast]]) -> None:
    """Let a person say no, before more is spent than they may expect."""
    if choice.yes or choice.max_cost is not None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    high = _total(made, found)[1]
    if high is not None and high > choice.ask_above:
        click.confirm("Begin?", abort=True, err=True)


def _forecast_json(made: Bakeoff, found: Sequence[tuple[Cell, Forecast]]) -> Json:
    total = _total(made, found)
    cells: list[Json] = [{"label": cell.label, "settings": dict(cell.settings), **one.to_json()} for cell, one in found]
    out: list[Json] = [{"label": cell.label, "why": cell.excluded} for cell in made.cells if cell.excluded]
    reading: list[Json] = [one.to_json() for one in made.reading()]
    return {
        "cells": cells, "excluded": out, "reading": reading, "cost": list[Json](total), "combinations": len(found),
    }  # fmt: skip


def _total(made: Bakeoff, found: Sequence[tuple[Cell, Forecast]]) -> list[float | None]:
    """USD of all together, from and to, with what is asked once more; unknown where one is."""
    share = 1 + made.timed_again / max(1, len(made.data.rows) * made.repeats)
    read = [one.cost for one in made.reading()]
    shares = [share, *(1.0 for _ in (*found[1:], *read))]
    costs = [*(one.cost for _, one in found), *read]
    ends = [[one.low for one in costs], [one.high for one in costs]]
    return [
        None if None in side else sum((end or 0.0) * each for end, each in zip(side, shares, strict=True))
        for side in ends
    ]


def _draw_forecast(console: Console, made: Bakeoff, found: Sequence[tuple[Cell, Forecast]]) -> None:
    """What each takes, what is left out, and all together."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("", "calls", "USD"):
        table.add_column(name, justify="left" if not name else "right")
    for cell, one in found:
        table.add_row(escape(cell.label), between(one.calls), between(one.cost, 4))
    for part in made.reading():
        table.add_row(escape(f"{part.name}: {part.source}"), between(part.calls), between(part.cost, 4))
    console.print(table)
    for cell in made.cells:
        if cell.excluded:
            console.print(f"left out: {cell.label}: {cell.excluded}", markup=False)
    low, high = _total(made, found)
    cost = "cost not known" if low is None or high is None else f"{dollars(low)} to {dollars(high)}"
    runs = len(made.data.rows) * made.repeats
    again = f"; {made.timed_again} of {made.cells[0].label} once more, to see whether times drifted"
    console.print(f"{many(len(found), 'combination')} x {many(runs, 'run')}: {cost}{again}", markup=False)


def draw_record(console: Console, artifact: Artifact, session: Session) -> None:
    """The table, the recommendation, who is left out, and what to know. Another report is drawn as any artifact is."""
    from rich.text import Text

    from afere.cli.drawing import draw_artifact
    from afere.evals.bakeoff.bakeoff import bakeoff_record
    from afere.evals.bakeoff.text import about_pairs, known_of, lines
    from afere.evals.records import is_record

    if not is_record(artifact, "bakeoff"):
        draw_artifact(console, artifact, session)
        return
    record = bakeoff_record(artifact)
    console.print(Text(f"{artifact.ref} {record['name']}: {record['cases']} cases on {record['dataset'][0]}", "bold"))
    _draw_table(console, record)
    for one in record.get("preferred", ()):
        _draw_pairs(console, one)
        for line in about_pairs(one):
            console.print(line, style="dim", markup=False)
    console.print()
    console.print(Text(str(record["recommendation"]["say"]), "bold"))
    for one in record["recommendation"]["more"]:
        console.print(f"  {one}", markup=False)
    for cell in record["cells"]:
        if cell["excluded"]:
            console.print(Text(f"left out: {cell['label']}: {cell['excluded']}", "yellow"))
    for note in record["notes"]:
        console.print(Text(f"! {note}", "yellow"))
    console.print("who runs each, and what is known of it:", style="dim", markup=False)
    for cell in record["cells"]:
        console.print(Text.assemble((f"  {cell['label']}: ", "dim"), (known_of(cell["facts"]), "dim")))
    for line in lines(record):
        console.print(line, style="dim", markup=False)


def _draw_pairs(console: Console, one: Mapping[str, Any]) -> None:
    """Who was preferred, strongest first, and what is shown of every pair."""
    from rich.markup import escape
    from rich.table import Table

    from afere.evals.bakeoff.text import answer_in, share_of

    console.print(f"\nRead in pairs by {one['by']} (Bradley-Terry)", markup=False)
    if not one["ranking"]:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "strength", "90% interval", "beats the average in"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for each in one["ranking"]:
        ends = f"{each['low']:+.2f} to {each['high']:+.2f}" if each["low"] is not None else "?"
        table.add_row(escape(each["label"]), f"{each['strength']:+.2f}", ends, f"{each['wins']:.0%}")
    console.print(table)
    for pair in one["pairs"]:
        console.print(f"{share_of(pair)}: {answer_in(pair)}", markup=False)


def _draw_table(console: Console, record: Mapping[str, Any]) -> None:
    """A line for each number and a column for each cell; where cells are many, a line for each of them with what matters most."""
    from rich.markup import escape
    from rich.table import Table

    from afere.evals.bakeoff.text import answer_of, columns, heading

    cells = [cell for cell in record["cells"] if cell["numbers"]]
    many_cells = len(cells) > _WIDE
    names = [one for one in columns(record) if not many_cells or one in (*record["axes"], record["quality"])]
    texts = [[_text(table.get(name), answer_of(cell, name)) for name in names] for cell, table in _tables(cells)]
    heads = [f"{cell['label']}{' *' if cell['front'] else ''}" for cell in cells]
    if many_cells:
        titles, rows = (
            ["", *(heading(name, record) for name in names)],
            [[head, *line] for head, line in zip(heads, texts, strict=True)],
        )
    else:
        titles = ["", *heads]
        rows = [[heading(name, record), *(line[i] for line in texts)] for i, name in enumerate(names)]
        if any(cell["refusals"] for cell in cells):
            rows.append(["refused", *(str(cell["refusals"]) for cell in cells)])
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(escape(title), justify="right" if title else "left", no_wrap=not title, overflow="fold")
    for row in rows:
        table.add_row(*(escape(one) for one in row))
    console.print(table)
    if any(cell["front"] for cell in cells):
        console.print(
            "* on the front" + ("; all numbers: --json, or the page" if many_cells else ""), style="dim", markup=False
        )


def _tables(cells: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    return [(cell, {one["name"]: one for one in cell["numbers"]}) for cell in cells]


def _text(one: Mapping[str, Any] | None, answer: str) -> str:
    from afere.evals.report import interval, number

    if one is None or one["value"] is None:
        return "?"
    known = one["low"] is not None or one["high"] is not None
    ends = "\n" + (interval(one["low"], one["high"]) if known else one["why"]) if known or one["why"] else ""
    return f"{answer + ' ' if answer else ''}{number(one['value'])}{ends}"
