"""What stands around every page: project, navigation (only what exists today), theme, and who is asking."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afere.base.actor import EVERY, SCOPES, Actor
from afere.base.errors import NotFound, Refused
from afere.tracing.otlp.batch import check_project

if TYPE_CHECKING:
    from afere.store import Session


@dataclass(frozen=True, slots=True)
class Entry:
    here: str
    name: str
    path: str
    icon: str


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    entries: tuple[Entry, ...]


GROUPS = (
    Group("", (Entry("home", "Home", "", "home"),)),
    Group(
        "Watch",
        (
            Entry("traces", "Traces", "/traces", "trace"),
            Entry("sessions", "Sessions", "/sessions", "review"),
            Entry("users", "Users", "/users", "person"),
            Entry("stats", "Statistics", "/stats", "monitor"),
        ),
    ),
    Group(
        "Build",
        (
            Entry("prompts", "Prompts", "/prompts", "prompt"),
            Entry("datasets", "Datasets", "/datasets", "dataset"),
            Entry("tools", "Tools", "/tools", "tool"),
            Entry("artifacts", "All artifacts", "/artifacts", "chain"),
        ),
    ),
    Group("Evaluate", (Entry("experiments", "Experiments", "/experiments", "experiment"),)),
    Group(
        "Govern",
        (
            Entry("lineage", "Lineage", "/lineage", "lineage"),
            Entry("debt", "Debt", "/debt", "debt"),
            Entry("audit", "Audit log", "/audit", "audit"),
        ),
    ),
)
# First words of addresses that no project is called by, since they are, or will be, pages and doors of the server.
UNBUILT = frozenset({
    "api", "chains", "monitors", "alerts", "jobs", "release", "gateway", "review", "models",
    "docs",
})  # fmt: skip
BUILT = frozenset({
    "v1", "traces", "sessions", "users", "stats", "views", "spans", "scores", "artifacts", "prompts", "datasets", "experiments", "bakeoffs", "stability", "tools", "compare", "labels", "lineage", "debt", "audit", "settings",
    "static", "login", "logout", "invitation", "metrics",
})  # fmt: skip
_NEXT = {"": "light", "light": "dark", "dark": "system"}


@dataclass(frozen=True, slots=True)
class Frame:
    """`base` is the path of the project, `path` that of this page (with its query), `here` where the navigation stands."""

    project: str
    base: str
    here: str
    path: str
    theme: str
    next_theme: str
    actor: str
    logged_in: bool
    folder: str
    folder_name: str
    groups: tuple[Group, ...] = GROUPS


class Sessions:
    """The open sessions of one store, one a project, opened when first asked for."""

    def __init__(self, first: Session) -> None:
        self.first = first
        self._open = {first.project: first}
        self._lock = threading.Lock()

    def of(self, project: str | None, actor: Actor) -> Session:
        """What this actor sees of a project that has something kept. Without a name: their own one, or the server's."""
        project = self._project(project, actor)
        found = self._whole(project, named=project in actor.projects)
        return found if actor == self.first.rights else found.of(project, actor)

    def begun(self, project: str | None, actor: Actor) -> Session:
        """As `of`, also for a project that has nothing yet."""
        named = self._project(project, actor)
        return self.first.of(check_project(named, "the project's name"), actor)

    def _project(self, asked: str | None, actor: Actor) -> str:
        project = asked
        if project is None:
            own = next(iter(actor.projects), EVERY)
            project = self.first.project if any(actor.may(scope, self.first.project) for scope in SCOPES) else own
        if not any(actor.may(scope, project) for scope in SCOPES):  # also where there is no such project
            raise Refused(f"{actor.id} has no access to project {project!r}. An administrator gives it: afere user add")
        return project

    def _whole(self, project: str, *, named: bool) -> Session:
        with self._lock:
            if project not in self._open:
                session = self.first.of(project, self.first.rights)
                known = (
                    named or session.find("artifacts", limit=1).items or session.spans.find(limit=1, brief=True).items
                )
                if not known:
                    raise NotFound(self._nothing(project))
                self._open[project] = session
            return self._open[project]

    def _nothing(self, word: str) -> str:
        """Why the first word of an address leads nowhere."""
        if word in UNBUILT:
            return (
                f"The address /{word} is reserved for afere itself, and it is not built yet. Start from the home page."
            )
        if word in BUILT:
            return f"The address /{word} is reserved for afere itself, and alone it is no page. What there is: /openapi.json."
        return (
            f"There is no project {word!r} in this store, nor another page of that name. "
            f"This server was started for project {self.first.project!r}."
        )


def frame(session: Session, *, here: str, theme: str, path: str, logged_in: bool = False) -> Frame:
    """What stands around a page of this project."""
    folder = session.folder
    return Frame(
        session.project, f"/{session.project}", here, path, theme, _NEXT[theme], session.actor, logged_in, str(folder),
        "/".join(folder.parts[-2:]),
    )  # fmt: skip
