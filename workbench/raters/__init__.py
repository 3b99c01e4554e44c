"""Raters: how far they agree with each other and with themselves, and what they can prove.

summary = raters.summary(ratings, candidate_sets, seed=0)
summary.alpha.value, summary.ceiling.value
raters.plot(summary)

This room reads ratings and their answers' texts. It knows nothing about how a
rating came in, nor what is trained on it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.raters.overview import Rater, Raters, summary
    from workbench.raters.plots import plot

__all__ = ["Rater", "Raters", "plot", "summary"]

# Deferred: numpy and matplotlib are for those who ask for figures.
_LAZY = {
    "Rater": "workbench.raters.overview",
    "Raters": "workbench.raters.overview",
    "plot": "workbench.raters.plots",
    "summary": "workbench.raters.overview",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
