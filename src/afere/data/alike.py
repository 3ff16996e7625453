"""Texts that are alike among many: candidates share their rarest pieces, each pair is then verified on the whole text.

Two texts that are alike have most of their pieces in common, and what is rare elsewhere tells which two (the idea of prefix
filters: Bayardo, Ma and Srikant 2007). A pair that is reported has been compared whole: nothing is estimated, as by MinHash,
and nothing is random. Pure Python, no dependency.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nlargest
from itertools import islice

from afere.base.canonical import Json
from afere.base.language import COMMON

# A typo in 50 characters leaves 0.9 of their pieces, two small words changed 0.65, another wording below 0.5. Whether numbers
# or telling words were exchanged, which changes little of a text and all of its meaning, is looked at apart.
ALIKE = 0.65
SHORT = 20  # characters under which a text is too short to be called alike: it is the same, or another one
_PIECE = 4  # characters of one piece
_LONG = 400  # characters on average from which three words make a piece, so that long texts cost no more
_SKETCH = 128  # pieces of one text that candidates are looked for by; the pair is then verified by all
_RARE = 12  # pieces of one text by which others are found
_SHARED = 2  # of those pieces that a candidate has too, where there are several: one alone is nearly always chance
_NEARBY = 100  # earlier texts with the same piece that are looked at; where more have it, it tells little
_COMPARED = 40  # candidates of one text that are compared, those with most pieces in common first
_TELLING = 4  # letters from which a word that is not one of the commonest tells what a text is about

_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SIGN = re.compile(r"[+*/<>=%^&|~$\u20ac\u00a3#]")
_NOT = frozenset(
    [
        "not",
        "no",
        "never",
        "without",
        "except",
        "cannot",
        "don",
        "doesn",
        "isn",
        "won",
        "shouldn",
        "nicht",
        "kein",
        "keine",
        "keinen",
        "nie",
        "ohne",
        "não",
        "nunca",
        "sem",
        "sin",
        "nada",
        "ne",
        "pas",
        "jamais",
        "sans",
        "non",
        "mai",
        "senza",
        "niet",
        "geen",
        "nooit",
        "zonder",
    ]
)
_USUAL = frozenset(word for words in COMMON.values() for word in words)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, by their places in what was given, and how alike they are: 1.0 the same once normalised."""

    first: int
    second: int
    alike: float


