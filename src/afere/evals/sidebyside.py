"""The cells of a bake-off read in pairs: a pairwise judge says which of two answers to a case is better, in both positions.

What it says of a cell against the current one is a measure like others (the share of cases won, draws half, less a half),
in the one family of all that the bake-off tests. All pairs together rank the cells (Bradley-Terry).
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from opentelemetry import context as otel
from opentelemetry.context import Context

from afere.base.canonical import Json
from afere.base.errors import ModelFailed
from afere.base.steps import Steps
from afere.chains.calls import Memory, remembering
from afere.chains.runner import Progress, Purse, each
from afere.data import Row
from afere.evals.judge import NO_MODEL, Pairwise
from afere.evals.preferred import Preferred, games_of
from afere.evals.results import Result, Results
from afere.evals.scorers import Case
from afere.evals.standing import Against, preferences
from afere.evals.stats import bradley_terry
from afere.models import Paces
from afere.tracing.scope import ABOUT, About, entered

if TYPE_CHECKING:
    from afere.evals.experiment import Experiment
    from afere.evals.work import Watch
    from afere.store import Session

_APART = otel.set_value(ABOUT, About(environment="evaluation"), Context())  # in which judges are asked
Side = tuple[int, int]  # the numbers of two cells, the first of them nearer to the current one


@dataclass(frozen=True, slots=True)
class Reading:
    """One case of two cells, read in both positions. `value`: 1 where the second cell won, 0 where the first did, 0.5 a
    draw, None where there is no verdict, which `why` says. `words`: what was said with the second cell's answer first, and
    with it second. `asked`: False where both answers are the same, which is a draw without asking."""

    pair: Side
    row: str
    repeat: int
    cluster: str
    value: float | None
    words: tuple[str, str]
    why: str
    asked: bool = True
    world: bool = False

    def to_json(self, labels: Sequence[str]) -> dict[str, Json]:
        return {
            "row": self.row, "repeat": self.repeat, "a": labels[self.pair[0]], "b": labels[self.pair[1]], "value": self.value,
            "words": list(self.words), "why": self.why, "asked": self.asked,
        }  # fmt: skip


@dataclass(frozen=True)
class Read:
    """All that one judge said. `labels` are those of all cells, by number."""

    judge: str
    numbers: tuple[int, ...]  # of the cells that were read, the current one first
    labels: Sequence[str]
    readings: tuple[Reading, ...]
    why: str = ""  # nothing was read

    @property
    def complete(self) -> bool:
        return not any(one.world for one in self.readings)

    def with_measure(self, results: Mapping[int, Results]) -> dict[int, Results]:
        """The cells' results with the judge's measure: against the current one, which has a half by definition."""
        current, *others = self.numbers
        found = {current: self._scored(results[current], (current, current))}
        return found | {number: self._scored(results[number], (current, number)) for number in others}

    def _scored(self, results: Results, pair: Side) -> Results:
        said = {(one.row, one.repeat): one for one in self.readings if one.pair == pair}
        same = pair[0] == pair[1]

        def scored(run: Result) -> Result:
            one = said.get((run.row, run.repeat))
            value = (0.5 if run.error is None else None) if same else one.value if one else None
            return replace(run, scores={**run.scores, self.judge: (value, one.why if one else run.error or "")})

        return replace(results, runs=tuple(map(scored, results.runs)))

    def among_others(self, results: Mapping[int, Results]) -> list[tuple[Side, Against]]:
        """The pairs without the current one: a family of their own."""
        pairs = list(itertools.combinations(self.numbers[1:], 2))
        sides = [(self._scored(results[a], (a, a)), self._scored(results[b], (a, b))) for a, b in pairs]
        return list(zip(pairs, preferences(sides, self.judge), strict=True))

    def to_json(self, results: Mapping[int, Results], with_current: Mapping[int, Against]) -> dict[str, Json]:
        """The ranking, every pair, and what was not read."""
        labels, current = self.labels, self.numbers[0] if self.numbers else 0
        pairs: list[tuple[Side, Against, str]] = [
            ((current, number), found, "current") for number, found in with_current.items()
        ]
        pairs += [(pair, found, "others") for pair, found in self.among_others(results)]
        lost = Counter(one.why for one in self.readings if one.value is None)
        said: dict[str, Json] = {
            "by": self.judge, "why": self.why or self._unfinished, "asked": sum(one.asked for one in self.readings),
            "same": sum(not one.asked for one in self.readings), "unread": lost.total(),
            "unread_why": lost.most_common(1)[0][0] if lost else "",
            "pairs": [_pair(labels, pair, found, family) for pair, found, family in pairs],
        }  # fmt: skip
        ranked = self.ranked
        return {**said, **(ranked.to_json() if ranked else {"ranking": []})}

    @property
    def _unfinished(self) -> str:
        left = [one for one in self.readings if one.world]
        return f"{len(left)} of {len(self.readings)} pairs were not read: {left[0].why}" if left else ""

    @property
    def ranked(self) -> Preferred | None:
        """The ranking of all cells; None where nothing was decided, or not all was read."""
        games = [
            game
            for one in self.readings
            if one.value is not None and self.complete
            for game in games_of(one.cluster, self.labels[one.pair[1]], self.labels[one.pair[0]], one.words)
        ]
        if not games:
            return None
        return Preferred(self.judge, bradley_terry(games), len(games), len({game.prompt for game in games}), "label")


def _pair(labels: Sequence[str], pair: Side, found: Against, family: str) -> Json:
    ends = [None if one is None else one + 0.5 for one in (found.value, found.low, found.high)]
    return {
        "a": labels[pair[0]], "b": labels[pair[1]], "share": ends[0], "low": ends[1], "high": ends[2], "n": found.n,
        "p_holm": found.adjusted, "answer": found.answer, "family": family, "why": found.why,
    }  # fmt: skip


@dataclass
class Reader:
    """Reads the cells of one bake-off. Verdicts come from the cache where the same two answers were read before."""

    judges: Sequence[Pairwise]
    rows: Mapping[str, Row]
    labels: Sequence[str]
    session: Session
    concurrency: int = 8
    purse: Purse = field(default_factory=Purse)
    watch: Watch | None = None
    paces: Paces = field(default_factory=Paces)

    def read(self, made: Mapping[int, Experiment]) -> list[Read]:
        """What each judge says of every pair of these cells, which begin with the current one."""
        numbers = tuple(made)
        found: list[Read] = []
        for judge in self.judges:
            if judge.model_name is None:
                found.append(Read(judge.name, numbers, self.labels, (), NO_MODEL))
                continue
            found.append(Read(judge.name, numbers, self.labels, tuple(self._all(judge, made))))
        return found

    def _all(self, judge: Pairwise, made: Mapping[int, Experiment]) -> list[Reading]:
        answers = {number: _answers(one) for number, one in made.items()}
        todo = [
            (pair, run)
            for pair in itertools.combinations(made, 2)
            for run in made[pair[1]].rows
            if (run.row, run.repeat) in answers[pair[0]] or run.error is None
        ]
        found: dict[int, Reading] = {}
        begun = time.monotonic()

        def read(item: tuple[int, tuple[Side, Result]]) -> Steps[None]:
            place, (pair, run) = item
            found[place] = yield from self._one(judge, pair, run, answers)
            if self.watch is not None:
                left = (time.monotonic() - begun) / len(found) * (len(todo) - len(found))
                now = Progress(
                    len(found), len(todo), self.purse.paid, left, 0, False, self.paces.limit, self.paces.waiting
                )
                self.watch("reading", now)

        each(enumerate(todo), read, concurrency=self.concurrency)
        return [found[place] for place in range(len(todo))]

    def _one(
        self, judge: Pairwise, pair: Side, run: Result, answers: Mapping[int, Mapping[tuple[str, int], Json]]
    ) -> Steps[Reading]:
        case = (run.row, run.repeat)
        made = Reading(pair, run.row, run.repeat, run.cluster, None, ("", ""), "")
        failed = [self.labels[number] for number in pair if case not in answers[number]]
        if failed:
            return replace(made, why=f"{' and '.join(failed)} gave no answer", asked=False)
        first, second = (answers[number][case] for number in pair)
        if first == second:
            return replace(made, value=0.5, words=("tie", "tie"), why="the same answer", asked=False)
        if self.purse.empty:  # what is in the cache costs nothing, and is still not known to be there
            why = f"max_cost of {self.purse.limit} USD was reached; resume to go on"
            return replace(made, why=why, world=True)
        try:
            with entered(_APART), remembering(Memory(self.session.cache, run.repeat, self.paces)):
                said = yield from judge.between(Case(self.rows[run.row], second, None, run.repeat), first)
        except ModelFailed as problem:  # the model's name, or its settings
            return replace(made, why=str(problem), world=True)
        verdict = said[judge.name]
        self.purse.pay(cast("float", verdict.data.get("cost") or 0.0))
        words = (str(verdict.data.get("first") or ""), str(verdict.data.get("swapped") or ""))
        value = float(verdict.value) if isinstance(verdict.value, int | float) else None
        return replace(made, value=value, words=words, why=verdict.why, world=verdict.world)


def _answers(made: Experiment) -> dict[tuple[str, int], Json]:
    return {(run.row, run.repeat): made.output_of(run) for run in made.rows if run.error is None}


def lines(found: Sequence[Read]) -> bytes:
    """All readings as JSON lines, from which every number about them can be told again."""
    said = ({"by": one.judge, **reading.to_json(one.labels)} for one in found for reading in one.readings)
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in said)
