"""The work of one evaluation: rows run and scored, one after the other's place, and what is kept of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from opentelemetry import context as otel
from opentelemetry.context import Context

from afere.base.artifact import Artifact
from afere.base.canonical import Json, digest_of
from afere.base.errors import BadData, BadInput
from afere.base.project import Project
from afere.base.rule import BUILTIN
from afere.base.span import Trace
from afere.base.steps import Steps
from afere.chains.calls import CACHED, Memory, remembering
from afere.chains.chain import Gathered, settling_later
from afere.chains.runner import Outcome, Progress, Purse, each, run_rows
from afere.data import Dataset, Row
from afere.data.place import shown
from afere.evals import stopping
from afere.evals.baseline import known_in
from afere.evals.conversing import check_roles
from afere.evals.forecast import Forecast, forecast
from afere.evals.judge import Judge
from afere.evals.known import known_from
from afere.evals.labelling.people import compared_with_people
from afere.evals.outlook import Outlook, outlook
from afere.evals.past import outcome_of
from afere.evals.plan import Plan
from afere.evals.references import reference
from afere.evals.results import Result, Results, row_digest
from afere.evals.scorers import Case, Judging, Scored, counted
from afere.evals.scorers.measured import measured
from afere.evals.scoring import Busy, Quick, Scoring
from afere.evals.select import rows_where
from afere.models import Paces
from afere.store import Job, Session
from afere.tracing import context
from afere.tracing.scope import ABOUT, TARGET, About, about, entered
from afere.tracing.targets import target

EVALUATION = "evaluation"  # the environment of spans that an evaluation runs

_log = logging.getLogger("afere")
_YES, _NO = (True, ""), (False, "")  # one for all cases: there may be a hundred thousand of each
_NONE: Mapping[str, Any] = {}
_APART = otel.set_value(ABOUT, About(environment=EVALUATION), Context())

Watch = Callable[[str, Progress], None]  # told how far "running" and "scoring" are


class Work:
    """One evaluation being made: the plan with its dataset, and the artifacts that stand before the run."""

    def __init__(
        self,
        plan: Plan,
        project: Project,
        session: Session,
        data: Dataset,
        purse: Purse,
        watch: Watch | None,
        concurrency: int,
    ) -> None:
        self.plan = plan = replace(plan, scorers=tuple(_placed(one, project) for one in plan.scorers))
        self.project = project
        self.session = session
        self.data = data
        self.purse = purse
        self.paces = Paces()
        self.watch = watch
        self.begun = time.monotonic()
        self.pool = ThreadPoolExecutor(max(1, concurrency), "afere-score")  # its threads start as they are needed
        self.made: dict[tuple[str, int], Result] = {}  # by row and repeat, as they are scored
        self.judging: list[float] = []  # USD of each verdict that was paid
        self.cached: list[str] = []  # the row of each run that asked no model anew
        self._apart = _APART
        self._quick, self._busy = Quick(), Busy(self._hangs)
        self.digests = {row.id: row_digest(row) for row in data.rows}
        self.subject = self.first = plan.subject.identity(session)
        self.kept = {
            one.name: session.put(one.kind, one.name, one.content, why=f"used by {plan.name}") for one in plan.scorers
        }
        self.suite: Artifact | None = None
        if plan.suite is not None:
            self.suite = session.put("suite", plan.name, plan.suite.content, why="declared before the run")

    def job(self, resume: bool) -> Job:
        """The unfinished job of the same work, if it is to go on; else a new one."""
        job = self._job()
        if not resume and job.items():
            job.end("done")
            job = self._job()
        return job

    def _job(self) -> Job:
        plan, subject = self.plan, self.subject
        what: list[Json] = [list(subject) if subject else plan.subject.name, self.data.hash, plan.repeats]
        key = digest_of([*what, *(one for one in (plan.part_of, plan.turns) if one)])
        return self.session.job("evaluation", key, total=len(self.data) * plan.repeats)

    def stop(self, job: Job) -> None:
        """Let another process go on with it, also by the revision that what ran has joined since it began."""
        job.end("stopped")
        if self.subject != self.first and self._grew():
            later = self._job()
            later.put(job.items())
            later.end("stopped")

    def _grew(self) -> bool:
        """Whether the subject is what it was when this began, and more of it is known."""
        if not (self.first and self.subject and self.first[1] and self.subject[1]):
            return False
        before, now = (self.session.get(ref) for ref, _ in (self.first, self.subject))
        same = [{**cast("dict[str, Json]", one.content), "found": None} for one in (before, now)]
        return same[0] == same[1] and {(u.role, u.hash) for u in before.uses} <= {(u.role, u.hash) for u in now.uses}

    def run(
        self, job: Job, concurrency: int, *, stop: Callable[[Result], bool] | None = None, seed: int | None = None
    ) -> list[Outcome]:
        """What the target gave, scored row by row; where there is none, the rows' own outputs."""
        with self._busy.watched():
            return self._run(job, concurrency, stop, seed)

    def _run(
        self, job: Job, concurrency: int, stop: Callable[[Result], bool] | None, seed: int | None
    ) -> list[Outcome]:
        plan, run = self.plan, self.plan.asked
        if run is None or plan.recorded is not None:
            given = self._given()
            try:
                each(given, self._scored_alone, concurrency=max(1, concurrency))
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"interrupted while scoring {len(given)} outputs; what judges have said is kept. Run the same again to go on."
                ) from None
            return given
        ran: Gathered = {}
        self._apart = otel.set_value(TARGET, target(), _APART)
        with settling_later(ran), context(environment=about().environment or EVALUATION):
            try:
                outcomes = run_rows(
                    run, self.data.rows, session=self.session, job=job, repeats=plan.repeats,
                    concurrency=concurrency, max_cost=self.purse, progress=self._running, then=self.score,
                    stop=(lambda one: stop(self.made[one.row.id, one.repeat])) if stop else None, seed=seed,
                    paces=self.paces, fits=check_roles if plan.turns else None,
                )  # fmt: skip
            except BadData as problem:
                first = next((row for row in self.data.rows if str(problem).startswith(f"row {row.id}: ")), None)
                raise BadData(f"{self._place_of(first)}: {problem}") from problem.__cause__
        self._settle(ran)
        return outcomes

    def forecast(self, concurrency: int) -> Forecast:
        """What all of it will take, said before anything is paid."""
        plan = self.plan
        subject = plan.subject if plan.recorded is None else replace(plan.subject, run=None)
        scorers = plan.scorers if plan.recorded is None else ()
        return forecast(
            subject, self.data, scorers, plan.name, self.session, repeats=plan.repeats, concurrency=concurrency,
            past=plan.past is not None,
        )  # fmt: skip

    @cached_property
    def outlook(self) -> list[Outlook]:
        """What so many cases would show, said before anything is paid."""
        rules = self.plan.suite.gate if self.plan.suite else ()
        return outlook(rules, self.plan.name, len(self.data), self.plan.repeats, self.session)

    def stopping(self) -> stopping.Stopping:
        """What looks at the results while they come. BadInput where there is no rule to decide, or nothing to run."""
        plan = self.plan
        rules = plan.suite.gate if plan.suite else ()
        if not rules or plan.subject.run is None:
            what = "it has no rules under gate:" if not rules else "its outputs are there already"
            raise BadInput(f"{plan.name}: nothing to stop early by, since {what}. Leave out stop.")
        empty = self.results(())
        words = {rule.against for rule in rules if rule.against is not None}
        references = {word: reference(word, empty, plan.baseline, self.session, self.project) for word in words}
        rows = {row.id: row for row in self.data.rows}
        known = known_from(known_in(plan.baseline, shown(plan.baseline, self.project.root)), plan.baseline.name)
        return stopping.Stopping(
            plan.stop or "group-sequential", rules, empty, references,
            lambda rule: rows_where(rule.where, rows) if rule.where else None,
            {one.case for one in known if not one.over}, stopping.shuffled(self.data.rows), plan.repeats,
        )  # fmt: skip

    def _given(self) -> list[Outcome]:
        """Outputs that exist: recorded ones, or the rows' own."""
        if self.plan.recorded is not None:
            return self.plan.recorded.outcomes(self.data.rows, self.plan.repeats)
        why = "it has no output, and there is no target to make one"
        made = {row.id for row in self.data.rows if row.output is not None or self.plan.past is not None}
        return [
            Outcome(row, 1, row.output) if row.id in made else Outcome(row, 1, error=f"row {row.id}: {why}", unfit=True)
            for row in self.data.rows
        ]

    def _place_of(self, row: Row | None) -> str:
        """Where a row was written, `data/qa.jsonl:3`; else the dataset's reference."""
        return self.data.places.get(row.id if row else "", self.data.ref)

    def _hangs(self, scorer: str, row: str, seconds: float) -> None:
        place = self.data.places.get(row)
        where = f"row {row} ({place})" if place else f"row {row}"
        _log.warning(
            "%s: the scorer %s has been at %s for %.0f s, and the run waits for it. Ctrl-C ends the run; --resume goes on.",
            self.plan.name, scorer, where, seconds,
        )  # fmt: skip

    def _settle(self, ran: Gathered) -> None:
        """What ran without being part of a revision joins it, once, and is said: the experiment is of that revision."""
        before = set(self._by_running())
        for chain, pairs in ran.items():
            chain.settle(pairs)
        self.subject = self.plan.subject.identity(self.session) or self.subject
        if new := [role for role in self._by_running() if role not in before]:
            _log.warning(
                "%s: %s ran without being part of what was captured, and joined it: now %s",
                self.plan.name, ", ".join(new), self.subject[0] if self.subject else "",
            )  # fmt: skip

    def _by_running(self) -> list[str]:
        """What running has shown of the chain, by name."""
        if self.subject is None or not self.subject[1]:
            return []
        content = cast("dict[str, Any]", self.session.get(self.subject[0]).content)
        return [str(one["part"]) for one in content.get("found", ())]

    def _running(self, now: Progress) -> None:
        if self.watch is not None:
            self.watch("running", now)

    def _scored_alone(self, outcome: Outcome) -> Steps[None]:
        yield from self.score(outcome if self.plan.past is None else outcome_of(outcome, self.session))
        if self.watch is not None:
            done, total = len(self.made), len(self.data)
            left = (time.monotonic() - self.begun) / done * (total - done)
            now = Progress(done, total, self.purse.paid, left, 0, False, self.paces.limit, self.paces.waiting)
            self.watch("scoring", now)

    def score(self, outcome: Outcome) -> Steps[None]:
        """Every scorer on one outcome; verdicts of judges come from the cache where the same was judged before."""
        if outcome.unfit:
            outcome = replace(outcome, error=f"{self._place_of(outcome.row)}: {outcome.error}")
        if outcome.error is not None:
            found = self._unscored(outcome)
        else:
            case = Case(outcome.row, outcome.output, outcome.trace, outcome.repeat)
            with entered(self._apart):  # the traces of judges are their own
                found = yield from self._found(case)
            if self.plan.past is None and _from_cache(case.trace, found):
                self.cached.append(case.row.id)
        made = _result(outcome, self.digests[outcome.row.id], found)
        self.made[outcome.row.id, outcome.repeat] = self.plan.recorded.completed(made) if self.plan.recorded else made

    def _unscored(self, outcome: Outcome) -> dict[str, Scored]:
        why, ran = outcome.error or "", "the trace failed with" if self.plan.past else "the target raised"
        why = why if outcome.world or outcome.unfit else f"{ran} {why}"
        return {one.name: Scored(None, why, outcome.world) for one in self.plan.scorers}

    def _found(self, case: Case) -> Steps[dict[str, Scored]]:
        cache, repeat = self.session.cache, case.repeat
        taken = self._taken(case)
        scorers = [one for one in self.plan.scorers if not isinstance(one, Judge) and one.name not in taken]
        answers: dict[str, dict[str, Scored]] = (
            (yield Scoring(scorers, case, cache, self.paces, self.pool, self._quick, self._busy)) if scorers else {}
        )
        answers |= taken
        for one in self.plan.scorers:
            if isinstance(one, Judge) and one.name not in taken:
                if self.purse.empty:
                    why = f"not judged: max_cost of {self.purse.limit} USD was reached; resume to go on"
                    answers[one.name] = {one.name: Scored(None, why, world=True)}
                    continue
                with remembering(Memory(cache, repeat, self.paces)):
                    answers[one.name] = yield from one.steps(case)
            if costs := _costs(answers[one.name]):
                self.judging += costs
                self.purse.pay(sum(costs))
        return {name: said for one in self.plan.scorers for name, said in answers[one.name].items()}

    def _taken(self, case: Case) -> dict[str, dict[str, Scored]]:
        """The recorded scores of scorers that are unchanged; a judge that has changed is not asked here."""
        if self.plan.recorded is None:
            return {}
        hashes = {name: one.hash for name, one in self.kept.items()}
        taken = self.plan.recorded.taken((case.row.id, case.repeat), hashes)
        for one in self.plan.scorers:
            if isinstance(one, Judge) and one.name not in taken:
                why = f"{self.plan.recorded.shown} has no verdict of this version of the judge"
                taken[one.name] = {one.name: Scored(None, why)}
        return taken

    def results(self, outcomes: Sequence[Outcome]) -> Results:
        """All runs with their scores, and what they were made with."""
        plan = self.plan
        runs = tuple(
            self.made.get((one.row.id, one.repeat)) or _result(one, self.digests[one.row.id], self._unscored(one))
            for one in outcomes
        )
        return Results(
            "",
            target=self.subject,
            dataset=(self.data.ref, self.data.hash),
            scorers={**{one.name: self.kept[one.name].hash for one in plan.scorers}, **dict.fromkeys(BUILTIN, "")},
            lower=frozenset([*BUILTIN, *(one.name for one in plan.scorers if one.better == "lower")]),
            judged=frozenset(
                one.name
                for one in plan.scorers
                if one.kind == "judge" and not compared_with_people(self.session, one.name, self.kept[one.name].ref)
            ),
            within={one.name: one.within for one in plan.scorers if one.within is not None},
            complete=not any(run.world for run in runs),
            runs=runs,
            unusable=self.data.unusable.count * plan.repeats,
        )


