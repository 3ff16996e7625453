"""`afere eval`, `gate`, `accept` and `compare`: numbers with intervals, and rules that answer by exit status."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from afere.base.errors import BadInput, Exit
from afere.base.rule import parse_rule
from afere.cli.common import Place, placed, write_report
from afere.cli.judged import (
    draw_comparison,
    draw_decision,
    draw_experiment,
    draw_preferred,
    forecast_line,
)
from afere.cli.running import STATUS, Running, run_options, told_unusable

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.canonical import Json
    from afere.base.decision import Decision, Ruling
    from afere.base.project import Project
    from afere.evals import Experiment, Plan, Suite
    from afere.evals.past import Wanted
    from afere.evals.stopping import Kind
    from afere.evals.work import Work


@dataclass(frozen=True)
class Reports:
    """The files that other tools read, where they were asked for; and marks on files where GitHub Actions runs this."""

    junit: Path | None
    sarif: Path | None
    gitlab: Path | None
    markdown: Path | None

    def write(self, made: Experiment, decision: Decision | None) -> None:
        from afere import __version__
        from afere.evals import problems, report

        if self.markdown:
            write_report(self.markdown, report.markdown(made, decision))
        if decision is None:
            return
        if self.junit:
            write_report(self.junit, report.junit(made, decision))
        marks = os.environ.get("GITHUB_ACTIONS") == "true"
        if not (self.sarif or self.gitlab or marks):
            return
        found = problems.problems(made, decision)
        if self.sarif:
            write_report(self.sarif, problems.sarif(found, __version__))
        if self.gitlab:
            write_report(self.gitlab, problems.gitlab(found))
        for line in problems.github(found) if marks else ():
            click.echo(line, err=True)


def _reported(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command `--junit`, `--sarif`, `--gitlab` and `--markdown`, handed over as `reports`."""

    @functools.wraps(function)
    def with_reports(
        *args: Any, junit: Path | None, sarif: Path | None, gitlab: Path | None, markdown: Path | None, **options: Any
    ) -> int:
        return function(*args, reports=Reports(junit, sarif, gitlab, markdown), **options)

    helps = {
        "junit": "Write the rules as JUnit XML.", "sarif": "Write what failed as SARIF, with file and line.",
        "gitlab": "Write what failed as GitLab code quality.", "markdown": "Write a summary for a pull request.",
    }  # fmt: skip
    made: Callable[..., int] = with_reports
    for name, help_ in reversed(helps.items()):
        kind = click.Path(dir_okay=False, path_type=Path)
        made = click.option(f"--{name}", type=kind, metavar="F", help=help_)(made)
    return made


@click.command("eval")
@click.argument("suite")
@click.option("--against", metavar="REF", help="Compare with: baseline, qa@production or experiment:12.")
@click.option("--repeats", type=click.IntRange(1, 1000), help="Run every row so many times.")
@run_options()
@click.option("--allow-open", is_flag=True, help="Exit with 0 where there is not enough evidence, but some.")
@click.option(
    "--stop", type=click.Choice(["group-sequential", "anytime"]), help="Stop as soon as the rules are decided."
)
@click.option(
    "--recorded", is_flag=True, help="Take the answers recorded in evals/SUITE.recorded.jsonl; no key is needed."
)
@click.option("--shape", metavar="SHAPE", help="How the rows are written: ragas, afere, or expected=answer,input=q.")
@click.option(
    "--traces", metavar="FILTER", help="Score past traces, such as 'chain:qa since:7d'; nothing is run again."
)
@click.option("--most", type=click.IntRange(1), metavar="N", help="Of --traces: the newest so many; 200 unless said.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Of --traces: so many at random (a fixed seed).")
@_reported
@placed
def eval_(
    place: Place, suite: str, *, against: str | None, repeats: int | None, concurrency: int, max_cost: float | None,
    dry_run: bool, ask_above: float, resume: bool, allow_open: bool, stop: Kind | None, recorded: bool, shape: str | None,
    traces: str | None, most: int | None, sample: int | None, reports: Reports,
) -> int:  # fmt: skip
    """Evaluate SUITE: a file such as evals/qa.yaml, or its name there. The exit status is its gate's.

    0 all rules hold, 1 a rule failed, 3 not enough evidence, 4 rows are unfinished (go on with --resume).
    A promptfoo file (promptfooconfig.yaml) runs too: 1 where a test does not pass, 3 where one has no verdict.
    """
    from afere.evals.promptfoo import is_promptfoo

    how = Running(place, place.here(), concurrency, max_cost, ask_above, resume)
    if is_promptfoo(file := how.project.path(suite)):
        from afere.cli import promptfoo

        without = {
            "--stop": stop, "--recorded": recorded, "--shape": shape, "--traces": traces is not None, "--most": most, "--sample": sample,
            "--junit": reports.junit, "--sarif": reports.sarif, "--gitlab": reports.gitlab, "--markdown": reports.markdown,
        }  # fmt: skip
        return promptfoo.run(file, how, against=against, repeats=repeats or 1, dry_run=dry_run, without=without)
    plan = _plan(
        how.project, suite, against=against, repeats=repeats, stop=stop, recorded=recorded, shape=shape,
        traces=(traces, most, sample),
    )  # fmt: skip
    if dry_run:
        how.show_forecast([plan])
        return Exit.DONE
    made = how.perform(plan, told=lambda work: _told(work, concurrency))
    decision = made.gate() if made.rules else None
    reports.write(made, decision)

    def draw(console: Console) -> None:
        draw_experiment(console, made)
        if decision:
            draw_decision(console, decision, told=[one.why for one in made.table() if one.missing])
        console.print(f"\nNext: {'   '.join(_next(made, decision, suite))}", style="dim", markup=False)

    place.show(_experiment_json(made, decision), draw)
    return _status(made, decision, allow_open=allow_open)


