"""Actor: who asks, and what they may do in which project."""

from __future__ import annotations

from dataclasses import dataclass, field

LOCAL = "person:local"  # the one actor of an embedded store, with all rights
EVERY = "*"  # in place of a project: all of them

SCOPES = ("ingest", "read", "write", "admin")
# What each scope brings with it. `ingest` alone can send spans and scores and see nothing.
_BRINGS = {
    "ingest": frozenset({"ingest"}),
    "read": frozenset({"read"}),
    "write": frozenset({"ingest", "read", "write"}),
    "admin": frozenset(SCOPES),
}
ROLES = {"viewer": "read", "editor": "write", "admin": "admin"}  # a person's role, and the scope that it is

Grants = tuple[tuple[str, frozenset[str]], ...]  # (project, scopes)


def scopes(*names: str) -> frozenset[str]:
    """The scopes with these names, and all that they bring."""
    return frozenset[str]().union(*(_BRINGS[name] for name in names))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and what they may do in which project. An embedded store has one, with all rights."""

    id: str = LOCAL
    roles: tuple[str, ...] = ("owner",)
    grants: Grants = field(default=((EVERY, _BRINGS["admin"]),))

    def may(self, scope: str, project: str) -> bool:
        """Whether they have this scope in this project (EVERY: in all)."""
        return any(scope in given for where, given in self.grants if where in (project, EVERY))

    @property
    def project(self) -> str | None:
        """The one project that they are for; None if it is several, or all."""
        return self.grants[0][0] if len(self.grants) == 1 and self.grants[0][0] != EVERY else None

    @property
    def projects(self) -> tuple[str, ...]:
        """Where they may do anything, by name; EVERY for all."""
        return tuple(where for where, _ in self.grants)


OWNER = Actor()  # of an embedded store: whoever can open the folder
