"""`afere eval promptfooconfig.yaml`: one experiment for each prompt with each provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afere.base.errors import BadInput, Exit
from afere.cli.judged import draw_experiment

if TYPE_CHECKING:
    from rich.console import Console

    from afere.cli.running import Running
    from afere.evals import Experiment


def run(
    file: Path, how: Running, *, against: str | None, repeats: int, dry_run: bool, without: Mapping[str, object]
) -> int:
    """Run what the file says. Status 1 where a test does not pass, 3 where one has no verdict. `without` are options that only suites have."""
    from afere.evals.promptfoo import NOTHING_RAN, read_config

    if strange := [name for name, given in without.items() if given]:
        raise BadInput(f"{strange[0]}: {file.name} is promptfoo's. Leave out {strange[0]}, or write a suite.")
    config = read_config(file, how.project, told=lambda line: click.echo(line, err=True))
    for line in config.lines:
        click.echo(line, err=True)
    plans = [replace(one, against=against, repeats=repeats) for one in config.plans]
    if dry_run:
        how.show_forecast(plans)
        return Exit.DONE
    made: list[Experiment] = []
    for plan in plans:
        made.append(how.perform(plan, spent=sum(one.cost or 0.0 for one in made)))
    if all(one.complete for one in made):
        more, lost = config.compared(made, how.project)
        for line in lost:
            click.echo(line, err=True)
        for plan in more:
            made.append(how.perform(plan, spent=sum(one.cost or 0.0 for one in made)))

    def draw(console: Console) -> None:
        for one in made:
            draw_experiment(console, one)

    how.place.show([{**one.to_json(), "decision": None} for one in made], draw)
    if not all(one.complete for one in made):
        return Exit.WORLD_FAILED
    verdicts = [(run.error, *run.scores["passed"]) for one in made for run in one.rows]
    if any(error or passed is False for error, passed, _ in verdicts):
        return Exit.RULE_FAILED
    lost = [why for _, passed, why in verdicts if passed is None and not why.endswith(NOTHING_RAN)]
    if lost:
        click.echo(f"{len(lost)} tests have no verdict: {lost[0]}", err=True)
    return Exit.OPEN if lost else Exit.DONE
