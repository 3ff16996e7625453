"""Tools as a project declares them, and as traces show them: one card a tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.document import Document, read_yaml
from afere.base.errors import BadInput

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.store import Session


@dataclass(frozen=True)
class ToolCard:
    """What is known of a tool without calling it. `place` is where it is declared: a file and line, or a reference."""

    name: str
    description: str = ""
    owner: str | None = None
    permissions: tuple[str, ...] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    added: str | None = None
    place: str = ""
    agents: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentCard:
    """An agent that a project names, with the tools it may call and the prompts it uses."""

    name: str
    tools: tuple[str, ...]
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """The tools and agents of a project; `problems` says what could not be read."""

    tools: tuple[ToolCard, ...]
    agents: tuple[AgentCard, ...]
    problems: tuple[str, ...] = ()


def declared(session: Session, project: Project) -> Declared:
    """The tools under `tools:` and `agents:` of afere.yaml, and those that code declared (artifacts of kind tool)."""
    problems: list[str] = []
    cards: dict[str, ToolCard] = {}
    for card in _listed(project, project.config.get("tools"), problems):
        cards[card.name] = card
    agents: list[AgentCard] = []
    for name, said in project.section("agents").items():
        entry = said if isinstance(said, dict) else {}
        own = list(_listed(project, entry.get("tools"), problems))
        for card in own:
            before = cards.get(card.name, card)
            merged = card if card.description or not before.description else before
            cards[card.name] = _with_agent(merged, before.agents, name)
        prompts = entry.get("prompts")
        written = tuple(str(one) for one in prompts) if isinstance(prompts, list) else ()
        agents.append(AgentCard(name, tuple(card.name for card in own), written))
    for card in kept(session):
        cards.setdefault(card.name, card)
    return Declared(tuple(cards.values()), tuple(agents), tuple(problems))


def _with_agent(card: ToolCard, agents: Sequence[str], name: str) -> ToolCard:
    return ToolCard(
        card.name, card.description, card.owner, card.permissions, card.parameters, card.added, card.place, (*agents, name)
    )  # fmt: skip


def _listed(project: Project, said: Json, problems: list[str]) -> Iterator[ToolCard]:
    """The tools of a list, or of the file that a text names."""
    if isinstance(said, str):
        path = project.path(said)
        try:
            document = read_yaml(path.read_text(encoding="utf-8"), file=_shown(path, project.root))
        except (OSError, UnicodeDecodeError) as problem:
            problems.append(f"{said}: tools cannot be read: {problem}")
            return
        except BadInput as problem:
            problems.append(str(problem))
            return
    else:
        document = Document(said, "afere.yaml")
    value = document.value
    if isinstance(value, dict) and isinstance(value.get("tools"), list):
        value = value["tools"]
    if value is None:
        return
    if not isinstance(value, list):
        problems.append(f"{document.file}: tools are a list of {{name, description, owner, permissions, parameters}}.")
        return
    for number, one in enumerate(value):
        card = read_card(one, document.at((number,)) if document.lines else document.at(("tools", number)))
        if card is None:
            problems.append(f"{document.at((number,))}: a tool needs a name.")
        else:
            yield card


def read_card(said: Json, place: str) -> ToolCard | None:
    """A tool as any of the protocols writes it; None for what has no name."""
    if isinstance(said, str):
        return ToolCard(said, place=place)
    if not isinstance(said, dict):
        return None
    inner = said.get("function")
    if isinstance(inner, dict):  # as a request to OpenAI lists them
        said = {**said, **inner}
    name = said.get("name")
    if not isinstance(name, str) or not name:
        return None
    parameters = (
        said.get("parameters")
        or said.get("inputSchema")
        or said.get("input_schema")
        or said.get("parameters_json_schema")
    )
    return ToolCard(
        name, str(said.get("description") or ""), _text(said.get("owner")), _texts(said.get("permissions")),
        parameters if isinstance(parameters, dict) else {}, _text(said.get("added")), place,
    )  # fmt: skip


def written(project: Project, problems: list[str]) -> Iterator[ToolCard]:
    """Every declaration in afere.yaml and the files it names, unmerged: the same name may come several times."""
    yield from _listed(project, project.config.get("tools"), problems)
    for name, said in project.section("agents").items():
        for card in _listed(project, said.get("tools") if isinstance(said, dict) else None, problems):
            yield _with_agent(card, (), name)


def kept(session: Session) -> Iterator[ToolCard]:
    """The newest version of each artifact of kind tool; `place` is its reference."""
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="tool", latest=True, limit=200, cursor=cursor)
        for artifact in page.items:
            card = read_card({"name": artifact.name, **cast("dict[str, Json]", artifact.content or {})}, artifact.ref)
            if card is not None:
                yield card
        if (cursor := page.next) is None:
            return


def _text(value: Json) -> str | None:
    return str(value) if value not in (None, "") else None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else (str(value),) if value else ()


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
