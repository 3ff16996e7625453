"""Tools as a project declares them, and as traces show them: one card a tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.chains.toolcard import ToolCard, merged, read_card, tool_lists
from afere.govern.toolservers import ToolChange, changes, listed, standings

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session


@dataclass(frozen=True)
class AgentCard:
    """An agent that a project names, with the tools it may call and the prompts it uses."""

    name: str
    tools: tuple[str, ...]
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """The tools and agents of a project; `problems` says what could not be read, `changes` what MCP servers changed."""

    tools: tuple[ToolCard, ...]
    agents: tuple[AgentCard, ...]
    problems: tuple[str, ...] = ()
    changes: tuple[ToolChange, ...] = ()


def declared(session: Session, project: Project) -> Declared:
    """The tools under `tools:` and `agents:` of afere.yaml, those that code declared, and those that MCP servers listed."""
    problems: list[str] = []
    lists = list(tool_lists(project, problems))
    cards = merged(lists)
    servers = standings(session, project)
    for card in (*kept(session), *(card for card, _ in listed(session, servers))):
        cards.setdefault(card.name, card)
    offered = {one.agent: tuple(card.name for card in one.cards) for one in lists}
    agents: list[AgentCard] = []
    for name, said in project.section("agents").items():
        prompts = said.get("prompts") if isinstance(said, dict) else None
        written = tuple(str(one) for one in prompts) if isinstance(prompts, list) else ()
        agents.append(AgentCard(name, offered.get(name, ()), written))
    return Declared(tuple(cards.values()), tuple(agents), tuple(problems), tuple(changes(session, servers)))


def written(project: Project, problems: list[str]) -> Iterator[ToolCard]:
    """Every declaration in afere.yaml and the files it names, unmerged: the same name may come several times."""
    for one in tool_lists(project, problems):
        yield from one.cards


def kept(session: Session) -> Iterator[ToolCard]:
    """The newest version of each tool that code declared, as its artifact says; `place` is its reference."""
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="tool", latest=True, limit=200, cursor=cursor)
        for artifact in page.items:
            content = cast("dict[str, Json]", artifact.content or {})
            card = read_card({"name": artifact.name, **content}, artifact.ref)
            if card is not None and "server" not in content:
                yield card
        if (cursor := page.next) is None:
            return
