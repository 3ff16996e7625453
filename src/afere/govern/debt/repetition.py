"""The same instruction twice in a prompt, in other words or in another order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

from afere.govern.debt.contradiction import MOST_HELD
from afere.govern.debt.contrast import contrasted, inverse
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import Sentence, light, opposed, words

_INSIDE = {
    1: 0.7,
    2: 0.6,
}  # how alike two must be where one says nothing that the other does not, by the words they share
_INSIDE_MORE = 0.5  # where they share three words or more
_INVERSE = 0.55  # and where one forbids the opposite of what the other asks for
_MOSTLY = 0.7  # and where it says one thing in three that the other does not: planted pairs 0.72 and more, twins are told apart
_DEFINES = re.compile(r"`[^`]+` ?(?::|-|=)")  # what a tool or field is


def repeated(
    told: Sequence[Sentence],
    likeness: Likeness,
    *,
    least: float,
    least_words: float,
    but: Collection[tuple[int, int]] = (),
) -> Iterator[tuple[Sentence, Sentence]]:
    """Each sentence that says again what an earlier one says, with that one. `least`: how alike two must be that share little.
    `but`: pairs, by the numbers of their sentences, that are known to exclude each other."""
    long = [one for one in told if len(one.text.split()) >= least_words and not _DEFINES.match(one.text)][:MOST_HELD]
    met: set[int] = set()
    for a, b in combinations(long, 2):
        if b.number not in met and (a.number, b.number) not in but and _repeats(a, b, likeness, least):
            met.add(b.number)
            yield a, b


def _repeats(a: Sentence, b: Sentence, likeness: Likeness, least: float) -> bool:
    ours, theirs = _telling(a), _telling(b)
    shared = ours & theirs
    if not shared:
        return a.plain == b.plain
    inside, jaccard = len(shared) / min(len(ours), len(theirs)), len(shared) / len(ours | theirs)
    if jaccard < (0.75 if a.presents or b.presents else 0.3) or not _comparable(a, b):
        return False
    if jaccard == 1.0 and len(shared) >= 2:
        return True
    if not likeness.meaning:
        return jaccard >= 0.75 and inside == 1.0
    alike = likeness.between(a.text, b.text)
    if inside == 1.0:
        return alike >= _INSIDE.get(len(shared), _INSIDE_MORE)
    return alike >= (least if inside < 0.65 else _INVERSE if inverse(a, b) else _MOSTLY)


def _comparable(a: Sentence, b: Sentence) -> bool:
    """Whether nothing that both could say alike sets them apart: numbers, an exception, another occasion, the word at one place."""
    if a.branch != b.branch or a.excepted != b.excepted or _digits(a) != _digits(b) or opposed(a.plain, b.plain):
        return False
    if a.topic != b.topic and a.topic and b.topic and len(_telling(a)) < 3:
        return False
    if inverse(a, b):
        return True
    return a.negative == b.negative and not contrasted(a, b)


def _telling(said: Sentence) -> frozenset[str]:
    return said.all_content - light() or said.all_content


def _digits(said: Sentence) -> frozenset[str]:
    numbers = {
        word for word, number in words()["limits"]["numbers"].items() if number != 1
    }  # "one" is an article elsewhere
    return frozenset(word for word in said.plain.split() if word in numbers or any(letter.isdigit() for letter in word))
