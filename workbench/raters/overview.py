"""Who judged, how well, and how far they agree: all that belongs beside a dataset.

    raters = summary(journal, candidate_sets, seed=0)
    raters.alpha.value, raters.ceiling.value
    plot_raters(raters)

Knows nothing about how a rating came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from workbench.raters.accuracy import accuracies
from workbench.raters.agreement import Kappa, alpha, ceiling, decided_agreement, kappas
from workbench.raters.estimates import Estimate, unknown
from workbench.raters.habits import PositionBias, TooFast, consistency, position_bias, too_fast
from workbench.raters.outcomes import Outcomes, outcomes, raters_of
from workbench.ratings import check, not_undone, standing
from workbench.records import CandidateSet, Rating


@dataclass(frozen=True)
class Rater:
    """One rater. `kind` is "person", "model" or "rule".

    `judgements` counts the ratings that stand, of any kind but skips and comments;
    `pairs` the pairs of answers compared by them, `ties` those without a winner (a tie,
    or both bad). `median_seconds` is of all judgements that were timed. `too_fast`
    is of people alone: models and rules have no reading speed.
    """

    name: str
    kind: str
    judgements: int
    skips: int
    pairs: int
    ties: int
    median_seconds: float | None
    consistency: Estimate
    position: PositionBias
    accuracy: Estimate
    too_fast: tuple[TooFast, ...]


@dataclass(frozen=True)
class Raters:
    """All raters of some candidate sets, people first, and how far they agree.

    `candidate_sets` and `pairs` count what at least one rater compared, `set_aside` the
    ratings that fit no answer and count nowhere. `alpha`, `agreement`, `ceiling` and
    each one's accuracy are told from the raters that `agreement_of` names; `kappas` are
    of each two raters of any kind.
    """

    raters: tuple[Rater, ...]
    candidate_sets: int
    pairs: int
    set_aside: int
    agreement_of: Literal["people", "all raters"]
    alpha: Estimate
    agreement: Estimate
    ceiling: Estimate
    kappas: tuple[Kappa, ...]


def summary(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], *, seed: int
) -> Raters:
    """What the ratings tell about their raters. `seed` is that of the bootstrap intervals.

    Agreement and accuracy are those of people where two or more of them compared
    answers: rules and models agree with each other for reasons of their own. Else
    they are those of all raters. Ratings that repeat a question count for
    consistency, position bias and pace alone.
    """
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    checked = check(ratings, sets.values())
    said = outcomes(standing(checked.good))
    given = _by_rater(not_undone(checked.good))
    stands = _by_rater(standing(checked.good))
    people = _of_people(said)
    several = len(raters_of(people)) > 1
    compared = people if several else said
    others = unknown("only people are compared")
    told = accuracies(compared, seed=seed).raters
    right = {rater: told.get(rater, others) for rater in raters_of(said)}
    agreement = decided_agreement(compared, seed=seed)
    rows = (_rater(name, given[name], stands.get(name, []), said, sets, right) for name in given)
    return Raters(
        raters=tuple(sorted(rows, key=lambda r: (r.kind != "person", r.kind, r.name))),
        candidate_sets=len({pair.candidate_set for pair in said}),
        pairs=len(said),
        set_aside=len(checked.aside),
        agreement_of="people" if several else "all raters",
        alpha=alpha(compared, seed=seed),
        agreement=agreement,
        ceiling=ceiling(agreement),
        kappas=kappas(said, seed=seed),
    )


def _of_people(said: Outcomes) -> Outcomes:
    """What people said, and the pairs of which they said something."""
    kept = {
        pair: {rater: outcome for rater, outcome in row.items() if rater.startswith("person:")}
        for pair, row in said.items()
    }
    return {pair: row for pair, row in kept.items() if row}


def _rater(
    name: str,
    given: list[Rating],
    stands: list[Rating],
    said: Outcomes,
    sets: Mapping[str, CandidateSet],
    right: Mapping[str, Estimate],
) -> Rater:
    kind = name.partition(":")[0]
    mine = [outcome for raters in said.values() if (outcome := raters.get(name)) is not None]
    timed = [r.seconds for r in given if r.kind != "skip" and r.seconds is not None]
    return Rater(
        name=name,
        kind=kind,
        judgements=sum(rating.kind not in ("skip", "comment") for rating in stands),
        skips=sum(rating.kind == "skip" for rating in stands),
        pairs=len(mine),
        ties=sum(outcome in ("tie", "both bad") for outcome in mine),
        median_seconds=median(timed) if timed else None,
        consistency=consistency(given),
        position=position_bias(given),
        accuracy=right.get(name, unknown("compared no answers")),
        too_fast=too_fast(given, sets) if kind == "person" else (),
    )


def _by_rater(ratings: Iterable[Rating]) -> dict[str, list[Rating]]:
    grouped: dict[str, list[Rating]] = {}
    for rating in ratings:
        grouped.setdefault(rating.rater, []).append(rating)
    return grouped
