"""Who is best, from pairs that were compared: Bradley-Terry strengths with intervals, and the bias of position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from afere.base.errors import BadInput
from afere.evals.stats.interval import LEVEL, Estimate, clustered_rate

_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Game:
    """One comparison: on this prompt, `first` was shown before `second`, and who won."""

    prompt: str
    first: str
    second: str
    winner: Literal["first", "second", "draw"]


@dataclass(frozen=True, slots=True)
class Strength:
    """`value` is a natural-log strength with its interval; the mean of all is 0. A difference d wins 1/(1 + e^-d) of games.

    `wins` is the chance to beat the average player.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    wins: float
    games: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """Strongest first. `position`: how often what was shown first won, draws left out; 0.5 is no bias where every pair is
    shown both ways round. `flipped`: how often the other way round gave another winner (None: nothing was swapped)."""

    strengths: tuple[Strength, ...]
    position: Estimate
    flipped: float | None
    draws: int


def bradley_terry(games: Sequence[Game], *, ridge: float = 0.1, level: float = LEVEL, seed: int = 0) -> Ranking:
    """Strengths by the model of Bradley and Terry (1952), iterated as in Hunter (2004); a draw is half a win for each.

    `ridge` half-won games against an average player are added for each, so that one who never lost stays finite.
    Intervals are percentiles of a bootstrap over prompts. Unlike Elo, the order of games does not matter.
    """
    if not games:
        raise BadInput("There are no games to rank by.")
    if broken := next((one for one in games if one.first == one.second), None):
        raise BadInput(f"On prompt {broken.prompt!r}, {broken.first!r} plays against itself.")
    names = sorted({name for game in games for name in (game.first, game.second)})
    by_prompt: dict[str, list[Game]] = {}
    for game in games:
        by_prompt.setdefault(game.prompt, []).append(game)
    value = _strengths(_points(by_prompt.values()), names, ridge)
    ends: dict[str, tuple[float, float]] = {}
    if len(by_prompt) > 1:
        random, prompts = Random(seed), list(by_prompt.values())  # noqa: S311 - so that a number can be told again
        drawn = [
            _strengths(_points(random.choices(prompts, k=len(prompts))), names, ridge, start=value)
            for _ in range(_DRAWS)
        ]
        ends = {name: _ends([one[name] for one in drawn], level) for name in names}
    strengths = [
        Strength(
            name, value[name], *ends.get(name, (None, None)), 1 / (1 + math.exp(-value[name])),
            sum(name in (game.first, game.second) for game in games),
        )
        for name in sorted(names, key=lambda name: -value[name])
    ]  # fmt: skip
    decided = [game for game in games if game.winner != "draw"]
    position = clustered_rate([float(game.winner == "first") for game in decided], [game.prompt for game in decided])
    return Ranking(tuple(strengths), position, _flipped(games), len(games) - len(decided))


_Points = dict[tuple[str, str], float]  # points of the one against the other


def _points(prompts: Iterable[Sequence[Game]]) -> _Points:
    found: _Points = {}
    for games in prompts:
        for game in games:
            won = {"first": 1.0, "second": 0.0, "draw": 0.5}[game.winner]
            found[game.first, game.second] = found.get((game.first, game.second), 0.0) + won
            found[game.second, game.first] = found.get((game.second, game.first), 0.0) + 1 - won
    return found


def _strengths(
    points: _Points, names: Sequence[str], ridge: float, start: Mapping[str, float] | None = None
) -> dict[str, float]:
    won = dict.fromkeys(names, ridge / 2)
    met: dict[str, dict[str, float]] = {name: {} for name in names}
    for (a, b), share in points.items():
        won[a] += share
        met[a][b] = met[a].get(b, 0.0) + share
        met[b][a] = met[b].get(a, 0.0) + share
    power = {name: math.exp(start[name]) if start else 1.0 for name in names}
    for _ in range(2000):
        moved = 0.0
        for name in names:
            games = sum(n / (power[name] + power[other]) for other, n in met[name].items())
            new = won[name] / (games + ridge / (power[name] + 1)) if won[name] else 1e-9
            moved = max(moved, abs(math.log(new / power[name])))
            power[name] = new
        middle = math.exp(math.fsum(map(math.log, power.values())) / len(names))
        power = {name: one / middle for name, one in power.items()}
        if moved < 1e-7:
            break
    return {name: math.log(one) for name, one in power.items()}


def _ends(drawn: Sequence[float], level: float) -> tuple[float, float]:
    ordered, tail = sorted(drawn), (1 - level) / 2
    return ordered[math.floor(tail * (len(ordered) - 1))], ordered[math.ceil((1 - tail) * (len(ordered) - 1))]


def _flipped(games: Sequence[Game]) -> float | None:
    """Of the pairs shown both ways round on a prompt, the share whose verdict went with the position."""
    said: dict[tuple[str, str, str], str] = {}
    for game in games:
        said[game.prompt, game.first, game.second] = game.winner
    both = [(one, said[key[0], key[2], key[1]]) for key, one in said.items() if (key[0], key[2], key[1]) in said]
    if not both:
        return None
    return sum(one == other and one != "draw" for one, other in both) / len(both)
