"""What the audit finds in projects that were written after the rules, from their documentation: tools, topics, prompts, small worlds.

Each kind is cut in two by its place in the file: of one half (0) misses were looked at while the rules were mended, of the other (1)
only these totals. Findings may get better, never worse; the guide has the figures of the first look.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import later_worlds
import pytest
import yaml
from stranger_kit import NOW, PEOPLE, Tool, Way, World

import afere.store
from afere.base.project import find_project
from afere.govern.debt import audit
from afere.govern.debt.finding import Finding
from afere.govern.debt.likeness import Likeness

HERE = Path(__file__).parent
HEAD = "---\nowner: ines.vega\ninputs: {question: string}\n---\n# system\n"
MARKS = {"C": "prompt.contradiction", "R": "prompt.repetition"}


@dataclass
class Count:
    """What was planted, found and wrong by rule, and in words what was missed and wrong."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    told: list[str] = field(default_factory=list[str])

    def plant(self, rule: str) -> None:
        self.counts[rule, "planted"] += 1

    def found(self, rule: str) -> None:
        self.counts[rule, "found"] += 1

    def wrong(self, where: str, finding: Finding) -> None:
        self.counts[finding.rule, "wrong"] += 1
        self.told.append(f"wrong {where} {finding.rule} {finding.place}: {finding.why[:300]}")

    def missed(self, where: str, what: object) -> None:
        self.told.append(f"missed {where} {what}")


def blocks(name: str, half: int) -> Iterator[tuple[str, list[str]]]:
    text = (HERE / name).read_text(encoding="utf-8")
    for i, block in enumerate(re.split(r"(?m)^== ", text)[1:]):
        if i % 2 == half:
            title, _, body = block.partition("\n")
            yield f"{i} {title}", body.rstrip("\n").split("\n")


def audited(root: Path, name: str) -> list[Finding]:
    with afere.store.open(root / ".afere", project=name) as session:
        found = audit(session, find_project(root), as_of=NOW)
    assert not found.problems
    return found.findings


def look_at_tools(root: Path, half: int, count: Count) -> None:
    """Tools of an afere.yaml: lines of one number are for one purpose."""
    for title, lines in blocks("later_tools.txt", half):
        folder, groups, tools = root / f"tools{title.split()[0]}", dict[str, set[str]](), list[dict]()
        for line in lines:
            mark, rest = line.split(" ", 1)
            name, description, params = (part.strip() for part in rest.split("|"))
            tools.append(Tool(name, description, params).declared())
            groups.setdefault(mark, set()).add(name)
        groups.pop("-", None)
        folder.mkdir(parents=True)
        (folder / "afere.yaml").write_text(yaml.safe_dump({"project": "later", "team": "core", "people": PEOPLE, "tools": tools}))  # fmt: skip
        for _ in groups:
            count.plant("tools.overlap")
        for finding in audited(folder, "later"):
            if finding.rule != "tools.overlap":
                count.wrong(title, finding) if finding.severity != "note" else None
                continue
            said = " ".join([finding.place, finding.why, *finding.evidence, finding.action])
            named = {one["name"] for one in tools if re.search(rf"\b{one['name']}\b", said)}
            hit = next((mark for mark, pair in groups.items() if pair <= named), None)
            if hit:
                count.found("tools.overlap")
                del groups[hit]
            else:
                count.wrong(title, finding)
        for pair in groups.values():
            count.missed(title, sorted(pair))


def look_at_topics(root: Path, half: int, count: Count) -> None:
    """Traffic by topic, so many in a hundred, and cases; topics with an exclamation mark have none."""
    for title, lines in blocks("later_topics.txt", half):
        w = World(f"topics{title.split()[0]}", 7 + int(title.split()[0]))
        rows, open_topics = list[str](), list[list[str]]()
        for line in lines:
            head, *asks = (part.strip() for part in line.split("|"))
            if head.startswith("evals "):
                rows += [head.removeprefix("evals "), *asks]
                continue
            many = int(head.lstrip("!").split()[0])
            if head.startswith("!"):
                open_topics.append(asks)
            for i in range(many):
                w.request(1 + 25 * i / many, Way("oi", "desk"), w.fill(asks[i % len(asks)]), "It is on page 4.")
        w.prompt("answer", "# system\nAnswer briefly.\n# user\n{{ question }}")
        w.suite("answer", rows)
        w.write(root)
        for _ in open_topics:
            count.plant("feedback.narrow-evals")
        for finding in audited(root / w.name, w.name):
            if finding.rule != "feedback.narrow-evals":
                continue
            told = "\n".join([finding.place, finding.why, *finding.evidence, finding.action])
            hit = next((asks for asks in open_topics if any(w.fill(ask) in told for ask in asks)), None)
            if hit:
                open_topics.remove(hit)
                count.found(finding.rule)
            else:
                count.wrong(title, finding)
        for asks in open_topics:
            count.missed(title, asks[0])


