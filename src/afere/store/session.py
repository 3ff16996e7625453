"""`open(url) -> Session`: the one way to keep anything."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from afere.base.actor import EVERY, LOCAL, Actor
from afere.base.artifact import AliasMove, Artifact, Ref, Use
from afere.base.canonical import Json, digest_of, plain
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput, Refused, StoreFailed
from afere.base.project import Project, find_project
from afere.base.score import Score
from afere.store import actors, aliases, artifacts, audit, jobs, lineage, looking, scores
from afere.store.access import Limited, require
from afere.store.actors import Actors
from afere.store.audit import AuditLine, Change, Head, Stamp
from afere.store.blobs import Blobs
from afere.store.database import Database
from afere.store.jobs import Job
from afere.store.lineage import Edge, Reached
from afere.store.page import Page, check_limit
from afere.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from afere.store.cache import Cache
    from afere.store.spans.store import SpanStore


def open(url: str | Path | None = None, *, project: str | None = None, actor: str | None = None) -> Session:
    """The store in a folder (default: that of the project around the working directory), made if there is none.

    `project` and `actor` are whose records are read and in whose name is written; by default those of the project file
    and of an embedded store, `person:local`.
    """
    here = find_project()
    place = str(url) if url is not None else here.store
    scheme, separator, _ = place.partition("://")
    if scheme in ("http", "https") and separator:
        from afere.store.remote import connect

        return connect(place, here, project, actor)
    if separator:
        raise BadInput(
            f"A store at {place!r} is not supported ({scheme}://). Today a store is a folder, or a server at http(s)://host:port: "
            "name one with AFERE_STORE or --store, or `store:` in afere.yaml; leave it out for .afere in the project."
        )
    return Session(Path(place).expanduser().absolute(), project or here.name, actor or LOCAL)


class Session:
    """A store, as one actor in one project sees it. Threads may share it, and processes the folder."""

    url: str | None = None  # of the server that keeps it; None for a folder

    def __init__(self, folder: Path, project: str, actor: str) -> None:
        self.folder = folder
        self.project = project
        self.actor = actor
        self.rights = Actor(actor)  # who can open the folder may do all; `of` gives less
        _make(folder)
        self._database = Limited(Database(folder / "afere.db", MIGRATIONS), self.rights, project)
        self._blobs = Blobs(folder / "blobs")
        self._head = Head(folder)
        self._known_actor = False
        self._above: Session | None = None
        self._opening = threading.Lock()
        self._spans: SpanStore | None = None
        self._cache: Cache | None = None
        with self._database.read() as connection:  # a store that cannot be used says so here
            lines, _ = audit.last(connection)
            if not lines and self._database.writable:
                self._head.begin()

    def of(self, project: str, actor: Actor) -> Session:
        """The same store for another project, as this actor may see and change it. It is closed with the one it is of."""
        other = copy(self)
        other.project, other.actor, other.rights = project, actor.id, actor
        other._database = Limited(self._database.whole, actor, project)
        other._known_actor, other._above, other._spans = False, self._above or self, None
        other._opening = threading.Lock()
        return other

    def require(self, scope: str) -> None:
        """Refused, unless who asks has this scope in this project: ingest, read, write or admin."""
        require(self.rights, scope, self.project)

    @property
    def actors(self) -> Actors:
        """Keys, accounts and log-ins of the whole store."""
        return Actors(self._database.whole, lambda project: self._change("admin", project), self.rights)

    # the three stores

    @property
    def spans(self) -> SpanStore:
        """What ran."""
        with self._opening:
            if self._spans is None and self._above is not None:
                self._spans = self._above.spans.of(self.project, self.rights)
            elif self._spans is None:
                from afere.store.spans.store import SpanStore

                declared = _around(self.folder).section("spans").get("filterable")
                keys = [str(key) for key in declared] if isinstance(declared, list) else []
                self._spans = SpanStore(self.folder, self.project, filterable=keys)
            return self._spans

    @property
    def cache(self) -> Cache:
        """Answers of models; may be deleted at any time."""
        if self._above is not None:
            return self._above.cache
        with self._opening:
            if self._cache is None:
                from afere.store.cache import Cache

                self._cache = Cache(self.folder)
            return self._cache

    # artifacts

    def put(
        self, kind: str, name: str | None, content: Json = None, *, blob: bytes | None = None, uses: Sequence[Use] = (),
        why: str = "", at: str | None = None, after: int | None = None,
    ) -> Artifact:  # fmt: skip
        """Keep an artifact; identical content returns the version that is there. A new prompt is linted beside, and findings logged.

        Experiments, decisions and reports take the next number of the project when `name` is None. What `uses` names must be kept already.
        `at` (RFC 3339, UTC) is when a version that comes from elsewhere was made there; the audit log has the time of this call.
        `after` is the newest version there may be (0: none): Overtaken where another was made meanwhile.
        """
        digest = self.put_blob(blob) if blob is not None else None
        made = self.put_once(None, kind, name, content, blob=digest, uses=uses, why=why, at=at, after=after)
        if made.made and at is None:  # what comes from elsewhere was looked at there
            looking.begin(self, made)
        return made

    def put_once(
        self, request: str | None, kind: str, name: str | None, content: Json = None, *, blob: str | None = None,
        uses: Sequence[Use] = (), why: str = "", at: str | None = None, after: int | None = None,
    ) -> Artifact:  # fmt: skip
        """As `put`, with the digest of a blob that is kept already. The same `request` again gets the same answer."""
        value = plain(content, where=f"{kind}:{name or 'content'}")
        with self._change() as (connection, stamp):
            if (made := audit.answered(connection, stamp, request)) is not None:
                return artifacts.by_id(connection, made)
            if not self._sees_all:
                self._blobs.require_own(self.project, f"{blob or ''}{json.dumps(value)}", connection)
            artifact = artifacts.put(
                connection, stamp, kind, name, content=value, blob=blob, uses=uses, why=why, at=at, after=after
            )
            audit.answer(connection, stamp, request, artifacts.resolve(connection, self.project, artifact.hash)["id"])
            return artifact

    def get(self, ref: str | Ref, *, kind: str | None = None) -> Artifact:
        """The artifact that a reference means: by version, alias or hash; a bare name is its newest version.

        `kind` is the one this place expects. Raises NoSuchArtifact, NoSuchAlias, or BadReference where several fit.
        """
        with self._database.read() as connection:
            return artifacts.load(connection, artifacts.resolve(connection, self.project, ref, kind))

    def put_blob(self, data: bytes) -> str:
        """Keep bytes by their content; returns their digest."""
        self.require("write")
        return self._blobs.put(data, None if self._sees_all else self.project)

    def blob(self, digest: str) -> bytes:
        """The bytes with that digest, checked. StoreFailed names the file if it is damaged.

        Who may not read every project gets what something in this one names (NotFound otherwise).
        """
        self.require("read")
        if not self._sees_all:
            with self._database.read() as connection:
                self._blobs.named_in(self.project).require(digest, connection)
        return self._blobs.get(digest)

    @property
    def _sees_all(self) -> bool:
        return self.rights.may("read", EVERY)

    def up(self, ref: str | Ref) -> list[Edge]:
        """What an artifact uses, and what that uses, to the end; nearest first."""
        return self._walk(ref, up=True)

    def down(self, ref: str | Ref) -> list[Edge]:
        """What uses an artifact, and what uses that, to the end; nearest first."""
        return self._walk(ref, up=False)

    def _walk(self, ref: str | Ref, *, up: bool) -> list[Edge]:
        with self._database.read() as connection:
            start = artifacts.resolve(connection, self.project, ref)["id"]
            return lineage.walk(connection, [start], up=up).named(connection)

    def reach(self, *refs: str | Ref, up: bool, most: int = 200) -> Reached:
        """What these artifacts use (up), or what uses them, at any distance: the `most` nearest by name, and counts of all."""
        with self._database.read() as connection:
            starts = [artifacts.resolve(connection, self.project, ref)["id"] for ref in refs]
            return lineage.reached(connection, starts, up=up, most=most)

    # aliases

    def alias(self, name: str, to: str | None, *, why: str, decision: str | None = None) -> AliasMove:
        """Point `[kind:]name@alias` at a version (a ref or hash), or with None take it away.

        An alias that `afere.yaml` calls protected moves only with a decision that passed, and with the `approvals` that it
        asks for there: scores by people, called `approval`, of that version (Refused otherwise).
        """
        if not why.strip():
            raise BadInput(f"Say why {name} moves: the reason stays in its history.")
        with self._change() as (connection, stamp):
            return aliases.move(connection, stamp, name, to, why=why, decision=decision, protected=self.protected)

    def rollback(self, name: str, *, why: str = "") -> AliasMove:
        """Point `[kind:]name@alias` back to where it was before: one more move, allowed for protected aliases too."""
        return self.rollback_once(None, name, why=why)

    def rollback_once(self, request: str | None, name: str, *, why: str = "") -> AliasMove:
        """As `rollback`. The same `request` again goes back no further, and gets the same answer."""
        with self._change() as (connection, stamp):
            if (made := audit.answered(connection, stamp, request)) is not None:
                return aliases.by_id(connection, made)
            move = aliases.roll_back(connection, stamp, name, why)
            audit.answer(connection, stamp, request, aliases.newest_id(connection))
            return move

    @property
    def protected(self) -> dict[str, int]:
        """Aliases that `afere.yaml` protects, and how many people must approve first."""
        rules = _around(self.folder).section("aliases").items()
        return {
            name: int(cast("int | None", rule.get("approvals")) or 0)
            for name, rule in rules
            if isinstance(rule, dict) and rule.get("protected")
        }

    # scores and jobs

    def append(self, *scores_: Score) -> None:
        """Keep scores, all or none; one that is there already (by id) changes nothing.

        A score by `person:NAME` is for that person, or an administrator, to give (Refused otherwise).
        """
        if scores_:
            for score in scores_:
                if (
                    score.by.startswith("person:")
                    and score.by != self.actor
                    and not self.rights.may("admin", self.project)
                ):
                    raise Refused(
                        f"{self.actor} may not give a score by {score.by}: only they themselves, or an administrator."
                    )
            with self._change("ingest") as (connection, stamp):
                if not self._sees_all:
                    self._blobs.require_own(self.project, json.dumps([score.data for score in scores_]), connection)
                scores.append(connection, stamp, scores_)

    def job(self, kind: str, key: str, *, total: int | None = None) -> Job:
        """The unfinished job with that key, or a new one. Refused while another living process works on it."""
        return jobs.claimed(lambda instead: self.claim(kind, key, total=total, owner=jobs.me(), instead=instead))

    def job_of(self, id_: str) -> Job:
        """The job with that id."""
        with self._database.read() as connection:
            return jobs.of(connection, self._database, self.project, id_)

    def claim(self, kind: str, key: str, *, total: int | None, owner: jobs.Owner, instead: jobs.Owner | None) -> Job:
        """The job for this process; `jobs.Busy` where another has it that is not `instead`, the one found dead."""
        with self._change() as (connection, stamp):
            return jobs.claim(connection, self._database, stamp, kind, key, total=total, owner=owner, instead=instead)

    # reading

    @overload
    def find(
        self, what: Literal["artifacts"], *, limit: int = 50, cursor: str | None = None, kind: str | None = None,
        name: str | None = None, hash: str | None = None, latest: bool = False,
    ) -> Page[Artifact]: ...  # fmt: skip
    @overload
    def find(
        self, what: Literal["aliases"], *, limit: int = 50, cursor: str | None = None, ref: str | None = None,
        alias: str | None = None, current: bool = False,
    ) -> Page[AliasMove]: ...  # fmt: skip
    @overload
    def find(
        self, what: Literal["scores"], *, limit: int = 50, cursor: str | None = None, target: str | None = None,
        name: str | None = None, by: str | None = None, target_prefix: str | None = None, who: str | None = None,
    ) -> Page[Score]: ...  # fmt: skip
    @overload
    def find(
        self, what: Literal["jobs"], *, limit: int = 50, cursor: str | None = None, kind: str | None = None,
        status: str | None = None, key: str | None = None,
    ) -> Page[Job]: ...  # fmt: skip
    @overload
    def find(
        self, what: Literal["audit"], *, limit: int = 50, cursor: str | None = None, after: int = 0
    ) -> Page[AuditLine]: ...

    def find(self, what: str, *, limit: int = 50, cursor: str | None = None, **where: Any) -> Page[Any]:
        """A page of what this project has, newest first; `where` narrows it by the names above."""
        check_limit(limit)
        with self._database.read() as connection:
            match what:
                case "artifacts":
                    return artifacts.find(connection, self.project, limit, cursor, where)
                case "aliases":
                    return aliases.find(connection, self.project, limit, cursor, where)
                case "scores":
                    return scores.find(connection, self.project, limit, cursor, where)
                case "jobs":
                    return jobs.find(connection, self._database, self.project, limit, cursor, where=where)
                case "audit":
                    return audit.find(connection, self.project, limit, cursor, where)
                case _:
                    raise BadInput(f"find({what!r}): there are artifacts, aliases, scores, jobs and audit.")

    def scores_of(self, trace_ids: Sequence[str], *, most: int = 200) -> dict[str, list[Score]]:
        """The newest `most` scores of each of these traces (all 32 digits) and of its spans, newest first."""
        with self._database.read() as connection:
            return scores.of_traces(connection, self.project, trace_ids, check_limit(most))

    def follow(self, after: int = 0, *, limit: int = 1000) -> list[Change]:
        """What changed after that step, oldest first. Keep the last `seq` and ask again: nothing is skipped."""
        with self._database.read() as connection:
            return audit.follow(connection, self.project, after, check_limit(limit))

    # audit

    def verify(self, head: str | None = None) -> list[str]:
        """What is wrong with the audit log of the whole store, in words; empty if it is sound.

        `head` is the hash of a line that you kept elsewhere: it must still be in the log. What is wrong in projects that
        who asks may not read is told without names.
        """
        written = self._head.read()  # before the log: it may only grow meanwhile
        with self._database.read() as connection:
            return audit.verify(connection, _facts(connection), written, head, partial(self.rights.may, "read"))

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest audit line, to be kept elsewhere."""
        with self._database.read() as connection:
            return audit.last(connection)

    def close(self) -> None:
        """Close the files. The session cannot be used after that."""
        if self._above is not None:
            return
        looking.finish(self)
        with self._opening:
            for part in (self._spans, self._cache, self._database):
                if part is not None:
                    part.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({str(self.folder)!r}, project={self.project!r}, actor={self.actor!r})"

    @contextmanager
    def _change(self, scope: str = "write", project: str | None = None) -> Generator[tuple[Connection, Stamp]]:
        """One transaction for a change and its audit lines; the head file follows after the commit."""
        require(self.rights, scope, project or self.project)
        stamp = Stamp(self.project, self.actor, rfc3339(now_ns()))
        with self._database.whole.write() as connection:
            if not self._known_actor:
                _introduce(connection, stamp, self.rights.roles)
            yield connection, stamp
            newest = audit.last(connection)
        self._known_actor = True
        with self._database.whole.read() as connection:  # so that a fork waits for this too
            self._head.advance(*newest, lambda seq: audit.hash_of(connection, seq))


