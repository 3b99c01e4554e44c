"""What is in a dataset, for people to look at before they train on it.

Counts and lengths only: this module knows nothing about what the texts mean.
It warns of what is known to mislead training, and does not judge the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.preferences import personal
from workbench.preferences.dedup import Dropped
from workbench.preferences.raters import Judgements
from workbench.preferences.splits import Components
from workbench.preferences.text import words
from workbench.preferences.unpaired import Thumb
from workbench.records import Completion, Preference, Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_MOST = 0.5
_LOPSIDED = 0.7
_FEW = 20


@dataclass(frozen=True)
class Pair:
    """A preference and the side of the split that it is on."""

    split: Split
    preference: Preference


@dataclass(frozen=True)
class Mark:
    """A thumb and the side of the split that it is on."""

    split: Split
    thumb: Thumb


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
class Personal:
    """In how many pairs the prompt, the chosen or the rejected answer shows one kind of data."""

    kind: str
    prompt: int
    chosen: int
    rejected: int


@dataclass(frozen=True)
class Audit:
    """A dataset in numbers.

    `raters` counts a pair once for each rater who sided with it, `judges` once
    for each kind of rater ("person", "model" or "rule"). `consent` counts pairs
    by what the prompt's author said ("given" or "not asked"), `thumbs` answers
    judged on their own ("up" or "down"). `personal` names the kinds of personal
    data that were found (see personal.py for what is not). `components` is how
    many connected components of prompts the pairs have, `largest_component` the
    share of pairs in the largest. Lengths are means, in words. `chosen_longer` is
    the share of pairs whose chosen answer is the longer one, equal lengths as
    half: near 1 or 0, length alone gives most of the judgements away, and a model
    may learn nothing else. `weight` is the mean agreement of a pair's votes.
    `judgements` is None where they were not given.
    """

    pairs: Share
    topics: tuple[Share, ...]
    languages: tuple[Share, ...]
    raters: tuple[Share, ...]
    judges: tuple[Share, ...]
    consent: tuple[Share, ...]
    thumbs: tuple[Share, ...]
    personal: tuple[Personal, ...]
    components: int
    largest_component: float
    chosen_words: float
    rejected_words: float
    chosen_longer: float
    weight: float
    dropped: Dropped
    judgements: Judgements | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be looked at before training, a sentence each."""
        found = []
        if self.largest_component > _MOST and self.pairs.total > 1:
            found.append(
                f"One component of connected prompts holds {self.largest_component:.0%} of the "
                "pairs: the split can't hold out a fair share; look at shared topics, sessions "
                "and documents."
            )
        lean = max(self.chosen_longer, 1 - self.chosen_longer)
        if lean > _LOPSIDED and self.pairs.total >= _FEW:
            side = "longer" if self.chosen_longer > 0.5 else "shorter"
            found.append(
                f"The chosen answer is the {side} one in {lean:.0%} of pairs: "
                "a model may learn length alone."
            )
        for position in self.judgements.positions if self.judgements else ():
            if position.biased and position.judge != "rule":  # a rule sees no screen
                found.append(
                    f"Of two answers, raters of kind {position.judge} preferred the one shown "
                    f"earlier in {position.share:.0%} ({position.low:.0%} to {position.high:.0%}): "
                    "position mattered."
                )
        if self.personal:
            kinds = ", ".join(item.kind for item in self.personal)
            found.append(f"Texts show signs of personal data ({kinds}): read them before sharing.")
        return tuple(found)


def audit(
    pairs: Sequence[Pair],
    dropped: Dropped,
    components: Components,
    *,
    marks: Sequence[Mark] = (),
    judgements: Judgements | None = None,
) -> Audit:
    """The numbers of at least one pair, whose prompts have `components`.

    `dropped` is what was left out on the way, `judgements` what led there.
    """
    lengths = word_lengths(pairs)
    return Audit(
        pairs=_shares(pairs, lambda _: ("pairs",))[0],
        topics=_shares(pairs, lambda p: (p.prompt.topic,)),
        languages=_shares(pairs, lambda p: (p.prompt.language,)),
        raters=_shares(pairs, lambda p: p.raters),
        judges=_shares(pairs, lambda p: {rater.partition(":")[0] for rater in p.raters}),
        consent=_shares(pairs, lambda p: (p.prompt.origin.consent or "not asked",)),
        thumbs=_tabled(("up" if m.thumb.up else "down", m.split) for m in marks),
        personal=_personal(pairs),
        components=components.count,
        largest_component=components.largest,
        chosen_words=sum(chosen for chosen, _ in lengths) / len(lengths),
        rejected_words=sum(rejected for _, rejected in lengths) / len(lengths),
        chosen_longer=sum((a > b) + (a == b) / 2 for a, b in lengths) / len(lengths),
        weight=sum(pair.preference.weight for pair in pairs) / len(pairs),
        dropped=dropped,
        judgements=judgements,
    )


def word_lengths(pairs: Iterable[Pair]) -> list[tuple[int, int]]:
    """Words of the chosen and of the rejected answer of each pair."""
    return [(words(p.preference.chosen.text), words(p.preference.rejected.text)) for p in pairs]


def _personal(pairs: Iterable[Pair]) -> tuple[Personal, ...]:
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in personal.KINDS}
    for preference in (pair.preference for pair in pairs):
        prompt = "\n".join(message.content for message in preference.prompt.messages)
        for where, text in (
            ("prompt", prompt),
            ("chosen", _said(preference.chosen)),
            ("rejected", _said(preference.rejected)),
        ):
            for kind in personal.kinds(text, preference.prompt.language):
                counts[kind][where] += 1
    return tuple(
        Personal(kind, count["prompt"], count["chosen"], count["rejected"])
        for kind, count in counts.items()
        if count
    )


def _said(completion: Completion) -> str:
    calls = (call.arguments for call in completion.tool_calls)
    return "\n".join([completion.reasoning, completion.text, *calls])


def _shares(
    pairs: Sequence[Pair], names: Callable[[Preference], Iterable[str]]
) -> tuple[Share, ...]:
    return _tabled((name, pair.split) for pair in pairs for name in names(pair.preference))


def _tabled(named: Iterable[tuple[str, Split]]) -> tuple[Share, ...]:
    """Shares by name, the largest first."""
    counts: dict[str, Counter[Split]] = {}
    for name, side in named:
        counts.setdefault(name, Counter())[side] += 1
    shares = [Share(name, *(count[split] for split in SPLITS)) for name, count in counts.items()]
    return tuple(sorted(shares, key=lambda share: (-share.total, share.name)))
