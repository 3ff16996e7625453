"""Rules about stability, such as `stability >= 0.95`: decided by the newest stability run of what an experiment evaluated.

A gate never asks anything itself. Where there is no run of this very version on these rows, the answer is open and names
the command that makes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.decision import Ruling
from afere.base.errors import BadInput
from afere.base.rule import Rule
from afere.evals.gate import about_stability
from afere.evals.references import experiments
from afere.evals.stability.steady import SUFFIX, Steadiness, steadiness

if TYPE_CHECKING:
    from afere.evals.experiment import Experiment


def stability_rulings(made: Experiment, rules: Sequence[Rule]) -> dict[Rule, Ruling]:
    """A ruling for each of the rules that is about stability."""
    asked = [rule for rule in rules if about_stability(rule, made.results.names)]
    if not asked:
        return {}
    found = _newest(made)
    return {rule: _ruled(rule, found, made) for rule in asked}


def _newest(made: Experiment) -> Steadiness | str:
    """What the newest run over changed rows tells of the same version; or why there is nothing."""
    from afere.evals.experiment import Experiment

    suite = made.name.removesuffix(SUFFIX)
    if made.name.endswith(SUFFIX):
        return _told(made)
    runs = [one for one in experiments(made.session) if _content(one)["name"] == f"{suite}{SUFFIX}"]
    same = [one for one in runs if _content(one)["target"] == made.content["target"] and _content(one)["complete"]]
    again = f"run: afere stability {suite}"
    if not same:
        what = "of this version" if runs else f"of {suite}"
        return f"there is no complete stability run {what}; {again}"
    run = Experiment(same[0], made.session, made.project)
    for name in made.results.names:
        theirs = run.results.hash_of(name)
        if theirs is not None and theirs != made.results.hash_of(name):
            return f"{run.ref} was scored by another {name}; {again}"
    found = _told(run)
    if isinstance(found, Steadiness) and set(made.examples) - set(found.rows):
        return f"{run.ref} was run on other rows; {again}"
    return found


def _told(run: Experiment) -> Steadiness | str:
    try:
        return steadiness(run)
    except BadInput as problem:
        return str(problem)


def _content(one: Artifact) -> dict[str, Json]:
    return cast("dict[str, Json]", one.content)


def _ruled(rule: Rule, found: Steadiness | str, made: Experiment) -> Ruling:
    if isinstance(found, str):
        return Ruling(
            str(rule), "open", None, None, None, n=0, missing=0, needs=None, why=f"open: {found}", evidence=(made.ref,)
        )
    measure = ".".join(rule.measure.words[1:]) or None
    kept = found.keeps(rule.op, cast("float", rule.amount), measure)
    one = kept.estimate
    return Ruling(
        str(rule), kept.answer, one.value, one.low, one.high, n=one.n, missing=found.missing, needs=kept.needs,
        why=kept.says, evidence=(made.ref, found.ref),
    )  # fmt: skip
