"""The judgements behind a dataset: what kinds they were, and whether position decided them.

A rater who looks at answers side by side may favour the one shown first. Order
is shuffled, so that the earlier and the later shown should win equally often. What
position bias is, and its interval, are those of raters/habits.py. This module knows
nothing about pairs or texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.ratings import ORDERS, check, not_undone, standing
from workbench.records import CandidateSet, Rating


@dataclass(frozen=True)
class Position:
    """How often the answer shown earlier won, over all raters of one kind.

    Of `n` pairs of answers of which one won, `first` were won by the one shown
    earlier; `share` is first / n, `low` and `high` are its 95 % interval, for which
    the pairs of one candidate set are not independent (habits.position_bias). An
    interval without 0.5 says that position mattered.
    """

    judge: str
    n: int
    first: int
    share: float
    low: float
    high: float

    @property
    def biased(self) -> bool:
        """Whether the interval leaves out one half."""
        return self.low > 0.5 or self.high < 0.5


@dataclass(frozen=True)
class Judgements:
    """Standing judgements by what they said, and those that fit no answer.

    `decided` are rankings and choices that preferred an answer, `ties` those that
    preferred none, `both_bad` those that found none good. `marks` are thumbs and
    stars. `set_aside` counts ratings that can't be used (`ratings.check` says why).
    """

    decided: int
    ties: int
    both_bad: int
    skips: int
    marks: int
    corrections: int
    set_aside: int
    positions: tuple[Position, ...]


def judgements(candidate_sets: Iterable[CandidateSet], ratings: Sequence[Rating]) -> Judgements:
    """The numbers of ratings as their journal has them, for `write` and its audit.

    Give all of them, unchecked: those that passed `ratings.check` have none to set
    aside. As in `raters.summary`, position is told from every comparison that nobody
    took back, repeats included.
    """
    checked = check(ratings, candidate_sets)
    counted = standing(checked.good)
    kinds = Counter(_kind(rating) for rating in counted)
    return Judgements(
        decided=kinds["decided"],
        ties=kinds["tie"],
        both_bad=kinds["both bad"],
        skips=kinds["skip"],
        marks=kinds["thumbs"] + kinds["stars"],
        corrections=kinds["correction"],
        set_aside=len(checked.aside),
        positions=tuple(_positions(not_undone(checked.good))),
    )


def _kind(rating: Rating) -> str:
    if rating.kind not in ORDERS:
        return rating.kind
    if rating.both_bad:
        return "both bad"
    return "decided" if len([group for group in rating.ranking if group]) > 1 else "tie"


def _positions(ratings: Sequence[Rating]) -> Iterator[Position]:
    """One for each kind of rater that preferred an answer."""
    from workbench.raters.habits import position_bias  # numpy, for those who ask for figures

    judges = [rating.rater.partition(":")[0] for rating in ratings]
    for judge in sorted(set(judges)):
        of_kind = [rating for rating, by in zip(ratings, judges, strict=True) if by == judge]
        wins = position_bias(of_kind).earlier
        if wins.value is not None and wins.low is not None and wins.high is not None:
            first = round(wins.value * wins.n)
            yield Position(judge, wins.n, first, wins.value, wins.low, wins.high)
