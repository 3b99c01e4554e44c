"""Ratings and candidate sets -> preferences.

Every rating is first read as an order of answers, best to worst; raters then
vote on each pair; a strategy picks the pairs to train on. This module knows
nothing about files, splits or trainers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, get_args

from workbench.errors import InputError
from workbench.preferences.text import answer_key
from workbench.ratings import check, standing
from workbench.records import (
    CandidateSet,
    Completion,
    Preference,
    Rating,
    Timing,
    Usage,
    content_id,
)

Strategy = Literal["best-vs-worst", "all"]


@dataclass(frozen=True)
class _Order:
    """One rater's answers of one set, best group first; `source` names the rating of each."""

    rater: str
    groups: tuple[tuple[str, ...], ...]
    source: Mapping[str, str]


@dataclass(frozen=True)
class _Vote:
    """Whom one rater prefers of a pair (None: neither), and the ratings that say so."""

    winner: str | None
    ratings: frozenset[str]


def build(
    candidate_sets: Iterable[CandidateSet],
    ratings: Sequence[Rating],
    *,
    strategy: Strategy = "best-vs-worst",
    strict: bool = True,
) -> list[Preference]:
    """The pairs that the ratings speak for, in the order of the candidate sets.

    A ranking or pairwise choice orders the shown answers; thumbs and stars that
    one rater gave to answers of one set order them by value; ties and "both bad"
    give no pair. "best-vs-worst" takes one pair from each order (of tied answers
    the one that stands first in the set), "all" every pair whose sides differ.
    The majority of raters decides the direction of a pair, and an even vote drops
    it; where one rater both marked and compared two answers, the comparison
    counts. A correction is chosen against its original; its Completion has the
    rater as `backend` and no token ids.

    `ratings` and `raters` of a Preference are those who sided with it.
    Raises InputError for ratings that don't fit the sets (with `strict=False`
    those are left out), and for two different sets of one id.
    """
    if strategy not in get_args(Strategy):
        raise InputError(
            f"There is no strategy {strategy!r}", f"Use one of {', '.join(get_args(Strategy))}"
        )
    sets = _by_id(candidate_sets)
    by_set: dict[str, list[Rating]] = defaultdict(list)
    for rating in standing(_fitting(ratings, sets, strict)):
        by_set[rating.candidate_set].append(rating)
    return [
        preference
        for id, candidate_set in sets.items()
        if id in by_set
        for preference in (
            *_compared(candidate_set, by_set[id], strategy),
            *_corrected(candidate_set, by_set[id]),
        )
    ]


def _fitting(
    ratings: Sequence[Rating], sets: Mapping[str, CandidateSet], strict: bool
) -> Sequence[Rating]:
    checked = check(ratings, sets.values())
    if strict and checked.aside:
        first = checked.aside[0]
        raise InputError(
            f"{len(checked.aside)} of {len(ratings)} ratings can't be used; "
            f"the first of them, {first.source}: {first.reason}",
            "Give the candidate sets that the ratings belong to, "
            f"or pass strict=False to go on with the other {len(checked.good)}",
        )
    return checked.good


def _by_id(candidate_sets: Iterable[CandidateSet]) -> dict[str, CandidateSet]:
    sets: dict[str, CandidateSet] = {}
    for candidate_set in candidate_sets:
        if sets.setdefault(candidate_set.id, candidate_set) != candidate_set:
            raise InputError(
                f"Two different candidate sets have the id {candidate_set.id}",
                "Give the sets of one run, or rename one of the two",
            )
    return sets


def _compared(
    candidate_set: CandidateSet, ratings: Sequence[Rating], strategy: Strategy
) -> Iterator[Preference]:
    orders = [*_marked(ratings), *_ranked(ratings)]
    votes = _votes(orders)
    position = {completion.id: i for i, completion in enumerate(candidate_set.completions)}
    nominated = {
        frozenset(pair) for order in orders for pair in _pairs(order.groups, strategy, position)
    }
    for pair in sorted(nominated, key=lambda pair: sorted(position[id] for id in pair)):
        count = Counter(vote.winner for vote in votes[pair].values() if vote.winner)
        first, second = sorted(pair, key=lambda id: -count[id])
        if count[first] > count[second]:
            yield _preference(
                candidate_set,
                candidate_set.completion(first),
                candidate_set.completion(second),
                {rater: vote for rater, vote in votes[pair].items() if vote.winner == first},
            )


