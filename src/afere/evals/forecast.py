"""Before spending: how many calls an evaluation makes, their tokens, what they cost and how long they take."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast, runtime_checkable

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.errors import AfereError
from afere.base.message import Usage
from afere.base.prices import price
from afere.base.project import Project
from afere.chains import Chain, Component
from afere.data import Dataset, Row
from afere.data.place import session_of
from afere.evals.judge import Cascade, Pairwise
from afere.evals.references import previous, results_of
from afere.evals.results import Result
from afere.evals.scorers import Case, Judging
from afere.evals.stats.distributions import t_quantile
from afere.evals.subject import Subject
from afere.models import Model, Request, count_tokens, resolve
from afere.store import Session

_LONGEST = 50  # rows, the longest by their characters, whose tokens are counted
_SAMPLE = 200  # rows whose texts are counted
_TRACES = 20  # runs whose calls are counted
_COUNTED = (0.8, 1.25)  # a count without the model's own tokenizer lies between these shares of the truth
_ANSWER = (20, 500)  # tokens of an answer of unknown length, where max_tokens says nothing
_LEVEL = 0.95  # of each end of a range that earlier runs give


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both None where it is not known."""

    low: float | None = None
    high: float | None = None

    def __add__(self, other: Range) -> Range:
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return Range()
        return Range(self.low + other.low, self.high + other.high)

    def times(self, low: float, high: float | None = None) -> Range:
        """The range of so many of it."""
        if self.low is None or self.high is None:
            return self
        return Range(self.low * low, self.high * (low if high is None else high))

    def to_json(self) -> Json:
        return [self.low, self.high]


@runtime_checkable
class Asking(Protocol):
    """A scorer that says what it would ask of which model: a judge."""

    @property
    def name(self) -> str: ...
    def asks(self, case: Case) -> list[tuple[Model, Request]]: ...


_NONE = Range(0.0, 0.0)
_VERDICT = Range(25.0, 150.0)  # tokens of a verdict with its reason


