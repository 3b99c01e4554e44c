"""Comparisons -> one verdict, with all that belongs beside its number.

"Better" and "worse" are said only where the interval of the win rate lies clear
of one half. The interval is meant for a number of prompts that was fixed before
anyone looked: it does not cover stopping as soon as it looks good, nor picking
the best of several adapters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from workbench.errors import InputError
from workbench.evaluation.statistics import Tally, interval, length_controlled, required_n
from workbench.preferences import words
from workbench.records import Comparison, Verdict

Decision = Literal["better", "worse", "no proof"]

_SCORE = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_WHO = {"person": "people", "model": "models", "rule": "rules, not by people"}


def verdict(comparisons: Sequence[Comparison], confidence: float = 0.95) -> Verdict:
    """Whether the adapter is better than its base, with a conclusion in plain words.

    `agreement` is None: each prompt is judged once. Raises InputError when there
    is nothing to conclude from, and when a prompt was compared more than once
    (its outcomes are not independent, and the interval would be too narrow).
    """
    if not comparisons:
        raise InputError("There are no comparisons", "Compare base and adapter first")
    [(prompt, times)] = Counter(c.prompt_id for c in comparisons).most_common(1)
    if times > 1:
        raise InputError(
            f"Prompt {prompt} is compared {times} times", "Give one comparison per prompt"
        )
    tally = tally_of(comparisons)
    low, high = interval(tally, confidence)
    lengths = word_lengths(comparisons)
    differences = [adapter - base for base, adapter in lengths]
    result = Verdict(
        n=tally.n,
        wins=tally.wins,
        losses=tally.losses,
        ties=tally.ties,
        win_rate=tally.win_rate,
        low=low,
        high=high,
        confidence=confidence,
        length_controlled=length_controlled([_SCORE[c.outcome] for c in comparisons], differences),
        longest_wins=sum((d > 0) + (d == 0) / 2 for d in differences) / tally.n,
        base_words=sum(base for base, _ in lengths) / tally.n,
        adapter_words=sum(adapter for _, adapter in lengths) / tally.n,
        agreement=None,
        judged_by=tuple(sorted({c.rating.rater for c in comparisons})),
    )
    return replace(result, conclusion=_conclusion(result))


def decision(verdict: Verdict) -> Decision:
    """What the interval allows to say."""
    if verdict.low > 0.5:
        return "better"
    return "worse" if verdict.high < 0.5 else "no proof"


def tally_of(comparisons: Sequence[Comparison]) -> Tally:
    """Counts of the outcomes."""
    counts = Counter(comparison.outcome for comparison in comparisons)
    return Tally(wins=counts["win"], losses=counts["loss"], ties=counts["tie"])


def word_lengths(comparisons: Sequence[Comparison]) -> list[tuple[int, int]]:
    """Words, split at white space, of the base's and of the adapter's answer to each prompt."""
    return [(words(c.base.text), words(c.adapter.text)) for c in comparisons]


def judges(verdict: Verdict) -> str:
    """Who judged, in words: "people (person:anna, person:ben)"."""
    groups: dict[str, list[str]] = {}
    for rater in verdict.judged_by:
        groups.setdefault(rater.partition(":")[0], []).append(rater)
    return " and ".join(
        f"{_WHO.get(kind, kind)} ({', '.join(raters)})" for kind, raters in groups.items()
    )


def _conclusion(v: Verdict) -> str:
    opening = {
        "better": "The adapter is better than its base",
        "worse": "The adapter is worse than its base",
        "no proof": f"No proof either way (n={v.n})",
    }[decision(v)]
    return (
        f"{opening}: over {v.n} prompts it won {v.wins}, lost {v.losses} and tied {v.ties}, "
        f"a win rate of {v.win_rate:.0%} ({v.confidence:.0%} interval {v.low:.0%} to {v.high:.0%})"
        f"{_length_clause(v)}, judged by {judges(v)}{_need_clause(v)}."
    )


def _length_clause(v: Verdict) -> str:
    if v.length_controlled is None:
        return "; what it would be at equal length can't be told"
    return f", {v.length_controlled:.0%} at equal length"


def _need_clause(v: Verdict) -> str:
    """How many prompts would settle it, where that is not settled and a number makes sense."""
    if decision(v) != "no proof" or v.wins == v.losses:
        return ""
    needed = required_n(v.win_rate, ties=v.ties / v.n, confidence=v.confidence)
    if needed <= v.n:
        return ""
    return f"; a difference of this size takes about {needed} prompts to show"
