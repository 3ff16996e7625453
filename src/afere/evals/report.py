"""An experiment and its decision as text for other tools: Markdown for a pull request, JUnit for CI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from xml.etree import ElementTree as Xml

from afere.base.canonical import Json
from afere.base.decision import Decision, Ruling
from afere.evals import past
from afere.evals.comparison import Comparison
from afere.evals.experiment import Experiment
from afere.evals.stopping import told
from afere.evals.table import Measure

MARKS = {"pass": "✅", "fail": "❌", "open": "⚪"}
INTERVALS = "Intervals are 90%: their ends are the one-sided 95% bounds by which rules decide."
FAMILIES = {"holm": "p (Holm)", "bh": "p (BH)"}  # how several p-values hold together
_CHANGED = 20  # cases listed in a pull request


def number(value: float | None) -> str:
    """Three digits where they tell something; `?` for unknown."""
    if value is None:
        return "?"
    return f"{value:.3f}" if 0.001 <= abs(value) < 10 or value == 0 else f"{value:.3g}"


def interval(low: float | None, high: float | None) -> str:
    return "?" if low is None and high is None else f"{number(low)} to {number(high)}"


def change(measure: Measure) -> str:
    """`+0.120 (0.030 to 0.210)`, or nothing where there is no other side."""
    found = measure.difference
    if found is None or found.estimate.value is None:
        return ""
    value = found.estimate.value
    return f"{'+' if value > 0 else ''}{number(value)} ({interval(found.estimate.low, found.estimate.high)})"


def notes(experiment: Experiment) -> list[str]:
    """What a reader of the table must know."""
    said = experiment.content
    found: list[str] = [str(cast("dict[str, Json]", one)["why"]) for one in experiment.findings]
    if not experiment.complete:
        found.append(
            f"{said['unfinished']} of {said['runs']} runs are unfinished (model, network or disk): go on with --resume"
        )
    if said["errors"]:
        what = "an error ended" if said.get("traces") else "the target raised an error in"
        found.append(f"{what} {said['errors']} of {said['runs']} runs")
    if said.get("unfit"):
        found.append(f"{said['unfit']} of {said['runs']} runs did not begin: {said['unfit_why']}")
    if said.get("unusable"):
        found.append(f"{said['unusable']} more rows cannot be used and were left out: {said['unusable_why']}")
    if said.get("from_cache"):
        found.append("all answers came from the cache; nothing was paid")
    if isinstance(stop := said.get("stop"), dict):
        found.append(told(stop))
    if isinstance(traces := said.get("traces"), dict):
        found.append(past.told(traces))
    if isinstance(recorded := said.get("recorded"), dict):
        found.append(
            f"answers were read from a recording of {recorded['experiment']} ({str(recorded['at'])[:10]}); nothing ran"
        )
    found += _steady(said)
    if said["uncompared"]:
        found.append(f"not compared with {said['against']}: {said['uncompared']}")
    table = experiment.table()
    if any(not one.calibrated for one in table):
        names = ", ".join(one.name for one in table if not one.calibrated)
        found.append(f"uncalibrated: {names} is a model's verdict that has not been compared with people's")
    return found + _without(table)


def _steady(said: Mapping[str, Json]) -> list[str]:
    """What repeats told: pass@k, pass^k, and the cases that are now right, now wrong."""
    found: list[str] = []
    for one in cast("list[dict[str, Any]]", said.get("stability") or []):
        k, some, every = one["k"], one["pass_at_k"]["value"], one["pass_hat_k"]["value"]
        text = f"{one['measure']}: at least one of {k} tries passes in {some:.1%}, all {k} in {every:.1%} of cases"
        flaky = [str(case) for case, _, _ in one["cases"][:5]]
        more = ", ..." if one["flaky"] > len(flaky) else ""
        found.append(f"{text}; {one['flaky']} flaky{': ' + ', '.join(flaky) + more if flaky else ''}")
    found += [f"{one['measure']}: {one['says']}" for one in cast("list[dict[str, Any]]", said.get("spread") or [])]
    return found


def _without(table: Sequence[Measure]) -> list[str]:
    """Which measures have no score for some runs, and why; a reason that several share stands once."""
    shared: dict[tuple[str, int, str], list[str]] = {}
    for empty in (True, False):
        for one in table:
            if one.missing and (one.kind == "empty") is empty:
                why = " ".join(one.why.split())  # what a scorer raised may be of several lines
                shared.setdefault(("" if empty else "of the runs ", one.missing, why), []).append(one.name)
    return [f"{', '.join(names)}: {n} {which}without a score ({why})" for (which, n, why), names in shared.items()]


def markdown(experiment: Experiment, decision: Decision | None) -> str:
    """A summary for a pull request: verdict, rules, table, what to know, cases that changed."""
    said, table = experiment.content, experiment.table()
    head = (
        f"{MARKS[decision.answer]} **{_cell(experiment.name)}: {decision.answer}**"
        if decision
        else f"**{_cell(experiment.name)}**"
    )
    lines = [f"{head} ({experiment.ref}, {said['cases']} cases, {_cell(subject(said))})", ""]
    if decision:
        lines += ["| | rule | answer | value | 90% interval | cases |", "|---|---|---|---|---|---|"]
        lines += [_rule_line(one) for one in decision.rules] + [""]
    lines += ["| measure | value | 90% interval | cases | missing | difference |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {_cell(one.name)} | {number(one.value)} | {interval(one.low, one.high)} | {one.n} | {one.missing or ''} | {change(one)} |"
        for one in table
    ]
    lines += ["", INTERVALS, *(f"- {_cell(note)}" for note in notes(experiment))]
    return "\n".join([*lines, *_worse(table), "", marker(experiment.name)]) + "\n"


def marker(name: str) -> str:
    """What a comment on a pull request is found again by."""
    return f"<!-- afere gate {re.sub(r'[^a-z0-9._-]', '', name)} -->"


def _worse(table: Sequence[Measure]) -> list[str]:
    """The cases that got worse, measure by measure, largest change first; how many got better is one number."""
    worse: list[tuple[str, str, float, float]] = []
    better = 0
    for one in table:
        for row, x, y in one.difference.changed if one.difference and one.kind != "mean" else ():
            if (y > x) == one.lower_is_better:
                worse.append((row, one.name, x, y))
            else:
                better += 1
    if not worse and not better:
        return []
    lines = ["", f"<details><summary>{len(worse)} got worse, {better} got better</summary>", ""]
    if worse:
        lines += ["| case | measure | before | after |", "|---|---|---|---|"]
        lines += [
            f"| {_cell(row)} | {_cell(name)} | {number(x)} | {number(y)} |" for row, name, x, y in worse[:_CHANGED]
        ]
        lines += ["", f"and {len(worse) - _CHANGED} more"] if len(worse) > _CHANGED else []
    return [*lines, "", "</details>"]


def comparison_markdown(found: Comparison, several: Literal["holm", "bh"] = "holm") -> str:
    """Two experiments for a pull request."""
    lines = [f"**{found.a.ref} → {found.b.ref}** ({_cell(found.b.name)})", ""]
    p = FAMILIES[several]
    lines += [f"| measure | before | after | difference (90%) | won / lost | {p} |", "|---|---|---|---|---|---|"]
    for one in found.measures:
        d = one.difference
        if d is None:
            lines.append(
                f"| {_cell(one.name)} | {number(one.before)} | {number(one.after)} | {_cell(one.unlike)} | | |"
            )
            continue
        value = f"{number(d.estimate.value)} ({interval(d.estimate.low, d.estimate.high)})"
        together = one.adjusted if several == "holm" else one.screened
        lines.append(
            f"| {_cell(one.name)} | {number(one.before)} | {number(one.after)} | {value} | {d.wins} / {d.losses} | {number(together) if together is not None else ''} |"
        )
    return "\n".join([*lines, "", INTERVALS, *(f"- {_cell(note)}" for note in found.notes)]) + "\n"


def junit(experiment: Experiment, decision: Decision) -> str:
    """One test case a rule: failed rules are failures, open ones are skipped. All that the schema of Jenkins asks for is there."""
    answers = [one.answer for one in decision.rules]
    suite = Xml.Element(
        "testsuite", name=f"afere {experiment.name}", tests=str(len(answers)), failures=str(answers.count("fail")), errors="0",
        skipped=str(answers.count("open")), time=f"{cast('float', experiment.content['seconds']):.3f}",
    )  # fmt: skip
    for one in decision.rules:
        case = Xml.SubElement(suite, "testcase", name=one.rule, classname=f"afere.{experiment.name}")
        text = f"{one.why}; value {number(one.value)}, 90% interval {interval(one.low, one.high)}, {one.n} cases"
        if one.answer == "fail":
            Xml.SubElement(case, "failure", message=xml_text(one.why)).text = xml_text(text)
        elif one.answer == "open":
            Xml.SubElement(case, "skipped", message=xml_text(one.why))
        else:
            Xml.SubElement(case, "system-out").text = xml_text(text)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suite, encoding="unicode") + "\n"


def _rule_line(one: Ruling) -> str:
    return (
        f"| {MARKS[one.answer]} | {_code(one.rule)} | {_cell(one.why)} | {number(one.value)} "
        f"| {interval(one.low, one.high)} | {one.n} |"
    )


def subject(said: Mapping[str, Json]) -> str:
    """What an experiment's content says was evaluated, for people."""
    target = said["target"]
    if isinstance(target, list):
        return str(target[0])
    return "past traces" if said.get("traces") else "the rows' own outputs"


def _cell(text: str) -> str:
    """Text of users and models in a table of Markdown: one line, no table, no HTML, no links of its own."""
    flat = " ".join(text.split()).replace("\\", "\\\\")
    for sign in "|<>[]`":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def _code(text: str) -> str:
    """Text as code in a table of Markdown."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (ord(c) >= 32 and c not in "\ufffe\uffff"))


def changed_cases(found: Comparison) -> Sequence[tuple[str, str, float, float]]:
    """(row, measure, before, after) of what changed, by measure, largest change first."""
    return [
        (row, one.name, x, y)
        for one in found.measures
        if one.difference and one.name not in ("seconds", "cost")
        for row, x, y in one.difference.changed
    ]
