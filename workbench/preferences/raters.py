"""The judgements behind a dataset: what kinds they were, and whether position decided them.

A rater who looks at answers side by side may favour the one shown first. Order
is shuffled, so that the first and the last shown should win equally often. This
module knows nothing about pairs or texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from workbench.ratings import ORDERS, check, standing
from workbench.records import CandidateSet, Rating


@dataclass(frozen=True)
class Position:
    """How often one kind of rater put the answer shown first above the one shown last.

    Of `n` judgements that preferred one of the two (with two answers: that are no
    tie), in `first` the one shown first was better; `share` is first / n, `low`
    and `high` are its 95 % Wilson score interval. An interval without 0.5 says
    that position mattered.
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
    """The numbers of the ratings that `build` is given, for `write` and its audit."""
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
        positions=_positions(rating for rating in counted if _kind(rating) == "decided"),
    )


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share of `n` > 0 independent trials.

    With z the normal quantile and p = successes / n: (p + z²/2n -+
    z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n).

    Source: Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, scale = successes / n, 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    reach = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / scale
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _kind(rating: Rating) -> str:
    if rating.kind not in ORDERS:
        return rating.kind
    if rating.both_bad:
        return "both bad"
    return "decided" if len([group for group in rating.ranking if group]) > 1 else "tie"


def _positions(decided: Iterable[Rating]) -> tuple[Position, ...]:
    outcomes: dict[str, Counter[bool]] = {}
    for rating in decided:
        rank = {id: place for place, group in enumerate(rating.ranking) for id in group}
        first, last = (rank.get(rating.shown[end]) for end in (0, -1))
        if first is not None and last is not None and first != last:
            judge = rating.rater.partition(":")[0]
            outcomes.setdefault(judge, Counter())[first < last] += 1
    return tuple(
        Position(judge, n, count[True], count[True] / n, *wilson(count[True], n))
        for judge, count in sorted(outcomes.items())
        for n in [count.total()]
    )
