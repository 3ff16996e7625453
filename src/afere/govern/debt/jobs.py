"""The jobs a prompt does: its sentences by what they are about, without those that say how to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, content

_MOST = 120  # sentences that are grouped; a prompt with more is too long anyway


@dataclass(frozen=True, slots=True)
class PromptJob:
    """One job: a word that names it, and its sentences."""

    name: str
    sentences: tuple[Sentence, ...]


def jobs(told: Sequence[Sentence], likeness: Likeness, *, least: float, sentences: int) -> list[PromptJob]:
    """Groups of at least so many sentences that are less alike than `least` (cosine of their sums).

    Sentences under one title, or of one paragraph of the same subject, belong together; groups that are alike are joined,
    the nearest first (centroid linkage).
    """
    about = [one for one in told if one.role in ("system", "user") and one.topical][:_MOST]
    if len(about) < 2 * sentences:
        return []
    vectors = likeness.vectors([one.text for one in about])
    groups = {number: list(part) for number, part in enumerate(_parts(about))}
    at = {one.number: vector for one, vector in zip(about, vectors, strict=True)}
    sums = {number: _sum([at[one.number] for one in part]) for number, part in groups.items()}
    alike: dict[tuple[int, int], float] = {(i, j): _cosine(sums[i], sums[j]) for i, j in combinations(sums, 2)}
    while alike:
        (i, j), best = max(alike.items(), key=lambda one: one[1])
        if best < least:
            break
        groups[i] += groups.pop(j)
        sums[i] = _sum([sums[i], sums.pop(j)])
        alike = {pair: value for pair, value in alike.items() if i not in pair and j not in pair}
        alike |= {(min(i, k), max(i, k)): _cosine(sums[i], sums[k]) for k in sums if k != i}
    large = [sorted(group, key=lambda one: one.number) for group in groups.values() if len(group) >= sentences]
    large.sort(key=lambda group: group[0].number)
    return [PromptJob(_name(group, large), tuple(group)) for group in large]


def _parts(told: Sequence[Sentence]) -> list[list[Sentence]]:
    """Sentences under one title; without titles each is a part of its own."""
    found: dict[str, list[Sentence]] = {}
    for one in told:
        found.setdefault(one.heading or f"#{one.number}", []).append(one)
    return list(found.values())


def _sum(vectors: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) for column in zip(*vectors, strict=True)]


def _cosine(a: list[float], b: list[float]) -> float:
    length = (sum(x * x for x in a) * sum(x * x for x in b)) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / (length or 1.0)


def _name(group: Sequence[Sentence], others: Sequence[Sequence[Sentence]]) -> str:
    """The word that is most its own."""
    inside = Counter(word for one in group for word in content(one.plain) if not word.isdigit())
    outside = Counter(word for other in others if other is not group for one in other for word in content(one.plain))
    best = max(inside, key=lambda word: (inside[word] - outside[word], word), default="part")
    for one in group:
        for word in one.plain.split():
            clean = word.strip(".,;:!?()\"'")
            if clean.isalpha() and best in content(clean):
                return clean
    return best.lstrip("=")
