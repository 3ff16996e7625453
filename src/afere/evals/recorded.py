"""Recorded answers: `evals/qa.recorded.jsonl`, what an accepted experiment answered, so that who has no key can gate.

The first line says what was recorded; then comes one line for each run, with its output and its scores. A score is taken
over where its scorer is unchanged; a changed scorer scores the recorded output anew. Answers of another version of the
target are no evidence: such a recording is stale, and says what has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from afere.base.artifact import Artifact
from afere.base.canonical import Json, digest_of
from afere.base.errors import AfereError, BadInput, Exit, NotFound
from afere.base.rule import BUILTIN
from afere.chains.runner import Outcome
from afere.data import Row
from afere.evals.results import Result, Results, result_from_json, row_digest
from afere.evals.scorers import Scored


class StaleRecording(AfereError):
    """The recorded answers are of another version: no evidence about this one."""

    exit = Exit.OPEN


@dataclass(frozen=True)
class Recording:
    """The recorded runs of a suite, and what made them. `shown` is its file's name in messages."""

    shown: str
    said: Mapping[str, Any]
    runs: Mapping[tuple[str, int], tuple[Result, Json]]

    def check(self, now: Artifact | None) -> None:
        """StaleRecording if the target is not the one that was recorded, with what has changed."""
        if now is None:
            return  # an address, or code without a revision: nobody can tell
        made, uses = _made_of(now)
        changed = [role for role, hash_ in uses.items() if self.said["uses"].get(role) != hash_]
        if made != self.said["made"]:
            changed.insert(0, "its own code or settings")
        if changed:
            raise StaleRecording(
                f"{self.shown} holds answers of {self.said['target'][0]}, and {now.ref} is another version: "
                f"{', '.join(changed)} changed since. Run without --recorded (that needs the model), then record anew: "
                f"afere accept EXPERIMENT --record"
            )

    def outcomes(self, rows: Sequence[Row], repeats: int) -> list[Outcome]:
        """The recorded outcome of each run; what is not there says so."""
        return [self._outcome(row, repeat) for row in rows for repeat in range(1, repeats + 1)]

    def _outcome(self, row: Row, repeat: int) -> Outcome:
        found = self.runs.get((row.id, repeat))
        if found is None or found[0].digest != row_digest(row):
            why = "the row is not in it" if found is None else "the row has changed since"
            return Outcome(row, repeat, error=f"no recorded answer in {self.shown}: {why}", world=True)
        run, output = found
        return Outcome(row, repeat, output, run.error)

    def taken(self, case: tuple[str, int], scorers: Mapping[str, str]) -> dict[str, dict[str, Scored]]:
        """The recorded answers of the scorers that are unchanged, by scorer; `scorers`: the hash of each, now."""
        run, _ = self.runs[case]
        return {
            name: {
                said: Scored(value, why)
                for said, (value, why) in run.scores.items()
                if said == name or said.startswith(f"{name}.")
            }
            for name, hash_ in scorers.items()
            if self.said["scorers"].get(name) == hash_
        }

    def completed(self, result: Result) -> Result:
        """A result with what only the recorded run could measure: seconds, cost, tokens, and pooled counts."""
        run = self.runs.get((result.row, result.repeat), (None, None))[0]
        if run is None or result.world:
            return result
        measured = {name: score for name, score in run.scores.items() if name in BUILTIN}
        return replace(result, scores={**result.scores, **measured}, counts={**run.counts, **result.counts})


def recorded_beside(baseline_file: Path) -> Path:
    """`evals/qa.recorded.jsonl`, beside `evals/qa.baseline.json`."""
    return baseline_file.with_name(baseline_file.name.removesuffix(".baseline.json") + ".recorded.jsonl")


def write(
    file: Path, results: Results, suite: str, target: Artifact | None, output_of: Callable[[Result], Json]
) -> None:
    """Write the recording beside the baseline."""
    from afere.evals import baseline

    made, uses = _made_of(target) if target is not None else (None, {})
    head: dict[str, Json] = {
        "recorded": suite, "experiment": results.ref, "at": results.at,
        "target": list(results.target) if results.target else ["the target", ""], "made": made,
        "uses": cast("Json", uses), "dataset": list(results.dataset), "scorers": dict(results.scorers),
    }  # fmt: skip
    runs = ({**run.to_json(), "trace": None, "output": output_of(run)} for run in results.runs)
    text = "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in (head, *runs))
    baseline.write(file, text)


def read(file: Path, shown: str) -> Recording:
    """The recording beside a suite. NotFound says how to make one; BadInput names a broken line."""
    try:
        lines = file.read_text("utf-8").splitlines() or ["{}"]
    except FileNotFoundError:
        raise NotFound(
            f"There is no {shown}. Make it from results you accept: afere accept EXPERIMENT --record"
        ) from None
    except (OSError, ValueError) as problem:
        raise BadInput(f"{shown}: cannot be read: {problem}. Restore it from git.") from None
    runs: dict[tuple[str, int], tuple[Result, Json]] = {}
    number = 0
    try:
        said = json.loads(lines[0])
        for key in ("recorded", "scorers", "uses", "made", "target"):
            _ = said[key]
        for text in lines[1:]:
            number += 1
            one = json.loads(text)
            output = one.pop("output")
            run = result_from_json(one)
            runs[run.row, run.repeat] = (run, output)
    except (ValueError, KeyError, TypeError) as problem:
        raise BadInput(
            f"{shown}:{number + 1}: this is no recorded run: {problem}. Restore the file from git."
        ) from None
    return Recording(shown, said, runs)


def _made_of(artifact: Artifact) -> tuple[str, dict[str, str]]:
    """What a version is, apart from what running it has shown: that is only known where it ran."""
    content = artifact.content
    own = {**content, "found": None} if isinstance(content, dict) else content
    return digest_of(own), {use.role: use.hash for use in artifact.uses}
