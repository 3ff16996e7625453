"""Tools as a project writes them down: the one reading of `tools:`, for models, the registry and the audit alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.document import Document, read_yaml
from afere.base.errors import BadInput

if TYPE_CHECKING:
    from afere.base.project import Project


@dataclass(frozen=True)
class ToolCard:
    """What is known of a tool without calling it. `place` is where it is declared: a file and line, a reference, a server.

    `hints` are what an MCP server says of its own tool, in words: claims, not facts.
    """

    name: str
    description: str = ""
    owner: str | None = None
    permissions: tuple[str, ...] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    added: str | None = None
    place: str = ""
    agents: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolList:
    """One list of tools: that of the project, or of the `agent` of that name. `file` holds it where it is not afere.yaml."""

    agent: str | None
    file: Path | None
    cards: tuple[ToolCard, ...]


def tool_lists(project: Project, problems: list[str]) -> Iterator[ToolList]:
    """`tools:` of afere.yaml, then those of each of its agents; what cannot be read is told in `problems`."""
    said: list[tuple[str | None, Json]] = [(None, project.config.get("tools"))]
    said += [(name, entry.get("tools")) for name, entry in project.section("agents").items() if isinstance(entry, dict)]
    for agent, value in said:
        cards = tuple(_read(project, value, problems))
        named = tuple(replace(card, agents=(agent,)) for card in cards) if agent else cards
        yield ToolList(agent, project.path(value) if isinstance(value, str) else None, named)


def merged(lists: Sequence[ToolList]) -> dict[str, ToolCard]:
    """Each tool once, with all its agents: as the last says it that describes it, else the last that names it."""
    cards: dict[str, ToolCard] = {}
    for card in (card for one in lists for card in one.cards):
        before = cards.get(card.name, card)
        fuller = card if card.description or not before.description else before
        cards[card.name] = replace(fuller, agents=tuple(dict.fromkeys((*before.agents, *card.agents))))
    return cards


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


def _read(project: Project, said: Json, problems: list[str]) -> Iterator[ToolCard]:
    """The tools of a list, or of the file that a text names."""
    document = _document(project, said, problems) if isinstance(said, str) else Document(said, "afere.yaml")
    value = document.value if document else None
    if document is None or value is None:
        return
    inside: tuple[str, ...] = ()
    if isinstance(value, dict) and isinstance(value.get("tools"), list):
        value, inside = value["tools"], ("tools",)
    if not isinstance(value, list):
        problems.append(f"{document.file}: tools are a list of {{name, description, owner, permissions, parameters}}.")
        return
    for number, one in enumerate(value):
        card = read_card(one, document.at((*inside, number)))
        if card is None:
            problems.append(f"{document.at((*inside, number))}: tool {number + 1} needs a name.")
        else:
            yield card


def _document(project: Project, name: str, problems: list[str]) -> Document | None:
    path = project.path(name)
    shown = path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
    try:
        return read_yaml(path.read_text(encoding="utf-8"), file=shown)
    except OSError as problem:
        problems.append(f"{name}: tools cannot be read: {problem.strerror}.")
    except UnicodeDecodeError as problem:
        problems.append(f"{name}: tools cannot be read: not UTF-8 (byte {problem.start}).")
    except BadInput as problem:
        problems.append(str(problem))
    return None


def _text(value: Json) -> str | None:
    return str(value) if value not in (None, "") else None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else (str(value),) if value else ()