@dataclass(frozen=True, slots=True)
class Part:
    """One who calls a model: the target, or a judge. Tokens, cost (USD) and seconds are of all calls together."""

    name: str
    calls: Range
    input_tokens: Range
    output_tokens: Range
    cost: Range
    seconds: Range
    source: str

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "calls": self.calls.to_json(), "input_tokens": self.input_tokens.to_json(),
            "output_tokens": self.output_tokens.to_json(), "cost": self.cost.to_json(), "seconds": self.seconds.to_json(),
            "source": self.source,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an evaluation will take, where nothing of it is in the cache. A part that is not known leaves its sum unknown."""

    cases: int
    repeats: int
    concurrency: int
    parts: tuple[Part, ...]
    unusable: int = 0  # rows beside the cases that cannot be used and are left out

    @property
    def calls(self) -> Range:
        return _sum([one.calls for one in self.parts])

    @property
    def cost(self) -> Range:
        """USD."""
        return _sum([one.cost for one in self.parts])

    @property
    def seconds(self) -> Range:
        """On the clock, with so many rows at once."""
        return _sum([one.seconds for one in self.parts]).times(1 / self.concurrency)

    def to_json(self) -> dict[str, Json]:
        return {
            "cases": self.cases, "repeats": self.repeats, "concurrency": self.concurrency, "unusable": self.unusable,
            "calls": self.calls.to_json(),
            "cost": self.cost.to_json(), "seconds": self.seconds.to_json(),
            "parts": [cast("Json", one.to_json()) for one in self.parts],
        }  # fmt: skip


def forecast(
    subject: Subject,
    data: Dataset,
    scorers: Sequence[Judging],
    name: str,
    session: Session,
    *,
    repeats: int,
    concurrency: int,
    past: bool = False,
) -> Forecast:
    """What running the subject on all rows and scoring it takes: by the newest experiment of that name, else by the texts
    that would be sent. Nothing is called. `past`: the rows are traces of this store, which judges read.
    """
    runs = len(data.rows) * repeats
    last = previous(name, session)
    earlier = [run for run in results_of(last, session).runs if run.error is None] if last is not None else []
    parts: list[Part] = []
    if subject.run is not None:
        parts.append(
            _by_runs(subject.name, earlier, runs, last, session) or _by_texts(subject, data.rows, runs, session)
        )
    outputs = _outputs(earlier, session)
    a_call = parts[0].seconds.times(1 / max(1.0, parts[0].calls.high or 1.0)) if parts else Range()
    cases = [
        Case(
            row,
            outputs.get(row.id, row.output if row.output is not None else row.expected),
            session.spans.trace(row.id) if past else None,
        )
        for row in (data.rows[:_SAMPLE] if any(isinstance(one, Asking) for one in scorers) else ())
    ]
    parts += [_judged(one, cases, runs, a_call) for one in scorers if isinstance(one, Asking)]
    return Forecast(len(data.rows), repeats, concurrency, tuple(parts), data.unusable.count)


@dataclass(frozen=True, slots=True)
class _InPairs:
    """A pairwise judge that reads each answer beside another one of about the same length."""

    judge: Pairwise

    @property
    def name(self) -> str:
        return self.judge.name

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        return self.judge.asks_between(case, case.output)


def by_pairs(judge: Pairwise, data: Dataset, name: str, session: Session, *, pairs: int, repeats: int) -> Part:
    """What reading so many pairs of each case in both positions takes: at most, since two answers that are the same are not
    read. Answers are those of the newest experiment of that `name`, else what is expected, else of any length.
    """
    last = previous(name, session)
    runs = [run for run in results_of(last, session).runs if run.error is None] if last is not None else []
    known = _outputs(runs, session)
    unknown = " ".join(["word"] * _ANSWER[1])
    cases = [Case(row, known.get(row.id, row.expected) or unknown) for row in data.rows[:_SAMPLE]]
    found = _judged(_InPairs(judge), cases, len(data.rows) * repeats * pairs, Range())
    none, some = Range(0.0, 0.0), found.calls.high or 0.0
    sides = [
        none if not some else one.times(0.0, 1.0)
        for one in (found.calls, found.input_tokens, found.output_tokens, found.cost)
    ]
    source = f"{pairs} pairs of models in both positions" if some else found.source
    return Part(judge.name, sides[0], sides[1], sides[2], sides[3], Range(), source)


def longest(subject: Subject, rows: Sequence[Row], names: Collection[str] = ()) -> int | None:
    """How many tokens the longest case is at least, of one call to a component (of these names, or any), by the texts that are
    known before it runs; None where nothing is. A chain adds what it looks up, which is not counted.
    """
    run = cast("Any", subject.run)
    rows = sorted(rows, key=lambda row: len(_text(row.input)), reverse=True)[:_LONGEST]
    counts: list[int] = []
    if isinstance(run, Component):
        counts = [sum(count_tokens(said.text, run.model_name) for said in _rendered(run, row)) for row in rows]
    elif isinstance(run, Chain):
        chain = cast("Chain[..., Any]", run)
        session = session_of(chain.project)
        for made in _components(chain, session):
            counts += _of_component(made, rows, session)[2] if not names or made.name in names else []
    return math.floor(max(counts) * _COUNTED[0]) if counts else None


def _by_runs(name: str, earlier: Sequence[Result], runs: int, last: Artifact | None, session: Session) -> Part | None:
    """From what earlier runs took; None where they do not say."""
    tokens = _known(earlier, "input_tokens")
    if last is None or not tokens:
        return None
    traces = [session.spans.trace(run.trace) for run in earlier[:_TRACES] if run.trace]
    calls = [float(len(trace.of_kind("llm"))) for trace in traces if trace is not None]
    seconds = _known(earlier, "seconds")
    return Part(
        name, _range(calls, runs), _range(tokens, runs), _range(_known(earlier, "output_tokens"), runs),
        _range(_known(earlier, "cost"), runs), _range(seconds, runs), f"as {len(earlier)} runs of {last.ref} were",
    )  # fmt: skip


def _known(earlier: Sequence[Result], name: str) -> list[float]:
    values = [run.scores[name][0] for run in earlier if name in run.scores]
    return [float(value) for value in values if isinstance(value, int | float)]


def _range(values: Sequence[float], runs: int) -> Range:
    """The sum of `runs` more of what these are some of: a prediction interval, by Student's t."""
    if not values:
        return Range()
    n, mean = len(values), math.fsum(values) / len(values)
    if n < 2:
        return Range(mean * runs * 0.5, mean * runs * 2)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile(_LEVEL, n - 1) * spread * math.sqrt(runs + runs**2 / n)
    return Range(max(0.0, mean * runs - half), mean * runs + half)


def _by_texts(subject: Subject, rows: Sequence[Row], runs: int, session: Session) -> Part:
    """From the texts that a component would send, or the prompts of a chain's components with a row's input."""
    run, sample = cast("Any", subject.run), rows[:_SAMPLE]
    unknown = Part(
        subject.name, Range(), Range(), Range(), Range(), Range(),
        "not known: nothing says which models it calls; run it once on a few rows",
    )  # fmt: skip
    if isinstance(run, Component):
        counts = [sum(count_tokens(said.text, run.model_name) for said in _rendered(run, row)) for row in sample]
        found, project = [(run.model_name, run.parameters, counts)], run.project
    elif isinstance(run, Chain):
        chain = cast("Chain[..., Any]", run)
        found, project = [_of_component(made, sample, session) for made in _components(chain, session)], chain.project
    else:
        return unknown
    own = _own_prices(project)
    parts = [
        _priced(subject.name, model, own.get(model), counts, _answer_of(parameters), runs)
        for model, parameters, counts in found
    ]
    if not parts:
        return unknown
    return Part(
        subject.name, _sum([one.calls for one in parts]), _sum([one.input_tokens for one in parts]),
        _sum([one.output_tokens for one in parts]), _sum([one.cost for one in parts]), Range(),
        f"by the texts of {len(sample)} rows, each of {len(parts)} prompts sent once a row",
    )  # fmt: skip


