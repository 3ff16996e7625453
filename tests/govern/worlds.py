"""Small worlds for the debt audit: a project folder and its store, sound in all that nobody planted."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from prompts_dev import Written

import afere.store
import afere.store.session
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.project import find_project
from afere.base.score import Score
from afere.base.span import Span
from afere.govern.debt import Audit, audit

NOW = from_rfc3339("2026-11-23T08:00:00Z")
DAY = 86_400 * 10**9
_MARK = re.compile(r" ?⟦([a-z-]+)(?::(\w+))?⟧")
PEOPLE = [
    {"name": "ana.reis", "team": "support", "role": "engineer", "left": "2026-06-13"},
    {"name": "bruno.costa", "team": "support", "role": "engineer"},
    {"name": "carla.souza", "team": "support", "role": "editor"},
]


@dataclass(frozen=True)
class Planted:
    """What an audit has to find: a rule, at one of these places."""

    rule: str
    places: frozenset[str]
    must: bool = True  # else it may be found, and need not be


@dataclass
class World:
    """A project on disk, and what was planted in it."""

    root: Path
    planted: list[Planted] = field(default_factory=list)
    config: dict = field(default_factory=lambda: {"project": "shop", "team": "support", "people": PEOPLE})

    def plant(self, rule: str, *places: str, must: bool = True) -> None:
        self.planted.append(Planted(rule, frozenset(places), must))

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def settle(self) -> None:
        self.write("afere.yaml", yaml.safe_dump(self.config, allow_unicode=True))

    def session(self):
        self.settle()
        return afere.store.open(self.root / ".afere", project=self.config["project"])

    def audit(self, as_of: int = NOW) -> Audit:
        with self.session() as session:
            return audit(session, find_project(self.root), as_of=as_of)


@contextmanager
def at(moment: int) -> Iterator[None]:
    """Artifacts and aliases that are made inside are of that moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(afere.store.session, "now_ns", lambda: moment)
        yield


def add_prompts(world: World, prompts: Iterable[Written]) -> None:
    """Write prompts with their suites, and their histories into the store; plant what they name."""
    for one in prompts:
        front = [f"owner: {one.owner}"] if one.owner else []
        head = ["---", *front, f"model: {one.model}", f"inputs: {one.inputs}", "---"]
        groups: dict[tuple[str, str], set[str]] = {}
        lines = []
        for number, line in enumerate(one.text.rstrip("\n").split("\n"), start=len(head) + 1):
            for rule, group in _MARK.findall(line):
                groups.setdefault((rule, group or f"line {number}"), set()).add(f"prompts/{one.name}.md:{number}")
            lines.append(_MARK.sub("", line))
        world.write(f"prompts/{one.name}.md", "\n".join([*head, *lines]) + "\n")
        for (rule, _), places in groups.items():
            world.plant(f"prompt.{rule}", *places)
        for rule in one.whole:
            world.plant(f"prompt.{rule}", f"prompts/{one.name}.md")
        for rule in one.extra:
            world.plant(f"prompt.{rule.partition(':')[0]}", f"prompts/{one.name}.md:{_input_line(head)}")
        if one.cases:
            rows = [
                json.dumps({"id": f"e-{n}", "input": {"question": text}}, ensure_ascii=False)
                for n, text in enumerate(one.cases)
            ]
            world.write(f"data/{one.name}.jsonl", "\n".join(rows) + "\n")
            world.write(
                f"evals/{one.name}.yaml",
                f"name: {one.name}\ntarget: prompts/{one.name}.md\ndata: data/{one.name}.jsonl\nscorers: [exact]\n",
            )
        if one.history:
            with world.session() as session:
                for n, text in enumerate(one.history):
                    with at(NOW - (60 - 5 * n) * DAY):
                        session.put("prompt", one.name, {"template": _MARK.sub("", text)})


def _input_line(head: Sequence[str]) -> int:
    return next(number for number, line in enumerate(head, start=1) if line.startswith("inputs:"))


@dataclass
class Tool:
    name: str
    description: str
    parameters: dict = field(default_factory=dict)
    owner: str | None = "support"
    permissions: tuple[str, ...] = ()
    added: str = "2026-01-10"
    seconds: float = 0.3
    fails: float = 0.0
    uses: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()  # requests that call it


def properties(**types: str) -> dict:
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in types.items()}}


