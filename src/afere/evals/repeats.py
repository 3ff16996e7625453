"""What repeats tell: the chance that one of k tries, or all of them, pass; which cases are flaky; where the spread lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

from afere.base.canonical import Json
from afere.base.rule import BUILTIN
from afere.evals import stats
from afere.evals.outlook import tries_of
from afere.evals.results import Results
from afere.evals.spread import ABOUT_JUDGING
from afere.evals.stats import Estimate, Variance

_FLAKY = 50  # cases that are listed


@dataclass(frozen=True, slots=True)
class Stability:
    """Of one yes-or-no measure with `k` tries a case. `any_of` is pass@k, `all_of` pass^k, with 90% intervals over cases;
    `flaky`: (case, passed, tries) of those that neither always pass nor always fail."""

    measure: str
    k: int
    any_of: Estimate
    all_of: Estimate
    flaky: tuple[tuple[str, int, int], ...]
    variance: Variance | None

    def to_json(self) -> dict[str, Json]:
        parts = self.variance
        return {
            "measure": self.measure, "k": self.k, "pass_at_k": _json(self.any_of), "pass_hat_k": _json(self.all_of),
            "flaky": len(self.flaky), "cases": [list(one) for one in self.flaky[:_FLAKY]],
            "variance": {"case": parts.case, "sampling": parts.sampling, "judge": parts.judge} if parts else None,
        }  # fmt: skip


def stability(results: Results) -> list[Stability]:
    """One for each yes-or-no measure whose cases were all tried at least twice; k is the fewest tries of any case."""
    found: list[Stability] = []
    for name in results.names:
        series = results.series(name)
        if name in BUILTIN or name.endswith(ABOUT_JUDGING) or series.kind != "rate":
            continue
        tries = tries_of(results, name)
        k = min(len(one) for one in tries)
        if k < 2:
            continue
        clusters = [cluster for _, cluster, _ in series.by_case.values()]
        chances = [_estimate([_chance(one, k, all_of) for one in tries], clusters) for all_of in (False, True)]
        named = dict(zip([row for row, _ in series.by_case], tries, strict=True))
        found.append(Stability(name, k, chances[0], chances[1], tuple(stats.flaky(named)), stats.variance_split(tries)))
    return found


def _estimate(chances: list[float], clusters: list[str]) -> Estimate:
    """Their mean: of chances that are 0 or 1 as a rate, of others cut to what a chance can be."""
    if all(one in (0.0, 1.0) for one in chances):
        return stats.clustered_rate(chances, clusters)
    found = stats.clustered_mean(chances, clusters)
    if found.low is None or found.high is None:
        return found
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _chance(tries: list[float], k: int, all_of: bool) -> float:
    passed = int(math.fsum(tries))
    chance = stats.pass_hat_k if all_of else stats.pass_at_k
    return cast("float", chance(len(tries), passed, k))


def _json(one: Estimate) -> Json:
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
