"""What the audit finds in prompts that somebody wrote who knew its documentation only.

`KNOWN` is what is found, both halves together: findings may get better, never worse. What the guide says of the first look
was measured before anything was mended.
"""

from __future__ import annotations

import json
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
WRITTEN = [
    made
    for half in ("dev", "held")
    for made in yaml.safe_load(Path(__file__).with_name(f"prompts_stranger_{half}.yaml").read_text(encoding="utf-8"))
]
PEOPLE = [{"name": "ines.vega", "team": "core"}, {"name": "gone.smith", "team": "core", "left": "2026-05-02"}]
KNOWN = {  # rule: (planted, found at least, wrong at most)
    "contradiction": (16, 8, 0),
    "dead-variable": (9, 9, 0),
    "mixed-topics": (4, 3, 0),
    "repetition": (8, 8, 0),
    "stale": (12, 12, 0),
    "unowned": (7, 7, 0),
    "untested": (10, 8, 0),
}


def _write(root: Path, made: dict) -> None:
    config = {"project": made["project"], "team": "core", "people": PEOPLE}
    files = {"afere.yaml": yaml.safe_dump(config)}
    for one in made["prompts"]:
        head = yaml.safe_dump(one["front"], allow_unicode=True) if one["front"] else ""
        files[f"prompts/{one['name']}.md"] = f"---\n{head}---\n{one['body']}"
    if suite := made.get("suite"):
        name = suite["name"]
        rows = [{"id": f"r-{i}", "input": {"question": text}} for i, text in enumerate(suite["questions"])]
        files[f"data/{name}.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
        files[f"evals/{name}.yaml"] = yaml.safe_dump(
            {"target": f"prompts/{name}.md", "data": f"data/{name}.jsonl", "scorers": ["exact"]}
        )
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _count(root: Path, made: dict, counts: Counter[tuple[str, str]]) -> None:
    """Add what was planted, found and wrong in one project; without a suite nothing is said of untested instructions."""
    _write(root, made)
    with afere.store.open(root / ".afere", project=made["project"]) as session:
        found = audit(session, find_project(root), as_of=NOW)
    assert not found.problems
    planted = [(rule, one["name"], words) for one in made["prompts"] for rule, words in one.get("planted", [])]
    counts.update((rule, "planted") for rule, _, _ in planted)
    for finding in found.findings:
        kind, _, rule = finding.rule.partition(".")
        if kind != "prompt" or (rule == "untested" and "suite" not in made):
            continue
        path, _, _ = finding.place.partition(":")
        told = [finding.why, finding.action]
        for place in (finding.place, *finding.evidence):
            file, _, line = place.partition(":")
            if line.isdigit() and file == path:
                told.append((root / file).read_text(encoding="utf-8").splitlines()[int(line) - 1])
        hit = next(
            (p for p in planted if p[0] == rule and path == f"prompts/{p[1]}.md" and p[2] in "\n".join(told)), None
        )
        counts[rule, "found" if hit else "wrong"] += 1
        if hit:
            planted.remove(hit)


def test_prompts_of_a_stranger_are_read_no_worse_than_before(tmp_path: Path) -> None:
    if not Likeness().meaning:
        pytest.skip("the figures are those of the extra local")
    counts: Counter[tuple[str, str]] = Counter()
    for made in WRITTEN:
        _count(tmp_path / made["project"], made, counts)
    assert {rule for rule, _ in counts} <= set(KNOWN)
    for rule, (planted, found, wrong) in KNOWN.items():
        assert counts[rule, "planted"] == planted
        assert counts[rule, "found"] >= found, rule
        assert counts[rule, "wrong"] <= wrong, rule
