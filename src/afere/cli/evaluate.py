"""`afere eval`, `gate`, `accept` and `compare`: numbers with intervals, and rules that answer by exit status."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import Exit, StoreFailed
from afere.base.rule import BUILTIN, parse_rule
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.canonical import Json
    from afere.base.decision import Decision, Ruling
    from afere.chains.runner import Progress as Now
    from afere.evals import Comparison, Experiment
    from afere.evals.table import Measure

_ANSWERS = {"pass": ("✓ pass", "green"), "fail": ("✗ fail", "red"), "open": ("◌ open", "yellow")}
_STATUS = {"pass": Exit.DONE, "fail": Exit.RULE_FAILED, "open": Exit.OPEN}
_CASES = 20  # changed cases shown in a terminal; --json shows all
_LONG = 40  # characters of a reason that is not worth reading twice


@click.command("eval")
@click.argument("suite")
@click.option("--against", metavar="REF", help="Compare with: baseline, qa@production or experiment:12.")
@click.option("--repeats", type=click.IntRange(1, 1000), help="Run every row so many times.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=8, show_default=True, help="Rows at once.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Start no new row once this is spent.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted evaluation; finished rows are not paid again.")
@click.option("--allow-open", is_flag=True, help="Exit with 0 where there is not enough evidence, but some.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write the rules as JUnit XML."
)
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F",
    help="Write a summary for a pull request.",
)
@placed
def eval_(
    place: Place, suite: str, *, against: str | None, repeats: int | None, concurrency: int, max_cost: float | None,
    resume: bool, allow_open: bool, junit: Path | None, markdown: Path | None,
) -> int:  # fmt: skip
    """Evaluate SUITE: a file such as evals/qa.yaml, or its name there. The exit status is its gate's.

    0 all rules hold, 1 a rule failed, 3 not enough evidence, 4 rows are unfinished (go on with --resume).
    """
    from afere.evals import Plan, find_suite, perform, read_suite, report

    project = place.here()
    plan = Plan.of(read_suite(find_suite(suite, project), project), against=against, repeats=repeats)
    with _progress(quiet=place.json) as watch:
        made = perform(plan, project, concurrency=concurrency, max_cost=max_cost, resume=resume, watch=watch)
    decision = made.gate() if made.rules else None
    if markdown:
        _write(markdown, report.markdown(made, decision))
    if junit and decision:
        _write(junit, report.junit(made, decision))

    def draw(console: Console) -> None:
        _draw_experiment(console, made)
        if decision:
            _draw_decision(console, decision, told=[one.why for one in made.table() if one.missing])
        console.print(f"\nNext: {'   '.join(_next(made, decision, suite))}", style="dim", markup=False)

    place.show(_experiment_json(made, decision), draw)
    return _status(made, decision, allow_open=allow_open)


@click.command()
@click.argument("experiment")
@click.argument("rules", nargs=-1, metavar="[RULE...]")
@click.option("--allow-open", is_flag=True, help="Exit with 0 where there is not enough evidence, but some.")
@placed
def gate(place: Place, experiment: str, rules: tuple[str, ...], *, allow_open: bool) -> int:
    """Hold EXPERIMENT against RULEs, or against those of its suite.

    \b
      afere gate 43
      afere gate experiment:43 "exact.mean >= 0.8" "faithful.mean not worse than baseline by 0.05"
    """
    from afere import evals

    made = evals.experiment(experiment, project=place.here())
    decision = made.gate(*rules)
    place.show(decision.to_json(), lambda console: _draw_decision(console, decision))
    return _status(made, decision, allow_open=allow_open)


@click.command()
@click.argument("experiment")
@placed
def accept(place: Place, experiment: str) -> None:
    """Make EXPERIMENT the baseline of its suite: a file beside the suite that belongs in git."""
    from afere import evals
    from afere.data.place import shown

    project = place.here()
    made = evals.experiment(experiment, project=project)
    file = shown(made.accept(), project.root)
    value: Json = {"experiment": made.ref, "file": file}
    place.show(
        value,
        lambda console: console.print(f"wrote {file}: commit it, and the gate compares with {made.ref}", markup=False),
    )


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write it for a pull request."
)
@placed
def compare(place: Place, a: str, b: str, *, markdown: Path | None) -> None:
    """Compare experiments A and B, paired by case: differences with 90% intervals, and the cases that changed."""
    from afere import evals
    from afere.evals import report

    project = place.here()
    found = evals.compare(evals.experiment(a, project=project), evals.experiment(b, project=project))
    if markdown:
        _write(markdown, report.comparison_markdown(found))
    place.show(found.to_json(), lambda console: _draw_comparison(console, found))


def _next(made: Experiment, decision: Decision | None, suite: str) -> list[str]:
    """Commands that make sense now: what failed or is unfinished is not offered as a baseline."""
    from afere.evals.references import previous

    failed = decision is not None and decision.answer == "fail"
    first = f"afere accept {made.ref}" if made.complete else f"{shlex.join(['afere', 'eval', suite])} --resume"
    before = previous(made.name, made.session, than=made.ref)
    return [
        *([] if made.complete and failed else [first]),
        *([f"afere compare {before.ref} {made.ref}"] if before else []),
        "afere ui",
    ]


def _status(made: Experiment, decision: Decision | None, *, allow_open: bool) -> int:
    if not made.complete:
        return Exit.WORLD_FAILED
    if decision is None:
        return Exit.DONE
    if decision.answer == "open" and allow_open:
        blank = [one.rule for one in decision.rules if one.answer == "open" and _nothing_seen(one, made)]
        for rule in blank:
            click.echo(f"--allow-open does not cover `{rule}`: not one of its runs has a score.", err=True)
        return Exit.OPEN if blank else Exit.DONE
    return _STATUS[decision.answer]


def _nothing_seen(ruling: Ruling, made: Experiment) -> bool:
    """Whether a rule has no score at all here: that is a broken evaluation, not too little of a good one."""
    from afere.evals.select import rows_where

    rule = parse_rule(ruling.rule)
    name, value = rule.measure.split(made.results.names)
    rows = rows_where(rule.where, made.examples) if rule.where else None
    return not made.results.series(name, value=value, rows=rows).values


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StoreFailed(f"{file}: cannot be written: {problem.strerror}. Name another file.") from None


def _experiment_json(made: Experiment, decision: Decision | None) -> dict[str, Json]:
    return {**made.to_json(), "decision": decision.to_json() if decision else None}


# how it looks


@contextmanager
def _progress(*, quiet: bool) -> Generator[Callable[[str, Now], None] | None]:
    """A bar with rows done, cost so far and time left; nothing where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {stage: bar.add_task(stage, total=None, said="", visible=False) for stage in ("running", "scoring")}

        def watch(stage: str, now: Now) -> None:
            said = [f"${now.cost:.4f}"] if now.cost else []
            said += [f"{now.seconds_left:.0f} s left"] if now.seconds_left is not None else []
            said += [f"{now.errors} errors"] if now.errors else []
            said += ["(this machine is busy)"] if now.busy else []
            bar.update(tasks[stage], total=now.total, completed=now.done, said="  ".join(said), visible=True)

        yield watch