def _plan(
    project: Project, suite: str, *, against: str | None, repeats: int | None, stop: Kind | None, recorded: bool,
    shape: str | None, traces: tuple[str | None, int | None, int | None],
) -> Plan:  # fmt: skip
    """The suite's plan, with what the command line says otherwise."""
    from afere.data.place import shown
    from afere.data.shapes import told_in
    from afere.evals import Plan, find_suite, read_suite
    from afere.evals.past import past
    from afere.evals.recorded import read, recorded_beside

    said = read_suite(find_suite(suite, project), project)
    wanted = _wanted(
        said, *traces, without={"--repeats": repeats, "--stop": stop, "--recorded": recorded, "--shape": shape}
    )
    answers = recorded_beside(said.baseline)
    return Plan.of(
        said, against=against, repeats=repeats, stop=stop, shape=told_in(shape),
        recorded=read(answers, shown(answers, project.root)) if recorded else None,
        past=past(wanted, said.name, project) if wanted else None,
    )  # fmt: skip


def _told(work: Work, concurrency: int) -> Iterator[str]:
    """What is said before anything is paid: how rows were read, what so many cases would show, and of past traces the cost."""
    from afere.evals.past import told
    from afere.govern.rowchecks import AT_ONCE, checked

    yield from told_unusable(work.data)
    if work.data.reading:
        yield f"{work.data.ref}: {work.data.reading}"
    rows = checked(work.data, work.session, work.project, most=AT_ONCE) if work.plan.past is None else None
    if rows and rows.line:
        yield f"{work.data.ref}: {rows.line}. See: afere dataset check {work.data.ref}"
    yield from map(str, work.outlook)
    if work.plan.past is not None:
        yield told(work.plan.past.to_json())
        yield forecast_line(work.forecast(concurrency))


def _wanted(
    suite: Suite, traces: str | None, most: int | None, sample: int | None, *, without: Mapping[str, object]
) -> Wanted | None:
    """Which past traces are scored, by the command line, else by the suite; None: its target runs."""
    from afere.evals.past import Wanted

    said = suite.traces
    if traces is None and said is None:
        if most is not None or sample is not None:
            raise BadInput("--most and --sample are of --traces: give a filter, such as --traces 'chain:qa since:7d'.")
        return None
    if strange := [name for name, given in without.items() if given]:
        raise BadInput(f"{strange[0]}: past traces are scored as they are. Leave out {strange[0]}.")
    if most is None and sample is None and said is not None:
        most, sample = said.most, said.sample
    return Wanted(traces if traces is not None else said.filter if said else "", most, sample)


@click.command()
@click.argument("experiment")
@click.argument("rules", nargs=-1, metavar="[RULE...]")
@click.option("--allow-open", is_flag=True, help="Exit with 0 where there is not enough evidence, but some.")
@_reported
@placed
def gate(place: Place, experiment: str, rules: tuple[str, ...], *, allow_open: bool, reports: Reports) -> int:
    """Hold EXPERIMENT against RULEs, or against those of its suite.

    \b
      afere gate 43
      afere gate experiment:43 "exact.mean >= 0.8" "faithful.mean not worse than baseline by 0.05"
    """
    from afere import evals

    made = evals.experiment(experiment, project=place.here())
    decision = made.gate(*rules)
    reports.write(made, decision)
    place.show(decision.to_json(), lambda console: draw_decision(console, decision))
    return _status(made, decision, allow_open=allow_open)


