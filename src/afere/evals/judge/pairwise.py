"""Pairwise: which of two outputs is better? Asked twice, with their places swapped, so that the place cannot decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.steps import Steps
from afere.evals.judge.asking import Question, Verdict, asked, paid
from afere.evals.judge.single import NO_MODEL, Judge
from afere.evals.scorers.case import Case
from afere.evals.scorers.declare import Scored
from afere.models import Model, Request

if TYPE_CHECKING:
    from afere.evals.experiment import Experiment

WORDS = ("first", "second", "tie")
_ASK = "Which of the two answers to the input is better by the rubric: first, second, or a tie?"


@dataclass(frozen=True)
class Pairwise(Judge):
    """Compares the output with another one: 1 a win, 0 a loss, 0.5 a draw (their mean is the share of wins, draws half).

    `to`: `expected`, a key of the row's metadata, or `experiment:12`, whose output for the same row it is. `NAME.flipped` is
    the rate at which the verdict went with the place (position bias; such a case is a draw), `NAME.draw` that of draws.
    In a bake-off it reads the cells against each other instead (`evals.sidebyside`).
    """

    to: str = "expected"

    @property
    def content(self) -> dict[str, Json]:
        return {**self._said, "model": self.model_name, "to": self.to, "words": list(WORDS)}

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        other = self._other(case)
        return [] if isinstance(other, Scored) else self.asks_between(case, other[0])

    def asks_between(self, case: Case, other: Json) -> list[tuple[Model, Request]]:
        """What it would ask about the case's output and another one, and whom."""
        model = self._model(self.model)
        pairs = (self._pair(case, case.output, other), self._pair(case, other, case.output))
        return [] if model is None else [(model, pair.request) for pair in pairs]

    def _of(self, case: Case) -> Steps[dict[str, Scored]]:
        other = self._other(case)
        return {self.name: other} if isinstance(other, Scored) else (yield from self.between(case, other[0]))

    def between(self, case: Case, other: Json) -> Steps[dict[str, Scored]]:
        """Whether the case's output is better than another one, asked in both positions."""
        model = self._model(self.model)
        if model is None:
            return {self.name: Scored(None, NO_MODEL)}
        asked_before = yield from asked(self.name, model, self._pair(case, case.output, other), case)
        swapped = yield from asked(self.name, model, self._pair(case, other, case.output), case)
        return self._outcome(asked_before, swapped)

    def _pair(self, case: Case, first: Json, second: Json) -> Question:
        material: dict[str, Json] = {"input": case.input}
        if "context" in self.sees:
            material["context"] = case.context
        if "expected" in self.sees:
            material["expected"] = case.row.expected
        return Question(self.rubric, {**material, "first": first, "second": second}, WORDS, _ASK)

    def _outcome(self, one: Verdict, swapped: Verdict) -> dict[str, Scored]:
        """Won only if it is preferred in both places."""
        data: dict[str, Json] = {**paid([one, swapped]), "first": one.word, "swapped": swapped.word}
        failed = next((each for each in (one, swapped) if each.word is None), None)
        if failed is not None:
            return {self.name: Scored(None, failed.why, one.world or swapped.world, data)}
        flipped = one.word == swapped.word != "tie"
        won, lost = (one.word, swapped.word) == ("first", "second"), (one.word, swapped.word) == ("second", "first")
        why = f"it went with the place ({one.word} both times): {one.why}" if flipped else one.why
        return {
            self.name: Scored(1.0 if won else 0.0 if lost else 0.5, why, data=data),
            f"{self.name}.flipped": Scored(flipped, f"{one.word}, {swapped.word}"),  # read by `evals.preferred`
            f"{self.name}.draw": Scored(not won and not lost),
        }

    def _other(self, case: Case) -> tuple[Json] | Scored:
        """What the output is held against, or why there is nothing."""
        if self.to == "expected":
            value = case.row.expected
            return Scored(None, "the row has no expected") if value is None else (value,)
        if self.to.startswith("experiment:"):
            return self._earlier(case)
        value = case.row.metadata.get(self.to)
        return Scored(None, f"the row's metadata has no {self.to}") if value is None else (value,)

    @cached_property
    def _outputs(self) -> Experiment:
        from afere.evals.experiment import experiment

        return experiment(self.to, project=self.project)

    def _earlier(self, case: Case) -> tuple[Json] | Scored:
        from afere.evals.results import row_digest

        runs = [run for run in self._outputs.results.runs if run.row == case.row.id]
        same = [run for run in runs if run.digest == row_digest(case.row)]
        run = next((one for one in same if one.repeat == case.repeat), same[0] if same else None)
        if run is None:
            return Scored(None, f"{self.to} has {'another' if runs else 'no'} case {case.row.id}")
        if run.error is not None:
            return Scored(None, f"{self.to} has no output for this case: {run.error}")
        return (self._outputs.output_of(run),)
