"""Saved views: a filter and a sort with a name, for everybody in the project. Each is an artifact, so that its history is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.base.filter import parse_filter

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

SORTS = ("start", "latency", "cost", "tokens")
_SHOWN = 200  # artifacts looked through


@dataclass(frozen=True, slots=True)
class View:
    """What `name` stands for."""

    name: str
    filter: str
    sort: str
    by: str = ""
    at: str = ""
    why: str = ""

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "filter": self.filter,
            "sort": self.sort,
            "by": self.by,
            "at": self.at,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class ViewsPage:
    items: tuple[View, ...]
    next: str | None = None


def page(session: Session, _asked: object) -> ViewsPage:
    """The saved views of the project, by name."""
    return ViewsPage(views(session))


def views(session: Session) -> tuple[View, ...]:
    """The newest state of each view that is not taken away, by name."""
    seen: dict[str, Artifact] = {}
    for artifact in session.find("artifacts", kind="view", limit=_SHOWN).items:
        if artifact.name not in seen or artifact.version > seen[artifact.name].version:
            seen[artifact.name] = artifact
    return tuple(view for name in sorted(seen) if (view := _view(seen[name])) is not None)


def named(session: Session, name: str) -> View:
    """The view of that name, or NotFound."""
    found = views(session)
    for view in found:
        if view.name == name:
            return view
    known = ", ".join(view.name for view in found) or "none yet"
    raise NotFound(
        f"There is no view {name!r} in project {session.project!r}. Views: {known}. Save one on the page of traces."
    )


def save(session: Session, name: str, filter: str, sort: str = "start", why: str = "") -> View:
    """Keep a view; the same name again is its next version."""
    parse_filter(filter)
    if sort not in SORTS:
        raise BadInput(f"A view cannot be sorted by {sort!r}. By: {', '.join(SORTS)}.")
    made = session.put("view", name, {"filter": filter, "sort": sort}, why=why)
    return View(name, filter, sort, made.by, made.at, made.why)


def remove(session: Session, name: str) -> None:
    """Take a view out of the list; its versions stay."""
    named(session, name)
    session.put("view", name, {"filter": None}, why="taken out of the list")


def _view(artifact: Artifact) -> View | None:
    content = artifact.content if isinstance(artifact.content, dict) else {}
    filter, sort = content.get("filter"), content.get("sort")
    if not isinstance(filter, str):
        return None
    return View(artifact.name, filter, sort if sort in SORTS else "start", artifact.by, artifact.at, artifact.why)
