"""The spans of a server's store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from afere.base.actor import Actor
from afere.base.canonical import Json
from afere.base.clock import now_ns, rfc3339
from afere.base.errors import AfereError, Refused
from afere.base.span import Span, Totals, Trace
from afere.store.page import Page
from afere.store.remote.link import Link
from afere.store.spans import wire as span_wire
from afere.store.spans.scan import Glance
from afere.store.spans.store import Loss, SpanStore
from afere.store.spans.ties import Ran, Tied
from afere.store.wire import decode, decode_list, decode_page, encode

_UNTOLD = "losses.jsonl"
_BYTES = 1_900_000  # of spans in one request: no more than the server reads without a detour


class RemoteSpans(SpanStore):
    """As `SpanStore`, over the server's API."""

    def __init__(self, link: Link, folder: Path, project: str) -> None:
        self.file = folder / "spans.db"  # where it would be; there is none here
        self.project = project
        self._link = link
        self._untold = folder / _UNTOLD

    def of(self, project: str, actor: Actor | None = None) -> SpanStore:
        return RemoteSpans(self._link.of(project), self.file.parent, project)

    def write(self, spans: Sequence[Span]) -> None:
        """As in a folder, but as OTLP in requests of some 2 MiB, each for itself: where one raises, others may be kept already.

        BadInput for a span that the server cannot keep; the others of its request are kept.
        """
        batch: list[bytes] = []
        size = 0
        for span in spans:
            one = span_wire.written(span)
            if batch and size + len(one) > _BYTES:
                self._send(batch)
                batch, size = [], 0
            batch.append(one)
            size += len(one)
        if batch:
            self._send(batch)

    def _send(self, batch: Sequence[bytes]) -> None:
        self._link.send_spans(span_wire.request(batch), len(batch))
        if self._untold.exists():
            self._tell()

    def say(self, events: Iterable[tuple[str, str, Mapping[str, Json]]]) -> None:
        self._link.ask("spans.say", events=encode(list(events)))

    def said(self, trace_ids: Iterable[str]) -> dict[tuple[str, str], list[dict[str, Json]]]:
        found = self._link.ask("spans.said", trace_ids=list(trace_ids))
        return {(trace, span): events for trace, span, events in found}

    def trace(self, trace_id: str) -> Trace | None:
        found = self._link.ask("spans.trace", trace_id=trace_id)
        return None if found is None else decode(Trace, found)

    def span(self, trace_id: str, span_id: str) -> Span | None:
        found = self._link.ask("spans.span", trace_id=trace_id, span_id=span_id)
        return None if found is None else decode(Span, found)

    def find(
        self, filter: str = "", *, limit: int = 50, cursor: str | None = None, roots: bool = True, sort: str = "start",
        brief: bool = False,
    ) -> Page[Span]:  # fmt: skip
        found = self._link.ask(
            "spans.find", filter=filter, limit=limit, cursor=cursor, roots=roots, sort=sort, brief=brief
        )
        return decode_page(Span, found)

    def stats(self, filter: str = "", *, by: Sequence[str] = ()) -> list[dict[str, Json]]:
        return self._link.ask("spans.stats", filter=filter, by=list(by))

    def facets(
        self, filter: str = "", fields: Sequence[str] = ("kind", "model", "status"), *, top: int = 10
    ) -> dict[str, list[dict[str, Json]]]:
        return self._link.ask("spans.facets", filter=filter, fields=list(fields), top=top)

    def among(self, trace_ids: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, int]]:
        return self._link.ask("spans.among", trace_ids=list(trace_ids), fields=list(fields))

    def totals(self, trace_ids: Iterable[str]) -> dict[str, Totals]:
        found: dict[str, Json] = self._link.ask("spans.totals", trace_ids=list(trace_ids))
        return {trace: decode(Totals, one) for trace, one in found.items()}

    def lost(self, count: int, why: str) -> None:
        """As in a folder. While the server cannot be told, the note waits in a file of this machine; who next reaches it tells."""
        try:
            self._link.ask("spans.lost", count=count, why=why)
        except AfereError:
            keep_note(self._untold.parent, self.project, count, why)

    def _tell(self) -> None:
        mine = self._untold.with_name(f"{self._untold.name}.{os.getpid()}")
        with suppress(OSError):  # another process was quicker
            self._untold.replace(mine)
            for line in mine.read_text("utf-8").splitlines():
                one = json.loads(line)
                self.of(one["project"] or self.project).lost(one["count"], f"{one['why']} (at {one['at'][:19]}Z)")
            mine.unlink()

    def losses(self) -> list[Loss]:
        return decode_list(Loss, self._link.ask("spans.losses"))

    def scan(self, since: int, until: int, *, most: int) -> Iterator[Span]:
        yield from decode_list(Span, self._link.ask("spans.scan", since=since, until=until, most=most))

    def place(self) -> int:
        return self._link.ask("spans.place")

    def newer(self, after: int, kinds: Sequence[str], *, since: int, most: int) -> tuple[list[Glance], int]:
        found, place = self._link.ask("spans.newer", after=after, kinds=list(kinds), since=since, most=most)
        return [Glance(*one) for one in found], place

    def glances(self, ids: Iterable[Sequence[str]]) -> list[Glance]:
        return [Glance(*one) for one in self._link.ask("spans.glances", ids=[list(one) for one in ids])]

    def at(self, places: Iterable[int]) -> list[Span | None]:
        found = self._link.ask("spans.at", places=list(places))
        return [None if one is None else decode(Span, one) for one in found]

    def archived(self, filter: str = "") -> list[str]:
        return self._link.ask("spans.archived", filter=filter)

    def ran(self, keys: Iterable[str], *, limit: int = 20, since: int | None = None) -> Ran:
        said = self._link.ask("spans.ran", keys=list(keys), limit=limit, since=since)
        return Ran(said["count"], tuple(decode_list(Tied, said["traces"])))

    def requests(self, since: int = 0) -> int:
        return self._link.ask("spans.requests", since=since)

    def traces_of(self, column: str, value: str) -> list[str]:
        return self._link.ask("spans.traces_of", column=column, value=value)

    def count(self, trace_ids: Iterable[str]) -> int:
        return self._link.ask("spans.count", trace_ids=list(trace_ids))

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Any:
        if name == "_database":  # what needs the files themselves
            raise Refused(f"This is done on the machine of the server {self._link.url}, where its folder is.")
        raise AttributeError(name)


def keep_note(folder: Path, project: str | None, count: int, why: str) -> None:
    """Keep a note of spans that were lost, in this machine's folder for a server, until it can be told."""
    folder.mkdir(parents=True, exist_ok=True)
    line = {"at": rfc3339(now_ns()), "project": project, "count": count, "why": why}
    with (folder / _UNTOLD).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def untold(folder: Path) -> list[Loss]:
    """What was lost by programs on this machine, and the server does not know yet."""
    try:
        lines = [json.loads(line) for line in (folder / _UNTOLD).read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [Loss(one["at"], one["count"], one["why"]) for one in lines]