def _introduce(connection: Connection, stamp: Stamp, roles: Sequence[str]) -> None:
    """Record an actor the first time that it changes something."""
    actor = {"project": stamp.project, "id": stamp.actor, "roles": json.dumps(roles), "at": stamp.at}
    made = connection.execute("INSERT OR IGNORE INTO actors VALUES (:project, :id, :roles, :at)", actor)
    if made.rowcount:
        audit.record(connection, stamp, "actor", stamp.actor, {"row": digest_of({**actor})})


def _facts(connection: Connection) -> Iterator[audit.Fact]:
    yield from artifacts.facts(connection)
    yield from aliases.facts(connection)
    yield from scores.facts(connection)
    yield from actors.facts(connection)
    for row in connection.execute("SELECT * FROM actors"):
        yield row["project"], "actor", row["id"], digest_of(dict(row))


def _make(folder: Path) -> None:
    """The store's folder, hidden from git."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and not any(folder.iterdir()):
            (folder / ".gitignore").write_text("*\n", encoding="ascii")
    except OSError as error:
        raise StoreFailed(
            f"{folder} cannot be made: {error.strerror}. Check the permissions of {folder.parent}, or name another folder "
            "with AFERE_STORE or --store."
        ) from None


def _around(folder: Path) -> Project:
    """The project whose rules hold for a store: the one its folder lies in, else that of the working directory."""
    project = find_project(folder)
    return project if project.declared else find_project()
