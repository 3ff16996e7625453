"""The web application: pages over the store, for people and as JSON: open on this machine, by key or log-in beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afere.server.run import Server as Server

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from afere.store import Session

__all__ = ["Server", "create_app"]


def create_app(session: Session, *, asks: bool = False) -> ASGIApp:
    """The application over an open store. Unless it `asks` for keys and log-ins, serve it on loopback only."""
    from afere.server.app import create_app as create

    return create(session, asks=asks)
