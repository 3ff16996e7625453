"""`afere stability`: how often answers change where only the surface of the input did."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from afere.base.canonical import Json
from afere.base.errors import BadInput, Exit
from afere.cli.common import Place, placed
from afere.cli.running import STATUS, Running, run_options, told_unusable

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.project import Project
    from afere.data import Dataset
    from afere.evals import Experiment, Plan
    from afere.evals.stability.steady import Held, Kept, Steadiness
    from afere.models import Model

_SHOWN, _LONG = 5, 160  # cases shown; characters of each text
_USUAL = "case,spaces,typos,punctuation,politeness,order"


@click.command()
@click.argument("suite")
@click.option(
    "--changes", default=_USUAL, show_default=True, metavar="KINDS",
    help="Which, with commas; by --model also paraphrase and language:NAME.",
)  # fmt: skip
@click.option("--model", metavar="NAME", help="Who writes paraphrases and other languages.")
@click.option("--variants", type=click.IntRange(1, 20), default=1, show_default=True, help="Changes of a kind per row.")
@click.option(
    "--repeats", type=click.IntRange(2, 100), default=2, show_default=True,
    help="Answers to each input: the spread of these is taken off.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the changes.")
@click.option("--embedder", metavar="NAME", help="Also compare the answers' meanings: local, hash, openai:MODEL.")
@click.option(
    "--at-least", type=click.FloatRange(0, 1), metavar="SHARE",
    help="The share of verdicts that must stay under every change, such as 0.95; unless said, what the suite's gate asks.",
)  # fmt: skip
@click.option("--allow-open", is_flag=True, help="Exit with 0 where there is not enough evidence.")
@run_options()
@placed
def stability(
    place: Place, suite: str, *, changes: str, model: str | None, variants: int, repeats: int, seed: int, embedder: str | None,
    at_least: float | None, allow_open: bool, concurrency: int, max_cost: float | None, ask_above: float, dry_run: bool, resume: bool,
) -> int:  # fmt: skip
    """Ask SUITE's target its rows, and the same rows with harmless changes; say how often the answer changes.

    \b
      afere stability qa
      afere stability qa --changes case,typos,paraphrase --model openai:gpt-4.1-mini
      afere stability qa --at-least 0.95
      afere stability experiment:12          what an earlier run found

    The status is 0; with --at-least, or a rule such as stability >= 0.95 in the suite, 1 where a change surely moves more, 3 where it cannot be told yet.
    """
    from afere.evals import experiment

    how = Running(place, place.here(), concurrency, max_cost, ask_above, resume)
    rule = None if at_least is None else f"stability >= {at_least:g}"
    kept: dict[str, Json] | None = None
    if suite.startswith("experiment:"):
        made = experiment(suite, project=how.project)
    else:
        rule = rule or _rule_of(suite, how.project)
        plan = _plan(
            how, suite, changes.split(","), model, variants=variants, repeats=repeats, seed=seed, dry_run=dry_run
        )
        if dry_run:
            how.show_forecast([plan])
            return Exit.DONE
        made = how.perform(plan, told=lambda work: [*told_unusable(work.data), _told(work.data)])
        kept = {
            "changes": list[Json](changes.split(",")),
            "seed": seed,
            "variants": variants,
            "model": model,
            "embedder": embedder,
        }
    return _answer(place, made, embedder, rule, kept, allow_open=allow_open)


def _plan(
    how: Running, suite: str, kinds: list[str], model: str | None, *, variants: int, repeats: int, seed: int, dry_run: bool
) -> Plan:  # fmt: skip
    """The plan with its changed rows. A dry run leaves out those that a model would have to write, and says so."""
    from afere.evals import find_suite, read_suite
    from afere.evals.stability.perturb import BY_MODEL, check_kinds
    from afere.evals.stability.steady import stability_plan

    said = read_suite(find_suite(suite, how.project), how.project)
    checked = check_kinds([one.strip() for one in kinds if one.strip()], model=model is not None)
    if not checked:
        raise BadInput(f"--changes: name at least one of {_USUAL}.")
    if dry_run and (written := [one for one in checked if one.partition(":")[0] in BY_MODEL]):
        click.echo(f"Not counted: {', '.join(written)}, each a call of {model} for every row and variant.", err=True)
        checked = tuple(one for one in checked if one not in written)
    writer = _model(model, how.project) if model and not dry_run else None
    return stability_plan(
        said, how.project, checked, repeats=repeats, variants=variants, seed=seed, model=writer, concurrency=how.concurrency
    )  # fmt: skip


def _model(name: str, project: Project) -> Model:
    from afere.models import resolve

    return resolve(name, project)


def _told(data: Dataset) -> str:
    from afere.evals.stability.perturb import changes_of

    rows = sum("stability" not in row.metadata for row in data.rows)
    kinds = ", ".join(f"{kind} {n}" for kind, n in changes_of(data.rows))
    return f"{data.ref}: {rows} rows, and of so many of them a change: {kinds or 'none'}"


def _rule_of(suite: str, project: Project) -> str | None:
    """The rule about stability that a suite has, of all its verdicts."""
    from afere.evals import find_suite, read_suite
    from afere.evals.gate import about_stability

    said = read_suite(find_suite(suite, project), project)
    names = [one.name for one in said.scorers]
    return next((str(one) for one in said.gate if about_stability(one, names) and len(one.measure.words) == 1), None)


def _answer(
    place: Place, made: Experiment, embedder: str | None, rule: str | None, how: dict[str, Json] | None, *, allow_open: bool
) -> int:  # fmt: skip
    from afere.base.rule import parse_rule
    from afere.evals.stability.report import keep_record
    from afere.evals.stability.steady import steadiness
    from afere.models import embedder as embedder_of

    found = steadiness(made, embed=embedder_of(embedder, place.here()) if embedder else None)
    asked = parse_rule(rule) if rule is not None else None
    kept = found.keeps(asked.op, asked.amount or 0.0) if asked is not None else None
    report = keep_record(found, made, how, rule, kept) if how is not None else None
    said: dict[str, Json] = {
        **found.to_json(), "rule": rule, "answer": kept.answer if kept else None, "why": kept.says if kept else None,
        "report": report.ref if report else None,
    }  # fmt: skip

    def draw(console: Console) -> None:
        _draw(console, found)
        if rule is not None and kept is not None:
            _draw_decision(console, rule, kept)
        if report is not None:
            console.print(f"\nNext: afere ui   the page: /stability/{report.name}", style="dim", markup=False)

    place.show(said, draw)
    if not made.complete:
        return Exit.WORLD_FAILED
    status = STATUS[kept.answer] if kept else Exit.DONE
    return Exit.DONE if status == Exit.OPEN and allow_open else status


def _draw(console: Console, found: Steadiness) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    console.print(
        Text.assemble((f"{found.ref} ", "bold"), f"{found.cases} cases, {found.repeats} answers to each input")
    )
    table = Table(box=None, pad_edge=False)
    for name in ("change", "measure", "changed", "own spread", "beyond it", "90% interval", "cases", ""):
        table.add_column(name, justify="left" if name in ("change", "measure", "") else "right", no_wrap=True)
    for one in found.held:
        table.add_row(escape(one.change), escape(one.measure), *_cells(one))
    console.print(table)
    console.print(
        "changed: how far answers to the changed input are from those to the input as it is (of verdicts, the share of pairs that "
        "differ); own spread: how far repeats are from each other; beyond it: what is left. ! is more than noise, by Holm at 5%.",
        style="dim", markup=False,
    )  # fmt: skip
    if found.missing:
        console.print(Text(f"! {found.missing} runs gave no answer and are left out", "yellow"))
    for case in found.worst[:_SHOWN]:
        console.print(Text.assemble((f"\n{case.row} ", "bold"), f"{case.change} moved {case.measure}"))
        for label, text in zip(("as it is", "changed"), zip(case.inputs, case.outputs, strict=True), strict=True):
            console.print(Text.assemble((f"  {label:9}", "dim"), _short(text[0]), ("  ->  ", "dim"), _short(text[1])))
    if len(found.worst) > _SHOWN:
        console.print("  more of them: --json shows 20", style="dim")


def _cells(one: Held) -> list[str]:
    from afere.evals import report

    numbers = [report.number(value) for value in (one.changed, one.own, one.beyond.value)]
    return [*numbers, report.interval(one.beyond.low, one.beyond.high), str(one.cases), "!" if one.stands else ""]


def _short(value: object) -> str:
    values = list(cast("dict[str, object]", value).values()) if isinstance(value, dict) else [value]
    text = " | ".join(str(one) for one in values).replace("\n", "⏎")
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _draw_decision(console: Console, rule: str, kept: Kept) -> None:
    from rich.text import Text

    word, style = {"pass": ("✓ pass", "green"), "fail": ("✗ fail", "red"), "open": ("◌ open", "yellow")}[kept.answer]
    console.print(Text.assemble("\n", (word, f"bold {style}"), f"  {rule}  {kept.says}"))
