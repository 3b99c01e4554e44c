"""The numbers behind a verdict, from counts of wins, losses and ties.

Each held-out prompt is one paired observation. All rates are of the adapter,
ties counted as half. This module knows nothing about completions or raters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from workbench.errors import InputError

_RIDGE_LENGTH = 0.1
_RIDGE_ABILITY = 0.01


@dataclass(frozen=True)
class Tally:
    """Outcomes of base against adapter; a win is the adapter's."""

    wins: int
    losses: int
    ties: int

    @property
    def n(self) -> int:
        """Number of prompts."""
        return self.wins + self.losses + self.ties

    @property
    def win_rate(self) -> float:
        """(wins + ties / 2) / n."""
        return (self.wins + self.ties / 2) / self.n


def interval(tally: Tally, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the win rate: the adjusted Wald interval of Bonett and Price.

    The win rate is (1 + d) / 2, where d = (wins - losses) / n is a difference of
    paired proportions. With p = (wins + 1) / (n + 2) and q = (losses + 1) / (n + 2)
    the bounds of d are p - q -+ z sqrt((p + q - (p - q)^2) / (n + 2)), cut at -1 and 1.

    Source: Bonett and Price, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", Journal of Educational and
    Behavioral Statistics 37 (2012), 479-488.
    """
    n = tally.n + 2
    p, q = (tally.wins + 1) / n, (tally.losses + 1) / n
    reach = _z(confidence) * math.sqrt((p + q - (p - q) ** 2) / n)
    low, high = max(-1.0, p - q - reach), min(1.0, p - q + reach)
    return (1 + low) / 2, (1 + high) / 2


def required_n(
    win_rate: float, *, ties: float = 0.0, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Prompts needed to show, with probability `power`, that a true `win_rate` is not one half.

    `ties` is the share of ties. With d = 2 win_rate - 1 and u = 1 - ties, this is
    ((z_a sqrt(u) + z_b sqrt(u - d^2)) / d)^2, the sample size of McNemar's test.
    Raises InputError for a win rate of one half, or one out of reach with so many ties.

    Source: Connor, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43 (1987), 207-211.
    """
    difference, decided = 2 * win_rate - 1, 1 - ties
    if difference == 0 or abs(difference) > decided + 1e-9:
        raise InputError(
            f"No number of prompts shows a win rate of {win_rate:g} with {ties:.0%} ties",
            "Give a win rate other than 0.5, between ties / 2 and 1 - ties / 2",
        )
    reach = _z(confidence) * math.sqrt(decided)
    reach += NormalDist().inv_cdf(power) * math.sqrt(max(0.0, decided - difference**2))
    return math.ceil((reach / difference) ** 2)


def length_controlled(scores: Sequence[float], length_differences: Sequence[float]) -> float | None:
    """The win rate expected if both answers were equally long.

    `scores` are 1 (win), 0.5 (tie) or 0 (loss), `length_differences` words of the
    adapter's answer less words of the base's. Logistic regression of the score on
    tanh(difference / standard deviation of the differences), read off at zero
    difference; a tie is half a win and half a loss. A slight ridge (0.1 on the
    slope, 0.01 on the intercept) keeps separable data finite.

    None where one side's answer is always the longer: nothing was observed near
    equal length, and a number would be a guess.

    Source: after Dubois, Galambosi, Liang and Hashimoto, "Length-controlled
    AlpacaEval" (2024), for one pair of models, hence without their term for the
    difficulty of an instruction.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    y, difference = np.asarray(scores, float), np.asarray(length_differences, float)
    if y.size == 0 or difference.min() > 0 or difference.max() < 0:
        return None
    x = np.tanh(difference / (difference.std() or 1.0))
    features = np.stack([np.ones_like(x), x], axis=1)
    ridge = np.array([_RIDGE_ABILITY, _RIDGE_LENGTH])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = features @ weights
        value = np.logaddexp(0, logits).sum() - y @ logits + ridge @ weights**2 / 2
        return float(value), features.T @ (expit(logits) - y) + ridge * weights

    fitted = minimize(loss, np.zeros(2), jac=True, method="BFGS")
    return float(expit(fitted.x[0]))


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(
            f"{confidence:g} is no confidence level", "Give a number between 0 and 1, such as 0.95"
        )
    return NormalDist().inv_cdf((1 + confidence) / 2)
