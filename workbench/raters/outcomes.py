"""What each rater said of each pair of answers, whichever way they were asked.

A pairwise choice is one pair, a ranking of n answers is n (n - 1) / 2 of them. An
outcome names the answers by their ids and not by their place on the screen. This
module knows nothing about statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias, get_args

from workbench.ratings import ORDERS
from workbench.records import Rating, content_id

Outcome = Literal["first", "second", "tie", "both bad"]

OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Pair:
    """Two answers of one candidate set.

    Which is called first follows from a hash: neither a model nor a seed has a
    fixed side, so that chance gives either side the same share.
    """

    candidate_set: str
    first: str
    second: str


@dataclass(frozen=True)
class Choice:
    """What one rating says of two answers; `earlier` was shown before `later`.

    `winner` is one of the two ids, None where they are tied or both bad.
    """

    earlier: str
    later: str
    winner: str | None
    both_bad: bool = False


Outcomes: TypeAlias = Mapping[Pair, Mapping[str, Outcome]]
"""Pair -> rater -> outcome."""


def choices(rating: Rating) -> list[Choice]:
    """The pairs that a pairwise choice or a ranking decides; none for other kinds.

    Answers that were shown and not ranked say nothing, unless all were called bad.
    """
    if rating.kind not in ORDERS:
        return []
    rank = {id: i for i, group in enumerate(rating.ranking) for id in group}
    shown = dict.fromkeys(rating.shown)
    pairs = combinations(shown if rating.both_bad else (id for id in shown if id in rank), 2)
    if rating.both_bad:
        return [Choice(a, b, None, both_bad=True) for a, b in pairs]
    return [
        Choice(a, b, None if rank[a] == rank[b] else min(a, b, key=rank.__getitem__))
        for a, b in pairs
    ]


def outcomes(ratings: Iterable[Rating]) -> Outcomes:
    """Each rater's last word on each pair. `ratings` are those that stand, oldest first."""
    said: dict[Pair, dict[str, Outcome]] = {}
    pairs: dict[tuple[str, str, str], Pair] = {}
    for rating in ratings:
        for choice in choices(rating):
            a, b = sorted((choice.earlier, choice.later))
            key = (rating.candidate_set, a, b)
            if key not in pairs:
                swap = int(content_id("sides", *key, length=1), 16) % 2
                pairs[key] = Pair(rating.candidate_set, *((b, a) if swap else (a, b)))
            said.setdefault(pairs[key], {})[rating.rater] = _outcome(choice, pairs[key])
    return said


def raters_of(outcomes: Outcomes) -> tuple[str, ...]:
    """Everyone who compared something, by name."""
    return tuple(sorted({rater for said in outcomes.values() for rater in said}))


def _outcome(choice: Choice, pair: Pair) -> Outcome:
    if choice.winner is None:
        return "both bad" if choice.both_bad else "tie"
    return "first" if choice.winner == pair.first else "second"
