"""The revision itself: what `capture` answers with, and how it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json, digest_of
from afere.chains.revision.canonical_form import FORM
from afere.chains.revision.named import Named
from afere.chains.revision.record import Source, keep_record
from afere.store import Session


@dataclass(frozen=True, eq=False)
class Revision:
    """What a chain is made of. Its identity is `content` and the hashes of what it `uses`; the rest is evidence.

    `parts` are code, data files and bound values by key; `packages` are distributions that reached code names;
    `found` ran without having been reached; `notes` say what could not be captured; `setting` is where it ran.
    """

    name: str
    entry: str
    parts: Mapping[str, Json]
    uses: Mapping[str, Named]
    packages: Mapping[str, str]
    found: tuple[Mapping[str, Json], ...] = ()
    notes: tuple[str, ...] = ()
    setting: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    rules: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source], repr=False)
    leads: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]], repr=False)
    _kept: dict[tuple[str, str, str], Artifact] = field(
        default_factory=dict[tuple[str, str, str], Artifact], repr=False
    )

    def content(self, kind: str = "chain") -> dict[str, Json]:
        """The content of the artifact: what is hashed, together with the hashes of what it uses."""
        content: dict[str, Json] = {
            "kind": f"{kind} revision", "name": self.name, "form": FORM, "entry": self.entry,
            "parts": dict(self.parts), "packages": dict(self.packages),
        }  # fmt: skip
        if self.found:
            content["found"] = [dict(one) for one in self.found]
        if self.rules:
            content["rules"] = dict(self.rules)
        return content

    def put(self, session: Session, *, kind: str = "chain") -> Artifact:
        """Keep it: the artifact with its edges, and as a record beside it the source, the notes and the setting."""
        uses = [
            Use(named.role, artifact.ref, artifact.hash)
            for named in self.uses.values()
            if (artifact := named.put(session)) is not None
        ]
        place = (str(session.folder), session.project, digest_of([kind, *sorted(f"{u.role} {u.hash}" for u in uses)]))
        if place not in self._kept:
            artifact = session.put(kind, self.name, self.content(kind), uses=uses, why=f"captured from {self.entry}")
            keep_record(session, artifact, self)
            self._kept[place] = artifact
        return self._kept[place]

    @cached_property
    def static(self) -> str:
        """The digest of what was reached, without what was found by running."""
        return digest_of([self.name, self.entry, dict(self.parts), dict(self.packages)])

    @cached_property
    def setting_digest(self) -> str:
        """The digest of the setting; an evaluation may be reused only where this too is equal."""
        return digest_of(dict(self.setting))