def _draw_experiment(console: Console, made: Experiment) -> None:
    from rich.table import Table
    from rich.text import Text

    from afere.evals import report

    said = made.content
    target = said["target"]
    what = str(target[0]) if isinstance(target, list) else "the rows' own outputs"
    dataset = str(said["dataset"][0]) if isinstance(said["dataset"], list) else ""
    paid = None if said.get("from_cache") else made.cost
    cost = f", ${paid:.4f}" if paid is not None else ""
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


def _draw_decision(console: Console, decision: Decision, *, told: Sequence[str] = ()) -> None:
    """Every rule with its answer; a long reason that stands above already, such as one that was `told`, is not repeated."""
    from rich.text import Text

    from afere.evals import report

    console.print()
    above = [why for why in told if len(why) > _LONG]
    for one in decision.rules:
        said = one.why
        for why in above:
            said = said.replace(why, "the same reason as above")
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


def _draw_comparison(console: Console, found: Comparison) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from afere.evals import report

    console.print(Text(f"{found.a.ref} -> {found.b.ref}", "bold"))
    table = Table(box=None, pad_edge=False)
    for name in ("measure", "before", "after", "difference", "90% interval", "won/lost", "p"):
        table.add_column(name, justify="left" if name == "measure" else "right", no_wrap=True)
    for one in found.measures:
        d = one.difference
        change = (
            [report.number(d.estimate.value), report.interval(d.estimate.low, d.estimate.high), f"{d.wins}/{d.losses}",
             f"{d.p:.3f}" if d.p is not None else ""] if d else [escape(one.unlike), "", "", ""]
        )  # fmt: skip
        table.add_row(escape(one.name), report.number(one.before), report.number(one.after), *change)
    console.print(table)
    console.print(report.INTERVALS, style="dim")
    for note in found.notes:
        console.print(Text(f"! {note}", "yellow"))
    changed = report.changed_cases(found)
    for row, name, x, y in changed[:_CASES]:
        console.print(Text.assemble((f"  {row} ", "bold"), f"{name}: {report.number(x)} -> {report.number(y)}"))
    if len(changed) > _CASES:
        console.print(f"  and {len(changed) - _CASES} more: --json shows all", style="dim")
