"""Aliases: the only thing that moves. Every move is kept; where an alias points now is its newest move."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from afere.base.artifact import KINDS, AliasMove, Ref, check_alias, parse_ref
from afere.base.canonical import Json, digest_of
from afere.base.errors import BadInput, BadReference, NoSuchAlias, NotFound, Refused
from afere.store import artifacts
from afere.store.audit import Fact, Stamp, announce, record
from afere.store.database import inserted
from afere.store.page import Page, check_keys, read_cursor, write_cursor


@dataclass(frozen=True, slots=True)
class Handle:
    """An alias of one named artifact, such as `prompt:answer@production`."""

    kind: str
    name: str
    alias: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}@{self.alias}"


def move(
    connection: sqlite3.Connection, stamp: Stamp, name: str, to: str | None, *, why: str, decision: str | None,
    protected: Mapping[str, int],
) -> AliasMove:  # fmt: skip
    """Point an alias at an artifact of its name, or (None) take it away. Where it already points there, nothing moves.

    `protected` aliases ask for a decision that passed, and for so many people who approve.
    """
    ref = _parse(name)
    target = _target(connection, stamp.project, ref, to)
    handle = _handle(connection, stamp.project, ref, target)
    newest = _newest(connection, stamp.project, handle)
    current = cast("int | None", newest["target"]) if newest else None
    if current is None and target is None:
        raise NoSuchAlias(f"There is no {handle} in project {stamp.project!r}, so it cannot be taken away.")
    if newest is not None and target is not None and current == target["id"]:
        return _move(connection, newest)
    if decision is not None:
        decision = _check_decision(connection, stamp.project, handle, target, decision)
    elif handle.alias in protected:
        raise Refused(
            f"{handle} is protected: it moves only with a decision that passed. Make one with: afere gate EXPERIMENT, "
            f"then name it: afere promote {artifacts.ref_of(connection, target['id']) if target else 'REF'} {handle.alias} --why TEXT --decision decision:NUMBER"
        )
    if target is not None and (needed := protected.get(handle.alias, 0)):
        _check_approvals(connection, stamp.project, handle, target, needed)
    return _write(
        connection, stamp, handle, origin=current, target=target["id"] if target else None, why=why, decision=decision
    )


def roll_back(connection: sqlite3.Connection, stamp: Stamp, name: str, why: str) -> AliasMove:
    """Point an alias back to where it was before it came where it is now: one more move.

    Going back again goes further back, never to what was rolled back from. It asks for no new decision, even where the
    alias is protected: the one that let the earlier target in goes with it.
    """
    handle = _handle(connection, stamp.project, _parse(name), None)
    path = _path(connection, stamp.project, handle)
    newest = _newest(connection, stamp.project, handle)
    if newest is None:
        raise NoSuchAlias(f"There is no {handle} in project {stamp.project!r}, so it cannot be rolled back.")
    current = cast("int | None", newest["target"])
    back = path[-1] if current is None and path else path[-2] if len(path) > 1 else None
    if back is None:
        here = artifacts.ref_of(connection, current)
        raise NoSuchAlias(f"{handle} was never anywhere before {here}, so it cannot go back.")
    query = "SELECT decision FROM moves WHERE project=? AND kind=? AND name=? AND alias=? AND target=? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (stamp.project, handle.kind, handle.name, handle.alias, back)).fetchone()
    return _write(
        connection, stamp, handle, origin=current, target=back, why=why or "rolled back", decision=row["decision"]
    )


def _path(connection: sqlite3.Connection, project: str, handle: Handle) -> list[int]:
    """The targets that led to where the alias is, without those that were rolled back from."""
    path: list[int] = []
    query = (
        "SELECT target FROM moves WHERE project=? AND kind=? AND name=? AND alias=? AND target IS NOT NULL ORDER BY id"
    )
    for (target,) in connection.execute(query, (project, handle.kind, handle.name, handle.alias)):
        if len(path) > 1 and path[-2] == target:
            path.pop()
        elif not path or path[-1] != target:
            path.append(target)
    return path


def _parse(name: str) -> Ref:
    ref = parse_ref(name)
    if not ref.alias:
        raise BadReference(f"{name!r} names no alias. Write [kind:]name@alias, such as prompt:answer@production.")
    check_alias(ref.alias)
    return ref


def _target(connection: sqlite3.Connection, project: str, ref: Ref, to: str | None) -> sqlite3.Row | None:
    if to is None:
        return None
    row = artifacts.resolve(connection, project, to, ref.kind)
    if row["name"] != ref.name or (ref.kind and row["kind"] != ref.kind):
        raise BadInput(
            f"{ref} cannot point to {row['kind']}:{row['name']}: an alias points to a version of its own kind and name."
        )
    return row


def _handle(connection: sqlite3.Connection, project: str, ref: Ref, target: sqlite3.Row | None) -> Handle:
    """The alias with its kind: the one written, or that of the target, or the only one that fits."""
    alias = cast("str", ref.alias)
    if target is not None or ref.kind:
        return Handle(target["kind"] if target is not None else cast("str", ref.kind), ref.name, alias)
    query = "SELECT DISTINCT kind FROM moves WHERE project=? AND name=? AND alias=? ORDER BY kind"
    kinds = [kind for (kind,) in connection.execute(query, (project, ref.name, alias))]
    if not kinds:
        artifacts.resolve(connection, project, ref)  # raises, saying what there is
        raise NoSuchAlias(f"There is no {ref} in project {project!r}.")
    if len(kinds) > 1:
        raise BadReference(f"{ref} means {len(kinds)} things: {', '.join(f'{kind}:{ref}' for kind in kinds)}.")
    return Handle(kinds[0], ref.name, alias)


def _newest(connection: sqlite3.Connection, project: str, handle: Handle) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT * FROM moves WHERE project=? AND kind=? AND name=? AND alias=? ORDER BY id DESC LIMIT 1",
        (project, handle.kind, handle.name, handle.alias),
    ).fetchone()


def _check_decision(
    connection: sqlite3.Connection, project: str, handle: Handle, target: sqlite3.Row | None, decision: str
) -> str:
    """The decision's ref, if it passed and is about the target; else Refused."""
    row = artifacts.resolve(connection, project, decision, "decision")
    artifact = artifacts.load(connection, row)
    content = artifact.content if isinstance(artifact.content, dict) else {}
    if content.get("answer") != "pass":
        raise Refused(f"{artifact.ref} says {content.get('answer')!r}, not 'pass', so {handle} stays where it is.")
    if target is not None and target["id"] not in _about(connection, project, row["id"], content.get("subject")):
        raise Refused(
            f"{artifact.ref} is about {content.get('subject')}, which has nothing to do with "
            f"{artifacts.ref_of(connection, target['id'])}, so {handle} stays where it is."
        )
    _check_declared(connection, project, handle, row, content)
    return artifact.ref


