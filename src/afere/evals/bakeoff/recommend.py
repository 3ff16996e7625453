"""Which cell of a bake-off is recommended: what is shown, what is not, and by which stated rule a tie is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.evals.bakeoff.sweep import Prefer
from afere.evals.report import number
from afere.evals.standing import SHOWN, Against, Number

_MEASURE: Mapping[Prefer, str] = {"cost": "cost", "latency": "seconds"}
_NUMBER: Mapping[Prefer, str] = {"cost": "cost_per_1000", "latency": "seconds.p50"}
_WORDS = {
    ("cost", "better"): "cheaper", ("cost", "worse"): "more expensive",
    ("seconds", "better"): "faster", ("seconds", "worse"): "slower",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One sentence, the cells it names (none: stay with what there is), and what else must be known to read it."""

    say: str
    names: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        return {"say": self.say, "names": list(self.names), "more": list(self.more)}


@dataclass(frozen=True)
class Candidate:
    """A cell beside the current one: `not_worse` is whether its quality is proven not worse by the margin that was given."""

    label: str
    against: Mapping[str, Against]
    numbers: Mapping[str, Number]
    failed: int
    not_worse: bool = False


def recommend(
    current: Candidate, others: Sequence[Candidate], quality: str, *, prefer: Prefer | None, margin: float | None
) -> Recommendation:
    """What the data allow to say. A candidate that failed more often than the current one is never said to be better."""
    if not others:
        return Recommendation(f"Nothing is left to compare with {current.label}: every other was left out.")
    steady = [one for one in others if one.failed <= current.failed]
    notes = [
        f"{one.label} failed in {one.failed} runs ({current.failed} with {current.label}), and a run that failed has no score: "
        "it is not said to be better"
        for one in others
        if one.failed > current.failed and _answer(one, quality) != "worse"
    ]
    better = [one for one in steady if _answer(one, quality) == "better"]
    whole = [one for one in better if not _worse_elsewhere(one, quality)]
    if whole:
        return _better(current, whole, quality, prefer, [*notes, *_mixed(better, whole, quality)])
    if prefer is not None and margin is not None:
        chosen = [one for one in steady if one.not_worse and _answer(one, _MEASURE[prefer]) == "better"]
        if chosen:
            return _preferred(current, chosen, quality, prefer, margin, notes)
    return _stay(current, others, quality, [*notes, *_mixed(better, whole, quality)])


def _answer(one: Candidate, measure: str) -> str:
    found = one.against.get(measure)
    return found.answer if found is not None else "open"


def _worse_elsewhere(one: Candidate, quality: str) -> list[str]:
    """The other measures of scorers in which it is shown to be worse."""
    names = [name for name in one.against if name not in (quality, *_MEASURE.values())]
    return [name for name in names if _answer(one, name) == "worse"]


def _mixed(better: Sequence[Candidate], whole: Sequence[Candidate], quality: str) -> list[str]:
    return [
        f"{one.label} is shown to be better in {quality} and worse in {', '.join(_worse_elsewhere(one, quality))}: "
        "which counts more is for people to say"
        for one in better
        if one not in whole
    ]


def _better(
    current: Candidate, chosen: Sequence[Candidate], quality: str, prefer: Prefer | None, notes: Sequence[str]
) -> Recommendation:
    """Shown better than the current one. Which of several is best is not what was tested."""
    names = _in_order(chosen, prefer)
    first = names[0]
    said = f"{quality} {_change(first.against[quality])}"
    if len(names) == 1:
        say = f"{first.label} is shown to be better than {current.label}: {said}{_beside(first)}."
    else:
        rest = " and ".join(one.label for one in names)
        say = (
            f"{rest} are each shown to be better than {current.label} in {quality}; which of them is best is not shown."
        )
        lines = [f"{one.label}: {quality} {_change(one.against[quality])}{_beside(one)}" for one in names]
        if prefer is not None:
            lines.append(
                f"by estimate {first.label} has the lowest {SHOWN[_NUMBER[prefer]]} of them, which is preferred"
            )
        notes = [*lines, *notes]
    return Recommendation(say, tuple(one.label for one in names), tuple(notes))


def _preferred(
    current: Candidate, chosen: Sequence[Candidate], quality: str, prefer: Prefer, margin: float, notes: Sequence[str]
) -> Recommendation:
    """By the rule that was stated: quality proven not worse by the margin, and shown to be cheaper or faster."""
    first, *rest = _in_order(chosen, prefer)
    say = (
        f"By the stated rule (prefer {prefer}, margin {margin:g}) {first.label} is recommended: its {quality} is proven not worse "
        f"than {current.label}'s by {margin:g} ({_change(first.against[quality])}), and it is shown to be "
        f"{_WORDS[_MEASURE[prefer], 'better']}. No better {quality} is shown."
    )
    if rest:
        also = ", ".join(one.label for one in rest)
        notes = [
            f"{also} would do as well by the rule; {first.label} has the lowest {SHOWN[_NUMBER[prefer]]} by estimate",
            *notes,
        ]
    return Recommendation(say, (first.label,), tuple(notes))


def _stay(current: Candidate, others: Sequence[Candidate], quality: str, notes: Sequence[str]) -> Recommendation:
    """Nothing is shown to be better, which is not the same as shown to be equal."""
    lines = [
        f"{one.label}: {quality} {_change(found)}{', shown to be worse' if found.answer == 'worse' else ''}{_beside(one)}"
        for one in others
        if (found := one.against.get(quality)) is not None
    ]
    say = (
        f"Stay with {current.label}: none is shown to be better in {quality}. What is not shown may still be so, within the "
        "intervals."
    )
    return Recommendation(say, (), (*lines, *notes))


def _in_order(chosen: Sequence[Candidate], prefer: Prefer | None) -> list[Candidate]:
    """As they were named; by what is preferred where that was said, unknown ones last."""
    if prefer is None:
        return list(chosen)

    def least(one: Candidate) -> float:
        value = one.numbers[_NUMBER[prefer]].value
        return float("inf") if value is None else value

    return sorted(chosen, key=least)


def _change(found: Against) -> str:
    """`+0.120 (0.050 to 0.190)`, with what is known."""
    if found.value is None:
        return f"not compared ({found.why})"
    ends = "" if found.low is None else f" ({number(found.low)} to {number(found.high)})"
    return f"{'+' if found.value > 0 else ''}{number(found.value)}{ends}"


def _beside(one: Candidate) -> str:
    """What is shown of cost and latency, and what is not."""
    shown = [
        _WORDS[name, found.answer]
        for name in ("cost", "seconds")
        if (found := one.against.get(name)) and found.answer != "open"
    ]
    return f"; shown to be {' and '.join(shown)}" if shown else ""
