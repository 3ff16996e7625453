"""Walks over what uses what: breadth first, over integers. Names are read for what is shown only.

Where distances are wanted SQLite does not recurse by itself: it would carry each node once for every distance at which it is
met, which in a graph of shared parts is far more often than there are nodes.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from afere.base.artifact import ref_text
from afere.base.canonical import Json

_STEP = "SELECT u.artifact, u.role, u.target FROM json_each(?) AS j JOIN uses AS u ON u.<side> = j.value"
_ALL = "SELECT artifact, role, target FROM uses"
_NODES = (
    "SELECT a.id, a.kind, a.name, a.version, a.hash, a.at FROM json_each(?) AS j JOIN artifacts AS a ON a.id = j.value"
)
_WIDE = 3000  # nodes in one step from which reading all edges in one go is quicker than asking for those


class Edge(NamedTuple):
    """`source` uses `target`, whose hash is `hash`, in a role; `depth` counts edges from where the walk began, from 1."""

    source: str
    role: str
    target: str
    hash: str
    depth: int

    def to_json(self) -> Json:
        return {
            "source": self.source, "as": self.role, "target": self.target, "hash": self.hash, "depth": self.depth,
        }  # fmt: skip


class Node(NamedTuple):
    """An artifact: its row, how people write it, and when it was kept."""

    id: int
    kind: str
    name: str
    ref: str
    hash: str
    at: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What a walk met, by row ids: each node's distance (0 where it began), and the edges (user, role, used), nearest first."""

    depth: dict[int, int]
    edges: list[tuple[int, str, int]]
    up: bool

    def named(self, connection: sqlite3.Connection) -> list[Edge]:
        """The edges as people read them."""
        known, depth = nodes(connection, self.depth), self.depth
        return [
            Edge(known[user].ref, role, known[used].ref, known[used].hash, depth[user if self.up else used] + 1)
            for user, role, used in self.edges
        ]


def walk(connection: sqlite3.Connection, starts: Iterable[int], *, up: bool) -> Reach:
    """All edges from some artifacts to what they use (up), or to them from what uses them, at any distance."""
    step = _STEP.replace("<side>", "artifact" if up else "target")
    whole: dict[int, list[tuple[int, str, int]]] | None = None
    depth = dict.fromkeys(starts, 0)
    edges: list[tuple[int, str, int]] = []
    front: list[int] = list(depth)
    distance = 0
    while front:
        distance += 1
        if whole is None and len(front) > _WIDE:
            whole = _whole(connection, up)
        if whole is None:
            found = sorted(_rows(connection, step, front))
        else:
            found = [edge for node in front if node in whole for edge in whole[node]]
        edges += found
        front = []
        for user, _, used in found:
            there = used if up else user
            if there not in depth:
                depth[there] = distance
                front.append(there)
    return Reach(depth, edges, up)


