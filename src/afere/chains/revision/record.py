"""The record beside a revision: what is known about it and is no part of its identity.

A comment changes the source but not the revision, and CI and production have one revision in two settings. So the
source of each part, what leads to what, the notes and the setting are kept as a blob, tied to the artifact by a score
named `setting`. It is one compressed blob: many small files would each wait for the disk. `recorded` reads the newest.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afere.base.artifact import Artifact
from afere.base.canonical import Json, canonical, digest_of
from afere.base.score import Score
from afere.chains.revision.cache import decode, read_bytes
from afere.chains.revision.canonical_form import mask_secrets
from afere.store import Session

if TYPE_CHECKING:
    from afere.chains.revision.revision import Revision

BY = "service:revision"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the source of a part stands: lines of a file, or a text."""

    file: str = ""
    lines: tuple[tuple[int, int], ...] = ()
    text: str = ""

    def read(self, texts: dict[str, list[str]]) -> str:
        """The source text, secrets masked. `texts` keeps files that have been read."""
        if not self.file:
            return mask_secrets(self.text)
        if self.file not in texts:
            texts[self.file] = decode(read_bytes(self.file)).split("\n")
        lines = texts[self.file]
        return mask_secrets("\n".join("\n".join(lines[first - 1 : last]) for first, last in self.lines) + "\n")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of a revision. `sources` is the source text by part; `leads` says which parts lead to which."""

    setting: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    leads: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])


def keep_record(session: Session, artifact: Artifact, revision: Revision) -> None:
    """Keep sources, notes and setting of a revision. The same ones again change nothing."""
    texts: dict[str, list[str]] = {}
    sources = {key: source.read(texts) for key, source in revision.sources.items()}
    whole: dict[str, Json] = {
        "setting": dict(revision.setting), "notes": list(revision.notes), "sources": dict[str, Json](sources),
        "leads": {key: list[Json](leads) for key, leads in revision.leads.items()},
    }  # fmt: skip
    blob = session.put_blob(zlib.compress(canonical(whole)))
    identity = digest_of([artifact.hash, blob]).removeprefix("sha256:")[:32]
    setting = digest_of(dict(revision.setting))
    session.append(
        Score(
            artifact.ref,
            "setting",
            setting,
            by=BY,
            id=identity,
            data={"record": blob, "commit": revision.setting.get("commit")},
        )
    )


def recorded(artifact: Artifact, session: Session) -> Recorded:
    """The newest record of a revision; an empty one if there is none."""
    found = session.find("scores", target=artifact.ref, name="setting", by=BY, limit=1).items
    if not found:
        return Recorded()
    whole = json.loads(zlib.decompress(session.blob(str(found[0].data["record"]))))
    return Recorded(whole["setting"], tuple(whole["notes"]), whole["sources"], whole["leads"])
