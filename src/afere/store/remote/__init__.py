"""A server as the store: the same session, over its API. Asked again after a lost answer, nothing is kept twice."""

from __future__ import annotations

from afere.store.remote.link import hurry
from afere.store.remote.session import RemoteSession, connect, note_lost

__all__ = ["RemoteSession", "connect", "hurry", "note_lost"]