class Pointed(NamedTuple):
    """An alias (`kind:name@alias`) that pointed to `ref` since `at`, and whether it does `now`.

    `by` is the decision that was met and let it in; empty where the version itself was met.
    """

    alias: str
    ref: str
    at: str
    now: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a walk met, as it is shown: the nearest artifacts with their distance, and the edges between these.

    `counts` says of each kind how many were met in all, `aliases` which aliases point to any of these or once did, or were
    let in by a decision among them, `hashes` the hashes of all that can run, by which traces are found.
    """

    nodes: tuple[tuple[Node, int], ...]
    edges: tuple[Edge, ...]
    counts: dict[str, int]
    aliases: tuple[Pointed, ...]
    hashes: tuple[str, ...]


_ALIASES = """SELECT m.kind, m.name, m.alias, a.version, a.hash, max(m.at),
        EXISTS (SELECT 1 FROM aliases AS v WHERE v.target = a.id AND v.kind = m.kind AND v.name = m.name AND v.alias = m.alias),
        <by>
    FROM <moves> JOIN artifacts AS a ON a.id = m.target
    GROUP BY m.kind, m.name, m.alias, a.id ORDER BY m.kind, m.name, m.alias, a.id DESC"""
_POINTED = _ALIASES.replace("<by>", "''").replace("<moves>", "json_each(?) AS j JOIN moves AS m ON m.target = j.value")
_LET_IN = _ALIASES.replace("<by>", "m.decision").replace(
    "<moves>",
    "json_each(?) AS j JOIN artifacts AS d ON d.id = j.value JOIN moves AS m ON m.project = d.project AND m.decision = 'decision:' || d.name",
)
_RUN = ("prompt", "component", "chain", "tool", "model", "index", "judge", "scorer")
# What is met without how far away it is: so SQLite carries each node once.
_MET = f"""WITH RECURSIVE met (id) AS (
        SELECT value FROM json_each(?) UNION SELECT u.<there> FROM met JOIN uses AS u ON u.<here> = met.id)
    SELECT a.id, a.kind, CASE WHEN a.kind IN ({", ".join(repr(kind) for kind in _RUN)}) THEN a.hash END
    FROM met JOIN artifacts AS a ON a.id = met.id"""  # noqa: S608 - our own words


def reached(connection: sqlite3.Connection, starts: Iterable[int], *, up: bool, most: int) -> Reached:
    """Walk, and read the names of the `most` nearest; of the others only what they are."""
    depth = _nearest(connection, starts, up=up, most=most)
    near = list(itertools.islice(depth, most))  # in the order in which they were met
    known = nodes(connection, near)
    edges = [
        Edge(known[user].ref, role, known[used].ref, known[used].hash, depth[user if up else used] + 1)
        for user, role, used in sorted(_rows(connection, _STEP.replace("<side>", "artifact"), near))
        if used in known
    ]  # fmt: skip
    here, there = ("artifact", "target") if up else ("target", "artifact")
    met = _rows(connection, _MET.replace("<here>", here).replace("<there>", there), depth)
    return Reached(
        tuple((known[id_], depth[id_]) for id_ in near), tuple(sorted(edges, key=lambda edge: edge.depth)),
        dict(sorted(Counter(kind for _, kind, _ in met).items())),
        _pointed(connection, met),
        tuple(hash_ for _, _, hash_ in met if hash_ is not None),
    )  # fmt: skip


def _pointed(connection: sqlite3.Connection, met: list[tuple[int, str, str | None]]) -> tuple[Pointed, ...]:
    found = _rows(connection, _POINTED, (id_ for id_, _, _ in met))
    if decisions := [id_ for id_, kind, _ in met if kind == "decision"]:
        found += _rows(connection, _LET_IN, decisions)
    made = {
        (alias, ref): Pointed(alias, ref, at, bool(now), by)
        for kind, name, handle, version, hash_, at, now, by in reversed(found)
        for alias, ref in [(f"{kind}:{name}@{handle}", ref_text(kind, name, version, hash_))]
    }
    return tuple(reversed(made.values()))


def _nearest(connection: sqlite3.Connection, starts: Iterable[int], *, up: bool, most: int) -> dict[int, int]:
    """Distances of at least the `most` nearest, step by step, in the order in which they are met."""
    step = _STEP.replace("<side>", "artifact" if up else "target")
    depth = dict.fromkeys(starts, 0)
    front, distance = list(depth), 0
    while front and len(depth) < most:
        distance += 1
        found = dict.fromkeys(edge[2 if up else 0] for edge in sorted(_rows(connection, step, front)))
        front = [there for there in found if there not in depth]
        depth.update(dict.fromkeys(front, distance))
    return depth


def _whole(connection: sqlite3.Connection, up: bool) -> dict[int, list[tuple[int, str, int]]]:
    """All edges, by the end at which a walk meets them."""
    found: dict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for edge in _rows(connection, _ALL):
        found[edge[0 if up else 2]].append(edge)
    return found


def nodes(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Node]:
    """The artifacts with these row ids."""
    return {
        id_: Node(id_, kind, name, ref_text(kind, name, version, hash_), hash_, at)
        for id_, kind, name, version, hash_, at in _rows(connection, _NODES, ids)
    }


def _rows(connection: sqlite3.Connection, query: str, ids: Iterable[int] | None = None) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples: a walk reads many
    return cursor.execute(query, () if ids is None else (json.dumps(list(ids)),)).fetchall()
