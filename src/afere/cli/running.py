"""How an evaluation is run from the command line: forecast, asked about, watched. For one plan, or several under one budget."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from afere.base.errors import Exit
from afere.cli.common import Place
from afere.cli.judged import draw_forecast, forecast_line, progress

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.project import Project
    from afere.data import Dataset
    from afere.evals import Experiment, Plan
    from afere.evals.forecast import Forecast
    from afere.evals.work import Work

STATUS = {"pass": Exit.DONE, "fail": Exit.RULE_FAILED, "open": Exit.OPEN}  # by the answer of a rule or gate

_OPTIONS: dict[str, Callable[..., Any]] = {
    "concurrency": click.option("--concurrency", type=click.IntRange(1, 1000), default=8, show_default=True, help="Rows at once."),
    "max_cost": click.option("--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Start no new row once this is spent, of all together."),
    "dry_run": click.option("--dry-run", is_flag=True, help="Only say how many calls and tokens, what cost and time it takes; call nothing."),
    "ask_above": click.option(
        "--ask-above", type=click.FloatRange(min=0), metavar="USD", default=5.0, show_default=True,
        help="At a terminal, ask first where it may cost more and there is no --max-cost.",
    ),
    "resume": click.option("--resume", is_flag=True, help="Go on with an interrupted run; finished rows are not paid again."),
}  # fmt: skip


def run_options(*without: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of running, by the names of its parameters; those that it has no use for are left out."""

    def with_options(function: Callable[..., int]) -> Callable[..., int]:
        made = function
        for name in reversed(_OPTIONS):
            made = made if name in without else _OPTIONS[name](made)
        return made

    return with_options


def told_unusable(data: Dataset) -> Iterator[str]:
    """Which rows of it are left out, before anything is paid."""
    if data.unusable.count:
        yield f"{data.unusable.count} rows cannot be used and are left out:\n{data.unusable}"


@dataclass(frozen=True)
class Running:
    """What the command line says of running. `max_cost` (USD) holds for all plans together."""

    place: Place
    project: Project
    concurrency: int
    max_cost: float | None
    ask_above: float
    resume: bool

    def forecast(self, plans: Sequence[Plan]) -> list[Forecast]:
        """What they would take; nothing is called."""
        from afere.evals.evaluation import forecast_of

        return [forecast_of(plan, self.project, self.concurrency) for plan in plans]

    def show_forecast(self, plans: Sequence[Plan]) -> None:
        """Print it: one forecast alone is no list."""
        found = self.forecast(plans)
        said = [one.to_json() for one in found]

        def draw(console: Console) -> None:
            for one in found:
                draw_forecast(console, one)

        self.place.show(said[0] if len(said) == 1 else said, draw)

    def perform(
        self, plan: Plan, *, spent: float = 0.0, told: Callable[[Work], Iterable[str]] = lambda _: ()
    ) -> Experiment:
        """Run a plan. `spent` of the budget is gone already; `told` is said before anything is paid."""
        from afere.evals import perform

        left = None if self.max_cost is None else max(0.0, self.max_cost - spent)

        def begins(work: Work) -> None:
            for line in () if self.place.json else told(work):
                click.echo(line, err=True)
            if self.max_cost is None and not self.place.json and sys.stdin.isatty() and sys.stderr.isatty():
                self._ask(work.forecast(self.concurrency))

        with progress(quiet=self.place.json) as watch:
            return perform(
                plan, self.project, concurrency=self.concurrency, max_cost=left, resume=self.resume, watch=watch, begins=begins,
            )  # fmt: skip

    def _ask(self, found: Forecast) -> None:
        """Let a person say no, before more is spent than they may expect."""
        if found.cost.high is not None and found.cost.high > self.ask_above:
            click.confirm(f"{forecast_line(found)}. Begin?", abort=True, err=True)
