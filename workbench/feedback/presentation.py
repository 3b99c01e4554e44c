"""What a rater is shown: which answers, in which order, and which of them twice.

The order is shuffled, so that no model and no sampling seed has a fixed place,
and it follows from the seed alone: the same rater sees the same order again
after a restart. Knows nothing about screens, rules or journals.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, TypeAlias, get_args

from workbench.errors import InputError, SettingsError
from workbench.records import CandidateSet, Completion, Rating, content_id

Mode = Literal["ranking", "pairwise", "thumbs", "stars"]
Key: TypeAlias = tuple[str, frozenset[str], bool]

MODES: tuple[str, ...] = get_args(Mode)
MOST_CANDIDATES = 8
"""More can't be told apart side by side, nor placed by one key each."""
REPEAT_AFTER = 5
"""Other questions that lie between a question and its repeat, at least."""


@dataclass(frozen=True)
class Item:
    """One question to a rater: these answers, in this order, judged in this way.

    A `repeat` asks an earlier question again.
    """

    candidate_set: CandidateSet
    mode: Mode
    shown: tuple[str, ...]
    repeat: bool = False

    @property
    def key(self) -> Key:
        """Equal for two items that ask the same, whatever their order on the screen."""
        return (self.candidate_set.id, frozenset(self.shown), self.repeat)

    @property
    def first_key(self) -> Key:
        """The key of the question that a repeat asks again; else the item's own."""
        return (self.candidate_set.id, frozenset(self.shown), False)

    @property
    def completions(self) -> tuple[Completion, ...]:
        """The answers in the order shown."""
        return tuple(self.candidate_set.completion(id) for id in self.shown)


def rating_key(rating: Rating) -> Key:
    """The key of the item that a rating answers."""
    return (rating.candidate_set, frozenset(rating.shown), rating.repeats is not None)


def traces(candidate_set: CandidateSet, shown: Iterable[str]) -> tuple[str, ...]:
    """The trace id of each answer, "" where it has none; empty when no answer has one."""
    ids = tuple(candidate_set.completion(id).trace_id or "" for id in shown)
    return ids if any(ids) else ()


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


def with_repeats(items: Sequence[Item], share: float, *, seed: int, rater: str) -> list[Item]:
    """`items` with a seeded `share` of them asked again, in the opposite order on the screen.

    At least `REPEAT_AFTER` other questions lie between; a queue that is too short
    has fewer repeats, or none. Single answers (thumbs, stars) are not repeated: they
    have no order to turn round. Raises SettingsError for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise SettingsError(f"A share of {share} repeats is not possible", "Use one from 0 to 1")
    draw = random.Random(content_id("repeats", seed, rater))
    last = len(items) - 1
    early = [n for n in range(len(items) - REPEAT_AFTER) if len(items[n].shown) > 1]
    after: defaultdict[int, list[Item]] = defaultdict(list)
    for n in draw.sample(early, min(round(share * len(items)), len(early))):
        place = draw.randint(n + REPEAT_AFTER, min(n + 3 * REPEAT_AFTER, last))
        after[place].append(replace(items[n], shown=items[n].shown[::-1], repeat=True))
    return [question for n, item in enumerate(items) for question in (item, *after[n])]


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
