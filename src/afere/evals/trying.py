"""A prompt tried by hand: some models side by side on a few inputs, priced before, each call a trace of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound, Refused
from afere.base.project import Project, find_project
from afere.chains import Component
from afere.chains.chain import apart
from afere.chains.component import version_of
from afere.chains.prompt import load_prompt
from afere.chains.promptfiles import file_of
from afere.chains.waiting import background
from afere.data import Row
from afere.evals.forecast import Part, Range, by_prompt
from afere.models import Reply
from afere.store import Session
from afere.tracing import Collected, context
from afere.tracing.capture import failure
from afere.tracing.policy import Policy
from afere.tracing.scope import TARGET, entered, holding
from afere.tracing.targets import Target

PLAYGROUND = "playground"  # the environment of its spans
MODELS, ROWS = 4, 10  # at most, side by side and down
SECONDS = 60.0  # that one call may take
CAP = 0.50  # USD, unless told
_LARGEST = 100.0  # USD that a cap may be
_AT_ONCE = 8  # calls of one try


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model said to one row, or why it did not. `cost` in USD; unknown is None."""

    row: str
    output: Json = None
    error: str | None = None
    trace: str | None = None
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One model: what its calls are expected to take, why it cannot be asked at all, and its cells in the order of the rows."""

    model: str
    called: str | None
    forecast: Part | None
    problem: str | None
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What would be asked. `cost` (USD) is of the models whose price is known, `unpriced` names the others."""

    session: Session
    project: Project
    prompt: Artifact
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    components: Mapping[str, Component] = field(repr=False)

    @property
    def calls(self) -> int:
        return len(self.rows) * len(self.components)

    @property
    def cost(self) -> Range:
        total = Range(0.0, 0.0)
        for one in self.columns:
            if one.forecast is not None and one.forecast.cost.high is not None:
                total += one.forecast.cost
        return total

    @property
    def unpriced(self) -> tuple[str, ...]:
        return tuple(one.model for one in self.columns if one.forecast is not None and one.forecast.cost.high is None)

    def check(self, cap: float) -> None:
        """BadInput, where what is known of the cost may be above the cap (USD)."""
        most = self.cost.high or 0.0
        if most > cap:
            raise BadInput(
                f"This may cost up to ${most:.4f}, above the cap of ${cap:.2f}. Nothing was asked. Choose fewer rows or "
                "cheaper models, write max_tokens in the prompt, or raise the cap."
            )


def project_of(session: Session) -> Project:
    """The declared project whose models may be asked here: beside the store, else of the working directory. Refused for another."""
    for start in (session.folder, None):
        project = find_project(start)
        if project.declared and project.name == session.project:
            return project
    raise Refused(
        f"Trying needs the afere.yaml of project {session.project!r}, with its models, and this server does not run in it. "
        "Start afere ui in the folder of that project."
    )


def models_of(project: Project, prompt: str) -> tuple[str, ...]:
    """The names that may be chosen: that of the prompt's file, those under `models:`, and `local`. No other is ever looked up."""
    own, _ = _file(project, prompt)
    return tuple(dict.fromkeys([*([own] if own else []), *project.section("models"), "local"]))


def cap_of(given: Json) -> float:
    """A cap in USD as a form or a program writes it; BadInput for none."""
    try:
        cap = CAP if given is None else float(cast("str", given))
    except (TypeError, ValueError):
        cap = -1.0
    if isinstance(given, bool) or not 0 <= cap <= _LARGEST:
        raise BadInput(f"cap={given!r}: USD, a number from 0 to {_LARGEST:g}.")
    return cap


def chosen(rows: Sequence[Row], ids: Sequence[str], first: int) -> tuple[Row, ...]:
    """The rows of these ids, or the first so many. NotFound names the id that is not there."""
    if not ids:
        return tuple(rows[: max(1, min(first, ROWS))])
    known = {row.id: row for row in rows}
    for one in ids:
        if one not in known:
            raise NotFound(f"There is no row {one!r} in this dataset.")
    return tuple(known[one] for one in dict.fromkeys(ids))


