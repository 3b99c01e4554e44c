"""One pair per prompt, chosen and rejected text; none that contradicts another.

Pairs are compared after normalising, then once more for texts that are nearly
equal, run of letters by run of letters (near.py): near-duplicates go, and of nearly
opposite pairs those with the lower standing. This module knows nothing about
paraphrases.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.preferences.near import firsts, shingles
from workbench.preferences.text import answer_key, prompt_key
from workbench.preferences.votes import is_person
from workbench.records import Preference

if TYPE_CHECKING:
    from workbench.preferences.near import Triple

NEAR = 0.9
"""Jaccard similarity of runs of five characters from which two texts are nearly equal."""


@dataclass(frozen=True)
class Dropped:
    """Pairs that were left out, by reason.

    `identical`: chosen and rejected read the same. `duplicates`: said again what
    another pair says. `near_duplicates`: said it again with slight changes.
    `contradictions`: another pair says the opposite or nearly so, with as many ratings
    or more, or by a person where this one is by models or rules. `refused`: the prompt's
    author refused training on it. `not_asked`: nobody asked the author, where
    consent is required.
    """

    identical: int = 0
    duplicates: int = 0
    near_duplicates: int = 0
    contradictions: int = 0
    refused: int = 0
    not_asked: int = 0

    @property
    def total(self) -> int:
        """Pairs left out for any reason."""
        repeated = self.identical + self.duplicates + self.near_duplicates
        return repeated + self.contradictions + self.refused + self.not_asked


@dataclass(frozen=True)
class Deduplicated:
    """What was kept, by id, and how many were dropped."""

    kept: tuple[Preference, ...]
    dropped: Dropped


@dataclass(frozen=True)
class _Group:
    """Pairs that say the same, and the one that stands for them."""

    kept: Preference
    members: tuple[Preference, ...]

    @property
    def standing(self) -> tuple[bool, int]:
        """What they have against others: a person's word, then the number of ratings."""
        by_persons = [p for p in self.members if any(map(is_person, p.raters))]
        ratings = {id for p in by_persons or self.members for id in p.ratings}
        return bool(by_persons), len(ratings)


def deduplicate(preferences: Iterable[Preference], *, near: float = NEAR) -> Deduplicated:
    """Keep one of each; the result does not depend on the order of `preferences`.

    Pairs that say the same, or nearly so, stand together: a person's word comes first,
    then the number of ratings; beside a person's, ratings of models and rules don't
    count. Of equal pairs the one with the smallest id stays, with the ratings and
    raters of all and the mean of their weights. Of nearly equal pairs the one of the
    highest standing stays as it is, then that with the smallest id.

    Two opposite pairs are settled first where they are equal, then where they are
    nearly so. The one by persons stays, else the one with more ratings, its weight
    lowered to n of n + m ratings for it, m against: by (n - m) / (n + m). With equally
    many both go. A pair with several opposites stays only against each of them.

    `near` is the Jaccard similarity, above 0 and at most 1, that prompt, chosen and
    rejected text must each have (shingles of five characters, letter case counts); at
    1 only repetition may differ. Raises InputError for another number.
    """
    if not 0 < near <= 1:
        raise InputError(
            f"{near} is no similarity of near-duplicates", "Give a number above 0 and at most 1"
        )
    identical = 0
    groups: dict[tuple[str, str, str], list[Preference]] = defaultdict(list)
    for preference in preferences:
        chosen, rejected = answer_key(preference.chosen), answer_key(preference.rejected)
        if chosen == rejected:
            identical += 1
        else:
            groups[prompt_key(preference.prompt), chosen, rejected].append(preference)
    merged = {key: _Group(_merge(group), tuple(group)) for key, group in groups.items()}
    once = []
    contradictions = 0
    for (prompt, chosen, rejected), group in merged.items():
        opposite = merged.get((prompt, rejected, chosen))
        if kept := _upheld(group, [opposite] if opposite else []):
            once.append(replace(group, kept=kept))
        else:
            contradictions += len(group.members)
    # A contradicted group is counted whole above; its inner duplicates are not counted twice.
    total = sum(len(group) for group in groups.values())
    unlike = _without_near_duplicates(once, near)
    last = [kept for group, opposites in unlike if (kept := _upheld(group, opposites))]
    dropped = Dropped(
        identical=identical,
        duplicates=total - len(once) - contradictions,
        near_duplicates=len(once) - len(unlike),
        contradictions=contradictions + len(unlike) - len(last),
    )
    return Deduplicated(tuple(sorted(last, key=lambda p: p.id)), dropped)


def _merge(group: list[Preference]) -> Preference:
    first = min(group, key=lambda p: p.id)
    return replace(
        first,
        ratings=tuple(sorted({id for p in group for id in p.ratings})),
        raters=tuple(sorted({rater for p in group for rater in p.raters})),
        weight=round(math.fsum(p.weight for p in group) / len(group), 4),
    )


def _upheld(group: _Group, opposites: Iterable[_Group]) -> Preference | None:
    """The pair that stands for a group, its weight lowered by each opposite; None if one wins."""
    weight = group.kept.weight
    by_person, n = group.standing
    for against_by_person, m in (opposite.standing for opposite in opposites):
        if (by_person, n) <= (against_by_person, m):
            return None
        if by_person == against_by_person:
            weight = max(0.0001, round(weight * (n - m) / (n + m), 4))
    return replace(group.kept, weight=weight)


def _without_near_duplicates(
    groups: Iterable[_Group], near: float
) -> list[tuple[_Group, list[_Group]]]:
    """The best of those nearly equal, with the members of all, and beside it its near-opposites."""
    ordered = sorted(groups, key=_best_first)
    found = firsts([_texts(group.kept) for group in ordered], near)
    members: dict[int, list[Preference]] = defaultdict(list)
    for first, group in zip(found.of, ordered, strict=True):
        members[first] += group.members
    opposites: dict[int, list[int]] = defaultdict(list)
    for one, other in found.swapped:
        opposites[one].append(other)
        opposites[other].append(one)
    unlike = {at: _Group(ordered[at].kept, tuple(all_)) for at, all_ in members.items()}
    return [(group, [unlike[o] for o in opposites[at]]) for at, group in unlike.items()]


def _best_first(group: _Group) -> tuple[bool, int, str]:
    by_person, n = group.standing
    return not by_person, -n, group.kept.id


def _texts(pair: Preference) -> Triple:
    texts = (prompt_key(pair.prompt), answer_key(pair.chosen), answer_key(pair.rejected))
    prompt, chosen, rejected = map(shingles, texts)
    return prompt, chosen, rejected