def look_at_prompts(root: Path, half: int, count: Count) -> None:
    """Prompts of a few lines: the two that contradict each other, or say the same, are marked."""
    (root / "prompts").mkdir(parents=True)
    (root / "afere.yaml").write_text(yaml.safe_dump({"project": "later", "team": "core", "people": PEOPLE}))
    planted: dict[str, dict[str, set[int]]] = {}
    bodies: dict[str, list[str]] = {}
    for title, lines in blocks("later_prompts.txt", half):
        name = f"p{title.split()[0]}"
        own, body = planted.setdefault(name, {}), list[str]()
        for i, line in enumerate(lines):
            if line[1:3] == "> ":
                own.setdefault(MARKS[line[0]], set()).add(i + HEAD.count("\n") + 1)
            body.append(line[3:] if line[1:3] == "> " else line)
        bodies[name] = body
        text = HEAD + "\n".join(body) + "\n# user\n{{ question }}\n"
        (root / f"prompts/{name}.md").write_text(text, encoding="utf-8")
        for rule in own:
            count.plant(rule)
    for finding in audited(root, "later"):
        name = finding.place.removeprefix("prompts/").partition(".")[0]
        places = {int(place.rpartition(":")[2]) for place in finding.evidence if place.rpartition(":")[2].isdigit()}
        lines = planted[name].pop(finding.rule, None)
        if lines is not None and lines <= places:
            count.found(finding.rule)
        elif finding.rule != "prompt.untested":
            count.wrong(name, finding)
    for name, own in planted.items():
        for lines in own.values():
            count.missed(name, [bodies[name][i - HEAD.count("\n") - 1] for i in sorted(lines)])


def look_at_worlds(root: Path, half: int, count: Count) -> None:
    for w in later_worlds.worlds(half):
        w.write(root)
        left = list(w.planted)
        for rule, _ in left:
            count.plant(rule)
        for finding in audited(root / w.name, w.name):
            told = "\n".join([finding.place, *finding.evidence, finding.why, finding.action])
            hits = [
                one for one in w.planted if one[0] == finding.rule and any(word in told for word in one[1].split("|"))
            ]
            if new := next((one for one in hits if one in left), None):
                left.remove(new)
                count.found(finding.rule)
            elif not hits and finding.severity != "note":
                count.wrong(w.name, finding)
        for one in left:
            count.missed(w.name, one)


LOOKS = {"tools": look_at_tools, "topics": look_at_topics, "prompts": look_at_prompts, "worlds": look_at_worlds}
KNOWN = {  # (kind, half): {rule: (planted, found at least, wrong at most)}
    ("tools", 0): {"tools.overlap": (18, 9, 1)},
    ("tools", 1): {"tools.overlap": (17, 11, 3)},
    ("topics", 0): {"feedback.narrow-evals": (8, 7, 0)},
    ("topics", 1): {"feedback.narrow-evals": (2, 2, 0)},
    ("prompts", 0): {"prompt.contradiction": (17, 8, 1), "prompt.repetition": (4, 2, 0)},
    ("prompts", 1): {"prompt.contradiction": (17, 1, 2), "prompt.repetition": (4, 1, 1)},
}


@pytest.mark.parametrize(("kind", "half"), KNOWN)
def test_what_was_written_later_is_read_no_worse_than_before(kind: str, half: int, tmp_path: Path) -> None:
    if not Likeness().meaning:
        pytest.skip("the figures are those of the extra local")
    count = Count()
    LOOKS[kind](tmp_path / "world", half, count)
    for rule, (planted, found, wrong) in KNOWN[kind, half].items():
        assert count.counts[rule, "planted"] == planted
        assert count.counts[rule, "found"] >= found, (rule, count.told)
        assert count.counts[rule, "wrong"] <= wrong, (rule, count.told)


@pytest.mark.parametrize(
    "case", ["judge held against spans", "one reader on spans, another once", "complaints that were seen"]
)
def test_small_worlds_are_read_right(case: str, tmp_path: Path) -> None:
    world = World("small", 3)
    later_worlds.feedback(world, case)
    world.write(tmp_path)
    found = [one for one in audited(tmp_path / "small", "small") if one.severity != "note"]
    assert [one.rule for one in found] == [rule for rule, _ in world.planted]


@pytest.mark.parametrize("which", range(4))
def test_prompts_that_grow_are_told_from_those_that_are_tidied(which: int, tmp_path: Path) -> None:
    world = [one for one in later_worlds.worlds(1) if one.name.startswith("grows")][which]
    world.write(tmp_path)
    found = audited(tmp_path / world.name, world.name)
    grown = {(one.rule, Path(one.place).stem) for one in found if one.rule in ("prompt.growth", "prompt.append-only")}
    assert grown == set(world.planted)


def test_a_release_that_came_with_an_import_is_not_asked_for_an_approval_unless_the_project_protects_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "afere.yaml").write_text("project: later\n")
    with afere.store.open(tmp_path / ".afere", project="later") as session:
        made = session.put("prompt", "qa", {"template": "Answer briefly: {{ question }}"})
        session.alias("prompt:qa@production", made.ref, why="as in MLflow")
        session.alias("prompt:qa@live", made.ref, why="released")
        seen = audit(session, find_project(tmp_path)).findings
        assert [one.place for one in seen if one.rule == "people.no-approval"] == ["prompt:qa@live"]
        (tmp_path / "afere.yaml").write_text("project: later\naliases: {production: {protected: true}}\n")
        seen = audit(session, find_project(tmp_path)).findings
        assert {one.place for one in seen if one.rule == "people.no-approval"} == {
            "prompt:qa@live",
            "prompt:qa@production",
        }
