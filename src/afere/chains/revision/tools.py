"""Tools that an agent or a prompt names by text: their functions, found in the source, and the file that describes others."""

from __future__ import annotations

from collections.abc import Collection

from afere.base.project import Project
from afere.chains.revision.file_index import Piece
from afere.chains.revision.modules import Defined, Module, Outside
from afere.chains.revision.reach import Reach
from afere.chains.revision.uses import Name
from afere.chains.tool import tool_name
from afere.chains.toolcard import tool_lists

_TOOL = ("afere.tool", "afere.chains.tool", "afere.chains.tool.tool")


def follow_tools(reach: Reach, names: Collection[str], project: Project) -> bool:
    """Reach the tools of these names that modules on the way define; whether there was one that is new."""
    before = len(reach.reached.parts)
    defined: set[str] = set()
    for module in list(reach.entered.values()) if names else ():
        for name, piece in reach.modules.index(module).pieces.items():
            called = _name_of(reach, module, name, piece) if piece.kind == "function" and piece.decorators else None
            if called in names:
                defined.add(str(called))
                reach.follow(Defined(module, name), None)
    for one in tool_lists(project, []) if set(names) - defined else ():  # running it will say what cannot be read
        if one.file is not None and {card.name for card in one.cards} & set(names) - defined:
            path = one.file.resolve().as_posix()
            reach.file(reach.modules.label(path), path, None)
    return len(reach.reached.parts) > before


def _name_of(reach: Reach, module: Module, name: str, piece: Piece) -> str | None:
    """The name by which a model asks for it, if it is a tool."""
    if not any(_is_tool(reach, module, decorator) for decorator in piece.decorators):
        return None
    for call in piece.uses.calls:
        given = call.keywords.get("name")
        if given and given[0] == "=" and _is_tool(reach, module, call.callee):
            return str(given[1])
    return tool_name(name)


def _is_tool(reach: Reach, module: Module, name: Name) -> bool:
    targets = reach.modules.resolve(module, name)[0]
    return any(isinstance(target, Outside) and target.name in _TOOL for target in targets)
