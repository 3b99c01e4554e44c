"""How far raters agree on pairs of answers, beyond what chance would give.

    said = outcomes(ratings.standing(checked.good))
    alpha(said, seed=0)                # Krippendorff's, over all raters
    kappas(said, seed=0)               # Cohen's, for each two raters
    ceiling(decided_agreement(said, seed=0))

An outcome is nominal: the first answer, the second, a tie, or both bad. Intervals
are percentile bootstraps over candidate sets. Agreement is no accuracy: raters who
share a mistake agree. Knows nothing about who the raters are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from workbench.raters.estimates import Estimate, bootstrapped, resamples, unknown
from workbench.raters.outcomes import OUTCOMES, Outcomes, Pair, raters_of

_CODE = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_K = len(OUTCOMES)


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of two raters, with the share of pairs on which they agree."""

    raters: tuple[str, str]
    kappa: Estimate
    agreement: Estimate


def alpha(outcomes: Outcomes, *, seed: int) -> Estimate:
    """Krippendorff's alpha of nominal outcomes, over all raters; `n` counts pairs judged by two.

    With o[c, k] the coincidences of outcomes c and k (each ordered couple of
    judgements of a pair that m raters judged weighs 1 / (m - 1)), n[c] their sums and
    n the total: alpha = 1 - (n - 1) sum(o[c, k], c != k) / sum(n[c] n[k], c != k).
    1 is full agreement, 0 that of chance. A pair that one rater judged says nothing.

    Source: Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).
    """
    shared = {pair: said for pair, said in outcomes.items() if len(said) > 1}
    if not shared:
        return unknown(_no_overlap(outcomes))
    counts = np.zeros((len(shared), _K))
    for row, said in zip(counts, shared.values(), strict=True):
        np.add.at(row, [_CODE[outcome] for outcome in said.values()], 1)
    couples = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(_K)
    coincidences = couples / (counts.sum(axis=1) - 1)[:, None, None]
    tables = _Tables.of(outcomes, seed)
    return tables.estimate(_alpha, list(shared), coincidences)


def kappas(outcomes: Outcomes, *, seed: int) -> tuple[Kappa, ...]:
    """Cohen's kappa of each two raters; `n` counts the pairs that both judged.

    kappa = (p - e) / (1 - e), with p the share of equal outcomes and e that expected
    of two raters who keep their own shares of outcomes and judge independently.

    Source: Cohen, "A coefficient of agreement for nominal scales", Educational and
    Psychological Measurement 20 (1960), 37-46.
    """
    couples = list(combinations(raters_of(outcomes), 2))
    if not couples:
        return ()
    tables = _Tables.of(outcomes, seed)
    return tuple(_kappa_of(tables, outcomes, a, b) for a, b in couples)


def decided_agreement(outcomes: Outcomes, *, seed: int) -> Estimate:
    """How often two raters who both preferred an answer preferred the same one.

    Over all couples of raters and pairs; ties are left out, so that chance gives one
    half. `n` counts the pairs.
    """
    tables = {}
    for pair, said in outcomes.items():
        count = Counter(said.values())
        first, second = count["first"], count["second"]
        if first + second > 1:
            tables[pair] = np.zeros((_K, _K))
            tables[pair][:2, :2] = [[comb(first, 2), first * second], [0, comb(second, 2)]]
    if not tables:
        return unknown("no pair was decided by two raters")
    return _Tables.of(outcomes, seed).estimate(_raw, list(tables), np.array([*tables.values()]))


