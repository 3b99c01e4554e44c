"""Judgements: who prefers which answer, given by people, by stated rules and by models.

    rating = feedback.judge(candidate_set, "short-first-sentence", seed=0)
    feedback.RankingWidget(candidate_sets, journal, rater="person:anna")  # in a notebook
    feedback.judge_with_model(backend, candidate_sets, name="qwen3-8b", journal=journal)

Each leaves the same record, a Rating, that names who judged. This room knows
nothing about other servers, datasets or training.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.feedback.rules import RULES, Rule, judge

if TYPE_CHECKING:
    from workbench.feedback.model_judge import judge_with_model
    from workbench.feedback.widget import RankingWidget

__all__ = ["RULES", "RankingWidget", "Rule", "judge", "judge_with_model"]

# Deferred, since anywidget and ipywidgets take longer to import than the rest together.
_LAZY = {
    "RankingWidget": "workbench.feedback.widget",
    "judge_with_model": "workbench.feedback.model_judge",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
