"""Tools: the registry with findings of debt and a map of those that are alike; one tool with versions, callers and sources."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from afere.base.artifact import Artifact
from afere.base.canonical import Json
from afere.base.project import find_project
from afere.chains.toolcard import ToolCard
from afere.govern.debt.finding import Finding, Rules
from afere.govern.debt.sameness import MOST
from afere.govern.overlaps import Group, overlaps
from afere.govern.registry import Registered, Registry, registry
from afere.server import textdiff, words
from afere.server.figures import Interval, interval
from afere.server.pages.asked import Asked, as_json
from afere.server.pages.debt import AUDITS
from afere.server.pages.fresh import Fresh

if TYPE_CHECKING:
    from afere.store import Session

_SHOWN = 500  # tools in the table; the rest is counted
_GROUPS, _BOXES = 12, 7  # groups that are drawn, and tools in each
_ROW, _BOX, _ARC = 32, 190, 26  # px: from one box to the next, its width, and how far an arc reaches out for each step
_CUT = 25  # characters of a name in a box


@dataclass(frozen=True, slots=True)
class Drawn:
    """A group of alike tools as it is drawn: a column of boxes, arcs between those that are alike."""

    group: Group
    boxes: tuple[tuple[str, str, int], ...]  # name, as it is cut, y
    arcs: tuple[tuple[str, str, bool], ...]  # path, in words, whether it is an overlap
    more: int
    width: int
    height: int

    @property
    def label(self) -> str:
        best = self.group.pairs[0]
        return (
            f"{words.many(len(self.group.tools), 'tool')} alike, {best.a} and {best.b} the most ({best.likeness:.2f})"
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A tool of the table."""

    tool: Registered
    findings: int
    rate: Interval | None

    @property
    def sources(self) -> str:
        return ", ".join(dict.fromkeys(one.kind for one in self.tool.sources))


