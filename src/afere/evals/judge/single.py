"""Judge: a model that holds an output against a rubric and gives a typed verdict with its reason.

A judge is a versioned artifact (rubric, scale, model). Until people have scored the same items its numbers are
"uncalibrated", and every table says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from afere.base.artifact import check_name
from afere.base.canonical import Json
from afere.base.errors import BadInput, ModelFailed
from afere.base.project import Project, find_project
from afere.base.score import Value
from afere.base.steps import Steps, drive
from afere.data.place import calling_project
from afere.evals.judge.asking import SYSTEM, Question, Verdict, asked
from afere.evals.scorers.case import Case
from afere.evals.scorers.declare import Better, Scored, Within, averaged
from afere.models import Model, Request, resolve

NO_MODEL = "no judge model: set models.judge in afere.yaml"
SEES = ("input", "output", "expected", "context")
NOTHING = "(nothing was retrieved)"


@dataclass(frozen=True)
class Judge:
    """What scores by asking a model. `scale` goes from worst to best.

    Two words give a bool (the better one is True), numbers a number, other words a share for each, or the number that
    `points` gives them. `sees` names what it is shown (default: all that there is); with `expected` it needs one.
    """

    name: str
    rubric: str
    model: str | None = None
    scale: tuple[str, ...] = ("fail", "pass")
    of: str | None = None
    project: Project | None = None
    kind: Literal["scorer", "judge"] = "judge"
    better: Better = "higher"
    points: tuple[float, ...] = ()
    sees: tuple[str, ...] = ()

    def configured(self, options: Mapping[str, Json]) -> Judge:
        """The same judge with another name, model, scale or component."""
        from afere.evals.judge.entries import judge_entry

        own: dict[str, Json] = {
            "rubric": self.rubric, "name": self.name, "scale": list(self.scale), "sees": list(self.sees),
            "points": list(self.points), "model": self.model, "of": self.of,
        }  # fmt: skip
        return judge_entry({key: value for key, value in {**own, **options}.items() if value not in (None, [])})

    @property
    def within(self) -> Within | None:
        """The worst and the best of its scale, where these are numbers."""
        values = [float(value) for word in self.scale if not isinstance(value := self.value_of(word), str | None)]
        return (min(values), max(values)) if len(values) == len(self.scale) else None

    @property
    def content(self) -> dict[str, Json]:
        return {**self._said, "model": self.model_name}

    @property
    def _said(self) -> dict[str, Json]:
        """What makes it this version, but for who is asked."""
        return {
            "rubric": self.rubric, "scale": list(self.scale), "points": list(self.points), "of": self.of,
            "sees": list(self.sees), "system": SYSTEM,
        }  # fmt: skip

    @property
    def model_name(self) -> str | None:
        """The model it asks, as `provider:name`; None if none is set."""
        model = self._model(self.model)
        return f"{model.provider}:{model.name}" if model else None

    def _model(self, name: str | None) -> Model | None:
        if name in self._models:
            return self._models[name]
        project = self.project or find_project()
        if name is None and "judge" not in project.section("models"):
            return None
        model = resolve(name or "judge", project)
        if self.project is not None:  # what it says does not change under us
            self._models[name] = model
        return model

    @cached_property
    def _models(self) -> dict[str | None, Model]:
        """Those that were looked up."""
        return {}

    def score(self, case: Case) -> dict[str, Scored]:
        return drive(self.steps(case))

    def steps(self, case: Case) -> Steps[dict[str, Scored]]:
        """Like `score`, for `base.steps.drive` or `adrive`. A component that ran several times is judged each time."""
        cases = [case] if self.of is None else case.of(self.of)
        if not cases:
            return {self.name: Scored(None, f"{self.of} did not run in this trace")}
        found: list[dict[str, Scored]] = []
        for one in cases:
            if "expected" in self.sees and one.row.expected is None:
                found.append({self.name: Scored(None, "the row has no expected")})
                continue
            try:
                found.append((yield from self._of(one)))
            except ModelFailed as problem:  # the model's name, or its settings
                found.append({self.name: Scored(None, str(problem), world=True)})
        return averaged(found, self.of)

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        """What it would ask about a case, and whom; of a cascade, all that it may ask."""
        return self._asks(case, (self.model,))

    def _asks(self, case: Case, names: Sequence[str | None]) -> list[tuple[Model, Request]]:
        if "expected" in self.sees and case.row.expected is None:
            return []
        models = [model for name in names if (model := self._model(name)) is not None]
        return [(model, self._question(case).request) for model in models]

    def _of(self, case: Case) -> Steps[dict[str, Scored]]:
        """The verdict on one case. Panels and cascades ask otherwise."""
        model = self._model(self.model)
        if model is None:
            return {self.name: Scored(None, NO_MODEL)}
        verdict = yield from asked(self.name, model, self._question(case), case)
        return {self.name: self._scored(verdict)}

    def _scored(self, verdict: Verdict) -> Scored:
        value = None if verdict.word is None else self.value_of(verdict.word)
        return Scored(value, verdict.why, verdict.world, verdict.data)

    def value_of(self, verdict: str) -> Value:
        """A word of the scale as the value it is counted by."""
        if self.points:
            return self.points[self.scale.index(verdict)]
        if len(self.scale) == 2:
            return verdict == self.scale[1]
        try:
            numbers = [float(word) for word in self.scale]
        except ValueError:
            return verdict
        return numbers[self.scale.index(verdict)]

    def _question(self, case: Case, *, sure: bool = False) -> Question:
        shown = {part: _part(case, part) for part in self.sees or SEES}
        if "context" in self.sees and not case.context:
            shown["context"] = NOTHING
        known = {part: value for part, value in shown.items() if value not in (None, []) or part in ("input", "output")}
        return Question(self.rubric, known, self.scale, sure=sure)


def _part(case: Case, part: str) -> Json:
    if part == "expected":
        return case.row.expected
    return case.context if part == "context" else case.input if part == "input" else case.output


def judge(rubric: str | Path, *, name: str, model: str | None = None, scale: Sequence[str] = ("fail", "pass")) -> Judge:
    """A judge from a rubric: text, or a file of the project (`evals/polite.md`). `scale` goes from worst to best.

    Without `model` it asks `models.judge` of afere.yaml; without that, its scores are None and say so.
    """
    project = calling_project()
    return Judge(
        check_name(name, "judge"), rubric_of(rubric, name, project), model, scale_of(scale, name), None, project
    )


def scale_of(scale: Sequence[object], name: str) -> tuple[str, ...]:
    """The words of a scale; BadInput unless there are two different ones."""
    words = tuple(str(word) for word in scale)
    if len(words) < 2 or len(set(words)) != len(words):
        raise BadInput(
            f"judge {name!r}: a scale has at least two different words, from worst to best, not {list(scale)!r}."
        )
    return words


def rubric_of(rubric: str | Path, name: str, project: Project) -> str:
    """The text of a rubric, read from a file of the project where it names one."""
    looks_like_file = isinstance(rubric, Path) or ("\n" not in rubric and rubric.endswith((".md", ".txt")))
    text = str(rubric)
    if looks_like_file:
        try:
            text = project.path(rubric).read_text(encoding="utf-8")
        except OSError as problem:
            raise BadInput(f"judge {name!r}: the rubric {rubric} cannot be read: {problem.strerror}.") from None
        except UnicodeDecodeError:
            raise BadInput(f"judge {name!r}: the rubric {rubric} is not UTF-8. Save it as UTF-8.") from None
    if not text.strip():
        raise BadInput(f"judge {name!r}: the rubric is empty. Say what a good output is.")
    return text.strip()
