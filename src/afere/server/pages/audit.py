"""The audit log: who changed what, when. Newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class Line:
    seq: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Json]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    items: tuple[Line, ...]
    next: str | None


def page(session: Session, asked: Asked) -> AuditPage:
    """The newest lines of this project."""
    found = session.find("audit", limit=asked.limit, cursor=asked.cursor)
    lines = (Line(o.seq, o.at, o.actor, o.action, o.subject, o.details, o.previous, o.hash) for o in found.items)
    return AuditPage(tuple(lines), found.next)
