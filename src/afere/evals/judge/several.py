"""Several models as one judge: a panel that votes, and a cascade that asks the dear one only where the cheap one is unsure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from afere.base.canonical import Json
from afere.base.steps import Steps
from afere.evals.judge.asking import Verdict, asked, paid
from afere.evals.judge.single import Judge
from afere.evals.scorers.case import Case
from afere.evals.scorers.declare import Scored
from afere.models import Model, Request


@dataclass(frozen=True)
class Panel(Judge):
    """Every model judges; `take` the majority or the mean. `NAME.split` is the rate of cases on which they disagreed.

    A model that is named twice is asked twice: how far its verdicts on one answer differ is the judge's own noise.
    """

    models: tuple[str, ...] = ()
    take: Literal["majority", "mean"] = "majority"

    @property
    def content(self) -> dict[str, Json]:
        return {**self._said, "models": _names(self, self.models), "take": self.take}

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        return self._asks(case, self.models)

    def _of(self, case: Case) -> Steps[dict[str, Scored]]:
        verdicts: list[Verdict] = []
        for name in self.models:
            model = self._model(name)
            assert model is not None  # a name was given
            verdicts.append((yield from asked(self.name, model, self._question(case), case)))
        data: dict[str, Json] = {
            **paid(verdicts), "panel": [[name, one.word, one.why] for name, one in zip(self.models, verdicts, strict=True)]
        }  # fmt: skip
        broken = next((one for one in verdicts if one.world), None)
        if broken is not None:  # the others' verdicts are kept, and not paid again
            return {self.name: Scored(None, broken.why, True, data)}
        words = [one.word for one in verdicts if one.word is not None]
        values = [value for word in words if (value := self.value_of(word)) is not None and not isinstance(value, str)]
        data["verdicts"] = [float(value) for value in values]
        if len(words) * 2 <= len(self.models):
            return {
                self.name: Scored(
                    None, f"{len(words)} of {len(self.models)} judges gave a verdict: {verdicts[0].why}", data=data
                )
            }
        split = Scored(len(set(words)) > 1, ", ".join(f"{n} said {word}" for word, n in Counter(words).most_common()))
        return {self.name: self._taken(verdicts, words, data), f"{self.name}.split": split}

    def _taken(self, verdicts: list[Verdict], words: list[str], data: dict[str, Json]) -> Scored:
        if self.take == "mean":
            values = [self.value_of(word) for word in words]
            numbers = [float(value) for value in values if value is not None and not isinstance(value, str)]
            return Scored(sum(numbers) / len(numbers), f"mean of {len(numbers)} judges", data=data)
        (first, most), *others = Counter(words).most_common()
        if others and others[0][1] == most:
            return Scored(None, f"the panel is split: {most} said {first}, {most} said {others[0][0]}", data=data)
        why = next(one.why for one in verdicts if one.word == first)
        return Scored(self.value_of(first), f"{most} of {len(words)}: {why}", data=data)


@dataclass(frozen=True)
class Cascade(Judge):
    """The first model judges; where it is unsure, or gives no verdict, the next one does. `NAME.escalated` is how often."""

    models: tuple[str, ...] = ()

    @property
    def content(self) -> dict[str, Json]:
        return {**self._said, "models": _names(self, self.models)}

    def asks(self, case: Case) -> list[tuple[Model, Request]]:
        return self._asks(case, self.models)

    def _of(self, case: Case) -> Steps[dict[str, Scored]]:
        verdicts: list[Verdict] = []
        for i, name in enumerate(self.models):
            model, last = self._model(name), i == len(self.models) - 1
            assert model is not None  # a name was given
            verdict = yield from asked(self.name, model, self._question(case, sure=not last), case)
            verdicts.append(verdict)
            if last or (verdict.sure and verdict.word is not None) or verdict.world:
                break
        final = verdicts[-1]
        data: dict[str, Json] = {**paid(verdicts), "model": self.models[len(verdicts) - 1]}
        value = None if final.word is None else self.value_of(final.word)
        found = {self.name: Scored(value, final.why, final.world, data)}
        if final.word is not None:
            asked_ = f"decided by {self.models[len(verdicts) - 1]}"
            found[f"{self.name}.escalated"] = Scored(len(verdicts) > 1, asked_)
        return found


def _names(judge: Judge, models: tuple[str, ...]) -> list[Json]:
    resolved = [judge._model(name) for name in models]  # pyright: ignore[reportPrivateUsage] - its own kind
    return [f"{model.provider}:{model.name}" if model else None for model in resolved]
