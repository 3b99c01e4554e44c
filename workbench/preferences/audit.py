"""What is in a dataset, for people to look at before they train on it.

Counts and lengths only: this module knows nothing about what the texts mean,
and does not judge whether a dataset is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.preferences.dedup import Dropped
from workbench.preferences.text import words
from workbench.records import Preference, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Pair:
    """A preference and the side of the split that it is on."""

    split: Split
    preference: Preference


@dataclass(frozen=True)
class Share:
    """Pairs of one kind (a topic, a language, a rater, ...) on each side of the split."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Pairs on all sides."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class Audit:
    """A dataset in numbers.

    `raters` counts a pair once for each rater who sided with it, `judges` once
    for each kind of rater ("person", "model" or "rule"). Lengths are means, in
    words. `chosen_longer` is the share of pairs whose chosen answer is the
    longer one, equal lengths as half: near 1 or 0, length alone gives most of
    the judgements away, and a model may learn nothing else.
    """

    pairs: Share
    topics: tuple[Share, ...]
    languages: tuple[Share, ...]
    raters: tuple[Share, ...]
    judges: tuple[Share, ...]
    chosen_words: float
    rejected_words: float
    chosen_longer: float
    dropped: Dropped


def audit(pairs: Sequence[Pair], dropped: Dropped) -> Audit:
    """The numbers of at least one pair; `dropped` comes from `deduplicate`."""
    lengths = word_lengths(pairs)
    return Audit(
        pairs=_shares(pairs, lambda _: ("pairs",))[0],
        topics=_shares(pairs, lambda p: (p.prompt.topic,)),
        languages=_shares(pairs, lambda p: (p.prompt.language,)),
        raters=_shares(pairs, lambda p: p.raters),
        judges=_shares(pairs, lambda p: {rater.partition(":")[0] for rater in p.raters}),
        chosen_words=sum(chosen for chosen, _ in lengths) / len(lengths),
        rejected_words=sum(rejected for _, rejected in lengths) / len(lengths),
        chosen_longer=sum((a > b) + (a == b) / 2 for a, b in lengths) / len(lengths),
        dropped=dropped,
    )


def word_lengths(pairs: Iterable[Pair]) -> list[tuple[int, int]]:
    """Words of the chosen and of the rejected answer of each pair."""
    return [(words(p.preference.chosen.text), words(p.preference.rejected.text)) for p in pairs]


def _shares(
    pairs: Sequence[Pair], names: Callable[[Preference], Iterable[str]]
) -> tuple[Share, ...]:
    """Shares by name, the largest first."""
    counts: dict[str, Counter[Split]] = {}
    for pair in pairs:
        for name in names(pair.preference):
            counts.setdefault(name, Counter())[pair.split] += 1
    shares = [Share(name, *(count[split] for split in SPLITS)) for name, count in counts.items()]
    return tuple(sorted(shares, key=lambda share: (-share.total, share.name)))
