"""Labels: one output at a time, or two side by side and blind, with the rubric and the keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.actor import LOCAL
from afere.base.canonical import Json, digest
from afere.base.errors import BadInput
from afere.base.score import Score, Value
from afere.evals.labelling.agreeing import Agreed, agreements
from afere.evals.labelling.labels import PREFERRED, Item, Labels, Sheet
from afere.server.pages.asked import Asked
from afere.server.pages.experiments import open_experiment

if TYPE_CHECKING:
    from afere.store import Session

SAME = "same"
_CONTEXT = 20  # passages shown


@dataclass(frozen=True, slots=True)
class Choice:
    """A word that can be said, with its key."""

    key: str
    word: str
    shown: str


@dataclass(frozen=True, slots=True)
class Said:
    """What this person said of the case before."""

    word: str
    why: str


@dataclass(frozen=True, slots=True)
class LabelsPage:
    """`answers` is the output; or the left and the right one, of which nobody is told which experiment gave it."""

    number: int
    of: str
    names: tuple[str, ...]
    name: str
    rubric: str
    by: str
    other: int | None
    case: str | None
    input: Json
    expected: Json
    context: tuple[str, ...]
    answers: tuple[Json, ...]
    choices: tuple[Choice, ...]
    said: Said | None
    at: int
    total: int
    done: int
    previous: str | None
    next: str | None
    last: str | None
    agreed: tuple[Agreed, ...]

    @property
    def finished(self) -> bool:
        return self.case is None or (self.done >= self.total and self.said is None)

    @property
    def pair(self) -> tuple[int, ...]:
        """The two that are read side by side, the earlier first."""
        return tuple(sorted((self.number, self.other or self.number)))

    @property
    def left(self) -> int:
        return self.total - self.done


def page(session: Session, asked: Asked) -> LabelsPage:
    """What is to be labelled next. `?name=` chooses the rubric, `?case=` the output, `?with=` another experiment to read beside it."""
    labels = Labels(open_experiment(session, asked.path["number"]))
    by = person(session, asked.get("by"))
    if asked.get("with"):
        return _side_by_side(session, labels, asked, by)
    sheet = labels.sheet(asked.get("name"))
    mine = _mine(labels, sheet.name, by)
    item, around = _at(labels.shuffled, mine, asked.get("case"))
    said = mine.get(item.target) if item else None
    choices = tuple(Choice(str(i + 1) if i < 9 else "", word, word) for i, word in enumerate(sheet.scale))
    return _page(labels, sheet, by, None, item, (labels.experiment.output_of(item.run),) if item else (), choices,
                 _said(sheet, said) if said else None, mine, labels.shuffled, around)  # fmt: skip


def _side_by_side(session: Session, labels: Labels, asked: Asked, by: str) -> LabelsPage:
    other = Labels(open_experiment(session, asked.get("with")))
    if other.experiment.number == labels.experiment.number:
        raise BadInput(f"with={other.experiment.number}: an experiment is read beside another one, not beside itself.")
    items = common(labels, other)
    if not items:
        raise BadInput(
            f"{labels.experiment.ref} and {other.experiment.ref} have no case in common to read side by side."
        )
    mine = _mine(labels, PREFERRED, by, other.experiment.ref)
    item, around = _at(items, mine, asked.get("case"))
    answers: tuple[Json, ...] = ()
    if item:
        answers = tuple(one.experiment.output_of(one.item(item.key).run) for one in sides(labels, other, item.key, by))
    said = mine.get(item.target) if item else None
    word = _side_of(said) if said else ""
    asked_by = next((one for one in labels.sheets if not asked.get("name") or one.name == asked.get("name")), None)
    sheet = Sheet(PREFERRED, asked_by.rubric if asked_by else "Which of the two answers would you rather give?")
    choices = (
        Choice("1", "left", "left is better"),
        Choice("2", "right", "right is better"),
        Choice("3", SAME, "no difference"),
    )
    return _page(labels, sheet, by, other.experiment.number, item, answers, choices,
                 Said(word, said.why) if said else None, mine, items, around)  # fmt: skip


def _page(
    labels: Labels, sheet: Sheet, by: str, other: int | None, item: Item | None, answers: tuple[Json, ...],
    choices: tuple[Choice, ...], said: Said | None, mine: dict[str, Score], items: Sequence[Item],
    around: tuple[str | None, str | None],
) -> LabelsPage:  # fmt: skip
    row = labels.experiment.examples.get(item.run.row) if item else None
    newest = max((score for score in mine.values()), key=lambda score: score.at, default=None)
    last = next((one.key for one in items if newest and one.target == newest.target), None)
    return LabelsPage(
        labels.experiment.number, labels.experiment.name, tuple(one.name for one in labels.sheets), sheet.name, sheet.rubric,
        by, other, item.key if item else None, (row.input or row.metadata) if row else None, row.expected if row else None,
        _context(labels, item) if item else (), answers, choices, said, items.index(item) + 1 if item else 0, len(items),
        sum(one.target in mine for one in items), around[0], around[1], last, tuple(agreements(labels)),
    )  # fmt: skip


def person(session: Session, given: str) -> str:
    """Who labels: who is logged in; on a store of one's own, the name that is given. BadInput where it is no name."""
    if session.actor != LOCAL:
        return session.actor
    name = given.strip().removeprefix("person:")
    if not name:
        return session.actor
    if len(name) > 100 or not name.isprintable() or ":" in name:
        raise BadInput(f"by={given!r}: write your name, such as ana or ana.reis.")
    return f"person:{name}"


