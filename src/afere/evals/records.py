"""What is kept of a bake-off, a stability run or a search for blame: an artifact of kind `report` that says which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from afere.base.artifact import Artifact
from afere.store.page import Page

if TYPE_CHECKING:
    from afere.store import Session

Record = Literal["bakeoff", "stability", "blame"]


def is_record(artifact: Artifact, what: Record) -> bool:
    """Whether it is one of these, among the reports there are."""
    content = artifact.content
    return artifact.kind == "report" and isinstance(content, dict) and content.get("report") == what


def records(session: Session, what: Record, *, limit: int, cursor: str | None = None) -> Page[Artifact]:
    """Those of one sort, newest first; reports of other sorts between them are passed over."""
    found: list[Artifact] = []
    while True:
        page = session.find("artifacts", kind="report", limit=limit - len(found), cursor=cursor)
        found += (one for one in page.items if is_record(one, what))
        cursor = page.next
        if cursor is None or len(found) == limit:
            return Page(tuple(found), cursor)
