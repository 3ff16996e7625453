"""What only people can say: a column that stays unknown until somebody has said it."""

from __future__ import annotations

from afere.base.score import Score
from afere.evals.scorers.declare import scorer


@scorer
def human(*, rubric: str = "") -> Score:
    """Unknown until a person has judged; the rubric says by what."""
    return Score("case", "human", None, "scorer:human", "no person has judged this yet")
