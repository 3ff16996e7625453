"""Which experiment is preferred: by people who read two side by side, and by pairwise judges, ranked with intervals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import afere
from afere.cli.evaluate import compare as command
from afere.evals import Experiment
from afere.evals.labelling.labels import PREFERRED, Labels
from afere.evals.preferred import preferred
from afere.testing import ScriptedModel

CASES = 40


def _made(word: str, scorers: list[Any]) -> Experiment:
    rows = [{"id": f"r{i}", "input": {"q": f"{i}?"}} for i in range(CASES)]
    return afere.evaluate(lambda q: f"{word} {q}", rows, scorers=scorers)


def _read(here: Experiment, other: Experiment, wins: int, draws: int = 0) -> None:
    """Ana prefers `here` in so many cases; each is left as often as right."""
    labels = Labels(here)
    for i, item in enumerate(labels.items):
        left, right = (here.ref, other.ref) if i % 2 else (other.ref, here.ref)
        value = "same" if i < draws else here.ref if i < draws + wins else other.ref
        labels.put(PREFERRED, item.key, value, by="person:ana", data={"left": left, "right": right})


def test_people_who_read_side_by_side_rank_the_experiments(project: Path) -> None:
    ok = afere.scorer(lambda output: True, name="ok")
    a, b, c = (_made(word, [ok]) for word in ("one", "two", "three"))
    assert preferred([a, b, c]) == []
    _read(b, a, wins=30)
    _read(c, b, wins=30)
    (found,) = preferred([a, b, c])
    assert (found.by, found.games, found.prompts) == ("people", 80, CASES)
    assert [one.name for one in found.ranking.strengths] == [c.ref, b.ref, a.ref]
    # 30 of 40 twice: each is log(3) above the next, but for a tenth of a half-won game that keeps all finite
    first, second, third = (one.value for one in found.ranking.strengths)
    assert first - second == pytest.approx(math.log(3), abs=0.02)
    assert second - third == pytest.approx(math.log(3), abs=0.02)
    assert all(
        one.low is not None and one.high is not None and one.low < one.value < one.high
        for one in found.ranking.strengths
    )
    assert found.ranking.position.value == pytest.approx(0.5)
    (two,) = preferred([a, b])  # only what was read between these two
    assert (two.games, two.ranking.strengths[0].name) == (40, b.ref)

    out = CliRunner().invoke(command, ["1", "2", "3", "--json"]).output
    told = json.loads(out)
    assert told["experiments"] == [a.ref, b.ref, c.ref]
    assert [one["b"] for one in told["comparisons"]] == [b.ref, c.ref]
    assert [one["experiment"] for one in told["ranking"][0]["ranking"]] == [c.ref, b.ref, a.ref]
    drawn = CliRunner().invoke(command, ["1", "2", "3"]).output
    assert "Preferred by people: 80 comparisons on 40 cases" in drawn
    assert "What was shown first won 0.50 of 80" in drawn


def test_a_pairwise_judge_ranks_and_its_bias_of_place_is_told(project: Path) -> None:
    """Of forty cases it goes with the place in ten, and else prefers the newer one."""
    a = _made("one", [afere.scorer(lambda output: True, name="ok")])

    def verdict(request: Any) -> object:
        text = request.messages[1].text
        first = text.split("--- first ")[1].split("begins\n")[1].split("\n")[0]
        biased = int(first.split()[1][:-1]) < 10
        return {"why": "so", "verdict": "first" if biased or first.startswith("two") else "second"}

    ScriptedModel("judge", says=verdict)
    judge = {"name": "better", "kind": "pairwise", "rubric": "Which?", "model": "scripted:judge", "to": a.ref}
    b = _made("two", [judge])
    (found,) = preferred([a, b])
    assert (found.by, found.games, found.prompts) == ("better", 80, CASES)
    assert found.ranking.flipped == 10 / 40
    assert found.ranking.strengths[0].name == b.ref
    won, lost = 30 * 2 + 10, 10  # both questions of thirty, one of ten
    difference = found.ranking.strengths[0].value - found.ranking.strengths[1].value
    assert difference == pytest.approx(math.log(won / lost), abs=0.02)
    assert "In 25.0% of the pairs" in CliRunner().invoke(command, ["1", "2"]).output


def test_several_measures_are_corrected_as_one_asks(project: Path) -> None:
    """By hand, p of 30, 12 and 8 losses without a win: 2^-29, 2^-11 and 2^-7; and one measure that is unchanged."""

    def lost(n: int, name: str) -> Any:
        return afere.scorer(
            lambda output: not (str(output).startswith("two") and int(str(output).split()[1][:-1]) < n), name=name
        )

    scorers = [lost(n, name) for n, name in ((30, "much"), (12, "some"), (8, "few"), (0, "same"))]
    _made("one", scorers)
    _made("two", scorers)
    told = json.loads(CliRunner().invoke(command, ["1", "2", "--several", "bh", "--json"]).output)
    found = {one["name"]: one for one in told["measures"]}
    tested = [one for one in found.values() if one["difference"] and one["difference"]["p"] is not None]
    alone = {one["name"]: one["difference"]["p"] for one in tested}
    assert alone["much"] == pytest.approx(2**-29)
    assert alone["few"] == pytest.approx(2**-7)
    ordered = sorted(alone, key=lambda name: alone[name])
    m = len(ordered)
    assert m == 5  # how long the runs took is tested too: its p may be any, and stand in any place
    for rank, name in enumerate(ordered):
        holm = max((m - k) * alone[ordered[k]] for k in range(rank + 1))
        assert found[name]["p_holm"] == pytest.approx(min(1.0, holm))
        assert found[name]["p_bh"] == pytest.approx(
            min(1.0, *(m / (k + 1) * alone[ordered[k]] for k in range(rank, m)))
        )
    assert "p (BH)" in CliRunner().invoke(command, ["1", "2", "--several", "bh"]).output
