"""Agreement, ranking, few labels, families, early stopping, bootstrap, nested noise: against published or library values,
each with its origin."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats

from afere.base.errors import BadInput
from afere.evals import stats
from afere.evals.results import Result, Results, difference


def test_alpha_agrees_with_krippendorff() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", data of 4 observers and 12 units, with gaps
    a = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
    b = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
    c = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
    d = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]
    units = list(zip(a, b, c, d, strict=True))
    assert stats.krippendorff(units).value == pytest.approx(0.743, abs=5e-4)
    assert stats.krippendorff(units, scale="ordinal").value == pytest.approx(0.815, abs=5e-4)
    interval = stats.krippendorff(units, scale="interval")
    assert interval.value == pytest.approx(0.849, abs=5e-4)
    assert interval.n == 11  # the twelfth was rated once
    assert interval.low is not None and interval.high is not None
    assert interval.low < 0.849 < interval.high


def test_kappas_agree_with_published_values() -> None:
    # Fleiss' example, 14 raters of 10 subjects in 5 categories: 0.210 (also statsmodels.stats.inter_rater.fleiss_kappa)
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    units = [[label for label, k in enumerate(row) for _ in range(k)] for row in table]
    assert stats.fleiss(units).value == pytest.approx(0.2099, abs=5e-5)
    with pytest.raises(BadInput, match="equally many ratings"):
        stats.fleiss([["a", "b"], ["a"]])
    # by hand: agree 35 of 50, by chance 0.5: (0.7 - 0.5) / 0.5
    x, y = ["y"] * 25 + ["n"] * 25, ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    kappa = stats.cohen(x, y)
    assert (kappa.value, kappa.raw) == (pytest.approx(0.4), pytest.approx(0.7))
    assert kappa.by_label["y"] == pytest.approx(2 * 20 / 55)
    # by hand: observed (0+1+0+0+4+0)/6, expected 50/6 + 43/6 - 2 (16/6)(15/6), so 1 - (5/6) / (13/6)
    assert stats.cohen([1, 2, 3, 4, 4, 2], [1, 3, 3, 4, 2, 2], weights="quadratic").value == pytest.approx(8 / 13)
    assert stats.cohen(["a"] * 9, ["a"] * 9).value is None  # one label only: agreement by chance is certain
    with pytest.raises(BadInput, match="order"):
        stats.cohen(["low", "high"], ["low", "high"], weights="linear")
    assert stats.cohen(["low", "high"], ["low", "high"], weights="linear", order=["low", "high"]).value == 1


# Dawid, Skene 1979, table 1: 45 patients; anaesthetist 1 three times, then 2 to 5
_PATIENTS = """1111111 3334344 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111
2223212 1211111 1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111
1111111 1121121 1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222
1211111 2222222"""


def test_the_likeliest_truth_agrees_with_dawid_and_skene() -> None:
    raters = ["1", "1", "1", "2", "3", "4", "5"]
    votes = [
        (f"p{i}", rater, int(said))
        for i, line in enumerate(_PATIENTS.split(), 1)
        for rater, said in zip(raters, line, strict=True)
    ]
    truth = stats.dawid_skene(votes, smoothing=0)
    # their table 2: the estimated shares 0.40, 0.42, 0.11, 0.07
    assert [round(truth.prevalence[k], 2) for k in (1, 2, 3, 4)] == [0.4, 0.42, 0.11, 0.07]
    assert truth.confusion["1"][1][1] == pytest.approx(0.89, abs=0.005)
    assert truth.label("p36") == 4
    with pytest.raises(BadInput):
        stats.dawid_skene([])


def test_strengths_agree_with_agresti() -> None:
    # Agresti, Categorical Data Analysis, 10.6: American League East 1987; strengths relative to Baltimore
    names = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
    won = [
        [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
    ]  # fmt: skip
    games = [
        stats.Game(f"{i} {j} {k}", names[i], names[j], "first")
        for i in range(7) for j in range(7) for k in range(won[i][j])
    ]  # fmt: skip
    ranking = stats.bradley_terry(games, ridge=1e-9)
    found = {one.name: one for one in ranking.strengths}
    base = found["Baltimore"].value
    published = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0]
    assert [found[name].value - base for name in names] == pytest.approx(published, abs=1e-3)
    assert ranking.strengths[0].name == "Milwaukee"


def test_one_who_never_lost_is_finite_and_position_bias_is_seen() -> None:
    games = [stats.Game(str(i), "a", "b", "first") for i in range(20)]
    unbeaten = stats.bradley_terry(games).strengths[0]
    assert unbeaten.name == "a" and math.isfinite(unbeaten.value)
    swapped = [stats.Game(str(i), *pair, "first") for i in range(30) for pair in (("a", "b"), ("b", "a"))]
    biased = stats.bradley_terry(swapped)
    assert (biased.position.value, biased.flipped) == (1.0, 1.0)
    assert [one.value for one in biased.strengths] == pytest.approx([0, 0], abs=1e-6)
    drawn = stats.bradley_terry([stats.Game(str(i), "a", "b", "draw") for i in range(9)])
    assert (drawn.draws, drawn.position.n, drawn.flipped) == (9, 0, None)
    with pytest.raises(BadInput, match="against itself"):
        stats.bradley_terry([stats.Game("p", "a", "a", "draw")])


def test_few_labels_with_many_verdicts_agree_with_the_formula_and_never_lose_to_labels_alone() -> None:
    human, judge = [1, 0, 1, 1, 0, 1, 0, 1], [1, 0, 1, 0, 0, 1, 1, 1]
    rest = [1.0] * 60 + [0.0] * 40
    found = stats.prediction_powered(human, judge, rest)
    y, f, n, m = np.array(human), np.array(judge), 100, 8
    weight = np.cov(y, f)[0, 1] / ((1 + m / n) * np.var([*judge, *rest], ddof=1))
    assert found.weight == pytest.approx(weight)
    assert found.estimate.value == pytest.approx(weight * 0.6 + (y - weight * f).mean())
    error = math.sqrt(weight**2 * np.var(rest, ddof=1) / n + np.var(y - weight * f, ddof=1) / m)
    assert found.estimate.high == pytest.approx(found.estimate.value + scipy.stats.t.ppf(0.95, 7) * error)
    assert not found.decides
    with pytest.raises(BadInput, match="at least 2"):
        stats.prediction_powered([1], [1], rest)
    # Rogan, Gladen 1978: apparent rate 0.2, sensitivity 0.9, specificity 0.95: (0.2 + 0.95 - 1) / 0.85
    true = stats.rogan_gladen(200, 1000, 90, 100, 190, 200)
    assert true.value == pytest.approx(0.15 / 0.85)
    assert stats.rogan_gladen(5, 10, 5, 10, 5, 10).value is None


def test_families_agree_with_scipy_and_statsmodels() -> None:
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]  # Benjamini, Hochberg 1995 style
    assert stats.benjamini_hochberg(p) == pytest.approx(scipy.stats.false_discovery_control(p, method="bh"))
    assert stats.benjamini_yekutieli(p) == pytest.approx(scipy.stats.false_discovery_control(p, method="by"))
    # statsmodels.stats.multitest.multipletests(p, method="holm")
    assert stats.holm(p)[:4] == pytest.approx([0.01, 0.072, 0.312, 0.312])
    assert stats.e_bh([100, 30, 1, 0.5], alpha=0.1) == [True, True, False, False]
    assert stats.e_bh([], alpha=0.1) == []

    def below(value: float):
        return lambda level: value <= level

    stands = [found for found, _ in stats.holm_bounds([below(value) for value in p])]
    assert stands == [adjusted <= 0.05 for adjusted in stats.holm(p)]


def test_boundaries_agree_with_lan_and_demets() -> None:
    # O'Brien-Fleming type spending, one-sided 0.025, five looks: 4.877 3.357 2.680 2.290 2.031 (Reboussin et al. 2000)
    levels = stats.look_levels((0.2, 0.4, 0.6, 0.8, 1.0), 0.025)
    z = [NormalDist().inv_cdf(1 - level) for level in levels]
    assert z == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)
    assert stats.look_levels((1.0,), 0.05)[0] == pytest.approx(0.05)
    assert stats.spent(0) == 0 and stats.spent(1) == pytest.approx(0.05)


def test_evidence_is_the_mean_over_bets() -> None:
    gains = [0.3, -0.2, 0.5]
    bets = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    direct = np.mean([np.prod([1 + bet / 0.8 * g for g in gains]) for bet in bets])
    assert stats.evidence(gains, 0.8) == pytest.approx(math.log(direct))
    assert stats.anytime([], 0, 1).value is None
    wide, narrow = stats.anytime([0.5] * 10, 0, 1), stats.anytime([0.5] * 200, 0, 1)
    assert (wide.high or 0) - (wide.low or 0) > 3 * ((narrow.high or 0) - (narrow.low or 0))


def test_the_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).exponential(1, 50)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, confidence_level=0.9, method="BCa", n_resamples=9999, random_state=np.random.default_rng(1)
    ).confidence_interval
    ours = stats.bca([float(x) for x in values], lambda some: sum(some) / len(some), draws=4000)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert stats.bca([1.0], lambda some: some[0]).low is None
    assert stats.bca([2.0] * 9, lambda some: sum(some) / len(some)).high == 2.0


def test_a_quantile_s_difference_is_the_same_with_numpy_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x = rng.lognormal(0, 0.5, 900)
    y = x + rng.normal(0.5, 0.1, 900)
    sides = (x.tolist(), np.arange(900) // 3), (y.tolist(), np.arange(900) // 3)
    plain = stats.quantile_difference(*sides, 0.5)
    monkeypatch.setattr("afere.evals.stats.bootstrap._PLAIN", 0)
    fast = stats.quantile_difference(*sides, 0.5)
    assert (fast.value, fast.clusters) == (plain.value, 300)
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    assert stats.quantile_difference(([1.0] * 50, range(50)), ([2.0] * 50, range(50)), 0.95).low is None  # 2.5 expected
    assert stats.quantile_difference(([], []), ([], []), 0.5).n == 0


def test_noise_of_cases_sampling_and_judge_is_told_apart() -> None:
    rng = np.random.default_rng(5)
    case = rng.normal(0, 2, (600, 1, 1))
    answer = rng.normal(0, 1, (600, 3, 1))
    verdict = rng.normal(0, 0.5, (600, 3, 2))
    split = stats.nested_variance((case + answer + verdict).tolist())
    assert split is not None
    assert (split.case, split.sampling, split.judge) == pytest.approx((4, 1, 0.25), rel=0.12)
    # by hand: mean squares of judge 1, of answers 10; (10 - 1) / 2
    small = stats.nested_variance([[[1, 3], [5, 7]], [[2, 2], [4, 4]]])
    assert small is not None
    assert (small.judge, small.sampling) == pytest.approx((1.0, (10 - 1) / 2))
    assert stats.nested_variance([[[1.0]], [[2.0]]]) is None
    assert stats.flaky({"a": [1, 1], "b": [1, 0, 0], "c": [0, 0], "d": [1, 0]}) == [("d", 1, 2), ("b", 1, 3)]


def test_repeats_and_cases_trade_off_as_in_miller() -> None:
    spread = stats.spread_with_repeats(0.05, 0.1, 0.1, 4)
    assert spread == pytest.approx(math.sqrt(0.1))
    n = stats.cases_needed(spread, 0.05)
    repeats = stats.repeats_needed(n, 0.05, 0.05, 0.1, 0.1)
    assert repeats == 4
    assert stats.repeats_needed(10, 0.05, 0.05, 0.1, 0.1) is None  # no number of repeats replaces cases
    assert stats.power(n, spread, stats.smallest_drop(n, spread)) == pytest.approx(0.8)


def test_a_pairwise_difference_of_draws_alone_has_a_width() -> None:
    """60 draws do not prove that two versions are equal, and more of them say more."""

    def drawn(n: int) -> float:
        runs = tuple(Result(f"e-{i}", "same", scores={"pair": (0.5, "")}) for i in range(n))
        series = Results("experiment:1", runs=runs).series("pair")
        found = difference(series, series, "experiment:2").estimate
        assert found.value == 0 and found.low is not None and found.high is not None
        assert found.low == -found.high
        return found.high

    assert 0.02 < drawn(600) * 5 < drawn(60) * 2 < 0.1
