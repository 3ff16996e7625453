"""Labels: what people say of the outputs of an experiment, where they are kept, and what is still to be said.

A label is a score by a person on what a run's scorers scored: its trace, or its row where nothing ran. So labels made on
the page, in a file or by `afere score` are the same, audited, and a judge's verdict on the same target stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from afere.base.canonical import Json, digest
from afere.base.errors import BadInput, NotFound
from afere.base.score import Score, Value
from afere.evals.experiment import Experiment
from afere.evals.judge.single import scale_of
from afere.evals.labelling.people import asks_people, newest, scores_of_people
from afere.evals.results import Result
from afere.store import Session

PREFERRED = "preferred"  # the name of what people said when they read two experiments side by side
FAIL_PASS = ("fail", "pass")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is to be labelled under one name: the rubric, and the words from worst to best."""

    name: str
    rubric: str
    scale: tuple[str, ...] = FAIL_PASS
    points: tuple[float, ...] = ()
    judge: str | None = None  # the judge that answers the same question, `judge:polite@2`

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers."""
        return bool(self.points) or (len(self.scale) > 2 and not isinstance(self.value_of(self.scale[0]), str))

    def value_of(self, word: str) -> Value:
        """A word of the scale as its value. BadInput names the words there are."""
        if word not in self.scale:
            raise BadInput(f"{self.name}: {word!r} is no word of its scale: {', '.join(self.scale)}.")
        if self.points:
            return self.points[self.scale.index(word)]
        if len(self.scale) == 2:
            return word == self.scale[1]
        try:
            return [float(one) for one in self.scale][self.scale.index(word)]
        except ValueError:
            return word

    def word_of(self, value: Value) -> str | None:
        """The word of the scale that has this value."""
        return next((word for word in self.scale if self.value_of(word) == value and value is not None), None)

    def read(self, said: object) -> Value:
        """A label as people write it: a word of the scale, its number, or yes and no. BadInput where it is none of them."""
        text = str(said).strip()
        if text in self.scale:
            return self.value_of(text)
        folded = {word.casefold(): word for word in self.scale}
        if text.casefold() in folded:
            return self.value_of(folded[text.casefold()])
        if len(self.scale) == 2 and text.casefold() in ("true", "yes", "1", "false", "no", "0"):
            return text.casefold() in ("true", "yes", "1")
        try:
            number = float(text)
        except ValueError:
            raise BadInput(f"{self.name}: {text!r} is no word of its scale: {', '.join(self.scale)}.") from None
        if self.word_of(number) is None:
            raise BadInput(f"{self.name}: {text!r} is no value of its scale: {', '.join(self.scale)}.")
        return number


@dataclass(frozen=True, slots=True)
class Item:
    """One output to be labelled: a run of a row."""

    run: Result
    target: str

    @property
    def key(self) -> str:
        """`ROW` or `ROW#2` for its second run."""
        return self.run.row if self.run.repeat == 1 else f"{self.run.row}#{self.run.repeat}"


class Labels:
    """The labels of an experiment. Reading them asks the store once a name."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.session: Session = experiment.session

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        """What can be labelled: first what the suite leaves to people, then what a judge said."""
        scorers = cast("dict[str, dict[str, Any]]", self.experiment.content["scorers"])
        people: list[Sheet] = []
        judges: list[Sheet] = []
        for name, said in scorers.items():
            if not said["ref"]:
                continue
            content = cast("dict[str, Any]", self.session.get(said["ref"], kind=said["kind"]).content)
            if said["kind"] == "judge" and "to" not in content:
                judges.append(_sheet(name, content, str(said["ref"])))
            elif asks_people(self.session, said):
                people.append(_sheet(name, cast("dict[str, Any]", content.get("options") or {}), None))
        return (*people, *judges)

    def sheet(self, name: str = "") -> Sheet:
        """The sheet of that name (default: the first). NotFound says which there are."""
        if not self.sheets:
            raise NotFound(
                f"{self.experiment.ref} has nothing for people to label: no judge, and no entry such as "
                "{name: style, kind: human, rubric: polite and brief} in its suite."
            )
        found = self.sheets[0] if not name else next((one for one in self.sheets if one.name == name), None)
        if found is None:
            raise NotFound(
                f"{self.experiment.ref} has nothing called {name!r} to label. There is: {', '.join(one.name for one in self.sheets)}."
            )
        return found

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every run that has an output, in the order of the dataset."""
        dataset = self.experiment.results.dataset[0]
        return tuple(
            Item(run, run.trace or f"{dataset}/{run.row}") for run in self.experiment.results.runs if run.error is None
        )

    @cached_property
    def shuffled(self) -> tuple[Item, ...]:
        """The items in a random order that is the same for everybody: whoever stops early has labelled a random sample."""
        return tuple(
            sorted(self.items, key=lambda item: digest(f"{self.experiment.artifact.hash} {item.key}".encode()))
        )

    @cached_property
    def by_key(self) -> dict[str, Item]:
        return {item.key: item for item in self.items}

    def item(self, key: str) -> Item:
        """The item of that key. NotFound if there is none."""
        if key not in self.by_key:
            raise NotFound(f"{self.experiment.ref} has no output {key!r}: write ROW, or ROW#2 for its second run.")
        return self.by_key[key]

    def of(self, name: str) -> dict[str, dict[str, Score]]:
        """The newest label of each person under a name, by target: `{target: {person: score}}`."""
        targets = {item.target for item in self.items}
        found = newest(scores_of_people(self.session, name))
        return {target: by for target, by in found.items() if target in targets}

    def put(
        self, name: str, key: str, value: Value, *, by: str, why: str = "", data: Mapping[str, Json] | None = None
    ) -> Score:
        """Keep a label; value None takes an earlier one back. BadInput unless it is by a person."""
        if not by.startswith("person:") or by == "person:":
            raise BadInput(f"by={by!r}: a label is by a person: person:NAME.")
        item = self.item(key)
        about: dict[str, Json] = {"experiment": self.experiment.ref, "row": item.run.row, "repeat": item.run.repeat}
        score = Score(item.target, name, value, by, why, data={**about, **(data or {})})
        self.session.append(score)
        return score


def _sheet(name: str, said: Mapping[str, Any], judge: str | None) -> Sheet:
    scale = scale_of(said.get("scale") or FAIL_PASS, name)
    return Sheet(
        name, str(said.get("rubric") or ""), scale, tuple(float(one) for one in said.get("points") or ()), judge
    )
