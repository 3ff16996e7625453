"""Spans of whatever depth: those that match `?q=`, newest first, contents cut to previews. Also as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import BadInput, BadRule
from afere.base.span import Span
from afere.server.pages.asked import Asked, as_json

if TYPE_CHECKING:
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class SpansPage:
    items: tuple[Span, ...]
    next: str | None
    query: str = ""
    first: bool = True
    problem: str = ""
    status: int = 200

    def to_json(self) -> Json:
        return {"items": [as_json(span) for span in self.items], "next": self.next}


def page(session: Session, asked: Asked) -> SpansPage:
    """Spans that match the filter. A filter that cannot be read is said, with status 400."""
    query, cursor = asked.get("q").strip(), asked.cursor
    try:
        found = session.spans.find(query, limit=asked.limit, cursor=cursor, roots=False)
    except BadInput as problem:
        if cursor and not isinstance(problem, BadRule):  # it is the cursor that is wrong
            raise
        return SpansPage((), None, query, cursor is None, str(problem), 400)
    return SpansPage(found.items, found.next, query, cursor is None)
