"""Bake-off and sweep: the same cases over several models, parameters, prompts or targets, and one record of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json, digest_of
from afere.base.errors import BadInput, NotFound
from afere.base.project import Project
from afere.chains.calls import asking_anew
from afere.chains.runner import Purse, run_rows
from afere.data import Dataset, usable
from afere.data.place import session_of
from afere.evals.bakeoff.grid import Cell, cells_of
from afere.evals.bakeoff.recommend import Candidate, Recommendation, recommend
from afere.evals.bakeoff.sweep import Sweep
from afere.evals.evaluation import Plan, perform
from afere.evals.experiment import Experiment, experiment
from afere.evals.forecast import Forecast, Part, by_pairs, longest
from afere.evals.judge import Pairwise
from afere.evals.labelling.people import compared_with_people
from afere.evals.records import is_record
from afere.evals.results import Results
from afere.evals.sidebyside import Read, Reader, lines
from afere.evals.standing import (
    Against,
    Clock,
    Number,
    against,
    asked_anew,
    drift,
    front,
    not_worse,
    numbers,
    quality_names,
)  # fmt: skip
from afere.evals.suite import Suite
from afere.evals.work import EVALUATION, Watch
from afere.models.request import Checked
from afere.store import Job, Session
from afere.tracing import context

_WARM, _AGAIN = 8, 20  # rows at most
_REFUSED = frozenset({"content_filter", "refusal", "safety"})  # how answers end that a provider withheld

Perform = Callable[[Plan, float], Experiment]  # a plan, and how much of the budget is gone


@dataclass(frozen=True)
class Bakeoff:
    """What is to be run: the target as it is, and each combination. `cells` that are excluded say why, and are not run."""

    suite: Suite
    sweep: Sweep
    project: Project
    session: Session
    data: Dataset
    repeats: int
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, suite: Suite, sweep: Sweep, project: Project, *, repeats: int | None = None) -> Bakeoff:
        """Resolve every name, and leave out what does not meet the requirements. Nothing is called."""
        session = session_of(project)
        cells = cells_of(suite, sweep, project, session)
        data = usable(suite.data, shape=suite.shape)
        if sweep.quality is not None and not any(_holds(sweep.quality, one.name) for one in suite.scorers):
            names = ", ".join(one.name for one in suite.scorers)
            raise BadInput(f"quality: {suite.name} has no scorer {sweep.quality!r}. Its scorers: {names}.")
        fitting = tuple(cells[:1]) + tuple(_fitting(one, data) for one in cells[1:])
        return cls(suite, sweep, project, session, data, repeats or suite.repeats, fitting)

    @property
    def running(self) -> list[Cell]:
        return [one for one in self.cells if one.excluded is None]

    @property
    def judges(self) -> tuple[Pairwise, ...]:
        """The suite's pairwise judges: here they read the cells against each other."""
        return tuple(replace(one, project=self.project) for one in self.suite.scorers if isinstance(one, Pairwise))

    def plan(self, cell: Cell, part_of: str | None = None) -> Plan:
        """The evaluation of one cell."""
        suite = self.suite
        scorers = tuple(one for one in suite.scorers if not isinstance(one, Pairwise))
        return Plan(
            _named(suite.name, cell), cell.subject, suite.data, scorers, suite.baseline, self.repeats,
            shape=suite.shape, part_of=part_of, turns=suite.turns,
        )  # fmt: skip

    def forecasts(self, forecast: Callable[[Plan], Forecast]) -> list[tuple[Cell, Forecast]]:
        """What each cell takes; nothing is called."""
        found: list[tuple[Cell, Forecast]] = []
        for cell in self.running:
            with cell.varied():
                found.append((cell, forecast(self.plan(cell))))
        return found

    def reading(self) -> list[Part]:
        """What it takes at most to read all cells in pairs, by judge; nothing is called."""
        running = len(self.running)
        name, pairs = _named(self.suite.name, self.cells[0]), running * (running - 1) // 2
        return [by_pairs(one, self.data, name, self.session, pairs=pairs, repeats=self.repeats) for one in self.judges]

    def run(
        self, perform_: Perform | None = None, *, concurrency: int = 8, resume: bool = False, cached: bool = False,
        max_cost: float | None = None, begins: Callable[[Cell], None] = lambda _: None,
        reads: Callable[[], AbstractContextManager[Watch | None]] = nullcontext,
    ) -> Artifact:  # fmt: skip
        """Run every cell, one after the other, and keep the record: an artifact `report:N`. Where the suite has pairwise
        judges, they read the cells in pairs then, watched by what `reads` makes; every verdict is in the record's blob.

        All answers are asked for anew, so that all are measured alike, unless `cached`. With `resume` an interrupted
        bake-off goes on: cells that are finished are not run again, and of the others no row that is. At the end a few
        cases run once more with the target as it is, to see how times drifted; `max_cost` (USD) holds for all.
        """
        if not cached:
            self._check_models()
        job = self._job(resume)
        made: dict[int, Experiment] = {}

        def run(plan: Plan, spent: float) -> Experiment:
            if perform_ is not None:
                return perform_(plan, spent)
            left = None if max_cost is None else max(0.0, max_cost - spent)
            return perform(plan, self.project, concurrency=concurrency, max_cost=left, resume=True)

        spent = 0.0
        try:
            kept = job.items()
            for number, cell in enumerate(self.cells):
                if cell.excluded is not None:
                    continue
                begins(cell)
                found = self._kept(kept.get(cell.key))
                if found is None:
                    with cell.varied(), nullcontext() if cached else asking_anew(f"{job.id} {cell.key}"):
                        found = run(self.plan(cell, f"{job.id} {cell.key}"), spent)
                    spent += found.cost or 0.0
                    if found.complete:
                        job.put({cell.key: found.ref})
                made[number] = found
            purse = Purse(None if max_cost is None else max(0.0, max_cost - spent))
            again = {} if cached else self._again(made, job.id, concurrency, purse)
            record = _Record(self, made, concurrency, cached, again)
            record.reads = self._read({number: made[number] for number in record.compared}, concurrency, purse, reads)
        except BaseException:
            job.end("stopped")
            raise
        content = record.content()
        content["cost"] = cast("float", content["cost"] or 0.0) + purse.paid if made else None
        uses = [Use("dataset", self.data.ref, self.data.hash)]
        uses += [Use(f"cell {number}", one.ref, one.artifact.hash) for number, one in made.items()]
        suite = self.session.put("suite", self.suite.name, self.suite.content, why="of a bake-off")
        uses.append(Use("suite", suite.ref, suite.hash))
        for one in self.judges if record.reads else ():
            judge = self.session.put("judge", one.name, one.content, why=f"used by {self.suite.name}")
            uses.append(Use(f"judge {one.name}", judge.ref, judge.hash))
        said, why = lines(record.reads) or None, f"bake-off of {self.suite.name}"
        artifact = self.session.put("report", None, content, blob=said, uses=uses, why=why)
        job.end("done" if content["complete"] else "stopped")
        return artifact

    @property
    def warming(self) -> int:
        """How many rows each cell warms up with, which have no times: at most a quarter."""
        return min(_WARM, len(self.data.rows) // 4)

    @property
    def timed_again(self) -> int:
        """How many cases are asked again at the end."""
        return min(_AGAIN, len(self.data.rows) - self.warming)

    def _again(self, made: Mapping[int, Experiment], job: str, concurrency: int, purse: Purse) -> dict[str, float]:
        """The seconds of some rows with the target as it is, after all cells have run."""
        run = self.plan(self.cells[0]).asked
        if run is None or not all(one.complete for one in made.values()):
            return {}
        rows = self.data.rows[self.warming :][: self.timed_again]
        with asking_anew(f"{job} again"), context(environment=EVALUATION):
            outcomes = run_rows(run, rows, session=self.session, concurrency=concurrency, max_cost=purse)
        return {one.row.id: one.seconds for one in outcomes if one.seconds is not None and one.error is None}

    def _read(
        self, made: Mapping[int, Experiment], concurrency: int, purse: Purse,
        reads: Callable[[], AbstractContextManager[Watch | None]],
    ) -> list[Read]:  # fmt: skip
        """What pairwise judges say of the cells that can be compared."""
        if len(made) < 2 or not self.judges:
            return []
        rows, labels = {row.id: row for row in self.data.rows}, [cell.label for cell in self.cells]
        with reads() as watch:
            reader = Reader(self.judges, rows, labels, self.session, concurrency, purse, watch)
            return reader.read(made)

    def _check_models(self) -> None:
        """What can be known to fail is said before another cell is paid."""
        judging = [one._model(one.model) for one in self.judges]  # pyright: ignore[reportPrivateUsage] - its own kind
        for model in (*(one for cell in self.running for one in cell.tried), *judging):
            if hasattr(model, "check"):
                cast("Checked", model).check()

    def _job(self, resume: bool) -> Job:
        scorers: list[Json] = [[one.name, one.content] for one in self.suite.scorers]
        cells: list[Json] = [one.key for one in self.running]
        key = digest_of([self.data.hash, self.repeats, self.suite.turns, scorers, cells])
        job = self.session.job("bakeoff", key, total=len(self.running))
        if not resume and job.items():
            job.end("done")
            job = self.session.job("bakeoff", key, total=len(self.running))
        return job

    def _kept(self, ref: Json) -> Experiment | None:
        if not isinstance(ref, str):
            return None
        try:
            return experiment(ref, session=self.session, project=self.project)
        except NotFound:
            return None


def _named(suite: str, cell: Cell) -> str:
    """A name of its own for what runs in a cell, so that only runs of the same say what it will take: `qa.mid-3f2a1b`."""
    label = re.sub(r"[^a-z0-9]+", "-", cell.label.lower()).strip("-")[:40].strip("-")
    return f"{suite}.{label}-{cell.key.removeprefix('sha256:')[:6]}"


def _holds(measure: str, scorer: str) -> bool:
    return measure == scorer or measure.startswith(f"{scorer}.")


def _fitting(cell: Cell, data: Dataset) -> Cell:
    """Left out where the longest case is surely more than its model takes in."""
    if cell.excluded is not None or cell.facts is None or cell.facts.context is None:
        return cell
    with cell.varied():
        tokens = longest(cell.subject, data.rows, cell.variant.components if cell.variant else ())
    if tokens is None or tokens <= cell.facts.context:
        return cell
    why = (
        f"its context is too small: the longest case is at least {tokens:,} tokens, and it takes {cell.facts.context:,}"
    )
    return replace(cell, excluded=why)


@dataclass
class _Record:
    """The record being written."""

    bakeoff: Bakeoff
    made: Mapping[int, Experiment]
    concurrency: int
    cached: bool
    again: Mapping[str, float]
    reads: list[Read] = field(default_factory=list[Read])

    @cached_property
    def seen(self) -> dict[int, _Seen]:
        return {number: _seen(one, self.bakeoff.cells[number]) for number, one in self.made.items()}

    @cached_property
    def whole(self) -> list[int]:
        """The cells that ran to their end."""
        return [number for number, one in self.made.items() if one.complete and not self.seen[number].untouched]

    @cached_property
    def over(self) -> dict[int, str]:
        """Those that cost more than may be, with why."""
        found = {number: numbers(self.made[number].results, ()) for number in self.whole if number}
        return {number: why for number, table in found.items() if (why := _too_dear(table, self.bakeoff.sweep))}

    @cached_property
    def compared(self) -> list[int]:
        """Those that are compared with the current one, which is the first; none where that is not whole."""
        return [number for number in self.whole if number not in self.over] if 0 in self.whole else []

    @cached_property
    def results(self) -> dict[int, Results]:
        """Of each cell, with what pairwise judges said of it."""
        found = {number: one.results for number, one in self.made.items()}
        for read in self.reads:
            found |= read.with_measure(found) if read.complete and read.readings else {}
        return found

    def content(self) -> dict[str, Json]:
        bakeoff, sweep, seen, results = self.bakeoff, self.bakeoff.sweep, self.seen, self.results
        compared, over = self.compared, self.over
        names = quality_names(list(results.values()))
        quality = sweep.quality if sweep.quality in names else next((n for n in names), None)
        warm = {row.id for row in bakeoff.data.rows[: bakeoff.warming]}
        tables = {number: numbers(one, names, warm) for number, one in results.items()}
        if 0 in tables:  # against itself, for which no interval is meant
            read = {one.judge for one in self.reads}
            tables[0] = [
                replace(one, low=None, high=None, why="by definition") if one.name in read and one.value == 0.5 else one
                for one in tables[0]
            ]
        drifted = drift(results[0], self.again) if 0 in results else None
        pairs = (
            against([results[number] for number in compared], names, Clock(warm, drifted)) if len(compared) > 1 else []
        )
        by_cell = dict(zip(compared[1:], pairs, strict=True))
        axes, places = front([_by_name(tables[number]) for number in compared], quality or "")
        on_front = dict(zip(compared, places, strict=True))
        said = self._recommend(compared, results, tables, by_cell, seen, quality)
        cells: list[Json] = []
        for number, cell in enumerate(bakeoff.cells):
            why = cell.excluded or over.get(number) or self._unfinished(number, seen)
            cells.append(
                {
                    "label": cell.label, "settings": dict(cell.settings), "current": number == 0, "excluded": why,
                    "version": cell.version, "facts": cell.facts.to_json() if cell.facts else None,
                    "experiment": self.made[number].ref if number in self.made else None,
                    "complete": number in self.whole, "front": on_front.get(number),
                    "numbers": [one.to_json() for one in tables.get(number, ())],
                    "against": [one.to_json() for one in by_cell.get(number, ())],
                    **(seen[number].to_json() if number in seen else {}),
                }
            )  # fmt: skip
        first = next(iter(self.made.values()), None)
        judged = {
            *(first.results.judged if first else ()),
            *(one.name for one in bakeoff.judges if self._uncalibrated(one)),
        }
        return {
            "report": "bakeoff", "name": bakeoff.suite.name, "dataset": [bakeoff.data.ref, bakeoff.data.hash],
            "cases": len(bakeoff.data.rows), "repeats": bakeoff.repeats, "concurrency": self.concurrency,
            "asked_anew": not self.cached, "warming": len(warm), "drift": drifted.to_json() if drifted else None, "sweep": sweep.to_json(), "quality": quality,
            "uncalibrated": list[Json](sorted(judged)), "axes": list[Json](axes), "cells": cells,
            "preferred": self._preferred(by_cell), "recommendation": said.to_json(), "notes": self._notes(names, quality, seen),
            "complete": all(one.complete for one in (*self.made.values(), *self.reads)),
            "cost": sum(one.cost or 0.0 for one in self.made.values()) if self.made else None,
        }  # fmt: skip

    def _uncalibrated(self, judge: Pairwise) -> bool:
        kept = self.bakeoff.session.put("judge", judge.name, judge.content, why=f"used by {self.bakeoff.suite.name}")
        return bool(self.reads) and not compared_with_people(self.bakeoff.session, judge.name, kept.ref)

    def _preferred(self, by_cell: Mapping[int, Sequence[Against]]) -> list[Json]:
        """What each pairwise judge said: the ranking, every pair, and what was not read."""
        found: list[Json] = []
        for read in self.reads:
            current = {number: one for number, pairs in by_cell.items() for one in pairs if one.measure == read.judge}
            found.append(read.to_json(self.results, current))
        return found

    def _unfinished(self, number: int, seen: Mapping[int, _Seen]) -> str | None:
        made = self.made.get(number)
        if made is None:
            return None
        if not made.complete:
            why = next((run.error for run in made.rows if run.world and run.error), "a judge did not answer")
            return (
                f"unfinished: {made.content['unfinished']} of {made.content['runs']} runs ({why}); go on with --resume"
            )
        if seen[number].untouched:
            return (
                "no trace of it shows a call with what was to be tried: what runs in another process, or is not reached, "
                "cannot be varied from here"
            )
        return None

    def _recommend(
        self, compared: Sequence[int], results: Mapping[int, Results], tables: Mapping[int, Sequence[Number]],
        by_cell: Mapping[int, Sequence[Against]], seen: Mapping[int, _Seen], quality: str | None,
    ) -> Recommendation:  # fmt: skip
        cells, sweep = self.bakeoff.cells, self.bakeoff.sweep
        if not compared:
            return Recommendation(
                f"Nothing can be said: {cells[0].label}, with which the others are compared, is not finished."
            )
        if quality is None:
            return Recommendation("Nothing can be said of quality: no scorer gave a number.")
        sure = [False] * (len(compared) - 1)
        if sweep.margin is not None and len(compared) > 1:
            sure = not_worse([results[number] for number in compared], quality, sweep.margin)
        made = [
            Candidate(
                cells[number].label, {one.measure: one for one in by_cell.get(number, ())}, _by_name(tables[number]),
                seen[number].errors, stands,
            )
            for number, stands in zip(compared, [False, *sure], strict=True)
        ]  # fmt: skip
        return recommend(made[0], made[1:], quality, prefer=sweep.prefer, margin=sweep.margin)

    def _notes(self, names: Sequence[str], quality: str | None, seen: Mapping[int, _Seen]) -> list[Json]:
        bakeoff, notes = self.bakeoff, list[Json]()
        wanted = bakeoff.sweep.quality
        if wanted is not None and wanted != quality:
            notes.append(f"no run has a number for {wanted}, so {quality} decides")
        margin = bakeoff.sweep.margin
        if quality is not None and margin is not None and margin >= 1 and self._of_shares(quality):
            notes.append(
                f"margin {margin:g} is no bound: {quality} lies from 0 to 1, so that nothing is worse by so much"
            )
        own = bakeoff.cells[0].facts
        if own is not None and (problem := bakeoff.sweep.require.problem(own)):
            notes.append(f"{bakeoff.cells[0].label} would itself be left out: {problem}")
        for number, one in seen.items():
            if one.cached:
                notes.append(
                    f"{bakeoff.cells[number].label}: {one.cached} runs came from the cache; they have no time and no cost here"
                )
        return notes

    def _of_shares(self, measure: str) -> bool:
        """Whether all values that there are lie from 0 to 1."""
        return all(0 <= value <= 1 for one in self.made.values() for value in one.results.series(measure).values)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the traces of a cell tell: runs, those that failed, that a provider refused, that came from the cache."""

    runs: int
    errors: int
    refusals: int
    cached: int
    untouched: bool  # no call ran with what was to be tried

    def to_json(self) -> dict[str, Json]:
        return {"runs": self.runs, "errors": self.errors, "refusals": self.refusals, "cached": self.cached}


def _seen(made: Experiment, cell: Cell) -> _Seen:
    refusals, touched = 0, 0
    spans = (made.session.spans.trace(run.trace) for run in made.rows if run.trace)
    variant = cell.variant
    wanted = {*variant.components, *variant.prompts} if variant is not None else set[str]()
    for trace in spans:
        calls = trace.of_kind("llm") if trace is not None else []
        refusals += any(one.finish_reason in _REFUSED for one in calls)
        touched += any(one.name in wanted for one in calls)
    runs = made.rows
    answered = [run for run in runs if run.error is None]
    errors = sum(run.scores["errors"][0] is True for run in runs)
    cached = len(answered) - len(asked_anew(replace(made.results, runs=tuple(answered))).runs)
    return _Seen(
        len(runs),
        errors,
        refusals,
        cached,
        bool(wanted and answered) and not touched and not (variant and variant.called),
    )


def _by_name(table: Sequence[Number]) -> dict[str, Number]:
    return {one.name: one for one in table}


def _too_dear(table: Sequence[Number], sweep: Sweep) -> str | None:
    """Left out after the run: what was asked costs more than may be, by all of its interval."""
    cost, most = _by_name(table)["cost_per_1000"], sweep.require.cost
    if most is None or cost.low is None or cost.low <= most:
        return None
    return f"it costs {cost.value:.4g} USD per 1,000 requests ({cost.low:.4g} to {cost.high:.4g}), and at most {most:g} is asked for"


def bakeoff_record(artifact: Artifact) -> Mapping[str, Any]:
    """The content of a record. BadInput if the artifact is another report."""
    if not is_record(artifact, "bakeoff"):
        raise BadInput(f"{artifact.ref} is no bake-off.")
    return cast("Mapping[str, Any]", artifact.content)
