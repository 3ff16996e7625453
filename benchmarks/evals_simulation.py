"""How often is the gate wrong? Simulated evaluations whose truth is known, with a fixed seed.

    python benchmarks/evals_simulation.py [RUNS]

Every figure comes from the functions that decide in a gate. 500 runs take seconds, 5,000 some minutes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from afere.evals import stats

MARGIN, BETTER, N = 0.05, 0.05, 200


@dataclass(frozen=True)
class Row:
    """One figure: what was simulated, what came out, and what it is held to."""

    what: str
    share: float
    goal: str
    holds: bool


def drawn(rng: np.random.Generator, runs: int, drop: float, size: int = 1, repeats: int = 1, n: int = N) -> np.ndarray:
    """Differences of `runs` evaluations of n cases, 5% better and 5% + drop worse, in clusters of `size` that share 60%."""
    shared = np.repeat(rng.random((runs, n // size)), size, axis=1)
    own = rng.random((runs, n))
    u = np.where(rng.random((runs, n)) < (0.4 if size > 1 else 1.0), own, shared)
    change = np.where(u < BETTER + drop, -1.0, np.where(u < 2 * BETTER + drop, 1.0, 0.0))
    if repeats == 1:
        return change
    # Every repeat of a case draws anew with half of its luck; what is compared is the mean over the repeats.
    again = np.where(rng.random((repeats, runs, n)) < 0.5, rng.random((repeats, runs, n)), u)
    each = np.where(again < BETTER + drop, -1.0, np.where(again < 2 * BETTER + drop, 1.0, 0.0))
    return each.mean(axis=0)


def estimates(changes: np.ndarray, size: int, level: float = stats.LEVEL) -> list[stats.Estimate]:
    clusters = np.repeat(np.arange(changes.shape[1] // size), size).tolist()
    zeros = [0.0] * changes.shape[1]
    return [stats.difference(zeros, one.tolist(), clusters, rate=True, level=level) for one in changes]


def gate(runs: int, rng: np.random.Generator) -> Iterator[Row]:
    """False blocks, passes at the margin, power and coverage of the paired gate."""
    for size, repeats in ((1, 1), (5, 1), (10, 1), (1, 3), (5, 3), (10, 3)):
        grouped = f", clusters of {size}" if size > 1 else ""
        name = f"n = {N}{grouped}" + (f", {repeats} repeats" if repeats > 1 else "")
        by_drop = {drop: estimates(drawn(rng, runs, drop, size, repeats), size) for drop in (0.0, MARGIN, 0.10)}
        blocked = sum(stats.not_worse(one, MARGIN).answer == "fail" for one in by_drop[0.0]) / runs
        passed = sum(stats.not_worse(one, MARGIN).answer == "pass" for one in by_drop[MARGIN]) / runs
        yield Row(f"unchanged is blocked, {name}", blocked, "at most 5%", blocked <= 0.05 + noise(runs))
        yield Row(f"exactly at the margin passes, {name}", passed, "at most 5%", passed <= 0.05 + noise(runs))
        for drop, found in by_drop.items():
            covered = sum((one.low or 0) <= -drop <= (one.high or 0) for one in found) / runs
            yield Row(
                f"90% interval holds the truth ({drop:.0%}), {name}", covered, "88 to 92%", abs(covered - 0.9) <= 0.02 + noise(runs, 0.1)
            )  # fmt: skip
        for drop in (MARGIN, 0.10):
            error = float(drawn(rng, 4000, drop, size, repeats).mean(axis=1).std())
            theory = stats.power(1, error, drop)
            seen = sum((one.high or 0) < 0 for one in by_drop[drop]) / runs
            yield Row(
                f"a drop of {drop:.0%} is seen, {name}", seen, f"formula {theory:.1%}, within 3 points",
                abs(seen - theory) <= 0.03 + noise(runs, theory),
            )  # fmt: skip


def noise(runs: int, share: float = 0.05) -> float:
    """Two standard errors of a simulated share."""
    return 2 * math.sqrt(max(0.05, share) * (1 - share) / runs) if share < 1 else 0.0


def family(runs: int, rng: np.random.Generator, metrics: int = 20) -> Row:
    """Twenty unchanged measures of the same cases: is any blocked after Holm?"""
    blocked = 0
    for _ in range(runs):
        changes = drawn(rng, metrics, 0.0)
        mean, error = changes.mean(axis=1), changes.std(axis=1, ddof=1) / math.sqrt(N)

        def worse(i: int, mean: np.ndarray = mean, error: np.ndarray = error):
            return lambda share: mean[i] + stats_t(share) * error[i] < 0

        blocked += any(stands for stands, _ in stats.holm_bounds([worse(i) for i in range(metrics)]))
    share = blocked / runs
    return Row(
        f"any of {metrics} unchanged measures is blocked, Holm", share, "at most 6%", share <= 0.06 + noise(runs)
    )


def stats_t(share: float) -> float:
    from afere.evals.stats.distributions import t_quantile

    return t_quantile(1 - share, N - 1)


def early(runs: int, rng: np.random.Generator, kind: str, drop: float, *, n: int = 400) -> tuple[float, float, float]:
    """Share blocked, share passed, and cases used of n, when it is looked at while it runs."""
    blocked = passed = used = 0
    shares = (0.2, 0.4, 0.6, 0.8, 1.0)
    levels = stats.look_levels(shares)
    looks = [math.ceil(n * share) for share in shares]
    if kind == "anytime":
        looks = [10]
        while looks[-1] < n:
            looks.append(min(n, math.ceil(looks[-1] * 1.1)))
    for changes in drawn(rng, runs, drop, n=n):
        verdict, seen = "open", 0
        for k, seen in enumerate(looks):
            part = changes[:seen].tolist()
            if kind == "anytime":
                found = stats.anytime(part, -1, 1, bounds=(-MARGIN, 0.0))
                found = stats.Estimate(
                    found.value,
                    (found.low or -1.0) + (1e-9 if found.low == -MARGIN else 0),
                    (found.high or 1.0) if found.high != 0.0 else -1e-9,
                    seen,
                    seen,
                )
            else:
                found = stats.difference([0.0] * seen, part, range(seen), rate=True, level=1 - 2 * levels[k])
            verdict = stats.not_worse(found, MARGIN).answer
            if verdict != "open":
                break
        blocked += verdict == "fail"
        passed += verdict == "pass"
        used += seen
    return blocked / runs, passed / runs, used / runs / n


def stopping(runs: int, rng: np.random.Generator) -> Iterator[Row]:
    for kind in ("group-sequential", "anytime"):
        blocked, _, used = early(runs, rng, kind, 0.0)
        yield Row(
            f"{kind}: unchanged is blocked, {used:.0%} of the cases used",
            blocked,
            "at most 5%",
            blocked <= 0.05 + noise(runs),
        )
        _, passed, used = early(runs, rng, kind, MARGIN)
        yield Row(f"{kind}: at the margin passes, {used:.0%} used", passed, "at most 5%", passed <= 0.05 + noise(runs))
        blocked, _, used = early(runs, rng, kind, 4 * MARGIN)
        yield Row(
            f"{kind}: a drop of {4 * MARGIN:.0%} is blocked with {used:.0%} of the cases",
            blocked,
            "under half of the cases",
            used < 0.5 and blocked > 0.9,
        )


def few_labels(runs: int, rng: np.random.Generator) -> Row:
    """PPI++ with 100 labels and 1,000 verdicts of a judge that is right in 85% of cases."""
    covered = 0
    for _ in range(runs):
        truth = (rng.random(1100) < 0.7).astype(float)
        judge = np.where(rng.random(1100) < 0.85, truth, 1 - truth)
        found = stats.prediction_powered(truth[:100].tolist(), judge[:100].tolist(), judge[100:].tolist()).estimate
        covered += (found.low or 0) <= 0.7 <= (found.high or 0)
    share = covered / runs
    return Row(
        "90% interval from 100 labels and 1,000 verdicts holds the truth",
        share,
        "88 to 92%",
        abs(share - 0.9) <= 0.02 + noise(runs, 0.1),
    )


def everything(runs: int, seed: int = 11) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [*gate(runs, rng), family(runs, rng), *stopping(runs, rng), few_labels(runs, rng)]


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    found = everything(runs)
    print(f"| {runs} runs, seed 11 | share | held to | |\n|---|---|---|---|")
    for row in found:
        print(f"| {row.what} | {row.share:.1%} | {row.goal} | {'holds' if row.holds else 'MISSED'} |")
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
