"""What an audit looks at, read once: calls, prompts, tools, cases, scores, releases and people, up to one moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from sys import intern
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.document import read_yaml
from afere.base.errors import AfereError
from afere.base.span import Span
from afere.chains.toolcard import ToolCard
from afere.data.reading import read_file
from afere.data.rows import RowProblem, read_row
from afere.govern.debt.accepting import is_acceptance
from afere.govern.debt.configuration import Configured, read_configured
from afere.govern.debt.finding import Rules
from afere.govern.debt.seen import Seen
from afere.govern.offered import Offered
from afere.govern.promptdrift import newest_drifts
from afere.govern.prompts import PromptText, read_prompts
from afere.govern.tools import AgentCard, declared
from afere.govern.toolservers import ToolChange

if TYPE_CHECKING:
    from afere.base.artifact import AliasMove
    from afere.base.project import Project
    from afere.base.score import Score
    from afere.govern.promptdrift import Drift
    from afere.store import Page, Session

WINDOW = timedelta(days=90)  # how far back calls are read: a quarter shows a trend and fits into memory
DAY = 86_400 * 10**9  # nanoseconds
_SHOWN = 300  # characters of an input or output that are kept
_PARSED = 20_000  # characters of an input that is read as JSON
_MOST = 1_000_000  # spans of one audit; the newest count


@dataclass(slots=True)
class Ran:
    """A span as the rules need it: who called what, how it went, what it cost."""

    trace: str
    id: str
    parent: str | None
    name: str
    kind: str
    start: int  # ns
    seconds: float | None
    status: str
    error: str | None
    model: str | None
    tokens: int | None
    usd: float | None
    tool: str | None
    arguments: str
    given: str
    made: str
    session: str | None
    user: str | None
    agent: str | None
    prompts: tuple[str, ...]  # names of the prompts it ran with
    used: tuple[str, ...]  # what else it ran with: chains, indexes and others, as kind:name
    service: str | None  # service.name of the program that made it
    versioned: bool  # whether a prompt, component or code version is named
    permissions: tuple[str, ...]
    marks: tuple[str, ...]
    offered: tuple[str, ...] = ()  # names of the tools that the model was given

    @property
    def day(self) -> str:
        return rfc3339(self.start)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of an evaluation: `place` is `suite:row id`, or its number where a file names no id; `text` its input as text."""

    suite: str
    row: str
    text: str
    expected: str
    target: str
    input: Mapping[str, Json] = field(default_factory=dict[str, "Json"])

    @property
    def place(self) -> str:
        return f"{self.suite}:{self.row}"


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    team: str | None = None
    role: str | None = None
    left: str | None = None


