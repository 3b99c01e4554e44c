"""Base against adapter on held-out prompts, judged blind.

The judge gets a CandidateSet without anything that tells the two sides apart:
no adapter, model, backend, trace or timing, and in an order that says nothing.
What an answer itself gives away stays. This module knows nothing about
statistics, nor how a judge decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from workbench.errors import InputError
from workbench.ratings import ORDERS, standing
from workbench.records import (
    CandidateSet,
    Comparison,
    Completion,
    Prompt,
    Rating,
    Timing,
    content_id,
)

Judge = Callable[[CandidateSet], Rating]
"""Rates one set. It shuffles what it shows and records the order in `Rating.shown`."""


def compare(
    base: Sequence[Completion],
    adapter: Sequence[Completion],
    prompts: Sequence[Prompt],
    judge: Judge,
) -> list[Comparison]:
    """Judge answer i of `base` against answer i of `adapter`, both to prompt i.

    Raises InputError for answers that don't match the prompts or each other
    (see `candidate_sets`) and for a rating that doesn't compare the two.
    """
    sets = candidate_sets(base, adapter, prompts)
    comparisons = []
    for candidate_set, a, b in zip(sets, base, adapter, strict=True):
        rating = judge(candidate_set)
        outcome = _outcome(rating, candidate_set, base=a.id, adapter=b.id)
        comparisons.append(Comparison(candidate_set.prompt.id, a, b, outcome, rating))
    return comparisons


def candidate_sets(
    base: Sequence[Completion], adapter: Sequence[Completion], prompts: Sequence[Prompt]
) -> list[CandidateSet]:
    """What a judge is given, one set per prompt: for raters who take their time.

    Raises InputError unless there is one answer of each side per prompt, each
    prompt once, each side made by one model with one adapter and all with the
    same sampling (seeds aside). A completion doesn't name its prompt: where both
    sides have the same model, their prompts must at least be equally long.
    """
    if not len(base) == len(adapter) == len(prompts):
        raise InputError(
            f"{len(base)} base and {len(adapter)} adapter answers don't match "
            f"{len(prompts)} prompts",
            "Give one answer of each side per prompt, in the order of the prompts",
        )
    _need_unique_prompts(prompts)
    for side, answers in (("base", base), ("adapter", adapter)):
        if len({(answer.model, answer.adapter) for answer in answers}) > 1:
            raise InputError(
                f"The {side} answers come from several models or adapters",
                "Compare one model and adapter with one other at a time",
            )
    if len({replace(answer.sampling, seed=0) for answer in (*base, *adapter)}) > 1:
        raise InputError(
            "The answers were drawn with different sampling settings",
            "Draw both sides with the same settings; only seeds may differ",
        )
    return [_blind_set(*answers) for answers in zip(prompts, base, adapter, strict=True)]


def judge_from(ratings: Iterable[Rating]) -> Judge:
    """A judge that says what one rater has said already, for instance in a journal.

    Undone ratings and repeats are resolved first; comments and corrections are
    no judgements. It raises InputError for a set that was not rated, or rated by
    several raters.
    """
    given: dict[str, list[Rating]] = {}
    for rating in standing(ratings):
        if rating.kind in ORDERS:
            given.setdefault(rating.candidate_set, []).append(rating)

    def judge(candidate_set: CandidateSet) -> Rating:
        found = given.get(candidate_set.id, [])
        if len(found) != 1:
            raise InputError(
                f"The answers to prompt {candidate_set.prompt.id} have {len(found)} judgements, "
                "not one",
                "Judge every prompt once, and give the judgements of one rater at a time",
            )
        return found[0]

    return judge


def _need_unique_prompts(prompts: Sequence[Prompt]) -> None:
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise InputError(
            f"Prompt {twice} is there more than once",
            "Give each prompt once: several answers to one prompt don't count as several prompts",
        )


def _blind_set(prompt: Prompt, base: Completion, adapter: Completion) -> CandidateSet:
    if base.id == adapter.id:
        raise InputError(
            f"Both answers to prompt {prompt.id} have the id {base.id}",
            "Check that the two sides are not the same answers",
        )
    if base.model == adapter.model and base.usage.prompt_tokens != adapter.usage.prompt_tokens:
        raise InputError(
            f"The answers {base.id} and {adapter.id} were given to prompts of different length",
            "Give both sides' answers in the order of the prompts",
        )
    id = content_id("comparison", prompt.id, base.id, adapter.id)
    answers = sorted((base, adapter), key=lambda answer: content_id(id, answer.id))
    return CandidateSet(id, prompt, tuple(_blind(answer) for answer in answers))


def _blind(answer: Completion) -> Completion:
    return replace(
        answer, backend="", model="", adapter=None, trace_id=None, timing=Timing(0.0, 0.0)
    )


def _outcome(
    rating: Rating, candidate_set: CandidateSet, *, base: str, adapter: str
) -> Literal["win", "loss", "tie"]:
    rank = {id: i for i, group in enumerate(rating.ranking) for id in group}
    compares = rating.both_bad or set(rank) == {base, adapter}
    if rating.candidate_set != candidate_set.id or not compares:
        raise InputError(
            f"Rating {rating.id} ({rating.kind}) does not compare the two answers "
            f"of candidate set {candidate_set.id}",
            "Judge by ranking or by pairwise choice",
        )
    if rating.both_bad or rank[base] == rank[adapter]:
        return "tie"
    return "win" if rank[adapter] < rank[base] else "loss"
