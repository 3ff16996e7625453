"""Actor: who asks."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = "person:local"  # the one actor of an embedded store, with all rights


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and what they may do in which project. An embedded store has one, with all rights."""

    id: str = LOCAL
    roles: tuple[str, ...] = ("owner",)
