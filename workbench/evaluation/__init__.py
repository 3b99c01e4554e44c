"""Is the adapter better than its base? Blind comparison, statistics, one honest sentence.

comparisons = compare(base, adapter, prompts, judge)
result = verdict(comparisons)
print(result.conclusion)
plots.outcomes(result)
"""

from workbench.evaluation import plots
from workbench.evaluation.comparison import Judge, candidate_sets, compare, judge_from
from workbench.evaluation.statistics import (
    Tally,
    interval,
    length_controlled,
    required_n,
)
from workbench.evaluation.unseen import held_out
from workbench.evaluation.verdict import Decision, decision, judges, tally_of, verdict

__all__ = [
    "Decision",
    "Judge",
    "Tally",
    "candidate_sets",
    "compare",
    "decision",
    "held_out",
    "interval",
    "judge_from",
    "judges",
    "length_controlled",
    "plots",
    "required_n",
    "tally_of",
    "verdict",
]
