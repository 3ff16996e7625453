"""Evaluate: run a target over rows, score what came out, and keep it all as an experiment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput
from afere.base.project import Project
from afere.base.seldom import seldom_collected
from afere.chains.runner import Purse
from afere.data import Dataset, Row, usable
from afere.data.place import calling_project, session_of
from afere.evals import keeping
from afere.evals.conversing import TURNS, Turns
from afere.evals.experiment import Experiment
from afere.evals.forecast import Forecast
from afere.evals.past import SUBJECT, Wanted, past
from afere.evals.plan import Plan
from afere.evals.references import check_words, rules_before
from afere.evals.repeats import stability
from afere.evals.results import Result
from afere.evals.scorers import Judging, named
from afere.evals.spread import spread
from afere.evals.stopping import SEED
from afere.evals.subject import importable, subject_of
from afere.evals.work import Watch, Work
from afere.tracing import flush


def evaluate(
    target: Callable[..., object] | str | None = None,
    data: str | Path | Dataset | Iterable[Mapping[str, object] | Row] | None = None,
    *,
    scorers: Sequence[Judging | Callable[..., object] | str | Mapping[str, Json]],
    repeats: int = 1,
    against: str | None = None,
    concurrency: int = 8,
    max_cost: float | None = None,
    resume: bool = False,
    traces: str | None = None,
    most: int | None = None,
    sample: int | None = None,
    turns: Turns | None = None,
) -> Experiment:
    """Run `target` on every row of `data` and score what comes out. Also works inside a notebook's running loop.

    target: any callable, a name under chains: of afere.yaml, `module:function`, a prompt file, an http(s) address, or
    None to score the rows' own `output`. `against`: what the table compares with: `baseline` (the file in git),
    `qa@production`, `experiment:12`. `max_cost` (USD) starts no new row, and asks no judge, once reached. `resume` goes on with an
    interrupted evaluation of the same target and rows: what is finished is not run, and not paid, again.

    `traces` takes the place of both: a filter such as `chain:qa since:7d`, whose newest `most` traces (200 unless said), or
    `sample` of them at random, are scored as they are.

    `turns`: rows with `messages` are asked turn by turn, with what was said so far: the target's own answers (`live`), or those
    that the row has (`recorded`). A scorer with `of: turn` scores each turn, others the whole conversation.
    """
    project = calling_project()
    importable(project)
    judges = [named(one) for one in scorers]
    twice = {one.name for one in judges if sum(other.name == one.name for other in judges) > 1}
    if twice or not judges:
        raise BadInput(
            f"Two scorers are called {sorted(twice)[0]!r}: give one another name."
            if twice
            else "Give at least one scorer."
        )
    if traces is not None:
        if target is not None or data is not None or repeats != 1:
            raise BadInput("traces: past traces are scored as they are; leave out target, data and repeats.")
        found = past(Wanted(traces, most, sample), SUBJECT.name, project)
        plan = Plan(
            SUBJECT.name,
            SUBJECT,
            found.data,
            tuple(judges),
            project.root / "evals/traces.baseline.json",
            against=against,
            past=found,
        )
        return perform(plan, project, concurrency=concurrency, max_cost=max_cost, resume=resume)
    if data is None or most is not None or sample is not None:
        raise BadInput(
            "data: give rows, a file or a dataset; or traces='chain:qa since:7d' (most and sample are of traces)."
        )
    subject = subject_of(target, project)
    if turns is not None and (subject.run is None or turns not in TURNS):
        raise BadInput(f"turns={turns!r}: {' or '.join(TURNS)}, with a target that is asked.")
    plan = Plan(
        subject.name, subject, data, tuple(judges), project.root / "evals" / f"{subject.name}.baseline.json", repeats, against,
        turns=turns,
    )  # fmt: skip
    return perform(plan, project, concurrency=concurrency, max_cost=max_cost, resume=resume)


def forecast_of(plan: Plan, project: Project, concurrency: int) -> Forecast:
    """How many calls and tokens a plan takes, what it costs and how long; nothing is called."""
    data = usable(cast("str", plan.data), shape=plan.shape)
    return Work(plan, project, session_of(project), data, Purse(), None, concurrency).forecast(concurrency)


def perform(
    plan: Plan, project: Project, *, concurrency: int = 8, max_cost: float | None = None, resume: bool = False,
    watch: Watch | None = None, stop: Callable[[Result], bool] | None = None, seed: int | None = None,
    begins: Callable[[Work], None] | None = None,
) -> Experiment:  # fmt: skip
    """Carry out a plan. Rules stand in the suite's artifact before anything runs; results follow, then the experiment.

    `stop` is told every result, in the order in which rows are begun (`seed`: a random one), and may say that it is enough:
    see `run_rows`. What was not begun then is in no result. A plan that stops by its rules brings both itself.
    `begins` is called with the work before anything is paid.
    """
    work = Work(
        plan, project, session_of(project), usable(cast("str", plan.data), shape=plan.shape), Purse(max_cost), watch,
        concurrency,
    )  # fmt: skip
    with seldom_collected(), work.session.cache.gathering():
        return _performed(work, concurrency, resume, stop, seed, begins)


def _performed(
    work: Work, concurrency: int, resume: bool, stop: Callable[[Result], bool] | None, seed: int | None,
    begins: Callable[[Work], None] | None,
) -> Experiment:  # fmt: skip
    plan, project, begun = work.plan, work.project, time.monotonic()
    rules = plan.suite.gate if plan.suite else ()
    words = {word for word in (plan.against, *(rule.against for rule in rules)) if word}
    check_words(words, plan.baseline, work.session, project)
    before = rules_before(plan.name, plan.baseline, work.session, project)
    if plan.recorded is not None:
        plan.recorded.check(plan.subject.artifact(work.session))
    looked = work.stopping() if plan.stop and not plan.recorded else None
    if looked is not None:
        stop, seed = looked, SEED
    if begins is not None:
        begins(work)
    job = work.job(resume)
    try:
        outcomes = work.run(job, concurrency, stop=stop, seed=seed)
    except BaseException:
        with suppress(AfereError, OSError):
            work.subject = plan.subject.identity(work.session) or work.subject
        work.stop(job)
        raise
    finally:
        work.pool.shutdown(wait=False, cancel_futures=True)
    results = work.results(outcomes)
    costs = [*(one.cost for one in outcomes if one.cost is not None), *work.judging]  # past traces were paid before
    content = keeping.content(work, results, before)
    content |= {"seconds": round(time.monotonic() - begun, 3), "cost": sum(costs) if costs else None}
    content["outlook"] = [cast("Json", one.to_json()) for one in work.outlook]
    content["stability"] = [cast("Json", one.to_json()) for one in stability(results)] if plan.repeats > 1 else []
    content["spread"] = [cast("Json", one.to_json()) for one in spread(results)]
    content["stop"] = looked.content(results) if looked else None
    content["from_cache"] = 0 < len(results.runs) == len(work.cached)
    artifact = keeping.put(work, content, results)
    results = replace(results, ref=artifact.ref, at=artifact.at)
    keeping.append(work, results)
    if results.complete:
        job.end("done")
    else:
        work.stop(job)
    flush()
    return Experiment(artifact, work.session, project, results)
