"""How surely two tools are for one purpose: for the rule `tools.overlap` and the map of tools.

A model of a few features, each of which can be said in words, fitted by `benchmarks/tool_overlap.py` on pairs of three languages:
how alike the words are that say what each is for, each with its best counterpart by meaning; whether these are other words or the
same ones (tools of one family are told in the same words, but for one); whether the deeds are one; and the parameters.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache, lru_cache

from afere.chains.toolcard import ToolCard
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.wording import plain, stem, words

MOST = 200  # tools that are compared with each other: every pair is looked at
_WORD = re.compile(r"[^\W\d_]{2,}")
_FAR = 0.25  # as likely two tools are for one purpose whose names and purposes are less alike than this: never, of 3,300 pairs
_NEGATING = ("un", "des", "dis", "de", "in")  # install and uninstall
_NEGATIONS = (*((no, "") for no in _NEGATING), ("de", "en"), ("out", "in"))  # log out, log in


def sameness(a: ToolCard, b: ToolCard, likeness: Likeness) -> float:
    """How surely two tools are for one purpose, from 0 to 1. `learn` their texts before, where there are many."""
    if likeness.between(_whole(a), _whole(b)) < _FAR:
        return 0.0
    if plain(a.description) == plain(b.description) and a.parameters == b.parameters and not _opposed(a, b):
        return 1.0  # for a model they are one but for their names
    weights = words()["tools"]["weights"]
    total = weights["always"] + sum(weights[name] * value for name, value in features(a, b, likeness).items())
    return 1 / (1 + math.exp(-total))


def pairs(cards: Sequence[ToolCard], likeness: Likeness) -> list[tuple[ToolCard, ToolCard, float, bool]]:
    """Every pair that is at all alike, how surely it is for one purpose, and whether neither tool has a likelier twin."""
    likeness.learn([text for card in cards for text in (_whole(card), *_telling(card))])
    found = [
        (a, b, alike)
        for number, a in enumerate(cards)
        for b in cards[number + 1 :]
        if not (a.agents and b.agents and not set(a.agents) & set(b.agents))  # else no model ever sees both
        and (alike := sameness(a, b, likeness)) > 0
    ]
    best: dict[str, float] = {}
    for a, b, alike in found:
        for name in (a.name, b.name):
            best[name] = max(best.get(name, 0.0), alike)
    return [(a, b, alike, alike >= best[a.name] and alike >= best[b.name]) for a, b, alike in found]


def features(a: ToolCard, b: ToolCard, likeness: Likeness) -> dict[str, float]:
    """What the model looks at."""
    ours, theirs = _telling(a), _telling(b)
    things, others = [one for one in ours if not _deed(one)], [one for one in theirs if not _deed(one)]
    deeds, deeds_b = _deeds_of(a), _deeds_of(b)
    same, alike = _aligned(ours, theirs, likeness)
    # A word may be a deed in one tool and a thing in another ("file", "order"): without any thing, all words tell.
    same_things, alike_things = _aligned(things, others, likeness) if things and others else (same, alike)
    own, own_b = _unshared(things, theirs), _unshared(others, ours)
    types, types_b = Counter(_shape(a).values()), Counter(_shape(b).values())
    begins, begins_b = _deed((ours or ("",))[0]), _deed((theirs or ("",))[0])
    return {
        "one_deed": likeness.between(_whole(a), _whole(b)) * bool(deeds & deeds_b),
        "first_words": likeness.between((ours or ("",))[0], (theirs or ("",))[0]),
        "alike": alike,
        "same": same,
        "alike_things": alike_things,
        "same_things": same_things**2,
        "other_deed": same_things * bool(begins and begins_b and not begins & begins_b),
        "undoes": same_things * _undoes(a, b),
        "opposite": float(_opposed(a, b)),
        "two_things": float(_about_two_things(a, b)),
        "few_words": float(bool(own or own_b) and len(own) <= 2 and len(own_b) <= 2),
        "synonyms": same_things * (_aligned(own, own_b, likeness)[1] if own and own_b else 0.5),
        "types": float(((types - types_b) + (types_b - types)).total()),
    }


def reads(card: ToolCard) -> bool:
    """Whether a tool only reads, by the words of its name and by how its description begins."""
    return _deeds_of(card) == frozenset(["read"])


def purpose(card: ToolCard) -> str:
    """What a tool is for, by its description: what it says before its first full stop or semicolon."""
    return re.split(r"[.;]\s", card.description, maxsplit=1)[0]


def name_words(name: str) -> frozenset[str]:
    """`getOrderStatus` and `get_order_status` are the same words, and `fetch` is `get`."""
    return _told(_spaced(name))


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_.-]", " ", name)


@lru_cache(maxsize=4_000)
def _whole_of(name: str, purpose: str) -> str:
    return f"{_spaced(name)}. {purpose}"


def _whole(card: ToolCard) -> str:
    return _whole_of(card.name, purpose(card))


def _telling(card: ToolCard) -> tuple[str, ...]:
    """The words of purpose and name that mean something, each once, those of the purpose first."""
    return _telling_of(card.name, purpose(card))


@lru_cache(maxsize=4_000)
def _telling_of(name: str, purpose: str) -> tuple[str, ...]:
    said = _WORD.findall(plain(purpose)) + _WORD.findall(plain(_spaced(name)))
    return tuple(dict.fromkeys(word for word in said if word not in _small()))


def _aligned(ours: Sequence[str], theirs: Sequence[str], likeness: Likeness) -> tuple[float, float]:
    """Of the words of two texts, how many are the same, and how alike each is to its best counterpart on average."""
    if not ours or not theirs:
        return 0.0, 0.0
    best = [max(_word_likeness(one, other, likeness) for other in theirs) for one in ours]
    best_b = [max(_word_likeness(one, other, likeness) for one in ours) for other in theirs]
    same = (sum(one > 0.999 for one in best) / len(best) + sum(one > 0.999 for one in best_b) / len(best_b)) / 2
    return same, (sum(best) / len(best) + sum(best_b) / len(best_b)) / 2


_LIKE: dict[tuple[str, str, bool], float] = {}
_MOST_LIKE = 100_000


def _word_likeness(one: str, other: str, likeness: Likeness) -> float:
    if _token(one) == _token(other):
        return 1.0
    key = (min(one, other), max(one, other), likeness.meaning)
    found = _LIKE.get(key)
    if found is None:
        if len(_LIKE) >= _MOST_LIKE:
            _LIKE.clear()
        found = _LIKE[key] = likeness.between(one, other)
    return found


def _unshared(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    known = {_token(one) for one in theirs}
    return [one for one in ours if _token(one) not in known]


@cache
def _deed(word: str) -> frozenset[str]:
    """What kinds of deed a word may name: reading, making, removing and others."""
    return _deeds_table().get(word) or _deeds_table().get(stem(word)) or frozenset()


@cache
def _deeds_table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for kind, said in words()["tools"]["deeds"].items():
        for word in said.split():
            for form in (plain(word), stem(plain(word))):
                found.setdefault(form, set()).add(kind)
    return {form: frozenset(kinds) for form, kinds in found.items()}


def _deeds_of(card: ToolCard) -> frozenset[str]:
    """The deeds that the first word of the description and that of the name may say; `flight_lookup` reads."""
    first = _WORD.search(plain(purpose(card)))
    parts = plain(_spaced(card.name)).split() or [""]
    name = _deed(parts[0]) or (_deed(parts[-1]) & {"read"})
    return (_deed(first[0]) if first else frozenset[str]()) | name


def _undoes(a: ToolCard, b: ToolCard) -> bool:
    """Whether one does what the other undoes: install and uninstall."""
    ours, theirs = ({*plain(_spaced(one.name)).split(), *_telling(one)[:1]} for one in (a, b))
    return any(len(x) > 3 and (no + x in other) for own, other in ((ours, theirs), (theirs, ours)) for x in own for no in (*_NEGATING, "re"))  # fmt: skip


def _about_two_things(a: ToolCard, b: ToolCard) -> bool:
    """Whether one sentence is about two things (`get_order`, `get_customer`), which each name and description say of itself."""
    ours, theirs = name_words(a.name), name_words(b.name)
    said, other = _told(a.description), _told(b.description)
    return (
        bool(ours & theirs or len(said ^ other) <= 4)
        and bool((ours - theirs) & said - other)
        and bool((theirs - ours) & other - said)
    )


def _opposed(a: ToolCard, b: ToolCard) -> bool:
    """Whether words say opposite deeds: lock and unlock, read and write."""
    ours, theirs = _said_deeds(a) - _said_deeds(b), _said_deeds(b) - _said_deeds(a)
    tables = words()["tools"]
    changing = frozenset(_token(word) for word in tables["changing"].split())
    reading = {"=get", "=list"}
    if (ours & reading and theirs & changing and not theirs & reading) or (
        theirs & reading and ours & changing and not ours & reading
    ):
        return True
    opposites = [tuple(_token(word) for word in line.split()) for line in tables["opposites"].strip().splitlines()]
    if any((x in ours and y in theirs) or (y in ours and x in theirs) for x, y in opposites):
        return True
    return any(_negates(x, y) or _negates(y, x) for x in ours for y in theirs)


def _negates(word: str, other: str) -> bool:
    return len(other) > 3 and any(
        word.startswith(no) and word == no + other.removeprefix(yes) and other.startswith(yes) for no, yes in _NEGATIONS
    )


def _said_deeds(card: ToolCard) -> frozenset[str]:
    """The words that say what a tool does: those of its name, and the first of its description."""
    first = _WORD.search(plain(card.description))
    return name_words(card.name) | (frozenset((_token(first[0]),)) if first else frozenset[str]())


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
def _small() -> Collection[str]:
    said = " ".join(words()[tongue]["small"] for tongue in ("en", "pt", "es"))
    return frozenset((said + " " + words()["tools"]["small"]).split())


@cache
def _same() -> dict[str, str]:
    lines = words()["tools"]["same"].strip().splitlines()
    return {stem(word): f"={line.split()[0]}" for line in lines for word in line.split()}
