"""How often `afere stability` calls a noisy but indifferent target unstable, and how often it finds one that is not.

`python benchmarks/stability_simulated.py`: 2 repeats, 6 kinds of change taken together at 5% (Holm). No target runs: answers
are drawn, each case with its own chance to be right.
"""

from __future__ import annotations

import itertools
import random

from afere.evals import stats
from afere.evals.stability.steady import ALPHA, Held, Steadiness, estimate

KINDS, REPEATS = 6, 2


def main() -> None:
    rng = random.Random(11)
    for low, high in ((0.0, 0.05), (0.2, 0.8), (0.0, 1.0)):
        for n, times in ((20, 1000), (40, 1000), (200, 400)):
            wrong = 0
            for _ in range(times):
                chances = [rng.uniform(low, high) for _ in range(n)]
                wrong += any(_stand([[_beyond(p, p, rng) for p in chances] for _ in range(KINDS)]))
            print(f"indifferent, right with {low:g} to {high:g}, {n} cases: called unstable in {wrong / times:.1%}")
    for n, turned in itertools.product((40, 100, 200), (0.0, 0.1, 0.2)):
        answers = [_ruled(n, turned, 0.9, rng) for _ in range(400)]
        said = ", ".join(f"{one} {answers.count(one) / 400:.1%}" for one in ("pass", "open", "fail"))
        print(f"stability >= 0.9, every change turns {turned:.0%} of {n} cases: {said}")
    for n, share in itertools.product((40, 100), (0.1, 0.2, 0.3)):
        found = covered = 0
        for _ in range(300):
            after = [0.1 if rng.random() < share else 0.9 for _ in range(n)]
            kinds = [
                [_beyond(0.9, p, rng) for p in after],
                *([_beyond(0.9, 0.9, rng) for _ in after] for _ in range(KINDS - 1)),
            ]
            found += _stand(kinds)[0]
            ends = estimate(kinds[0], [str(i) for i in range(n)])
            covered += (ends.low or 0.0) <= share * 0.8**2 <= (ends.high or 0.0)
        print(f"{share:.0%} of {n} cases turned: found in {found / 300:.0%}, 90% interval right in {covered / 300:.0%}")


def _ruled(n: int, turned: float, share: float, rng: random.Random) -> str:
    """The answer of the rule for a target that is right in 95%, of which every change turns so many cases for good."""
    held: list[Held] = []
    for kind in range(KINDS):
        moved: list[tuple[float, str]] = []
        for case in range(n):
            if rng.random() < turned:
                moved.append((1.0, str(case)))
            else:
                moved.append((_beyond(0.95, 0.95, rng), str(case)))
        ends = estimate([one for one, _ in moved], [cluster for _, cluster in moved])
        held.append(Held(f"change {kind}", "exact", 0.0, 0.0, ends, n, moved=tuple(moved)))
    return Steadiness("experiment:1", tuple(held), (), ("exact",), n, REPEATS, 0).keeps(">=", share).answer


def _beyond(p: float, q: float, rng: random.Random) -> float:
    """Of one case: right with p as it is, with q when changed."""
    y, z = ([rng.random() < chance for _ in range(REPEATS)] for chance in (p, q))
    across = sum(a != b for a in y for b in z) / REPEATS**2
    own = [sum(a != b for a, b in itertools.combinations(one, 2)) / (REPEATS * (REPEATS - 1) / 2) for one in (y, z)]
    return across - sum(own) / 2


def _stand(kinds: list[list[float]]) -> list[bool]:
    clusters = [str(i) for i in range(len(kinds[0]))]
    lows = [lambda level, b=b: (estimate(b, clusters, level=1 - 2 * level).low or 0.0) > 0 for b in kinds]
    return [stood for stood, _ in stats.holm_bounds(lows, ALPHA)]


if __name__ == "__main__":
    main()
