"""The jobs a prompt does: its sentences by what they are about, without those that say how to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, content

_MOST = 120  # sentences that are grouped; a prompt with more is too long anyway
_MOST_CUT = 60  # sentences of a text that is cut where its subject changes
_Alike = list[list[float]]  # likeness of each sentence to those before it and to itself


@dataclass(frozen=True, slots=True)
class PromptJob:
    """One job: a word that names it, and its sentences."""

    name: str
    sentences: tuple[Sentence, ...]


def jobs(told: Sequence[Sentence], likeness: Likeness, *, least: float, sentences: int) -> list[PromptJob]:
    """Groups of at least so many sentences that are less alike than `least` (cosine of their sums): by title and likeness,
    or by where the subject changes, whichever tells more of them apart."""
    about = [one for one in told if one.role in ("system", "user") and one.topical][:_MOST]
    if len(about) < 2 * sentences:
        return []
    vectors = likeness.vectors([one.text for one in about])
    alike = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in vectors[: n + 1]] for n, a in enumerate(vectors)]
    cut = _cut(about, alike, least, sentences) if likeness.meaning else []  # words alone change with every sentence
    found = max(_joined(about, alike, least, sentences), cut, key=len)
    return [PromptJob(_name(group, found), tuple(group)) for group in found]


def _joined(about: Sequence[Sentence], alike: _Alike, least: float, sentences: int) -> list[list[Sentence]]:
    """Sentences under one title belong together; groups that are alike are joined, the nearest first (centroid linkage)."""
    groups = {number: list(part) for number, part in enumerate(_parts(about))}
    likes: dict[tuple[int, int], float] = {
        (i, j): _between(alike, groups[i], groups[j]) for i, j in combinations(groups, 2)
    }
    while likes:
        (i, j), best = max(likes.items(), key=lambda one: one[1])
        if best < least:
            break
        groups[i] += groups.pop(j)
        likes = {pair: value for pair, value in likes.items() if i not in pair and j not in pair}
        likes |= {(min(i, k), max(i, k)): _between(alike, groups[i], groups[k]) for k in groups if k != i}
    large = [sorted(group) for group in groups.values() if len(group) >= sentences]
    return [[about[number] for number in group] for group in sorted(large)]


def _cut(about: Sequence[Sentence], alike: _Alike, least: float, sentences: int) -> list[list[Sentence]]:
    """The text cut where its subject changes, into as many pieces as stay unlike each other: the pieces that hold together best
    (segmentation by dynamic programming, Utiyama and Isahara 2001, with cohesion by likeness)."""
    count = len(about)
    if count > _MOST_CUT:
        return []
    worth = _worths(alike, count, sentences)
    reached: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}  # for each end: the best sum, and where its pieces end
    found: list[list[Sentence]] = []
    for _ in range(count // sentences):
        before, reached = reached, {}
        for start, (value, ends) in before.items():
            for end in range(start + sentences, count + 1):
                if end not in reached or value + worth[start, end] > reached[end][0]:
                    reached[end] = value + worth[start, end], [*ends, end]
        parts = [list(range(start, end)) for start, end in pairwise((0, *reached[count][1]))]
        if len(parts) > 1 and max(_between(alike, a, b) for a, b in combinations(parts, 2)) < least:
            found = [[about[number] for number in part] for part in parts]
    return found


def _worths(alike: _Alike, count: int, sentences: int) -> dict[tuple[int, int], float]:
    """How well each run of sentences holds together: the sum of its likenesses by its size."""
    found: dict[tuple[int, int], float] = {}
    for start in range(count):
        total = 0.0
        for end in range(start + 1, count + 1):
            row = alike[end - 1]
            total += 2 * sum(row[start : end - 1]) + row[end - 1]
            if end - start >= sentences:
                found[start, end] = total / (end - start)
    return found


def _parts(told: Sequence[Sentence]) -> list[list[int]]:
    """Numbers of the sentences under one title; without titles each is a part of its own."""
    found: dict[str, list[int]] = {}
    for number, one in enumerate(told):
        found.setdefault(one.heading or f"#{one.number}", []).append(number)
    return list(found.values())


def _between(alike: _Alike, ours: Sequence[int], theirs: Sequence[int]) -> float:
    """Cosine of two groups' sums."""
    length = (_sum(alike, ours, ours) * _sum(alike, theirs, theirs)) ** 0.5
    return _sum(alike, ours, theirs) / (length or 1.0)


def _sum(alike: _Alike, ours: Sequence[int], theirs: Sequence[int]) -> float:
    return sum(alike[max(a, b)][min(a, b)] for a in ours for b in theirs)


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
