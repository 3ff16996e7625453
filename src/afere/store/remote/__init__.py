"""A server as the store: the same session, over its API. Asked again after a lost answer, nothing is kept twice."""

from __future__ import annotations

from afere.store.remote.session import RemoteSession, connect

__all__ = ["RemoteSession", "connect"]
