"""Experiments: the list, and one with its table, the answers of its rules, and its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, BadReference, NotFound
from afere.base.project import find_project
from afere.base.rule import BUILTIN, parse_rule
from afere.evals import Experiment
from afere.evals.labelling.agreeing import Agreed, agreements
from afere.evals.labelling.labels import Labels
from afere.evals.pooled import Confusion
from afere.evals.results import confusions
from afere.evals.select import in_order
from afere.evals.spread import ABOUT_JUDGING
from afere.server import figures, words
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.cases import SHOWN_MEASURES, Case, Sides, cases_of, measure_names, sides

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_PAGE = 50
_DECISIONS = 500
SHOWS = ("all", "failed", "flaky", "changed", "worse", "no verdict")


@dataclass(frozen=True, slots=True)
class Line:
    """A measure with its interval, what changed, and the ruling on it. Numbers are those of the experiment's artifact."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    why: str
    kind: str
    better: str
    calibrated: bool
    difference: Mapping[str, Any] | None
    figure: figures.Interval | None
    before: float | None = None
    about: bool = False  # `before` is over other cases than `value`, so it is near, not exact
    spread: figures.Spread | None = None  # how the values of single runs lie


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule with its answer and the picture of the interval that gave it."""

    ruling: Mapping[str, Any]
    figure: figures.Interval | None
    value: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Listed:
    artifact: Artifact
    answer: str
    lines: tuple[Line, ...]

    @property
    def content(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.artifact.content)

    def to_json(self) -> Json:
        return {**cast("dict[str, Json]", self.artifact.to_json()), "answer": self.answer or None}


@dataclass(frozen=True, slots=True)
class ExperimentsPage:
    items: tuple[Listed, ...]
    next: str | None


def list_page(session: Session, asked: Asked) -> ExperimentsPage:
    """All experiments, newest first, with the answer of the newest decision on each."""
    found = session.find("artifacts", kind="experiment", limit=asked.limit, cursor=asked.cursor)
    answers = _answers(session)
    items = tuple(
        Listed(one, answers.get(one.ref, ""), _shown(_lines(cast("Mapping[str, Any]", one.content)["measures"], ())))
        for one in found.items
    )
    return ExperimentsPage(items, found.next)


def _shown(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The first measures of scorers and judges, without those of how a judge came to its verdict."""
    own = (one for one in lines if one.name.partition(".")[0] not in BUILTIN and not one.name.endswith(ABOUT_JUDGING))
    return tuple(own)[:SHOWN_MEASURES]


def _answers(session: Session) -> dict[str, str]:
    """The newest decision's answer by what it is about."""
    newest: dict[str, str] = {}
    for decision in session.find("artifacts", kind="decision", limit=_DECISIONS).items:
        content = cast("Mapping[str, Any]", decision.content)
        newest.setdefault(str(content.get("subject")), str(content.get("answer")))
    return newest


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    experiment: Experiment
    lines: tuple[Line, ...]
    decision: Artifact | None
    ruled: tuple[Ruled, ...]
    slices: tuple[tuple[str, tuple[Line, ...]], ...]
    measures: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    show: str
    offset: int
    total: int
    cases: tuple[Sides, ...]
    compared: str | None
    uses: tuple[tuple[str, str], ...]
    agreed: tuple[Agreed, ...]  # people with each other, and judges with people
    can_be_labelled: bool
    confusions: tuple[tuple[str, Confusion], ...]

    @property
    def content(self) -> Mapping[str, Any]:
        return self.experiment.content

    @property
    def answer(self) -> str:
        """pass, fail, open; nothing where no rule was asked."""
        return str(cast("Mapping[str, Any]", self.decision.content)["answer"]) if self.decision else ""

    @property
    def next(self) -> str | None:
        return str(self.offset + _PAGE) if self.offset + _PAGE < self.total else None

    @property
    def verdict(self) -> str:
        """What is known, in a sentence or two."""
        content = self.content
        parts = [_gate_sentence([one.ruling for one in self.ruled])] if self.ruled else []
        parts += [sentence for line in self.lines if (sentence := _moved_sentence(line, content))][:2]
        if not parts and self.lines:
            first = self.lines[0]
            parts.append(f"{first.name} is {words.measured(first.value, first.name)}{_span(first)}.")
        if content["unfinished"]:
            parts.append(
                f"It is not complete: {words.many(content['unfinished'], 'run')} of {content['runs']} are unfinished."
            )
        if content.get("unfit"):
            parts.append(f"{words.many(content['unfit'], 'run')} did not begin: {content['unfit_why']}")
        if content.get("unusable"):
            parts.append(
                f"{words.many(content['unusable'], 'more row')} cannot be used and were left out: {content['unusable_why']}"
            )
        if content["errors"]:
            parts.append(f"{words.many(content['errors'], 'run')} failed in the code that was evaluated.")
        return " ".join(parts)

    def to_json(self) -> Json:
        return {
            **self.experiment.to_json(), "decision": self.decision.to_json() if self.decision else None,
            "items": [one.case.to_json() for one in self.cases], "next": self.next,
            "counts": as_json(dict(self.counts)), "agreement": [one.to_json() for one in self.agreed],
        }  # fmt: skip


