"""Artifacts and what they use: keeping them, and finding the one that a reference means."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import cast

from afere.base.artifact import KINDS, NUMBERED, Artifact, Ref, Use, check_name, identity, parse_ref
from afere.base.canonical import Json, canonical, digest_of
from afere.base.errors import BadInput, BadReference, NoSuchAlias, NoSuchArtifact, Overtaken
from afere.store.audit import Fact, Stamp, announce, record
from afere.store.database import inserted
from afere.store.page import Page, check_keys, read_cursor, write_cursor

_MAX_LISTED = 12
_NEWEST = """ AND a.version = (SELECT max(b.version) FROM artifacts AS b
    WHERE b.project=a.project AND b.kind=a.kind AND b.name=a.name)"""


# keep


def put(
    connection: sqlite3.Connection, stamp: Stamp, kind: str, name: str | None, *, content: Json, blob: str | None,
    uses: Sequence[Use], why: str, at: str | None = None, after: int | None = None,
) -> Artifact:  # fmt: skip
    """The artifact with this content: the version that has it already, or a new one. `at`: when it was made elsewhere.

    `after`: the version that is the newest until now (0: none); Overtaken if it is not.
    """
    if kind not in KINDS:
        raise BadInput(f"{kind!r} is not a kind of artifact. Kinds: {', '.join(KINDS)}.")
    name = _name(connection, stamp.project, kind, name)
    targets = [_target(connection, stamp.project, f"{kind}:{name}", use) for use in uses]
    hash_ = identity(kind, name, content, blob, uses)
    known = connection.execute(
        "SELECT * FROM artifacts WHERE project=? AND hash=?", (stamp.project, hash_)
    ).fetchone()  # fmt: skip
    if known is not None:
        return load(connection, known)
    newest = _newest_version(connection, stamp.project, kind, name)
    if after is not None and newest != after:
        raise Overtaken(f"{kind}:{name}@{newest} was made meanwhile; this change was made of @{after}.")
    if kind in NUMBERED and newest:
        raise BadInput(
            f"{kind}:{name} is there with another content, and it is frozen. Leave the name out for a new one."
        )
    written = {
        "project": stamp.project, "kind": kind, "name": name, "version": newest + 1, "hash": hash_,
        "content": canonical(content).decode(), "blob": blob, "actor": stamp.actor, "at": at or stamp.at, "why": why,
    }  # fmt: skip
    row = inserted(connection, "artifacts", written)
    edges = {(row["id"], use.role, target) for use, target in zip(uses, targets, strict=True)}
    connection.executemany("INSERT INTO uses (artifact, role, target) VALUES (?,?,?)", sorted(edges))
    artifact = replace(load(connection, row), made=True)
    record(connection, stamp, "put", _subject(row), {"hash": hash_, "row": _row_digest(row)})
    announce(connection, stamp, "artifact", artifact.ref)
    return artifact


def _name(connection: sqlite3.Connection, project: str, kind: str, name: str | None) -> str:
    if kind not in NUMBERED:
        if name is None:
            raise BadInput(f"A {kind} needs a name.")
        return check_name(name, kind)
    if name is None:
        query = "SELECT coalesce(max(CAST(name AS INTEGER)), 0) + 1 FROM artifacts WHERE project=? AND kind=?"
        return str(connection.execute(query, (project, kind)).fetchone()[0])
    if not name.isdecimal() or str(int(name)) != name or len(name) > 15:
        raise BadInput(f"{kind} {name!r}: it is named by a number that counts up. Leave the name out for the next one.")
    return name


def _target(connection: sqlite3.Connection, project: str, user: str, use: Use) -> int:
    row = connection.execute("SELECT id FROM artifacts WHERE project=? AND hash=?", (project, use.hash)).fetchone()
    if row is None:
        raise NoSuchArtifact(
            f"{user} uses {use.ref} ({use.hash[:19]}) as {use.role!r}, which is not kept in project {project!r}. Put it first."
        )
    return int(row[0])


def _newest_version(connection: sqlite3.Connection, project: str, kind: str, name: str) -> int:
    query = "SELECT coalesce(max(version), 0) FROM artifacts WHERE project=? AND kind=? AND name=?"
    return int(connection.execute(query, (project, kind, name)).fetchone()[0])


def load(connection: sqlite3.Connection, row: sqlite3.Row) -> Artifact:
    """An artifact from its row, with its edges and the aliases that point to it now."""
    aliases = connection.execute("SELECT alias FROM aliases WHERE target=? ORDER BY alias", (row["id"],))
    return Artifact(
        row["kind"], row["name"], row["version"], row["hash"], json.loads(row["content"]), row["blob"],
        tuple(_uses(connection, row["id"])), tuple(alias for (alias,) in aliases), row["actor"], row["at"], row["why"],
        row["project"],
    )  # fmt: skip


def by_id(connection: sqlite3.Connection, artifact: int) -> Artifact:
    """The artifact with this row id."""
    return load(connection, connection.execute("SELECT * FROM artifacts WHERE id=?", (artifact,)).fetchone())


def _uses(connection: sqlite3.Connection, artifact: int) -> Iterator[Use]:
    rows = connection.execute(
        "SELECT u.role, a.kind, a.name, a.version, a.hash FROM uses AS u JOIN artifacts AS a ON a.id = u.target "
        "WHERE u.artifact=? ORDER BY u.role, a.hash",
        (artifact,),
    )
    for role, kind, name, version, hash_ in rows:
        yield Use(role, Artifact(kind, name, version, hash_).ref, hash_)


def ref_of(connection: sqlite3.Connection, artifact: int | None) -> str | None:
    """How people write the artifact with this row id."""
    if artifact is None:
        return None
    row = connection.execute("SELECT kind, name, version, hash FROM artifacts WHERE id=?", (artifact,)).fetchone()
    return Artifact(*row).ref


# find the one that is meant


def resolve(connection: sqlite3.Connection, project: str, text: str | Ref, kind: str | None = None) -> sqlite3.Row:
    """The row of the one artifact that a reference (or a whole `sha256:` hash) means."""
    if isinstance(text, str) and text.startswith("sha256:"):
        row = connection.execute("SELECT * FROM artifacts WHERE project=? AND hash=?", (project, text)).fetchone()
        if row is None:
            raise NoSuchArtifact(f"Nothing in project {project!r} has the hash {text}.")
        return row
    ref = parse_ref(text, kind=kind) if isinstance(text, str) else text
    if ref.kind is None and kind is not None:
        ref = Ref(ref.name, kind, ref.number, ref.alias, ref.hex)
    rows = _matches(connection, project, ref)
    if not rows:
        raise _nothing(connection, project, ref)
    if len(rows) > 1:
        found = ", ".join(_full(row, ref) for row in rows[:_MAX_LISTED])
        raise BadReference(f"{ref} means {len(rows)} things in project {project!r}: {found}. Write the one you mean.")
    return rows[0]


def _matches(connection: sqlite3.Connection, project: str, ref: Ref) -> list[sqlite3.Row]:
    query, values = "SELECT a.* FROM artifacts AS a WHERE a.project=? AND a.name=?", [project, ref.name]
    if ref.kind:
        query, values = f"{query} AND a.kind=?", [*values, ref.kind]
    if ref.number is not None:
        if ref.number >= 1 << 63:
            return []
        query, values = f"{query} AND a.version=?", [*values, ref.number]
    elif ref.alias:
        query += " AND a.id IN (SELECT target FROM aliases WHERE project=? AND name=? AND alias=?)"
        values = [*values, project, ref.name, ref.alias]
    elif ref.hex:
        query, values = f"{query} AND a.hash GLOB ?", [*values, f"sha256:{ref.hex}*"]
    else:
        query += _NEWEST
    return connection.execute(f"{query} ORDER BY a.kind, a.version", values).fetchall()


def _full(row: sqlite3.Row, ref: Ref) -> str:
    """How to write the one that is meant, when a reference means several."""
    if ref.hex:
        return f"{row['kind']}:{row['name']}@{row['version']} ({row['hash'][7:23]})"
    return str(Ref(ref.name, row["kind"], ref.number, ref.alias, ref.hex))


def _nothing(connection: sqlite3.Connection, project: str, ref: Ref) -> NoSuchArtifact | NoSuchAlias:
    bare = f"{ref.kind}:{ref.name}" if ref.kind else ref.name
    versions = connection.execute(
        "SELECT kind, max(version) FROM artifacts WHERE project=? AND name=? AND kind=coalesce(?, kind) GROUP BY kind",
        (project, ref.name, ref.kind),
    ).fetchall()
    if not versions:
        return NoSuchArtifact(f"Nothing is called {bare!r} in project {project!r}.{_near(connection, project, ref)}")
    if ref.alias:
        query = (
            "SELECT DISTINCT alias FROM aliases WHERE project=? AND name=? AND kind=coalesce(?, kind) ORDER BY alias"
        )
        known = [alias for (alias,) in connection.execute(query, (project, ref.name, ref.kind))]
        return NoSuchAlias(
            f"{bare!r} has no alias {ref.alias!r} in project {project!r}. Its aliases: {', '.join(known) or 'none yet'}. "
            f"Set it with: afere promote {bare}@{versions[0][1]} {ref.alias} --why TEXT"
        )
    if ref.number is not None:
        counts = ", ".join(f"{kind}:{ref.name} has versions 1 to {newest}" for kind, newest in versions)
        return NoSuchArtifact(f"There is no {ref} in project {project!r}: {counts}. See one with: afere show {bare}")
    return NoSuchArtifact(f"No version of {bare!r} in project {project!r} has a hash that begins with {ref.hex}.")


def _near(connection: sqlite3.Connection, project: str, ref: Ref) -> str:
    rows = connection.execute(
        "SELECT kind, name FROM artifacts WHERE project=? GROUP BY kind, name ORDER BY max(id) DESC LIMIT 1000",
        (project,),
    ).fetchall()
    names = [row["name"] for row in rows if ref.kind in (None, row["kind"])]
    near = get_close_matches(ref.name, dict.fromkeys(names), n=3)
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    elsewhere = [f"{row['kind']}:{row['name']}" for row in rows if row["name"] == ref.name]
    if elsewhere:
        return f" Did you mean {' or '.join(elsewhere)}?"
    if names:
        whole = [f"{row['kind']}:{row['name']}" for row in rows if ref.kind in (None, row["kind"])]
        return f" Here are: {', '.join(whole[:_MAX_LISTED])}."
    return " It is kept when it first runs: afere run CHAIN, or afere eval SUITE."


# lists


def find(
    connection: sqlite3.Connection, project: str, limit: int, cursor: str | None, where: Mapping[str, object]
) -> Page[Artifact]:
    """Artifacts, newest first; `latest=True` leaves out all but the newest version of each name."""
    check_keys("artifacts", where, ("kind", "name", "hash", "latest"))
    query, values = "SELECT a.* FROM artifacts AS a WHERE a.project=?", cast("list[object]", [project])
    for key in ("kind", "name", "hash"):
        if where.get(key) is not None:
            query, values = f"{query} AND a.{key}=?", [*values, where[key]]
    if where.get("latest"):
        query += _NEWEST
    before = read_cursor(cursor, 1)
    if before:
        query, values = f"{query} AND a.id<?", [*values, before[0]]
    rows = connection.execute(f"{query} ORDER BY a.id DESC LIMIT ?", [*values, limit + 1]).fetchall()
    items = tuple(load(connection, row) for row in rows[:limit])
    return Page(items, write_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None)


# audit


def _subject(row: sqlite3.Row) -> str:
    return f"{row['kind']}:{row['name']}@{row['version']}"


def _row_digest(row: sqlite3.Row) -> str:
    names = ("project", "kind", "name", "version", "hash", "blob", "actor", "at", "why")
    return digest_of({name: row[name] for name in names})


def facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    """What the audit log must have recorded; an artifact whose content or edges changed no longer matches."""
    for row in connection.execute("SELECT * FROM artifacts"):
        yield row["project"], "put", _subject(row), _row_digest(row) if _whole(connection, row) else "changed"


def _whole(connection: sqlite3.Connection, row: sqlite3.Row) -> bool:
    try:
        content = cast("Json", json.loads(row["content"]))
        return identity(row["kind"], row["name"], content, row["blob"], _uses(connection, row["id"])) == row["hash"]
    except ValueError:  # not JSON, or JSON without a canonical form
        return False


def blobs(connection: sqlite3.Connection) -> Iterable[tuple[str, str]]:
    """(digest, ref) of every blob that an artifact of any project holds."""
    for row in connection.execute("SELECT kind, name, version, hash, blob FROM artifacts WHERE blob IS NOT NULL"):
        yield row["blob"], Artifact(row["kind"], row["name"], row["version"], row["hash"]).ref
