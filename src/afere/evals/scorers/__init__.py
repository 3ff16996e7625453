"""Scorers: what judges one output. Built-in ones are named here and come in by the same door as a user's own."""

from __future__ import annotations

from afere.evals.scorers.case import Case as Case
from afere.evals.scorers.declare import Judging as Judging
from afere.evals.scorers.declare import Scored as Scored
from afere.evals.scorers.declare import Scorer as Scorer
from afere.evals.scorers.declare import counted as counted
from afere.evals.scorers.declare import scorer as scorer
from afere.evals.scorers.names import SCORERS as SCORERS
from afere.evals.scorers.names import named as named