def _gate_sentence(rulings: Sequence[Mapping[str, Any]]) -> str:
    numbers = {answer: sum(one["answer"] == answer for one in rulings) for answer in ("pass", "fail", "open")}
    if numbers["fail"]:
        first = next(one for one in rulings if one["answer"] == "fail")
        return f"{numbers['fail']} of {words.many(len(rulings), 'rule')} failed: {first['rule']} ({first['why']})."
    if numbers["open"]:
        first = next(one for one in rulings if one["answer"] == "open")
        return f"{numbers['open']} of {words.many(len(rulings), 'rule')} not settled: {first['rule']} ({first['why']})."
    return (
        f"All {words.many(len(rulings), 'rule')} hold." if len(rulings) > 1 else f"The rule {rulings[0]['rule']} holds."
    )


def _moved_sentence(line: Line, content: Mapping[str, Any]) -> str:
    change = line.difference
    if (
        not change
        or change["low"] is None
        or change["low"] <= 0 <= change["high"]
        or line.name.partition(".")[0] in ("seconds", "cost")
        or line.name.endswith(ABOUT_JUDGING)
    ):
        return ""
    better = (change["value"] > 0) == (line.better == "higher")
    return (
        f"{line.name} is {'better' if better else 'worse'} than {change['against']}: {words.signed(change['value'])} "
        f"({words.signed(change['low'])} to {words.signed(change['high'])}, 90% interval)."
    )