@dataclass
class Facts:
    """Everything up to `now` (nanoseconds). `problems` says what could not be read; the rest goes on."""

    project: Project
    rules: Rules
    now: int
    spans: list[Ran] = field(default_factory=list[Ran])
    prompts: list[PromptText] = field(default_factory=list[PromptText])
    tools: tuple[ToolCard, ...] = ()
    agents: tuple[AgentCard, ...] = ()
    cases: list[Case] = field(default_factory=list[Case])
    scores: list[Score] = field(default_factory=list["Score"])
    acceptances: list[Score] = field(default_factory=list["Score"])
    moves: list[AliasMove] = field(default_factory=list["AliasMove"])
    people: tuple[Person, ...] = ()
    authors: Mapping[str, str] = field(default_factory=dict[str, str])  # who made a version, by its reference
    problems: list[str] = field(default_factory=list[str])
    changes: tuple[ToolChange, ...] = ()  # what MCP servers describe otherwise than before
    configured: Configured = field(default_factory=Configured)
    drifts: list[tuple[str, Drift]] = field(default_factory=list["tuple[str, Drift]"])  # of prompts by name

    @property
    def today(self) -> datetime:
        return datetime.fromtimestamp(self.now / 1e9, UTC)

    def days_ago(self, days: float) -> int:
        """The moment so many days before now, in ns."""
        return self.now - int(days * DAY)

    @property
    def first(self) -> int | None:
        """When the first of the dated records was made, in ns; None where there is none."""
        said = [version.at for one in self.prompts for version in one.versions]
        said += [one.at for one in self.scores] + [one.at for one in self.moves]
        dated = [int(datetime.fromisoformat(at).timestamp() * 1e9) for at in said] + [one.start for one in self.spans]
        return min(dated, default=None)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look at."""
        return self.first is None and not (self.prompts or self.tools or self.agents or self.cases)

    def before(self, moment: int) -> Facts:
        """What was known at an earlier moment (ns) of the same window: records with times until then."""
        until = rfc3339(moment)
        return Facts(
            self.project, self.rules, moment,
            [span for span in self.spans if span.start <= moment],
            [known for one in self.prompts if (known := one.before(until))],
            tuple(card for card in self.tools if not card.added or card.added[:10] <= until[:10]), self.agents, self.cases,
            [score for score in self.scores if score.at <= until],
            [score for score in self.acceptances if score.at <= until], [move for move in self.moves if move.at <= until],
            self.people, self.authors, self.problems, tuple(one for one in self.changes if one.at <= until), self.configured,
            [one for one in self.drifts if one[1].since and one[1].since <= until],
        )  # fmt: skip

    @cached_property
    def roots(self) -> list[Ran]:
        """One span a request: those without a parent here."""
        known = {(span.trace, span.id) for span in self.spans}
        return [span for span in self.spans if span.parent is None or (span.trace, span.parent) not in known]

    @cached_property
    def traces(self) -> dict[str, list[Ran]]:
        """The spans of each trace, by start."""
        found: dict[str, list[Ran]] = {}
        for span in self.spans:
            found.setdefault(span.trace, []).append(span)
        return found

    @cached_property
    def _tops(self) -> set[str]:
        return {f"{span.trace}/{span.id}" for span in self.roots}

    def item(self, target: str) -> str:
        """What a score is of: its target, where that is the first span of a trace the trace."""
        return target.partition("/")[0] if target in self._tops else target

    @cached_property
    def tool_calls(self) -> dict[str, list[Ran]]:
        """The calls of each tool."""
        found: dict[str, list[Ran]] = {}
        for span in self.spans:
            if span.tool is not None:
                found.setdefault(span.tool, []).append(span)
        return found

    @cached_property
    def offers(self) -> dict[tuple[str, ...], list[Ran]]:
        """The calls that were given tools, by the names of these."""
        found: dict[tuple[str, ...], list[Ran]] = {}
        for span in self.spans:
            if span.offered:
                found.setdefault(span.offered, []).append(span)
        return found

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], Ran]:
        return {(span.trace, span.id): span for span in self.spans}

    def caller(self, call: Ran) -> str:
        """The agent or chain above a call, else what stands on top of it."""
        at, seen = call, set[str]()
        while at.id not in seen:
            seen.add(at.id)
            if at.agent or at.kind == "chain":
                return at.agent or at.name
            at = self._by_id.get((at.trace, at.parent or ""), at)
        return at.name

    @cached_property
    def by_people(self) -> list[Score]:
        return [score for score in self.scores if score.by.startswith(("person:", "user:"))]

    @cached_property
    def _calls(self) -> dict[str, list[Ran]]:
        found: dict[str, list[Ran]] = {}
        for span in self.spans:
            if span.kind == "llm":
                for name in span.prompts:
                    found.setdefault(name, []).append(span)
        return found

    def calls_of(self, prompt: str) -> list[Ran]:
        """The model calls made with a prompt."""
        return self._calls.get(prompt, [])

    @cached_property
    def names_owners(self) -> bool:
        """Whether this project cares for owners at all: it names a team or people, or an owner of anything."""
        named = [self.project.config.get("people"), self.project.config.get("team")]
        return any(named) or any(one.owner for one in (*self.prompts, *self.tools))

    def known_owner(self, owner: str | None) -> bool:
        """Whether an owner is somebody: a team or a person who has not left. Anything goes where no people are declared."""
        if not owner:
            return False
        if not self.people and not self.project.config.get("team"):
            return True
        today = self.today.date().isoformat()
        here = {person.name for person in self.people if not person.left or person.left > today}
        teams = {person.team for person in self.people if person.team and person.name in here}
        return owner.removeprefix("person:") in here or owner in teams or owner == self.project.config.get("team")

    def left(self, name: str) -> Person | None:
        """The person with that name who has left."""
        today = self.today.date().isoformat()
        return next((one for one in self.people if one.name == name and one.left and one.left <= today), None)


def read_facts(session: Session, project: Project, *, as_of: int, rules: Rules | None = None) -> Facts:
    """Read the project's store and files up to `as_of` (ns)."""
    settings = project.section("debt")
    facts = Facts(project, rules or Rules(settings), as_of)
    until = rfc3339(as_of)
    facts.prompts, problems = read_prompts(session, project, until=until)
    tools = declared(session, project)
    facts.agents = tools.agents
    facts.changes = tuple(one for one in tools.changes if one.at <= until)
    facts.configured = read_configured(session, project)
    facts.problems += [*problems, *tools.problems]
    facts.people = tuple(_people(project))
    scores: list[Score] = [score for score in _all(session, "scores") if score.at <= until]
    facts.acceptances = [score for score in scores if is_acceptance(score)]
    facts.scores = [score for score in scores if not is_acceptance(score)]
    facts.moves = [move for move in _all(session, "aliases") if move.at <= until]
    offered, seen = Offered(), Seen()
    for span in session.spans.scan(as_of - int(WINDOW.total_seconds()) * 10**9, as_of, most=_MOST):
        facts.spans.append(_ran(span))
        facts.spans[-1].offered = offered.look(span.attributes, facts.spans[-1].day)
        seen.look(span, facts.spans[-1])
    named = {card.name for card in tools.tools}
    facts.tools = (*tools.tools, *(card for card in offered.cards if card.name not in named))
    facts.spans.sort(key=lambda span: span.start)
    facts.problems += seen.left_out()
    facts.prompts += seen.prompts(facts.spans, {one.name for one in facts.prompts})
    facts.authors = _authors(session)
    facts.drifts = list(newest_drifts(session, until))
    facts.cases = list(read_cases(session, project, facts.problems))
    return facts