def _check_declared(
    connection: sqlite3.Connection, project: str, handle: Handle, decision: sqlite3.Row, content: Mapping[str, Json]
) -> None:
    """Refused, unless the decision answers every rule that its experiment declared, and none of them has failed since.

    An experiment that declared no rules leaves them to who asks the gate.
    """
    experiment = _experiment(connection, project, decision["id"], content.get("subject"))
    declared = _texts(json.loads(experiment["content"]), "gate") if experiment is not None else []
    if experiment is None or not declared:
        return
    ref = artifacts.ref_of(connection, experiment["id"])
    again = f"so {handle} stays where it is. Ask all rules of its suite: afere gate {ref}"
    answers = _answers(content)
    if missing := [rule for rule in declared if answers.get(rule) != "pass"]:
        says = "; ".join(f"{rule} ({answers.get(rule, 'not asked')})" for rule in missing)
        raise Refused(f"decision:{decision['name']} leaves out or does not pass what {ref} declared: {says}, {again}")
    query = """SELECT name, content FROM artifacts AS a WHERE project=? AND kind='decision' AND id>? AND
        (json_extract(content, '$.subject')=?
         OR EXISTS (SELECT 1 FROM uses WHERE artifact=a.id AND target=? AND role='subject')) ORDER BY id DESC"""
    for newer in connection.execute(query, (project, decision["id"], ref, experiment["id"])):
        answers = _answers(json.loads(newer["content"]))
        if failed := [rule for rule in declared if answers.get(rule) == "fail"]:
            raise Refused(
                f"Since decision:{decision['name']}, decision:{newer['name']} said 'fail' to {'; '.join(failed)}, {again}"
            )


def _experiment(connection: sqlite3.Connection, project: str, decision: int, subject: object) -> sqlite3.Row | None:
    """The experiment that a decision is about, by its edge or by what it says."""
    query = """SELECT a.* FROM uses AS u JOIN artifacts AS a ON a.id = u.target
        WHERE u.artifact=? AND u.role='subject' AND a.kind='experiment'"""
    row = connection.execute(query, (decision,)).fetchone()
    if row is None and isinstance(subject, str):
        with suppress(BadReference, NotFound):  # a subject may also be a plain name
            row = artifacts.resolve(connection, project, subject)
    return row if row is not None and row["kind"] == "experiment" else None


def _texts(content: Json, key: str) -> list[str]:
    value = content.get(key) if isinstance(content, dict) else None
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _answers(content: Json | Mapping[str, Json]) -> dict[str, Json]:
    """What a decision answered to each rule, by the rule's text."""
    rules = content.get("rules") if isinstance(content, Mapping) else None
    found = [one for one in rules if isinstance(one, dict)] if isinstance(rules, list) else []
    return {str(one.get("rule")): one.get("answer") for one in found}


