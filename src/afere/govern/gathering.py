"""What lineage is made of: things, links between them, and a side in the making, which has each thing once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afere.base.artifact import copied
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.errors import NotFound
from afere.chains.revision.record import recorded
from afere.chains.shots import EXAMPLES as EXAMPLE_ROWS
from afere.chains.shots import rows_held
from afere.data import Dataset
from afere.evals.references import results_of
from afere.evals.results import Result

if TYPE_CHECKING:
    from afere.base.artifact import Artifact, Use
    from afere.store import Reached, Session

TRACES = 20  # answers that are named
_EXPERIMENTS = 100  # whose cases are looked through, the newest first
_ROWS, _PROMPTS = 50, 50  # rows that one prompt shows of one dataset, by name; prompts whose rows are looked at
_CHAINS = 20  # revisions whose commit is read


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in the graph: `ref` is how people write it, `distance` how many steps away it is, 0 for where one began."""

    ref: str
    kind: str
    distance: int
    at: str | None = None
    note: str = ""

    def to_json(self) -> Json:
        return {"ref": self.ref, "kind": self.kind, "distance": self.distance, "at": self.at, "note": self.note}


@dataclass(frozen=True, slots=True)
class Link:
    """`source` uses `target`, in a role."""

    source: str
    role: str
    target: str

    def to_json(self) -> Json:
        return {"source": self.source, "as": self.role, "target": self.target}


