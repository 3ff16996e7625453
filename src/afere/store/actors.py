"""Who may ask a server: keys of programs, accounts of people, their roles and log-ins. Secrets rest only as hashes.

A key is 256 random bits, so one round of sha256 is enough: there is nothing to guess from, and every request is checked
without delay. A password is what a person can remember, so it rests as scrypt (RFC 7914), made to be slow.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

from afere.base.actor import EVERY, ROLES, SCOPES, Actor, scopes
from afere.base.canonical import Json, digest_of
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, NotFound, Refused
from afere.store.audit import Fact, Stamp, record
from afere.store.database import Database

KEY = "afere_"  # how every key begins, so that scanners for leaked secrets can know it
_DAY = 86_400.0
LOGIN_SECONDS = 14 * _DAY
INVITATION_SECONDS = 3 * _DAY
SHORTEST = 10  # characters of a password
# 2^15 rounds of 8 blocks: 32 MiB and some 0.1 s of one core for each guess.
_COST = {"n": 2**15, "r": 8, "p": 1}

LAYOUT = (
    """CREATE TABLE keys (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
        by TEXT NOT NULL, at TEXT NOT NULL, expires TEXT, revoked TEXT) WITHOUT ROWID""",
    """CREATE TABLE people (
        name TEXT PRIMARY KEY, password TEXT, invitation TEXT, invited_until TEXT, by TEXT NOT NULL, at TEXT NOT NULL,
        removed TEXT) WITHOUT ROWID""",
    """CREATE TABLE roles (
        project TEXT NOT NULL, person TEXT NOT NULL REFERENCES people, role TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (person, project)) WITHOUT ROWID""",
    "CREATE TABLE logins (hash TEXT PRIMARY KEY, person TEXT NOT NULL, at TEXT NOT NULL, expires TEXT NOT NULL) WITHOUT ROWID",
    # What was answered to a change that may be asked for again because its answer was lost on the way.
    "CREATE TABLE requests (id TEXT PRIMARY KEY, at TEXT NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID",
)

Change = Callable[[str], AbstractContextManager[tuple[sqlite3.Connection, Stamp]]]


@dataclass(frozen=True, slots=True)
class Key:
    """A program's key as it rests: everything but the key itself. project: EVERY for all."""

    id: str
    project: str
    name: str
    scopes: tuple[str, ...]
    by: str
    at: str
    expires: str | None = None
    revoked: str | None = None

    @property
    def state(self) -> str:
        """active, expired or revoked."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and self.expires <= rfc3339(now_ns()) else "active"

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id, "project": self.project, "name": self.name, "scopes": list(self.scopes), "by": self.by,
            "at": self.at, "expires": self.expires, "revoked": self.revoked, "state": self.state,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """An account of this server: a name, and a role in some projects."""

    name: str
    roles: tuple[tuple[str, str], ...]  # (project, role)
    invited: bool  # they have yet to choose a password
    by: str
    at: str

    def to_json(self) -> dict[str, Json]:
        roles: list[Json] = [{"project": project, "role": role} for project, role in self.roles]
        return {"name": self.name, "roles": roles, "invited": self.invited, "by": self.by, "at": self.at}


class Actors:
    """The keys and accounts of a store. Changes need the scope admin in the project they are for (EVERY: in all)."""

    def __init__(self, database: Database, change: Change, asks: Actor) -> None:
        self._database, self._change, self._asks = database, change, asks

    # keys

    def create_key(
        self, name: str, *, project: str, scopes: Sequence[str], seconds: float | None = None
    ) -> tuple[str, Key]:
        """A new key for a program, and what is kept of it. The key itself is in this answer and nowhere else."""
        _check_name(name, "key")
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise BadInput(f"Scope {', '.join(unknown) or 'nothing'!r}: a key has one or more of {', '.join(SCOPES)}.")
        if seconds is not None and not 0 < seconds < 100 * 366 * _DAY:
            raise BadInput("A key expires after some time, at most 100 years; leave it out for a key that does not.")
        id_ = secrets.token_hex(4)
        key = f"{KEY}{id_}_{secrets.token_urlsafe(32)}"
        with self._change(project) as (connection, stamp):
            row = {
                "id": id_, "project": project, "name": name, "scopes": json.dumps(sorted(set(scopes))),
                "hash": _hash(key), "by": stamp.actor, "at": stamp.at, "expires": _after(seconds), "revoked": None,
            }  # fmt: skip
            _write(connection, stamp, "keys", row, said={"name": name, "scopes": [*sorted(set(scopes))]})
        return key, _key(row)

    def keys(self) -> list[Key]:
        """The keys of all projects that who asks administers, newest first. Refused, where that is none."""
        self._require_any()
        rows = self._database.single("SELECT * FROM keys ORDER BY at DESC, id")
        return [_key(dict(row)) for row in rows if self._asks.may("admin", row["project"])]

    def _require_any(self) -> None:
        if not any("admin" in given for _, given in self._asks.grants):
            raise Refused(
                f"{self._asks.id} administers no project, and sees no keys and accounts. Ask an administrator."
            )

    def revoke(self, id_: str) -> Key:
        """End a key at once: it is refused from the next request on. One that is revoked already stays so."""
        found = self._database.single("SELECT * FROM keys WHERE id=?", (id_.removeprefix(KEY).partition("_")[0],))
        if not found:
            raise NotFound(f"There is no key {id_!r}. List them with: afere key list")
        with self._change(found[0]["project"]) as (connection, stamp):
            row = dict(connection.execute("SELECT * FROM keys WHERE id=?", (found[0]["id"],)).fetchone())
            if row["revoked"] is None:
                row = _rewrite(connection, stamp, "keys", row, {"revoked": stamp.at}, said={"state": "revoked"})
        return _key(row)

    def by_key(self, key: str) -> Actor | None:
        """Who brings this key; None where it is unknown, expired or revoked."""
        rows = self._database.single("SELECT * FROM keys WHERE hash=?", (_hash(key),))
        if not rows or (known := _key(dict(rows[0]))).state != "active":
            return None
        return Actor(f"service:{known.name}", known.scopes, ((known.project, scopes(*known.scopes)),))

    # people

    def add_person(self, name: str, *, role: str, project: str = EVERY, password: str | None = None) -> str | None:
        """An account with a role, or one more role (or another one) for an account that is there.

        Without a password a new account gets an invitation, returned here and nowhere else: it serves once.
        """
        _check_name(name, "user")
        if role not in ROLES:
            raise BadInput(f"role {role!r}: one of {', '.join(ROLES)}.")
        hashed = None if password is None else hash_password(password)
        with self._change(project) as (connection, stamp):
            known = connection.execute("SELECT * FROM people WHERE name=?", (name,)).fetchone()
            invitation = None
            if known is None or known["removed"]:
                invitation = None if hashed else secrets.token_urlsafe(32)
                row = {
                    "name": name, "password": hashed, "invitation": None if invitation is None else _hash(invitation),
                    "invited_until": _after(INVITATION_SECONDS) if invitation else None, "by": stamp.actor, "at": stamp.at,
                    "removed": None,
                }  # fmt: skip
                if known is None:
                    _write(connection, stamp, "people", row, said={"state": "added"})
                else:
                    _rewrite(connection, stamp, "people", dict(known), row, said={"state": "added again"})
            elif hashed:
                raise BadInput(
                    f"{name} has an account already. Give them a new password with: afere user password {name}"
                )
            self._give(connection, stamp, name, project, role)
        return invitation

    def _give(self, connection: sqlite3.Connection, stamp: Stamp, name: str, project: str, role: str) -> None:
        row = {"project": project, "person": name, "role": role, "by": stamp.actor, "at": stamp.at}
        known = connection.execute("SELECT * FROM roles WHERE person=? AND project=?", (name, project)).fetchone()
        if known is None:
            _write(connection, stamp, "roles", row, said={"role": role})
        elif known["role"] != role:
            _rewrite(connection, stamp, "roles", dict(known), row, said={"role": role})

    def people(self) -> list[Person]:
        """The accounts, by name, with their roles in all projects that who asks administers. Refused, where that is none."""
        self._require_any()
        rows = self._database.single("SELECT * FROM people WHERE removed IS NULL ORDER BY name")
        seen = self._asks.may("admin", EVERY)
        found: list[Person] = []
        for row in rows:
            roles = tuple(one for one in self._roles(row["name"]) if self._asks.may("admin", one[0]))
            if roles or seen:
                found.append(Person(row["name"], roles, row["password"] is None, row["by"], row["at"]))
        return found

    def remove_person(self, name: str) -> None:
        """Take away an account with all its roles and log-ins. What they did stays, under their name."""
        with self._change(EVERY) as (connection, stamp):
            row = _living(connection, name)
            for role in connection.execute("SELECT * FROM roles WHERE person=?", (name,)).fetchall():
                connection.execute("DELETE FROM roles WHERE person=? AND project=?", (name, role["project"]))
                _record(connection, stamp, "roles", dict(role), None, {"role": None})
            gone = {"password": None, "invitation": None, "invited_until": None, "removed": stamp.at}
            _rewrite(connection, stamp, "people", row, gone, said={"state": "removed"})
            connection.execute("DELETE FROM logins WHERE person=?", (name,))

    def set_password(self, name: str, password: str | None) -> str | None:
        """A new password, or (None) an invitation to choose one, which is returned. All log-ins end."""
        hashed = None if password is None else hash_password(password)
        invitation = None if hashed else secrets.token_urlsafe(32)
        with self._change(EVERY) as (connection, stamp):
            row = _living(connection, name)
            new = {
                "password": hashed, "invitation": None if invitation is None else _hash(invitation),
                "invited_until": _after(INVITATION_SECONDS) if invitation else None,
            }  # fmt: skip
            _rewrite(connection, stamp, "people", row, new, said={"state": "invited" if invitation else "password"})
            connection.execute("DELETE FROM logins WHERE person=?", (name,))
        return invitation

    def invited(self, invitation: str) -> str | None:
        """Whose invitation this is; None where it is unknown, used or too old."""
        rows = self._database.single(
            "SELECT name FROM people WHERE invitation=? AND invited_until>? AND removed IS NULL",
            (_hash(invitation), rfc3339(now_ns())),
        )
        return str(rows[0]["name"]) if rows else None

    def accept(self, invitation: str, password: str) -> str | None:
        """Choose the password that an invitation asks for; returns whose it is, or None where it serves no longer."""
        hashed = hash_password(password)
        name = self.invited(invitation)
        if name is None:
            return None
        with self._database.write() as connection:
            row = _living(connection, name)
            if row["invitation"] != _hash(invitation):  # somebody was quicker
                return None
            stamp = Stamp(EVERY, f"person:{name}", rfc3339(now_ns()))
            new = {"password": hashed, "invitation": None, "invited_until": None}
            _rewrite(connection, stamp, "people", row, new, said={"state": "password"})
        return name

    # log-ins

    def password_of(self, name: str) -> str | None:
        """The password of an account as it rests, for `password_fits`."""
        rows = self._database.single("SELECT password FROM people WHERE name=? AND removed IS NULL", (name,))
        return rows[0]["password"] if rows else None

    def log_in(self, name: str) -> str:
        """A token for somebody whose password has been checked; it serves for two weeks."""
        token, now = secrets.token_urlsafe(32), rfc3339(now_ns())
        with self._database.write() as connection:
            connection.execute("DELETE FROM logins WHERE expires < ?", (now,))
            connection.execute(
                "INSERT INTO logins VALUES (?, ?, ?, ?)", (_hash(token), name, now, _after(LOGIN_SECONDS))
            )
        return token

    def by_login(self, token: str) -> Actor | None:
        """Who is logged in with this token, with the roles they have now."""
        rows = self._database.single(
            "SELECT person FROM logins WHERE hash=? AND expires>?", (_hash(token), rfc3339(now_ns()))
        )
        if not rows:
            return None
        roles = self._roles(rows[0]["person"])
        grants = tuple((project, scopes(ROLES[role])) for project, role in roles)
        return Actor(f"person:{rows[0]['person']}", tuple(role for _, role in roles), grants)

    def log_out(self, token: str) -> None:
        """End this log-in."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM logins WHERE hash=?", (_hash(token),))

    def anyone(self) -> bool:
        """Whether there is a key or an account that can be used."""
        living = "SELECT 1 FROM keys WHERE revoked IS NULL AND (expires IS NULL OR expires>?) UNION ALL "
        living += "SELECT 1 FROM people WHERE removed IS NULL LIMIT 1"
        return bool(self._database.single(living, (rfc3339(now_ns()),)))

    def _roles(self, name: str) -> tuple[tuple[str, str], ...]:
        rows = self._database.single("SELECT project, role FROM roles WHERE person=? ORDER BY project", (name,))
        return tuple((row["project"], row["role"]) for row in rows)


