"""Thumbs as they are: one answer, good or not, for trainers that need no pair (KTO).

A thumb needs no second answer, so it may speak of prompts that no pair has.
This module knows nothing about files or splits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.preferences.resolve import Rule, tally
from workbench.preferences.votes import Vote, persons_first
from workbench.ratings import check, standing
from workbench.records import CandidateSet, Completion, Prompt, Rating, content_id


@dataclass(frozen=True)
class Thumb:
    """An answer that was judged good (`up`) or not, on its own.

    `ratings`, `raters` and `weight` are as in a Preference.
    """

    id: str
    prompt: Prompt
    completion: Completion
    up: bool
    ratings: tuple[str, ...]
    raters: tuple[str, ...]
    weight: float


def thumbs(
    candidate_sets: Iterable[CandidateSet],
    ratings: Sequence[Rating],
    *,
    trust: Mapping[str, float] | None = None,
) -> list[Thumb]:
    """One thumb for each answer on which the thumbs given agree by majority, as in `build`.

    An even vote gives none. Ratings that don't fit the sets are left out
    (`ratings.check` says which they are, and why).
    """
    rule = Rule(resolve="majority", trust=trust or {})
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    votes: dict[tuple[str, str], dict[str, Vote]] = defaultdict(dict)
    for rating in standing(check(ratings, sets.values()).good):
        if rating.kind == "thumbs":
            side = "up" if rating.value else "down"
            votes[rating.candidate_set, rating.shown[0]][rating.rater] = Vote(
                side, frozenset({rating.id})
            )
    found = []
    for (set_id, answer_id), given in sorted(votes.items()):
        counted = persons_first(given)
        ups, downs, all_given = tally(counted, "up", rule)
        weight = round(abs(ups - downs) / all_given, 4)
        winner = "up" if ups > downs else "down"
        sided = {rater: vote for rater, vote in counted.items() if vote.winner == winner}
        if weight:
            found.append(
                Thumb(
                    id=content_id(set_id, answer_id, winner),
                    prompt=sets[set_id].prompt,
                    completion=sets[set_id].completion(answer_id),
                    up=winner == "up",
                    ratings=tuple(sorted(id for vote in sided.values() for id in vote.ratings)),
                    raters=tuple(sorted(sided)),
                    weight=weight,
                )
            )
    return found