@dataclass(frozen=True, slots=True)
class ToolsPage:
    registry: Registry
    items: tuple[Line, ...]
    groups: tuple[Drawn, ...]
    more_groups: int
    not_compared: int

    @property
    def verdict(self) -> str:
        """What there is, and what asks for a look."""
        tools = self.registry.tools
        called = sum(one.usage.calls > 0 for one in tools)
        said = [f"{called} of {words.many(len(tools), 'tool')} called in {self.registry.days} days"]
        for count, text in (
            (sum(not one.owner for one in tools), "without an owner"),
            (sum(bool(one.disagreements) for one in tools), "described in two ways"),
            (sum(bool(one.changes) for one in tools), "changed by their servers"),
        ):
            if count:
                said.append(f"{count} {text}")
        return "; ".join(said) + "."

    def to_json(self) -> Json:
        return {
            **self.registry.to_json(),
            "findings": {line.tool.name: line.findings for line in self.items if line.findings},
            "overlaps": [one.group.to_json() for one in self.groups], "more_overlaps": self.more_groups,
            "not_compared": self.not_compared,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions of a tool side by side, as lines."""

    before: Artifact
    after: Artifact
    lines: tuple[textdiff.Line, ...]


@dataclass(frozen=True, slots=True)
class ToolPage:
    tool: Registered
    days: int
    rate: Interval | None
    schema: str
    findings: tuple[Finding, ...]
    alike: tuple[tuple[str, float], ...]
    difference: Versions | None

    def to_json(self) -> Json:
        return {
            **self.tool.to_json(), "days": self.days, "findings": [one.to_json() for one in self.findings],
            "alike": [{"tool": name, "likeness": round(value, 3)} for name, value in self.alike],
            "difference": None if self.difference is None else {
                "from": self.difference.before.ref, "to": self.difference.after.ref, "lines": as_json(self.difference.lines),
            },
        }  # fmt: skip


def list_page(session: Session, asked: Asked) -> ToolsPage:
    """Every tool that afere.yaml, code, MCP servers or traces tell of, and those that are alike."""
    found, groups = _FOUND.of(session, asked.patience)
    debts = _findings(session, asked)
    items = tuple(
        Line(one, sum(_concerns(finding, one.name) for finding in debts), _rate(one)) for one in found.tools[:_SHOWN]
    )
    described = sum(bool(one.description) for one in found.tools)
    return ToolsPage(
        found, items, tuple(_drawn(one) for one in groups[:_GROUPS]), max(0, len(groups) - _GROUPS), max(0, described - MOST)
    )  # fmt: skip


def page(session: Session, asked: Asked) -> ToolPage:
    """One tool: who calls it, how it does, what each source says of it, and how its versions differ."""
    found, groups = _FOUND.of(session, asked.patience)
    tool = found.tool(str(asked.path["name"]))
    name = tool.name
    pairs = [pair for group in groups for pair in group.pairs if name in (pair.a, pair.b)]
    schema = json.dumps(dict(tool.parameters), ensure_ascii=False, indent=2) if tool.parameters else ""
    return ToolPage(
        tool, found.days, _rate(tool), schema, tuple(one for one in _findings(session, asked) if _concerns(one, name)),
        tuple((pair.b if pair.a == name else pair.a, pair.likeness) for pair in pairs), _difference(session, tool),
    )  # fmt: skip


def _look(session: Session, _about: str) -> tuple[Registry, tuple[Group, ...]]:
    project = find_project(session.folder)
    found = registry(session, project)
    cards = [replace(_card(one), description=one.description) for one in found.tools]
    return found, overlaps(cards, Rules(project.section("debt"))["tools.overlap"]["likeness"])


_FOUND = Fresh(_look)


def _card(tool: Registered) -> ToolCard:
    return ToolCard(tool.name, tool.description, parameters=tool.parameters)


def _findings(session: Session, asked: Asked) -> list[Finding]:
    return [one for one in AUDITS.of(session, asked.patience).audit.findings if one.rule.startswith("tools.")]


def _concerns(finding: Finding, name: str) -> bool:
    return name in finding.place.split(", ")


def _rate(tool: Registered) -> Interval | None:
    usage = tool.usage
    if usage.error_rate is None:
        return None
    return interval(usage.error_rate, usage.error_rate_low, usage.error_rate_high)


def _difference(session: Session, tool: Registered) -> Versions | None:
    """The newest two versions of one artifact of it."""
    for ref in tool.versions:
        after = session.get(ref)
        if after.version > 1:
            before = session.get(f"tool:{after.name}@{after.version - 1}")
            return Versions(before, after, textdiff.lines(_text(before), _text(after)))
    return None


def _text(artifact: Artifact) -> str:
    content = artifact.content if isinstance(artifact.content, dict) else {}
    plain = [f"{key}: {value}" for key, value in content.items() if isinstance(value, str) and value]
    held = {key: value for key, value in content.items() if not isinstance(value, str) and value}
    return "\n".join([*plain, json.dumps(held, ensure_ascii=False, indent=2, sort_keys=True)])


def _drawn(group: Group) -> Drawn:
    shown = group.tools[:_BOXES]
    place = {name: number for number, name in enumerate(shown)}
    boxes = tuple(
        (name, name if len(name) <= _CUT else f"{name[: _CUT - 1]}…", number * _ROW) for name, number in place.items()
    )
    arcs: list[tuple[str, str, bool]] = []
    far = 1
    for pair in group.pairs:
        if pair.a in place and pair.b in place:
            y1, y2 = (place[name] * _ROW + 13 for name in (pair.a, pair.b))
            steps = abs(place[pair.a] - place[pair.b])
            far = max(far, steps)
            out = _BOX + _ARC * steps
            arcs.append(
                (
                    f"M{_BOX} {y1}C{out} {y1} {out} {y2} {_BOX} {y2}",
                    f"{pair.a} and {pair.b}: {pair.likeness:.2f}",
                    pair.overlap,
                )
            )
    return Drawn(group, boxes, tuple(arcs), len(group.tools) - len(shown), _BOX + _ARC * far, len(shown) * _ROW - 4)
