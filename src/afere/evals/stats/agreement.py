"""Do people, or a judge and people, say the same? Agreement beyond chance, and the likeliest truth behind several votes.

A coefficient says nothing of *what* they disagree about, and is unstable where one label is rare: `raw` and `by_label`
stand beside it for that reason. Intervals are percentiles of a bootstrap over units, never over single ratings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from afere.base.errors import BadInput
from afere.evals.stats.interval import LEVEL

Label = str | float  # also bool and int
Weights = Literal["none", "linear", "quadratic"]
Scale = Literal["nominal", "ordinal", "interval"]
_DRAWS, _FEWER = 1000, 200  # the latter where units differ so much that each draw is slow
_Unit = TypeVar("_Unit", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its interval, over `n` units. 1 is full agreement, 0 what chance alone would give.

    `value` is None where it is not defined: nothing was rated twice, or everybody always said the same one label.
    `raw` is the share of pairs of ratings that agree; `by_label` the same among the pairs where one said that label
    (specific agreement: Cicchetti, Feinstein 1990; for several raters Uebersax 1982).
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    raw: float | None
    by_label: Mapping[Label, float]


def cohen(
    a: Sequence[Label | None], b: Sequence[Label | None], *, weights: Weights = "none",
    order: Sequence[Label] | None = None, level: float = LEVEL, seed: int = 0,
) -> Agreement:  # fmt: skip
    """Cohen's kappa of two raters (Cohen 1960), or weighted (Cohen 1968) for labels that have an order.

    `order` names all labels from lowest to highest; left out, numbers are ordered by size, and weighted kappa of texts
    is BadInput. Units that either left out (None) are not counted.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    labels = _order({label for pair in pairs for label in pair}, order, needed=weights != "none")
    place = {label: i for i, label in enumerate(labels)}
    power = {"none": 0, "linear": 1, "quadratic": 2}[weights]

    def cost(x: Label, y: Label) -> float:
        return float(x != y) if power == 0 else abs(place[x] - place[y]) ** power

    def kappa(seen: Mapping[tuple[Label, Label], int]) -> float | None:
        n = sum(seen.values())
        observed = sum(k * cost(*pair) for pair, k in seen.items()) * n
        left: Counter[Label] = Counter()
        right: Counter[Label] = Counter()
        for (x, y), k in seen.items():
            left[x] += k
            right[y] += k
        expected = sum(i * j * cost(x, y) for x, i in left.items() for y, j in right.items())
        return 1 - observed / expected if expected else None

    return _with_interval(pairs, kappa, [Counter(pair) for pair in pairs], level, seed)


def fleiss(units: Sequence[Sequence[Label]], *, level: float = LEVEL, seed: int = 0) -> Agreement:
    """Fleiss' kappa (1971): every unit rated equally often, by whomever. BadInput where the numbers differ."""
    sizes = {len(unit) for unit in units}
    if len(sizes) > 1:
        raise BadInput(
            f"Fleiss' kappa needs equally many ratings of every unit; these have {min(sizes)} to {max(sizes)}. "
            f"Krippendorff's alpha does not need that."
        )
    return _with_interval([_pattern(unit) for unit in units], _fleiss, [Counter(unit) for unit in units], level, seed)


def _fleiss(seen: Mapping[_Pattern, int]) -> float | None:
    n = sum(seen.values())
    size = sum(k for _, k in next(iter(seen)))
    if size < 2:
        return None
    shares: Counter[Label] = Counter()
    agree = 0.0
    for unit, times in seen.items():
        agree += times * (sum(k * k for _, k in unit) - size) / (size * (size - 1))
        for label, k in unit:
            shares[label] += times * k
    chance = sum((k / (n * size)) ** 2 for k in shares.values())
    return (agree / n - chance) / (1 - chance) if len(shares) > 1 else None


