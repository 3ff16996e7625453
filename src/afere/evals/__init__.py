"""Evals: scorers and judges, experiments with intervals, and gates that answer pass, fail or not enough evidence."""

from afere.evals.comparison import Comparison as Comparison
from afere.evals.comparison import compare as compare
from afere.evals.evaluation import Plan as Plan
from afere.evals.evaluation import evaluate as evaluate
from afere.evals.evaluation import perform as perform
from afere.evals.experiment import Experiment as Experiment
from afere.evals.experiment import experiment as experiment
from afere.evals.judge import Judge as Judge
from afere.evals.judge import judge as judge
from afere.evals.results import Difference as Difference
from afere.evals.results import Result as Result
from afere.evals.scorers import Scorer as Scorer
from afere.evals.scorers import scorer as scorer
from afere.evals.suite import SUITE_SCHEMA as SUITE_SCHEMA
from afere.evals.suite import Suite as Suite
from afere.evals.suite import find_suite as find_suite
from afere.evals.suite import read_suite as read_suite
from afere.evals.table import Measure as Measure
