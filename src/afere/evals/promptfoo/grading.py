"""A whole test held against its output: its assertions with their weights, and the scorers that tell of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, WorldFailed
from afere.data import Row
from afere.evals.promptfoo.assertions import (
    ASKED,
    COMPARED,
    EUCLIDEAN,
    PROGRAMS,
    SETS,
    SIMILAR,
    WEBHOOK,
    Reading,
    kind_of,
    label_of,
)
from afere.evals.promptfoo.checks import CHECKS, Seen
from afere.evals.promptfoo.conversed import CONVERSED, Conversing, conversing
from afere.evals.promptfoo.graded import GRADED, Grading, similar
from afere.evals.promptfoo.grounded import Grounding
from afere.evals.promptfoo.held import Held, held, unknown
from afere.evals.promptfoo.http import ask_webhook
from afere.evals.promptfoo.nunjucks import render_all, resolved
from afere.evals.promptfoo.programs import ProgramFailed
from afere.evals.promptfoo.prompts import Prompt
from afere.evals.promptfoo.providers import Provider
from afere.evals.promptfoo.transforms import transform_of
from afere.evals.scorers import Case, Judging, Scored
from afere.evals.scorers.declare import Better, Within
from afere.evals.scorers.text import as_text
from afere.models import Model, Request

NOTHING_RAN = "the test has no assertion that runs"


@dataclass(frozen=True)
class Test:
    """What a test came to: all together, and each assertion with its label and weight. `scores` are those of the
    assertions by type, without sets and what is in them, as promptfoo compares; None where it is not known."""

    whole: Held
    parts: tuple[tuple[str, float, Held], ...]
    scores: tuple[tuple[str, float | None], ...] = ()


@dataclass
class Tests:
    """Holds the outputs of one prompt with one provider against the tests. Each case once, whoever asks for it."""

    reading: Reading
    prompt: Prompt
    provider: Provider
    _made: dict[tuple[str, int], Test] = field(default_factory=dict[tuple[str, int], Test])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _busy: dict[tuple[str, int], threading.Lock] = field(default_factory=dict[tuple[str, int], threading.Lock])

    def of(self, case: Case) -> Test:
        key = (case.row.id, case.repeat)
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            if key not in self._made:
                self._made[key] = self._test(case)
            return self._made[key]

    def _test(self, case: Case) -> Test:
        asserts = asserts_of(case.row)
        limit = case.row.metadata.get("threshold")
        try:
            case = self._transformed(case, case.row.metadata.get("transform"))
        except (ProgramFailed, AfereError) as problem:
            lost = unknown(f"the transform: {problem}", world=isinstance(problem, WorldFailed))
            return Test(lost, tuple((label, weight, lost) for label, weight in self._labels(asserts)))
        parts: list[tuple[str, float, Held]] = []
        found = [(_weight(one), self._held(one, case, parts)) for one in asserts]
        scores = [
            (str(one["type"]), None if each.passed is None else each.score)
            for one, (_, each) in zip(asserts, found, strict=True)
            if kind_of(one) != SETS
        ]
        return Test(together(found, _number(limit)), tuple(parts), tuple(scores))

    def _labels(self, asserts: Sequence[Mapping[str, Json]]) -> list[tuple[str, float]]:
        return [(label_of(one), _weight(one)) for one in flat(asserts)]

    def _held(self, one: Mapping[str, Json], case: Case, parts: list[tuple[str, float, Held]]) -> Held:
        """One assertion; it is noted among the parts, of a set also each of its own."""
        if kind_of(one) == SETS:
            inner = cast("list[dict[str, Json]]", one["assert"])
            found = together(
                [(_weight(each), self._held(each, case, parts)) for each in inner], _number(one.get("threshold"))
            )
            if one.get("metric"):
                parts.append((label_of(one), _weight(one), found))
            return found
        try:
            found = self._one(one, self._transformed(case, one.get("transform")))
        except ProgramFailed as problem:
            found = unknown(str(problem))
        except AfereError as problem:
            found = unknown(str(problem), world=isinstance(problem, WorldFailed))
        found = found.negated() if str(one["type"]).startswith("not-") else found
        if found.passed is False and not found.why:
            said = as_text(one.get("value")) if one.get("value") is not None else ""
            found = Held(
                False, found.score, f"{one['type']} {said[:80]} does not hold".replace("  ", " "), cost=found.cost
            )
        parts.append((label_of(one), _weight(one), found))
        return found

    def _one(self, one: Mapping[str, Json], case: Case) -> Held:
        kind, limit = kind_of(one), _number(one.get("threshold"))
        value, code = one.get("value"), one.get("code")
        if kind in PROGRAMS:
            return self._program(one, case, limit)
        if isinstance(code, str):
            value = self.reading.at.programs.call(self.reading.codes[code], case.output, self._context(one, case))
        value = render_all(value, resolved(case.row.input)) if not isinstance(value, dict) else value
        if kind in GRADED:
            if kind.endswith("factuality"):
                case = replace(case, row=replace(case.row, expected=value))
            return Grading(kind, value, limit, self.reading.graders[str(one["grader"])], self.reading.at.project).of(
                case
            )
        if kind in ASKED:
            return self._asker(one, value, case).of(case)
        if kind in SIMILAR:
            far = kind == EUCLIDEAN
            return similar(value, limit, case.output, str(one["embedder"]), self.reading.at.project, far=far)
        if kind == WEBHOOK:
            context: Json = {"prompt": self._filled(case), "vars": dict(resolved(case.row.input))}
            return verdict_of(ask_webhook(as_text(value), {"output": case.output, "context": context}), limit)
        return CHECKS[kind](value, limit, Seen(case.output, case.trace, self.provider.tools))

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        """What models would be asked about a case."""
        return [
            pair for one in flat(asserts_of(case.row)) if kind_of(one) in (*GRADED, *ASKED)
            for pair in self._asker(one, render_all(one.get("value"), resolved(case.row.input)), case).asks(case)
        ]  # fmt: skip

    def _asker(self, one: Mapping[str, Json], value: Json, case: Case) -> Grading | Grounding | Conversing:
        if kind_of(one) == CONVERSED:
            model = self.reading.graders[str(one["grader"])].model(self.reading.at.project)
            return conversing(one, case.row.input, self._filled(case), case, model)
        return self._graded(one, value) if kind_of(one) in GRADED else self._grounded(one, value, case)

    def _grounded(self, one: Mapping[str, Json], value: Json, case: Case) -> Grounding:
        values, at = resolved(case.row.input), self.reading.at
        context, query = values.get("context"), values.get("query")
        if kind_of(one) == "context-recall" and context is None:
            context = self._filled(case)
        if (said := one.get("contextTransform")) is not None:
            apply = transform_of(said, at.folder, at.programs, "contextTransform", "output", "context")
            context = apply(
                case.output,
                as_text(case.output),
                {"vars": dict(case.row.input), "prompt": {"label": self.prompt.label}},
            )
        if query is None and kind_of(one) == "answer-relevance":
            query = self._filled(case)
        model = self.reading.graders[str(one["grader"])].model(at.project)
        embed, question = str(one.get("embedder") or "local"), "" if query is None else as_text(query)
        return Grounding(
            kind_of(one), value, _number(one.get("threshold")), context, question, model, embed, at.project
        )

    def _graded(self, one: Mapping[str, Json], value: Json) -> Grading:
        limit, grader = _number(one.get("threshold")), self.reading.graders[str(one["grader"])]
        return Grading(kind_of(one), value, limit, grader, self.reading.at.project)

    def _program(self, one: Mapping[str, Json], case: Case, limit: float | None) -> Held:
        code, said = self.reading.codes[str(one["code"])], case.output
        if code.file is None:
            filled = render_all(code.text, resolved(case.row.input))
            code = type(code)(code.language, cast("str", filled), None, code.names)
        return verdict_of(self.reading.at.programs.call(code, said, self._context(one, case)), limit)

    def _context(self, one: Mapping[str, Json], case: Case) -> Json:
        """What promptfoo hands to an assertion's function beside the output."""
        values = resolved(case.row.input)
        test: dict[str, Json] = {"vars": dict(values), "description": case.row.metadata.get("description")}
        return {
            "vars": dict(values), "prompt": self._filled(case), "test": test,
            "config": one.get("config") or {}, "provider": {"id": self.provider.label}, "providerResponse": {"output": case.output},
        }  # fmt: skip

    def _filled(self, case: Case) -> str:
        return self.prompt.filled(case.row.input, self.reading.at.programs)

    def _transformed(self, case: Case, said: Json) -> Case:
        if said is None:
            return case
        at = self.reading.at
        apply = transform_of(said, at.folder, at.programs, "transform", "output", "context")
        context: Json = {"vars": dict(case.row.input), "prompt": {"label": self.prompt.label}}
        return replace(case, output=apply(case.output, as_text(case.output), context))

    @cached_property
    def content(self) -> Json:
        """What makes these verdicts this version, beside the rows, which hold the assertions."""
        codes: dict[str, Json] = {
            said: code.content for said, code in self.reading.codes.items() if code.file is not None
        }
        graders: dict[str, Json] = {name: one.content for name, one in self.reading.graders.items()}
        return {"programs": codes, "graders": graders}


