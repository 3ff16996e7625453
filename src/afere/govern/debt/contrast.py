"""What sets two sentences apart that are built alike: the word at one place, or a verb and its opposite."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import cache

from afere.govern.debt.wording import Sentence, content, light, pattern, stem, words


def contrasted(a: Sentence, b: Sentence) -> bool:
    """Whether two sentences are built alike but for a thing at one place: `tell the patient the rate`, `give the doctor the rate`.

    What stands at the beginning tells them apart only where nothing is ordered: there verbs are, which have many synonyms.
    """
    one, other = _things(a), _things(b)
    free = not a.instructs and not b.instructs
    for kind, start, end, begin, stop in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        asking = {*one[start:end], *other[begin:stop]} & _told_apart()
        apart = not set(one[start:end]) & set(other) and not set(other[begin:stop]) & set(one)
        apart = apart and (
            bool(asking) or not {word[:3] for word in one[start:end]} & {word[:3] for word in other[begin:stop]}
        )  # rota, roto
        if kind == "replace" and (free or (start and begin) or asking) and apart:
            return True
    return False


def inverse(a: Sentence, b: Sentence) -> bool:
    """Whether one forbids the opposite of what the other asks for: `keep the meaning`, `do not change the meaning`."""
    if a.negative == b.negative:
        return False
    ban, demand = (a, b) if a.negative else (b, a)
    return any(
        _word(one).search(x) and _word(other).search(y)
        for one, other in words()["inverse"]["pairs"]
        for x, y in ((demand.plain, ban.plain), (ban.plain, demand.plain))
    )


def unsigned(said: Sentence) -> str:
    """A sentence without the words that forbid or demand."""
    return " ".join(pattern(said.language, "negative").sub(" ", said.main).split())


@cache
def _word(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{form})(?!\w)")


@cache
def _things(said: Sentence) -> list[str]:
    """The words of a sentence that name things, persons and question words too, in order, each as what it means."""
    found: list[str] = []
    for word in re.findall(r"[^\W_]+", pattern(said.language, "negative").sub(" ", said.plain)):
        own = content(word) - light()
        found += own or ([stem(word)] if word in _told_apart() else [])
    return found


@cache
def _told_apart() -> frozenset[str]:
    return frozenset(form for word in words()["dull"]["apart"].split() for form in (word, stem(word)))
