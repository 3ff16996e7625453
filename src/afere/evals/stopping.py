"""Stop an evaluation as soon as its rules are decided, with the error rate they promise (see `stats.sequential`).

Cases run in an order that is random and fixed by a seed; what is looked at is always the first so many of that order, and
never a case that is still in flight.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from afere.base.canonical import Json
from afere.base.rule import Rule
from afere.data import Row
from afere.evals import stats
from afere.evals.gate import FIXED, Looks, References, Rows, about_stability, decide
from afere.evals.results import Result, Results

Kind = Literal["group-sequential", "anytime"]
KINDS: tuple[Kind, ...] = ("group-sequential", "anytime")
SEED = 20240101
LOOKS = 5  # of a group-sequential run, evenly spaced: more would gain little
_GROWTH = 1.1  # an anytime run is looked at each time it is a tenth larger
_FIRST = 10  # cases before the first look


@dataclass
class Stopping:
    """Is told every result in order, and says when it is enough. `wanted`: the cases in the order in which they run."""

    kind: Kind
    rules: Sequence[Rule]
    empty: Results  # what the results are of, without runs
    references: References
    rows: Rows
    known: Collection[str]
    wanted: Sequence[str]
    repeats: int
    seen: list[Result] = field(default_factory=list[Result])
    looks: list[int] = field(default_factory=list[int])
    enough: bool = False

    def __post_init__(self) -> None:
        n = len(self.wanted)
        self.shares = tuple(k / LOOKS for k in range(1, LOOKS + 1))
        self._next = max(_FIRST, math.ceil(n * self.shares[0])) if self.kind == "group-sequential" else _FIRST
        # Sums and counts are of one whole run: nothing is known of them before its end. Stability is another run's.
        decided = [rule for rule in self.rules if not about_stability(rule, self.empty.names)]
        self.early = [rule for rule in decided if rule.measure.statistic not in ("sum", "count")]

    def __call__(self, result: Result) -> bool:
        self.seen.append(result)
        cases, rest = divmod(len(self.seen), self.repeats)
        if rest or cases < self._next or cases >= len(self.wanted) or not self.early or self.enough:
            return self.enough
        self.looks.append(cases)
        self.enough = self._decided(cases)
        self._next = self._later(cases)
        return self.enough

    def _decided(self, cases: int) -> bool:
        results = replace(self.empty, runs=tuple(self.seen), complete=not any(run.world for run in self.seen))
        looks = Looks(self._level(cases), self.kind == "anytime")
        rulings = decide(self.early, results, self.references, self.rows, known=self.known, looks=looks)
        answers = {one.answer for one in rulings}
        return "fail" in answers or answers == {"pass"}

    def _level(self, cases: int) -> float:
        """The level of the interval at this look; of all cases, that of the last."""
        if self.kind == "anytime":
            return stats.LEVEL
        n = len(self.wanted)
        # A first look that came later than planned spends what was planned until then.
        taken = tuple(sorted({min(1.0, look / n) for look in self.looks} | ({1.0} if cases >= n else set[float]())))
        return 1 - 2 * stats.look_levels(taken)[-1]

    def _later(self, cases: int) -> int:
        if self.kind == "anytime":
            return math.ceil(cases * _GROWTH)
        return next((m for share in self.shares if (m := math.ceil(len(self.wanted) * share)) > cases), cases + 1)

    def content(self, results: Results) -> dict[str, Json]:
        """What the experiment keeps of it: where it stopped, at which level its rules are held, what it saved."""
        last = self.looks[-1] if self.enough else len(self.wanted)
        counted = set(self.wanted[:last])
        made = {run.row for run in results.runs if not run.world}
        after: list[Json] = [row for row in self.wanted[last:] if row in made]
        total = len(self.wanted) * self.repeats
        return {
            "kind": self.kind, "seed": SEED, "looks": cast("list[Json]", list(self.looks)), "stopped": self.enough,
            "cases": len(counted & made), "planned": len(self.wanted), "level": self._level(last),
            "saved": total - len(results.runs), "runs_planned": total, "after": after,
        }  # fmt: skip


def shuffled(rows: Sequence[Row]) -> list[str]:
    """The ids in the order in which the runner begins them with this seed."""
    order = list(rows)
    random.Random(SEED).shuffle(order)  # noqa: S311 - an order, no secret
    return [row.id for row in order]


def looks_of(said: Mapping[str, Json] | None) -> Looks:
    """At which level an experiment's rules are held: what `content` kept of how it was looked at."""
    if not said:
        return FIXED
    return Looks(float(cast("float", said["level"])), said["kind"] == "anytime")


def told(said: Mapping[str, Json]) -> str:
    """What a reader must know: when it stopped, what that saved, and that its means lean."""
    if not said["stopped"]:
        return (
            f"looked at {len(cast('list[Json]', said['looks']))} times on the way ({said['kind']}), and ran to the end"
        )
    after = cast("list[Json]", said["after"])
    more = f" ({len(after)} more were under way and are not counted by rules)" if after else ""
    return (
        f"stopped early ({said['kind']}): {said['cases']} of {said['planned']} cases decided{more}, {said['saved']} of "
        f"{said['runs_planned']} runs were saved; what stops early lies a little further out than the truth"
    )
