"""Statistics of evaluations: pure functions over numbers, plain Python, each with its source.

Intervals are two-sided 90% unless told: their ends are the two one-sided 95% bounds by which rules decide, so that a
picture and a verdict agree. Unknown values are left out by the caller, who counts them.
"""

from afere.evals.stats.agreement import Agreement as Agreement
from afere.evals.stats.agreement import Truth as Truth
from afere.evals.stats.agreement import cohen as cohen
from afere.evals.stats.agreement import dawid_skene as dawid_skene
from afere.evals.stats.agreement import fleiss as fleiss
from afere.evals.stats.agreement import krippendorff as krippendorff
from afere.evals.stats.apart import apart as apart
from afere.evals.stats.apart import p_apart as p_apart
from afere.evals.stats.bootstrap import bca as bca
from afere.evals.stats.bootstrap import quantile_difference as quantile_difference
from afere.evals.stats.decide import Verdict as Verdict
from afere.evals.stats.decide import better as better
from afere.evals.stats.decide import needs_more as needs_more
from afere.evals.stats.decide import not_worse as not_worse
from afere.evals.stats.decide import threshold as threshold
from afere.evals.stats.families import benjamini_hochberg as benjamini_hochberg
from afere.evals.stats.families import benjamini_yekutieli as benjamini_yekutieli
from afere.evals.stats.families import e_bh as e_bh
from afere.evals.stats.families import holm as holm
from afere.evals.stats.families import holm_bounds as holm_bounds
from afere.evals.stats.interval import LEVEL as LEVEL
from afere.evals.stats.interval import Estimate as Estimate
from afere.evals.stats.interval import clustered_mean as clustered_mean
from afere.evals.stats.interval import clustered_rate as clustered_rate
from afere.evals.stats.interval import exact_rate as exact_rate
from afere.evals.stats.interval import quantile as quantile
from afere.evals.stats.interval import unseen as unseen
from afere.evals.stats.interval import wilson as wilson
from afere.evals.stats.paired import McNemar as McNemar
from afere.evals.stats.paired import difference as difference
from afere.evals.stats.paired import mcnemar as mcnemar
from afere.evals.stats.paired import sign_test as sign_test
from afere.evals.stats.paired import wilcoxon as wilcoxon
from afere.evals.stats.plan import cases_needed as cases_needed
from afere.evals.stats.plan import power as power
from afere.evals.stats.plan import repeats_needed as repeats_needed
from afere.evals.stats.plan import smallest_drop as smallest_drop
from afere.evals.stats.plan import spread_with_repeats as spread_with_repeats
from afere.evals.stats.predicted import FEW_LABELS as FEW_LABELS
from afere.evals.stats.predicted import Predicted as Predicted
from afere.evals.stats.predicted import prediction_powered as prediction_powered
from afere.evals.stats.predicted import rogan_gladen as rogan_gladen
from afere.evals.stats.ranking import Game as Game
from afere.evals.stats.ranking import Ranking as Ranking
from afere.evals.stats.ranking import Strength as Strength
from afere.evals.stats.ranking import bradley_terry as bradley_terry
from afere.evals.stats.repeats import Variance as Variance
from afere.evals.stats.repeats import flaky as flaky
from afere.evals.stats.repeats import nested_variance as nested_variance
from afere.evals.stats.repeats import pass_at_k as pass_at_k
from afere.evals.stats.repeats import pass_hat_k as pass_hat_k
from afere.evals.stats.repeats import variance_split as variance_split
from afere.evals.stats.sequential import anytime as anytime
from afere.evals.stats.sequential import evidence as evidence
from afere.evals.stats.sequential import look_levels as look_levels
from afere.evals.stats.sequential import spent as spent
