"""How alike texts are: by sentence embeddings where the extra `local` is installed, else by shared words and spellings."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import mul
from typing import Any

from afere.base.errors import MissingExtra
from afere.models.embedding import HashEmbedder, embedder

_HASH_SCALE = 0.75  # at equal meaning, hashed words score about this share of what the sentence encoder does
_MOST = 20_000  # texts whose vectors are kept
# Shared by all audits of a process, which look at mostly the same texts: prompts do not change from week to week.
_KNOWN: dict[str, array[float]] = {}


class Likeness:
    """Cosine likeness, from 0 to 1, between texts; each text is embedded once."""

    def __init__(self, *, meaning: bool = True) -> None:
        self._embed: Any = HashEmbedder()
        self.meaning = False  # whether it knows meanings, or only words
        if meaning:
            try:
                self._embed = embedder("local")
                self.meaning = True
            except MissingExtra:
                pass
        self._known = _KNOWN if self.meaning else {}

    def learn(self, texts: Sequence[str]) -> None:
        """Embed these in batches, so that asking for them costs nothing."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(fresh) > _MOST:
            self._known = {}  # one of its own: others go on with theirs
            fresh = list(dict.fromkeys(texts))
        for start in range(0, len(fresh), 256):
            batch = fresh[start : start + 256]
            self._known.update(
                (text, array("f", vector))
                for text, vector in zip(batch, self._embed([one or " " for one in batch]), strict=True)
            )

    def vectors(self, texts: Sequence[str]) -> list[array[float]]:
        """Unit vectors of texts, in order."""
        self.learn(texts)
        return [self._known[text] for text in texts]

    def nearest(self, texts: Sequence[str], others: Sequence[str]) -> list[float]:
        """How alike each text is to that of the others which is most like it; 0 where there are none."""
        if not others:
            return [0.0] * len(texts)
        ours, theirs = self.vectors(texts), self.vectors(others)
        try:
            import numpy as np
        except ImportError:
            return [max(sum(map(mul, one, other)) for other in theirs) for one in ours]
        table: Any = np.asarray(ours) @ np.asarray(theirs).T
        return [float(best) for best in table.max(axis=1)]

    def between(self, a: str, b: str) -> float:
        """How alike two texts are; 0 where one is empty."""
        if not a or not b:
            return 0.0
        self.learn([a, b])
        cosine = max(0.0, min(1.0, math.fsum(x * y for x, y in zip(self._known[a], self._known[b], strict=True))))
        return cosine if self.meaning else min(1.0, cosine / _HASH_SCALE)
