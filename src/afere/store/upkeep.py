"""What afere.yaml asks of a store over time: how long spans are kept. Servers apply it daily, `afere keep` at once."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.base.errors import AfereError
from afere.base.project import Project, find_project
from afere.store.session import Session

_DAY = 86_400.0
_SECONDS = {"h": 3_600.0, "d": _DAY}
_log = logging.getLogger("afere.store")


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept and how much went. `spans` is the age from afere.yaml; None: everything is kept."""

    spans: str | None
    removed: int

    def to_json(self) -> Json:
        return {"keep": {"spans": self.spans}, "removed": {"spans": self.removed}}


def keep(session: Session, project: Project | None = None) -> Kept:
    """Remove whole traces older than `keep: {spans: 30d}` of afere.yaml, and bring the index of attributes up to date."""
    age = (project or find_project(session.folder)).section("keep").get("spans")
    text = age if isinstance(age, str) else None
    seconds = None if text is None else float(text[:-1]) * _SECONDS[text[-1]]
    return Kept(text, session.spans.keep(seconds))


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