# secrets


def hash_password(password: str) -> str:
    """A password as it rests: its cost, its salt and its scrypt."""
    if len(password) < SHORTEST:
        raise BadInput(f"A password has at least {SHORTEST} characters.")
    if len(password) > 1000:
        raise BadInput("A password has at most 1,000 characters.")
    salt = secrets.token_bytes(16)
    cost = f"{_COST['n']}-{_COST['r']}-{_COST['p']}"
    return f"scrypt${cost}${b64encode(salt).decode()}${b64encode(_scrypt(password, salt, _COST)).decode()}"


def password_fits(password: str, hashed: str | None) -> bool:
    """Whether a password is the one that rests. Takes as long for an account that is not there."""
    _, cost, salt, expected = (hashed or _NOBODY).split("$")
    n, r, p = map(int, cost.split("-"))
    made = _scrypt(password[:1000], b64decode(salt), {"n": n, "r": r, "p": p})
    return hmac.compare_digest(made, b64decode(expected)) and hashed is not None


def _scrypt(password: str, salt: bytes, cost: Mapping[str, int]) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, maxmem=2**27, dklen=32, **cost)


_NOBODY = f"scrypt${_COST['n']}-{_COST['r']}-{_COST['p']}$AAAAAAAAAAAAAAAAAAAAAA==$AAAA"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _after(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(now_ns() + int(seconds * 1e9))


def _check_name(name: str, what: str) -> None:
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) is None:
        raise BadInput(
            f"{name!r} cannot name a {what}: up to 64 of a-z, 0-9, dot, underscore and dash, such as ana.reis."
        )