@click.command()
@click.argument("experiment")
@click.option("--record", is_flag=True, help="Write the answers beside it too, so that a fork without keys can gate.")
@click.option(
    "--known", multiple=True, metavar="CASE", help="Accept that this case fails; the baseline stays as it is."
)
@click.option("--why", metavar="TEXT", help="Why a --known failure is accepted.")
@click.option("--until", metavar="DATE", help="The last day on which it is: 2026-12-31.")
@placed
def accept(
    place: Place, experiment: str, *, record: bool, known: tuple[str, ...], why: str | None, until: str | None
) -> None:
    """Make EXPERIMENT the baseline of its suite: a file beside the suite that belongs in git.

    \b
      afere accept 43
      afere accept 43 --record
      afere accept 43 --known e-17 --why "the vendor's date bug" --until 2026-12-31
    """
    from afere import evals
    from afere.data.place import shown

    project = place.here()
    made = evals.experiment(experiment, project=project)
    if known:
        if not why or not until:
            raise BadInput(
                "A known failure needs --why TEXT and --until DATE: it is accepted for a reason, for a time."
            )
        file = shown(made.accept_failures(*known, why=why, until=until), project.root)
        said = f"wrote {file}: rules leave out {', '.join(known)} until {until}. Commit it"
    else:
        file = shown(made.accept(record=record), project.root)
        said = f"wrote {file}: commit it, and the gate compares with {made.ref}"
        said += (
            f"\nwrote {shown(made.recorded_file, project.root)}: commit it, and afere eval {made.name} --recorded needs no key"
            if record
            else ""
        )
    value: Json = {"experiment": made.ref, "file": file, "known": list(known)}
    place.show(value, lambda console: console.print(said, markup=False))


@click.command()
@click.argument("a")
@click.argument("b")
@click.argument("more", nargs=-1, metavar="[C...]")
@click.option(
    "--several", type=click.Choice(["holm", "bh"]), default="holm", show_default=True,
    help="How p-values of several measures hold together: no false finding (holm), or few among the findings (bh).",
)  # fmt: skip
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), metavar="F", help="Write it for a pull request."
)
@placed
def compare(
    place: Place, a: str, b: str, more: tuple[str, ...], *, several: Literal["holm", "bh"], markdown: Path | None
) -> None:
    """Compare experiments A and B, paired by case: differences with 90% intervals, and the cases that changed.

    With C and more, each is compared with A. Where people read two of them side by side, or a pairwise judge did, all are
    ranked by who was preferred (Bradley-Terry).
    """
    from afere import evals
    from afere.evals import report
    from afere.evals.preferred import preferred

    project = place.here()
    first, *others = (evals.experiment(one, project=project) for one in dict.fromkeys((a, b, *more)))
    found = [evals.compare(first, other) for other in others]
    ranked = preferred([first, *others])
    if markdown:
        write_report(markdown, "\n".join(report.comparison_markdown(one, several=several) for one in found))
    said: dict[str, Json] = {"ranking": [one.to_json() for one in ranked], "several": several}
    value: dict[str, Json] = {**found[0].to_json(), **said} if len(found) == 1 else {
        "experiments": [first.ref, *(one.ref for one in others)],
        "comparisons": [one.to_json() for one in found], **said,
    }  # fmt: skip

    def draw(console: Console) -> None:
        for one in found:
            draw_comparison(console, one, several)
        draw_preferred(console, ranked)

    place.show(value, draw)


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
        return Exit.OPEN if made.content.get("recorded") else Exit.WORLD_FAILED
    if decision is None:
        return Exit.DONE
    if decision.answer == "open" and allow_open:
        blank = [one.rule for one in decision.rules if one.answer == "open" and _nothing_seen(one, made)]
        for rule in blank:
            click.echo(f"--allow-open does not cover `{rule}`: not one of its runs has a score.", err=True)
        return Exit.OPEN if blank else Exit.DONE
    return STATUS[decision.answer]


def _nothing_seen(ruling: Ruling, made: Experiment) -> bool:
    """Whether a rule has no score at all here: that is a broken evaluation, not too little of a good one."""
    from afere.evals.gate import about_stability
    from afere.evals.select import rows_where

    rule = parse_rule(ruling.rule)
    if about_stability(rule, made.results.names):
        return ruling.value is None
    name, value = rule.measure.split(made.results.names)
    rows = rows_where(rule.where, made.examples) if rule.where else None
    return not made.results.series(name, value=value, rows=rows).values


def _experiment_json(made: Experiment, decision: Decision | None) -> dict[str, Json]:
    return {**made.to_json(), "decision": decision.to_json() if decision else None}
