"""Which of several experiments is preferred: what people said side by side, and what pairwise judges said, as rankings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from afere.base.canonical import Json
from afere.evals.experiment import Experiment
from afere.evals.labelling.labels import PREFERRED, Labels
from afere.evals.stats import Game, Ranking, bradley_terry

Winner = Literal["first", "second", "draw"]


@dataclass(frozen=True, slots=True)
class Preferred:
    """A ranking by one source: `people`, or a pairwise judge by its name. A prompt is a case, or the group it belongs to."""

    by: str
    ranking: Ranking
    games: int
    prompts: int
    what: str = "experiment"  # what is ranked

    @property
    def about_position(self) -> tuple[str, ...]:
        """How much the place of an answer decided, in sentences."""
        place, flipped = self.ranking.position, self.ranking.flipped
        said: list[str] = []
        if place.value is not None:
            ends = "" if place.low is None else f" ({place.low:.2f} to {place.high:.2f}, 90%)"
            said.append(
                f"What was shown first won {place.value:.2f} of {place.n} decided comparisons{ends}; 0.5 is no bias."
            )
        if flipped is not None:
            said.append(f"In {flipped:.1%} of the pairs asked both ways round, the verdict went with the place.")
        return tuple(said)

    def to_json(self) -> dict[str, Json]:
        position = self.ranking.position
        return {
            "by": self.by, "games": self.games, "prompts": self.prompts, "draws": self.ranking.draws,
            "ranking": [
                {
                    self.what: one.name, "strength": one.value, "low": one.low, "high": one.high, "wins": one.wins,
                    "games": one.games,
                }
                for one in self.ranking.strengths
            ],
            "position": {"value": position.value, "low": position.low, "high": position.high, "n": position.n},
            "flipped": self.ranking.flipped, "about": list(self.about_position), "method": "Bradley-Terry, bootstrap over prompts",
        }  # fmt: skip


def preferred(experiments: Sequence[Experiment]) -> list[Preferred]:
    """The rankings of these experiments, by everybody who compared two of them; empty where nobody did."""
    by: dict[str, list[Game]] = {}
    refs = {one.ref for one in experiments}
    for one in experiments:
        by.setdefault("people", []).extend(_by_people(one, refs))
        for name, game in _by_judges(one, refs):
            by.setdefault(name, []).append(game)
    return [
        Preferred(name, bradley_terry(games), len(games), len({game.prompt for game in games}))
        for name, games in by.items()
        if games
    ]


def _by_people(one: Experiment, refs: set[str]) -> Iterator[Game]:
    """A label stands on the output of the experiment whose page it was, so each is found once."""
    labels = Labels(one)
    clusters = {item.target: item.run.cluster for item in labels.items}
    for target, by in labels.of(PREFERRED).items():
        for score in by.values():
            left, right = str(score.data.get("left")), str(score.data.get("right"))
            if score.data.get("experiment") != one.ref or not {left, right} <= refs or left == right:
                continue
            winner: Winner = "first" if score.value == left else "second" if score.value == right else "draw"
            yield Game(clusters[target], left, right, winner)


def _by_judges(one: Experiment, refs: set[str]) -> Iterator[tuple[str, Game]]:
    """Both questions that a pairwise judge was asked: with the output first, and with it second."""
    for name, said in cast("dict[str, dict[str, Any]]", one.content["scorers"]).items():
        if said["kind"] != "judge":
            continue
        content = cast("dict[str, Any]", one.session.get(said["ref"], kind="judge").content)
        other = str(content.get("to", ""))
        if other not in refs or other == one.ref:
            continue
        for run in one.results.runs:
            words = run.scores.get(f"{name}.flipped", (None, ""))[1].split(", ")
            if len(words) == 2:
                yield from ((name, game) for game in games_of(run.cluster, one.ref, other, (words[0], words[1])))


def games_of(prompt: str, one: str, other: str, words: tuple[str, str]) -> list[Game]:
    """Both questions of a pairwise judge: what it said with `one` first, and with it second."""
    return [Game(prompt, one, other, _winner(words[0])), Game(prompt, other, one, _winner(words[1]))]


def _winner(word: str) -> Winner:
    return "draw" if word not in ("first", "second") else cast("Winner", word)