# rows and their audit

_TABLES = {"keys": ("key", "id"), "people": ("person", "name"), "roles": ("role", "person")}


def _write(
    connection: sqlite3.Connection, stamp: Stamp, table: str, row: Mapping[str, object], *, said: dict[str, Json]
) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608  our own names
    _record(connection, stamp, table, None, row, said)


def _rewrite(
    connection: sqlite3.Connection, stamp: Stamp, table: str, row: dict[str, object], new: Mapping[str, object], *,
    said: dict[str, Json],
) -> dict[str, object]:  # fmt: skip
    after = {**row, **new}
    where = "person=:person AND project=:project" if table == "roles" else f"{_TABLES[table][1]}=:{_TABLES[table][1]}"
    connection.execute(f"UPDATE {table} SET {', '.join(f'{name}=:{name}' for name in after)} WHERE {where}", after)  # noqa: S608  our own names
    _record(connection, stamp, table, row, after, said)
    return after


def _record(
    connection: sqlite3.Connection, stamp: Stamp, table: str, before: Mapping[str, object] | None,
    after: Mapping[str, object] | None, said: dict[str, Json],
) -> None:  # fmt: skip
    """An audit line without any secret: digests of the row as it was and as it is, over hashes of secrets only."""
    row = cast("Mapping[str, object]", after or before)
    project, action, subject = _named(table, row)
    details = dict(said)
    if after is not None:
        details["row"] = _digest(after)
    if before is not None:
        details["instead"] = _digest(before)
    record(connection, Stamp(project, stamp.actor, stamp.at), action, subject, details)


