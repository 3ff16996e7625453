"""Plan: what is to be evaluated, with every name resolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afere.data.shapes import Told
from afere.evals import stopping
from afere.evals.conversing import Turns, conversing
from afere.evals.past import SUBJECT, Past
from afere.evals.recorded import Recording
from afere.evals.scorers import Judging
from afere.evals.subject import Subject
from afere.evals.suite import Suite


@dataclass(frozen=True)
class Plan:
    """What is to be evaluated, with every name resolved."""

    name: str
    subject: Subject
    data: object
    scorers: tuple[Judging, ...]
    baseline: Path
    repeats: int = 1
    against: str | None = None
    suite: Suite | None = None
    stop: stopping.Kind | None = None  # looked at while it runs, and stopped as soon as its rules are decided
    recorded: Recording | None = None  # answers that are not asked for again
    shape: Told = None  # how the rows are written, where their keys do not say it
    past: Past | None = None  # traces that are scored as they are
    part_of: str | None = None  # the bake-off whose part this is: it goes on with no work but its own
    turns: Turns | None = None  # rows with messages are asked turn by turn

    @property
    def asked(self) -> Callable[..., Any] | str | None:
        """What is called for each row: the subject, turn by turn where the plan has turns. None: nothing is run."""
        return conversing(run, self.turns) if (run := self.subject.run) is not None and self.turns else run

    @classmethod
    def of(
        cls, suite: Suite, *, against: str | None = None, repeats: int | None = None, stop: stopping.Kind | None = None,
        recorded: Recording | None = None, shape: Told = None, past: Past | None = None,
    ) -> Plan:  # fmt: skip
        """A suite's plan, with what the command line says otherwise. The table compares with what the rules compare with."""
        compared = next((rule.against for rule in suite.gate if rule.against is not None), None)
        against = against or suite.against or compared
        if past is not None:
            return cls(
                suite.name, SUBJECT, past.data, suite.scorers, suite.baseline, against=against, suite=suite, past=past
            )
        return cls(
            suite.name, suite.subject, suite.data, suite.scorers, suite.baseline, repeats or suite.repeats,
            against, suite, stop or suite.stop, recorded,
            shape or suite.shape, turns=suite.turns,
        )  # fmt: skip
