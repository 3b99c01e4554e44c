"""What a rater is shown: which answers, in which order.

The order is shuffled, so that no model and no sampling seed has a fixed place,
and it follows from the seed alone: the same rater sees the same order again
after a restart. Knows nothing about screens, rules or journals.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias, get_args

from workbench.errors import InputError, SettingsError
from workbench.records import CandidateSet, Completion, Rating, content_id

Mode = Literal["ranking", "pairwise", "thumbs", "stars"]
Key: TypeAlias = tuple[str, str, frozenset[str]]

MODES: tuple[str, ...] = get_args(Mode)
MOST_CANDIDATES = 8
"""More can't be told apart side by side, nor placed by one key each."""


@dataclass(frozen=True)
class Item:
    """One question to a rater: these answers, in this order, judged in this way."""

    candidate_set: CandidateSet
    mode: Mode
    shown: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Equal for two items that ask the same, whatever their order on the screen."""
        return (self.mode, self.candidate_set.id, frozenset(self.shown))

    @property
    def completions(self) -> tuple[Completion, ...]:
        """The answers in the order shown."""
        return tuple(self.candidate_set.completion(id) for id in self.shown)


def rating_key(rating: Rating) -> Key:
    """The key of the item that a rating answers."""
    return (rating.kind, rating.candidate_set, frozenset(rating.shown))


def shuffled(ids: Iterable[str], *salt: str | int) -> tuple[str, ...]:
    """`ids` in an order that follows from `salt` and the ids, not from their given order."""
    order = sorted(ids)
    random.Random(content_id(*salt, *order)).shuffle(order)
    return tuple(order)


def items(
    candidate_sets: Sequence[CandidateSet], mode: Mode, *, seed: int, rater: str
) -> list[Item]:
    """The questions that `candidate_sets` give in `mode`, set after set.

    "ranking" asks once per set (2 to 8 answers), "pairwise" once per pair of a
    set's answers, "thumbs" and "stars" once per answer. Raises SettingsError for
    another mode and InputError for sets that can't be shown so.
    """
    if mode not in MODES:
        raise SettingsError(f"There is no mode {mode!r}", f"Use one of {', '.join(MODES)}")
    _check(candidate_sets, mode)
    return [
        Item(candidate_set, mode, shuffled(ids, seed, rater, candidate_set.id))
        for candidate_set in candidate_sets
        for ids in _questions(candidate_set, mode, (seed, rater))
    ]


def _questions(
    candidate_set: CandidateSet, mode: Mode, salt: tuple[int, str]
) -> list[tuple[str, ...]]:
    order = shuffled((c.id for c in candidate_set.completions), *salt, candidate_set.id)
    if mode == "ranking":
        return [order]
    return list(combinations(order, 2 if mode == "pairwise" else 1))


def _check(candidate_sets: Sequence[CandidateSet], mode: Mode) -> None:
    if not candidate_sets:
        raise InputError("There are no candidate sets to judge", "Sample candidates first")
    seen: set[str] = set()
    for candidate_set in candidate_sets:
        name = f"Candidate set {candidate_set.id}"
        if candidate_set.id in seen:
            raise InputError(f"{name} is there twice", "Pass each candidate set once")
        seen.add(candidate_set.id)
        ids = [c.id for c in candidate_set.completions]
        if len(set(ids)) < len(ids):
            raise InputError(f"{name} has two answers of one id", "Give each answer its own id")
        least = 2 if mode in ("ranking", "pairwise") else 1
        if len(ids) < least:
            raise InputError(
                f"{name} has {len(ids)} answers; {mode} needs {least}", "Sample more candidates"
            )
        if mode == "ranking" and len(ids) > MOST_CANDIDATES:
            raise InputError(
                f"{name} has {len(ids)} answers; a ranking shows at most {MOST_CANDIDATES}",
                'Sample fewer candidates, or use the mode "pairwise"',
            )
