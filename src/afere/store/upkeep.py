"""What afere.yaml asks of a store over time: how long spans are kept. Servers apply it daily, `afere keep` at once."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import AfereError
from afere.base.project import Project, find_project
from afere.store.session import Session

_DAY = 86_400.0
_SECONDS = {"h": 3_600.0, "d": _DAY}
_log = logging.getLogger("afere.store")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept and how much went. `spans` is the age from afere.yaml; None: everything is kept.

    `others`: how many went of each other project in the store for which an age is set. `archived`: how many spans were moved
    into Parquet files, of all projects.
    """

    spans: str | None
    removed: int
    archive: str | None = None
    archived: int = 0
    others: dict[str, int] = field(default_factory=dict[str, int])

    def to_json(self) -> Json:
        return {
            "keep": {"spans": self.spans, "archive": self.archive},
            "removed": {"spans": self.removed, "projects": dict(self.others)},
            "archived": {"spans": self.archived},
        }  # fmt: skip


def keep(session: Session, project: Project | None = None) -> Kept:
    """Do what `keep:` of afere.yaml asks, for every project in the store, and bring the index of attributes up to date.

    Whole traces older than `spans: 30d` go (those of other projects: `projects: {other: 7d, "*": 90d}`); of those that stay,
    days older than `archive: 14d` are moved into Parquet files.
    """
    said = (project or find_project(session.folder)).section("keep")
    ages = cast("dict[str, str]", said.get("projects", {}))
    own, archive = _age(said.get("spans")), _age(said.get("archive"))
    removed = session.spans.keep(_seconds(own))
    others: dict[str, int] = {}
    for name in session.spans.projects():
        if name != session.project:
            age = ages.get(name, ages.get("*"))
            gone = session.spans.of(name).keep(_seconds(age))
            others.update({name: gone} if age is not None else {})
    moved = 0
    if archive is not None:
        moved = sum(session.spans.of(name).archive(_seconds(archive) or 0) for name in session.spans.projects())
    return Kept(own, removed, archive, moved, others)


def _age(said: object) -> str | None:
    return said if isinstance(said, str) else None


def _seconds(age: str | None) -> float | None:
    return None if age is None else float(age[:-1]) * _SECONDS[age[-1]]


def keep_daily(session: Session, stopped: threading.Event) -> threading.Thread:
    """Apply `keep` now and every day in a thread of its own, until told to stop. A failure is logged and tried again."""

    def work() -> None:
        while True:
            try:
                keep(session)
            except AfereError as error:
                _log.warning("Old spans were not removed: %s", error)
            if stopped.wait(_DAY):
                return

    thread = threading.Thread(target=work, name="afere-keep", daemon=True)
    thread.start()
    return thread
