"""A number with its interval, or the reason why there is none.

Answers of one candidate set are judged together: their pairs depend on each other.
Every interval here therefore counts candidate sets, not pairs, as the independent
units. This module knows nothing about ratings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 1000
_FEWEST_SETS = 5
"""A bootstrap over fewer has too few different resamples to say anything."""
_MOST_UNDEFINED = 0.1


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval from `n` observations.

    None stands for what can't be told, never NaN; `why` then gives the reason.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""

    def __str__(self) -> str:
        """In words, for tables: the value with its interval, or why there is none."""
        if self.value is None:
            return f"not known: {self.why}"
        if self.low is None or self.high is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def unknown(why: str, n: int = 0) -> Estimate:
    """No estimate, and the reason."""
    return Estimate(None, None, None, n, why)


def resamples(sets: int, seed: int) -> np.ndarray:
    """How often each set is drawn in each bootstrap resample, float64 [RESAMPLES, sets]."""
    random = np.random.default_rng(seed)
    return random.multinomial(sets, np.full(sets, 1 / sets), size=RESAMPLES).astype(float)


def bootstrapped(value: float, resampled: np.ndarray, *, n: int, sets: int) -> Estimate:
    """`value` with the percentiles of `resampled` [RESAMPLES] as its interval.

    NaN marks a resample in which the value is not defined; those are left out.
    Without bounds when there are fewer than 5 sets, or when more than a tenth of the
    resamples are undefined.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if sets < _FEWEST_SETS:
        return Estimate(value, None, None, n, f"no interval from fewer than {_FEWEST_SETS} sets")
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(resampled):
        return Estimate(value, None, None, n, "no interval: most resamples leave it undefined")
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), n)


def share(hits: Sequence[float], totals: Sequence[float], *, why: str) -> Estimate:
    """The share sum(hits) / sum(totals), given both per candidate set; `why` there may be none.

    Its bounds are Clopper and Pearson's for the effective number of observations,
    p (1 - p) / v, where v is the variance of the share between sets; where all hit
    or none does, that number is the number of sets. With one observation a set
    this is close to the plain exact interval.

    Source: Korn and Graubard, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data", Survey
    Methodology 24 (1998), 193-201.
    """
    from scipy.stats import beta

    x, m = np.asarray(hits, float), np.asarray(totals, float)
    x, m = x[m > 0], m[m > 0]
    n, sets = int(m.sum()), len(m)
    if n == 0:
        return unknown(why)
    p = float(x.sum() / n)
    effective = float(sets)
    if 0 < p < 1 and sets > 1:
        variance = sets / (sets - 1) * float(((x - p * m) ** 2).sum()) / n**2
        effective = min(float(n), p * (1 - p) / variance) if variance else float(n)
    tail = (1 - CONFIDENCE) / 2
    successes, failures = p * effective, (1 - p) * effective
    low = float(beta.ppf(tail, successes, failures + 1)) if p > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, failures)) if p < 1 else 1.0
    return Estimate(p, low, high, n)
