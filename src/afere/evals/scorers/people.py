"""What only people can say: a column that stays unknown until somebody has said it."""

from __future__ import annotations

from afere.base.canonical import Json
from afere.base.score import Score
from afere.evals.scorers.declare import scorer


@scorer
def human(*, rubric: str = "", scale: list[Json] | None = None, points: list[float] | None = None) -> Score:
    """Unknown until a person has judged, on the page of labels or in a file; the rubric says by what.

    `scale` goes from worst to best (default: fail, pass) and reads like that of a judge: two words are true or false,
    numbers a number, other words a share for each, or the number that `points` gives them.

    >>> score({"name": "style", "kind": "human", "rubric": "polite and brief"}, "Good day.").why
    'no person has judged this yet'
    """
    return Score("case", "human", None, "scorer:human", "no person has judged this yet")
