"""One pair per prompt, chosen and rejected text; none that contradicts another.

Exact duplicates after normalising only: this module knows nothing about
near-duplicates or paraphrases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from workbench.preferences.text import answer_key, prompt_key
from workbench.records import Preference


@dataclass(frozen=True)
class Dropped:
    """Pairs that were left out, by reason.

    `identical`: chosen and rejected read the same. `duplicates`: said again what
    another pair says. `contradictions`: another pair says the opposite, with as
    many ratings or more.
    """

    identical: int = 0
    duplicates: int = 0
    contradictions: int = 0


@dataclass(frozen=True)
class Deduplicated:
    """What was kept, by id, and how many were dropped."""

    kept: tuple[Preference, ...]
    dropped: Dropped


def deduplicate(preferences: Iterable[Preference]) -> Deduplicated:
    """Keep one of each; the result does not depend on the order of `preferences`.

    Of equal pairs the one with the smallest id stays, with the ratings and
    raters of all. Of two opposite pairs the one with more ratings stays; with
    equally many both go.
    """
    identical = 0
    groups: dict[tuple[str, str, str], list[Preference]] = defaultdict(list)
    for preference in preferences:
        chosen, rejected = answer_key(preference.chosen), answer_key(preference.rejected)
        if chosen == rejected:
            identical += 1
        else:
            groups[prompt_key(preference.prompt), chosen, rejected].append(preference)
    merged = {key: _merge(group) for key, group in groups.items()}
    kept = []
    contradictions = 0
    for (prompt, chosen, rejected), preference in merged.items():
        opposite = merged.get((prompt, rejected, chosen))
        if opposite and len(opposite.ratings) >= len(preference.ratings):
            contradictions += len(groups[prompt, chosen, rejected])
        else:
            kept.append(preference)
    # A contradicted group is counted whole above; its inner duplicates are not counted twice.
    total = sum(len(group) for group in groups.values())
    duplicates = total - len(kept) - contradictions
    return Deduplicated(
        tuple(sorted(kept, key=lambda p: p.id)), Dropped(identical, duplicates, contradictions)
    )


def _merge(group: list[Preference]) -> Preference:
    first = min(group, key=lambda p: p.id)
    return replace(
        first,
        ratings=tuple(sorted({id for p in group for id in p.ratings})),
        raters=tuple(sorted({rater for p in group for rater in p.raters})),
    )