def plan(session: Session, prompt: Artifact, models: Sequence[str], rows: Sequence[Row]) -> Plan:
    """What asking these models would take; nothing is asked. Needs the scope write: a try spends, and is kept."""
    session.require("write")
    project = project_of(session)
    models = list(dict.fromkeys(models))
    if not 1 <= len(models) <= MODELS or not 1 <= len(rows) <= ROWS:
        raise BadInput(
            f"Choose one to {MODELS} models and one to {ROWS} rows; given {len(models)} models and {len(rows)} rows."
        )
    known = models_of(project, prompt.name)
    for model in models:
        if model not in known:
            raise BadInput(f"model {model!r} is not to be chosen here. Choose of: {', '.join(known)}.")
    _, parameters = _file(project, prompt.name)
    columns: list[Column] = []
    components: dict[str, Component] = {}
    for model in models:
        try:
            component = version_of(prompt, project, model, parameters)
            part = by_prompt(component, rows)
        except AfereError as error:
            columns.append(Column(model, None, None, str(error)))
            continue
        components[model] = component
        columns.append(Column(model, component.model_name, part, None))
    return Plan(session, project, prompt, tuple(rows), tuple(columns), components)


def begin(planned: Plan, cap: float) -> Future[Plan]:
    """Ask all models on all rows, beside whoever calls; the plan with its cells. No call begins once the cap is spent."""
    planned.check(cap)
    for component in planned.components.values():
        component.put(planned.session)  # by who asks, and before the calls
    return asyncio.run_coroutine_threadsafe(_all(planned, cap), background())


async def _all(planned: Plan, cap: float) -> Plan:
    purse = _Purse(cap, asyncio.Semaphore(_AT_ONCE))
    policy = Policy.of(planned.project, content=True, redact=())
    target = Target(str(planned.session.folder), planned.session.project, policy, planned.session)

    async def column(one: Column) -> Column:
        component = planned.components.get(one.model)
        if component is None:
            return one
        cells = await asyncio.gather(*(_cell(component, row, planned, purse, target) for row in planned.rows))
        return replace(one, cells=tuple(cells))

    return replace(planned, columns=tuple(await asyncio.gather(*(column(one) for one in planned.columns))))


@dataclass
class _Purse:
    cap: float
    free: asyncio.Semaphore
    spent: float = 0.0


async def _cell(component: Component, row: Row, planned: Plan, purse: _Purse, target: Target) -> Cell:
    async with purse.free:
        if purse.spent > purse.cap:
            return Cell(row.id, error=f"Not asked: the calls before it spent the cap of ${purse.cap:.2f}.")
        collected, error, reply = Collected(planned.session.project), None, None
        begun, by = time.perf_counter(), planned.session.actor
        with entered(apart(collected)), holding(TARGET, target), context(environment=PLAYGROUND, **{"afere.by": by}):
            try:
                inputs = row.bind(component.inputs)
                reply = await asyncio.wait_for(component.aask(**inputs), SECONDS)
            except TimeoutError:
                error = f"No whole answer within {SECONDS:g} s."
            except Exception as problem:  # of one model, told in its column
                error = str(problem) if isinstance(problem, AfereError) else failure(problem)
            seconds = time.perf_counter() - begun
        trace = collected.first
        cost = reply.cost if reply is not None else trace.totals.cost if trace is not None else None
        purse.spent += cost or 0.0
        usage = reply.usage if reply is not None else None
        return Cell(
            row.id, _said(reply), error, trace.trace_id if trace is not None else None, seconds,
            usage.input_tokens if usage else None, usage.output_tokens if usage else None, cost,
        )  # fmt: skip


def _said(reply: Reply | None) -> Json:
    """The checked value, the text, or the tools that the model asks for."""
    if reply is None:
        return None
    if reply.value is not None:
        return reply.value
    if reply.calls and not reply.text:
        return [{"tool": call.name, "arguments": call.arguments} for call in reply.calls]
    return reply.text


def _file(project: Project, name: str) -> tuple[str | None, Mapping[str, Json]]:
    """Model and parameters that the prompt's file gives: they belong to the project, not to the version."""
    file = file_of(name, project)
    if file is not None:
        with suppress(AfereError):  # the file is being written; the version is tried as it was kept
            prompt = load_prompt(file, project)
            return prompt.model, prompt.parameters
    return (name if name in project.section("models") else None), {}