def _named(table: str, row: Mapping[str, object]) -> tuple[str, str, str]:
    """Project, action and subject of a row's audit lines."""
    action, name = _TABLES[table]
    subject = f"{row['id']} ({row['name']})" if table == "keys" else f"person:{row[name]}"
    return str(row.get("project", EVERY)), action, subject


def _digest(row: Mapping[str, object]) -> str:
    return digest_of(cast("Json", dict(row)))


def facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    """What the audit log must have recorded: every key, account and role as it is now."""
    for table in _TABLES:
        for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608  our own names
            yield *_named(table, dict(row)), _digest(dict(row))


def _key(row: Mapping[str, object]) -> Key:
    text = {name: cast("str", row[name]) for name in ("id", "project", "name", "by", "at")}
    expires, revoked = (cast("str | None", row[name]) for name in ("expires", "revoked"))
    return Key(**text, scopes=tuple(json.loads(cast("str", row["scopes"]))), expires=expires, revoked=revoked)


def _living(connection: sqlite3.Connection, name: str) -> dict[str, object]:
    row = connection.execute("SELECT * FROM people WHERE name=? AND removed IS NULL", (name,)).fetchone()
    if row is None:
        raise NotFound(f"There is no user {name!r}. List them with: afere user list")
    return dict(row)
