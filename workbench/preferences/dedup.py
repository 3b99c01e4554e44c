"""One pair per prompt, chosen and rejected text; none that contradicts another.

Pairs are compared after normalising, then near-duplicates go: those whose
prompt, chosen and rejected texts all nearly equal another's, run of letters by
run of letters (near.py). This module knows nothing about paraphrases.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workbench.errors import InputError
from workbench.preferences.near import firsts, shingles
from workbench.preferences.text import answer_key, prompt_key
from workbench.preferences.votes import is_person
from workbench.records import Preference

NEAR = 0.9
"""Jaccard similarity of runs of five characters from which two texts are nearly equal."""


@dataclass(frozen=True)
class Dropped:
    """Pairs that were left out, by reason.

    `identical`: chosen and rejected read the same. `duplicates`: said again what
    another pair says. `near_duplicates`: said it again with slight changes.
    `contradictions`: another pair says the opposite, with as many ratings or more,
    or by a person where this one is by models or rules. `refused`: the prompt's
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


def deduplicate(preferences: Iterable[Preference], *, near: float = NEAR) -> Deduplicated:
    """Keep one of each; the result does not depend on the order of `preferences`.

    Of equal pairs the one with the smallest id stays, with the ratings and raters
    of all and the mean of their weights. Of two opposite pairs the one by persons
    stays, else the one with more ratings, its weight lowered to n of n + m ratings
    for it, m against: by (n - m) / (n + m); with equally many both go. Of nearly
    equal pairs the one with the most ratings stays as it is, then that with the
    smallest id. `near` is the Jaccard similarity, above 0 and at most 1, that
    prompt, chosen and rejected text must each have (shingles of five characters,
    letter case counts); at 1 only repetition may differ. Raises InputError for
    another number.
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
    merged = {key: _merge(group) for key, group in groups.items()}
    once = []
    contradictions = 0
    for (prompt, chosen, rejected), preference in merged.items():
        opposite = merged.get((prompt, rejected, chosen))
        if opposite is None:
            once.append(preference)
        elif _standing(preference) > _standing(opposite):
            once.append(_contradicted(preference, opposite))
        else:
            contradictions += len(groups[prompt, chosen, rejected])
    # A contradicted group is counted whole above; its inner duplicates are not counted twice.
    total = sum(len(group) for group in groups.values())
    kept = _without_near_duplicates(once, near)
    dropped = Dropped(
        identical=identical,
        duplicates=total - len(once) - contradictions,
        near_duplicates=len(once) - len(kept),
        contradictions=contradictions,
    )
    return Deduplicated(tuple(sorted(kept, key=lambda p: p.id)), dropped)


def _merge(group: list[Preference]) -> Preference:
    first = min(group, key=lambda p: p.id)
    return replace(
        first,
        ratings=tuple(sorted({id for p in group for id in p.ratings})),
        raters=tuple(sorted({rater for p in group for rater in p.raters})),
        weight=round(math.fsum(p.weight for p in group) / len(group), 4),
    )


def _standing(preference: Preference) -> tuple[bool, int]:
    """What a pair has against its opposite: a person's word, then the number of ratings."""
    return any(is_person(rater) for rater in preference.raters), len(preference.ratings)


def _contradicted(preference: Preference, opposite: Preference) -> Preference:
    (by_person, n), (against_by_person, m) = _standing(preference), _standing(opposite)
    if by_person != against_by_person:
        return preference
    return replace(preference, weight=max(0.0001, round(preference.weight * (n - m) / (n + m), 4)))


def _without_near_duplicates(preferences: Sequence[Preference], near: float) -> list[Preference]:
    """Those kept, the best first, each unlike all that were kept before it."""
    ordered = sorted(preferences, key=lambda p: (-len(p.ratings), p.id))
    texts = [
        tuple(map(shingles, (prompt_key(p.prompt), answer_key(p.chosen), answer_key(p.rejected))))
        for p in ordered
    ]
    return [ordered[place] for place in firsts(texts, near)]
