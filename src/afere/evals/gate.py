"""Gate: what rules say about results. Plain functions of values; nothing is read or written here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from afere.base.artifact import parse_ref
from afere.base.decision import Answer, Ruling
from afere.base.errors import BadRule
from afere.base.filter import parse_filter
from afere.base.rule import BUILTIN, Rule
from afere.evals import stats
from afere.evals.results import Difference, Results, Series, difference
from afere.evals.select import FIELDS
from afere.evals.stats import Estimate, Verdict

MARGIN = 0.03  # of `not worse than` on a rate, where the rule names none: 3 points
STABILITY = "stability"
MISSING = 0.05  # with more than this share of scores unknown, what is known may be the easy part


@dataclass(frozen=True, slots=True)
class Missing:
    """There is nothing to compare with: why, and the command that makes it."""

    why: str


References = Mapping[str, Results | Missing]
Rows = Callable[[Rule], Collection[str] | None]  # the rows that a rule's `where` keeps; None: all


@dataclass(frozen=True, slots=True)
class Looks:
    """How the results came about: at a fixed number of cases, or looked at while they ran (see `stats.sequential`).

    `level` is that of the interval that decides; `anytime` ends hold however often one has looked.
    """

    level: float = stats.LEVEL
    anytime: bool = False


FIXED = Looks()


@dataclass(frozen=True)
class _Found:
    """A ruling, and where it compares, its difference (positive is better) at any level."""

    ruling: Ruling
    series: Series
    at: Callable[[float], Estimate] | None = None


def decide(
    rules: Sequence[Rule], results: Results, references: References, rows: Rows, *, known: Collection[str] = (),
    looks: Looks = FIXED,
) -> tuple[Ruling, ...]:  # fmt: skip
    """A ruling for each rule. `references` holds what the rules compare with, by the word they use.

    `known` rows are accepted failures: no rule looks at them, and each says how many it left out. Several `not worse
    than` rules are one family, in which a failure must stand by Holm's steps: else 20 unchanged measures would block more
    often than not. Passing needs no correction, since all must pass (an intersection-union test).
    """
    there = {run.row for run in results.runs}
    left_out = there & set(known)
    found: list[_Found] = []
    for rule in rules:
        kept = rows(rule)
        without = len(left_out if kept is None else left_out & set(kept))
        if without:
            kept = (there if kept is None else set(kept)) - left_out
        found.append(_known_said(_found(rule, results, references, kept, looks), without))
    return tuple(_at_most_open(one.ruling, one.series, results) for one in _as_family(found, (1 - looks.level) / 2))


def _known_said(found: _Found, without: int) -> _Found:
    if not without:
        return found
    text = f"{found.ruling.why}; {without} known failure{'s' if without > 1 else ''} left out"
    return replace(found, ruling=replace(found.ruling, why=text))


def _as_family(found: Sequence[_Found], alpha: float) -> list[_Found]:
    """Failures that stand among all comparisons of this gate; the others are open."""
    family = [(i, one.at) for i, one in enumerate(found) if one.at is not None]
    kept = list(found)
    if len(family) < 2:
        return kept

    def surely_worse(at: Callable[[float], Estimate]) -> Callable[[float], bool]:
        return lambda share: (at(1 - 2 * share).high or 0.0) < 0

    verdicts = stats.holm_bounds([surely_worse(at) for _, at in family], alpha)
    for (i, at), (stands, share) in zip(family, verdicts, strict=True):
        if kept[i].ruling.answer == "fail" and share < alpha:
            kept[i] = replace(kept[i], ruling=_held_to(kept[i].ruling, at(1 - 2 * share), share, len(family), stands))
    return kept


def _held_to(ruling: Ruling, estimate: Estimate, share: float, family: int, stands: bool) -> Ruling:
    """A failure with the interval that it is held to as one of several."""
    assert estimate.value is not None and estimate.low is not None and estimate.high is not None
    level = 1 - 2 * share
    flipped = ruling.value != estimate.value  # the ruling shows after - before, also where lower is better
    low, high = (-estimate.high, -estimate.low) if flipped else (estimate.low, estimate.high)
    ruling = replace(ruling, low=low, high=high, level=level)
    if stands:
        return replace(ruling, why=f"{ruling.why} ({level:.1%} interval: one of {family} comparisons, Holm)")
    more = stats.needs_more(estimate.n, estimate.high - estimate.value, -estimate.value)
    why = f"open: worse by its own 90% interval, but not proven as one of {family} comparisons (Holm, {level:.1%})"
    return replace(ruling, answer="open", needs=more, why=f"{why}: needs about {more} more" if more else why)


def about_stability(rule: Rule, names: Collection[str]) -> bool:
    """Whether a rule is about stability under harmless changes, which a run of its own tells; not where a scorer is so called."""
    return rule.measure.words[0] == STABILITY and STABILITY not in names


def _check_stability(rule: Rule, names: Collection[str]) -> None:
    """`stability >= 0.95` of all verdicts, `stability.exact >= 0.95` of one."""
    measure = ".".join(rule.measure.words[1:])
    if rule.op not in (">=", ">") or rule.measure.statistic or rule.where or not 0 <= (rule.amount or 0.0) <= 1:
        raise BadRule(
            f"{rule}: a rule about stability reads: stability >= 0.95, the share of verdicts that stays (0 to 1)."
        )
    if measure and measure not in names:
        raise BadRule(
            f"{rule}: there is no scorer {measure!r}. Write stability >= {rule.number}, or one of: {', '.join(names)}."
        )


def check(rule: Rule, names: Collection[str]) -> None:
    """BadRule if the rule cannot be decided for results with these measures, whatever they turn out to be."""
    measure = rule.measure
    if about_stability(rule, names) and not (rule.over or rule.windows):
        _check_stability(rule, names)
        return
    if rule.op == "at" or rule.over or rule.windows:
        raise BadRule(
            f"{rule}: drift, `over` and `for` are for alerts on what is live; a gate looks at one experiment."
        )
    if not any(measure.name == name or measure.name.startswith(f"{name}.") for name in names):
        near = get_close_matches(measure.name, list(names), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRule(f"{rule}: nothing is called {measure.name!r} here.{hint} Measures: {', '.join(names)}.")
    if rule.where:
        parse_filter(rule.where, fields=FIELDS)
    if rule.against is not None and rule.against != "baseline" and not rule.against.isdecimal():
        parse_ref(rule.against)
    if rule.against is not None and measure.statistic in ("sum", "count"):
        raise BadRule(
            f"{rule}: a sum or count is of one run, so it is not compared. Write {measure.name}.mean, or a threshold: {measure} <= NUMBER."
        )
    if measure.words[0] in BUILTIN and measure.words[0] != "errors":
        if rule.number and rule.number.endswith("%"):
            raise BadRule(f"{rule}: {measure.words[0]} is no rate. Write the number in its own unit, without %.")
        if rule.op == "not worse than" and rule.number is None:
            raise BadRule(f"{rule}: say how much worse is tolerable, in its own unit: ... by NUMBER.")


def _found(rule: Rule, results: Results, references: References, rows: Collection[str] | None, looks: Looks) -> _Found:
    name, value = rule.measure.split(results.names)
    series = results.series(name, value=value, rows=rows)
    if series.words and value is None and rule.measure.statistic not in ("count",):
        raise BadRule(
            f"{rule}: {name} is text. Name one of its values: {', '.join(f'{name}.{w}' for w in series.words)}."
        )
    if looks.anytime and (why := _unbounded(rule, series)):
        nothing = Estimate(None, None, None, 0, 0)
        return _Found(_written(rule, Verdict("open", why), nothing, series.missing, (results.ref,)), series)
    if rule.against is None:
        return _Found(_by_threshold(rule, series, results, looks), series)
    return _by_comparison(rule, series, results, references[rule.against], rows, looks)


def _unbounded(rule: Rule, series: Series) -> str:
    """Why bets say nothing of this measure; empty if they do."""
    statistic = rule.measure.statistic or "mean"
    if statistic in ("sum", "count"):
        return ""
    if statistic == "mean" and all(0 <= value <= 1 for value in series.values):
        return ""
    return "open: stopping at any time decides means of values from 0 to 1; for this, set stop: group-sequential"


def _by_threshold(rule: Rule, series: Series, results: Results, looks: Looks) -> Ruling:
    statistic, edge = rule.measure.statistic or "mean", rule.amount
    assert edge is not None  # the grammar gives every threshold a number
    estimate = _estimate(series, statistic, looks)
    if statistic in ("sum", "count"):
        verdict = _exactly(estimate, rule.op, edge)
    elif not series.values:
        verdict = Verdict("open", f"open: no scores ({series.why or 'no rows'})")
    else:
        verdict = stats.threshold(estimate, rule.op, edge)
    return _written(rule, verdict, estimate, series.missing, (results.ref,), looks.level)


def _estimate(series: Series, statistic: str, looks: Looks) -> Estimate:
    if not looks.anytime or statistic != "mean" or not series.values:
        return series.estimate(statistic, level=looks.level)
    sums: dict[str, list[float]] = {}
    for mean, cluster, _ in series.by_case.values():
        sums.setdefault(cluster, []).append(mean)
    units = [math.fsum(one) / len(one) for one in sums.values()]
    return replace(stats.anytime(units, 0.0, 1.0, level=looks.level), n=series.n)


def _exactly(estimate: Estimate, op: str, edge: float) -> Verdict:
    """A sum or count is what it is."""
    value = estimate.value if estimate.value is not None else 0.0
    holds = {">=": value >= edge, "<=": value <= edge, ">": value > edge, "<": value < edge}[op]
    return Verdict("pass" if holds else "fail", f"{value:g} is {'' if holds else 'not '}{op} {edge:g}")


def _by_comparison(
    rule: Rule,
    series: Series,
    results: Results,
    reference: Results | Missing,
    rows: Collection[str] | None,
    looks: Looks,
) -> _Found:
    name, value = rule.measure.split(results.names)
    statistic, lower = rule.measure.statistic or "mean", results.lower_is_better(name)
    nothing = Estimate(None, None, None, 0, 0)

    def undecided(why: str, estimate: Estimate, *evidence: str) -> _Found:
        verdict = Verdict("open", f"open: {why}")
        return _Found(_written(rule, verdict, estimate, series.missing, (results.ref, *evidence)), series)

    problem = reference.why if isinstance(reference, Missing) else _unlike(name, results, reference, str(rule.against))
    if problem or isinstance(reference, Missing):
        return undecided(str(problem), nothing)
    before = reference.series(name, value=value, rows=rows)

    def at(level: float) -> Estimate:
        asked = Looks(level, looks.anytime)
        return _better_is_up(_change(series, before, statistic, lower, asked).estimate, -1 if lower else 1)

    found = _change(series, before, statistic, lower, looks)
    if found.estimate.n == 0:
        why = f"no case has a score in both; {rule.against} ({reference.ref}) ran on {reference.dataset[0]}"
        return undecided(why, nothing, reference.ref)
    margin = rule.amount
    if margin is None and rule.op == "not worse than" and not found.rate:
        what = f"{rule.measure} is no rate" if statistic == "mean" else f"{statistic} is no mean"
        return undecided(
            f"{what}, so the rule must say how much worse is tolerable: ... by NUMBER", found.estimate, reference.ref
        )
    sided = _better_is_up(found.estimate, -1 if lower else 1)
    worse = rule.op == "not worse than"
    verdict = (
        stats.not_worse(sided, MARGIN if margin is None else margin) if worse else stats.better(sided, margin or 0.0)
    )
    kept = before.n
    if found.estimate.n != max(series.n, kept):
        verdict = replace(verdict, says=f"{verdict.says}; {_only_common(found.estimate.n, series.n, kept, rule)}")
    ruling = _written(
        rule, verdict, found.estimate, series.missing, (results.ref, reference.ref), looks.level
    )  # fmt: skip
    return _Found(ruling, series, at if worse else None)


def _change(now: Series, before: Series, statistic: str, lower: bool, looks: Looks) -> Difference:
    found = difference(now, before, "", lower_is_better=lower, statistic=statistic, level=looks.level)
    if not looks.anytime or statistic != "mean" or found.estimate.n == 0:
        return found
    return replace(found, estimate=anytime_difference(now, before, looks.level))


def anytime_difference(now: Series, before: Series, level: float) -> Estimate:
    """The mean paired difference with ends that hold however often one looks; a cluster is one bet."""
    sums: dict[str, list[float]] = {}
    a, b = before.by_case, now.by_case
    for case in (case for case in b if case in a):
        sums.setdefault(b[case][1], []).append(b[case][0] - a[case][0])
    units = [math.fsum(one) / len(one) for one in sums.values()]
    return replace(stats.anytime(units, -1.0, 1.0, level=level), n=sum(case in a for case in b))


def _unlike(name: str, results: Results, reference: Results, word: str) -> str | None:
    """Why a measure of two results is not the same measure; None if it is."""
    theirs, ours = reference.hash_of(name), results.hash_of(name)
    if theirs is None:
        return f"{word} ({reference.ref}) has no {name}; make one with it: afere accept {results.ref}"
    if theirs != ours:
        return (
            f"the scorer {name} is not the one of {word} ({reference.ref}): it has changed since. "
            f"Score the old version with the new scorer, then: afere accept EXPERIMENT"
        )
    return None


def _only_common(common: int, here: int, there: int, rule: Rule) -> str:
    return f"compared on the {common} cases that both have (here {here}, {rule.against} {there})"


def _better_is_up(estimate: Estimate, sign: int = 1) -> Estimate:
    if sign > 0 or estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def _written(
    rule: Rule,
    verdict: Verdict,
    estimate: Estimate,
    missing: int,
    evidence: tuple[str, ...],
    level: float = stats.LEVEL,
) -> Ruling:
    return Ruling(
        str(rule), verdict.answer, estimate.value, estimate.low, estimate.high, level, n=estimate.n, missing=missing,
        needs=verdict.needs, why=verdict.says, evidence=evidence,
    )  # fmt: skip


def _at_most_open(ruling: Ruling, series: Series, results: Results) -> Ruling:
    """A pass with much unknown, or with rows that never finished, is not proven."""
    missing = series.missing + results.unusable
    total = len(series.values) + missing
    if ruling.answer != "pass":
        return ruling
    answer: Answer = "open"
    if not results.complete:
        return replace(ruling, answer=answer, why=f"open: rows are unfinished; of the rest: {ruling.why}")
    if missing > MISSING * total:
        reason = series.why or "rows that cannot be used"
        why = f"open: {missing} of {total} have no score ({reason}); of the rest: {ruling.why}"
        return replace(ruling, answer=answer, why=why)
    return ruling