def krippendorff(
    units: Sequence[Sequence[Label | None]], *, scale: Scale = "nominal", order: Sequence[Label] | None = None,
    level: float = LEVEL, seed: int = 0,
) -> Agreement:  # fmt: skip
    """Krippendorff's alpha (2011, "Computing Krippendorff's alpha-reliability"): any number of raters, gaps allowed.

    1 - observed / expected disagreement, where a pair of labels disagrees by 0 or 1 (nominal), the squared difference of
    their midranks (ordinal) or of their values (interval). A unit with fewer than two ratings tells nothing and is left out.
    """
    kept = [[label for label in unit if label is not None] for unit in units]
    kept = [unit for unit in kept if len(unit) > 1]
    there = {label for unit in kept for label in unit}
    labels = _order(there, order, needed=scale == "ordinal")
    if scale == "interval" and any(isinstance(label, str) for label in there):
        raise BadInput("An interval scale needs numbers; these labels are text. Use the ordinal scale with an order.")

    def alpha(seen: Mapping[_Pattern, int]) -> float | None:
        return _alpha(seen, scale, labels)

    return _with_interval([_pattern(unit) for unit in kept], alpha, [Counter(unit) for unit in kept], level, seed)


def _alpha(seen: Mapping[_Pattern, int], scale: Scale, labels: Sequence[Label]) -> float | None:
    counts: Counter[Label] = Counter()
    for unit, times in seen.items():
        for label, k in unit:
            counts[label] += times * k
    n = sum(counts.values())
    if n < 2:
        return None
    if scale == "nominal":
        observed = sum(
            times * (sum(k for _, k in unit) ** 2 - sum(k * k for _, k in unit)) / (sum(k for _, k in unit) - 1)
            for unit, times in seen.items()
        )
        expected = float(n * n - sum(k * k for k in counts.values()))
    else:
        at = _midranks(counts, labels) if scale == "ordinal" else {label: float(label) for label in counts}
        observed = sum(times * _spread(unit, at) / (sum(k for _, k in unit) - 1) for unit, times in seen.items())
        expected = _spread(tuple(counts.items()), at)
    return 1 - observed * (n - 1) / expected if expected else None


def _spread(unit: _Pattern, at: Mapping[Label, float]) -> float:
    """The sum of squared differences over all ordered pairs of a unit's ratings."""
    m = sum(k for _, k in unit)
    middle = sum(k * at[label] for label, k in unit) / m
    return 2 * m * sum(k * (at[label] - middle) ** 2 for label, k in unit)


def _midranks(counts: Mapping[Label, int], labels: Sequence[Label]) -> dict[Label, float]:
    """The difference of two of these is the ordinal metric: all ratings between, the two ends counted half."""
    found: dict[Label, float] = {}
    below = 0
    for label in labels:
        found[label] = below + counts.get(label, 0) / 2
        below += counts.get(label, 0)
    return found


_Pattern = tuple[tuple[Label, int], ...]  # how often each label was said of one unit


def _pattern(unit: Sequence[Label]) -> _Pattern:
    return tuple(sorted(Counter(unit).items(), key=repr))


def _order(there: set[Label], order: Sequence[Label] | None, *, needed: bool) -> list[Label]:
    if order is not None:
        unknown = sorted(map(repr, there - set(order)))
        if unknown:
            raise BadInput(f"The order of labels does not name {', '.join(unknown)}. Name all, lowest first.")
        return list(order)
    if needed and any(isinstance(label, str) for label in there):
        raise BadInput("These labels are text, so their order must be said: order=('poor', 'fair', 'good').")
    return sorted(there, key=lambda label: (isinstance(label, str), label))


def _with_interval(
    units: Sequence[_Unit], coefficient: Callable[[Mapping[_Unit, int]], float | None], ratings: Sequence[Counter[Label]],
    level: float, seed: int,
) -> Agreement:  # fmt: skip
    """The coefficient of all units, and the percentiles of it over resampled units (Efron, Tibshirani 1993, 13)."""
    n = len(units)
    if n == 0:
        return Agreement(None, None, None, 0, None, {})
    seen = Counter(units)
    value = coefficient(seen)
    low = high = None
    if value is not None and n > 1:
        kinds, random = list(seen), Random(seed)  # noqa: S311 - a fixed seed, so that a number can be told again
        chances = [seen[kind] for kind in kinds]
        draws = _DRAWS if len(kinds) <= 200 else _FEWER
        drawn = (coefficient(Counter(random.choices(kinds, chances, k=n))) for _ in range(draws))
        known = sorted(one for one in drawn if one is not None)
        if len(known) >= draws / 2:
            tail = (1 - level) / 2
            low = known[math.floor(tail * (len(known) - 1))]
            high = known[math.ceil((1 - tail) * (len(known) - 1))]
    raw, by_label = _specific(ratings)
    return Agreement(value, low, high, n, raw, by_label)


