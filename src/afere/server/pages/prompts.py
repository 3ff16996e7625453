"""Prompts: the list, and one of them with its versions, the difference of any two, where its aliases stand, and who uses it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.server import textdiff
from afere.server.pages.artifacts import Used, moves, users
from afere.server.pages.asked import Asked, as_json

if TYPE_CHECKING:
    from afere.base.artifact import AliasMove, Artifact
    from afere.store import Session

_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A name with its newest version and where its aliases point."""

    newest: Artifact
    aliases: tuple[AliasMove, ...]

    def to_json(self) -> Json:
        return self.newest.to_json()


@dataclass(frozen=True, slots=True)
class PromptsPage:
    items: tuple[Listed, ...]
    next: str | None


def listed(session: Session, kind: str, asked: Asked) -> tuple[tuple[Listed, ...], str | None]:
    """The names of a kind, last changed first, with their aliases."""
    found = session.find("artifacts", kind=kind, latest=True, limit=asked.limit, cursor=asked.cursor)
    named: list[Listed] = []
    for artifact in found.items:
        now = session.find("aliases", ref=f"{kind}:{artifact.name}", current=True, limit=20).items
        named.append(Listed(artifact, now))
    return tuple(named), found.next


def list_page(session: Session, asked: Asked) -> PromptsPage:
    """All prompts."""
    return PromptsPage(*listed(session, "prompt", asked))


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions side by side."""

    before: Artifact
    after: Artifact
    lines: tuple[textdiff.Line, ...]
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class PromptPage:
    """One version of a prompt among the others. `difference` is with the version before, or the two asked for."""

    artifact: Artifact
    text: str
    versions: tuple[Artifact, ...]
    moves: tuple[AliasMove, ...]
    used_by: tuple[Used, ...]
    more_users: int
    difference: Difference | None
    shown: str

    @property
    def newest(self) -> Artifact:
        """The version with the highest number."""
        return self.versions[0]

    @property
    def verdict(self) -> str:
        """Where it stands, in a sentence."""
        here = f"@{self.artifact.version}"
        placed = [f"@{one.version} is {' and '.join(one.aliases)}" for one in self.versions if one.aliases]
        stands = "; ".join(placed) + "." if placed else "No alias points to any version yet."
        if self.artifact.version == self.newest.version:
            return (
                f"{here} is the newest of {len(self.versions)}. {stands}"
                if len(self.versions) > 1
                else f"{here} is the only version. {stands}"
            )
        return f"{here} is not the newest: that is @{self.newest.version}. {stands}"

    def to_json(self) -> Json:
        return {
            "artifact": self.artifact.to_json(), "text": self.text, "versions": [one.to_json() for one in self.versions],
            "moves": [move.to_json() for move in self.moves], "used_by": as_json(self.used_by),
            "difference": as_json(self.difference),
        }  # fmt: skip


def page(session: Session, asked: Asked) -> PromptPage:
    """The newest version, or the one in the path (a number or an alias)."""
    name, version = str(asked.path["name"]), asked.path.get("version")
    artifact = session.get(f"prompt:{name}@{version}" if version else f"prompt:{name}")
    before = session.get(f"prompt:{name}@{artifact.version - 1}") if artifact.version > 1 else None
    return _page(session, artifact, before, asked.get("show") or ("diff" if before else "text"))


def diff_page(session: Session, asked: Asked) -> PromptPage:
    """The difference of two versions, in the order asked for."""
    name = asked.path["name"]
    before, after = (session.get(f"prompt:{name}@{asked.path[side]}") for side in ("a", "b"))
    return _page(session, after, before, "diff")


def _page(session: Session, artifact: Artifact, before: Artifact | None, shown: str) -> PromptPage:
    if shown not in ("diff", "text", "used"):
        raise BadInput(f"show={shown!r}: one of diff, text, used.")
    versions = session.find("artifacts", kind="prompt", name=artifact.name, limit=_VERSIONS).items
    used, more = users(session, artifact.ref)
    text = prompt_text(artifact)
    difference = None
    if before is not None:
        lines = textdiff.lines(prompt_text(before), text)
        added = sum(line.after.kind == "plus" for line in lines)
        difference = Difference(before, artifact, lines, added, sum(line.before.kind == "minus" for line in lines))
    return PromptPage(
        artifact,
        text,
        versions,
        moves(session, artifact),
        used,
        more,
        difference,
        shown if difference or shown != "diff" else "text",
    )


def prompt_text(artifact: Artifact) -> str:
    """The prompt as text: what its front matter declares, then the template as it was written."""
    content = artifact.content if isinstance(artifact.content, dict) else {}
    declared = [
        f"{key}: {json.dumps(value, ensure_ascii=False, indent=2)}"
        for key, value in sorted(content.items())
        if key != "template" and value is not None
    ]
    template = content.get("template")
    body = template if isinstance(template, str) else ""
    return "\n".join([*declared, "---", body]) if declared else body