def _check_approvals(
    connection: sqlite3.Connection, project: str, handle: Handle, target: sqlite3.Row, needed: int
) -> None:
    """Refused, unless the newest `approval` of the target is true of so many people; who made it does not count."""
    ref = str(artifacts.ref_of(connection, target["id"]))
    names = (ref, f"{target['kind']}:{target['name']}@{target['version']}", target["hash"])
    query = """SELECT by, value FROM scores WHERE project=? AND target IN (?,?,?) AND name='approval' AND by LIKE 'person:%'
        ORDER BY time, seq"""
    newest = dict(connection.execute(query, (project, *names)).fetchall())
    author = str(target["actor"])
    approved = sorted(by for by, value in newest.items() if value == "true" and by != author)
    if len(approved) < needed:
        own = f"; that of {author}, who made it, does not count" if newest.get(author) == "true" else ""
        raise Refused(
            f"{handle} asks for {needed} approval{'s' * (needed > 1)} of {ref}, and has {len(approved)}"
            f"{' (' + ', '.join(approved) + ')' if approved else ''}{own}. "
            f"Somebody else approves with: afere score {ref} approval true --by person:NAME"
        )


def _about(connection: sqlite3.Connection, project: str, decision: int, subject: object) -> set[int]:
    """Row ids of all that a decision speaks for: what it uses, its subject, and what that uses, at any distance.

    Not for what it compared that with.
    """
    starts = [decision]
    if isinstance(subject, str):
        with suppress(BadReference, NotFound):  # a subject may also be a plain name
            starts.append(artifacts.resolve(connection, project, subject)["id"])
    query = """WITH RECURSIVE reach(id) AS
        (SELECT ? UNION SELECT u.target FROM reach AS r JOIN uses AS u ON u.artifact = r.id AND u.role <> 'against')
        SELECT id FROM reach"""
    return {id_ for start in starts for (id_,) in connection.execute(query, (start,))}


def _write(
    connection: sqlite3.Connection, stamp: Stamp, handle: Handle, *, origin: int | None, target: int | None, why: str,
    decision: str | None,
) -> AliasMove:  # fmt: skip
    written = {
        "project": stamp.project, "kind": handle.kind, "name": handle.name, "alias": handle.alias, "origin": origin,
        "target": target, "decision": decision, "actor": stamp.actor, "at": stamp.at, "why": why,
    }  # fmt: skip
    row = inserted(connection, "moves", written)
    made = _move(connection, row)
    record(connection, stamp, "alias", str(handle), {"from": made.origin, "to": made.to, "row": _row_digest(row)})
    announce(connection, stamp, "alias", str(handle))
    return made


def by_id(connection: sqlite3.Connection, move: int) -> AliasMove:
    """The move with this row id."""
    return _move(connection, connection.execute("SELECT * FROM moves WHERE id=?", (move,)).fetchone())


def newest_id(connection: sqlite3.Connection) -> int:
    """The row id of the move made last."""
    return int(connection.execute("SELECT max(id) FROM moves").fetchone()[0])


def _move(connection: sqlite3.Connection, row: sqlite3.Row) -> AliasMove:
    return AliasMove(
        f"{row['kind']}:{row['name']}", row["alias"], artifacts.ref_of(connection, row["origin"]),
        artifacts.ref_of(connection, row["target"]), row["actor"], row["at"], row["why"], row["decision"],
    )  # fmt: skip


def find(
    connection: sqlite3.Connection, project: str, limit: int, cursor: str | None, where: Mapping[str, object]
) -> Page[AliasMove]:
    """Moves, newest first. `ref` is [kind:]name; `current=True` leaves only where aliases point now."""
    check_keys("aliases", where, ("ref", "alias", "current"))
    query, values = "SELECT m.* FROM moves AS m WHERE m.project=?", cast("list[object]", [project])
    if where.get("ref") is not None:
        kind, _, name = str(where["ref"]).rpartition(":")
        name = name.partition("@")[0].partition("~")[0]
        query, values = f"{query} AND m.name=?", [*values, name]
        if kind:
            if kind not in KINDS:
                raise BadInput(f"{kind!r} is not a kind of artifact. Kinds: {', '.join(KINDS)}.")
            query, values = f"{query} AND m.kind=?", [*values, kind]
    if where.get("alias") is not None:
        query, values = f"{query} AND m.alias=?", [*values, where["alias"]]
    if where.get("current"):
        query += " AND m.id IN (SELECT move FROM aliases)"
    before = read_cursor(cursor, 1)
    if before:
        query, values = f"{query} AND m.id<?", [*values, before[0]]
    rows = connection.execute(f"{query} ORDER BY m.id DESC LIMIT ?", [*values, limit + 1]).fetchall()
    items = tuple(_move(connection, row) for row in rows[:limit])
    return Page(items, write_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None)


def _row_digest(row: sqlite3.Row) -> str:
    names = ("id", "project", "kind", "name", "alias", "origin", "target", "decision", "actor", "at", "why")
    return digest_of({name: row[name] for name in names})


def facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    """What the audit log must have recorded."""
    for row in connection.execute("SELECT * FROM moves"):
        yield row["project"], "alias", f"{row['kind']}:{row['name']}@{row['alias']}", _row_digest(row)
