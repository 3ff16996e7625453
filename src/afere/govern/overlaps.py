"""Which tools are alike, as groups: by what they are for and by their parameters, as the rule `tools.overlap` measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afere.base.canonical import Json
from afere.chains.toolcard import ToolCard
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.sameness import MOST, pairs

NEAR = 0.15  # below the rule's threshold: alike, and not yet an overlap


@dataclass(frozen=True, slots=True)
class Alike:
    """Two tools and how alike they are, from 0 to 1; `overlap` where the rule's threshold is reached."""

    a: str
    b: str
    likeness: float
    overlap: bool

    def to_json(self) -> Json:
        return {"a": self.a, "b": self.b, "likeness": round(self.likeness, 3), "overlap": self.overlap}


@dataclass(frozen=True, slots=True)
class Group:
    """Tools that are alike, each to at least one other; pairs with the most alike first."""

    tools: tuple[str, ...]
    pairs: tuple[Alike, ...]

    def to_json(self) -> Json:
        return {"tools": list(self.tools), "pairs": [one.to_json() for one in self.pairs]}


def overlaps(cards: Sequence[ToolCard], threshold: float) -> tuple[Group, ...]:
    """Groups of alike tools among the first `MOST` that are described, the most alike first."""
    described = [card for card in cards if card.description][:MOST]
    likeness = Likeness()
    near = [
        Alike(a.name, b.name, alike, first and alike >= threshold)
        for a, b, alike, first in pairs(described, likeness)
        if alike >= threshold - NEAR
    ]
    leader = {card.name: card.name for card in described}

    def of(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for pair in near:
        leader[of(pair.b)] = of(pair.a)
    found: dict[str, list[Alike]] = {}
    for pair in sorted(near, key=lambda one: -one.likeness):
        found.setdefault(of(pair.a), []).append(pair)
    return tuple(
        Group(tuple(dict.fromkeys(name for one in own for name in (one.a, one.b))), tuple(own))
        for own in found.values()
    )