def _placed(scorer: Judging, project: Project) -> Judging:
    """A judge as it stands for one evaluation, which looks up its models once: of this project, if it is of none."""
    return replace(scorer, project=scorer.project or project) if isinstance(scorer, Judge) else scorer


def _result(outcome: Outcome, digest_: str, found: Mapping[str, Scored]) -> Result:
    row = outcome.row
    scores = {
        name: (_YES if one.value else _NO) if type(one.value) is bool and not one.why else (one.value, one.why)
        for name, one in found.items()
    } | measured(outcome)
    world = outcome.world or any(one.world for one in found.values())
    return Result(
        row.id, digest_, outcome.repeat, scores, row.group, row.weight, outcome.trace_id, outcome.error, world, counted(found) or _NONE,
        {name: tuple(said) for name, one in found.items() if (said := cast("list[float]", one.data.get("verdicts")))} or _NONE,
    )  # fmt: skip


def _costs(found: Mapping[str, Scored]) -> list[float]:
    """What judging paid, in USD."""
    costs = [cost for one in found.values() if one.data and (cost := one.data.get("cost")) is not None]
    return [float(cost) for cost in costs if isinstance(cost, int | float)]


def _from_cache(trace: Trace | None, found: Mapping[str, Scored]) -> bool:
    """Whether a run and its judges asked models, and all that they answered was kept."""
    calls = [span for span in trace.spans if span.kind in ("llm", "embedding")] if trace else []
    return (
        bool(calls)
        and all(CACHED in one.attributes for one in calls)
        and not any("cost" in one.data for one in found.values())
    )
