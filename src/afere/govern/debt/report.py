"""An audit as others read it: SARIF for code scanning, Markdown for a pull request; and what is new since another audit."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.govern.debt.audit import Audit
from afere.govern.debt.finding import Finding, Rules

_LEVELS = {"error": "error", "warning": "warning", "note": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROWS = 20  # findings in a pull request


def sarif(audit: Audit, rules: Rules, *, version: str, inside: str = "") -> dict[str, Json]:
    """SARIF 2.1.0 (OASIS 2020). A place without a file stands at the project file, with its name in the message.

    `inside` is where the project stands in its repository, from whose root code scanning reads places.
    """
    results: list[Json] = []
    for finding in (*audit.findings, *audit.accepted):
        file, line = where(finding.place)
        result: dict[str, Json] = {
            "ruleId": finding.rule, "level": _LEVELS[finding.severity],
            "message": {"text": f"{'' if file else finding.place + ': '}{finding.why} Next: {finding.action}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": f"{inside}{file or 'afere.yaml'}", "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": line or 1},
                    },
                    "logicalLocations": [{"fullyQualifiedName": finding.place}],
                }
            ],
            "partialFingerprints": {"afere/v1": " ".join(finding.key)},
        }  # fmt: skip
        if finding.accepted is not None:
            result["suppressions"] = [{"kind": "external", "justification": finding.accepted.why}]
        results.append(result)
    named = {finding.rule for finding in (*audit.findings, *audit.accepted)}
    described: list[Json] = [
        {
            "id": rule.id, "shortDescription": {"text": rule.title}, "fullDescription": {"text": rule.reason},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        }
        for rule in rules if rule.id in named
    ]  # fmt: skip
    driver: Json = {"name": "afere debt", "version": version, "rules": described}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def where(place: str) -> tuple[str | None, int | None]:
    """File and line of a place, where it names a file."""
    file, colon, line = place.rpartition(":")
    if colon and line.isdecimal():
        return file, int(line)
    return (
        (place, None)
        if Path(place).suffix in (".md", ".prompt", ".prompty", ".yaml", ".yml", ".jsonl", ".py") and " " not in place
        else (None, None)
    )


def markdown(audit: Audit, new: Sequence[Finding] | None = None) -> str:
    """For a pull request: the scores, and the findings, the new ones first where a baseline is known."""
    if audit.empty:
        return "### Generative-AI debt: nothing to look at yet\n\nNo prompt, tool, trace or score is here.\n"
    lines = [f"### Generative-AI debt: {audit.health} of 100", "", "| debt | score | open |", "|---|---|---|"]
    lines += [f"| {debt.title} | {debt.health} | {len(debt.findings)} |" for debt in audit.debts]
    listed = list(audit.findings if new is None else new)
    if new is not None:
        lines += ["", f"**{len(new)} new** since the baseline." if new else "**No new debt** since the baseline."]
    if listed:
        lines += ["", "| | where | what | next |", "|---|---|---|---|"]
        lines += [
            f"| {one.severity} `{one.rule}` | {_cell(one.place)} | {_cell(one.why)} | {_cell(one.action)} |"
            for one in listed[:_ROWS]
        ]
        if len(listed) > _ROWS:
            lines.append(f"\n{len(listed) - _ROWS} more: `afere debt`")
    return "\n".join(lines) + "\n"


def new_since(audit: Audit, before: Iterable[_Known]) -> list[Finding]:
    """The open findings that another audit did not have: a second one of a rule in the same file is new, one that moved or
    whose counts changed is not."""
    left = Counter(before)
    unlike: list[Finding] = []
    for finding in audit.findings:
        if left[same := _known(finding)]:
            left[same] -= 1
        else:
            unlike.append(finding)
    spare = Counter[tuple[str, str]]()
    for (key, _), count in left.items():
        spare[key] += count
    new: list[Finding] = []
    for finding in unlike:
        if spare[finding.key]:
            spare[finding.key] -= 1
        else:
            new.append(finding)
    return new


_Known = tuple[tuple[str, str], str]  # rule and place of a finding, and what it says without its numbers


def _known(finding: Finding) -> _Known:
    return finding.key, re.sub(r"\d+", "", finding.why)


def read_baseline(file: Path) -> list[_Known]:
    """What `afere debt --json` printed at another time: rule, place and words of each finding."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        findings = cast("list[dict[str, Json]]", said["findings"])
        return [
            _known(Finding(str(one["rule"]), "note", str(one["place"]), str(one.get("why", "")), ""))
            for one in findings
        ]
    except FileNotFoundError:
        raise BadInput(f"{file}: there is no baseline yet. Make one with: afere debt --json > {file}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{file}: this is no audit. Make one with: afere debt --json > {file}") from None


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("`", "'")
