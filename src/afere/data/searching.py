"""Search: words and meanings together, over one version of an index.

Words are ranked by BM25 (SQLite FTS5), meanings by the cosine of vectors, exactly; the two rankings are fused by
reciprocal rank: a passage at rank r of one scores 1/(60 + r) there, and the sums decide.
Cormack, Clarke, Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods" (2009).
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from afere import tracing
from afere.base.artifact import parse_ref
from afere.base.canonical import Json
from afere.base.errors import BadInput, NoSuchArtifact, NotFound, WorldFailed
from afere.base.project import Project
from afere.data.chunks import Chunking
from afere.data.indexes import Index, Recipe, build, newest
from afere.data.place import calling_project, session_of, shown
from afere.data.shelf import Shelf

if TYPE_CHECKING:
    from afere.models.embedding import Embedder
    from afere.store import Session

NAME = "search"  # of the span, and what a recording answers under
_FUSED = 60  # the constant of reciprocal rank fusion
_DEPTH = 100  # how deep each ranking is read, at least
_KEPT = 8  # versions open at once in a process
_log = logging.getLogger("afere")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document: `text` is characters [start, end) of `source`'s text.

    `score` is the fused rank, at most 2/61: good for ordering the passages of one search, and for nothing else.
    """

    id: str
    text: str
    source: str
    start: int
    end: int
    score: float
    metadata: dict[str, Json] = field(default_factory=dict[str, "Json"])

    def to_json(self) -> Json:
        return {
            "id": self.id, "text": self.text, "source": self.source, "start": self.start, "end": self.end,
            "score": self.score, "metadata": self.metadata,
        }  # fmt: skip


def search(index: str | Index, query: str, *, k: int = 5, where: str = "") -> list[Passage]:
    """The k passages that fit the query best, best first; recorded as a retrieval span with the index's version.

    A bare name is the newest version; one that `afere.yaml` declares under `indexes:` is built on first use.
    `where` filters on what chunks carry: `source:docs/* heading:Install tag:hr -page>10`.
    """
    if k < 1:
        raise BadInput(f"k is {k}: ask for at least one passage.")
    project = calling_project()
    name = index if isinstance(index, str) else index.ref
    arguments: dict[str, Json] = {"index": name, "query": query, "k": k, "where": where}
    with tracing.span(NAME, kind="retrieval") as live:
        live.input(arguments)
        played = tracing.played("retrieval", NAME, live.record.input)
        if played is not None:
            if played.error is not None:
                raise WorldFailed(played.error)
            found = [Passage(**cast("dict[str, Any]", item)) for item in cast("list[Json]", played.output)]
        else:
            used = _resolved(index, project) if isinstance(index, str) else index
            live.use(used.ref, used.hash)
            found = _searcher(used, project).search(query, k, where)
        live.record.documents = [{"id": p.id, "text": p.text, "score": p.score} for p in found]
        live.output([passage.to_json() for passage in found])
        return found


class _Searcher:
    """One version, open."""

    def __init__(self, index: Index, project: Project) -> None:
        self.shelf = Shelf(index)
        self._index = index
        self._project = project
        self._embedder: Embedder | None = None

    def search(self, query: str, k: int, where: str) -> list[Passage]:
        allowed = self.shelf.allowed(where)
        if not query.strip() or not len(self._index) or allowed == frozenset():
            return []
        depth = max(_DEPTH, k)
        rankings = [self.shelf.by_words(query, depth, allowed)]
        if self._index.embedder is not None:
            rankings.append(self.shelf.by_vector(self._embed(query), depth, allowed))
        best = fused(rankings)[:k]
        rows = self.shelf.rows([n for n, _ in best])
        return [
            Passage(row["id"], row["body"], row["source"], row["start"], row["stop"], score, row["metadata"])
            for row, (_, score) in zip(rows, best, strict=True)
        ]

    def _embed(self, query: str) -> list[float]:
        """The query's vector, by what embedded the documents."""
        if self._embedder is None:
            from afere.models import embedder

            made = embedder(str(self._index.content["embed"]), self._project)
            used = self._index.embedder or {}
            if made.version != used["version"]:
                raise BadInput(
                    f"{self._index.ref} was embedded by {used['version']}, and here is {made.version}: their vectors cannot be "
                    f"compared. Make the index again with: afere index {self._index.name}"
                )
            self._embedder = made
        return self._embedder([query])[0]


def fused(rankings: Iterable[list[int]]) -> list[tuple[int, float]]:
    """One ranking out of several, by reciprocal rank; (number, score), best first."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, n in enumerate(ranking, 1):
            scores[n] = scores.get(n, 0.0) + 1 / (_FUSED + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


_searchers: OrderedDict[tuple[str, str], _Searcher] = OrderedDict()
_lock = threading.RLock()


def _searcher(index: Index, project: Project) -> _Searcher:
    key = (str(index.session.folder), index.hash)
    with _lock:
        searcher = _searchers.get(key)
        if searcher is None:
            searcher = _searchers[key] = _Searcher(index, project)
            while len(_searchers) > _KEPT:
                _searchers.popitem(last=False)
        _searchers.move_to_end(key)
        return searcher


def declared(project: Project, name: str) -> Recipe | None:
    """How `afere.yaml` says an index is made, if it does."""
    entry = project.section("indexes").get(name)
    if not isinstance(entry, dict):
        return None
    chunk = cast("dict[str, int]", entry.get("chunk") or {})
    size = chunk.get("size", Chunking().size)
    source = shown(project.path(str(entry["source"])).resolve(), project.root)
    return Recipe(source, Chunking(size, chunk.get("overlap", min(80, size // 10))), str(entry.get("embed") or "local"))


def _resolved(name: str, project: Project) -> Index:
    """The version a name means. A bare name declared in `afere.yaml` is made on first use, and when its settings change."""
    session = session_of(project)
    ref = parse_ref(name, kind="index")
    if ref.selected:
        return Index(session.get(ref, kind="index"), session)
    recipe = declared(project, ref.name)
    kept = newest(session, ref.name)
    if recipe is None:
        if kept is None:
            raise _unknown(ref.name, project, session)
        return kept
    if kept is not None and kept.recipe == recipe:
        return kept
    with _lock:  # threads that come while it is made wait for it
        kept = newest(session, ref.name)
        if kept is not None and kept.recipe == recipe:
            return kept
        why = "its first use" if kept is None else "its settings in afere.yaml changed"
        _log.warning("Making index %s from %s: %s.", ref.name, recipe.source, why)
        return build(project, session, ref.name, recipe)


def _unknown(name: str, project: Project, session: Session) -> NotFound:
    there = {artifact.name for artifact in session.find("artifacts", kind="index", latest=True).items}
    known = ", ".join(sorted(there | project.section("indexes").keys())) or "none"
    return NoSuchArtifact(
        f"There is no index called {name!r} in project {project.name!r}. Indexes here: {known}. Declare it in afere.yaml "
        f"(indexes: {{{name}: {{source: docs/}}}}), or make it with afere.index({name!r}, 'docs/')."
    )