def add_tools(world: World, tools: Sequence[Tool], *, agent: str = "desk") -> None:
    entries = [
        {
            "name": one.name, "description": one.description, "parameters": one.parameters, "added": one.added,
            **({"owner": one.owner} if one.owner else {}), **({"permissions": list(one.permissions)} if one.permissions else {}),
        }
        for one in tools
    ]  # fmt: skip
    world.write("tools.yaml", yaml.safe_dump(entries, allow_unicode=True, sort_keys=False))
    world.config["agents"] = {agent: {"tools": "tools.yaml"}}


def requests(tools: Sequence[Tool], *, count: int = 300, seed: int = 1, days: int = 60, **more: object) -> list[Span]:
    """Traffic of an agent: a root, a model call with prompt version and price, and the tool that the request asks for."""
    drawn = random.Random(seed)
    spans: list[Span] = []
    callers = [one for one in tools if one.asks]
    for number in range(count):
        start = NOW - int((days - days * number / count) * DAY) - drawn.randrange(10**9)
        tool = callers[number % len(callers)] if callers else None
        asked = drawn.choice(tool.asks) if tool else "What is the state of my order?"
        spans += one_request(drawn, start, asked, tool, **more)
    return spans


def one_request(
    drawn: random.Random,
    start: int,
    asked: str,
    tool: Tool | None,
    *,
    agent: str = "desk",
    prompt: str = "orders",
    user: str = "user-1",
) -> list[Span]:
    trace = f"{drawn.getrandbits(128):032x}"
    root, call = f"{drawn.getrandbits(64):016x}", f"{drawn.getrandbits(64):016x}"
    at_call, failed = start + 10**7, tool is not None and drawn.random() < tool.fails
    end_call = at_call + int(0.8e9)
    length = int((tool.seconds if tool else 0.1) * drawn.uniform(0.8, 1.2) * 1e9)
    end = end_call + length + 2 * 10**7
    spans = [
        Span(trace, root, agent, start, kind="agent", end=end, input={"question": asked}, output="Done.", user=user, attributes={"gen_ai.agent.name": agent}),
        Span(
            trace, call, "chat", at_call, parent_id=root, kind="llm", end=end_call, model="gpt-4.1-mini", provider="openai",
            input_tokens=400, output_tokens=60, cost=0.000256, input=asked, output="Let me look.",
            attributes={"gen_ai.prompt.name": prompt, "gen_ai.prompt.version": "1"},
        ),
    ]  # fmt: skip
    if tool:
        used = {"permission.used": list(tool.uses)} if tool.uses else {}
        spans.append(
            Span(
                trace, f"{drawn.getrandbits(64):016x}", tool.name, end_call, parent_id=root, kind="tool", end=end_call + length,
                status="error" if failed else "ok", error="TimeoutError: upstream took too long" if failed else None,
                tool={"name": tool.name, "arguments": {"q": asked}, "result": None if failed else "ok"}, input={"q": asked},
                output=None if failed else "ok", attributes=used,
            )
        )  # fmt: skip
    return spans


def judged(
    spans: Sequence[Span], *, every: int = 19, reviewers: Sequence[str] = ("bruno.costa", "carla.souza")
) -> list[Score]:
    """Feedback of users and reviews of people for every n-th request."""
    roots = [span for span in spans if span.parent_id is None]
    found = []
    for number, root in enumerate(roots[::every]):
        stamp = rfc3339(root.start + DAY // 4)
        found.append(Score(root.trace_id, "helpful", True, f"user:{number}", at=stamp))
        if reviewers:
            found.append(
                Score(root.trace_id, "review", "good", f"person:{reviewers[number % len(reviewers)]}", at=stamp)
            )
    return found


def fill(world: World, spans: Sequence[Span], scores: Sequence[Score] = ()) -> None:
    with world.session() as session:
        session.spans.write(spans)
        session.append(*scores)


def hits(found: Audit, planted: Sequence[Planted], rule: str) -> tuple[int, int, list[str], list[str]]:
    """(planted that were found, findings that were planted, what was missed, what was found too much) of a rule."""
    of_rule = [one for one in planted if one.rule == rule]
    findings = [one for one in found.findings if one.rule == rule]
    missed = [
        str(sorted(one.places))
        for one in of_rule
        if one.must and not any(_at(finding.place, one.places) for finding in findings)
    ]
    wrong = [
        f"{finding.place}: {finding.why}"
        for finding in findings
        if not any(_at(finding.place, one.places) for one in of_rule)
    ]
    return sum(one.must for one in of_rule) - len(missed), len(findings) - len(wrong), missed, wrong


def _at(place: str, places: frozenset[str]) -> bool:
    return place in places or place.rpartition(":")[0] in places