def _all(session: Session, what: str) -> Iterator[Any]:
    cursor: str | None = None
    while True:
        page = cast("Page[Any]", session.find(cast("Any", what), limit=1000, cursor=cursor))
        yield from page.items
        if (cursor := page.next) is None:
            return


def _people(project: Project) -> Iterator[Person]:
    said = project.config.get("people")
    for one in said if isinstance(said, list) else ():
        if isinstance(one, dict) and one.get("name"):
            word = {key: str(one[key]) for key in ("team", "role", "left") if one.get(key)}
            yield Person(str(one["name"]), **word)


def _authors(session: Session) -> dict[str, str]:
    return {artifact.ref: artifact.by for artifact in _all(session, "artifacts")}


def _ran(span: Span) -> Ran:
    attributes = span.attributes
    tool = span.tool.get("name") if span.tool else span.name if span.kind == "tool" else None
    named = attributes.get("gen_ai.prompt.name") or attributes.get("langfuse.observation.prompt.name")
    refs = [ref for ref, _ in span.artifacts]
    prompts = {ref.partition(":")[2].partition("@")[0].partition("~")[0] for ref in refs if ref.startswith("prompt:")}
    if named:
        prompts.add(str(named))
    tokens = [count for count in (span.input_tokens, span.output_tokens) if count is not None]
    used = {ref.partition("@")[0].partition("~")[0] for ref in refs if not ref.startswith("prompt:")}
    service = attributes.get("resource.service.name") or attributes.get("service.name")
    permission = attributes.get("permission.used")
    return Ran(
        span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.start, span.seconds, span.status, span.error,
        span.response_model or span.model, sum(tokens) if tokens else None, span.cost,
        str(tool) if tool else None, _short(span.tool.get("arguments") if span.tool else None),
        _said(span.input, span.input_messages), _said(span.output, span.output_messages), span.session, span.user,
        str(attributes.get("gen_ai.agent.name") or attributes.get("ai.telemetry.functionId") or "") or (span.name if span.kind == "agent" else None),
        tuple(sorted(prompts)), tuple(map(intern, sorted(used))), intern(str(service)) if service else None,
        bool(refs or attributes.get("gen_ai.prompt.version") or attributes.get("service.version")),
        tuple(str(one) for one in permission) if isinstance(permission, list) else (str(permission),) if permission else (),
        tuple(span.marks),
    )  # fmt: skip


def _said(value: Json, messages: list[Json]) -> str:
    """What was said last, as text, cut."""
    if messages:
        last = next(
            (one for one in reversed(messages) if isinstance(one, dict) and one.get("role") != "system"), messages[-1]
        )
        if isinstance(last, dict) and (last.get("text") or last.get("tool_calls")):
            value = last.get("text") or last.get("tool_calls")
    if isinstance(value, str) and value.startswith("{") and len(value) < _PARSED:
        with suppress(ValueError, RecursionError):  # some instrumentors write arguments as JSON
            value = json.loads(value)
    while isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return _short(value)


def _short(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and len(value) == 1:  # {"question": "..."} says what its one value says
        (value,) = value.values()
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_SHOWN]


def read_cases(session: Session, project: Project, problems: list[str]) -> Iterator[Case]:
    """The rows of every suite under `evals/`; a suite or file that cannot be read is a problem, and no reason to stop."""
    folder = project.root / "evals"
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))) if folder.is_dir() else ():
        label = file.relative_to(project.root).as_posix()
        try:
            value = read_yaml(file.read_text(encoding="utf-8"), file=label).value
            suite = value if isinstance(value, dict) else {}
            name, target = str(suite.get("name") or file.stem), str(suite.get("target") or "")
            yield from _rows(session, project, str(suite.get("data") or ""), name, target)
        except (AfereError, OSError, UnicodeDecodeError) as problem:
            problems.append(f"{label}: {problem}")


def _rows(session: Session, project: Project, data: str, suite: str, target: str) -> Iterator[Case]:
    if not data:
        return
    path = project.path(data)
    if path.suffix and path.is_file():
        for number, (_, value) in enumerate(read_file(path, data), start=1):
            try:
                row = read_row(value)
            except RowProblem:  # `afere eval` names it
                continue
            said = row.input or row.metadata
            yield Case(suite, row.id or str(number), _text(said), _text(row.expected), target, said)
        return
    from afere.data import Dataset

    for row in Dataset(session.get(data, kind="dataset"), session).rows:
        yield Case(
            suite, row.id, _text(row.input or row.metadata), _text(row.expected), target, row.input or row.metadata
        )


def _text(value: Json) -> str:
    """All the words of a value."""
    if isinstance(value, dict):
        return "\n".join(_text(one) for one in value.values())
    if isinstance(value, list):
        return "\n".join(_text(one) for one in value)
    return "" if value is None else str(value)
