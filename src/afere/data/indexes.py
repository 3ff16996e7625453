"""Index: a folder of documents, cut and embedded, as immutable versions that share what did not change."""

from __future__ import annotations

import json
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.artifact import Artifact, check_name
from afere.base.canonical import Json, canonical, digest, digest_of
from afere.base.errors import BadData, MissingExtra, NotFound
from afere.base.project import Project
from afere.data.chunks import CUTTER, Chunk, Chunking, cut
from afere.data.documents import SUFFIXES, Document, read_document
from afere.data.folder import documents_in, read_bytes
from afere.data.place import calling_project, session_of, shown
from afere.store import Session

if TYPE_CHECKING:
    from afere.models.embedding import Embedder

Progress = Callable[[int, int], None]  # files done, files in all
_USUAL = Chunking()
_BATCH = 256  # chunks embedded together


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What making a version took: files read anew, files whose chunks were there already, files gone since the last."""

    read: int
    reused: int
    gone: int
    seconds: float

    def to_json(self) -> Json:
        return {"read": self.read, "reused": self.reused, "gone": self.gone, "seconds": round(self.seconds, 3)}


class Index:
    """One version of an index. `refreshed` says what making it took, if it was made just now."""

    def __init__(self, artifact: Artifact, session: Session, refreshed: Refreshed | None = None) -> None:
        self.artifact = artifact
        self.session = session
        self.refreshed = refreshed

    @property
    def name(self) -> str:
        return self.artifact.name

    @property
    def ref(self) -> str:
        """`index:handbook@4`"""
        return self.artifact.ref

    @property
    def hash(self) -> str:
        return self.artifact.hash

    @property
    def content(self) -> dict[str, Json]:
        """Settings, embedder, and the files with their digests: what the version's identity is made of."""
        return cast("dict[str, Json]", self.artifact.content)

    @property
    def files(self) -> dict[str, dict[str, Json]]:
        """By path: `digest` of the file, `blob` with its text, chunks and vectors, and how many `chunks`."""
        return cast("dict[str, dict[str, Json]]", self.content["files"])

    @property
    def problems(self) -> dict[str, str]:
        """By path: why a file was left out, or what of it was not understood."""
        return cast("dict[str, str]", self.content["problems"])

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        chunk = cast("dict[str, int]", self.content["chunk"])
        return Recipe(
            str(self.content["source"]), Chunking(chunk["size"], chunk["overlap"]), str(self.content["embed"])
        )

    @property
    def embedder(self) -> dict[str, Json] | None:
        """`name`, `version` and `dimensions`; None: search by words alone."""
        return cast("dict[str, Json] | None", self.content["embedder"])

    def __len__(self) -> int:
        """How many chunks it has."""
        return sum(cast("int", file["chunks"]) for file in self.files.values())

    def __repr__(self) -> str:
        return f"<{self.ref}: {len(self)} chunks of {len(self.files)} files>"

    def to_json(self) -> Json:
        return {
            "ref": self.ref, "hash": self.hash, "chunks": len(self), "files": len(self.files), "problems": dict(self.problems),
            "source": self.content["source"], "chunk": self.content["chunk"], "embedder": self.embedder,
            "refreshed": self.refreshed.to_json() if self.refreshed else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an index is made: from which file or folder, cut how, embedded by what."""

    source: str
    chunk: Chunking = _USUAL
    embed: str = "local"


def index(
    name: str, source: str | Path, *, chunk: Chunking = _USUAL, embed: str = "local", progress: Progress | None = None
) -> Index:
    """Make a version of an index over a file or folder of Markdown, text, HTML and PDF (extra `pdf`).

    A file that the newest version holds already, cut and embedded alike, is not read into chunks again. `embed` names
    an embedder (`local`, `hash`, a model of a server) or is `none`: search by words alone. Files that cannot be read are
    left out and named in `Index.problems`.
    """
    project = calling_project()
    return build(project, session_of(project), name, Recipe(str(source), chunk, embed), progress=progress)


def build(
    project: Project,
    session: Session,
    name: str,
    recipe: Recipe,
    *,
    again: bool = False,
    progress: Progress | None = None,
) -> Index:
    """`index` for a known project and store; `again` reads and embeds every file, whatever is there."""
    begun = time.monotonic()
    check_name(name, "index")
    path = project.path(recipe.source).resolve()
    root = project.root if path.is_relative_to(project.root) else path.parent
    making = _Making(project, session, recipe)
    files = documents_in(path, shown(path, root), making.problems)
    before = newest(session, name)
    if before is not None and not again:
        making.learn(before)
    for done, (file, label) in enumerate(files, 1):
        making.add(file, label, again)
        if progress:
            progress(done, len(files))
    making.flush()
    if not making.files:
        first = "".join(f"\n{label}: {why}" for label, why in list(making.problems.items())[:5])
        raise BadData(f"{recipe.source}: there is no document to index here. Kinds: {', '.join(SUFFIXES)}.{first}")
    source = shown(path, project.root)
    content: dict[str, Json] = {
        "source": source, "embed": recipe.embed, **making.setting,
        "files": {label: making.files[label] for _, label in files if label in making.files},
        "problems": dict(making.problems), "fields": list[Json](sorted(making.fields)),
    }  # fmt: skip
    artifact = session.put("index", name, content, why=f"read from {source}")
    gone = len(before.files.keys() - making.files.keys()) if before else 0
    spent = time.monotonic() - begun
    return Index(artifact, session, Refreshed(making.read, len(making.files) - making.read, gone, spent))


def newest(session: Session, name: str) -> Index | None:
    """The newest version, if there is one."""
    try:
        return Index(session.get(f"index:{name}"), session)
    except NotFound:
        return None


class _Making:
    """Collects the files of a version; embeds many chunks together; keeps each file's part as a blob of its own.

    A part is found again by the file's content and the settings: in the version before, or in the store's cache, where
    an interrupted run left it.
    """

    def __init__(self, project: Project, session: Session, recipe: Recipe) -> None:
        self._session = session
        self._chunking = recipe.chunk
        self._embedder = _embedder(recipe.embed, project)
        self.setting: dict[str, Json] = {
            "chunk": {"size": recipe.chunk.size, "overlap": recipe.chunk.overlap},
            "cutter": CUTTER,
            "embedder": _described(self._embedder),
        }
        self.files: dict[str, dict[str, Json]] = {}
        self.problems: dict[str, str] = {}
        self.fields: set[str] = set()
        self.read = 0
        self._known: dict[str, dict[str, Json]] = {}
        self._waiting: list[tuple[list[str], str, str, Document, list[Chunk]]] = []

    def learn(self, before: Index) -> None:
        """Know the parts of a version, if it was made with the same settings."""
        if all(before.content[name] == value for name, value in self.setting.items()):
            self._known = {self._key(path, cast("str", part["digest"])): part for path, part in before.files.items()}

    def add(self, file: Path, label: str, again: bool) -> None:
        """Take in one file, from what is known or by reading it."""
        try:
            data = read_bytes(file)
            content = digest(data)
            key = self._key(label, content)
            part = (
                None if again else self._known.get(key) or cast("dict[str, Json] | None", self._session.cache.get(key))
            )
            if part is not None:
                self._take(label, part)
                return
            self._known_later(label, key, content, read_document(file.suffix.lower(), data, label))
        except (BadData, MissingExtra) as problem:
            self.problems[label] = str(problem).removeprefix(f"{label}: ")

    def _known_later(self, label: str, key: str, content: str, document: Document) -> None:
        for labels, waiting_key, *_ in self._waiting:
            if waiting_key == key:  # the same bytes under another name
                labels.append(label)
                return
        self._waiting.append(([label], key, content, document, cut(document, self._chunking)))
        if sum(len(chunks) for *_, chunks in self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Embed and keep what waits."""
        texts = [embedded(document, chunk) for *_, document, chunks in self._waiting for chunk in chunks]
        vectors = self._embedder(texts) if self._embedder and texts else []
        at = 0
        for labels, key, content, document, chunks in self._waiting:
            mine, at = vectors[at : at + len(chunks)], at + len(chunks)
            part: dict[str, Json] = {
                "digest": content,
                "blob": self._session.put_blob(pack(document, chunks, mine)),
                "chunks": len(chunks),
                "fields": list[Json](sorted({*document.metadata, *(name for c in chunks for name in c.metadata)})),
            }
            if document.note:
                part["note"] = document.note
            self._session.cache.put(key, part)
            self.read += len(labels)
            for label in labels:
                self._take(label, part)
        self._waiting = []

    def _take(self, label: str, part: dict[str, Json]) -> None:
        self.files[label] = part
        self.fields.update(cast("list[str]", part["fields"]))
        if note := part.get("note"):
            self.problems[label] = cast("str", note)

    def _key(self, label: str, content: str) -> str:
        return "index:" + digest_of([content, Path(label).suffix.lower(), self.setting])


def _embedder(embed: str, project: Project) -> Embedder | None:
    if embed == "none":
        return None
    from afere.models import embedder

    return embedder(embed, project)


def _described(embedder: Embedder | None) -> Json:
    if embedder is None:
        return None
    return {"name": embedder.name, "version": embedder.version, "dimensions": embedder.dimensions}


def embedded(document: Document, chunk: Chunk) -> str:
    """What is embedded of a chunk: the headings it stands under, then its text."""
    headings = cast("list[str]", chunk.metadata.get("headings") or [])
    title = document.metadata.get("title")
    above = [title] if isinstance(title, str) and title not in headings else []
    return "\n".join([*above, *headings, document.text[chunk.start : chunk.end]])


def pack(document: Document, chunks: list[Chunk], vectors: list[list[float]]) -> bytes:
    """One file's part: a line of JSON (text, metadata, chunks), then the vectors as 32-bit floats, little-endian."""
    head = canonical(
        {
            "text": document.text,
            "metadata": document.metadata,
            "chunks": [[chunk.start, chunk.end, chunk.metadata] for chunk in chunks],
        }
    )
    numbers = array("f", (number for vector in vectors for number in vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return head + b"\n" + numbers.tobytes()


def unpack(part: bytes) -> tuple[str, Iterator[Chunk], bytes]:
    """The text, the chunks with their document's metadata, and the bytes of the vectors."""
    head, _, vectors = part.partition(b"\n")
    value = json.loads(head)
    chunks = (Chunk(start, end, {**value["metadata"], **own}) for start, end, own in value["chunks"])
    return value["text"], chunks, vectors