def _spread(experiment: Experiment, lines: Sequence[Line]) -> tuple[Line, ...]:
    """Measures that are no rates, with how the values of single runs lie."""
    found: list[Line] = []
    for line in lines:
        values = [run.scores[line.name][0] for run in experiment.rows if line.name in run.scores]
        numbers = [float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
        spread = (
            figures.spread(numbers, lambda one, name=line.name: words.measured(one, name))
            if line.kind == "mean"
            else None
        )
        found.append(replace(line, spread=spread))
    return tuple(found)


def _span(line: Line) -> str:
    if line.low is None or line.high is None:
        return ", on too few cases for an interval"
    return f" ({words.number(line.low)} to {words.number(line.high)}, 90% interval)"


def open_experiment(session: Session, number: object) -> Experiment:
    """An experiment by its number."""
    if not str(number).isdecimal():
        raise BadReference(f"{number!r} is not the number of an experiment. See them with: afere show experiment:1")
    artifact = session.get(f"experiment:{number}", kind="experiment")
    return Experiment(artifact, session, find_project(session.folder))


def page(session: Session, asked: Asked) -> ExperimentPage:
    """One experiment. `?show=` chooses cases, `?cursor=` the first of them, `?sort=order` keeps that of the dataset."""
    experiment = open_experiment(session, asked.path["number"])
    content, show = experiment.content, asked.get("show") or "all"
    if show not in SHOWS:
        raise BadInput(f"show={show!r}: one of {', '.join(SHOWS)}.")
    compared = content.get("compared")
    before = _before(session, compared) if isinstance(compared, str) else None
    decision = _decision(session, experiment.ref)
    rulings = cast("list[Mapping[str, Any]]", cast("Mapping[str, Any]", decision.content)["rules"]) if decision else []
    cases = cases_of(experiment, before)
    chosen = [case for case in cases if _fits(case, show)]
    if asked.get("sort") != "order":
        chosen.sort(key=lambda case: (case.moved if show in ("changed", "worse") else 0, not case.error, case.worst))
    offset = asked.number("cursor", 0, most=len(chosen))
    slices = in_order(cast("Mapping[str, list[Any]]", content.get("slices") or {}))
    labels = Labels(experiment)
    agreed = tuple(agreements(labels))
    return ExperimentPage(
        experiment, _spread(experiment, _lines(experiment.measures, rulings, before)), decision, tuple(_ruled(one, experiment.results.lower) for one in rulings),
        tuple((name, _shown([_line(one, ()) for one in below])) for name, below in slices.items()),
        measure_names(experiment)[:SHOWN_MEASURES], tuple((name, sum(_fits(case, name) for case in cases)) for name in SHOWS), show,
        offset, len(chosen), sides(session, experiment, chosen[offset : offset + _PAGE], before),
        compared if isinstance(compared, str) else None, tuple((use.role, use.ref) for use in experiment.artifact.uses),
        agreed, bool(labels.sheets), tuple(confusions(experiment.results)),
    )  # fmt: skip


def _before(session: Session, compared: str) -> Experiment | None:
    """What it was compared with, if that is an experiment that is still kept (a baseline file is not)."""
    number = compared.removeprefix("experiment:")
    try:
        return open_experiment(session, number) if compared.startswith("experiment:") else None
    except NotFound:
        return None


def _decision(session: Session, ref: str) -> Artifact | None:
    """The newest decision about it."""
    refs = [edge.source for edge in session.down(ref) if edge.depth == 1 and edge.role == "subject"]
    numbers = [int(one.removeprefix("decision:")) for one in refs if one.startswith("decision:")]
    return session.get(f"decision:{max(numbers)}") if numbers else None


def _fits(case: Case, show: str) -> bool:
    match show:
        case "failed":
            return case.state in ("failed", "always wrong", "wrong")
        case "flaky" | "no verdict":
            return case.state == show
        case "changed":
            return case.moved != 0
        case "worse":
            return case.moved < 0
        case _:
            return True


def _lines(
    measures: Sequence[Mapping[str, Any]], rulings: Sequence[Mapping[str, Any]], before: Experiment | None = None
) -> tuple[Line, ...]:
    """The table, with what the measures were before."""
    earlier = {one["name"]: one["value"] for one in before.measures} if before else {}
    return tuple(_since(_line(one, rulings), earlier.get(one["name"])) for one in measures)


def _since(line: Line, own: float | None) -> Line:
    """With its value before: over the same cases it is the value less the difference, and fits what is shown.

    Where cases came or went, it is the earlier experiment's `own`. A baseline file is not read for it: it may have
    been accepted anew since, and then its values are not those of this comparison.
    """
    change = line.difference
    if line.value is None or not change or change["value"] is None:
        return replace(line, before=own)
    same = change["n"] == line.n
    if not same and own is not None:
        return replace(line, before=own)
    before = round(line.value - change["value"], 12)
    if not same and line.kind in ("rate", "share"):
        before = min(max(before, 0.0), 1.0)
    return replace(line, before=before, about=not same)


def _line(said: Mapping[str, Any], rulings: Sequence[Mapping[str, Any]]) -> Line:
    """A measure as the artifact keeps it, coloured by the thresholds on its mean over all cases."""
    parsed = [(one, parse_rule(one["rule"])) for one in rulings]
    own = [
        (one, rule)
        for one, rule in parsed
        if rule.against is None
        and not rule.where
        and rule.measure.name == said["name"]
        and rule.measure.statistic in (None, "mean")
    ]
    answers = {one["answer"] for one, _ in own}
    answer = next((each for each in ("fail", "open", "pass") if each in answers), "")
    limit = next((rule.amount for _, rule in own), None)
    figure = None
    if said["value"] is not None and said["low"] is not None:
        figure = figures.interval(said["value"], said["low"], said["high"], answer=answer, limit=limit)
    return Line(
        said["name"], said["value"], said["low"], said["high"], said["n"], said["missing"], said["why"], said["kind"],
        said["better"], said["calibrated"], said["difference"], figure,
    )  # fmt: skip


def _ruled(ruling: Mapping[str, Any], lower: frozenset[str]) -> Ruled:
    """A rule's picture: the limit (or no difference) dotted, and shaded where the rule holds."""
    rule = parse_rule(ruling["rule"])
    say = words.measured if rule.against is None else words.changed
    value, low, high = (say(ruling[end], rule.measure.name) for end in ("value", "low", "high"))
    if ruling["value"] is None:
        return Ruled(ruling, None, value, low, high)
    limit, holds = rule.amount, None
    if rule.against is None:
        holds = ("above" if rule.op in (">=", ">") else "below", rule.amount) if rule.amount is not None else None
    else:
        limit, margin = 0.0, rule.amount or 0.0
        room = margin if rule.op == "better than" else -margin
        holds = ("below", -room) if rule.measure.words[0] in lower else ("above", room)
    figure = figures.interval(
        ruling["value"], ruling["low"], ruling["high"], answer=ruling["answer"], limit=limit, holds=holds
    )
    return Ruled(ruling, figure, value, low, high)
