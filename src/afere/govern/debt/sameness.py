"""How alike two tools are by purpose and parameters, and what sets them apart: for the rule `tools.overlap` and the map of tools."""

from __future__ import annotations

import re
from functools import cache

from afere.chains.toolcard import ToolCard
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import plain, stem, words

_WORD = re.compile(r"[^\W\d_]{2,}")
_NEGATIONS = (
    ("un", ""),
    ("des", ""),
    ("dis", ""),
    ("de", ""),
    ("in", ""),
    ("de", "en"),
    ("out", "in"),
)  # unlock and lock


def sameness(a: ToolCard, b: ToolCard, likeness: Likeness) -> float:
    """From 0 to 1: what they are for by meaning, raised by shared words of the names and by parameters of one kind.

    What a description says before its first full stop or semicolon is what the tool is for; the rest is how to use it.
    """
    names = _jaccard(name_words(a.name), name_words(b.name))
    ours, theirs = purpose(a), purpose(b)
    meaning = max(
        likeness.between(a.description, b.description),
        likeness.between(ours, theirs),
        _jaccard(_told(ours), _told(theirs)),
    )
    if a.parameters or b.parameters:
        return min(1.0, 0.7 * meaning + 0.1 * names + 0.25 * _fit(a, b))
    return min(1.0, 0.85 * meaning + 0.2 * names)


def apart(a: ToolCard, b: ToolCard) -> bool:
    """Whether words set two tools apart that otherwise read alike: opposite deeds (lock and unlock, read and write), or one
    sentence about two things (`get_order`, `get_customer`), which each name and description say of itself alone."""
    return _opposed(a, b) or _about_two_things(a, b)


def reads(card: ToolCard) -> bool:
    """Whether a tool only reads, by the words of its name and by how its description begins."""
    said = _deeds(card)
    changing = frozenset(_token(word) for word in words()["tools"]["changing"].split())
    return bool(said & {"=get", "=list"}) and not (said | _told(purpose(card))) & changing


def purpose(card: ToolCard) -> str:
    """What a tool is for, by its description."""
    return re.split(r"[.;]\s", card.description, maxsplit=1)[0]


def name_words(name: str) -> frozenset[str]:
    """`getOrderStatus` and `get_order_status` are the same words, and `fetch` is `get`."""
    return _told(re.sub(r"(?<=[a-z])(?=[A-Z])|[_.-]", " ", name))


def _about_two_things(a: ToolCard, b: ToolCard) -> bool:
    ours, theirs = name_words(a.name), name_words(b.name)
    said, other = _told(a.description), _told(b.description)
    return (
        bool(ours & theirs or len(said ^ other) <= 4)
        and bool((ours - theirs) & said - other)
        and bool((theirs - ours) & other - said)
    )


def _opposed(a: ToolCard, b: ToolCard) -> bool:
    ours, theirs = _deeds(a) - _deeds(b), _deeds(b) - _deeds(a)
    tables = words()["tools"]
    changing = frozenset(_token(word) for word in tables["changing"].split())
    reading = {"=get", "=list"}
    if (ours & reading and theirs & changing and not theirs & reading) or (
        theirs & reading and ours & changing and not ours & reading
    ):
        return True
    pairs = [tuple(_token(word) for word in line.split()) for line in tables["opposites"].strip().splitlines()]
    if any((x in ours and y in theirs) or (y in ours and x in theirs) for x, y in pairs):
        return True
    return any(_negates(x, y) or _negates(y, x) for x in ours for y in theirs)


def _negates(word: str, other: str) -> bool:
    return len(other) > 3 and any(
        word.startswith(no) and word == no + other.removeprefix(yes) and other.startswith(yes) for no, yes in _NEGATIONS
    )


def _deeds(card: ToolCard) -> frozenset[str]:
    """The words that say what a tool does: those of its name, and the first of its description."""
    first = _WORD.search(plain(card.description))
    return name_words(card.name) | (frozenset((_token(first[0]),)) if first else frozenset[str]())


def _fit(a: ToolCard, b: ToolCard) -> float:
    """How far two tools take the same parameters: the same name and type 1, a shared word of the name 0.8, the type alone 0.5."""
    ours, theirs = _shape(a), _shape(b)
    total, free = 0.0, dict(theirs)
    for name, kind in ours.items():
        scores = {
            other: 1.0 if name == other else 0.8 if name_words(name) & name_words(other) else 0.5
            for other in free
            if free[other] == kind
        }
        if scores:
            best = max(scores, key=lambda other: scores[other])
            total += scores[best]
            del free[best]
    return total / max(len(ours), len(theirs), 1)


def _shape(card: ToolCard) -> dict[str, str]:
    """The type of each parameter, by name."""
    properties = card.parameters.get("properties", card.parameters)
    if not isinstance(properties, dict):
        return {}
    return {
        name: str(said.get("type") if isinstance(said, dict) else said)
        for name, said in properties.items()
        if name not in ("type", "required", "additionalProperties", "$schema", "title", "description")
    }


@cache
def _told(text: str) -> frozenset[str]:
    """The words of a text that mean something, words for one thing as one."""
    return frozenset(_token(word) for word in _WORD.findall(plain(text)) if word not in _small())


@cache
def _token(word: str) -> str:
    root = stem(word)
    return _same().get(root, root)


@cache
def _small() -> frozenset[str]:
    said = " ".join(words()[tongue]["small"] for tongue in ("en", "pt", "es"))
    return frozenset((said + " " + words()["tools"]["small"]).split())


@cache
def _same() -> dict[str, str]:
    lines = words()["tools"]["same"].strip().splitlines()
    return {stem(word): f"={line.split()[0]}" for line in lines for word in line.split()}


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0
