"""Whom does `afere blame` name? Simulated versions whose guilty component is known, with a fixed seed.

    python benchmarks/blame_simulation.py [RUNS]

A case is answered right with a probability of its own (U-shaped over cases, as with real suites); a guilty component takes 15
points off it. What decides is what decides in a blame record. 500 runs take about two minutes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from afere.evals.results import Result, Results
from afere.evals.standing import preferences

DROP = 0.15
SHAPES = ((60, 1, 3), (60, 3, 3), (200, 1, 5))  # cases, repeats, changed components


@dataclass(frozen=True)
class Row:
    """One figure: what was simulated, what came out, and what it is held to (None: it is only told)."""

    what: str
    share: float
    goal: str = "told"
    holds: bool = True


def answered(rng: np.random.Generator, ref: str, right: np.ndarray, repeats: int) -> Results:
    """An evaluation whose cases are right with these probabilities."""
    scores = rng.random((len(right), repeats)) < right[:, None]
    runs = [
        Result(f"r{i}", f"d{i}", k + 1, {"exact": (bool(scores[i, k]), "")}) for i, k in np.ndindex(len(right), repeats)
    ]
    return Results(ref, scorers={"exact": "h"}, runs=tuple(runs))


def named(after: Results, arms: Sequence[Results]) -> list[str]:
    """What a blame says of each arm."""
    return [one.answer for one in preferences([(after, arm) for arm in arms], "exact")]


def simulated(rng: np.random.Generator, runs: int, cases: int, repeats: int, parts: int) -> Iterator[Row]:
    name = f"{cases} cases, {repeats} repeats, {parts} changed components"
    innocent = guilty = beside = 0
    for _ in range(runs):
        before = rng.beta(0.6, 0.4, cases)
        now = np.clip(before - DROP, 0, 1)
        # The code made it worse: every component put back changes nothing, and nor do all together.
        after = answered(rng, "after", now, repeats)
        found = named(after, [answered(rng, f"arm {k}", now, repeats) for k in range(parts + 1)])
        innocent += any(one != "open" for one in found[:-1])
        # The first component made it worse: that one, and all together, bring it back.
        arms = [answered(rng, f"arm {k}", before if k in (0, parts) else now, repeats) for k in range(parts + 1)]
        found = named(answered(rng, "after", now, repeats), arms)
        guilty += found[0] == "better"
        beside += any(one != "open" for one in found[1:-1])
    limit = 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    yield Row(f"an innocent component is named, the code did it, {name}", innocent / runs, "at most 5%", innocent / runs <= limit)  # fmt: skip
    yield Row(f"an innocent one is named beside the guilty one, {name}", beside / runs, "at most 5%", beside / runs <= limit)  # fmt: skip
    yield Row(f"the guilty one is named ({DROP:.0%} worse), {name}", guilty / runs)


def by_chance(rng: np.random.Generator, runs: int, cases: int, repeats: int, parts: int) -> Row:
    """Nothing changed at all, and the later version was shown to be worse by chance: it was asked about only for that."""
    hits = used = tried = 0
    while used < max(20, runs // 5):
        tried += 1
        right = rng.beta(0.6, 0.4, cases)
        before, after = (answered(rng, ref, right, repeats) for ref in ("before", "after"))
        fewer = sum(one.scores["exact"][0] is True for one in before.runs) - sum(
            one.scores["exact"][0] is True for one in after.runs
        )
        if fewer < 0.5 * math.sqrt(cases * repeats) or named(before, [after]) != ["worse"]:
            continue
        used += 1
        hits += "better" in named(after, [answered(rng, f"arm {k}", right, repeats) for k in range(parts + 1)])[:-1]
    return Row(
        f"a component is blamed for what was chance ({used / tried:.1%} of versions without a change), {cases} cases, "
        f"{repeats} repeats, {parts} changed components",
        hits / used,
    )


def everything(runs: int, seed: int = 17) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [row for shape in SHAPES for row in simulated(rng, runs, *shape)]


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    found = everything(runs)
    rng = np.random.default_rng(18)
    found += [by_chance(rng, runs, *shape) for shape in SHAPES]
    print(f"| {runs} runs, seed 17 | share | held to | |\n|---|---|---|---|")
    for row in found:
        print(f"| {row.what} | {row.share:.1%} | {row.goal} | {'holds' if row.holds else 'MISSED'} |")
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
