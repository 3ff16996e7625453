"""Spans as JSON: `/spans.json?q=&limit=&cursor=`, newest first, contents cut to previews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.span import Span
from afere.server.pages.asked import Asked

if TYPE_CHECKING:
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class SpansPage:
    items: tuple[Span, ...]
    next: str | None


def page(session: Session, asked: Asked) -> SpansPage:
    """Spans that match the filter, of whatever depth."""
    found = session.spans.find(asked.get("q"), limit=asked.limit, cursor=asked.cursor, roots=False)
    return SpansPage(found.items, found.next)