def normal(text: str) -> str:
    """A text without what does not make another one: letters' case, forms of characters, spaces, and the marks at its ends."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip(" .?!…:;,\"'`")


def fields_of(value: Json, name: str = "") -> dict[str, str]:
    """The texts of a value by their place in it, normalised: what two values are compared by."""
    if isinstance(value, Mapping):
        return {key: text for inner, item in value.items() for key, text in fields_of(item, f"{name}.{inner}").items()}
    if isinstance(value, list):
        return {key: text for i, item in enumerate(value) for key, text in fields_of(item, f"{name}[{i}]").items()}
    return {} if value is None else {name: normal(value if isinstance(value, str) else str(value))}


def likeness(a: Mapping[str, str], b: Mapping[str, str]) -> float:
    """How alike two values are, by their `fields_of`: the least alike field; 0 where they ask about different matters."""
    if a.keys() != b.keys() or _matter(a) != _matter(b):
        return 0.0
    return _likeness(a, b)


def _likeness(a: Mapping[str, str], b: Mapping[str, str]) -> float:
    least = 1.0
    for name, one in a.items():
        other = b[name]
        if one == other:
            continue
        if min(len(one), len(other)) < SHORT or not _same_words(one, other):
            return 0.0
        mine, theirs = set(_pieces(one)), set(_pieces(other))
        least = min(least, len(mine & theirs) / len(mine | theirs))
    return least


def _pieces(text: str, words: bool = False) -> dict[str, None]:
    """In their order, each once."""
    if words:
        said = text.split()
        return dict.fromkeys([" ".join(said[i : i + 3]) for i in range(max(1, len(said) - 2))])
    return dict.fromkeys([text[i : i + _PIECE] for i in range(max(1, len(text) - _PIECE + 1))])


def _matter(value: Mapping[str, str]) -> tuple[object, ...]:
    """What two wordings of the same have in common: fields, numbers, signs, and how often they say no."""
    whole = "\n".join(value.values())
    numbers = sorted(_NUMBER.findall(whole)) if any(map(str.isdigit, whole)) else ()
    return (*value, *numbers, *sorted(_SIGN.findall(whole)), sum(word in _NOT for word in _WORD.findall(whole)))


def _same_words(a: str, b: str) -> bool:
    """Whether no telling word of one text stands in place of another one."""
    mine, theirs = Counter(_WORD.findall(a)), Counter(_WORD.findall(b))
    left = [word for word in (mine - theirs).elements() if _telling(word)]
    right = [word for word in (theirs - mine).elements() if _telling(word)]
    if not left or not right or len(left) > 60 or len(right) > 60:
        return True  # where so much of a long text differs, its pieces decide
    for word in list(left):
        spelt = next((other for other in right if _same_word(word, other)), None)
        if spelt is not None:
            left.remove(word)
            right.remove(spelt)
    return not (left and right)


def _telling(word: str) -> bool:
    return len(word) >= _TELLING and word not in _USUAL


def _same_word(a: str, b: str) -> bool:
    """Two spellings or endings of one word."""
    if min(len(a), len(b)) >= _TELLING and (a.startswith(b) or b.startswith(a)):
        return abs(len(a) - len(b)) <= 3
    return min(len(a), len(b)) >= _TELLING and SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.8


@dataclass(slots=True)
class Join:
    """All pairs of values that are alike. `skipped` counts values that have more candidates than are compared."""

    values: Sequence[Mapping[str, str]]
    least: float = ALIKE
    skipped: int = 0

    def pairs(self) -> Iterator[Pair]:
        """Pairs whose `likeness` is at least `least` and that are not the same, each once."""
        matters: dict[tuple[object, ...], int] = {}
        known: dict[tuple[int, int], list[int]] = {}  # matter and piece -> the values before with it among their rarest
        pieces = self._pieces()
        counts = Counter[int]()
        for row in pieces:
            counts.update(row)
        for at, mine in enumerate(pieces):
            if not mine:
                continue
            matter = matters.setdefault(_matter(self.values[at]), len(matters))
            here = set(mine)
            for other in self._candidates(at, _rarest(mine, counts), matter, known):
                if self._enough(here, pieces[other]):
                    alike = _likeness(self.values[at], self.values[other])
                    if self.least <= alike < 1:
                        yield Pair(other, at, alike)

    def _candidates(self, at: int, rare: list[int], matter: int, known: dict[tuple[int, int], list[int]]) -> list[int]:
        hits = Counter[int]()
        for piece in rare:
            there = known.setdefault((matter, piece), [])
            hits.update(islice(reversed(there), _NEARBY))
            there.append(at)
        least = _SHARED if len(rare) > _SHARED else 1
        near = {other: count for other, count in hits.items() if count >= least}
        self.skipped += len(near) > _COMPARED
        return nlargest(_COMPARED, near, key=lambda other: near[other]) if len(near) > _COMPARED else list(near)

    def _enough(self, mine: set[int], other: array[int]) -> bool:
        """Whether the pieces of all fields together come near: they are never much less alike than the least alike field."""
        loose = self.least - 0.15
        if not loose * len(mine) <= len(other) <= len(mine) / loose:
            return False
        both = len(mine.intersection(other))
        return both >= loose * (len(mine) + len(other) - both)

    def _pieces(self) -> list[array[int]]:
        """The pieces of each value as numbers; none of values that are too short."""
        whole = ["\n".join(value.values()) for value in self.values]
        by_words = sum(map(len, whole)) > _LONG * max(1, len(whole))
        numbers: dict[str, int] = {}
        return [self._numbered(text, by_words, numbers) for text in whole]

    def _numbered(self, text: str, by_words: bool, numbers: dict[str, int]) -> array[int]:
        if len(text) < SHORT:
            return array("I")
        pieces = _pieces(text, by_words)
        chosen = sorted(pieces, key=_chance)[:_SKETCH] if len(pieces) > _SKETCH else pieces
        return array("I", [numbers.setdefault(piece, len(numbers)) for piece in chosen])


def _rarest(pieces: array[int], counts: Counter[int]) -> list[int]:
    """Those that tell most, of the pieces that others have too."""
    shared = [(count, piece) for piece in pieces if (count := counts[piece]) > 1]
    return [piece for _, piece in sorted(shared)[:_RARE]]


def _chance(piece: str) -> int:
    return zlib.crc32(piece.encode("utf-8", "replace"))
