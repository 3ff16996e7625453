"""What a gate found, at the file and line that it concerns: for SARIF, GitHub annotations and GitLab's code quality."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from afere.base.canonical import Json, digest
from afere.base.decision import Decision, Ruling
from afere.base.errors import AfereError
from afere.base.rule import BUILTIN, parse_rule
from afere.data.datasets import checked_rows
from afere.data.place import shown
from afere.data.reading import read_file
from afere.data.shapes import Told, shaped
from afere.evals.experiment import Experiment
from afere.evals.gate import about_stability
from afere.evals.suite import find_suite

Level = Literal["error", "warning", "note"]
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_CASES = 50  # of one rule that are listed
_RULES: dict[str, str] = {
    "rule-failed": "A rule of the gate is proven not to hold.",
    "rule-open": "There is not enough evidence to decide a rule of the gate.",
    "case-worse": "A case scores less than it did in what a failed rule compares with.",
    "case-failed": "A case does not pass a yes-or-no measure whose rule failed.",
    "rule-gone": "A rule that was there before is gone.",
    "known-failure-over": "An accepted failure is accepted no longer.",
    "known-failure-passes": "An accepted failure passes by now.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to look at. `line` counts from 1."""

    rule: str
    level: Level
    text: str
    file: str
    line: int = 1
    about: str = ""  # the rule or case, without the figures of this run

    @property
    def fingerprint(self) -> str:
        """The same for the same problem, wherever its line has moved to and whatever its figures are."""
        return digest(f"{self.rule} {self.file} {self.about or self.text}".encode())[7:39]


def problems(made: Experiment, decision: Decision) -> list[Problem]:
    """Failed and open rules at the line of the suite, the cases behind them at the line of their row, and findings."""
    suite, lines = _suite(made)
    rows = _rows(made)
    found: list[Problem] = []
    for one in decision.rules:
        if one.answer == "pass":
            continue
        failed = one.answer == "fail"
        line = next((i for i, text in enumerate(lines, 1) if _holds(text, one.rule)), 1)
        rule, level = ("rule-failed", "error") if failed else ("rule-open", "warning")
        found.append(Problem(rule, cast("Level", level), f"{one.rule}: {one.why}", suite, line, one.rule))
        if failed:
            found += _cases(made, one, rows, suite)
    for finding in cast("list[dict[str, Json]]", made.findings):
        found.append(Problem(str(finding["rule"]), "warning", str(finding["why"]), suite))
    inside = made.project.inside
    found = [replace(one, file=f"{inside}{one.file}") for one in found] if inside else found
    return list(dict.fromkeys(found))  # a case may be behind two rules


def _holds(line: str, rule: str) -> bool:
    """Whether a line of the suite is this rule, however it is spaced or quoted."""
    return "".join(rule.split()) in "".join(line.split())


def _suite(made: Experiment) -> tuple[str, list[str]]:
    try:
        file = find_suite(made.name, made.project)
        return shown(file, made.project.root), file.read_text(encoding="utf-8").splitlines()
    except (AfereError, OSError, UnicodeDecodeError):  # an evaluation from Python has no suite file
        return str(made.content["baseline"]), []


def _rows(made: Experiment) -> dict[str, tuple[str, int]]:
    """Where each row was written; empty where the data is no file with lines."""
    suite = next((use.ref for use in made.artifact.uses if use.role == "suite"), None)
    content = made.session.get(suite).content if suite else None
    said = content if isinstance(content, dict) else {}
    source, told = str(said.get("data") or ""), cast("Told", said.get("shape"))
    file = made.project.path(source) if source else Path("nowhere")
    if not file.is_file():
        return {}
    label = shown(file, made.project.root)
    try:
        placed, _ = shaped(read_file(file, label), label, told)
        _, places = checked_rows(placed, label, partly=True)
    except (AfereError, OSError):
        return {}
    found: dict[str, tuple[str, int]] = {}
    for id_, place in places.items():
        if id_ not in made.examples:  # the file has changed since
            continue
        name, _, line = place.rpartition(":")
        found[id_] = (name, int(line)) if line.isdecimal() else (label, 1)
    return found


def _cases(made: Experiment, ruling: Ruling, rows: dict[str, tuple[str, int]], suite: str) -> list[Problem]:
    rule = parse_rule(ruling.rule)
    name, value = rule.measure.split(made.results.names)
    if (name in BUILTIN and name != "errors") or about_stability(rule, made.results.names):
        return []
    kept = made.rows_of(rule)
    found: list[Problem] = []
    if rule.against is not None:
        before = made.reference(rule.against)
        change = before and made.change(name, before, value)
        for row, x, y in change.changed if change else ():
            worse = y > x if made.results.lower_is_better(name) else y < x
            if worse and (kept is None or row in kept):
                found.append(
                    Problem(
                        "case-worse",
                        "warning",
                        f"{row}: {name} {x:g} -> {y:g}",
                        *rows.get(row, (suite, 1)),
                        f"{row} {name} {rule.against}",
                    )
                )
    else:
        series = made.results.series(name, value=value, rows=kept)
        if series.kind == "rate":
            bad = 1.0 if made.results.lower_is_better(name) else 0.0
            failing = sorted({case[0] for x, case in zip(series.values, series.cases, strict=True) if x == bad})
            found = [
                Problem(
                    "case-failed", "warning", f"{row}: {name} is {bad:g}", *rows.get(row, (suite, 1)), f"{row} {name}"
                )
                for row in failing
            ]
    return found[:_CASES]


def sarif(found: Sequence[Problem], version: str) -> str:
    """SARIF 2.1.0 (OASIS 2020), one run, with file and line."""
    ids = list(dict.fromkeys(one.rule for one in found))
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": "afere", "version": version, "informationUri": "https://github.com/afere/afere",
                "rules": [{"id": id_, "shortDescription": {"text": _RULES.get(id_, id_)}} for id_ in ids],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, ids.index(one.rule)) for one in found],
    }  # fmt: skip
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=1) + "\n"


def _result(one: Problem, index: int) -> Json:
    where: Json = {
        "artifactLocation": {"uri": _uri(one.file), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": one.line},
    }
    return {
        "ruleId": one.rule, "ruleIndex": index, "level": one.level, "message": {"text": one.text},
        "locations": [{"physicalLocation": where}], "partialFingerprints": {"afere/v1": one.fingerprint},
    }  # fmt: skip


def _uri(file: str) -> str:
    from urllib.parse import quote

    return quote(file)


def gitlab(found: Iterable[Problem]) -> str:
    """GitLab's code quality report: a JSON array (docs.gitlab.com/ci/testing/code_quality)."""
    severity = {"error": "critical", "warning": "minor", "note": "info"}
    entries: list[Json] = [
        {
            "description": one.text, "check_name": one.rule, "fingerprint": one.fingerprint, "severity": severity[one.level],
            "location": {"path": one.file, "lines": {"begin": one.line}},
        }
        for one in found
    ]  # fmt: skip
    return json.dumps(entries, ensure_ascii=False, indent=1) + "\n"


def github(found: Iterable[Problem]) -> list[str]:
    """Lines that GitHub Actions turns into marks on a file. What stands in a row cannot end a line or start a command."""
    words = {"error": "error", "warning": "warning", "note": "notice"}
    return [
        f"::{words[one.level]} file={_escaped(one.file, value=True)},line={one.line},title=afere {one.rule}::{_escaped(one.text)}"
        for one in found
    ]


def _escaped(text: str, *, value: bool = False) -> str:
    for sign, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *(((",", "%2C"), (":", "%3A")) if value else ())):
        text = text.replace(sign, code)
    return text