def common(labels: Labels, other: Labels) -> tuple[Item, ...]:
    """The outputs that two experiments have of the same case, in random order."""
    there = {(item.key, item.run.digest) for item in other.items}
    return tuple(item for item in labels.shuffled if (item.key, item.run.digest) in there)


def sides(labels: Labels, other: Labels, key: str, by: str) -> tuple[Labels, Labels]:
    """Left and right: by chance for each person and case, and the same when the page is opened again."""
    refs = sorted((labels.experiment.ref, other.experiment.ref))
    first = digest(f"{by} {key} {refs}".encode())[-1] in "01234567"
    a, b = sorted((labels, other), key=lambda one: refs.index(one.experiment.ref))
    return (a, b) if first else (b, a)


def _mine(labels: Labels, name: str, by: str, other: str = "") -> dict[str, Score]:
    """What this person said, by target; of side by side only with that other experiment."""
    found = {target: kept[by] for target, kept in labels.of(name).items() if by in kept}
    return {
        target: one
        for target, one in found.items()
        if not other or other in (one.data.get("left"), one.data.get("right"))
    }


def _at(items: Sequence[Item], mine: dict[str, Score], case: str) -> tuple[Item | None, tuple[str | None, str | None]]:
    """The case asked for, else the first that is still to be labelled, with those before and after it."""
    if case:
        item = next((one for one in items if one.key == case), None)
        if item is None:
            raise BadInput(f"case={case!r}: there is no such output here.")
    else:
        item = next((one for one in items if one.target not in mine), None)
    if item is None:
        return None, (items[-1].key if items else None, None)
    i = items.index(item)
    return item, (items[i - 1].key if i else None, items[i + 1].key if i + 1 < len(items) else None)


def _said(sheet: Sheet, score: Score) -> Said:
    return Said(sheet.word_of(score.value) or "", score.why)


def _side_of(score: Score) -> str:
    if score.value == SAME:
        return SAME
    return "left" if score.value == score.data.get("left") else "right"


def _context(labels: Labels, item: Item) -> tuple[str, ...]:
    """The passages that the run retrieved, which a reader needs to judge whether it is faithful."""
    trace = labels.session.spans.trace(item.run.trace) if item.run.trace else None
    documents = [document for span in (trace.spans if trace else ()) for document in span.documents]
    return tuple(str(one.get("text", "")) for one in documents[:_CONTEXT] if isinstance(one, dict))


def keep(session: Session, number: object, said: dict[str, str]) -> Score:
    """Keep what a person said on the page: `case`, `word` (nothing: take it back), `name`, `why`, `by`, and `with` where two were read."""
    labels = Labels(open_experiment(session, number))
    by, case, word, why = (
        person(session, said.get("by", "")),
        said.get("case", ""),
        said.get("word", ""),
        said.get("why", ""),
    )
    if not said.get("with"):
        sheet = labels.sheet(said.get("name", ""))
        return labels.put(sheet.name, case, sheet.read(word) if word else None, by=by, why=why)
    other = Labels(open_experiment(session, said["with"]))
    left, right = (one.experiment.ref for one in sides(labels, other, case, by))
    other.item(case)
    values: dict[str, Value] = {"left": left, "right": right, SAME: SAME, "": None}
    if word not in values:
        raise BadInput(f"word={word!r}: left, right or {SAME}.")
    return labels.put(PREFERRED, case, values[word], by=by, why=why, data={"left": left, "right": right})