def by_prompt(component: Component, rows: Sequence[Row]) -> Part:
    """One call of the component for each row, by the texts that it would send. Nothing is called."""
    ready = component.ready()
    counts = [sum(count_tokens(said.text, ready.model_name) for said in _rendered(component, row)) for row in rows]
    own, answer = ready.model.settings.prices, _answer_of(ready.parameters)
    found = _priced(component.name, ready.model_name, own, counts, answer, len(rows))
    return replace(found, source=f"by the texts of {len(rows)} rows")


def _own_prices(project: Project) -> dict[str, Mapping[str, Json]]:
    """The prices that afere.yaml gives, by model."""
    found: dict[str, Mapping[str, Json]] = {}
    for name in project.section("models"):
        try:
            model = resolve(name, project)
        except AfereError:  # who calls it will say so
            continue
        if model.settings.prices:
            found[f"{model.provider}:{model.name}"] = model.settings.prices
    return found


def _rendered(component: Component, row: Row) -> list[Any]:
    try:
        return list(component.render(**row.bind(component.inputs)))
    except AfereError:  # the run will say so, row by row
        return []


def _components(chain: Chain[..., Any], session: Session) -> list[Artifact]:
    used = [use for use in chain.revision().uses if use.ref.startswith("component:")]
    return [session.get(use.ref) for use in used]


def _of_component(made: Artifact, rows: Sequence[Row], session: Session) -> tuple[str, Mapping[str, Json], list[int]]:
    said = cast("dict[str, Any]", made.content)
    prompt = next(session.get(use.ref) for use in made.uses if use.role == "prompt")
    model = str(said["model"])
    fixed = count_tokens(str(cast("dict[str, Json]", prompt.content)["template"]), model)
    return model, said["parameters"], [fixed + count_tokens(_text(row.input), model) for row in rows]


def _text(value: Json | Mapping[str, Json]) -> str:
    if isinstance(value, Mapping):
        return "\n".join(map(_text, value.values()))
    return "\n".join(map(_text, value)) if isinstance(value, list) else "" if value is None else str(value)


def _answer_of(parameters: Mapping[str, Json]) -> Range:
    most = parameters.get("max_tokens")
    most = float(most) if isinstance(most, int | float) and not isinstance(most, bool) else float(_ANSWER[1])
    return Range(min(float(_ANSWER[0]), most), most)


def _priced(
    name: str, model: str, own: Mapping[str, Json] | None, counts: Sequence[int], answer: Range, runs: int,
    least: float = 1.0,
) -> Part:  # fmt: skip
    """One call for each run, at the model's price."""
    mean = math.fsum(counts) / max(1, len(counts))
    tokens = Range(mean * _COUNTED[0], mean * _COUNTED[1])
    ends = [
        price(model, Usage(round(read or 0), round(written or 0)), own)
        for read, written in ((tokens.low, answer.low), (tokens.high, answer.high))
    ]
    cost = Range(ends[0], ends[1]) if None not in ends else Range()
    each = (runs * least, float(runs))
    return Part(name, Range(*each), tokens.times(*each), answer.times(*each), cost.times(*each), Range(), "")


def _outputs(earlier: Sequence[Result], session: Session) -> dict[str, Json]:
    """What some rows were answered before."""
    found = {run.row: session.spans.trace(run.trace) for run in earlier[:_TRACES] if run.trace}
    return {row: trace.root.output for row, trace in found.items() if trace is not None}


def _judged(judge: Asking, cases: Sequence[Case], runs: int, pace: Range) -> Part:
    """What a judge asks: by its question about each case, with what was answered before or what is expected in the output's place."""
    counts: dict[str, list[int]] = {}
    own: dict[str, Mapping[str, Json] | None] = {}
    for case in cases:
        try:
            asked = judge.asks(case)
        except AfereError:  # the run will say so
            break
        for number, (model, request) in enumerate(asked):
            where = f"{number} {model.provider}:{model.name}"
            own[where] = model.settings.prices
            counts.setdefault(where, []).append(sum(count_tokens(said.text, model.name) for said in request.messages))
    parts = [
        _priced(judge.name, where.partition(" ")[2], own[where], counted, _VERDICT, runs, _least(judge, number))
        for number, (where, counted) in enumerate(counts.items())
    ]
    source = "by its questions" if parts else "asks nothing: it has no model, or no row has what it needs"
    calls = _sum([one.calls for one in parts])
    return Part(
        judge.name, calls, _sum([one.input_tokens for one in parts]), _sum([one.output_tokens for one in parts]),
        _sum([one.cost for one in parts]), pace.times(calls.low or 0.0, calls.high or 0.0), source,
    )  # fmt: skip


def _least(judge: Asking, number: int) -> float:
    """The share of cases on which its model of that place is asked at least."""
    return 0.0 if number and isinstance(judge, Cascade) else 1.0


def _sum(spans: Sequence[Range]) -> Range:
    total = _NONE
    for one in spans:
        total += one
    return total
