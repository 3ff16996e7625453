"""What MCP servers list, kept: each tool a versioned artifact, each listing a bundle of them, so that a change is seen.

Somebody else's server may change what a model is told at any time, which is a known attack. So a listing is asked for by
the user, kept as it was, and held against the one before: what came, went or reads otherwise is named.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact, Use, parse_ref
from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import AfereError, BadProject
from afere.chains.mcp import Listing, Server, connect, servers
from afere.chains.mcp.listing import hints_in_words
from afere.chains.toolcard import ToolCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from afere.base.project import Project
    from afere.store import Session

_AT_ONCE = 8  # servers that are asked at a time
_PREFIX = "mcp."  # of the bundles that listings are
_PARTS = {
    "title": "title", "description": "description", "parameters": "parameters", "output": "output",
    "hints": "what it says of itself", "whole": "text that nobody sees, or that is too long to keep",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolChange:
    """A tool that its server now describes otherwise: `what` are the parts that differ between two versions."""

    tool: str
    server: str
    before: str
    after: str
    what: tuple[str, ...]
    at: str

    def to_json(self) -> Json:
        return {
            "tool": self.tool, "server": self.server, "from": self.before, "to": self.after, "what": list(self.what),
            "at": self.at,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """A server, and what was last kept of it. `tools` are references by name; `why` says why it gave no list when last asked.

    `came`, `went` and `changed` are what a listing had otherwise than the one before; empty unless it was just asked.
    """

    server: str
    transport: str = ""
    owner: str | None = None
    protocol: str = ""
    software: str = ""
    listing: str | None = None
    asked: str | None = None
    tools: Mapping[str, str] | None = None
    problems: tuple[str, ...] = ()
    left_out: int = 0
    why: str = ""
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    changed: tuple[ToolChange, ...] = ()
    seconds: float | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "server": self.server, "transport": self.transport, "owner": self.owner, "protocol": self.protocol or None,
            "software": self.software or None, "listing": self.listing, "asked": self.asked,
            "tools": None if self.tools is None else len(self.tools), "left_out": self.left_out,
            "problems": list(self.problems), "error": self.why or None, "came": list(self.came), "went": list(self.went),
            "changed": [one.to_json() for one in self.changed], "seconds": self.seconds,
        }  # fmt: skip


def refresh(
    session: Session, project: Project, *, told: Callable[[Standing], None] | None = None
) -> tuple[Standing, ...]:
    """Ask every server of `mcp:` for its tools, some at a time, and keep what they list. One that fails stops no other.

    `told` hears of each as soon as it is kept.
    """
    found: list[Standing] = []
    declared = servers(project)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="afere-mcp") as pool:
        asked = [(one, None if isinstance(one, BadProject) else pool.submit(_asked, one)) for one in declared]
        for name, (one, answer) in zip(project.section("mcp"), asked, strict=True):
            if isinstance(one, BadProject) or answer is None:
                standing = _failed(session, name, str(one))
            else:
                listing, seconds = answer.result()
                standing = (
                    _failed(session, name, str(listing), one)
                    if isinstance(listing, AfereError)
                    else keep(session, one, listing, seconds)
                )
            found.append(standing)
            if told:
                told(standing)
    return tuple(found)


def keep(session: Session, server: Server, listing: Listing, seconds: float | None = None) -> Standing:
    """Put a listing and its tools; what is as before is the same version."""
    before = _bundle(session, server.name)
    why = f"listed by MCP server {server.name}"
    kept: dict[str, Artifact] = {}
    for offer in listing.tools:
        kept[offer.name] = session.put("tool", offer.artifact(server.name), offer.content(server.name), why=why)
    content: dict[str, Json] = {
        "server": server.name, "transport": server.transport, "owner": server.owner, "protocol": listing.protocol,
        "software": listing.software, "problems": list(listing.problems), "left_out": listing.left_out,
    }  # fmt: skip
    uses = [Use(f"tool {name}", one.ref, one.hash) for name, one in kept.items()]
    made = session.put("bundle", _PREFIX + server.name, content, uses=uses, why=why)
    earlier = _tools_of(before) if before else {}
    changed = [
        change
        for name, one in kept.items()
        if name in earlier and earlier[name] != one.ref and (change := _change(session, name, earlier[name], one))
    ]
    asked = rfc3339(now_ns())
    session.cache.put(_key(session, server.name), {"at": asked})
    return replace(
        _standing(made, asked), came=tuple(name for name in kept if name not in earlier) if before else (),
        went=tuple(name for name in earlier if name not in kept), changed=tuple(changed), seconds=seconds,
    )  # fmt: skip


def standings(session: Session, project: Project) -> tuple[Standing, ...]:
    """Every server as it was last listed, without asking it: those of `mcp:`, or of the store where no project says."""
    known = {one.name.removeprefix(_PREFIX): one for one in _bundles(session)}
    named = list(project.section("mcp")) if project.declared else list(known)
    return tuple(_last(session, name, known.get(name)) for name in named)


def listed(session: Session, found: Iterable[Standing]) -> Iterator[tuple[ToolCard, str]]:
    """A card for each tool of these servers, with its reference. What a server says of owners counts for nothing."""
    for standing in found:
        for name, ref in (standing.tools or {}).items():
            artifact = session.get(ref)
            content = cast("dict[str, Json]", artifact.content)
            parameters, hints = content.get("parameters"), content.get("hints")
            first = artifact.at if artifact.version == 1 else session.get(f"tool:{artifact.name}@1").at
            yield (
                ToolCard(
                    name, str(content.get("description") or ""), standing.owner, (),
                    parameters if isinstance(parameters, dict) else {}, first, f"MCP server {standing.server}",
                    hints=hints_in_words(hints) if isinstance(hints, dict) else (),
                ),
                ref,
            )  # fmt: skip


def changes(session: Session, found: Iterable[Standing]) -> Iterator[ToolChange]:
    """For each tool that has been described otherwise before, how its newest version differs from the one before that."""
    for standing in found:
        for name, ref in (standing.tools or {}).items():
            parsed = parse_ref(ref)
            if parsed.number is not None and parsed.number > 1:
                change = _change(session, name, f"tool:{parsed.name}@{parsed.number - 1}", session.get(ref))
                if change:
                    yield change


def _asked(server: Server) -> tuple[Listing | AfereError, float]:
    begun = time.monotonic()
    try:
        with connect(server) as client:
            return client.tools(), time.monotonic() - begun
    except AfereError as problem:
        return problem, time.monotonic() - begun


def _failed(session: Session, name: str, why: str, server: Server | None = None) -> Standing:
    """What was kept before stands; that it gave no list is kept, until it does."""
    last = _last(session, name, _bundle(session, name))
    session.cache.put(_key(session, name), {"at": last.asked, "error": why})
    if server:
        last = replace(last, transport=last.transport or server.transport, owner=last.owner or server.owner)
    return replace(last, why=why)


def _last(session: Session, name: str, bundle: Artifact | None) -> Standing:
    """A server as it stood when it was last asked."""
    told = session.cache.get(_key(session, name))
    said = told if isinstance(told, dict) else {}
    standing = _standing(bundle, str(said.get("at") or bundle.at)) if bundle else Standing(name)
    return replace(standing, why=str(said.get("error") or ""))


def _standing(bundle: Artifact, asked: str) -> Standing:
    content = bundle.content if isinstance(bundle.content, dict) else {}
    problems, left_out = content.get("problems"), content.get("left_out")
    return Standing(
        bundle.name.removeprefix(_PREFIX), str(content.get("transport") or ""), _text(content.get("owner")),
        str(content.get("protocol") or ""), str(content.get("software") or ""), bundle.ref, asked, _tools_of(bundle),
        tuple(str(one) for one in problems) if isinstance(problems, list) else (),
        left_out if isinstance(left_out, int) else 0,
    )  # fmt: skip


def _tools_of(bundle: Artifact) -> dict[str, str]:
    return {use.role.removeprefix("tool "): use.ref for use in bundle.uses}


def _change(session: Session, tool: str, before: str, after: Artifact) -> ToolChange | None:
    then, now = (cast("dict[str, Json]", one.content) for one in (session.get(before), after))
    what = tuple(words for key, words in _PARTS.items() if then.get(key) != now.get(key))
    return ToolChange(tool, str(now["server"]), before, after.ref, what, after.at) if what else None


def _bundle(session: Session, server: str) -> Artifact | None:
    page = session.find("artifacts", kind="bundle", name=_PREFIX + server, latest=True, limit=1)
    return page.items[0] if page.items else None


def _bundles(session: Session) -> Iterator[Artifact]:
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="bundle", latest=True, limit=200, cursor=cursor)
        yield from (one for one in page.items if one.name.startswith(_PREFIX))
        if (cursor := page.next) is None:
            return


def _key(session: Session, server: str) -> str:
    return f"mcp:{session.project}:{server}"


def _text(value: Json) -> str | None:
    return str(value) if value not in (None, "") else None
