"""Do people agree with each other, and a judge with people? Of an experiment's labels, as soon as two scored the same items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from afere.base.canonical import Json
from afere.base.score import Value
from afere.evals import stats
from afere.evals.labels import Labels, Sheet
from afere.evals.stats import Agreement, Estimate, Predicted, cohen, krippendorff, prediction_powered

FEW_LABELS = 50  # under so many, agreement and the corrected value are shown, and nothing is decided by them

Label = str | float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two who scored the same items: Cohen's kappa, quadratically weighted where the labels are numbers."""

    a: str
    b: str
    kappa: Agreement

    def to_json(self) -> dict[str, Json]:
        return {"a": self.a, "b": self.b, **_agreement(self.kappa)}


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the labels under one name say: who agrees with whom, and what people would say of all outputs.

    `judge` compares the judge with what most people said of an item; `alpha` is Krippendorff's, over all people.
    `corrected` is the mean that people would give, from their labels and the judge's verdicts together (PPI++).
    """

    name: str
    labels: int  # items that a person labelled
    of: int  # items there are
    people: Mapping[str, int]
    pairs: tuple[Pair, ...]
    judge: Pair | None
    alpha: Agreement | None
    corrected: Predicted | None
    weighted: bool

    @property
    def decides(self) -> bool:
        return self.labels >= FEW_LABELS

    def to_json(self) -> dict[str, Json]:
        found: dict[str, Json] = {
            "name": self.name, "labels": self.labels, "of": self.of, "people": dict(self.people), "weighted": self.weighted,
            "decides": self.decides, "judge": self.judge.to_json() if self.judge else None,
            "pairs": [one.to_json() for one in self.pairs], "alpha": _agreement(self.alpha) if self.alpha else None,
        }  # fmt: skip
        if self.corrected is not None:
            e, alone = self.corrected.estimate, self.corrected.alone
            found["corrected"] = {**_estimate(e), "weight": self.corrected.weight, "judged": self.corrected.judged}
            found["by_people"] = _estimate(alone)
        else:
            found["corrected"] = found["by_people"] = None
        return found


def _agreement(one: Agreement) -> dict[str, Json]:
    by_label: dict[str, Json] = {_word(label): share for label, share in one.by_label.items()}
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n, "raw": one.raw, "by_label": by_label}


def _word(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _estimate(one: Estimate) -> dict[str, Json]:
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n}


def agreements(labels: Labels) -> list[Agreed]:
    """Of every name that people have labelled."""
    return [found for sheet in labels.sheets if (found := agreed(labels, sheet)).labels]


def agreed(labels: Labels, sheet: Sheet) -> Agreed:
    """Who agrees with whom under one name."""
    by_target = labels.of(sheet.name)
    items = [item for item in labels.items if item.target in by_target]
    said = [{who: _label(score.value) for who, score in by_target[item.target].items()} for item in items]
    people = Counter(who for one in said for who in one)
    ranked = {who for who, _ in people.most_common(20)}
    pairs = tuple(
        pair for a, b in combinations(sorted(ranked), 2)
        if (pair := _pair(a, b, [one.get(a) for one in said], [one.get(b) for one in said], sheet)).kappa.n
    )  # fmt: skip
    alpha = None
    if any(len(one) > 1 for one in said):
        scale = "interval" if sheet.ordered else "nominal"
        alpha = krippendorff([list(one.values()) for one in said], scale=scale)
    judge = corrected = None
    if sheet.judge is not None:
        verdicts = [item.run.scores.get(sheet.name, (None, ""))[0] for item in items]
        most = [consensus(list(one.values()), numbers=sheet.ordered) for one in said]
        judge = _pair(sheet.judge, "people", [_label(one) for one in verdicts], most, sheet)
        judge = judge if judge.kappa.n else None
        corrected = _corrected(labels, sheet, {item.target: one for item, one in zip(items, said, strict=True)})
    return Agreed(
        sheet.name, len(items), len(labels.items), dict(people), pairs, judge, alpha, corrected, sheet.ordered
    )


def _pair(a: str, b: str, ours: Sequence[Label | None], theirs: Sequence[Label | None], sheet: Sheet) -> Pair:
    return Pair(a, b, cohen(ours, theirs, weights="quadratic" if sheet.ordered else "none"))


def _label(value: Value) -> Label | None:
    return value


def consensus(said: Sequence[Label | None], *, numbers: bool) -> Label | None:
    """What people say together: of numbers the (lower) median, else what most said; None where as many said two things."""
    known = [one for one in said if one is not None]
    if not known:
        return None
    if numbers:
        values = [float(one) for one in known]
        return sorted(values)[(len(values) - 1) // 2]
    (first, n), *others = Counter(known).most_common()
    return None if others and others[0][1] == n else first


def _corrected(labels: Labels, sheet: Sheet, said: Mapping[str, Mapping[str, Label | None]]) -> Predicted | None:
    """The mean that people would give of all outputs; None for words, and where fewer than two items have both."""
    human: list[float] = []
    judge: list[float] = []
    rest: list[float] = []
    for item in labels.items:
        verdict = item.run.scores.get(sheet.name, (None, ""))[0]
        if verdict is None or isinstance(verdict, str):
            continue
        most = consensus(list(said.get(item.target, {}).values()), numbers=sheet.ordered)
        if most is None:
            rest.append(float(verdict))
        else:
            human.append(float(most))
            judge.append(float(verdict))
    return prediction_powered(human, judge, rest, level=stats.LEVEL) if len(human) > 1 else None