def _specific(ratings: Sequence[Counter[Label]]) -> tuple[float | None, dict[Label, float]]:
    agree: Counter[Label] = Counter()
    pairs: Counter[Label] = Counter()
    for unit in ratings:
        m = unit.total()
        for label, k in unit.items():
            agree[label] += k * (k - 1)
            pairs[label] += k * (m - 1)
    raw = agree.total() / pairs.total() if pairs.total() else None
    return raw, {label: agree[label] / pairs[label] for label in sorted(pairs, key=repr) if pairs[label]}


@dataclass(frozen=True, slots=True)
class Truth:
    """What several raters' votes say together.

    `posterior`: for each unit, how likely each label is the true one. `prevalence`: the share of each label.
    `confusion`: for each rater and true label, how often the rater says which label.
    """

    posterior: Mapping[str, Mapping[Label, float]]
    prevalence: Mapping[Label, float]
    confusion: Mapping[str, Mapping[Label, Mapping[Label, float]]]

    def label(self, unit: str) -> Label:
        """The likeliest label of a unit."""
        chances = self.posterior[unit]
        return max(chances, key=lambda label: chances[label])


def dawid_skene(
    votes: Iterable[tuple[str, str, Label]], *, smoothing: float = 0.01, steps: int = 200, tolerance: float = 1e-7
) -> Truth:
    """The likeliest true labels from (unit, rater, label) votes: EM from the majority vote (Dawid, Skene 1979).

    A rater may vote on a unit more than once. `smoothing` is added to every count, so that a rater who was never seen to
    err is not taken for infallible. BadInput without votes.
    """
    seen = list(votes)
    if not seen:
        raise BadInput("There are no votes to learn from.")
    labels = sorted({label for _, _, label in seen}, key=repr)
    by_unit: dict[str, list[tuple[str, Label]]] = {}
    for unit, rater, label in seen:
        by_unit.setdefault(unit, []).append((rater, label))
    posterior = {unit: _shares(Counter(label for _, label in said), labels) for unit, said in by_unit.items()}
    for _ in range(steps):
        prevalence, confusion = _maximised(posterior, by_unit, labels, smoothing)
        before, posterior = posterior, {u: _likely(said, prevalence, confusion) for u, said in by_unit.items()}
        if max(abs(posterior[u][label] - before[u][label]) for u in posterior for label in labels) < tolerance:
            break
    prevalence, confusion = _maximised(posterior, by_unit, labels, smoothing)
    return Truth(posterior, prevalence, confusion)


def _shares(counts: Mapping[Label, float], labels: Sequence[Label], smoothing: float = 0.0) -> dict[Label, float]:
    total = sum(counts.get(label, 0.0) + smoothing for label in labels)
    return {label: (counts.get(label, 0.0) + smoothing) / total if total else 1 / len(labels) for label in labels}


_Confusion = dict[str, dict[Label, dict[Label, float]]]


def _maximised(
    posterior: Mapping[str, Mapping[Label, float]], by_unit: Mapping[str, Sequence[tuple[str, Label]]],
    labels: Sequence[Label], smoothing: float,
) -> tuple[dict[Label, float], _Confusion]:  # fmt: skip
    total: dict[Label, float] = {}
    counts: _Confusion = {}
    for unit, said in by_unit.items():
        for true, chance in posterior[unit].items():
            total[true] = total.get(true, 0.0) + chance
            for rater, label in said:
                of = counts.setdefault(rater, {}).setdefault(true, {})
                of[label] = of.get(label, 0.0) + chance
    confusion = {
        rater: {true: _shares(of.get(true, {}), labels, smoothing) for true in labels} for rater, of in counts.items()
    }
    return _shares(total, labels, smoothing), confusion


def _likely(
    said: Sequence[tuple[str, Label]], prevalence: Mapping[Label, float], confusion: _Confusion
) -> dict[Label, float]:
    tiny = 1e-300
    logs = {
        true: math.log(share or tiny) + sum(math.log(confusion[rater][true][label] or tiny) for rater, label in said)
        for true, share in prevalence.items()
    }
    top = max(logs.values())
    raised = {true: math.exp(log - top) for true, log in logs.items()}
    total = sum(raised.values())
    return {true: chance / total for true, chance in raised.items()}
