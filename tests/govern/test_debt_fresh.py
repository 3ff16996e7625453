"""What the audit finds in short prompts that were written before any look at what it makes of them, in three languages.

Of the half `seen` each miss was looked at while the rules were mended; of the half `counted` nothing but these totals. Each block
of the files is a prompt: `C> ` marks the two lines that contradict each other, `R> ` the two that say the same, and a block that
begins with `mixed-topics` has several jobs. All else only looks so. Findings may get better, never worse.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

import afere.store
from afere.base.clock import from_rfc3339
from afere.base.project import find_project
from afere.govern.debt import audit
from afere.govern.debt.likeness import Likeness

NOW = from_rfc3339("2026-11-28T12:00:00Z")
HEAD = "---\nowner: ines.vega\ninputs: {question: string}\n---\n# system\n"
MARKS = {"C": "contradiction", "R": "repetition"}
KNOWN = {  # rule: (planted, found at least, wrong at most)
    "seen": {"contradiction": (62, 49, 0), "repetition": (20, 18, 2), "mixed-topics": (30, 30, 0)},
    "counted": {"contradiction": (40, 26, 5), "repetition": (21, 16, 1), "mixed-topics": (30, 25, 0)},
}


def _write(root: Path, half: str) -> dict[str, dict[str, set[int]]]:
    """The prompts of a half as files; the lines of what is planted, by prompt and rule (none: the whole prompt)."""
    people = [{"name": "ines.vega", "team": "core"}]
    (root / "prompts").mkdir(parents=True)
    (root / "afere.yaml").write_text(yaml.safe_dump({"project": "fresh", "team": "core", "people": people}))
    text = Path(__file__).with_name(f"prompts_fresh_{half}.txt").read_text(encoding="utf-8")
    planted: dict[str, dict[str, set[int]]] = {}
    for number, block in enumerate(re.split(r"(?m)^== ", text)[1:]):
        title, _, body = block.partition("\n")
        lines = body.rstrip("\n").split("\n")
        own = planted.setdefault(f"p{number:03}", {"mixed-topics": set()} if title.startswith("mixed") else {})
        for place, line in enumerate(lines):
            if line[1:3] == "> " and line[0] in MARKS:
                own.setdefault(MARKS[line[0]], set()).add(place + HEAD.count("\n") + 1)
                lines[place] = line[3:]
        said = HEAD + "\n".join(lines) + "\n# user\n{{ question }}\n"
        (root / f"prompts/p{number:03}.md").write_text(said, encoding="utf-8")
    return planted


@pytest.mark.parametrize("half", KNOWN)
def test_prompts_written_before_any_look_are_read_no_worse_than_before(half: str, tmp_path: Path) -> None:
    if not Likeness().meaning:
        pytest.skip("the figures are those of the extra local")
    planted = _write(tmp_path, half)
    with afere.store.open(tmp_path / ".afere", project="fresh") as session:
        found = audit(session, find_project(tmp_path), as_of=NOW)
    assert not found.problems
    counts = Counter((rule, "planted") for own in planted.values() for rule in own)
    for finding in found.findings:
        rule = finding.rule.removeprefix("prompt.")
        if rule == finding.rule or rule in ("untested", "unowned"):
            continue
        name = finding.place.removeprefix("prompts/").partition(".")[0]
        places = {int(place.rpartition(":")[2]) for place in finding.evidence if place.rpartition(":")[2].isdigit()}
        lines = planted[name].pop(rule, None)
        counts[rule, "found" if lines is not None and lines <= places else "wrong"] += 1
    assert {rule for rule, _ in counts} <= set(KNOWN[half])
    for rule, (many, least, most) in KNOWN[half].items():
        assert counts[rule, "planted"] == many
        assert counts[rule, "found"] >= least, rule
        assert counts[rule, "wrong"] <= most, rule
