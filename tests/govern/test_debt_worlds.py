"""What the audit finds in projects that somebody wrote from its documentation, before the rules' code was read.

Two halves, of other trades: what the first showed of a general kind was mended, the second was counted. Findings may get better,
never worse. The guide has the figures of the first look, and those of all worlds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import stranger_dev
import stranger_held
from stranger_kit import NOW, World

import afere.store
from afere.base.project import find_project
from afere.govern.debt import audit
from afere.govern.debt.finding import Finding
from afere.govern.debt.likeness import Likeness

PROMPTS = ("prompt.too-long", "prompt.growth", "prompt.append-only")


def counted(rule: str) -> bool:
    return rule in PROMPTS or rule.partition(".")[0] in ("tools", "pipeline", "feedback", "people")


def meant(finding: Finding, planted: tuple[str, str]) -> bool:
    rule, words = planted
    whole = rule.startswith("feedback.") or rule in ("tools.overlap", "tools.ambiguous")
    told = "\n".join([finding.place, *finding.evidence, finding.why, finding.action]) if whole else finding.place
    return finding.rule == rule and any(word in told for word in words.split("|"))


def look(world: World, root: Path, counts: Counter[tuple[str, str]]) -> list[str]:
    """Add what was planted, found and wrong in one project; in words what was missed and wrong."""
    world.write(root)
    folder = root / world.name
    with afere.store.open(folder / ".afere", project=world.name) as session:
        found = audit(session, find_project(folder), as_of=NOW)
    assert not found.problems
    left, told = list(world.planted), list[str]()
    counts.update((rule, "planted") for rule, _ in left)
    for finding in found.findings:
        hits = [one for one in world.planted if meant(finding, one)]
        new = next((one for one in hits if one in left), None)
        if new is not None:
            left.remove(new)
            counts[finding.rule, "found"] += 1
        elif not hits and counted(finding.rule):
            counts[finding.rule, "wrong"] += 1
            told.append(f"wrong {world.name} {finding.rule} [{finding.severity}] {finding.place}: {finding.why}")
    if not world.planted:
        loud = [(one.rule, one.place) for one in found.findings if one.severity != "note" and counted(one.rule)]
        told += [f"loud on a clean project: {loud}"] if loud else []
    return [*told, *(f"missed {world.name} {one}" for one in left)]


WORLDS = (
    *(make for make in stranger_dev.WORLDS if make.__name__.startswith(("small", "library"))),
    *(make for make in stranger_held.WORLDS if make.__name__.startswith(("small", "museum", "insurer"))),
)
KNOWN = {  # rule: (planted, found at least, wrong at most), of the smaller worlds, so that the test is fast
    "feedback.low-coverage": (4, 4, 0),
    "feedback.narrow-evals": (4, 2, 2),
    "feedback.stale": (2, 2, 0),
    "feedback.unanswered": (3, 3, 0),
    "feedback.uncalibrated-judge": (4, 3, 0),
    "feedback.unused-labels": (2, 2, 0),
    "people.no-approval": (5, 5, 0),
    "people.no-review": (5, 5, 0),
    "people.single-reviewer": (4, 3, 0),
    "people.unseen-release": (3, 3, 0),
    "pipeline.broken-context": (3, 3, 0),
    "pipeline.empty-span": (2, 2, 0),
    "pipeline.missing-version": (4, 4, 0),
    "pipeline.unpriced": (3, 3, 0),
    "pipeline.untraced-time": (4, 4, 0),
}


def test_worlds_of_a_stranger_are_read_no_worse_than_before(tmp_path: Path) -> None:
    if not Likeness().meaning:
        pytest.skip("the figures are those of the extra local")
    counts: Counter[tuple[str, str]] = Counter()
    told = [line for make in WORLDS for line in look(make(), tmp_path, counts)]
    assert [line for line in told if line.startswith("loud")] == []
    assert {rule for rule, _ in counts} <= set(KNOWN), told
    for rule, (planted, found, wrong) in KNOWN.items():
        assert counts[rule, "planted"] == planted
        assert counts[rule, "found"] >= found, (rule, told)
        assert counts[rule, "wrong"] <= wrong, (rule, told)


def test_an_agent_that_only_traces_show_has_too_many_tools_and_a_reader_too_wide_a_permission(tmp_path: Path) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    look(stranger_dev.hotel(), tmp_path, counts)
    for rule in ("tools.too-many", "tools.wide-permission", "tools.failing", "tools.unused"):
        assert (counts[rule, "found"], counts[rule, "wrong"]) == (1, 0), rule
