"""Judges: models that hold an output against a rubric, alone, as a panel, as a cascade, or two outputs side by side."""

from __future__ import annotations

from afere.evals.judge.builtin import CONCISE as CONCISE
from afere.evals.judge.builtin import CONTEXT_RECALL as CONTEXT_RECALL
from afere.evals.judge.builtin import CORRECT as CORRECT
from afere.evals.judge.builtin import FAITHFUL as FAITHFUL
from afere.evals.judge.builtin import HARMLESS as HARMLESS
from afere.evals.judge.builtin import HELPFUL as HELPFUL
from afere.evals.judge.builtin import RELEVANT as RELEVANT
from afere.evals.judge.entries import CASCADE as CASCADE
from afere.evals.judge.entries import JUDGE as JUDGE
from afere.evals.judge.entries import PAIRWISE as PAIRWISE
from afere.evals.judge.entries import PANEL as PANEL
from afere.evals.judge.entries import judge_entry as judge_entry
from afere.evals.judge.pairwise import Pairwise as Pairwise
from afere.evals.judge.several import Cascade as Cascade
from afere.evals.judge.several import Panel as Panel
from afere.evals.judge.single import NO_MODEL as NO_MODEL
from afere.evals.judge.single import Judge as Judge
from afere.evals.judge.single import judge as judge
