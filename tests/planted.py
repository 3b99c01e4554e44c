"""Outcomes and ratings of raters whose accuracy is known, since it was planted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.raters.outcomes import Outcome, Outcomes, Pair


def outcomes_of(
    accuracy: Mapping[str, float],
    *,
    pairs: int,
    seed: int,
    per_set: int = 1,
    missing: float = 0.0,
    ties: float = 0.0,
) -> Outcomes:
    """Each rater names the truly better answer with their own probability, independently."""
    random = np.random.default_rng(seed)
    said: dict[Pair, dict[str, Outcome]] = {}
    for i in range(pairs):
        truth = random.random() < 0.5
        row: dict[str, Outcome] = {}
        for rater, right in accuracy.items():
            if random.random() < missing:
                continue
            if random.random() < ties:
                row[rater] = "tie"
            else:
                row[rater] = "first" if (random.random() < right) == truth else "second"
        said[Pair(f"set {i // per_set}", f"a{i}", f"b{i}")] = row
    return said
