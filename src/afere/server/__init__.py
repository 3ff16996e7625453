"""The web application: pages over the store, for people and as JSON, on this machine only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afere.server.run import Server as Server

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from afere.store import Session

__all__ = ["Server", "create_app"]


def create_app(session: Session) -> ASGIApp:
    """The application over an open store. Serve it on loopback only: it trusts whoever reaches it."""
    from afere.server.app import create_app as create

    return create(session)
