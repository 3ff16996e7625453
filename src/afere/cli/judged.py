"""How evaluations look in a terminal: progress, table, rules, comparison. Text of users and models is never markup."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from afere.base.rule import BUILTIN
from afere.cli.common import dollars

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.decision import Decision
    from afere.chains.runner import Progress as Now
    from afere.evals import Comparison, Experiment
    from afere.evals.forecast import Forecast, Range
    from afere.evals.preferred import Preferred
    from afere.evals.table import Measure

_ANSWERS = {"pass": ("✓ pass", "green"), "fail": ("✗ fail", "red"), "open": ("◌ open", "yellow")}
_WIDE = 90  # columns from which a comparison shows p-values that nobody asked for
_CASES = 20  # changed cases shown; --json shows all
_LONG = 40  # characters of a reason that is not worth reading twice


@contextmanager
def progress(*, quiet: bool) -> Generator[Callable[[str, Now], None] | None]:
    """A bar with rows done, cost so far and time left; nothing where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {
            stage: bar.add_task(stage, total=None, said="", visible=False)
            for stage in ("running", "scoring", "reading")
        }

        def watch(stage: str, now: Now) -> None:
            said = [dollars(now.cost)] if now.cost else []
            said += [f"{now.seconds_left:.0f} s left"] if now.seconds_left is not None else []
            said += [f"{now.errors} errors"] if now.errors else []
            said += [f"waiting for {now.waiting}"] if now.waiting else []
            said += [f"{now.at_once} calls at once, as its server asks"] if now.at_once is not None else []
            said += ["(this machine is busy)"] if now.busy else []
            bar.update(tasks[stage], total=now.total, completed=now.done, said="  ".join(said), visible=True)

        yield watch


def draw_experiment(console: Console, made: Experiment) -> None:
    from rich.table import Table
    from rich.text import Text

    from afere.evals import report

    said = made.content
    what = report.subject(said)
    dataset = str(said["dataset"][0]) if isinstance(said["dataset"], list) else ""
    paid = None if said.get("from_cache") else made.cost
    cost = f", {dollars(paid)}" if paid is not None else ""
    console.print(
        Text.assemble(
            (f"{made.ref} ", "bold"),
            f"{made.name}: {what} on {dataset}, {said['cases']} cases",
            f", {said['seconds']:.1f} s{cost}",
        )
    )
    measures = made.table()
    compared = any(one.difference for one in measures)
    table = Table(box=None, pad_edge=False)
    for name in (
        "measure",
        "value",
        "90% interval",
        "cases",
        "missing",
        *(("difference",) if compared else ()),
    ):
        table.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
    for one in measures:
        table.add_row(*_cells(one, compared))
    console.print(table)
    to = f"Differences are to {said['compared']}. " if compared else ""
    console.print(f"{to}{report.INTERVALS}", style="dim", markup=False)
    _draw_slices(console, made)
    for note in report.notes(made):
        console.print(Text(f"! {note}", "yellow"))


def _draw_slices(console: Console, made: Experiment) -> None:
    from rich.markup import escape
    from rich.table import Table

    from afere.evals import report

    slices = made.slices
    if not slices:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("slice", "measure", "value", "90% interval", "cases"):
        table.add_column(name, justify="left" if name in ("slice", "measure") else "right", no_wrap=True)
    for label, measures in slices.items():
        for one in measures:
            if one["kind"] != "empty" and one["name"] not in BUILTIN:
                cells = (report.number(one["value"]), report.interval(one["low"], one["high"]), str(one["n"]))
                table.add_row(escape(label), escape(one["name"]), *cells)
    console.print()
    console.print(table)


def _cells(one: Measure, compared: bool) -> list[str]:
    from rich.markup import escape

    from afere.evals import report

    label = f"{one.name} ↓" if one.lower_is_better else one.name
    label = label if one.calibrated else f"{label} (uncalibrated)"
    cells = [
        escape(label),
        report.number(one.value),
        report.interval(one.low, one.high),
        str(one.n),
        str(one.missing or ""),
    ]
    return [*cells, report.change(one)] if compared else cells


def draw_decision(console: Console, decision: Decision, *, told: Sequence[str] = ()) -> None:
    """Every rule with its answer; a long reason that stands above already, such as one that was `told`, is not repeated."""
    from rich.text import Text

    from afere.evals import report

    console.print()
    above = [why for why in told if len(why) > _LONG]
    for one in decision.rules:
        said = " ".join(one.why.split())
        for why in above:
            said = said.replace(" ".join(why.split()), "the same reason as above")
        above += [one.why] if len(one.why) > _LONG else []
        word, style = _ANSWERS[one.answer]
        figures = (
            f"  {report.number(one.value)} ({report.interval(one.low, one.high)}), {one.n} cases"
            if one.value is not None
            else ""
        )
        console.print(Text.assemble((word, f"bold {style}"), "  ", one.rule, (figures, "dim"), "  ", said))
    word, style = _ANSWERS[decision.answer]
    console.print(Text.assemble(f"{decision.subject}: ", (word, f"bold {style}"), (f"  {decision.ref}", "dim")))