def ceiling(agreement: Estimate) -> Estimate:
    """The highest win rate that such raters can show, even for a perfect adapter.

    Let each of two raters prefer the truly better answer with probability a,
    independently of the other. They agree when both are right or both are wrong:
    p = a^2 + (1 - a)^2, hence a = (1 + sqrt(2 p - 1)) / 2. Where the adapter's answer
    is always the better one, a rater says so with probability a: that is the win
    rate measured, ties aside. `agreement` is p, from `decided_agreement`.

    None where p is below one half: no such a exists. Raters whose mistakes go
    together agree more than this, and their true ceiling is lower.
    """
    p = agreement.value
    if p is None:
        return unknown(agreement.why, agreement.n)
    if p < 0.5:
        return unknown("the raters agree less often than two coins would", agreement.n)
    low, high = agreement.low, agreement.high
    return Estimate(
        _accuracy(p),
        None if low is None else _accuracy(low),
        None if high is None else _accuracy(high),
        agreement.n,
        agreement.why,
    )


def _accuracy(agreement: float) -> float:
    return (1 + math.sqrt(max(0.0, 2 * agreement - 1))) / 2


def _kappa_of(tables: _Tables, outcomes: Outcomes, a: str, b: str) -> Kappa:
    both = {pair: said for pair, said in outcomes.items() if a in said and b in said}
    if not both:
        none = unknown("they judged no pair in common")
        return Kappa((a, b), none, none)
    cells = _cells([(_CODE[said[a]], _CODE[said[b]]) for said in both.values()])
    return Kappa(
        (a, b),
        tables.estimate(_kappa, list(both), cells),
        tables.estimate(_raw, list(both), cells),
    )


@dataclass(frozen=True)
class _Tables:
    """Adds up tables of outcomes by candidate set, and over each bootstrap resample of sets."""

    place: Mapping[str, int]
    drawn: np.ndarray

    @classmethod
    def of(cls, outcomes: Outcomes, seed: int) -> _Tables:
        sets = sorted({pair.candidate_set for pair in outcomes})
        return cls({id: place for place, id in enumerate(sets)}, resamples(len(sets), seed))

    def estimate(
        self, statistic: Callable[[np.ndarray], np.ndarray], pairs: list[Pair], tables: np.ndarray
    ) -> Estimate:
        """`statistic` of the sum of `tables` [pairs, K, K], with its interval."""
        at = [self.place[pair.candidate_set] for pair in pairs]
        by_set = np.zeros((len(self.place), _K, _K))
        np.add.at(by_set, at, tables)
        n = len(pairs)
        value = float(statistic(by_set.sum(axis=0)))
        if math.isnan(value):
            return unknown("every outcome is the same: chance alone would agree as well", n)
        resampled = statistic(np.tensordot(self.drawn, by_set, axes=1))
        return bootstrapped(value, resampled, n=n, sets=len(set(at)))


def _cells(codes: list[tuple[int, int]]) -> np.ndarray:
    """One table [K, K] per couple of outcomes, with a 1 in its cell."""
    tables = np.zeros((len(codes), _K, _K))
    first, second = np.array(codes).T
    tables[np.arange(len(codes)), first, second] = 1
    return tables


def _alpha(coincidences: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha of coincidences [..., K, K]; NaN where there is one outcome only."""
    sums = coincidences.sum(axis=-1)
    n = sums.sum(axis=-1)
    observed = n - np.trace(coincidences, axis1=-2, axis2=-1)
    expected = n**2 - (sums**2).sum(axis=-1)
    return 1 - (n - 1) * _ratio(observed, expected)


def _kappa(tables: np.ndarray) -> np.ndarray:
    """Cohen's kappa of tables [..., K, K]; NaN where both raters have one outcome only."""
    n = tables.sum(axis=(-2, -1))
    equal = np.trace(tables, axis1=-2, axis2=-1)
    chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1)
    return _ratio(n * equal - chance, n**2 - chance)


def _raw(tables: np.ndarray) -> np.ndarray:
    """The share of equal outcomes in tables [..., K, K]."""
    return _ratio(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)))


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, NaN where b is 0."""
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) > 0)


def _no_overlap(outcomes: Outcomes) -> str:
    if len(raters_of(outcomes)) < 2:
        return "fewer than two raters compared answers"
    return "no pair was judged by two raters"