@dataclass(frozen=True, slots=True)
class Side:
    """One direction: the nearest things by name with the links between them, and of each kind how many there are in all.

    `notes` say where not all was looked through.
    """

    items: tuple[Item, ...] = ()
    links: tuple[Link, ...] = ()
    counts: dict[str, int] = field(default_factory=dict[str, int])
    notes: tuple[str, ...] = ()

    @property
    def more(self) -> int:
        """How many are counted and not named."""
        return sum(self.counts.values()) - len(self.items)

    def to_json(self) -> Json:
        return {
            "items": [one.to_json() for one in self.items], "links": [one.to_json() for one in self.links],
            "counts": dict(self.counts), "more": self.more, "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where something comes from (`up`) and what it touched (`down`); a direction that was not asked for is None."""

    subject: Item
    up: Side | None
    down: Side | None

    def to_json(self) -> dict[str, Json]:
        return {
            "subject": self.subject.to_json(), "up": self.up.to_json() if self.up else None,
            "down": self.down.to_json() if self.down else None,
        }  # fmt: skip


class Gathering:
    """A side in the making: each thing once, with the links to it."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.links: dict[Link, None] = {}
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []

    def add(self, item: Item, *links: Link, counted: bool = True) -> None:
        if item.ref not in self.items:
            self.items[item.ref] = item
            self.counts[item.kind] += counted
        self.links.update(dict.fromkeys(links))

    def reached(self, found: Reached, *, near: int = 0) -> None:
        """What a walk over artifacts met, its beginning left out unless that is `near` steps away itself."""
        for node, distance in found.nodes:
            if distance or near:
                self.add(Item(node.ref, node.kind, distance + near, node.at), counted=False)
        begun = Counter(node.kind for node, distance in found.nodes if not distance and not near)
        self.counts.update({kind: count - begun[kind] for kind, count in found.counts.items()})
        self.links.update(dict.fromkeys(Link(edge.source, edge.role, edge.target) for edge in found.edges))

    def prompts(self, session: Session) -> list[Artifact]:
        """The prompts that are named."""
        named = [one.ref for one in self.items.values() if one.kind == "prompt"][:_PROMPTS]
        return [kept for ref in named if (kept := artifact_of(session, ref)) is not None]

    def code(self, session: Session) -> None:
        """The commits of the chains that are named."""
        for item in [one for one in self.items.values() if one.kind == "chain"][:_CHAINS]:
            if (chain := artifact_of(session, item.ref)) is not None and (commit := commit_of(chain, session)):
                self.add(Item(commit, "code", item.distance + 1, chain.at), Link(item.ref, "commit", commit))

    def ran(self, session: Session, found: Reached, *, near: int = 0) -> None:
        """The answers in which any of what a walk met ran."""
        ran = session.spans.ran(found.hashes, limit=TRACES)
        refs = {node.hash: node.ref for node, _ in found.nodes}
        for one in ran.traces:
            links = [Link(one.trace_id, "ran", refs[one.key])] if one.key in refs else []
            self.add(Item(one.trace_id, "trace", near + 1, rfc3339(one.start)), *links, counted=False)
        self.counts["trace"] += ran.count

    def models(self, session: Session) -> None:
        """The models that the components ask, with their parameters."""
        for item in [one for one in self.items.values() if one.kind == "component"]:
            artifact = artifact_of(session, item.ref)
            model, parameters = asked(artifact) if artifact else ("", "")
            if model:
                self.add(Item(model, "model", item.distance + 1, None, parameters), Link(item.ref, "model", model))

    def shown(self, session: Session, artifacts: Iterable[Artifact], *, always: bool = False) -> None:
        """The rows that these prompts show, as examples and snippets."""
        for artifact in artifacts:
            prompt = self.items.get(artifact.ref)
            step = (prompt.distance if prompt else 0) + 1
            for use, rows in copied_rows(session, artifact, always=always):
                self.counts["row"] += max(0, len(rows) - _ROWS)
                for row in rows[:_ROWS]:
                    ref = f"{use.ref}/{row}"
                    self.add(Item(ref, "row", step), Link(artifact.ref, use.role, ref), Link(ref, "row of", use.ref))

    def side(self) -> Side:
        return Side(
            tuple(self.items.values()),
            tuple(self.links),
            {kind: n for kind, n in self.counts.items() if n},
            tuple(dict.fromkeys(self.notes)),
        )


def commit_of(chain: Artifact, session: Session) -> str:
    """The commit at which a revision ran last; empty where none is known."""
    try:
        commit = recorded(chain, session).setting.get("commit")
    except (NotFound, KeyError, TypeError, ValueError):  # kept by something else than a run of ours
        return ""
    return commit if isinstance(commit, str) else ""


def asked(artifact: Artifact) -> tuple[str, str]:
    """The model of a component, and its parameters in one line."""
    said = artifact.content if artifact.kind in ("component", "judge") and isinstance(artifact.content, dict) else {}
    model, parameters = said.get("model"), said.get("parameters")
    shown = ", ".join(f"{name} {value}" for name, value in parameters.items()) if isinstance(parameters, dict) else ""
    return (model if isinstance(model, str) else "", shown)


def copied_rows(session: Session, artifact: Artifact, *, always: bool = False) -> Iterator[tuple[Use, list[str]]]:
    """The datasets that a prompt's content was copied from, each with the ids of the rows it shows. `always`: without those
    of which each call shows the nearest; its trace tells which."""
    content = artifact.content if isinstance(artifact.content, dict) else {}
    chosen = always and isinstance(content.get(EXAMPLE_ROWS), dict)
    for use in artifact.uses:
        if (
            copied(use.role)
            and not (chosen and use.role == EXAMPLE_ROWS)
            and (kept := artifact_of(session, use.hash)) is not None
        ):
            rows = rows_held(artifact.content, use.role, Dataset(kept, session).rows)
            yield use, [row.id for row in rows]


def experiments_below(
    session: Session, artifacts: Iterable[Artifact], *, since: str = ""
) -> tuple[list[Artifact], str]:
    """The experiments that used any of these and were made after a moment, newest first, and what was left out in words."""
    whole = [one for one in artifacts if one.kind == "chain"] or list(artifacts)
    if not whole:
        return [], ""
    found = session.reach(*(one.hash for one in whole), up=False, most=100_000)
    nodes = [(node.at, node.ref) for node, _ in found.nodes if node.kind == "experiment" and node.at >= since]
    nodes.sort(reverse=True)
    left = len(nodes) - _EXPERIMENTS
    cut = f"the cases of {left:,} older experiments were not looked through" if left > 0 else ""
    return [session.get(ref) for _, ref in nodes[:_EXPERIMENTS]], cut


def runs(session: Session, experiment: Artifact) -> tuple[Result, ...]:
    try:
        return results_of(experiment, session).runs
    except (NotFound, KeyError, TypeError):  # an experiment that another tool made has no cases here
        return ()


def artifact_of(session: Session, ref: str) -> Artifact | None:
    try:
        return session.get(ref)
    except NotFound:
        return None
