"""How votes that disagree become one judgement, by a rule that is stated with the data.

"majority" counts the votes on each pair alone. "bradley-terry" fits one strength
per answer to the votes on all pairs of a candidate set, so that what raters said
of other pairs helps to settle this one. In both, a person is never outvoted by
models or rules, however many: where a person judged a pair, they have no vote on it
(see votes.py), and between answers that people compared, also in a chain, strengths
are those of people's votes alone. This module knows nothing about texts or files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from workbench.errors import InputError
from workbench.preferences.votes import Votes, is_person

Strategy = Literal["best-vs-worst", "all"]
Resolve = Literal["majority", "bradley-terry"]

MARGIN = 0.2
"""Least difference of strengths, in log-odds: the better one wins in 55 % of judgements."""
_PRIOR = 0.1
_MOST_TRUSTED = 0.99


@dataclass(frozen=True)
class Rule:
    """Which pairs were taken and how conflicts were resolved; None where that is not known.

    `margin` is of "bradley-terry" only. `trust` is the accuracy of raters whose
    votes were weighted by it. Raises InputError for an unknown name, a margin
    that is not above 0 and a trust outside (0.5, 1].
    """

    strategy: Strategy | None = None
    resolve: Resolve | None = None
    margin: float | None = None
    trust: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, name, known in (
            ("strategy", self.strategy, get_args(Strategy)),
            ("way to resolve conflicts", self.resolve, get_args(Resolve)),
        ):
            if name is not None and name not in known:
                raise InputError(f"There is no {what} {name!r}", f"Use one of {', '.join(known)}")
        if self.margin is not None and not 0 < self.margin < math.inf:
            raise InputError(
                f"A margin of {self.margin} tells no answers apart", "Give a number above 0"
            )
        for rater, accuracy in self.trust.items():
            if not 0.5 < accuracy <= 1:
                raise InputError(
                    f"The accuracy {accuracy} of {rater} is not above 0.5 and at most 1",
                    "Give the share of right judgements, or leave the rater's judgements out",
                )

    def power(self, rater: str) -> float:
        """What a rater's vote counts: ln(p / (1 - p)) of the accuracy p, at most that of 0.99.

        A rater who is not named in `trust` counts 1, as everyone does without it;
        that is an accuracy of 0.73. Log-odds are the weights under which a vote of
        independent raters is most likely right: Nitzan and Paroush, "Optimal
        decision rules in uncertain dichotomous choice situations" (1982).
        """
        if rater not in self.trust:
            return 1.0
        accuracy = min(self.trust[rater], _MOST_TRUSTED)
        return math.log(accuracy / (1 - accuracy))


@dataclass(frozen=True)
class Decision:
    """The better answer of a pair, and how far the raters agreed, above 0 and at most 1."""

    winner: str
    weight: float


def decide(votes: Mapping[frozenset[str], Votes], rule: Rule) -> dict[frozenset[str], Decision]:
    """The pairs of one candidate set on which there is a decision.

    By majority, the weight is (votes for - votes against) / votes given, where a
    tie is a vote given for neither. By Bradley-Terry strengths a and b it is
    tanh((a - b) / 2), which is that same number as the model expects it:
    P(a wins) - P(b wins); pairs closer than the margin are undecided, and so is
    one whose strengths contradict everyone who judged the two.

    Strengths are fitted twice where a person judged: to people's votes, which decide
    every pair whose two answers those votes connect (a with b and b with c connect
    a with c), and to all votes, which decide the others. So models and rules neither
    turn a person's pair nor change its weight, whatever they say of other pairs; and
    where they alone judged a pair that people's votes connect, it is decided if
    people's strengths agree with one of them.
    """
    leanings = _strength_leanings if rule.resolve == "bradley-terry" else _majority_leanings
    decisions = {}
    for pair, (first, leaning) in leanings(votes, rule).items():
        winner = first if leaning > 0 else next(id for id in pair if id != first)
        sided = any(vote.winner == winner for vote in votes[pair].values())
        # Rounded so that no version of a linear algebra library can name another dataset.
        weight = round(abs(leaning), 4)
        if weight and sided:
            decisions[pair] = Decision(winner, weight)
    return decisions


def tally(votes: Votes, winner: str, rule: Rule) -> tuple[float, float, float]:
    """Power of the votes for `winner`, against it, and of all; whatever the order of raters."""
    powers = {True: [0.0], False: [0.0], None: [0.0]}
    for rater, vote in votes.items():
        powers[None if vote.winner is None else vote.winner == winner].append(rule.power(rater))
    ahead, against, neither = (math.fsum(powers[side]) for side in (True, False, None))
    return ahead, against, math.fsum((ahead, against, neither))


def _majority_leanings(
    votes: Mapping[frozenset[str], Votes], rule: Rule
) -> dict[frozenset[str], tuple[str, float]]:
    leanings = {}
    for pair, of_pair in votes.items():
        first = min(pair)
        ahead, against, given = tally(of_pair, first, rule)
        leanings[pair] = (first, (ahead - against) / given)
    return leanings


def _strength_leanings(
    votes: Mapping[frozenset[str], Votes], rule: Rule
) -> dict[frozenset[str], tuple[str, float]]:
    from scipy.cluster.hierarchy import DisjointSet

    by_people = {pair: of_pair for pair, of_pair in votes.items() if any(map(is_person, of_pair))}
    compared = DisjointSet({id for pair in votes for id in pair})
    for pair in by_people:
        compared.merge(*pair)
    of_people = strengths(by_people, rule)
    of_all = of_people if len(by_people) == len(votes) else strengths(votes, rule)
    margin = MARGIN if rule.margin is None else rule.margin
    leanings = {}
    for pair in votes:
        first, second = sorted(pair)
        strength = of_people if compared.connected(first, second) else of_all
        difference = strength[first] - strength[second]
        if abs(difference) >= margin:
            leanings[pair] = (first, math.tanh(difference / 2))
    return leanings


def strengths(votes: Mapping[frozenset[str], Votes], rule: Rule) -> dict[str, float]:
    """Bradley-Terry strength of each answer, in log-odds, from votes on pairs; a tie is half.

    Fitted by choix (iterative Luce spectral ranking) with 0.1 added to each rate of
    its Markov chain: a regularisation that keeps undisputed answers finite. One
    undisputed vote gives a difference of 1.8, two to one gives 0.6.

    Source: Maystre and Grossglauser, "Fast and accurate inference of
    Plackett-Luce models" (2015).
    """
    ids = sorted({id for pair in votes for id in pair})
    if not ids:
        return {}
    import choix
    import numpy as np

    wins = np.zeros((len(ids), len(ids)))
    for pair, of_pair in votes.items():
        first, second = sorted(pair)
        i, j = ids.index(first), ids.index(second)
        ahead, against, given = tally(of_pair, first, rule)
        half = max(0.0, given - ahead - against) / 2
        wins[i, j], wins[j, i] = ahead + half, against + half
    try:
        fitted = choix.ilsr_pairwise_dense(wins, alpha=_PRIOR, max_iter=10_000)
    except RuntimeError as error:
        raise InputError(
            f"Bradley-Terry strengths of {len(ids)} answers could not be fitted: {error}",
            'Resolve conflicts by "majority"',
        ) from error
    return dict(zip(ids, map(float, fitted), strict=True))
