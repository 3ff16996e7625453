"""Do people agree with each other, and a judge with people? Of an experiment's labels, as soon as two scored the same items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from afere.base.canonical import Json
from afere.base.score import Score, Value
from afere.evals import stats
from afere.evals.labelling.labels import Item, Labels, Sheet
from afere.evals.labelling.people import consensus, newest, scores_of_people
from afere.evals.stats import Agreement, Estimate, cohen, fleiss, krippendorff, prediction_powered, rogan_gladen

FEW_LABELS = 50  # under so many, agreement and the corrected value are shown, and nothing is decided by them
_SKIPPED = 0.05  # of the random order: whoever skips no more than that has still labelled at random
_ELSEWHERE = 500  # labels on other experiments that are looked up
_OF_EACH = 5  # labels of either kind that a judge's errors are estimated from, at least

Sample = Literal["all", "random", "chosen", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two who scored the same items: Cohen's kappa, quadratically weighted where the labels are numbers."""

    a: str
    b: str
    kappa: Agreement

    def to_json(self) -> dict[str, Json]:
        return {"a": self.a, "b": self.b, **_agreement(self.kappa)}


@dataclass(frozen=True, slots=True)
class Corrected:
    """The mean that people would give of all outputs, with its 90% interval and what it rests on.

    PPI++: from `labels` of these outputs, with `alone` what they say by themselves, and `judged` verdicts on the others,
    trusted by `weight` (0 to 1). Rogan-Gladen: from the judge's rate here and its errors on labels of other experiments.
    `sample`: how the labelled outputs came about. `random` is the order of the page and of sheets, `chosen` any other.
    """

    estimate: Estimate
    method: Literal["PPI++", "Rogan-Gladen"]
    labels: int
    judged: int
    sample: Sample
    weight: float | None = None
    alone: Estimate | None = None

    @property
    def decides(self) -> bool:
        return self.labels >= FEW_LABELS and self.sample != "chosen"

    @property
    def rests_on(self) -> str:
        """What the number rests on, as a sentence says it."""
        if self.method == "Rogan-Gladen":
            return (
                f"the judge's rate here, and its errors on {self.labels} labels of other experiments (Rogan-Gladen), "
                "if it errs here as it did there"
            )
        verdicts = f" and {self.judged} verdicts of the judge (PPI++)" if self.judged else ""
        how = {
            "all": "all outputs are labelled",
            "random": "labelled in random order",
            "chosen": "the labelled outputs were NOT taken in random order, so it holds only if they are like the others",
            "elsewhere": "",
        }[self.sample]
        return f"{self.labels} labels{verdicts}; {how}"

    def to_json(self) -> dict[str, Json]:
        return {
            **_estimate(self.estimate), "method": self.method, "labels": self.labels, "judged": self.judged,
            "sample": self.sample, "weight": self.weight, "rests_on": self.rests_on, "decides": self.decides,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the labels under one name say: who agrees with whom, and what people would say of all outputs.

    `judge` compares the judge with what most people said of an item; `alpha` is Krippendorff's, over all people, `fleiss`
    Fleiss' kappa of the items that all of three or more labelled. Labels are named by the words of the scale.
    """

    name: str
    labels: int  # items that a person labelled
    of: int  # items there are
    people: Mapping[str, int]
    pairs: tuple[Pair, ...]
    judge: Pair | None
    alpha: Agreement | None
    fleiss: Agreement | None
    corrected: Corrected | None
    weighted: bool

    @property
    def decides(self) -> bool:
        return self.labels >= FEW_LABELS

    def to_json(self) -> dict[str, Json]:
        alone = self.corrected.alone if self.corrected else None
        return {
            "name": self.name, "labels": self.labels, "of": self.of, "people": dict(self.people), "weighted": self.weighted,
            "decides": self.decides, "judge": self.judge.to_json() if self.judge else None,
            "pairs": [one.to_json() for one in self.pairs], "alpha": _agreement(self.alpha) if self.alpha else None,
            "fleiss": _agreement(self.fleiss) if self.fleiss else None,
            "corrected": self.corrected.to_json() if self.corrected else None,
            "by_people": _estimate(alone) if alone else None,
        }  # fmt: skip


def _agreement(one: Agreement) -> dict[str, Json]:
    by_label: dict[str, Json] = {str(label): share for label, share in one.by_label.items()}
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n, "raw": one.raw, "by_label": by_label}


def _estimate(one: Estimate) -> dict[str, Json]:
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n}


def agreements(labels: Labels) -> list[Agreed]:
    """Of every name that people have labelled, here or, by the same judge, elsewhere."""
    found = [agreed(labels, sheet) for sheet in labels.sheets]
    return [one for one in found if one.labels or one.corrected]


def agreed(labels: Labels, sheet: Sheet) -> Agreed:
    """Who agrees with whom under one name."""
    scores = scores_of_people(labels.session, sheet.name)
    here = {item.target for item in labels.items}
    everywhere = newest(scores)
    by_target = {target: by for target, by in everywhere.items() if target in here}
    items = [item for item in labels.items if item.target in by_target]
    said = [{who: score.value for who, score in by_target[item.target].items()} for item in items]
    people = Counter(who for one in said for who in one)
    judge = corrected = None
    if sheet.judge is not None:
        verdicts = [_verdict(item, sheet) for item in items]
        judge = _pair(sheet.judge, "people", verdicts, [consensus(list(one.values())) for one in said], sheet)
        judge = judge if judge.kappa.n else None
        corrected = _by_labels(labels, sheet, by_target) or _by_errors(labels, sheet, everywhere)
    units = [list(one.values()) for one in said]
    scale = "interval" if sheet.ordered else "nominal"
    alpha = krippendorff(units, scale=scale) if any(len(one) > 1 for one in units) else None
    whole = [[one for one in unit if one is not None] for unit in units if len(unit) == len(people)]
    return Agreed(
        sheet.name, len(items), len(labels.items), dict(people), _pairs(people, said, sheet), judge,
        _worded(alpha, sheet) if alpha else None, _worded(fleiss(whole), sheet) if whole and len(people) > 2 else None,
        corrected, sheet.ordered,
    )  # fmt: skip


def _pairs(people: Counter[str], said: Sequence[Mapping[str, Value]], sheet: Sheet) -> tuple[Pair, ...]:
    """Of the twenty who said most."""
    ranked = sorted(who for who, _ in people.most_common(20))
    found = (
        _pair(a, b, [one.get(a) for one in said], [one.get(b) for one in said], sheet)
        for a, b in combinations(ranked, 2)
    )
    return tuple(pair for pair in found if pair.kappa.n)


def _pair(a: str, b: str, ours: Sequence[Value], theirs: Sequence[Value], sheet: Sheet) -> Pair:
    return Pair(a, b, _worded(cohen(ours, theirs, weights="quadratic" if sheet.ordered else "none"), sheet))


def _worded(one: Agreement, sheet: Sheet) -> Agreement:
    """With the words of the scale for labels."""
    return replace(one, by_label={sheet.word_of(label) or str(label): share for label, share in one.by_label.items()})


def _verdict(item: Item, sheet: Sheet) -> Value:
    return item.run.scores.get(sheet.name, (None, ""))[0]


def _by_labels(labels: Labels, sheet: Sheet, by_target: Mapping[str, Mapping[str, Score]]) -> Corrected | None:
    """From labels of these outputs; None for words, and where fewer than two outputs have both label and verdict."""
    human: list[float] = []
    judge: list[float] = []
    rest: list[float] = []
    clusters: tuple[list[str], list[str]] = ([], [])
    for item in labels.items:
        verdict = _verdict(item, sheet)
        most = consensus([score.value for score in by_target.get(item.target, {}).values()])
        if verdict is None or isinstance(verdict, str) or isinstance(most, str):
            continue
        clusters[most is None].append(item.run.cluster)
        if most is None:
            rest.append(float(verdict))
        else:
            human.append(float(most))
            judge.append(float(verdict))
    if len(human) < 2:
        return None
    bounds = None if sheet.ordered else (0.0, 1.0)
    found = prediction_powered(human, judge, rest, level=stats.LEVEL, clusters=clusters, bounds=bounds)
    sample = sample_of(labels, set(by_target))
    return Corrected(found.estimate, "PPI++", len(human), len(rest), sample, found.weight, found.alone)


def sample_of(labels: Labels, targets: set[str]) -> Sample:
    """Whether the labelled outputs are all there are, or the first of the random order that page and sheets have."""
    labelled = [item.target in targets for item in labels.shuffled]
    if all(labelled):
        return "all"
    last = max((i for i, one in enumerate(labelled) if one), default=-1)
    return "random" if sum(labelled) >= (1 - _SKIPPED) * (last + 1) else "chosen"


def _by_errors(labels: Labels, sheet: Sheet, everywhere: Mapping[str, Mapping[str, Score]]) -> Corrected | None:
    """From the errors that the same judge made on labelled outputs of other experiments, for verdicts of yes and no."""
    if sheet.judge is None or len(sheet.scale) != 2 or sheet.points:
        return None
    seen: Counter[tuple[bool, bool]] = Counter()  # what people said, what the judge said
    for target, by in list(everywhere.items())[:_ELSEWHERE]:
        most = consensus([score.value for score in by.values()])
        found = labels.session.find("scores", target=target, name=sheet.name, by=sheet.judge, limit=1).items
        if isinstance(most, bool) and found and isinstance(found[0].value, bool):
            seen[most, found[0].value] += 1
    true, false = seen[True, True] + seen[True, False], seen[False, True] + seen[False, False]
    here = labels.experiment.results.series(sheet.name).estimate()
    if min(true, false) < _OF_EACH or here.value is None:
        return None
    n = here.clusters
    estimate = rogan_gladen(here.value * n, n, seen[True, True], true, seen[False, False], false, level=stats.LEVEL)
    if estimate.value is None:
        return None
    return Corrected(estimate, "Rogan-Gladen", true + false, len(labels.items), "elsewhere")
