"""Which component's change made a version better or worse: each changed one is put back alone, and the difference is measured.

With A before and B after, an arm is B with one component as it was in A: its prompt, model and parameters. The arm's paired
difference to B on the cases that both have is what putting it back would change, in the mean. What it assumes: what is put
back works in the code of B; components act one by one (what only several do together shows in the arm with all of them put
back, and in no single one); and all that is no component, such as code, tools and indexes, stays as in B, so that its part is
in what remains. Answers that were given before come from the cache, as in a replay; only what the change reaches is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.base.project import Project
from afere.chains import Component
from afere.chains.revision import changes
from afere.chains.standing import swapping
from afere.data import dataset as dataset_of
from afere.evals.evaluation import perform
from afere.evals.experiment import Experiment
from afere.evals.forecast import Forecast
from afere.evals.plan import Plan
from afere.evals.records import is_record
from afere.evals.report import interval, number
from afere.evals.results import Results
from afere.evals.standing import Against, preferences, quality_names
from afere.evals.suite import Suite, find_suite, read_suite

ASSUMES = (
    "Each component was put back alone, in the code of the later version; what only several do together shows where all are "
    "put back. Code, tools and data stayed as they are: what they changed is in what remains, and so is chance. Answers that "
    "were given before came from the cache."
)
_ALL = "all of them"

Perform = Callable[[Plan, float], Experiment]  # a plan, and how much of the budget is gone


@dataclass(frozen=True)
class Arm:
    """The later version with these components as they were. `now`: their versions in it; `was`: those that are put back."""

    label: str
    components: Mapping[str, Component]
    was: tuple[str, ...]
    now: tuple[str, ...]

    def swapped(self) -> AbstractContextManager[None]:
        """Inside, the target runs so."""
        return swapping(self.components)


@dataclass(frozen=True)
class Blame:
    """What is to be run. `others`: what changed beside components, in words."""

    before: Experiment
    after: Experiment
    project: Project
    suite: Suite
    data: object
    measure: str
    arms: tuple[Arm, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, before: Experiment, after: Experiment, project: Project, *, measure: str | None = None) -> Blame:
        """Resolve what changed, and check that it can be put back. Nothing is called. BadInput where nothing can be blamed."""
        suite = _suite(after, project)
        asked = _measure(before, after, measure)
        was, now = (_target(one) for one in (before, after))
        here = suite.subject.artifact(after.session)
        told = [] if here is None or here.hash == now.hash else _differences(now, here, after)
        if here is None or told:
            raise BadInput(
                f"What is here is not what {after.ref} ran ({'; '.join(told[:3]) or 'it has no version'}). Check out that version, "
                f"or evaluate what is here first: afere eval {after.name}"
            )
        arms = _arms(_components(was), _components(now), project)
        others = _others(was, now, after)
        if not arms:
            rest = f" What changed is no component: {'; '.join(others[:5])}." if others else " Nothing of it changed."
            raise BadInput(f"No component differs between {before.ref} and {after.ref}, so none can be put back.{rest}")
        return cls(before, after, project, suite, _rows(before, after), asked, arms, others)

    def plan(self, arm: Arm) -> Plan:
        """The evaluation of one arm."""
        label = "all" if arm.label == _ALL else arm.label
        repeats = cast("int", self.after.content["repeats"])
        return Plan(
            f"{self.suite.name}.blame-{label}", self.suite.subject, self.data, self.suite.scorers, self.suite.baseline, repeats,
            shape=self.suite.shape, part_of=f"blame {self.before.ref} {self.after.ref} {label}", turns=self.suite.turns,
        )  # fmt: skip

    def forecasts(self, forecast: Callable[[Plan], Forecast]) -> list[tuple[Arm, Forecast]]:
        """What each arm takes at most, were nothing of it in the cache; nothing is called."""
        found: list[tuple[Arm, Forecast]] = []
        for arm in self.arms:
            with arm.swapped():
                found.append((arm, forecast(self.plan(arm))))
        return found

    def run(
        self, perform_: Perform | None = None, *, concurrency: int = 8, begins: Callable[[Arm], None] = lambda _: None
    ) -> Artifact:  # fmt: skip
        """Run every arm and keep the record: an artifact `report:N`."""
        made: list[Experiment] = []
        for arm in self.arms:
            begins(arm)
            spent = sum(one.cost or 0.0 for one in made)
            with arm.swapped():
                plan = self.plan(arm)
                made.append(
                    perform_(plan, spent)
                    if perform_
                    else perform(plan, self.project, concurrency=concurrency, resume=True)
                )
        return self._keep(made)

    def _keep(self, made: Sequence[Experiment]) -> Artifact:
        session = self.after.session
        whole = [one for one in made if one.complete]
        pairs = [(self.after.results, one.results) for one in whole]
        found = dict(zip((one.ref for one in whole), preferences(pairs, self.measure), strict=True))
        (total,) = preferences([(self.after.results, self.before.results)], self.measure)
        lost = _lost(self.before.results, self.after.results, self.measure)
        arms: list[Json] = [
            _arm(arm, one, found.get(one.ref), _restored(one.results, self.after.results, lost, self.measure))
            for arm, one in zip(self.arms, made, strict=True)
        ]  # fmt: skip
        content: dict[str, Json] = {
            "report": "blame", "name": self.suite.name, "before": self.before.ref, "after": self.after.ref, "measure": self.measure,
            "total": _number(total), "lost": list[Json](sorted(lost)), "arms": arms, "others": list[Json](self.others),
            "complete": len(whole) == len(made), "cost": sum(one.cost or 0.0 for one in made), "assumes": ASSUMES,
        }  # fmt: skip
        content["says"] = says(content)
        uses = [
            Use("before", self.before.ref, self.before.artifact.hash),
            Use("after", self.after.ref, self.after.artifact.hash),
        ]
        uses += [Use(f"arm {arm.label}", one.ref, one.artifact.hash) for arm, one in zip(self.arms, made, strict=True)]
        return session.put(
            "report", None, content, uses=uses, why=f"blame of {self.after.ref} against {self.before.ref}"
        )


def says(record: Mapping[str, Any]) -> str:
    """Who is to blame, or to be thanked, in a sentence or two; what is not shown is not said."""
    single = [one for one in record["arms"] if one["label"] != _ALL and one["found"]]
    measure, total = record["measure"], record["total"]
    first = f"{measure} with all as in {record['before']} is {_change(total)} against {record['after']}."
    worse = [one for one in single if one["found"]["answer"] == "better"]
    better = [one for one in single if one["found"]["answer"] == "worse"]
    said = [
        f"The change of {one['label']} made it worse: put back alone, {measure} moves by {_change(one['found'])}."
        for one in worse
    ]
    said += [
        f"The change of {one['label']} made it better: put back alone, {measure} moves by {_change(one['found'])}."
        for one in better
    ]
    if not said:
        together = next((one for one in record["arms"] if one["label"] == _ALL and one["found"]), None)
        said = ["No single component is shown to have moved it."]
        if together and together["found"]["answer"] != "open":
            said.append(f"Together they did: all put back, it moves by {_change(together['found'])}.")
    return " ".join([first, *said])


def blame_of(before: Experiment, after: Experiment) -> Artifact | None:
    """The newest record about these two; None where there is none."""
    refs = [edge.source for edge in after.session.down(after.ref) if edge.depth == 1 and edge.role == "after"]
    kept = [after.session.get(ref) for ref in refs if ref.startswith("report:")]
    same = [
        one for one in kept if is_record(one, "blame") and cast("dict[str, Any]", one.content)["before"] == before.ref
    ]
    return max(same, key=lambda one: int(one.name), default=None)


def _change(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return f"not known ({found['why']})"
    ends = f" ({interval(found['low'], found['high'])})" if found["low"] is not None else ""
    return f"{'+' if found['value'] > 0 else ''}{number(found['value'])}{ends}"


def _arm(arm: Arm, made: Experiment, found: Against | None, restored: Sequence[str]) -> Json:
    return {
        "label": arm.label, "was": list(arm.was), "now": list(arm.now), "experiment": made.ref, "complete": made.complete,
        "found": _number(found) if found is not None else None, "restored": list[Json](restored),
    }  # fmt: skip


def _number(one: Against) -> dict[str, Json]:
    return {
        "value": one.value, "low": one.low, "high": one.high, "n": one.n, "p_holm": one.adjusted, "answer": one.answer,
        "why": one.why,
    }  # fmt: skip


def _lost(before: Results, after: Results, measure: str) -> set[str]:
    """The rows that got worse."""
    was, now, sign = (
        before.series(measure).by_case,
        after.series(measure).by_case,
        -1 if after.lower_is_better(measure) else 1,
    )
    return {case[0] for case in now if case in was and sign * (now[case][0] - was[case][0]) < 0}


def _restored(arm: Results, after: Results, lost: set[str], measure: str) -> list[str]:
    """Of the lost rows, those that are better in the arm than they are now."""
    return sorted(_lost(arm, after, measure) & lost)


def _suite(after: Experiment, project: Project) -> Suite:
    name = after.name
    try:
        suite = read_suite(find_suite(name, project), project)
    except NotFound as problem:
        raise BadInput(
            f"{after.ref} was not made from a suite that is here, so it cannot be run again. {problem}"
        ) from None
    hashes = {one.name: after.results.hash_of(one.name) for one in suite.scorers}
    for one in suite.scorers:
        if hashes[one.name] is None:
            raise BadInput(
                f"{after.ref} has no {one.name}, which the suite scores by now. Evaluate it anew: afere eval {name}"
            )
    return suite


def _measure(before: Experiment, after: Experiment, asked: str | None) -> str:
    names = [one for one in quality_names([after.results]) if before.results.hash_of(one) == after.results.hash_of(one)]
    if asked is not None and asked not in names:
        raise BadInput(
            f"--measure {asked}: no number of that name, by the same scorer, is in both. There are: {', '.join(names) or 'none'}."
        )
    if not names:
        raise BadInput(f"{before.ref} and {after.ref} have no number in common: their scorers are not the same.")
    return asked or names[0]


def _target(one: Experiment) -> Artifact:
    target = one.results.target
    if target is None or not target[1]:
        raise BadInput(
            f"{one.ref}: what ran has no version (an address, or given outputs), so no part of it can be put back."
        )
    return one.session.get(target[0])


def _components(target: Artifact) -> dict[str, tuple[str, str]]:
    """Its components: name -> reference and hash."""
    if target.kind == "component":
        return {target.name: (target.ref, target.hash)}
    roles = ((use.role.removeprefix("found "), use) for use in target.uses)
    return {role.split()[1]: (use.ref, use.hash) for role, use in roles if role.startswith("component ")}


def _arms(was: Mapping[str, tuple[str, str]], now: Mapping[str, tuple[str, str]], project: Project) -> tuple[Arm, ...]:
    from afere.chains.declaring import component_of

    changed = sorted(name for name in now if name in was and was[name][1] != now[name][1])
    made = {name: component_of(was[name][0], project) for name in changed}
    arms = [Arm(name, {name: made[name]}, (was[name][0],), (now[name][0],)) for name in changed]
    if len(changed) > 1:
        refs = tuple(tuple(side[name][0] for name in changed) for side in (was, now))
        arms.append(Arm(_ALL, made, refs[0], refs[1]))
    return tuple(arms)


def _differences(was: Artifact, here: Artifact, after: Experiment) -> list[str]:
    """What differs in code and parts, in words; what only running has shown aside."""
    if was.kind != "chain" or here.kind != "chain":
        return [f"{was.ref} is now {here.ref}"]
    told = [
        one for one in changes(was, here, after.session) if not one.setting and not _by_running(one.part, one.detail)
    ]
    return [str(one).splitlines()[0] for one in told]


def _by_running(part: str, detail: str) -> bool:
    return part.startswith("found ") or (part == "note" and detail.endswith(" was found by running"))


def _others(was: Artifact, now: Artifact, after: Experiment) -> tuple[str, ...]:
    """What changed beside components, in words."""
    if was.kind != "chain" or now.kind != "chain":
        return ()
    own = ("component ", "prompt ", "model ", "found ")
    told = [one for one in changes(was, now, after.session) if not one.setting and not one.part.startswith(own)]
    return tuple(str(one).splitlines()[0] for one in told if not _by_running(one.part, one.detail))


def _rows(before: Experiment, after: Experiment) -> object:
    """The rows that both have, as they were for the later one: its dataset, or a version of those alone."""
    cases = {(run.row, run.digest) for run in before.results.runs}
    kept = {run.row for run in after.results.runs if (run.row, run.digest) in cases}
    ref = after.results.dataset[0]
    rows = dataset_of(ref).rows
    if not kept:
        raise BadInput(f"{before.ref} and {after.ref} have no case in common.")
    same = [row for row in rows if row.id in kept]
    return ref if len(same) == len(rows) else dataset_of(same, name=f"{after.name}-blame")