def asserts_of(row: Row) -> list[dict[str, Json]]:
    """The assertions of a test about one answer; those that compare answers are apart."""
    every = cast("list[dict[str, Json]]", row.metadata.get("assert") or [])
    return [one for one in every if kind_of(one) not in COMPARED]


def flat(asserts: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Assertions, with those of sets in the sets' place; a set with a metric counts too."""
    found: list[Mapping[str, Json]] = []
    for one in asserts:
        inner = flat(cast("list[dict[str, Json]]", one["assert"])) if kind_of(one) == SETS else []
        found += [*inner, one] if inner and one.get("metric") else inner or [one]
    return found


def together(found: Sequence[tuple[float, Held]], limit: float | None) -> Held:
    """Several assertions as one. Without a limit every one must hold; with one, the weighted mean of their scores must
    reach it. Weight 0 is only measured. One that is not known leaves the whole unknown, unless the others decide it."""
    counted = [(weight, one) for weight, one in found if weight > 0]
    total = math.fsum(weight for weight, _ in counted)
    costs = [one.cost for _, one in found if one.cost is not None]
    cost = math.fsum(costs) if costs else None
    why = "; ".join(one.why for _, one in counted if one.passed is False)
    lost = [one for _, one in counted if one.passed is None]
    low = math.fsum(weight * one.score for weight, one in counted if one.passed is not None) / total if total else 0.0
    high = low + (math.fsum(weight for weight, one in counted if one.passed is None) / total if total else 0.0)
    if limit is not None:
        passed = True if low >= limit else None if high >= limit else False
    else:
        passed = False if any(one.passed is False for _, one in counted) else None if lost else True
    if passed is None:
        return Held(None, low, lost[0].why, any(one.world for one in lost), cost)
    return Held(
        passed, low, why or (f"score {low:.2f}, at least {limit:g} is asked for" if not passed else ""), cost=cost
    )


def verdict_of(found: Json, limit: float | None) -> Held:
    """What a function of the owner answered: a bool, a number, or `{pass, score, reason}`; else no verdict."""
    if isinstance(found, str) and found.lower() in ("true", "false"):
        found = found.lower() == "true"
    if isinstance(found, bool):
        return held(found)
    if isinstance(found, int | float):
        return held(found > 0 if limit is None else found >= limit, float(found), f"score {found:g}")
    if isinstance(found, dict):
        passed = found.get("pass", found.get("pass_"))
        score = found.get("score", float(passed) if isinstance(passed, bool) else None)
        if isinstance(passed, bool) and isinstance(score, int | float):
            enough = limit is None or score >= limit
            return held(passed and enough, float(score), str(found.get("reason") or ""))
    return unknown(f"the answer was {as_text(found)[:80]!r}; it must be a bool, a number or {{pass, score, reason}}")


def _weight(one: Mapping[str, Json]) -> float:
    return float(cast("float", one.get("weight", 1)))


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class PromptfooScorer:
    """`passed`, the verdict of a whole test; or, with a label, the weighted mean score of the test's assertions of that label."""

    tests: Tests
    label: str | None
    kind: Literal["scorer", "judge"]
    waits: bool = True  # programs and models may be asked
    better: Better = "higher"

    @property
    def name(self) -> str:
        return self.label or "passed"

    @property
    def within(self) -> Within | None:
        """Whether a test passed is a rate; a program may answer any number as a score."""
        return (0.0, 1.0) if self.label is None else None

    @property
    def content(self) -> dict[str, Json]:
        return {"promptfoo": self.name, "with": self.tests.content}

    def score(self, case: Case) -> dict[str, Scored]:
        made = self.tests.of(case)
        lost = cast("list[str]", case.row.metadata.get("skipped") or [])
        if self.label is None:
            return {self.name: self._passed(made, lost)}
        mine = [(weight, one) for label, weight, one in made.parts if label == self.label]
        if not mine:
            return {self.name: Scored(None, "the test has no such assertion")}
        if unknowns := [one for _, one in mine if one.passed is None]:
            return {self.name: Scored(None, unknowns[0].why, unknowns[0].world)}
        weights = [weight for weight, _ in mine] if any(weight for weight, _ in mine) else [1.0] * len(mine)
        share = math.fsum(w * one.score for w, (_, one) in zip(weights, mine, strict=True)) / math.fsum(weights)
        return {self.name: Scored(share, "; ".join(one.why for _, one in mine if not one.passed))}

    def _passed(self, made: Test, lost: list[str]) -> Scored:
        """None where nothing of the test is run; where some is skipped, the reason says so."""
        missing = f"{len(lost)} of {len(made.parts) + len(lost)} assertions skipped: {', '.join(lost)}" if lost else ""
        if not made.parts:
            return Scored(None, f"{missing}: {NOTHING_RAN}" if missing else NOTHING_RAN)
        whole = made.whole
        data: dict[str, Json] = {} if whole.cost is None else {"cost": whole.cost}
        return Scored(whole.passed, "; ".join(one for one in (whole.why, missing) if one), whole.world, data)


class PromptfooVerdict(PromptfooScorer):
    """`passed` of tests that models grade: what they would be asked is known before."""

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        return self.tests.asks(case)


def scorers_of(tests: Tests, asserts: Sequence[Sequence[Mapping[str, Json]]]) -> tuple[Judging, ...]:
    """`passed`, and a scorer for each metric or type that stands in the tests. Where a model grades, they are judges."""
    parts = [one for several in asserts for one in flat(several)]
    judged = {label_of(one) for one in parts if kind_of(one) in (*GRADED, *ASKED)}
    labels = dict.fromkeys(label_of(one) for one in parts)
    first = PromptfooVerdict(tests, None, "judge") if judged else PromptfooScorer(tests, None, "scorer")
    return (first, *(PromptfooScorer(tests, one, "judge" if one in judged else "scorer") for one in labels))
