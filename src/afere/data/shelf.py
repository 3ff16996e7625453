"""A version of an index made ready for searching: a file of words and passages, and a file of vectors, in the store's cache.

Both can be deleted at any time; they are made again from the version's parts.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadData, MissingExtra, StoreFailed
from afere.base.filter import Term, Type, parse_filter
from afere.data.indexes import Index, unpack

_KEPT = 12  # versions in the cache folder; the least used go first
_TABLES = """
CREATE TABLE chunk (n INTEGER PRIMARY KEY, id TEXT, source TEXT, start INTEGER, stop INTEGER, metadata TEXT, headings TEXT, body TEXT);
CREATE VIRTUAL TABLE words USING fts5(headings, body, content='chunk', content_rowid='n', tokenize='porter unicode61 remove_diacritics 2');
"""
_FIELDS: dict[str, Type] = {
    "id": "text",
    "source": "text",
    "tag": "text",
    "text": "text",
    "heading": "text",
    "title": "text",
    "page": "count",
}


def fields_of(index: Index) -> dict[str, Type]:
    """What a filter may ask of an index's passages: fixed fields, and those its documents carry."""
    own = (
        name for name in cast("list[str]", index.content["fields"]) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name)
    )
    return {**{name: cast("Type", "text") for name in own}, **_FIELDS}


