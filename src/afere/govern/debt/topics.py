"""Groups of alike texts: what people ask, by topic or by intent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import mul

from afere.govern.debt.likeness import Likeness

_VALUE = re.compile(r"(?<!\w)\w*\d[\w.,:/-]*")  # from the beginning of a word, or a long one is read from each letter


def worded(text: str) -> str:
    """A text without numbers, dates and codes: two requests that differ in these are about one thing."""
    return " ".join(_VALUE.sub(" ", text).split()) or text


def groups(texts: Sequence[str], likeness: Likeness, least: float) -> list[list[int]]:
    """Indexes of alike texts, the largest group first: each text joins the group whose leader is most like it, if it is
    at least `least`; else it leads one of its own (leader clustering, Hartigan 1975)."""
    vectors = likeness.vectors(texts)
    leaders: list[Sequence[float]] = []
    found: list[list[int]] = []
    for index, vector in enumerate(vectors):
        best, where = least, -1
        for number, leader in enumerate(leaders):
            cosine = dot(vector, leader)
            if cosine >= best:
                best, where = cosine, number
        if where < 0:
            leaders.append(vector)
            found.append([index])
        else:
            found[where].append(index)
    return sorted(found, key=len, reverse=True)


def linked(vectors: Sequence[Sequence[float]], weights: Sequence[int], least: float) -> list[list[int]]:
    """Indexes of unit vectors that lie together: the two groups whose members are most alike on average are joined, as long
    as that is at least `least` (average linkage, Sokal & Michener 1958). It takes the square of their number."""
    rows = [{j: dot(one, vectors[j]) for j in range(i)} for i, one in enumerate(vectors)]  # the lower half
    members, sizes = {i: [i] for i in range(len(vectors))}, list(weights)
    best = {i: max(row.items(), key=lambda one: one[1]) for i, row in enumerate(rows) if row}

    def at(i: int, j: int) -> float:
        return rows[max(i, j)][min(i, j)]

    while best:
        gone = max(best, key=lambda one: best[one][1])
        kept, alike = best[gone]
        if alike < least:
            break
        whole = sizes[gone] + sizes[kept]
        joined = {one: (sizes[gone] * at(gone, one) + sizes[kept] * at(kept, one)) / whole for one in members if one not in (gone, kept)}  # fmt: skip
        members[kept] += members.pop(gone)
        sizes[kept] = whole
        del best[gone]
        for one, alike in joined.items():
            rows[max(kept, one)][min(kept, one)] = alike
            rows[one].pop(gone, None)
            if one > kept and best[one][0] not in (gone, kept):
                best[one] = max(best[one], (kept, alike), key=lambda near: near[1])
            elif one > kept:
                best[one] = max(rows[one].items(), key=lambda near: near[1])
        if rows[kept]:
            best[kept] = max(rows[kept].items(), key=lambda near: near[1])
    return sorted(members.values(), key=lambda own: -sum(weights[one] for one in own))


def centre(vectors: Sequence[Sequence[float]], weights: Sequence[int]) -> list[float]:
    """The unit vector in the middle of some."""
    total = [sum(map(mul, column, weights)) for column in zip(*vectors, strict=True)]
    length = sum(map(mul, total, total)) ** 0.5 or 1.0
    return [value / length for value in total]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of two unit vectors."""
    return sum(map(mul, a, b))
