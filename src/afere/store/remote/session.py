"""The session of a store that a server keeps: `AFERE_STORE=https://host` with `AFERE_KEY`."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from afere.base.actor import EVERY, Actor
from afere.base.artifact import AliasMove, Artifact, Ref, Use
from afere.base.canonical import Json, plain
from afere.base.clock import new_id
from afere.base.errors import BadInput, Refused
from afere.base.project import Project, find_project
from afere.base.score import Score
from afere.store import looking
from afere.store.actors import Actors, Key, Person
from afere.store.audit import Change
from afere.store.jobs import Job, JobStatus, Owner
from afere.store.lineage import Edge, Node, Pointed, Reached
from afere.store.page import Page, check_limit
from afere.store.remote.link import PATIENCE, Link
from afere.store.remote.spans import RemoteSpans, keep_note
from afere.store.session import Session
from afere.store.spans.store import SpanStore
from afere.store.wire import KINDS, decode, decode_list, decode_page, encode


def connect(
    url: str, here: Project, project: str | None, actor: str | None, *, patience: float = PATIENCE
) -> RemoteSession:
    """The store of the server at this address, in the name of the key in AFERE_KEY.

    The project is the one named, else that of afere.yaml or AFERE_PROJECT, else the key's own.
    """
    key = os.environ.get("AFERE_KEY", "").strip() or None
    link = Link(url, key, _named(project, here))
    link.patience = patience
    who: Mapping[str, Any] = link.ask("who")
    rights = Actor(who["id"], tuple(who["roles"]), tuple((where, frozenset(given)) for where, given in who["grants"]))
    if actor is not None and actor != rights.id:
        raise BadInput(f"At {url} the key says who asks ({rights.id}); actor={actor!r} is for a store in a folder.")
    link.project = str(who["project"])
    return RemoteSession(link, place_of(url, here), rights)


def _named(project: str | None, here: Project) -> str | None:
    """The project that somebody named; None: that of the key."""
    named = project or here.name
    return None if named == "default" and not here.declared and not os.environ.get("AFERE_PROJECT") else named


def note_lost(url: str, project: str, count: int, why: str) -> None:
    """Keep a note on this machine that spans were lost which a server should have had, until it can be told."""
    here = find_project()
    keep_note(place_of(url, here), _named(project, here), count, why)


def place_of(url: str, here: Project) -> Path:
    """Where this machine keeps what is its own of a server's store, such as the cache."""
    return here.root / ".afere" / "remote" / re.sub(r"[^a-z0-9.-]+", "_", url.partition("://")[2].lower()).strip("_")


