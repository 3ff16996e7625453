"""Gate: what rules say about results. Plain functions of values; nothing is read or written here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from afere.base.artifact import parse_ref
from afere.base.decision import Answer, Ruling
from afere.base.errors import BadRule
from afere.base.filter import parse_filter
from afere.base.rule import BUILTIN, Rule
from afere.evals import stats
from afere.evals.results import Results, Series, difference
from afere.evals.select import FIELDS
from afere.evals.stats import Estimate, Verdict

MARGIN = 0.03  # of `not worse than` on a rate, where the rule names none: 3 points
MISSING = 0.05  # with more than this share of scores unknown, what is known may be the easy part


@dataclass(frozen=True, slots=True)
class Missing:
    """There is nothing to compare with: why, and the command that makes it."""

    why: str


References = Mapping[str, Results | Missing]
Rows = Callable[[Rule], Collection[str] | None]  # the rows that a rule's `where` keeps; None: all


def decide(rules: Sequence[Rule], results: Results, references: References, rows: Rows) -> tuple[Ruling, ...]:
    """A ruling for each rule. `references` holds what the rules compare with, by the word they use."""
    return tuple(_ruling(rule, results, references, rows(rule)) for rule in rules)


def check(rule: Rule, names: Collection[str]) -> None:
    """BadRule if the rule cannot be decided for results with these measures, whatever they turn out to be."""
    measure = rule.measure
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
    if rule.against is not None and measure.statistic not in (None, "mean"):
        raise BadRule(
            f"{rule}: a comparison is of means, case by case. Write {measure.name}.mean, or a threshold: {measure} <= NUMBER."
        )
    if measure.words[0] in BUILTIN and measure.words[0] != "errors":
        if rule.number and rule.number.endswith("%"):
            raise BadRule(f"{rule}: {measure.words[0]} is no rate. Write the number in its own unit, without %.")
        if rule.op == "not worse than" and rule.number is None:
            raise BadRule(f"{rule}: say how much worse is tolerable, in its own unit: ... by NUMBER.")


def _ruling(rule: Rule, results: Results, references: References, rows: Collection[str] | None) -> Ruling:
    name, value = rule.measure.split(results.names)
    series = results.series(name, value=value, rows=rows)
    if series.words and value is None and rule.measure.statistic not in ("count",):
        raise BadRule(
            f"{rule}: {name} is text. Name one of its values: {', '.join(f'{name}.{w}' for w in series.words)}."
        )
    if rule.against is None:
        ruling = _by_threshold(rule, series, results)
    else:
        ruling = _by_comparison(rule, series, results, references[rule.against], rows)
    return _at_most_open(ruling, series, results)


def _by_threshold(rule: Rule, series: Series, results: Results) -> Ruling:
    statistic, edge = rule.measure.statistic or "mean", rule.amount
    assert edge is not None  # the grammar gives every threshold a number
    estimate = series.estimate(statistic)
    if statistic in ("sum", "count"):
        verdict = _exactly(estimate, rule.op, edge)
    elif not series.values:
        verdict = Verdict("open", f"open: no scores ({series.why or 'no rows'})")
    else:
        verdict = stats.threshold(estimate, rule.op, edge)
    return _written(rule, verdict, estimate, series.missing, (results.ref,))


def _exactly(estimate: Estimate, op: str, edge: float) -> Verdict:
    """A sum or count is what it is."""
    value = estimate.value if estimate.value is not None else 0.0
    holds = {">=": value >= edge, "<=": value <= edge, ">": value > edge, "<": value < edge}[op]
    return Verdict("pass" if holds else "fail", f"{value:g} is {'' if holds else 'not '}{op} {edge:g}")


def _by_comparison(
    rule: Rule, series: Series, results: Results, reference: Results | Missing, rows: Collection[str] | None
) -> Ruling:
    name, value = rule.measure.split(results.names)
    nothing = Estimate(None, None, None, 0, 0)
    problem = reference.why if isinstance(reference, Missing) else _unlike(name, results, reference, str(rule.against))
    if problem or isinstance(reference, Missing):
        return _written(rule, Verdict("open", f"open: {problem}"), nothing, series.missing, (results.ref,))
    before = reference.series(name, value=value, rows=rows)
    kept = len(before.by_case)
    found = difference(series, before, reference.ref, lower_is_better=results.lower_is_better(name))
    evidence = (results.ref, reference.ref)
    if found.estimate.n == 0:
        why = f"open: no case has a score in both; {rule.against} ({reference.ref}) ran on {reference.dataset[0]}"
        return _written(rule, Verdict("open", why), nothing, series.missing, evidence)
    margin = rule.amount
    if margin is None and rule.op == "not worse than" and not found.rate:
        why = f"open: {name} is no rate, so the rule must say how much worse is tolerable: ... by NUMBER"
        return _written(rule, Verdict("open", why), found.estimate, series.missing, evidence)
    sided = _better_is_up(found.estimate) if not results.lower_is_better(name) else _better_is_up(found.estimate, -1)
    if rule.op == "not worse than":
        verdict = stats.not_worse(sided, MARGIN if margin is None else margin)
    else:
        verdict = stats.better(sided, margin or 0.0)
    notes = (
        "" if found.estimate.n == max(series.n, kept) else f"; {_only_common(found.estimate.n, series.n, kept, rule)}"
    )
    return _written(rule, replace(verdict, says=verdict.says + notes), found.estimate, series.missing, evidence)


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


def _written(rule: Rule, verdict: Verdict, estimate: Estimate, missing: int, evidence: tuple[str, ...]) -> Ruling:
    return Ruling(
        str(rule), verdict.answer, estimate.value, estimate.low, estimate.high, n=estimate.n, missing=missing,
        needs=verdict.needs, why=verdict.says, evidence=evidence,
    )  # fmt: skip


def _at_most_open(ruling: Ruling, series: Series, results: Results) -> Ruling:
    """A pass with much unknown, or with rows that never finished, is not proven."""
    total = len(series.values) + series.missing
    if ruling.answer != "pass":
        return ruling
    answer: Answer = "open"
    if not results.complete:
        return replace(ruling, answer=answer, why=f"open: rows are unfinished; of the rest: {ruling.why}")
    if series.missing > MISSING * total:
        why = f"open: {series.missing} of {total} have no score ({series.why}); of the rest: {ruling.why}"
        return replace(ruling, answer=answer, why=why)
    return ruling