def _ranked(ratings: Sequence[Rating]) -> Iterator[_Order]:
    for rating in ratings:
        if rating.kind in ("pairwise", "ranking") and not rating.both_bad:
            groups = tuple(group for group in rating.ranking if group)
            yield _Order(rating.rater, groups, dict.fromkeys(rating.shown, rating.id))


def _marked(ratings: Sequence[Rating]) -> Iterator[_Order]:
    """Thumbs and stars: answers with the same value are tied."""
    marks: dict[tuple[str, str], list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.kind in ("thumbs", "stars"):
            marks[rating.rater, rating.kind].append(rating)
    for (rater, _), given in marks.items():
        values = sorted({mark.value for mark in given if mark.value is not None}, reverse=True)
        groups = tuple(tuple(m.shown[0] for m in given if m.value == v) for v in values)
        yield _Order(rater, groups, {mark.shown[0]: mark.id for mark in given})


def _votes(orders: Iterable[_Order]) -> dict[frozenset[str], dict[str, _Vote]]:
    """One vote per pair and rater; a later order of the same rater replaces an earlier one."""
    votes: dict[frozenset[str], dict[str, _Vote]] = defaultdict(dict)
    for order in orders:
        rank = {id: i for i, group in enumerate(order.groups) for id in group}
        for a, b in combinations(rank, 2):
            winner = None if rank[a] == rank[b] else min(a, b, key=rank.__getitem__)
            sources = frozenset({order.source[a], order.source[b]})
            votes[frozenset({a, b})][order.rater] = _Vote(winner, sources)
    return votes


def _pairs(
    groups: Sequence[Sequence[str]], strategy: Strategy, position: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    if strategy == "best-vs-worst":
        best, worst = (min(groups[i], key=position.__getitem__) for i in (0, -1))
        if len(groups) > 1:
            yield best, worst
        return
    for better, worse in combinations(groups, 2):
        yield from ((a, b) for a in better for b in worse)


def _corrected(candidate_set: CandidateSet, ratings: Sequence[Rating]) -> Iterator[Preference]:
    """Each corrected text against its original; raters with the same text share one pair."""
    votes: dict[str, dict[str, _Vote]] = defaultdict(dict)
    pairs: dict[str, tuple[Completion, Completion]] = {}
    for rating in ratings:
        if rating.kind == "correction":
            original = candidate_set.completion(rating.shown[0])
            correction = _correction(original, rating)
            if answer_key(correction) != answer_key(original):
                pairs.setdefault(correction.id, (correction, original))
                votes[correction.id][rating.rater] = _Vote(correction.id, frozenset({rating.id}))
    for id, (correction, original) in pairs.items():
        yield _preference(candidate_set, correction, original, votes[id])


def _correction(original: Completion, rating: Rating) -> Completion:
    text = rating.text or ""
    return replace(
        original,
        id=content_id(original.id, text),
        text=text,
        token_ids=(),
        finish_reason="stop",
        usage=Usage(original.usage.prompt_tokens, 0),
        timing=Timing(0.0, 0.0),
        backend=rating.rater,
        reasoning="",
        trace_id=None,
    )


def _preference(
    candidate_set: CandidateSet,
    chosen: Completion,
    rejected: Completion,
    votes: Mapping[str, _Vote],
) -> Preference:
    return Preference(
        id=content_id(candidate_set.id, chosen.id, rejected.id),
        prompt=candidate_set.prompt,
        chosen=chosen,
        rejected=rejected,
        ratings=tuple(sorted({id for vote in votes.values() for id in vote.ratings})),
        raters=tuple(sorted(votes)),
    )
