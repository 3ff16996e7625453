"""Artifacts of every kind: a list, one of them with what it uses and what uses it, and the scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from afere.base.artifact import KINDS, Artifact
from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.evals.labelling.agreeing import Agreed, agreed
from afere.evals.labelling.labels import Labels
from afere.server.pages.asked import Asked
from afere.server.pages.experiments import open_experiment

if TYPE_CHECKING:
    from afere.base.artifact import AliasMove
    from afere.base.score import Score
    from afere.store import Session

_MOST = 200
_JUDGED = 10  # experiments of a judge in which labels are looked for


@dataclass(frozen=True, slots=True)
class ArtifactsPage:
    """The newest version of each name, of one kind or of all."""

    items: tuple[Artifact, ...]
    next: str | None
    kind: str
    kinds: tuple[str, ...] = KINDS

    def to_json(self) -> Json:
        return {"items": [item.to_json() for item in self.items], "next": self.next}


def list_page(session: Session, asked: Asked) -> ArtifactsPage:
    """`?kind=chain` narrows; `?name=` gives all versions of a name."""
    kind, name = asked.get("kind"), asked.get("name")
    if kind and kind not in KINDS:
        raise BadInput(f"{kind!r} is not a kind of artifact. Kinds: {', '.join(KINDS)}.")
    found = session.find(
        "artifacts", limit=asked.limit, cursor=asked.cursor, kind=kind or None, name=name or None, latest=not name
    )
    return ArtifactsPage(tuple(found.items), found.next, kind)


@dataclass(frozen=True, slots=True)
class Used:
    """An edge as one side of it sees the other."""

    role: str
    ref: str
    depth: int = 1


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    artifact: Artifact
    versions: tuple[Artifact, ...]
    used_by: tuple[Used, ...]
    moves: tuple[AliasMove, ...]
    more_users: int
    agreed: tuple[tuple[int, Agreed], ...] = ()  # of a judge: the experiments whose verdicts people labelled too

    def to_json(self) -> Json:
        kept = cast("dict[str, Json]", self.artifact.to_json())
        if self.artifact.kind != "judge":
            return kept
        return {**kept, "agreement": [{"experiment": number, **one.to_json()} for number, one in self.agreed]}


def page(session: Session, asked: Asked) -> ArtifactPage:
    """One artifact by any reference that means it."""
    artifact = session.get(str(asked.path["ref"]))
    used, more = users(session, artifact.ref)
    versions = session.find("artifacts", kind=artifact.kind, name=artifact.name, limit=50)
    agreed = tuple(_agreed(session, artifact.ref, used)) if artifact.kind == "judge" else ()
    return ArtifactPage(artifact, tuple(versions.items), used, moves(session, artifact), more, agreed)


def _agreed(session: Session, judge: str, used: Iterable[Used]) -> Iterator[tuple[int, Agreed]]:
    """How a judge agrees with people, in the newest experiments that it judged."""
    numbers = {int(one.ref.partition(":")[2]) for one in used if one.ref.startswith("experiment:")}
    for number in sorted(numbers, reverse=True)[:_JUDGED]:
        labels = Labels(open_experiment(session, number))
        for sheet in labels.sheets:
            if sheet.judge == judge and (one := agreed(labels, sheet)).judge:
                yield number, one


def users(session: Session, ref: str) -> tuple[tuple[Used, ...], int]:
    """What uses the artifact, directly or through others: nearest first, at most 200; and how many more there are."""
    near: dict[str, Used] = {}
    for edge in session.down(ref):
        near.setdefault(edge.source, Used(edge.role, edge.source, edge.depth))
    return tuple(near.values())[:_MOST], max(0, len(near) - _MOST)


def moves(session: Session, artifact: Artifact) -> tuple[AliasMove, ...]:
    """The newest moves of all aliases of the artifact's name."""
    found = session.find("aliases", ref=f"{artifact.kind}:{artifact.name}", limit=50)
    return found.items


@dataclass(frozen=True, slots=True)
class ScoresPage:
    items: tuple[Score, ...]
    next: str | None


def scores_page(session: Session, asked: Asked) -> ScoresPage:
    """Scores, newest first, of a target or a name."""
    target, name, by = (asked.get(key) or None for key in ("target", "name", "by"))
    found = session.find("scores", limit=asked.limit, cursor=asked.cursor, target=target, name=name, by=by)
    return ScoresPage(tuple(found.items), found.next)
