"""How an evaluation is run from the command line: forecast, asked about, watched. For one plan, or several under one budget."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from afere.base.errors import Exit
from afere.cli.common import Place
from afere.cli.judged import draw_forecast, forecast_line, progress

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.project import Project
    from afere.evals import Experiment, Plan
    from afere.evals.forecast import Forecast
    from afere.evals.work import Work

STATUS = {"pass": Exit.DONE, "fail": Exit.RULE_FAILED, "open": Exit.OPEN}  # by the answer of a rule or gate


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
