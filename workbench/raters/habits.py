"""What a rater's own ratings tell about the rater: consistency, position bias, pace.

Nothing is left out of a dataset because of it: these are facts for people to look
at. Knows nothing about other raters, nor about which answer is better.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from workbench.raters.both_orders import sides
from workbench.raters.estimates import Estimate, share
from workbench.raters.outcomes import Choice, choices
from workbench.ratings import ORDERS, subjects
from workbench.records import CandidateSet, Rating

FASTEST_READER = 1000
"""Words a minute. Nobody reads faster with understanding; most adults read 175 to 300.
Sources: Rayner, Schotter, Masson, Potter and Treiman, "So much to read, so little time",
Psychological Science in the Public Interest 17 (2016), 4-34; Brysbaert, "How many words do we
read per minute?", Journal of Memory and Language 109 (2019), 104047."""

_OUTLIER = 3.5
"""Modified z-score: Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993)."""
_FEWEST_PACED = 10
_MAD_TO_SIGMA = 1.4826
_SHORTEST = 1e-3  # seconds; a clock that did not move still has a logarithm
_PACED = (*ORDERS, "thumbs", "stars")


@dataclass(frozen=True)
class PositionBias:
    """How often the answer shown earlier won.

    `earlier` counts pairs of different worth, `n` of them, that the answer shown
    earlier (further left) won. `p` is the probability of sets leaning to one side
    at least as unevenly, were there no bias; None without a set that leans.
    """

    earlier: Estimate
    p: float | None

    @property
    def biased(self) -> bool:
        """Whether the interval leaves out one half."""
        low, high = self.earlier.low, self.earlier.high
        return low is not None and high is not None and not low <= 0.5 <= high


@dataclass(frozen=True)
class TooFast:
    """A rating to look at: `words` were shown and judged in `seconds`."""

    rating: str
    seconds: float
    words: int
    reason: str


def consistency(ratings: Iterable[Rating]) -> Estimate:
    """The share of pairs that one rater, asked again, judged the same.

    `ratings` are one rater's that nobody took back, oldest first. Compared are, pair by
    pair, a rating that `repeats` another with what the rater had last said to that
    question by then, and the two orders in which a model judge is asked. A tie is the
    same as a tie only; a skip, and a rating that repeats itself, are compared with
    nothing.
    """
    by_id = {rating.id: rating for rating in ratings}
    hits: dict[str, int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    stood: dict[object, Rating] = {}
    for rating in by_id.values():
        first = by_id.get(rating.repeats or rating.id, rating)
        # Of two doors whose clocks differ the repeat may come before its first.
        before = stood.get(subjects(first)[0], first)
        for same in _asked_again(rating, None if first is rating else before):
            hits[rating.candidate_set] += same
            totals[rating.candidate_set] += 1
        stood.update(dict.fromkeys(subjects(rating), rating))
    return share(list(hits.values()), list(totals.values()), why="nothing was asked twice")


def position_bias(ratings: Iterable[Rating]) -> PositionBias:
    """Whether a rater, or several as one, prefers what is shown first.

    `ratings` are those that nobody took back, repeats included. Counted are all
    pairs of a rating in which one answer won: in a ranking the pairs within it, won
    by the earlier-shown or by the later-shown answer; of a model judge's question
    both orders. Without bias half are won by the earlier.

    Pairs of one set depend on each other, so `p` is an exact two-sided sign test over
    sets: how many have more pairs won by the earlier than by the later. With one
    pair a set this is the exact binomial test. What several raters say of one set
    depends on each other too, since they judge the same answers.
    """
    from scipy.stats import binomtest

    earlier: dict[str, int] = defaultdict(int)
    decided: dict[str, int] = defaultdict(int)
    for rating in {(rating.rater, rating.id): rating for rating in ratings}.values():
        for choice in _shown(rating):
            if choice.winner is not None:
                earlier[rating.candidate_set] += choice.winner == choice.earlier
                decided[rating.candidate_set] += 1
    leans = [2 * earlier[id] - n for id, n in decided.items()]
    left, right = sum(lean > 0 for lean in leans), sum(lean < 0 for lean in leans)
    p = float(binomtest(left, left + right).pvalue) if left + right else None
    wins = share([earlier[id] for id in decided], list(decided.values()), why="nothing was decided")
    return PositionBias(wins, p)


def too_fast(
    ratings: Iterable[Rating], candidate_sets: Mapping[str, CandidateSet]
) -> tuple[TooFast, ...]:
    """One rater's judgements that were quicker than reading, or than this rater's own pace.

    Quicker than reading: more than `FASTEST_READER` words of the shown answers a
    minute; words are split at white space, so that languages without it are never
    flagged. Quicker than the rater's own pace: the logarithm of the seconds lies more
    than 3.5 robust standard deviations (1.4826 times the median absolute deviation)
    below its median, among ratings of the same kind; judged from 10 timed ones on.
    A glance can be enough where an answer is empty: look at these, don't drop them.
    """
    by_kind: dict[str, list[tuple[Rating, float]]] = defaultdict(list)
    for rating in ratings:
        if rating.kind in _PACED and rating.seconds is not None and rating.seconds >= 0:
            by_kind[rating.kind].append((rating, rating.seconds))
    flagged = []
    for timed in by_kind.values():
        usual = _least_usual([seconds for _, seconds in timed])
        for rating, seconds in timed:
            words = _words_shown(rating, candidate_sets)
            if words > FASTEST_READER / 60 * seconds:
                reason = f"faster than {FASTEST_READER} words a minute"
            elif seconds < usual:
                reason = "far below this rater's own pace"
            else:
                continue
            flagged.append(TooFast(rating.id, seconds, words, reason))
    return tuple(flagged)


def _asked_again(rating: Rating, before: Rating | None) -> Iterator[bool]:
    """For each pair that was asked twice: whether the outcome is the same."""
    if (preferred := sides(rating)) is not None:
        yield preferred[0] == preferred[1]
    if before is None:
        return
    then, now = ({frozenset({c.earlier, c.later}): c for c in choices(r)} for r in (before, rating))
    for pair in then.keys() & now.keys():
        one, other = then[pair], now[pair]
        yield (one.winner, one.both_bad) == (other.winner, other.both_bad)


def _shown(rating: Rating) -> Sequence[Choice]:
    """The choices as they were asked."""
    if (preferred := sides(rating)) is None:
        return choices(rating)
    left, right = rating.shown
    return [Choice(left, right, preferred[0]), Choice(right, left, preferred[1])]


def _least_usual(seconds: Sequence[float]) -> float:
    """Fewer seconds are an outlier; 0 where there are too few values, or too equal ones."""
    logs = [math.log(max(value, _SHORTEST)) for value in seconds]
    if len(logs) < _FEWEST_PACED:
        return 0.0
    middle = median(logs)
    spread = _MAD_TO_SIGMA * median(abs(value - middle) for value in logs)
    return math.exp(middle - _OUTLIER * spread) if spread else 0.0


def _words_shown(rating: Rating, candidate_sets: Mapping[str, CandidateSet]) -> int:
    candidate_set = candidate_sets[rating.candidate_set]
    return sum(len(candidate_set.completion(id).text.split()) for id in rating.shown)
