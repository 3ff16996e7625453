"""Where the spans of a program rest, by the folder in which it works, and what must not rest there."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from afere.base.project import find_project
from afere.base.span import Span
from afere.tracing.policy import Policy

if TYPE_CHECKING:
    from afere.store import Session
    from afere.store.spans.rows import Entry

_log = logging.getLogger("afere")


class Target:
    """Where the spans of one project rest, and what must not rest there. Opened by the writer when first needed."""

    def __init__(self, folder: str, project: str, policy: Policy, session: Session | None = None) -> None:
        self._folder, self._project, self._policy = folder, project, policy
        self._session = session
        self._opening = threading.Lock()
        self.away = "://" in folder or (
            session is not None and session.url is not None
        )  # a server, which may be gone for a while

    def session(self) -> Session:
        """The store, opened once."""
        with self._opening:
            if self._session is None:
                import afere.store

                self._session = afere.store.open(self._folder, project=self._project)
            return self._session

    def write(self, spans: list[Span]) -> None:
        """Keep the spans, without what must not rest."""
        if self.away:
            self.session().spans.write([self._policy.apply(span) for span in spans])
        else:
            self.session().spans.put([self._entry(span) for span in spans])

    def _entry(self, span: Span) -> Entry:
        """A span as it is written."""
        from afere.store.spans.write import entry_of

        entry = entry_of(span)
        return entry if self._policy.spares(span, entry.part.data) else entry_of(self._policy.apply(span))

    def hidden(self, span: Span) -> Span:
        """The span without the values of keys that must not rest: before anything is read from its attributes."""
        return self._policy.hidden(span)

    def lost(self, count: int, why: str) -> None:
        """Keep a note of spans that were lost."""
        if self.away and self._session is None:  # it could never be reached
            self.note(count, why)
        else:
            self.session().spans.lost(count, why)

    def note(self, count: int, why: str) -> None:
        """The same on this machine, until a server can be told."""
        from afere.store.remote import note_lost

        note_lost(self._folder, self._project, count, why)


class _Settings:
    """What `configure` said, and the targets found so far."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.content = True
        self.redact: tuple[Any, ...] = ()
        self.targets: dict[tuple[str, str | None, str | None], Target | None] = {}


_settings = _Settings()


def configure(
    *, session: Session | None = None, content: bool = True, redact: tuple[Any, ...] | list[Any] = ()
) -> None:
    """Say where spans rest and what must not: each call replaces what the one before said.

    session: an open store; default: that of the project of the working directory.
    content: False keeps the structure of inputs and outputs only.
    redact: kinds of `afere.base.detect` ("email", "phone", "card", "iban", "ip"), or functions from text to text,
    applied before anything rests, together with `redact:` and `content:` of afere.yaml. Secrets are always redacted.
    """
    Policy(content, tuple(redact))  # a wrong kind is told to the caller, here
    _settings.session, _settings.content, _settings.redact = session, content, tuple(redact)
    forget()


def target() -> Target | None:
    """Where a trace that begins now will rest; None, said once, when the project cannot be read."""
    try:
        here = os.getcwd()  # noqa: PTH109  a tenth of the time of Path.cwd(), once for every trace
    except OSError:
        here = ""
    key = (here, os.environ.get("AFERE_STORE"), os.environ.get("AFERE_PROJECT"))
    try:
        return _settings.targets[key]
    except KeyError:
        found = _settings.targets[key] = _find(here)
        return found


def _find(here: str) -> Target | None:
    try:
        project = find_project(here or "/")
        policy = Policy.of(project, content=_settings.content, redact=_settings.redact)
    except Exception as error:  # whatever it is, the program goes on
        _log.warning("afere cannot keep traces here: %s", error)
        return None
    session = _settings.session
    if session is not None:
        return Target(str(session.folder), session.project, policy, session)
    return Target(project.store, project.name, policy)


def session() -> Session:
    """The store where a trace that begins now will rest; raises what stands in the way."""
    found = target()
    if found is not None:
        return found.session()
    import afere.store

    return afere.store.open()


def found() -> list[Target]:
    """Those that were found so far."""
    return [one for one in list(_settings.targets.values()) if one is not None]


def forget() -> None:
    """Find them anew, after `configure` and in the child of a fork."""
    _settings.targets = {}