def draw_comparison(console: Console, found: Comparison, several: Literal["holm", "bh"] = "holm") -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from afere.evals import report

    console.print(Text(f"{found.a.ref} -> {found.b.ref}", "bold"))
    table = Table(box=None, pad_edge=False)
    titles = ["measure", "before", "after", "difference", "90% interval", "won/lost"]
    for name in (*titles, *([report.FAMILIES[several]] if several == "bh" or console.width >= _WIDE else [])):
        left = name == "measure"  # names give way where the terminal is narrow, figures never
        table.add_column(name, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for one in found.measures:
        d = one.difference
        p = one.adjusted if several == "holm" else one.screened
        change = (
            [report.number(d.estimate.value), report.interval(d.estimate.low, d.estimate.high), f"{d.wins}/{d.losses}",
             f"{p:.3f}" if p is not None else ""] if d else ["-", "", "", ""]
        )  # fmt: skip
        table.add_row(
            escape(one.name), report.number(one.before), report.number(one.after), *change[: len(table.columns) - 3]
        )
    console.print(table)
    for one in found.measures:
        if one.unlike:
            console.print(f"{one.name} was not compared: {one.unlike}", style="dim", markup=False)
    console.print(report.INTERVALS, style="dim")
    for note in found.notes:
        console.print(Text(f"! {note}", "yellow"))
    changed = report.changed_cases(found)
    for row, name, x, y in changed[:_CASES]:
        console.print(Text.assemble((f"  {row} ", "bold"), f"{name}: {report.number(x)} -> {report.number(y)}"))
    if len(changed) > _CASES:
        console.print(f"  and {len(changed) - _CASES} more: --json shows all", style="dim")


def draw_preferred(console: Console, found: Sequence[Preferred]) -> None:
    """Who was preferred, strongest first."""
    from rich.markup import escape
    from rich.table import Table

    from afere.evals import report

    for one in found:
        console.print(
            f"\nPreferred by {one.by}: {one.games} comparisons on {one.prompts} cases (Bradley-Terry)", markup=False
        )
        table = Table(box=None, pad_edge=False)
        for name in ("experiment", "strength", "90% interval", "beats the average in", "comparisons"):
            table.add_column(name, justify="left" if name == "experiment" else "right", no_wrap=True)
        for each in one.ranking.strengths:
            ends = report.interval(each.low, each.high)
            table.add_row(escape(each.name), f"{each.value:+.2f}", ends, f"{each.wins:.0%}", str(each.games))
        console.print(table)
        for line in one.about_position:
            console.print(line, style="dim", markup=False)


def draw_forecast(console: Console, found: Forecast) -> None:
    """What an evaluation would take: one line a caller, then all together."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("who", "calls", "tokens in", "tokens out", "USD", "by"):
        table.add_column(name, justify="left" if name in ("who", "by") else "right")
    for one in found.parts:
        cells = (between(one.calls), between(one.input_tokens), between(one.output_tokens), between(one.cost, 4))
        table.add_row(escape(one.name), *cells, escape(one.source))
    console.print(table)
    console.print(f"\n{forecast_line(found)}", markup=False)


def forecast_line(found: Forecast) -> str:
    """`200 cases: 400 calls, $0.10 to $0.25, 20 to 40 s at 8 rows at once; less where answers are in the cache`"""
    cost = between(found.cost, 4)
    repeats = f" x {found.repeats} repeats" if found.repeats > 1 else ""
    calls = "calls not known" if found.calls.high is None else f"{between(found.calls)} calls"
    paid = "cost not known" if found.cost.high is None else f"${cost}"
    seconds = "" if found.seconds.high is None else f", {between(found.seconds)} s at {found.concurrency} rows at once"
    left_out = f"; {found.unusable} rows cannot be used and are left out" if found.unusable else ""
    return f"{found.cases} cases{repeats}: {calls}, {paid}{seconds}; less where answers are in the cache{left_out}"


def between(span: Range, digits: int = 0) -> str:
    if span.low is None or span.high is None:
        return "?"
    low, high = f"{span.low:,.{digits}f}", f"{span.high:,.{digits}f}"
    return low if low == high else f"{low} to {high}"
