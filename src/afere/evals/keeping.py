"""What is kept of an evaluation: the experiment with its table, and every score as a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json, digest
from afere.base.clock import now_ns, rfc3339
from afere.base.rule import BUILTIN
from afere.base.score import Score
from afere.data.place import shown
from afere.evals.gate import Missing
from afere.evals.recorded import Recording
from afere.evals.references import reference
from afere.evals.results import Result, Results, lines
from afere.evals.select import KINDS_OF_CASES, rows_where
from afere.evals.table import measures

if TYPE_CHECKING:
    from afere.evals.work import Work


def content(work: Work, results: Results, before: Mapping[str, str]) -> dict[str, Json]:
    """What the experiment's artifact says, but for time and cost."""
    plan = work.plan
    gate: list[Json] = [str(rule) for rule in plan.suite.gate] if plan.suite else []
    against = reference(plan.against, results, plan.baseline, work.session, work.project) if plan.against else None
    compared = against if isinstance(against, Results) else None
    scorers: dict[str, Json] = {
        one.name: {
            "ref": work.kept[one.name].ref,
            "hash": work.kept[one.name].hash,
            "kind": one.kind,
            "better": one.better,
            **({} if one.within is None else {"within": list[Json](one.within)}),
        }
        for one in plan.scorers
    }
    unfit = sum(map(_is_unfit, results.runs))
    scorers |= {name: {"ref": None, "hash": "", "kind": "built-in", "better": "lower"} for name in BUILTIN}
    return {
        "name": plan.name, "target": list(results.target) if results.target else None,
        "dataset": list(results.dataset), "scorers": scorers,
        "names": list(results.scorers), "repeats": plan.repeats,
        "cases": len({run.row for run in results.runs}), "runs": len(results.runs),
        "errors": sum(run.scores["errors"][0] is True for run in results.runs),
        "unfit": unfit, "unfit_why": next((run.error for run in results.runs if _is_unfit(run)), None),
        "unusable": work.data.unusable.count, "unusable_why": next(iter(work.data.unusable.first), None),
        "unfinished": sum(run.world for run in results.runs), "complete": results.complete,
        "against": plan.against, "compared": compared.ref if compared else None,
        "uncompared": against.why if isinstance(against, Missing) else None,
        "gate": gate, "baseline": shown(plan.baseline, work.project.root),
        "measures": [one.to_json() for one in measures(results, compared)], "slices": _slices(work, results),
        "recorded": _recorded_said(plan.recorded), "traces": plan.past.to_json() if plan.past else None, "turns": plan.turns,
        "findings": [_gone(rule, where, plan.name) for rule, where in before.items() if plan.suite and rule not in gate],
    }  # fmt: skip


def _slices(work: Work, results: Results) -> dict[str, Json]:
    """The table of each slice that the suite names, after those of essential, average and edge cases."""
    rows = {row.id: row for row in work.data.rows}
    tagged = {tag for row in rows.values() for tag in row.tags}
    texts = [f'tag:"{tag}"' for tag in KINDS_OF_CASES if tag in tagged]
    for wanted in work.plan.suite.slices if work.plan.suite else ():
        if wanted == "tags":
            texts += [f'tag:"{tag}"' for tag in sorted(tagged - {*KINDS_OF_CASES})]
        elif wanted in ("split", "group"):
            values = {getattr(row, wanted) for row in rows.values()} - {None}
            texts += [f'{wanted}:"{value}"' for value in sorted(cast("set[str]", values))]
        else:
            texts.append(wanted)
    return {text: [one.to_json() for one in measures(results, rows=rows_where(text, rows))] for text in texts}


def put(work: Work, content: dict[str, Json], results: Results) -> Artifact:
    """Keep the experiment, using all of what made it."""
    uses = [Use("dataset", work.data.ref, work.data.hash)]
    uses += [Use(f"{one.kind} {name}", one.ref, one.hash) for name, one in work.kept.items()]
    if results.target is not None and results.target[1]:
        uses.append(Use("target", *results.target))
    if work.suite is not None:
        uses.append(Use("suite", work.suite.ref, work.suite.hash))
    compared = content["compared"]
    if isinstance(compared, str) and compared.startswith("experiment:"):
        uses.append(Use("against", compared, work.session.get(compared).hash))
    why = f"evaluation of {work.plan.name}"
    return work.session.put("experiment", None, content, blob=lines(results.runs), uses=uses, why=why)


_TOGETHER = 4_000  # scores of one transaction: each waits for the disk


def append(work: Work, results: Results) -> None:
    """Every score of a scorer or judge as a record; built-in measures are in the traces already."""
    made: list[Score] = []
    now, by = rfc3339(now_ns()), {name: one.ref for name, one in work.kept.items()}
    # Ids that follow each other are written in half the time of ids without order.
    number, begun = 0, digest(f"{results.ref} {results.at}".encode())[7:23]
    # By trace: the index by target is then written from end to end.
    for run in sorted(results.runs, key=lambda run: run.trace or ""):
        target = run.trace or f"{work.data.ref}/{run.row}"
        about: dict[str, Json] = {"experiment": results.ref, "row": run.row, "repeat": run.repeat}
        for name, (value, why) in run.scores.items():
            who = by.get(name) or by.get(name.partition(".")[0])
            if who is None or (run.world and value is None):
                continue
            number += 1
            made.append(Score(target, name, value, who, why, now, f"{begun}{number:016x}", about))
        if len(made) >= _TOGETHER:
            work.session.append(*made)
            made.clear()
    work.session.append(*made)


def _recorded_said(recorded: Recording | None) -> Json:
    """Which recording the answers were read from, and when they were given; None if they were asked for."""
    return None if recorded is None else {key: recorded.said.get(key) for key in ("experiment", "at")}


def _gone(rule: str, where: str, suite: str) -> Json:
    return {
        "rule": "rule-gone", "severity": "warning", "place": f"suite {suite}", "evidence": [where], "since": None,
        "cost": None, "why": f"the rule `{rule}` of {where} is gone from the suite",
        "action": "put it back, or accept a new baseline and say why", "accepted": None,
    }  # fmt: skip


def _is_unfit(run: Result) -> bool:
    """Whether nothing ran, since the row did not fit the target."""
    return run.error is not None and not run.world and run.scores["errors"][0] is None
