"""The jobs a prompt does: separate work with inputs and results of its own, which could be prompts of their own behind a router.

Sections of one job (its facts, steps, tone, limits) are no jobs. How a prompt opens tells the two apart better than likeness of
its sections: who writes for one job says first which it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise

from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, content, words

_MOST = 120  # sentences that are grouped; a prompt with more is too long anyway
_MOST_CUT = 60  # sentences of a text that is cut where its subject changes
_OPENING = 3  # sentences in which a prompt says what it is for
_Alike = list[list[float]]  # likeness of each sentence to those before it and to itself


@dataclass(frozen=True, slots=True)
class PromptJob:
    """One job: a word that names it, and its sentences."""

    name: str
    sentences: tuple[Sentence, ...]


def jobs(
    told: Sequence[Sentence], likeness: Likeness, *, least: float, parted: float, sentences: int
) -> list[PromptJob]:
    """Groups of at least so many sentences that are less alike than `least` (cosine of their sums), where the text changes its
    subject; less than `parted` where its author has parted them by titles or blank lines. None where it opens with one job."""
    asked = [one for one in told if one.role in ("system", "user")][:_MOST]
    if len(asked) < 2 * sentences:
        return []
    blocks = [block for block in _blocks(asked) if len(block) >= sentences and any(one.topical for one in block)]
    opening = _opening(asked, blocks)
    if opening == "one job":
        return []
    ordered = [block for block in blocks if opening == "everything" or _orders(block)]
    found = _unlike(ordered, likeness, parted) if len(ordered) > 2 else []
    if len(found) < 3 and opening == "everything":
        found = _by_subject(asked, likeness, least, sentences)
    return [PromptJob(_name(group, found), tuple(group)) for group in found]


def _blocks(asked: Sequence[Sentence]) -> list[list[Sentence]]:
    """The sentences as their author parted them: by title, and without titles by blank lines. Rules, style and the like are none."""
    found: list[list[Sentence]] = []
    for before, one in zip((None, *asked), asked, strict=False):
        if before is None or one.heading != before.heading or (not one.heading and one.line > before.line + 1):
            found.append([])
        found[-1].append(one)
    return [block for block in found if not block[0].heading or block[0].topic]


def _opening(asked: Sequence[Sentence], blocks: Sequence[Sequence[Sentence]]) -> str:
    """What a prompt says it is for: `one job`, `everything`, `somebody` (an assistant of ...), or `nothing`."""
    first = next((number for number, one in enumerate(asked) if any(one is block[0] for block in blocks)), len(asked))
    opening = asked[: min(first, _OPENING)] or (asked[:1] if len(blocks) < 3 else [])
    if not opening:
        return "nothing"
    if any(_form("everything").search(one.plain) for one in opening):
        return "everything"
    if all(_form("somebody").match(one.plain) and not _form("does").search(one.plain) for one in opening[:1]):
        stated = any(one.presents and not _form("somebody").match(one.plain) for one in opening[1:])
        return "one job" if stated else "somebody"
    return "one job"


def _orders(block: Sequence[Sentence]) -> bool:
    return any(one.instructs for one in block)


@cache
def _form(part: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words()['opening'][part]})(?!\w)")


def _unlike(blocks: Sequence[list[Sentence]], likeness: Likeness, least: float) -> list[list[Sentence]]:
    """The blocks, those that are alike as one."""
    about = [one for block in blocks for one in block]
    alike = _alike(about, likeness)
    numbers = {id(one): number for number, one in enumerate(about)}
    return _linked(about, alike, [[numbers[id(one)] for one in block] for block in blocks], least)


def _by_subject(asked: Sequence[Sentence], likeness: Likeness, least: float, sentences: int) -> list[list[Sentence]]:
    """By title and likeness, or by where the subject changes, whichever tells more of them apart."""
    about = [one for one in asked if one.topical]
    if len(about) < 2 * sentences:
        return []
    alike = _alike(about, likeness)
    cut = _cut(about, alike, least, sentences) if likeness.meaning else []  # words alone change with every sentence
    joined = [group for group in _linked(about, alike, _parts(about), least) if len(group) >= sentences]
    return max(joined, cut, key=len)


def _alike(about: Sequence[Sentence], likeness: Likeness) -> _Alike:
    vectors = likeness.vectors([one.text for one in about])
    return [[sum(x * y for x, y in zip(a, b, strict=True)) for b in vectors[: n + 1]] for n, a in enumerate(vectors)]


def _linked(
    about: Sequence[Sentence], alike: _Alike, parts: Sequence[Sequence[int]], least: float
) -> list[list[Sentence]]:
    """Parts that are alike joined, the nearest first (centroid linkage), until all are less alike than `least`."""
    groups = {number: list(part) for number, part in enumerate(parts)}
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
    return [[about[number] for number in group] for group in sorted(sorted(group) for group in groups.values())]


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
