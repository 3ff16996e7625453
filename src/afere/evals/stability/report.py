"""The record of a stability run: what `afere stability` keeps as `report:N`, and how it is said in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.evals.experiment import Experiment
from afere.evals.records import is_record
from afere.evals.report import interval, number
from afere.evals.stability.steady import SUFFIX, Kept, Steadiness


def keep_record(
    found: Steadiness, made: Experiment, how: Mapping[str, Json], rule: str | None, kept: Kept | None
) -> Artifact:
    """Keep what a run found: an artifact `report:N`. `how`: the changes, their seed and what else was asked for; `rule` and
    `kept`: the rule it was held against, and what that says."""
    content: dict[str, Json] = {
        "report": "stability", "name": made.name.removesuffix(SUFFIX), "target": made.content["target"], "dataset": made.content["dataset"],
        "complete": made.complete, "cost": made.cost, **how, "rule": rule, "answer": kept.answer if kept else None,
        "why": kept.says if kept else None, **found.to_json(),
    }  # fmt: skip
    uses = [Use("experiment", made.ref, made.artifact.hash)]
    return made.session.put("report", None, content, uses=uses, why=f"stability of {content['name']}")


def stability_record(artifact: Artifact) -> Mapping[str, Any]:
    """The content of a record. BadInput if the artifact is another report."""
    if not is_record(artifact, "stability"):
        raise BadInput(f"{artifact.ref} is no stability run.")
    return cast("Mapping[str, Any]", artifact.content)


def said_of(record: Mapping[str, Any]) -> str:
    """What was found, in a sentence or two."""
    held, judged = record["held"], record["judged"]
    stands = [one for one in held if one["stands"]]
    if not judged:
        first = "No scorer gives a yes, a no or a word, so no verdict could change; how far the answers moved is below."
    elif stands:
        worst = max(stands, key=lambda one: one["beyond"])
        others = len({one["change"] for one in stands}) - 1
        more = f", and {others} other {'changes' if others > 1 else 'change'} moved verdicts too" if others else ""
        first = (
            f"{worst['change']} changed {worst['measure']} in {number(worst['beyond'])} of the pairs beyond its own spread "
            f"({interval(worst['low'], worst['high'])}, 90% interval){more}."
        )
    else:
        ends = [one["high"] for one in held if one["measure"] in judged and one["high"] is not None]
        most = f": at most {number(max(ends))} of the pairs, by the 90% intervals" if ends else ""
        first = f"No change is shown to move a verdict beyond its own spread{most}."
    if record["rule"] is not None:
        first += f" {record['rule']}: {record['why']}."
    return first
