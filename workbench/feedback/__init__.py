"""Judgements: who prefers which answer, given by people and by stated rules.

    rating = feedback.judge(candidate_set, "short-first-sentence", seed=0)
    feedback.RankingWidget(candidate_sets, journal, rater="person:anna")  # in a notebook

Every door (widget, script, Label Studio) leaves the same record, a Rating. This
room knows nothing about models, datasets or training.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.feedback.rules import RULES, Rule, judge

if TYPE_CHECKING:
    from workbench.feedback.widget import RankingWidget

__all__ = ["RULES", "RankingWidget", "Rule", "judge"]

# Deferred, since anywidget and ipywidgets take longer to import than the rest together.
_LAZY = {"RankingWidget": "workbench.feedback.widget"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
