"""Ratings and candidate sets -> preferences.

A strategy picks the pairs to train on from each rater's order of the answers,
and a rule settles what raters disagree on. This module knows nothing about
files, splits or trainers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from workbench.errors import InputError
from workbench.preferences.resolve import Resolve, Rule, Strategy, decide
from workbench.preferences.text import answer_key
from workbench.preferences.votes import Vote, Votes, orders, persons_first, votes
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


def build(
    candidate_sets: Iterable[CandidateSet],
    ratings: Sequence[Rating],
    *,
    strategy: Strategy = "best-vs-worst",
    resolve: Resolve = "majority",
    margin: float | None = None,
    trust: Mapping[str, float] | None = None,
    strict: bool = True,
) -> list[Preference]:
    """The pairs that the ratings speak for, in the order of the candidate sets.

    A ranking or pairwise choice orders the shown answers; thumbs and stars that
    one rater gave to answers of one set order them by value; ties and "both bad"
    are votes for neither. "best-vs-worst" takes one pair from each order (of tied
    answers the one that stands first in the set), "all" every pair whose sides
    differ. `resolve` decides the direction of each (see resolve.decide): the
    "majority" of raters, an even vote dropping the pair, or "bradley-terry"
    strengths over the whole set that differ by `margin` log-odds or more (0.2 by
    default). `trust` is the accuracy of raters, above 0.5 and at most 1, by which
    their votes are weighted (see Rule.power). Where a person judged a pair, votes
    of models and rules on it don't count, nor do they move its strengths. Where one
    rater both marked and compared two answers, the comparison counts. A correction
    is chosen against its original; its Completion has the rater as `backend` and no
    token ids.

    `ratings` and `raters` of a Preference are those who sided with it, `weight`
    is how far the votes agreed: (votes for - votes against) / votes given.
    Raises InputError for ratings that don't fit the sets and for two different
    sets of one id. With `strict=False` ratings that don't fit are left out;
    `ratings.check` says which they are, and why.
    """
    rule = Rule(strategy, resolve, margin, trust or {})
    sets = _by_id(candidate_sets)
    by_set: dict[str, list[Rating]] = defaultdict(list)
    for rating in standing(_fitting(ratings, sets, strict)):
        by_set[rating.candidate_set].append(rating)
    return [
        preference
        for id, candidate_set in sets.items()
        if id in by_set
        for preference in (
            *_compared(candidate_set, by_set[id], rule),
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
    candidate_set: CandidateSet, ratings: Sequence[Rating], rule: Rule
) -> Iterator[Preference]:
    given = orders(ratings)
    by_pair = votes(given)
    decided = decide(by_pair, rule)
    position = {completion.id: i for i, completion in enumerate(candidate_set.completions)}
    nominated = {
        frozenset(pair) for order in given for pair in _pairs(order.groups, rule.strategy, position)
    }
    for pair in sorted(nominated & decided.keys(), key=lambda p: sorted(position[id] for id in p)):
        winner = decided[pair].winner
        [loser] = pair - {winner}
        yield _preference(
            candidate_set,
            candidate_set.completion(winner),
            candidate_set.completion(loser),
            {rater: vote for rater, vote in by_pair[pair].items() if vote.winner == winner},
            decided[pair].weight,
        )


def _pairs(
    groups: Sequence[Sequence[str]], strategy: Strategy | None, position: Mapping[str, int]
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
    sided: dict[str, dict[str, Vote]] = defaultdict(dict)
    pairs: dict[str, tuple[Completion, Completion]] = {}
    for rating in ratings:
        if rating.kind == "correction":
            original = candidate_set.completion(rating.shown[0])
            correction = _correction(original, rating)
            if answer_key(correction) != answer_key(original):
                pairs.setdefault(correction.id, (correction, original))
                sided[correction.id][rating.rater] = Vote(correction.id, frozenset({rating.id}))
    for id, (correction, original) in pairs.items():
        yield _preference(candidate_set, correction, original, persons_first(sided[id]), 1.0)


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
    votes: Votes,
    weight: float,
) -> Preference:
    return Preference(
        id=content_id(candidate_set.id, chosen.id, rejected.id),
        prompt=candidate_set.prompt,
        chosen=chosen,
        rejected=rejected,
        ratings=tuple(sorted({id for vote in votes.values() for id in vote.ratings})),
        raters=tuple(sorted(votes)),
        weight=weight,
    )
