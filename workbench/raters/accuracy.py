"""How often each rater is right, without knowing who is.

    accuracies(said, seed=0)

Three raters who judge the same pairs give each other away: who agrees with both of
the others is likelier right than who agrees with neither. This stands on their
mistakes being independent; raters who share a bias look more accurate than they
are. Knows nothing about who the raters are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.raters.estimates import Estimate, bootstrapped, resamples, unknown
from workbench.raters.outcomes import Outcome, Outcomes, Pair, raters_of

_VOTE = {"first": 1, "second": -1}
_PRIOR = 1.0
"""Judgements right, and as many wrong, that the prior counts as seen: Beta(2, 2)."""
_STEPS = 1000
_CHUNKS = 20  # resamples are fitted in so many parts, which bounds the memory
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Accuracies:
    """What agreement alone tells of raters and pairs."""

    raters: Mapping[str, Estimate]
    """Rater -> probability of preferring the truly better answer; n counts decided pairs."""
    first_is_better: Mapping[Pair, float]
    """Pair -> probability that its first answer is the better, given all who can be judged."""


def accuracies(outcomes: Outcomes, *, seed: int) -> Accuracies:
    """The one-coin model of Dawid and Skene, fitted by EM to the pairs that raters decided.

    Of each pair one answer is truly better, either with prior probability 1/2. A
    rater names it with a probability of their own, the same for all pairs, whatever
    the others say. Ties and "both bad" are left out. The prior of an accuracy is
    Beta(2, 2), as if one right and one wrong judgement had been seen: so even a rater
    who never errs stays below 1. Intervals are percentile bootstraps over sets.

    Turning every answer and every rater into their opposite fits equally well. Of
    the two solutions the one is taken in which judgements are more often right than
    wrong; a single rater may still be below 1/2, who then prefers the worse.

    Two raters can't be told apart: their one agreement is the product of two
    unknowns. A rater has no estimate unless raters linked by common pairs form
    an odd cycle, such as three who all met.

    Source: Dawid and Skene, "Maximum likelihood estimation of observer error-rates
    using the EM algorithm", Applied Statistics 28 (1979), 20-28.
    """
    from scipy.sparse import csr_array

    votes = {pair: _votes(said) for pair, said in outcomes.items()}
    raters = sorted(_identified(votes.values()))
    estimates = dict.fromkeys(
        raters_of(outcomes), unknown("needs three raters who judged the same pairs")
    )
    if not raters:
        return Accuracies(estimates, {})
    pairs = [pair for pair, cast in votes.items() if not cast.keys().isdisjoint(raters)]
    matrix = np.array([[votes[pair].get(rater, 0) for rater in raters] for pair in pairs])
    patterns, pattern, sign = _patterns(matrix)
    sets, place = np.unique([pair.candidate_set for pair in pairs], return_inverse=True)
    by_set = csr_array((np.ones(len(pairs)), (place, pattern)), shape=(len(sets), len(patterns)))
    [fitted] = _fit(patterns, by_set.sum(axis=0)[None, :])
    drawn = np.array_split(resamples(len(sets), seed), _CHUNKS)
    resampled = np.concatenate([_fit(patterns, some @ by_set) for some in drawn])
    for i, rater in enumerate(raters):
        took_part = np.flatnonzero(matrix[:, i])
        estimates[rater] = bootstrapped(
            float(fitted[i]),
            resampled[:, i],
            n=len(took_part),
            sets=len(np.unique(place[took_part])),
        )
    belief = _belief(patterns, fitted)[pattern]
    belief = np.where(sign > 0, belief, 1 - belief)
    return Accuracies(estimates, dict(zip(pairs, belief.tolist(), strict=True)))


def _votes(said: Mapping[str, Outcome]) -> dict[str, int]:
    """Rater -> 1 for the first answer, -1 for the second; ties are no votes."""
    return {rater: _VOTE[outcome] for rater, outcome in said.items() if outcome in _VOTE}


def _fit(patterns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Accuracies [resamples, raters] of votes [patterns, raters] that occur `weights` times,
    [resamples, patterns].

    A vote is 1 for the first answer, -1 for the second, 0 for none. Starts from the
    majority's opinion. NaN for a rater without a vote.
    """
    cast = weights @ np.abs(patterns)
    belief = np.broadcast_to(_majority(patterns), weights.shape)
    accuracy = np.full(cast.shape, 0.5)
    for _ in range(_STEPS):
        right = cast / 2 + (weights * (belief - 0.5)) @ patterns
        before, accuracy = accuracy, (right + _PRIOR) / (cast + 2 * _PRIOR)
        if np.abs(accuracy - before).max() < _TOLERANCE:
            break
        belief = _belief(patterns, accuracy)
    mostly_right = (cast * (accuracy - 0.5)).sum(axis=1, keepdims=True) >= 0
    return np.where(cast > 0, np.where(mostly_right, accuracy, 1 - accuracy), np.nan)


def _belief(patterns: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Probability that the first answer is better, [..., patterns], by Bayes' rule."""
    from scipy.special import expit, logit

    return np.asarray(expit(logit(accuracy) @ patterns.T))


def _majority(patterns: np.ndarray) -> np.ndarray:
    """Share of the votes for the first answer, [patterns]."""
    return 0.5 + patterns.sum(axis=1) / (2 * np.abs(patterns).sum(axis=1))


def _patterns(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes [pairs, raters] -> the different rows, which of them each pair has, and its sign.

    A row and its opposite say the same with the answers exchanged, and are one row here.
    """
    lead = votes[np.arange(len(votes)), (votes != 0).argmax(axis=1)]
    rows, inverse = np.unique(votes * lead[:, None], axis=0, return_inverse=True)
    return rows, inverse.ravel(), lead


def _identified(votes: Iterable[Mapping[str, int]]) -> set[str]:
    """Raters whose part of the graph "decided a pair together" has an odd cycle.

    There log(2 a - 1) of all raters follows from its sums along the edges; in a
    bipartite part one side can be raised and the other lowered without notice.
    """
    met: dict[str, set[str]] = defaultdict(set)
    for said in votes:
        for a, b in combinations(said, 2):
            met[a].add(b)
            met[b].add(a)
    known: set[str] = set()
    side: dict[str, bool] = {}
    for start in met:
        if start in side:
            continue
        side[start], part, odd, queue = True, {start}, False, deque([start])
        while queue:
            here = queue.popleft()
            for there in met[here]:
                if there not in side:
                    side[there] = not side[here]
                    part.add(there)
                    queue.append(there)
                odd = odd or side[there] == side[here]
        known |= part if odd else set()
    return known