class RemoteSession(Session):
    """As `Session`, over the server's API. `folder` is this machine's own: it holds what may be deleted, such as the cache."""

    def __init__(self, link: Link, folder: Path, rights: Actor) -> None:
        self.folder = folder
        self.project = cast("str", link.project)
        self.actor, self.rights = rights.id, rights
        self.url = link.url
        self._link = link
        self._above = None
        self._opening = threading.Lock()
        self._spans = None
        self._cache = None
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder.parent.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")

    def of(self, project: str, actor: Actor) -> Session:
        if actor != self.rights:
            raise Refused("A session of a server acts in the name of its key alone.")
        other = copy(self)
        other.project, other._link = project, self._link.of(project)
        other._above, other._spans, other._opening = self._above or self, None, threading.Lock()
        return other

    @property
    def actors(self) -> Actors:
        return _RemoteActors(self._link)

    @property
    def spans(self) -> SpanStore:
        with self._opening:
            if self._spans is None:
                self._spans = RemoteSpans(self._link, self.folder, self.project)
            return self._spans

    # artifacts

    def put_once(
        self, request: str | None, kind: str, name: str | None, content: Json = None, *, blob: str | None = None,
        uses: Sequence[Use] = (), why: str = "", at: str | None = None, after: int | None = None,
    ) -> Artifact:  # fmt: skip
        value = plain(content, where=f"{kind}:{name or 'content'}")
        made = self._link.ask(
            "put",
            request=request or new_id(),
            kind=kind,
            name=name,
            content=value,
            blob=blob,
            uses=encode(list(uses)),
            why=why,
            at=at,
            **({} if after is None else {"after": after}),
        )
        return decode(Artifact, made)

    def get(self, ref: str | Ref, *, kind: str | None = None) -> Artifact:
        return decode(Artifact, self._link.ask("get", ref=str(ref), kind=kind))

    def put_blob(self, data: bytes) -> str:
        return self._link.put_blob(data)

    def blob(self, digest: str) -> bytes:
        return self._link.blob(digest)

    def _walk(self, ref: str | Ref, *, up: bool) -> list[Edge]:
        return [Edge(*one) for one in self._link.ask("up" if up else "down", ref=str(ref))]

    def reach(self, *refs: str | Ref, up: bool, most: int = 200) -> Reached:
        said = self._link.ask("reach", refs=[str(ref) for ref in refs], up=up, most=most)
        return Reached(
            tuple((Node(*node), distance) for node, distance in said["nodes"]),
            tuple(Edge(*one) for one in said["edges"]), said["counts"],
            tuple(Pointed(*one) for one in said["aliases"]), tuple(said["hashes"]),
        )  # fmt: skip

    # aliases, scores, jobs

    def alias(self, name: str, to: str | None, *, why: str, decision: str | None = None) -> AliasMove:
        return decode(AliasMove, self._link.ask("alias", name=name, to=to, why=why, decision=decision))

    def rollback_once(self, request: str | None, name: str, *, why: str = "") -> AliasMove:
        return decode(AliasMove, self._link.ask("rollback", request=request or new_id(), name=name, why=why))

    def append(self, *scores_: Score) -> None:
        if scores_:  # in one request, so that it is all or none
            self._link.ask("append", scores=encode(scores_))

    def claim(self, kind: str, key: str, *, total: int | None, owner: Owner, instead: Owner | None) -> Job:
        made = self._link.ask("claim", kind=kind, key=key, total=total, owner=encode(owner), instead=encode(instead))
        return _RemoteJob.read(self._link, made)

    # reading

    def find(self, what: str, *, limit: int = 50, cursor: str | None = None, **where: Any) -> Page[Any]:
        check_limit(limit)
        found = self._link.ask("find", what=what, limit=limit, cursor=cursor, where=where)
        if what != "jobs":
            return decode_page(KINDS[what], found)
        return Page(tuple(_RemoteJob.read(self._link, one) for one in found["items"]), found["next"])

    def scores_of(self, trace_ids: Sequence[str], *, most: int = 200) -> dict[str, list[Score]]:
        found: dict[str, Json] = self._link.ask("scores_of", trace_ids=list(trace_ids), most=most)
        return {trace: decode_list(Score, one) for trace, one in found.items()}

    def follow(self, after: int = 0, *, limit: int = 1000) -> list[Change]:
        return decode_list(Change, self._link.ask("follow", after=after, limit=limit))

    def verify(self, head: str | None = None) -> list[str]:
        return self._link.ask("verify", head=head)

    def head(self) -> tuple[int, str]:
        seq, hash_ = self._link.ask("head")
        return seq, hash_

    def close(self) -> None:
        looking.finish(self)
        with self._opening:
            if self._cache is not None and self._above is None:
                self._cache.close()

    def __repr__(self) -> str:
        return f"Session({self.url!r}, project={self.project!r}, actor={self.actor!r})"

    def __getattr__(self, name: str) -> Any:
        if name in ("_database", "_blobs", "_head"):  # what needs the files themselves
            raise Refused(f"This is done on the machine of the server {self.url}, where its folder is.")
        raise AttributeError(name)


class _RemoteJob(Job):
    """A job of the server's store."""

    @classmethod
    def read(cls, link: Link, value: Json) -> Job:
        said = cast("dict[str, Any]", value)
        names = ("id", "kind", "key", "status", "total", "by", "at", "ended", "project")
        return cls(**{name: said[name] for name in names}, _database=cast("Any", link))

    @property
    def _link(self) -> Link:
        return cast("Link", self._database)

    def items(self) -> dict[str, Json]:
        return self._link.ask("job.items", id=self.id)

    def put(self, items: Mapping[str, Json]) -> None:
        if items:
            self._link.ask("job.put", id=self.id, items={key: plain(value, where=key) for key, value in items.items()})

    def end(self, status: JobStatus = "done") -> Job:
        if status == "running":
            raise BadInput("A job ends as done, failed or stopped.")
        ended = self._link.ask("job.end", id=self.id, status=status)
        return replace(self, status=status, ended=ended)


class _RemoteActors(Actors):
    """The keys and accounts of the server."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def create_key(
        self, name: str, *, project: str, scopes: Sequence[str], seconds: float | None = None
    ) -> tuple[str, Key]:
        made, kept = self._link.ask(
            "actors.create_key", name=name, project=project, scopes=list(scopes), seconds=seconds
        )
        return made, decode(Key, kept)

    def keys(self) -> list[Key]:
        return decode_list(Key, self._link.ask("actors.keys"))

    def revoke(self, id_: str) -> Key:
        return decode(Key, self._link.ask("actors.revoke", id_=id_))

    def add_person(self, name: str, *, role: str, project: str = EVERY, password: str | None = None) -> str | None:
        return self._link.ask("actors.add_person", name=name, role=role, project=project, password=password)

    def people(self) -> list[Person]:
        return decode_list(Person, self._link.ask("actors.people"))

    def remove_person(self, name: str) -> None:
        self._link.ask("actors.remove_person", name=name)

    def set_password(self, name: str, password: str | None) -> str | None:
        return self._link.ask("actors.set_password", name=name, password=password)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise Refused("Log-ins are the server's own business.")
