"""The spans of a server's store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from afere.base.actor import Actor
from afere.base.canonical import Json
from afere.base.errors import Refused
from afere.base.span import Span, Totals, Trace
from afere.store.page import Page
from afere.store.remote.link import Link
from afere.store.span_ties import Ran, Tied
from afere.store.spans import Loss, SpanStore
from afere.store.wire import decode, decode_list, decode_page, encode

_BYTES = 8 * 2**20  # of spans in one request, about


class RemoteSpans(SpanStore):
    """As `SpanStore`, over the server's API."""

    def __init__(self, link: Link, folder: Path, project: str) -> None:
        self.file = folder / "spans.db"  # where it would be; there is none here
        self.project = project
        self._link = link

    def of(self, project: str, actor: Actor | None = None) -> SpanStore:
        other = Link(self._link.url, self._link._key, project)
        return RemoteSpans(other, self.file.parent, project)

    def write(self, spans: Sequence[Span]) -> None:
        batch: list[str] = []
        size = 0
        for span in spans:
            text = json.dumps(encode(span))
            if batch and size + len(text) > _BYTES:
                self._send(batch)
                batch, size = [], 0
            batch.append(text)
            size += len(text)
        if batch:
            self._send(batch)

    def _send(self, batch: Sequence[str]) -> None:
        self._link._value("POST", "spans", f'{{"spans": [{", ".join(batch)}]}}'.encode())

    def say(self, events: Iterable[tuple[str, str, Mapping[str, Json]]]) -> None:
        self._link.ask("spans.say", events=encode(list(events)))

    def said(self, trace_ids: Iterable[str]) -> dict[tuple[str, str], list[dict[str, Json]]]:
        found = self._link.ask("spans.said", trace_ids=list(trace_ids))
        return {(trace, span): events for trace, span, events in found}

    def trace(self, trace_id: str) -> Trace | None:
        found = self._link.ask("spans.trace", trace_id=trace_id)
        return None if found is None else decode(Trace, found)

    def find(
        self, filter: str = "", *, limit: int = 50, cursor: str | None = None, roots: bool = True, sort: str = "start"
    ) -> Page[Span]:
        found = self._link.ask("spans.find", filter=filter, limit=limit, cursor=cursor, roots=roots, sort=sort)
        return decode_page(Span, found)

    def stats(self, filter: str = "", *, by: Sequence[str] = ()) -> list[dict[str, Json]]:
        return self._link.ask("spans.stats", filter=filter, by=list(by))

    def facets(
        self, filter: str = "", fields: Sequence[str] = ("kind", "model", "status"), *, top: int = 10
    ) -> dict[str, list[dict[str, Json]]]:
        return self._link.ask("spans.facets", filter=filter, fields=list(fields), top=top)

    def totals(self, trace_ids: Iterable[str]) -> dict[str, Totals]:
        found: dict[str, Json] = self._link.ask("spans.totals", trace_ids=list(trace_ids))
        return {trace: decode(Totals, one) for trace, one in found.items()}

    def lost(self, count: int, why: str) -> None:
        self._link.ask("spans.lost", count=count, why=why)

    def losses(self) -> list[Loss]:
        return decode_list(Loss, self._link.ask("spans.losses"))

    def scan(self, since: int, until: int, *, most: int) -> Iterator[Span]:
        yield from decode_list(Span, self._link.ask("spans.scan", since=since, until=until, most=most))

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


def hurried(spans: SpanStore) -> None:
    """The process ends: what waits is sent, but nobody waits long for a server that does not answer."""
    if isinstance(spans, RemoteSpans):
        spans._link.patience = min(spans._link.patience, 5.0)