class Shelf:
    """Answers which chunks hold words, are near a vector, or pass a filter. Chunks are numbered from 0."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._folder = _folder(index)
        self._db = self._folder / f"{index.hash.removeprefix('sha256:')[:40]}.db"
        self._dimensions = cast("int", index.embedder["dimensions"]) if index.embedder else 0
        if not self._whole():
            self._make()
        with suppress(OSError):
            self._db.touch()
        self.allowed: Callable[[str], frozenset[int] | None] = lru_cache(maxsize=64)(self._allowed)
        self._matrix: Any = None

    def by_words(self, query: str, depth: int, allowed: frozenset[int] | None) -> list[int]:
        """The best chunks by BM25 for any of the query's words, best first."""
        words = dict.fromkeys(re.findall(r"\w+", query.lower())[:200])
        if not words:
            return []
        asked = " OR ".join(f'"{word}"' for word in words)
        found: list[int] = []
        with closing(self._open()) as db:
            for (n,) in db.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank, rowid", (asked,)):
                if allowed is None or n in allowed:
                    found.append(n)
                    if len(found) == depth:
                        break
        return found

    def by_vector(self, vector: Sequence[float], depth: int, allowed: frozenset[int] | None) -> list[int]:
        """The nearest chunks by cosine, nearest first. MissingExtra without numpy."""
        try:
            import numpy as np
        except ImportError:
            raise MissingExtra(
                "search", f"Searching {self.index.ref} by meaning (an index made with embed='none' needs nothing)"
            ) from None
        if self._matrix is None:
            file = self._db.with_suffix(".f32")
            shape = (len(self.index), self._dimensions)
            self._matrix = np.memmap(file, dtype="<f4", mode="r", shape=shape)
        chosen = None if allowed is None else np.fromiter(sorted(allowed), dtype=np.int64)
        matrix = self._matrix if chosen is None else self._matrix[chosen]
        likeness = matrix @ np.asarray(vector, dtype=np.float32)
        depth = min(depth, len(likeness))
        best = np.argpartition(-likeness, depth - 1)[:depth] if depth else np.arange(0)
        best = best[np.lexsort((best, -likeness[best]))]
        return [int(n) for n in (best if chosen is None else chosen[best])]

    def rows(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The chunks themselves, in that order."""
        with closing(self._open()) as db:
            db.row_factory = sqlite3.Row
            rows = [db.execute("SELECT * FROM chunk WHERE n=?", (n,)).fetchone() for n in numbers]
        return [{**dict(row), "metadata": json.loads(row["metadata"])} for row in rows]

    def _allowed(self, where: str) -> frozenset[int] | None:
        """The chunks that pass a filter; None for all."""
        terms = parse_filter(where, fields=fields_of(self.index)).terms
        if not terms:
            return None
        passed: set[int] = set()
        with closing(self._open()) as db:
            for n, id_, source, body, metadata in db.execute("SELECT n, id, source, body, metadata FROM chunk"):
                known = {**json.loads(metadata), "id": id_, "source": source, "text": body}
                if all(holds(term, known) for term in terms):
                    passed.add(n)
        return frozenset(passed)

    def _open(self) -> sqlite3.Connection:
        # A connection for each question: threads and forks need no care, and a file that never changes opens quickly.
        return sqlite3.connect(f"file:{self._db.as_posix()}?mode=ro&immutable=1", uri=True)

    def _whole(self) -> bool:
        """Whether both files are there and hold what they should."""
        try:
            with closing(self._open()) as db:
                (chunks,) = db.execute("SELECT count(*) FROM chunk").fetchone()
            vectors = self._db.with_suffix(".f32").stat().st_size if self._dimensions else 0
        except (sqlite3.Error, OSError):
            return False
        return chunks == len(self.index) and vectors == chunks * self._dimensions * 4

    def _make(self) -> None:
        """Write both files beside their places, then move them there: vectors first, so that words mean it is whole."""
        try:
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as place:
                words, vectors = Path(place, "words"), Path(place, "vectors")
                with closing(sqlite3.connect(words)) as db, vectors.open("wb") as numbers:
                    db.execute("PRAGMA journal_mode=OFF")
                    db.executescript(_TABLES)
                    db.executemany("INSERT INTO chunk VALUES (?,?,?,?,?,?,?,?)", self._rows(numbers.write))
                    db.execute("INSERT INTO words(words) VALUES ('rebuild')")
                    db.commit()
                if self._dimensions:
                    vectors.replace(self._db.with_suffix(".f32"))
                words.replace(self._db)
        except (sqlite3.Error, OSError) as problem:
            raise StoreFailed(
                f"{self._folder}: {self.index.ref} could not be laid out for searching: {problem}. "
                "Check free space and permissions, then search again."
            ) from None
        _tidy(self._folder)

    def _rows(self, keep: Callable[[bytes], object]) -> Iterator[tuple[object, ...]]:
        n = 0
        for path, part in self.index.files.items():
            text, chunks, vectors = unpack(self.index.session.blob(cast("str", part["blob"])))
            if len(vectors) != cast("int", part["chunks"]) * self._dimensions * 4:
                raise BadData(
                    f"{self.index.ref}: the part of {path} is damaged. Make it again with: afere index {self.index.name} --refresh"
                )
            keep(vectors)
            for nth, chunk in enumerate(chunks, 1):
                headings = " ".join(cast("list[str]", chunk.metadata.get("headings") or []))
                metadata = json.dumps(chunk.metadata, ensure_ascii=False)
                yield (
                    n,
                    f"{path}#{nth}",
                    path,
                    chunk.start,
                    chunk.end,
                    metadata,
                    headings,
                    text[chunk.start : chunk.end],
                )
                n += 1


def holds(term: Term, known: dict[str, Json]) -> bool:
    """Whether a passage with these values passes one condition. Letters' case does not matter; of a list, one must fit."""
    name = term.field.removeprefix("attr.")
    value = known.get("tags") if name == "tag" else known.get(name)
    values = value if isinstance(value, list) else [value]
    return any(_fits(term, item) for item in values if item is not None) != term.negated


def _fits(term: Term, value: Json) -> bool:
    if term.op != ":" or (term.number is not None and isinstance(value, int | float)):
        if isinstance(value, bool) or not isinstance(value, int | float) or term.number is None:
            return False
        order = (value > term.number) - (value < term.number)
        return order in {":": (0,), ">": (1,), "<": (-1,), ">=": (0, 1), "<=": (0, -1)}[term.op]
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    if term.field == "text":
        return term.value.casefold() in text.casefold()
    if term.glob:
        pattern = ".*".join(re.escape(piece) for piece in term.value.casefold().split("*"))
        return re.fullmatch(pattern, text.casefold(), re.DOTALL) is not None
    return text.casefold() == term.value.casefold()


def _folder(index: Index) -> Path:
    """Where the files rest: in the store's cache, or for this process alone where that cannot be written."""
    folder = index.session.folder / "cache" / "indexes"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return _own_folder()


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="afere-index-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _tidy(folder: Path) -> None:
    """Let the cache hold the versions used last. A file that is open elsewhere stays readable there."""
    with suppress(OSError):
        for old in sorted(folder.glob("*.db"), key=lambda file: file.stat().st_mtime, reverse=True)[_KEPT:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".f32").unlink(missing_ok=True)
