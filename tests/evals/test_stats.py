"""Statistics against published and library values, and by the error rates they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from afere.evals import stats
from afere.evals.stats.distributions import beta_cdf, beta_quantile, binomial_cdf, normal_quantile, t_cdf, t_quantile


def test_distributions_agree_with_scipy() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.6448536269514722)
    for freedom in (1, 2, 9, 29, 200, 9999):
        for p in (0.01, 0.3, 0.95, 0.975, 0.999):
            assert t_quantile(p, freedom) == pytest.approx(scipy.stats.t.ppf(p, freedom), rel=1e-7)
            x = scipy.stats.t.ppf(p, freedom)
            assert t_cdf(x, freedom) == pytest.approx(p, abs=1e-10)
    for a, b, x in ((0.5, 0.5, 0.1), (3, 70, 0.02), (400, 2, 0.999), (2000.5, 1800, 0.52)):
        assert beta_cdf(x, a, b) == pytest.approx(scipy.stats.beta.cdf(x, a, b), abs=1e-11)
        assert beta_quantile(0.05, a, b) == pytest.approx(scipy.stats.beta.ppf(0.05, a, b), abs=1e-9)
    assert binomial_cdf(3, 10) == pytest.approx(0.171875)


@pytest.mark.parametrize("freedom", [59.0, 59.00000000000002, 58.99999999999998])
def test_a_quantile_ends_where_rounding_puts_the_first_guess_on_the_border(freedom: float) -> None:
    for p in (0.9, 0.95, 0.9500000000000001, 0.975):
        assert t_quantile(p, freedom) == pytest.approx(scipy.stats.t.ppf(p, freedom), rel=1e-7)


def test_cases_that_all_say_the_same_prove_no_more_than_as_many_of_a_rate() -> None:
    for n in (2, 20, 200):
        seen = stats.clustered_mean([0.5] * n, range(n))
        found = stats.unseen(seen, 0.0, 1.0)
        unlikely = stats.wilson(0, n)[1]  # of as many, none differed
        assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - unlikely / 2, 0.5 + unlikely / 2))
    some = stats.clustered_mean([0.5, 0.6, 0.4], range(3))
    assert stats.unseen(some, 0.0, 1.0) == some  # what has a spread says how wide it is itself
    alone = stats.clustered_mean([0.5], range(1))
    assert stats.unseen(alone, 0.0, 1.0) == alone  # of one case nothing can be said


def test_intervals_of_one_rate_agree_with_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 15 of 148, 95%
    assert stats.wilson(81, 263, level=0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert stats.exact_rate(81, 263, level=0.95) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert stats.wilson(15, 148, level=0.95) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert stats.exact_rate(0, 20, level=0.95) == pytest.approx((0.0, 0.1684), abs=5e-5)


def test_a_mean_without_clusters_is_the_t_interval_and_with_them_the_clustered_one() -> None:
    values = [0.2, 0.4, 0.9, 0.7, 0.1]
    low, high = scipy.stats.t.interval(0.9, 4, np.mean(values), scipy.stats.sem(values))
    estimate = stats.clustered_mean(values, range(5))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    # by hand: clusters {1, 2} and {3, 4}, m = 2.5, sums -2 and 2: se = sqrt(2/1 * 8) / 4 = 1
    clustered = stats.clustered_mean([1, 2, 3, 4], ["a", "a", "b", "b"])
    assert clustered.high == pytest.approx(2.5 + t_quantile(0.95, 1))
    # a weight of 2 is the same case twice, but for the degrees of freedom: one heavy value is less sure than two that agree
    weighted = stats.clustered_mean([1, 2, 4], [0, 1, 2], weights=[2, 1, 1])
    twice = stats.clustered_mean([1, 1, 2, 4], [0, 0, 1, 2])
    assert weighted.value == twice.value
    assert weighted.low is not None
    assert twice.low is not None
    assert weighted.low < twice.low


def test_clusters_of_unequal_size_have_the_degrees_of_freedom_of_satterthwaite() -> None:
    """By the matrices of Bell and McCaffrey (2002), and by how often the interval holds the truth."""
    sizes = [60, *[3] * 19]
    clusters = np.repeat(np.arange(20), sizes)
    n = len(clusters)
    member = (clusters[:, None] == np.arange(20)).astype(float)  # n x C
    share = np.array(sizes) / n
    each = (member - share) / n @ np.diag((1 - share) ** -0.5)  # the squared error is |each' x|^2: centred, CR2
    values = np.random.default_rng(3).normal(size=n)
    eigen = np.linalg.eigvalsh(each.T @ (np.eye(n) - np.ones((n, n)) / n) @ each)
    freedom = eigen.sum() ** 2 / (eigen**2).sum()
    found = stats.clustered_mean(values.tolist(), clusters.tolist())
    error = math.sqrt(float(((each.T @ (values - values.mean())) ** 2).sum()))
    assert found.high is not None
    assert found.high - values.mean() == pytest.approx(t_quantile(0.95, freedom) * error, rel=1e-6)
    assert 3 < freedom < 4  # not 19: nearly all that is known comes from one cluster
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(600):
        drawn = math.sqrt(0.2) * rng.normal(size=20)[clusters] + math.sqrt(0.8) * rng.normal(size=n)
        one = stats.clustered_mean(drawn.tolist(), clusters.tolist())
        covered += (one.low or 0) <= 0 <= (one.high or 0)
    assert 0.84 <= covered / 600 <= 0.93  # with C - 1 degrees and equal shares it was 0.65


def test_repeats_that_agree_add_no_evidence() -> None:
    once = stats.clustered_rate([1.0] * 15 + [0.0] * 5, range(20))
    thrice = stats.clustered_rate(([1.0] * 15 + [0.0] * 5) * 3, [*range(20)] * 3)
    assert thrice.value == once.value == 0.75
    assert thrice.high is not None
    assert once.high is not None
    assert thrice.high - 0.75 >= once.high - 0.75
    assert once.low == pytest.approx(stats.wilson(15, 20)[0])
    perfect = stats.clustered_rate([1.0] * 60, [*range(20)] * 3)
    assert perfect.low is not None
    assert perfect.low <= stats.wilson(20, 20)[0]


def test_a_quantile_lies_between_order_statistics_that_bound_it() -> None:
    median = stats.quantile(range(1, 21), 0.5)
    assert (median.value, median.low, median.high) == (10, 6, 15)  # P(Bin(20, 1/2) <= 5) = 0.0207, <= 6: 0.0577
    assert stats.quantile(range(58), 0.95).high is None
    assert stats.quantile(range(59), 0.95).high == 58
    repeated = stats.quantile(
        [float(i) for i in range(20) for _ in range(3)], 0.5, clusters=[i for i in range(20) for _ in range(3)]
    )
    assert (repeated.low, repeated.high) == (5.0, 14.0)


def test_paired_tests_agree_with_exact_values() -> None:
    assert stats.mcnemar(9, 1).exact == pytest.approx(0.021484375)
    assert stats.mcnemar(9, 0).exact == pytest.approx(0.00390625)
    assert stats.mcnemar(3, 1).exact == pytest.approx(0.625)
    assert stats.mcnemar(9, 1).mid == pytest.approx(0.01171875)
    # Of as many wins as losses: 1 - half the probability of the split (Fagerland et al. 2013, supplement).
    assert stats.mcnemar(20, 20).mid == pytest.approx(1 - scipy.stats.binom.pmf(20, 40, 0.5) / 2)
    assert stats.mcnemar(0, 0) == stats.McNemar(1.0, 1.0)
    assert stats.sign_test([1, 2, 0, -1, 3]) == pytest.approx(0.625)
    for sample in ([1, 2, 3, -4, 5, 6, 7.5], [0.3, -0.1, 0.7, 0.9, 1.3, -0.2, 2.2, 0.4]):
        assert stats.wilcoxon(sample) == pytest.approx(scipy.stats.wilcoxon(sample).pvalue)
    tied = [1, 1, 2, -1, 3, 3, -2, 4, 5, 1, 2, 2]
    expected = scipy.stats.wilcoxon(tied, correction=True, method="asymptotic").pvalue
    assert stats.wilcoxon(tied) == pytest.approx(expected)


def test_repeats_power_and_holm_agree_with_published_formulas() -> None:
    assert stats.pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert stats.pass_at_k(10, 3, 5) == pytest.approx(1 - math.comb(7, 5) / math.comb(10, 5))
    assert stats.pass_hat_k(10, 8, 3) == pytest.approx(math.comb(8, 3) / math.comb(10, 3))
    assert stats.pass_at_k(2, 1, 3) is None
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    n = stats.cases_needed(0.5, 0.1)
    assert n == 155  # ((1.6449 + 0.8416) * 5)^2 = 154.6
    assert stats.power(n, 0.5, 0.1) == pytest.approx(0.8, abs=0.002)
    rng = np.random.default_rng(4)
    cases = rng.normal(0, 2, 800)[:, None] + rng.normal(0, 1, (800, 4))
    split = stats.variance_split(cases.tolist())
    assert split is not None
    assert (split.case, split.sampling) == pytest.approx((4, 1), rel=0.15)


def test_a_threshold_prints_what_is_proven_and_how_much_is_missing() -> None:
    at_90 = stats.clustered_rate([1.0] * 90 + [0.0] * 10, range(100))
    assert stats.threshold(at_90, ">=", 0.8).says == "proven >= 0.8"
    assert stats.threshold(at_90, ">=", 0.97).says == "proven < 0.97"
    assert stats.threshold(at_90, "<", 0.97).answer == "pass"
    verdict = stats.threshold(at_90, ">=", 0.87)
    assert at_90.low is not None
    assert verdict.needs == math.ceil(100 * ((0.9 - at_90.low) / 0.03) ** 2 - 100)
    assert verdict.says == f"open: needs about {verdict.needs} more"
    assert stats.threshold(stats.clustered_rate([1.0] * 9, range(9)), ">=", 0.1).says == "open: needs about 1 more"


def test_a_sure_drop_within_the_margin_passes_and_says_so() -> None:
    slightly = stats.difference([1.0] * 1000, [0.0] * 10 + [1.0] * 990, range(1000), rate=True)
    assert stats.not_worse(slightly, 0.05).says == "worse by less than 0.05"
    assert stats.not_worse(slightly, 0.005).says == "proven worse"
    agreeing = stats.difference([1.0] * 20, [1.0] * 20, range(20), rate=True)
    assert stats.not_worse(agreeing, 0.05).answer == "open"  # 20 pairs that agree do not exclude a 5-point drop
    assert stats.not_worse(agreeing, 0.15).answer == "pass"


def _pairs(rng: np.random.Generator, n: int, worse: float, better: float, size: int) -> list[float]:
    """Differences of 0/1 outcomes; clusters of `size` share most of their outcomes."""
    shared = np.repeat(rng.random(n // size), size)
    u = np.where(rng.random(n) < (0.4 if size > 1 else 0), rng.random(n), shared)
    return np.where(u < worse, -1.0, np.where(u < worse + better, 1.0, 0.0)).tolist()


@pytest.mark.parametrize("size", [1, 5, 10])
@pytest.mark.parametrize(("n", "extra"), [(100, 0.05), (200, 0.02), (300, 0.1)])
def test_the_gate_keeps_its_error_rates(n: int, extra: float, size: int) -> None:
    """Unchanged versions are blocked, and versions exactly at the margin pass, at most 6 times in 100 (nominal 5)."""
    rng = np.random.default_rng([n, size])
    margin, runs = 0.05, 1000
    clusters = np.repeat(np.arange(n // size), size).tolist()
    blocked = passed = covered = 0
    for _ in range(runs):
        same = stats.difference([0.0] * n, _pairs(rng, n, extra, extra, size), clusters, rate=True)
        edge = stats.difference([0.0] * n, _pairs(rng, n, extra + margin, extra, size), clusters, rate=True)
        blocked += stats.not_worse(same, margin).answer == "fail"
        passed += stats.not_worse(edge, margin).answer == "pass"
        covered += (same.low or 0) <= 0 <= (same.high or 0)
    noise = 2 * math.sqrt(0.05 * 0.95 / runs)
    assert blocked / runs <= 0.06 + noise
    assert passed / runs <= 0.06 + noise
    assert covered / runs >= 0.88


@pytest.mark.parametrize("size", [1, 5])
def test_90_percent_intervals_cover_90_percent(size: int) -> None:
    rng = np.random.default_rng(size)
    n, runs, truth = 300, 2000, 0.7
    clusters = np.repeat(np.arange(n // size), size).tolist()
    rates = means = quantiles = 0
    for _ in range(runs):
        own, shared = rng.random(n), np.repeat(rng.random(n // size), size)
        u = np.where(rng.random(n) < 0.5, own, shared) if size > 1 else own
        rate = stats.clustered_rate((u < truth).astype(float).tolist(), clusters)
        mean = stats.clustered_mean(u.tolist(), clusters)
        rates += rate.low <= truth <= rate.high  # type: ignore[operator]
        means += mean.low <= 0.5 <= mean.high  # type: ignore[operator]
        if size == 1:
            median = stats.quantile(u.tolist(), 0.5)
            quantiles += median.low <= 0.5 <= median.high  # type: ignore[operator]
    assert 0.88 <= rates / runs <= 0.92
    assert 0.88 <= means / runs <= 0.92
    assert size > 1 or 0.88 <= quantiles / runs <= 0.93


@pytest.mark.parametrize(
    ("rate", "count", "size", "repeats"), [(0.9, 20, 10, 1), (0.9, 20, 10, 3), (0.95, 40, 5, 1), (0.7, 20, 10, 1)]
)
def test_a_rate_at_the_edge_of_a_rule_seldom_passes_with_few_groups(
    rate: float, count: int, size: int, repeats: int
) -> None:
    rng = np.random.default_rng([count, repeats])
    runs, groups = 600, np.repeat(np.arange(count), size)
    above = below = 0
    for _ in range(runs):
        luck = np.where(rng.random(count * size) < 0.6, rng.random(count)[groups], rng.random(count * size))
        again = rng.random((count * size, repeats))
        each = np.where(rng.random(again.shape) < (0.5 if repeats > 1 else 0.0), again, luck[:, None]) < rate
        found = stats.clustered_rate(each.ravel().astype(float).tolist(), np.repeat(groups, repeats).tolist())
        above += (found.low or 0.0) > rate
        below += (found.high or 1.0) < rate
    noise = 2 * math.sqrt(0.05 * 0.95 / runs)
    assert above / runs <= 0.06 + noise and below / runs <= 0.06 + noise
    assert (above + below) / runs <= 0.12 + noise


@pytest.mark.parametrize("drop", [0.05, 0.1])
def test_the_gate_has_the_power_of_the_formula(drop: float) -> None:
    rng = np.random.default_rng(7)
    n, better, runs = 200, 0.05, 1000
    worse = better + drop
    spread = math.sqrt(worse + better - drop**2)
    seen = sum(
        (stats.difference([0.0] * n, _pairs(rng, n, worse, better, 1), range(n), rate=True).high or 0) < 0
        for _ in range(runs)
    )
    assert seen / runs == pytest.approx(stats.power(n, spread, drop), abs=0.03 + 1.5 * math.sqrt(0.25 / runs))


def test_a_threshold_on_a_rate_at_its_edge_passes_at_most_6_times_in_100() -> None:
    for n in (30, 50, 100, 200, 500):
        for edge in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
            enough = next((k for k in range(n + 1) if stats.wilson(k, n)[0] >= edge), n + 1)
            assert scipy.stats.binom.sf(enough - 1, n, edge) <= 0.06
