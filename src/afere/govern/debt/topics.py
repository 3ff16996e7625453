"""Groups of alike texts: what people ask, by topic or by intent."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

from afere.govern.debt.likeness import Likeness


def groups(texts: Sequence[str], likeness: Likeness, least: float) -> list[list[int]]:
    """Indexes of alike texts, the largest group first: each text joins the group whose leader is most like it, if it is
    at least `least`; else it leads one of its own (leader clustering, Hartigan 1975)."""
    vectors = likeness.vectors(texts)
    leaders: list[Sequence[float]] = []
    found: list[list[int]] = []
    for index, vector in enumerate(vectors):
        best, where = least, -1
        for number, leader in enumerate(leaders):
            cosine = sum(map(mul, vector, leader))
            if cosine >= best:
                best, where = cosine, number
        if where < 0:
            leaders.append(vector)
            found.append([index])
        else:
            found[where].append(index)
    return sorted(found, key=len, reverse=True)
