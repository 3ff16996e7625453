"""The registry of tools: what afere.yaml, code, MCP servers and traces say of each, merged by name, and how it does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afere.base.artifact import parse_ref
from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import NotFound
from afere.chains.template import nearest
from afere.chains.toolcard import ToolCard
from afere.evals.stats import Estimate, clustered_rate, wilson
from afere.govern.toolcalls import Calls, tool_calls
from afere.govern.tools import kept, written
from afere.govern.toolservers import Standing, ToolChange, changes, listed, standings
from afere.store.spans.rollup import seconds_of

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session

DAYS = 30  # the window of calls
_DAY = 86_400 * 10**9  # nanoseconds
_MANY = 2_000  # traces of a tool from which on their number says enough of its spread
_VERSIONS = 50  # versions of a tool that are named


@dataclass(frozen=True, slots=True)
class Source:
    """What one source says of a tool. `kind`: yaml (afere.yaml and the files it names), code (an artifact), mcp or traces."""

    kind: str
    card: ToolCard

    def to_json(self) -> dict[str, Json]:
        card = self.card
        return {
            "kind": self.kind, "place": card.place, "description": card.description, "owner": card.owner,
            "permissions": list(card.permissions), "parameters": dict(card.parameters), "hints": list(card.hints),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls that began on the days (UTC) of the window. Rates are of calls that ended, latencies (s) of those that went well,
    within 2 %.

    `error_rate_low` and `error_rate_high` bound the rate at 90 %, calls of one trace taken together. Unknown numbers are None.
    """

    calls: int = 0
    errors: int = 0
    error_rate: float | None = None
    error_rate_low: float | None = None
    error_rate_high: float | None = None
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    callers: Mapping[str, int] = field(default_factory=dict[str, int])  # agents and chains, most calls first
    last_used: str | None = None
    last_trace: str | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "calls": self.calls, "errors": self.errors, "error_rate": self.error_rate,
            "error_rate_low": self.error_rate_low, "error_rate_high": self.error_rate_high,
            "p50_seconds": self.p50_seconds, "p95_seconds": self.p95_seconds, "callers": dict(self.callers),
            "last_used": self.last_used, "last_trace": self.last_trace,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registered:
    """A tool. Each field is what the first source that says something says: afere.yaml, then code, then traces.

    `versions` are references of its artifacts, newest first; `disagreements` are sentences that name both sides.
    """

    name: str
    sources: tuple[Source, ...]
    usage: Usage
    versions: tuple[str, ...] = ()
    changes: tuple[ToolChange, ...] = ()

    @property
    def description(self) -> str:
        return next((one.card.description for one in self.sources if one.card.description), "")

    @property
    def owner(self) -> str | None:
        return next((one.card.owner for one in self.sources if one.card.owner), None)

    @property
    def permissions(self) -> tuple[str, ...]:
        return next((one.card.permissions for one in self.sources if one.card.permissions), ())

    @property
    def parameters(self) -> Mapping[str, Json]:
        return next((one.card.parameters for one in self.sources if one.card.parameters), dict[str, "Json"]())

    @property
    def hints(self) -> tuple[str, ...]:
        """What its MCP server says of it: reads only, destructive, ...; a claim."""
        return next((one.card.hints for one in self.sources if one.card.hints), ())

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents of afere.yaml that may call it."""
        return tuple(dict.fromkeys(agent for one in self.sources for agent in one.card.agents))

    @property
    def disagreements(self) -> tuple[str, ...]:
        return tuple(_disagreements(self.sources))

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name, "description": self.description, "owner": self.owner,
            "permissions": list(self.permissions), "hints": list(self.hints), "parameters": dict(self.parameters),
            "agents": list(self.agents), "changes": [one.to_json() for one in self.changes],
            "versions": list(self.versions), "sources": [one.to_json() for one in self.sources],
            "disagreements": list(self.disagreements), "usage": self.usage.to_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registry:
    """All tools, most called first. `problems` says what could not be read; `cut` that older spans were not looked at.

    `servers` are the MCP servers as they were last listed.
    """

    tools: tuple[Registered, ...]
    days: int
    problems: tuple[str, ...] = ()
    cut: bool = False
    servers: tuple[Standing, ...] = ()

    def tool(self, name: str) -> Registered:
        """The tool of that name, or one of whose artifacts that is the name or reference. NotFound names the nearest."""
        found = next((one for one in self.tools if one.name == name), None)
        if found is None:
            of = name.removeprefix("tool:")
            found = next(
                (one for one in self.tools if any(of in (ref[5:], ref[5:].rpartition("@")[0]) for ref in one.versions)),
                None,
            )
        if found is None:
            near = nearest(name, [one.name for one in self.tools])
            raise NotFound(
                f"There is no tool {name!r} in afere.yaml, in code, of an MCP server or in traces of {self.days} days.{near} "
                "See them all: afere tools"
            )
        return found

    def to_json(self) -> dict[str, Json]:
        return {
            "items": [one.to_json() for one in self.tools], "next": None, "days": self.days,
            "problems": list(self.problems), "cut": self.cut, "servers": [one.to_json() for one in self.servers],
        }  # fmt: skip


def registry(session: Session, project: Project, *, days: int = DAYS, now: int | None = None) -> Registry:
    """Every tool that afere.yaml or an MCP server lists, code declared, or traces of the last `days` days show.

    No server is asked: `toolservers.refresh` does that.
    """
    now = now_ns() if now is None else now
    problems: list[str] = []
    sources: dict[str, list[Source]] = {}
    for kind, cards in (("yaml", written(project, problems)), ("code", kept(session))):
        for card in cards:
            sources.setdefault(card.name, []).append(Source(kind, card))
    artifacts = {name: [f"tool:{name}"] for name, said in sources.items() if _in_code(said)}
    servers = standings(session, project)
    changed: dict[str, list[ToolChange]] = {}
    for change in changes(session, servers):
        changed.setdefault(change.tool, []).append(change)
    for card, ref in listed(session, servers):
        sources.setdefault(card.name, []).append(Source("mcp", card))
        artifacts.setdefault(card.name, []).append(ref)
    seen = tool_calls(session, since=now - days * _DAY, until=now)
    if seen.left_out:
        problems.append(
            f"traces: {seen.left_out:,} calls of further tools were not counted; 5,000 names are told apart. Names with an id in them "
            "make each call another tool."
        )
    for card in seen.cards:
        sources.setdefault(card.name, []).append(Source("traces", card))
    for name in seen.of:
        sources.setdefault(name, [Source("traces", ToolCard(name))])
    tools = [
        Registered(
            name, tuple(said), _usage(seen.of.get(name)),
            tuple(ref for of in artifacts.get(name, ()) for ref in _versions(session, of)), tuple(changed.get(name, ())),
        )
        for name, said in sources.items()
    ]  # fmt: skip
    tools.sort(key=lambda one: (-one.usage.calls, one.name))
    return Registry(tuple(tools), days, tuple(problems), seen.cut, servers)


def _usage(calls: Calls | None) -> Usage:
    if calls is None:
        return Usage()
    rate = _rate(calls.traces)
    return Usage(
        calls.count, calls.errors, rate and rate.value, rate and rate.low, rate and rate.high,
        _seconds(calls.buckets, 0.5), _seconds(calls.buckets, 0.95), dict(calls.callers.most_common()),
        rfc3339(calls.last[0]), calls.last[1],
    )  # fmt: skip


def _rate(traces: Counter[tuple[int, int]]) -> Estimate | None:
    """The rate of failure, calls of a trace taken together: beyond `_MANY` traces by the effective size alone."""
    ended, failed = (sum(pair[at] * count for pair, count in traces.items()) for at in (0, 1))
    if not ended:
        return None
    many = traces.total()
    if many <= _MANY:
        values = [
            (float(i < bad), (n, bad, k)) for (n, bad), count in traces.items() for k in range(count) for i in range(n)
        ]
        return clustered_rate([value for value, _ in values], [trace for _, trace in values])
    rate = failed / ended
    apart = sum(count * (bad - rate * n) ** 2 for (n, bad), count in traces.items())
    effective = min(float(ended), rate * (1 - rate) * ended**2 / apart) if apart else float(many)
    return Estimate(rate, *wilson(rate * effective, effective), ended, many)


def _seconds(buckets: Counter[int], share: float) -> float | None:
    """The value that so many of them lie at or below, within 2 %."""
    left = share * buckets.total()
    for number in sorted(buckets):
        left -= buckets[number]
        if left <= 1e-9:
            return seconds_of(number)
    return None


def _in_code(sources: Iterable[Source]) -> bool:
    return any(one.kind == "code" for one in sources)


def _versions(session: Session, ref: str) -> tuple[str, ...]:
    name = parse_ref(ref).name
    return tuple(one.ref for one in session.find("artifacts", kind="tool", name=name, limit=_VERSIONS).items)


def _disagreements(sources: tuple[Source, ...]) -> Iterator[str]:
    """Where two sources both say something and say different things; each field against the first that says it."""
    for what, read in _FIELDS:
        said = [(one, value) for one in sources if (value := read(one.card))]
        for one, value in said[1:]:
            first, ours = said[0]
            if value != ours:
                yield f"{what}: {_where(first)} says {_short(ours)}, {_where(one)} says {_short(value)}"
    typed = [one for one in sources if one.card.parameters]
    for one in typed[1:]:
        if one.card.parameters != typed[0].card.parameters:
            ours, theirs = _apart(typed[0].card.parameters, one.card.parameters)
            yield f"parameters: {_where(typed[0])} says {_short(ours)}, {_where(one)} says {_short(theirs)}"


_FIELDS: tuple[tuple[str, Callable[[ToolCard], str]], ...] = (
    ("description", lambda card: " ".join(card.description.split())),
    ("owner", lambda card: card.owner or ""),
    ("permissions", lambda card: ", ".join(sorted(card.permissions))),
)


def _apart(a: Mapping[str, Json], b: Mapping[str, Json]) -> tuple[str, str]:
    """What two schemas say differently, as JSON: of their properties where these differ, else of the rest."""
    ours, theirs = a.get("properties"), b.get("properties")
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours != theirs:
        a, b = ours, theirs
    keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
    first, second = ({key: side[key] for key in keys if key in side} for side in (a, b))
    return json.dumps(first, ensure_ascii=False), json.dumps(second, ensure_ascii=False)


def _where(source: Source) -> str:
    return source.card.place or source.kind


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"
